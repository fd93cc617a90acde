"""The scores of a run on a split, base and adapted: decoded, written to its folder, and entered in the project."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..audio.reading import Samples, load_audio
from ..contract.files import read_json, write_json
from ..contract.run_files import RunFiles
from ..data.clips import Clip
from ..data.store import Project
from ..decoding.recogniser import Recogniser
from ..decoding.search import DecodeOptions
from ..model.backbone import Backbone
from ..model.device import Device
from ..model.handles import NO_HANDLES
from ..model.network import EncoderDecoder
from ..model.weights import load_model
from ..scoring.score_files import write_predictions, write_trn
from ..scoring.scores import Row, Scores, score
from ..text.vocabulary import Vocabulary
from .preparation import RunData
from .results import decoding, load_run


def score_run(
    project: Project, run_id: str, split: str, device: Device, options: DecodeOptions | None = None
) -> Scores:
    """Decodes a split with a run's best result and with its bare backbone, and keeps the scores.

    Raises UsageError when the run has no result yet, or the split no clips.
    """
    result, run = load_run(project, run_id), RunData.open(project, run_id)
    options = options or decoding(project.run(run_id).folder)
    waveforms = load_waveforms(run.clips[split])
    bare = bare_recogniser(load_model(result.backbone), result.backbone, result.vocabulary, options, device)
    base = bare_texts(run, run_id, split, bare, result.backbone, waveforms)
    return keep_scores(run, run_id, split, base, result.recogniser(options, device).texts(waveforms), options)


def bare_recogniser(
    model: EncoderDecoder, backbone: Backbone, vocabulary: Vocabulary, options: DecodeOptions, device: Device
) -> Recogniser:
    """The backbone as it would write without a training, in the language of `vocabulary`."""
    own, plain = backbone.vocabulary.starting_as(vocabulary), replace(options, language_model=None)
    return Recogniser(model, own, NO_HANDLES, plain, device)


def bare_texts(
    run: RunData, run_id: str, split: str, bare: Recogniser, backbone: Backbone, waveforms: Sequence[Samples]
) -> list[str]:
    """What the bare backbone writes of a split's clips.

    They are kept in the run's folder, and found there by later runs of the project: a Whisper's windows of 30 s take
    seconds each, and say the same every time.
    """
    clips, project = [clip.sha256 for clip in run.clips[split]], run.project
    start, options = [*bare.vocabulary.start], bare.options.to_json()
    conditions = {"backbone": backbone.sha256, "start": start, "decoding": options}
    paths = [path for each in project.runs() if (path := RunFiles(each.folder).bare_texts).exists()]
    kept = [value["texts"] for value in map(read_json, paths) if value["conditions"] == conditions]
    known = {sha256: text for texts in kept for sha256, text in texts.items()}
    missing = {sha256: waveform for sha256, waveform in zip(clips, waveforms, strict=True) if sha256 not in known}
    known |= dict(zip(missing, bare.texts([*missing.values()]), strict=True))
    used = {clip.sha256 for part in run.clips.values() for clip in part} & known.keys()
    texts = {sha256: known[sha256] for sha256 in sorted(used)}
    write_json(RunFiles(project.run(run_id).folder).bare_texts, {"conditions": conditions, "texts": texts})
    return [known[sha256] for sha256 in clips]


def load_waveforms(clips: Sequence[Clip]) -> list[Samples]:
    """(samples,) float32 at 16 kHz of each clip."""
    return [load_audio(clip.path) for clip in clips]


def keep_scores(
    run: RunData, run_id: str, split: str, bare: Sequence[str], adapted: Sequence[str], options: DecodeOptions
) -> Scores:
    """Scores the texts of a split's clips, writes the figures to the run's folder and enters them in the project.

    options: how `adapted` was decoded. Raises UsageError when the split has no clips.
    """
    project, clips = run.project, run.clips[split]
    files = RunFiles(project.run(run_id).folder)
    decoded: dict[str, Any] = {"decoding": options.to_json()}
    base = score_clips(project, clips, bare, split)
    scores = score_clips(project, clips, adapted, split).with_baseline(base)
    if guesser := files.request().guessed_by:
        decoded |= _beside_guesser(project, guesser, split, scores)
    write_json(files.scores(split), {**scores.to_json(), **decoded})
    write_json(files.base_scores(split), base.to_json())
    write_predictions(scores, files.predictions(split))
    write_trn(scores, files.trn(split))
    project.add_score(run_id, split, {**scores.to_json(rows=False), **decoded})
    return scores


def _beside_guesser(project: Project, guesser: str, split: str, scores: Scores) -> dict[str, Any]:
    """CER of the run that guessed, before, and of the one that learnt from it, after, on the clips that both wrote:
    what `recommendation.rival` reads. Nothing where they have none in common."""
    path = RunFiles(project.run(guesser).folder).scores(split)
    earlier = Scores.from_json(read_json(path)).rows if path.exists() else ()
    labels = {(row.id, row.reference) for row in earlier} & {(row.id, row.reference) for row in scores.rows}
    if not labels:
        return {}
    before, after = (_rate(rows, labels) for rows in (earlier, scores.rows))
    return {"guesser": {"run": guesser, "before": before, "after": after, "clips": len(labels)}}


def _rate(rows: Sequence[Row], labels: set[tuple[str, str]]) -> float:
    counts = [row.characters for row in rows if (row.id, row.reference) in labels]
    return sum(each.errors for each in counts) / max(1, sum(each.length for each in counts))


def score_clips(project: Project, clips: Sequence[Clip], texts: Sequence[str], split: str) -> Scores:
    """Texts against the clips' labels, both under the project's rules."""
    rules = project.rules
    return score(
        [clip.text for clip in clips],
        texts,
        [clip.sha256[:16] for clip in clips],
        normalise=rules.apply,
        normalisation=rules.name,
        split=split,
        seconds=sum(clip.seconds for clip in clips),
        speakers=[clip.speaker for clip in clips],
    )
