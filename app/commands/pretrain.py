"""Trains a backbone from speech in many languages, labelled or not: how the starter was made, and yours.

lect pretrain add CORPUS SOURCE      recordings, their labels spelled in phones by espeak-ng
lect pretrain synth CORPUS TEXT      a text that espeak-ng speaks in many voices
lect pretrain units CORPUS           pseudo-labels of all of it, for speech that nobody transcribed
lect pretrain run CORPUS FOLDER      train, or go on where FOLDER's checkpoint stands
lect pretrain finish FOLDER BACKBONE the checkpoint as a backbone that projects can use
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.engine.contract.errors import UsageError

from ..fields import from_fields
from ..output import counted, duration, percent, print_result, progress, remark, table
from ..pretrain_options import add_pretrain_options

if TYPE_CHECKING:
    import numpy as np

    from lect.engine.contract.model_config import ModelConfig
    from lect.engine.model.backbone import Backbone
    from lect.engine.pretraining.acoustic_units import FrameSource
    from lect.engine.pretraining.corpus import Corpus
    from lect.engine.pretraining.prepare import Prepared
    from lect.engine.text.vocabulary import Vocabulary

STARTER_SIZE = {"convolution_kernel": 15}  # 11.4 M parameters with ModelConfig's defaults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command a stage."""
    add_pretrain_options(parser)


def run(args: argparse.Namespace) -> int:
    """Runs one stage."""
    return {"add": _add, "synth": _synth, "units": _units, "run": _run, "finish": _finish}[args.stage](args)


def _add(args: argparse.Namespace) -> int:
    from lect.engine.pretraining.prepare import add_recordings

    name = args.name or args.source.resolve().name
    with progress(args, None, name, "clip") as bar:
        prepared = add_recordings(
            args.corpus,
            name,
            args.source,
            layout=args.layout,
            language=args.language,
            leave_out=frozenset(_names(args.leave_out)),
            unlabelled=args.unlabelled,
            progress=lambda: bar.update(1),
        )
    return _report(args, prepared)


def _synth(args: argparse.Namespace) -> int:
    from lect.engine.pretraining.prepare import add_synthetic
    from lect.engine.text.phones import available_voices

    if args.voice not in available_voices():
        raise UsageError(f"espeak-ng has no voice {args.voice!r}: `espeak-ng --voices` lists them by language.")
    try:
        text = args.text.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{args.text} is no UTF-8 text: save it as UTF-8 first.") from error
    with progress(args, None, args.voice, "clip") as bar:
        prepared = add_synthetic(
            args.corpus,
            f"synth-{args.voice}",
            text,
            args.voice,
            hours=args.hours,
            seed=args.seed,
            progress=lambda: bar.update(1),
        )
    return _report(args, prepared)


def _report(args: argparse.Namespace, prepared: "Prepared") -> int:
    rows = [(language, duration(seconds)) for language, seconds in sorted(prepared.seconds.items())]
    text = [table(("language", "length"), rows, right=(1,)), f"{counted(prepared.clips, 'clip')} taken."]
    text += [f"{counted(count, 'clip')} left out: {why}." for why, count in prepared.left_out.most_common()]
    value = {"clips": prepared.clips, "seconds": prepared.seconds, "left_out": prepared.left_out}
    print_result(args, value, "\n".join(text))
    return 0


def _units(args: argparse.Namespace) -> int:
    from lect.engine.pretraining.acoustic_units import UnitSettings, add_units
    from lect.engine.pretraining.corpus import Corpus

    given = {name: getattr(args, name) for name in ("clusters", "pieces", "seed") if getattr(args, name) is not None}
    corpus = Corpus(args.corpus)
    frames, made_from = _frames(args)
    with progress(args, len(corpus.utterances), "units", "clip") as bar:
        part = add_units(corpus, frames, made_from, UnitSettings(**given), lambda: bar.update(1))
    following = f"lect pretrain run {args.corpus} FOLDER --steps N --parts {part}"
    labelled = len(Corpus(args.corpus, [part]).utterances)
    value = {"part": part, "clips": labelled, "next": following}
    print_result(args, value, f"{counted(labelled, 'clip')} labelled: part {part}.\nNext: {following}")
    return 0


def _frames(args: argparse.Namespace) -> "tuple[FrameSource, str]":
    """What is clustered, and what tells it apart from all else. Raises UsageError for a layer without a backbone."""
    from lect.engine.model.backbone import open_backbone
    from lect.engine.model.device import choose_device
    from lect.engine.model.weights import load_model
    from lect.engine.pretraining.acoustic_units import encoder_frames, mel_frames

    if args.backbone is None:
        if args.layer:
            raise UsageError("--layer counts the layers of a backbone: name it with --backbone.")
        return mel_frames, "log-mel"
    backbone = open_backbone(args.backbone)
    model = load_model(backbone)
    layer = args.layer or model.config.encoder_layers // 2
    return encoder_frames(model, layer, choose_device(args.device)), f"layer {layer} of {backbone.sha256}"


def _run(args: argparse.Namespace) -> int:
    import torch

    from lect.engine.model.backbone import open_backbone
    from lect.engine.model.device import choose_device
    from lect.engine.pretraining.corpus import Corpus
    from lect.engine.pretraining.pretrain import PretrainSettings, pretrain
    from lect.engine.training.processes import Processes

    if args.threads:
        torch.set_num_threads(args.threads)
    settings = from_fields("--settings", PretrainSettings, args.settings, steps=args.steps)
    corpus, device = Corpus(args.corpus, _names(args.parts)), choose_device(args.device)
    start = open_backbone(args.start) if args.start else None
    config, vocabulary = _network(args, corpus, start)
    events = pretrain(config, corpus, vocabulary, settings, _noises(args.noise), args.folder, device, start)
    last = _follow(args, events)
    if not Processes.join().first:
        return 0
    following = f"lect pretrain finish {args.folder} BACKBONE --name NAME --licence LICENCE"
    value = {**last, "folder": args.folder, "next": following}
    print_result(args, value, f"The checkpoint stands at step {args.steps}.\nNext: {following}")
    return 0


def _follow(args: argparse.Namespace, events: "Iterable[dict[str, Any]]") -> dict[str, Any]:
    """Writes and shows a pretraining's events; the last evaluation."""
    from lect.engine.pretraining.training_folder import TrainingFolder

    last: dict[str, Any] = {}
    with (
        progress(args, args.steps, "pretraining", "step") as bar,
        TrainingFolder(args.folder).events.open("a", encoding="utf-8") as log,
    ):
        for event in events:
            log.write(json.dumps(event) + "\n")
            log.flush()
            bar.update(event["step"] - bar.n)
            if event["event"] == "evaluation":
                last = event
                remark(args, f"step {event['step']}: {_errors(event)}")
    return last


def _network(args: argparse.Namespace, corpus: "Corpus", start: "Backbone | None") -> "tuple[ModelConfig, Vocabulary]":
    """The network and the symbols of FOLDER. Raises UsageError for other ones than its first start fixed."""
    from lect.engine.contract.model_config import ModelConfig
    from lect.engine.pretraining.training_folder import TrainingFolder

    folder = TrainingFolder(args.folder)
    vocabulary = folder.fix_symbols(corpus, start.vocabulary if start else None)
    if start and args.model is None:
        wanted = replace(start.config, vocab_size=len(vocabulary))
    else:
        given = {**(STARTER_SIZE if args.model is None else args.model)}
        given.pop("vocab_size", None)  # the symbols' number decides
        wanted = from_fields("--model", ModelConfig, given, vocab_size=len(vocabulary))
    config = folder.fix_config(wanted)
    if (args.model is not None or start) and config != wanted:
        raise UsageError(
            f"{args.folder} trains another network: leave --model and --start out, or name another folder."
        )
    return config, vocabulary


def _noises(folder: Path | None) -> "list[np.ndarray]":
    from lect.engine.audio.reading import load_audio
    from lect.engine.data.layouts import SOUND_SUFFIXES

    if folder is None:
        return []
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SOUND_SUFFIXES]
    if not paths:
        raise UsageError(f"{folder} holds no recordings: check the path of --noise.")
    return [load_audio(path) for path in paths]


def _errors(event: dict[str, Any]) -> str:
    rates = event["symbol_error_rate"]
    return ", ".join(f"{source} {percent(rate)}" for source, rate in rates.items() if "/" not in source)


def _finish(args: argparse.Namespace) -> int:
    from lect.engine.pretraining.pretrain import finish
    from lect.engine.pretraining.training_folder import TrainingFolder

    folder = TrainingFolder(args.folder)
    finish(
        args.folder,
        args.backbone,
        folder.config(),
        folder.vocabulary(),
        name=args.name,
        languages=_names(args.languages),
        licence=args.licence,
    )
    following = f"lect export --backbone {args.backbone}"
    text = f"{args.backbone} is a backbone.\nNext, its graphs: {following}"
    print_result(args, {"backbone": args.backbone, "next": following}, text)
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(tag for tag in text.split(",") if tag)
