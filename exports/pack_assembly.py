"""What a run's pack says and holds, gathered from the run's folder and its project; and the pack written, and entered.

It does not know a pack's format (`pack`).
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import read_json, sha256_file
from lect.engine.contract.run_files import RunFiles
from lect.engine.contract.tensor_names import changes_weights
from lect.engine.data.clips import Clip, Run
from lect.engine.data.consent import check_covered, rights
from lect.engine.data.store import Project
from lect.engine.decoding.language_model import LanguageModel
from lect.engine.model.backbone import open_backbone
from lect.engine.text.vocabulary import Vocabulary

from .model_card import SplitFacts
from .pack import NO_PREDICTIONS, PackContents, VerifyReport, verify_pack, write_pack
from .pack_tensors import Tensor

SCORED_SPLITS = ("dev", "test")
PREDICTED_SPLIT = "test"
MIXED_LICENCE = "other"
GUESSED = "train, labels guessed by an earlier run"  # in the card, since nobody has checked them


def default_path(project: Project, run: Run) -> Path:
    """Where a run's pack goes unless another place is named: inside the project, so that it travels along."""
    stem = "".join(letter if letter.isalnum() else "-" for letter in project.name).strip("-") or "pack"
    return project.folder / "packs" / f"{stem}-{run.id}.lect"


def check_packable(run: Run) -> None:
    """Raises UsageError for a run that has no result, or one that changed its network's own weights."""
    if any(map(changes_weights, _result(run))):
        raise UsageError(
            f"Run {run.id} changed its backbone's own weights, so it is no small pack: "
            f"use `lect export --run {run.id} --portable`."
        )


def pack_contents(
    project: Project, run: Run, *, name: str | None = None, licence: str | None = None, notes: str = ""
) -> PackContents:
    """What a pack or a portable export of a run says and holds, without what changed the network's own weights.

    name: of the pack (the project's); licence: of the pack (that of all speakers' recordings, where they share one);
    notes: what its maker adds to the model card. Raises UsageError for a run that has no result, or that somebody's
    consent does not cover.
    """
    files = RunFiles(run.folder)
    tensors = {key: tensor for key, tensor in _result(run).items() if not changes_weights(key)}
    clips = _clips(project, files)
    check_covered(project, "share", clips)
    request, vocabulary = files.request(), Vocabulary.from_json(read_json(files.vocabulary))
    settings = request.settings
    return PackContents(
        name=name or project.name,
        language=project.language,
        backbone=open_backbone(request.backbone),
        method=asdict(settings.spec)
        | {"ctc_weight": settings.search_ctc_weight, "window_seconds": settings.window_seconds},
        tensors=tensors,
        vocabulary=vocabulary,
        rules=project.rules,
        language_model=_language_model(files, len(vocabulary)),
        scores=_scores(files),
        predictions=_predictions(files),
        data=_data(project, files),
        licence=licence or _licence(project),
        notes=notes,
        rights=rights(project, clips),
    )


def pack_run(project: Project, run: Run, path: Path, contents: PackContents) -> VerifyReport:
    """Writes a run's pack, reads it again as a stranger would, and enters it in the project. Errors as `write_pack`."""
    write_pack(path, contents)
    report = verify_pack(path, contents.backbone)
    project.add_pack(run.id, path, sha256_file(path))
    return report


def _result(run: Run) -> dict[str, Tensor]:
    files = RunFiles(run.folder)
    files.check_has_result()
    return load_file(files.best)


def _language_model(files: RunFiles, size: int) -> LanguageModel | None:
    path = files.language_model
    return LanguageModel.from_bytes(path.read_bytes(), size) if path.exists() else None


def _scores(files: RunFiles) -> dict[str, Any]:
    paths = {split: files.scores(split) for split in SCORED_SPLITS}
    return {split: {**read_json(path), "rows": []} for split, path in paths.items() if path.exists()}


def _predictions(files: RunFiles) -> str:
    path = files.predictions(PREDICTED_SPLIT)
    return path.read_text(encoding="utf-8") if path.exists() else NO_PREDICTIONS


def _data(project: Project, files: RunFiles) -> Mapping[str, SplitFacts]:
    clips, facts = {clip.sha256: clip for clip in project.clips()}, {}
    for split, hashes in files.clip_hashes().items():
        used = [clips[sha] for sha in hashes if sha in clips]
        voices = {clip.speaker for clip in used} - {""}
        facts[split] = SplitFacts(len(used), round(sum(clip.seconds for clip in used), 2), len(voices))
    if guessed := files.taken():
        facts[GUESSED] = SplitFacts(guessed.learnt, guessed.learnt_seconds, 0)
    return facts


def _clips(project: Project, files: RunFiles) -> list[Clip]:
    """All that the run was made with and that is not gone for good: what was deleted was learnt from too."""
    hashes = {sha for each in files.clip_hashes().values() for sha in each}
    return [clip for clip in [*project.clips(), *project.trash()] if clip.sha256 in hashes]


def _licence(project: Project) -> str:
    # Speakers who allow different things, or who were not asked, leave the choice to the maker.
    shared = project.community().licence
    licences = {speaker.licence or shared for speaker in project.speakers()} or {shared}
    return licences.pop() if len(licences) == 1 and "" not in licences else MIXED_LICENCE
