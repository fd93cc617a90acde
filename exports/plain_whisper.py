"""A run, or a bare backbone, as a Whisper like any other, for the programs in `runners`.

It is a gate like every export: what was written is read back by our own readers, and must be the same tokens and the
same weights, but for their rounding; then the run's dev clips are transcribed with it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import write_bytes
from lect.engine.contract.tensor_names import VOCABULARY, is_update, parse
from lect.engine.decoding.recogniser import Recogniser
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.adaptations import merge_updates
from lect.engine.model.backbone import Backbone
from lect.engine.model.device import Device
from lect.engine.model.foreign.reading import read_foreign
from lect.engine.model.foreign.whisper import WINDOW_SECONDS, Whisper, plain_whisper, whisper_backbone
from lect.engine.model.handles import NO_HANDLES
from lect.engine.model.network import EncoderDecoder
from lect.engine.text.vocabulary import Vocabulary

from .export_folders import whole_folder
from .model_card import Kind, model_card
from .pack import CARD, MANIFEST, PackContents, describe, dumped
from .parity import Clips, ParityError, Rates, agreement, rates, relative_error
from .runners import RUNNERS, Runner

# Largest `relative_error` of a matrix, by its form: half of a step of each. What is read in float32 is the same.
ROUNDING = {"float32": 0.0, "float16": 5e-4, "q8_0": 0.02, "q5_1": 0.1}
_CPU = Device(torch.device("cpu"), False, "CPU")


@dataclass(frozen=True)
class RunnerReport:
    """What the gate found."""

    layout: str
    weights: str
    tensors: int  # read back, each as written
    rounding: float  # the largest relative error of one
    clips: int  # transcribed before and after; 0 for a bare backbone
    agreement: float | None  # share of these with the same text
    before: Rates | None  # None without labels
    after: Rates | None

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def merged(model: EncoderDecoder, contents: PackContents) -> EncoderDecoder:
    """`model`, which is changed, with all that a run has learnt in its own weights.

    contents: of the run, whose changes to the decoder are in `model` already, as `load_run` leaves it. Raises
    UsageError for a run that no plain Whisper can hold.
    """
    tensors = {name: torch.from_numpy(tensor) for name, tensor in contents.tensors.items()}
    window = model.encoder.window_samples / SAMPLE_RATE
    held = [_described(name) for name in tensors if not is_update(name)]
    held += ["windows of its own length"] if window != WINDOW_SECONDS else []
    if held:
        raise UsageError(
            f"This run has {' and '.join(dict.fromkeys(held))}, which a plain Whisper cannot hold: train one that it "
            f"can, with lect train --backbone {contents.backbone.name} --vocabulary backbone --method lora; or export "
            "this one with --portable."
        )
    merge_updates(model, tensors, is_update)
    return model


def write_run(
    folder: Path,
    contents: PackContents,
    model: EncoderDecoder,
    clips: Clips,
    layout: str,
    weights: str | None = None,
) -> RunnerReport:
    """Writes a run for other programs, atomically. contents, model: as for `merged`, whose errors it raises.

    weights: one of the layout's. Raises UsageError for other weights, ParityError where what is read back differs.
    """
    runner, chosen = _chosen(layout, weights)
    whisper = _whisper(merged(model, contents), contents.vocabulary, contents.backbone)
    about = f"""\
The Whisper `{{backbone}}` with what it learnt to transcribe **{{language}}** in its weights (method `{{method}}`):
{runner.form}. It writes in the {{symbols}} tokens of every Whisper; its labels had the text rules `{{normalisation}}`.
Its weights are in {chosen}."""
    spoken = _language(contents.vocabulary)
    kind = Kind("finetune", about, _use(runner, spoken))
    with whole_folder(folder, MANIFEST) as made:
        report = _written(made, layout, chosen, whisper, spoken, clips)
        manifest = describe(contents) | {"layout": layout, "weights": chosen, "parity": report.to_json()}
        card = model_card(manifest, contents.data, contents.licence, len(contents.vocabulary), kind, contents.notes)
        _finish(made, manifest, card)
    return report


def write_backbone(
    folder: Path, backbone: Backbone, model: EncoderDecoder, layout: str, weights: str | None = None
) -> RunnerReport:
    """Writes a bare backbone for other programs, as `write_run` does a run."""
    runner, chosen = _chosen(layout, weights)
    whisper = _whisper(model, backbone.vocabulary, backbone)
    with whole_folder(folder, MANIFEST) as made:
        report = _written(made, layout, chosen, whisper, "", None)
        facts = {"name": backbone.name, "backbone": backbone.name, "backbone_sha256": backbone.sha256}
        manifest = facts | {"layout": layout, "weights": chosen, "parity": report.to_json()}
        about = f"The Whisper `{backbone.name}`, untrained: {runner.form}. Its weights are in {chosen}."
        card = f"# {backbone.name}\n\n{about} Licence: {backbone.licence}.\n\n## How to use it\n{_use(runner, 'en')}\n"
        _finish(made, manifest, card)
    return report


def _chosen(layout: str, weights: str | None) -> tuple[Runner, str]:
    runner = RUNNERS[layout]
    if weights is not None and weights not in runner.weights:
        raise UsageError(f"The layout {layout} has weights in {', '.join(runner.weights)}, not in {weights}.")
    return runner, weights or runner.weights[0]


def _whisper(model: EncoderDecoder, vocabulary: Vocabulary, backbone: Backbone) -> Whisper:
    return plain_whisper(model, vocabulary, backbone.name, backbone.licence)


def _described(name: str) -> str:
    layered = parse(name)
    if layered is None:
        return "a new vocabulary" if name in VOCABULARY else "weights of its own"
    return f"{layered.kind}s"


def _language(vocabulary: Vocabulary) -> str:
    """The code of the token that it starts with; "" where there is none."""
    spoken = {vocabulary.tokens[token][2:-2] for token in vocabulary.start} & {*vocabulary.languages()}
    return next(iter(spoken), "")


def _use(runner: Runner, language: str) -> str:
    return (
        runner.use.replace("LANGUAGE", language or "en")
        + "\n`sha256sum -c SHA256SUMS` checks that no byte was changed."
    )


def _finish(folder: Path, manifest: Mapping[str, Any], card: str) -> None:
    write_bytes(folder / MANIFEST, dumped(manifest))
    write_bytes(folder / CARD, card.encode())


def _written(
    folder: Path, layout: str, weights: str, whisper: Whisper, language: str, clips: Clips | None
) -> RunnerReport:
    """Writes the files, reads them back, and transcribes with them. Raises ParityError."""
    path = RUNNERS[layout].write(folder, whisper, weights, language)
    expected, found = whisper_backbone(whisper), read_foreign(path)
    rounding = _rounding(expected.model, found.model)
    if expected.vocabulary.tokens != found.vocabulary.tokens or not rounding <= ROUNDING[weights]:
        raise ParityError(
            f"What was written in the layout {layout} is read back as another model (weights differ by {rounding:.1g}, "
            f"allowed: {ROUNDING[weights]:.1g}): nothing was exported; please report this."
        )
    tensors = len(expected.model.state_dict())
    if clips is None:
        return RunnerReport(layout, weights, tensors, rounding, 0, None, None, None)
    vocabulary = expected.vocabulary.starting(language) if language else expected.vocabulary
    before, after = (_texts(model, vocabulary, clips) for model in (expected.model, found.model))
    same = agreement(before, after)
    return RunnerReport(
        layout, weights, tensors, rounding, len(before), same, rates(clips, before), rates(clips, after)
    )


def _rounding(expected: EncoderDecoder, found: EncoderDecoder) -> float:
    """The largest relative error of a tensor; infinite where shapes or names differ."""
    ours, theirs = expected.state_dict(), found.state_dict()
    if {name: tensor.shape for name, tensor in ours.items()} != {name: tensor.shape for name, tensor in theirs.items()}:
        return float("inf")
    return max(_error(ours[name].numpy(), theirs[name].numpy()) for name in ours)


def _error(expected: np.ndarray, found: np.ndarray) -> float:
    return 0.0 if np.array_equal(expected, found) else relative_error(found, expected)


def _texts(model: EncoderDecoder, vocabulary: Vocabulary, clips: Clips) -> list[str]:
    return Recogniser(model, vocabulary, NO_HANDLES, DecodeOptions(), _CPU).texts(clips.waveforms)
