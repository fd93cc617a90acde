"""Runs of a project: from its clips to a training's data, the subprocess that trains, and the scores it leaves.

A run's folder tells all of it: settings.json, vocabulary.json, clips.json (which clips were used how), events.jsonl,
best.safetensors, checkpoint.safetensors, texts.txt and language_model.safetensors where there are such,
scores-<split>.json, predictions-<split>.tsv. The page and the command line only read events. It does not know how a
step is computed.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

from lect.engine.audio.batches import batches_by_length
from lect.engine.audio.reading import SAMPLE_RATE, load_audio
from lect.engine.contract.errors import TrainError, UsageError
from lect.engine.contract.files import read_json, write_bytes, write_json
from lect.engine.contract.subprocesses import module_command
from lect.engine.data.clips import Clip
from lect.engine.data.layouts.items import decode
from lect.engine.data.store import Project
from lect.engine.decoding.language_model import LanguageModel
from lect.engine.decoding.recognizer import BATCH_SECONDS, Recognizer
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.adaptations import AdaptationSpec, merge_updates
from lect.engine.model.backbone import Backbone, open_backbone
from lect.engine.model.device import Device, choose_device
from lect.engine.model.handles import NO_HANDLES, Handles
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import load_adaptation, load_model
from lect.engine.scoring.scores import Scores, score, write_predictions, write_trn
from lect.engine.text.vocabulary import Vocabulary, build_vocabulary
from lect.engine.training.augment import Augmentation
from lect.engine.training.features import Example, FeatureCache
from lect.engine.training.learner import NETWORK, character_error_rate
from lect.engine.training.train import BEST, Event, TrainData, TrainSettings, train

EVENTS, SETTINGS, VOCABULARY, CLIPS, STOP = "events.jsonl", "settings.json", "vocabulary.json", "clips.json", "stop"
TEXTS, LANGUAGE_MODEL = "texts.txt", "language_model.safetensors"
LANGUAGE_MODEL_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4)  # of which the one is taken that does best on dev
WEIGHING_CLIPS = 100  # of dev, at most
MOST_TEXT = 6_000_000  # characters, a Bible and a half, whose counting takes 20 s and 0.6 GB
POLL_SECONDS = 0.2
LEAST_TRAIN_CLIPS = 4

VocabularyChoice = Literal["auto", "new", "words", "backbone"]


@dataclass(frozen=True)
class RunRequest:
    """What a person asks for."""

    backbone: str = "starter"
    device: str = "auto"
    precision: str = "auto"
    settings: TrainSettings = field(default_factory=TrainSettings)
    vocabulary: VocabularyChoice = "auto"  # see run_vocabulary
    language: str = ""  # whose token the decoder is started with, where a backbone has such tokens; "": the project's
    minutes: float = 0.0  # of the training clips, those used; 0: all
    texts: str = ""  # file of more sentences of the lect, one a line, for the language model
    language_model_weight: float | None = None  # 0: no language model; None: chosen on dev

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `method` is what the store lists runs by."""
        return {**asdict(self), "method": self.settings.spec.method}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "RunRequest":
        """From `to_json`."""
        settings = dict(value["settings"])
        spec, augmentation = AdaptationSpec(**settings.pop("spec")), dict(settings.pop("augmentation"))
        augmentation["snr_db"] = tuple(augmentation["snr_db"])
        return cls(
            value["backbone"],
            value["device"],
            value["precision"],
            TrainSettings(spec=spec, augmentation=Augmentation(**augmentation), **settings),
            value.get("vocabulary", "auto"),
            value.get("language", ""),
            value.get("minutes", 0.0),
            value.get("texts", ""),
            value.get("language_model_weight"),
        )


def create_run(project: Project, request: RunRequest) -> str:
    """Enters a run and fixes its data; returns its id.

    Raises TrainError when the set cannot be trained on, UsageError for a vocabulary that the backbone cannot have.
    """
    open_backbone(request.backbone)
    data = gather(project, request)
    texts = [project.rules.apply(line) for line in _lines(Path(request.texts))] if request.texts else []
    run_id = project.add_run(request.to_json())
    folder = project.run(run_id).folder
    write_json(folder / SETTINGS, request.to_json())
    write_json(folder / VOCABULARY, data.vocabulary.to_json())
    write_json(folder / CLIPS, {split: [clip.sha256 for clip in clips] for split, clips in data.clips.items()})
    if texts:
        write_bytes(folder / TEXTS, "\n".join(filter(None, texts)).encode())
    return run_id


def _lines(path: Path) -> list[str]:
    text = decode(path)
    if len(text) > MOST_TEXT:
        raise UsageError(
            f"{path.name} has {len(text):,} characters, and the language model takes up to {MOST_TEXT:,}: give a part."
        )
    return text.splitlines()


@dataclass(frozen=True)
class Gathered:
    """The usable clips of a project by split, and the vocabulary of its training labels."""

    clips: dict[str, list[Clip]]
    vocabulary: Vocabulary


def gather(project: Project, request: RunRequest) -> Gathered:
    """Splits what has no split yet and builds the vocabulary. Raises TrainError when there is too little."""
    if any(not clip.split for clip in project.clips(usable_only=True)):
        project.assign_splits()
    clips = {split: project.clips(split, usable_only=True) for split in ("train", "dev", "test")}
    rules = project.rules
    clips = {split: [clip for clip in each if rules.apply(clip.text)] for split, each in clips.items()}
    clips["train"] = _first_minutes(clips["train"], request.minutes)
    if len(clips["train"]) < LEAST_TRAIN_CLIPS or not clips["dev"]:
        raise TrainError(
            f"There are {len(clips['train'])} usable clips to train on and {len(clips['dev'])} to check with: "
            f"import or record at least {LEAST_TRAIN_CLIPS + 2} clips, then run `lect split`."
        )
    return Gathered(clips, run_vocabulary(project, request, [rules.apply(clip.text) for clip in clips["train"]]))


def _first_minutes(clips: Sequence[Clip], minutes: float) -> list[Clip]:
    """So many minutes of the clips, or all (0), in the order of their hashes: fewer minutes are a part of more."""
    if not minutes:
        return list(clips)
    if (there := sum(clip.seconds for clip in clips) / 60) < minutes:
        raise TrainError(f"There are only {there:.1f} minutes to train on: ask for fewer --minutes, or leave it out.")
    ordered = sorted(clips, key=lambda clip: clip.sha256)
    ends = accumulate(clip.seconds for clip in ordered)
    return [clip for clip, end in zip(ordered, ends, strict=True) if end <= 60 * minutes]


def run_vocabulary(project: Project, request: RunRequest, texts: Sequence[str]) -> Vocabulary:
    """What a run writes in: the backbone's own tokens ("backbone"), or symbols or whole "words" of its texts ("new").

    "auto" keeps Whisper's own, which can write anything. A language that the backbone has no token for gets a new one
    in a new vocabulary, and in the backbone's own the token that it starts with anyhow. Raises UsageError.
    """
    backbone = open_backbone(request.backbone)
    own, language = backbone.vocabulary, request.language or project.language
    known = own.languages()
    if request.language and not known:
        raise UsageError(f"The backbone {backbone.name!r} has no language tokens: leave --language out.")
    if (code := language.lower().partition("-")[0]) in known:
        language = code
    if request.vocabulary == "words":
        return build_vocabulary(texts, "word").led_by(own, language)
    if request.vocabulary == "new" or (request.vocabulary == "auto" and own.kind != "bytes"):
        return build_vocabulary(texts).led_by(own, language)
    return own.starting(language) if request.language or language in known else own


def start_run(project: Project, run_id: str) -> subprocess.Popen[bytes]:
    """Starts the training in a process of its own, which outlives this one."""
    folder = project.run(run_id).folder
    (folder / STOP).unlink(missing_ok=True)
    command = module_command("lect.engine.runs.worker", str(project.folder), run_id)
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def stop_run(project: Project, run_id: str) -> None:
    """Asks a running training to end after its step and keep the best."""
    (project.run(run_id).folder / STOP).touch()


def follow(folder: Path, process: subprocess.Popen[bytes] | None = None, start: int = 0) -> Iterator[Event]:
    """The events of a run from byte `start` of its events file, as they come, until its last one.

    Raises TrainError when the training's process died without one.
    """
    path, position = folder / EVENTS, start
    while True:
        ended = process is not None and process.poll() is not None
        if path.exists():
            with path.open("rb") as file:
                file.seek(position)
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # still being written
                    position += len(line)
                    event = json.loads(line)
                    yield event
                    if event["event"] in ("done", "error"):
                        return
        if ended:
            raise TrainError(
                f"The training stopped unexpectedly: see {folder / 'log.txt'}, then `lect train --resume`."
            )
        time.sleep(POLL_SECONDS)


def run_training(project: Project, run_id: str) -> Iterator[Event]:
    """What the worker does.

    Trains (from the checkpoint, if there is one), then scores dev and test, base and adapted.
    """
    folder = project.run(run_id).folder
    request = RunRequest.from_json(read_json(folder / SETTINGS))
    device = choose_device(request.device, request.precision)
    backbone = open_backbone(request.backbone)
    run = RunData.open(project, run_id)
    settings = request.settings
    data = TrainData(run.vocabulary, run.examples("train"), run.examples("dev"), run.texts("dev"))
    cache = FeatureCache(project.folder / "cache")
    project.update_run(run_id, status="training", device=device.name, pid=os.getpid())
    stop = (folder / STOP).exists
    for event in train(settings, backbone, data, folder, device, cache, resume=True, stop=stop):
        yield event
        if event["event"] == "end":
            facts = {key: event[key] for key in ("best_step", "seconds", "stopped")}
            project.update_run(run_id, status="scoring", **facts)
    if weigh_language_model(run, run_id, device):
        yield {"event": "language_model", "weight": decoding(folder).to_json()["language_model"]}
    for split in ("dev", "test"):
        if run.clips[split]:
            yield {"event": "scoring", "split": split}
            scores = score_run(project, run_id, split, device)
            yield {"event": "scores", **scores.to_json(rows=False), "summary": scores.describe()}
    project.update_run(run_id, status="done")
    yield {"event": "done", "run": run_id}


@dataclass(frozen=True)
class RunData:
    """The clips a run was made with, which later changes to the project do not move between splits."""

    project: Project
    clips: dict[str, list[Clip]]
    vocabulary: Vocabulary

    @classmethod
    def open(cls, project: Project, run_id: str) -> "RunData":
        """The clips of clips.json that are still there."""
        folder = project.run(run_id).folder
        by_hash = {clip.sha256: clip for clip in project.clips()}
        used = read_json(folder / CLIPS)
        clips = {split: [by_hash[sha] for sha in hashes if sha in by_hash] for split, hashes in used.items()}
        return cls(project, clips, Vocabulary.from_json(read_json(folder / VOCABULARY)))

    def texts(self, split: str) -> list[str]:
        """Normalised labels."""
        rules = self.project.rules
        return [rules.apply(clip.text) for clip in self.clips[split]]

    def examples(self, split: str) -> list[Example]:
        """As training reads them."""
        return [
            Example(clip.sha256, clip.path, clip.seconds, tuple(self.vocabulary.encode(text)))
            for clip, text in zip(self.clips[split], self.texts(split), strict=True)
        ]


def load_run(project: Project, run_id: str) -> tuple[Backbone, EncoderDecoder, Handles, Vocabulary]:
    """A run's best result, ready to transcribe with; what changes the network's weights is in them.

    Raises UsageError when it has none yet.
    """
    folder = project.run(run_id).folder
    if not (folder / BEST).exists():
        raise UsageError(
            f"Run {run_id} has no result yet: let it train, or resume it with `lect train --resume {run_id}`."
        )
    backbone = open_backbone(read_json(folder / SETTINGS)["backbone"])
    tensors = load_adaptation(folder / BEST)
    network = {name.removeprefix(NETWORK): tensor for name, tensor in tensors.items() if name.startswith(NETWORK)}
    model = load_model(backbone)
    if network:
        model.load_state_dict(network)
    tensors = merge_updates(model, tensors)
    return backbone, model, Handles.from_tensors(tensors), Vocabulary.from_json(read_json(folder / VOCABULARY))


def decoding(folder: Path) -> DecodeOptions:
    """How the result of the run in `folder` is decoded.

    Without the CTC head where the training let it be, and with the run's language model where it has one.
    """
    trained = RunRequest.from_json(read_json(folder / SETTINGS)).settings
    options, path = DecodeOptions() if trained.ctc_weight else DecodeOptions(ctc_weight=0.0), folder / LANGUAGE_MODEL
    if not path.exists():
        return options
    size = len(Vocabulary.from_json(read_json(folder / VOCABULARY)))
    return replace(options, language_model=LanguageModel.from_bytes(path.read_bytes(), size))


def weigh_language_model(run: RunData, run_id: str, device: Device) -> bool:
    """Leaves a language model of a run's texts in its folder, unless one was not asked for or does no good on dev.

    Its texts are the training labels and what the run was given beside them. A Whisper's own vocabulary gets none:
    its decoder has read far more. Returns whether there is one.
    """
    folder = run.project.run(run_id).folder
    asked = RunRequest.from_json(read_json(folder / SETTINGS)).language_model_weight
    (folder / LANGUAGE_MODEL).unlink(missing_ok=True)
    weights = LANGUAGE_MODEL_WEIGHTS if asked is None else (asked,)
    if weights == (0.0,) or run.vocabulary.kind == "bytes":
        return False
    more = (folder / TEXTS).read_text(encoding="utf-8").splitlines() if (folder / TEXTS).exists() else []
    tokens = [run.vocabulary.encode(text) for text in (*run.texts("train"), *more)]
    language_model = LanguageModel.of(tokens, len(run.vocabulary), max(weights))
    if len(weights) > 1:
        language_model = language_model.weighted(_best_weight(run, run_id, device, language_model, weights))
    if language_model.weight:
        write_bytes(folder / LANGUAGE_MODEL, language_model.to_bytes())
    return language_model.weight > 0


def _best_weight(
    run: RunData, run_id: str, device: Device, language_model: LanguageModel, weights: Sequence[float]
) -> float:
    """The lowest of the weights with the fewest wrong characters on dev."""
    _, model, handles, vocabulary = load_run(run.project, run_id)
    waveforms = [load_audio(clip.path) for clip in run.clips["dev"][:WEIGHING_CLIPS]]
    batches = list(batches_by_length([len(waveform) for waveform in waveforms], BATCH_SECONDS * SAMPLE_RATE))
    options, texts = decoding(run.project.run(run_id).folder), run.texts("dev")
    labels = [texts[index] for batch in batches for index in batch]
    plain = Recognizer(model, vocabulary, handles, options, device)
    encoded = [plain.encode([waveforms[index] for index in batch]) for batch in batches]

    def wrong(weight: float) -> float:
        leaning = replace(options, language_model=language_model.weighted(weight) if weight else None)
        recognizer = Recognizer(model, vocabulary, handles, leaning, device)
        return character_error_rate([text for frames in encoded for text in recognizer.texts_of(frames)], labels)

    return min(weights, key=lambda weight: (wrong(weight), weight))


def score_run(
    project: Project, run_id: str, split: str, device: Device, options: DecodeOptions | None = None
) -> Scores:
    """Scores a run's best result and its bare backbone on a split; writes the figures and enters them in the project.

    Raises UsageError when the run has no result yet, or the split no clips.
    """
    folder = project.run(run_id).folder
    backbone, model, handles, vocabulary = load_run(project, run_id)
    clips = RunData.open(project, run_id).clips[split]
    waveforms = [load_audio(clip.path) for clip in clips]
    options = options or decoding(folder)
    own = backbone.vocabulary.starting_as(vocabulary)
    plain = replace(options, language_model=None)
    bare = Recognizer(load_model(backbone), own, NO_HANDLES, plain, device).texts(waveforms)
    texts = Recognizer(model, vocabulary, handles, options, device).texts(waveforms)
    base = score_clips(project, clips, bare, split)
    scores = score_clips(project, clips, texts, split).with_baseline(base)
    write_json(folder / f"scores-{split}.json", {**scores.to_json(), "decoding": options.to_json()})
    write_json(folder / f"base-scores-{split}.json", base.to_json())
    write_predictions(scores, folder / f"predictions-{split}.tsv")
    write_trn(scores, folder / f"trn-{split}")
    project.add_score(run_id, split, {**scores.to_json(rows=False), "decoding": options.to_json()})
    return scores


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
