"""The options that ask for a training, for `lect train` and `lect lab`; the request that they make; and the way back,
for the page, which makes a request by itself and shows the command that asks for the same.

It does not know whether the backbone can have what is asked for (`preparation.checked`).
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lect.engine.contract.adaptation_spec import AUTO, INITIALISATIONS, METHODS, AdaptationSpec
from lect.engine.contract.run_request import PRECISIONS, VOCABULARY_CHOICES, WHISPER, RunRequest
from lect.engine.contract.train_settings import TrainSettings

from .options import add_device, fraction, minutes, positive, rate, whole

# Options that set a field of the same name: of the request, of the training and of the adaptation.
REQUEST_FIELDS = (
    "backbone",
    "device",
    "precision",
    "vocabulary",
    "language",
    "minutes",
    "texts",
    "language_model_weight",
)
SETTING_FIELDS = (
    "learning_rate", "vocabulary_learning_rate", "max_steps", "per_device_train_batch_size", "early_stopping_patience",
    "ctc_weight", "copies", "seed", "gradient_checkpointing", "num_train_epochs", "window_seconds",
)  # fmt: skip
SPEC_FIELDS = (
    "method", "placement", "num_virtual_tokens", "rank", "on", "finetune_layers", "initialisation", "reparameterise",
    "shared_key_value", "full_rank",
)  # fmt: skip


def add_train_options(parser: argparse.ArgumentParser) -> None:
    """Everything that a request holds; what is not set is chosen for the size of the set."""
    _add_adaptation(parser.add_argument_group("what is trained"))
    _add_training(parser.add_argument_group("how"))
    _add_language_model(parser.add_argument_group("shallow fusion (in a Whisper's own vocabulary only with --texts)"))


def request_of(args: argparse.Namespace) -> RunRequest:
    """What the options ask for."""
    asked = {name: value for name in (*SPEC_FIELDS, *SETTING_FIELDS) if (value := getattr(args, name)) is not None}
    given = _given(args, REQUEST_FIELDS)
    return request_for(asked, RunRequest(settings=TrainSettings(cache=not args.no_cache), **given))


def request_for(given: Mapping[str, Any], plain: RunRequest) -> RunRequest:
    """A request with these fields of its settings and its adaptation; plain: with all else."""
    spec = replace(AdaptationSpec(AUTO), **{name: given[name] for name in SPEC_FIELDS if name in given})
    changes = {name: given[name] for name in SETTING_FIELDS if name in given}
    usual = {**vars(TrainSettings()), **vars(AdaptationSpec(AUTO))}
    # What is not given is False among options; and `auto` asks for nothing.
    stated = tuple(sorted(name for name in given if given[name] == usual[name] and given[name] not in (False, AUTO)))
    return replace(plain, settings=replace(plain.settings, spec=spec, **changes), stated=stated)


def option(field: str) -> str:
    """The option that sets a field."""
    return "--" + field.replace("_", "-")


def arguments(request: RunRequest) -> list[str]:
    """What follows `lect train` to ask for this: an option for each field that is not as it is without one."""
    settings = request.settings
    chosen = [
        *_differing(request, RunRequest(), REQUEST_FIELDS),
        *_differing(settings.spec, AdaptationSpec(AUTO), SPEC_FIELDS, request.stated),
        *_differing(settings, TrainSettings(), SETTING_FIELDS, request.stated),
    ]
    start = ["--from", request.start] if request.start else []
    words = [word for name, value in chosen for word in _words(name, value)]
    return [*start, *words, *["--no-cache"] * (not settings.cache)]


def _given(args: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(args, name)) is not None}


def _differing(asked: Any, usual: Any, names: tuple[str, ...], stated: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    values = [(name, getattr(asked, name)) for name in names]
    return [(name, value) for name, value in values if name in stated or value != getattr(usual, name)]


def _words(name: str, value: Any) -> tuple[str, ...]:
    if value is True:
        return (option(name),)
    # A value that begins like an option would be taken for one.
    return (f"{option(name)}={value}",) if str(value).startswith("-") else (option(name), str(value))


def _add_adaptation(group: argparse._ArgumentGroup) -> None:
    """Which adaptation, where and how large."""
    group.add_argument(
        "--backbone",
        default=WHISPER,
        metavar="NAME",
        help=f"a name of `lect backbone list`, or a folder ({WHISPER})",
    )
    group.add_argument("--method", choices=(AUTO, *METHODS), help="(auto: what does best on this backbone)")
    group.add_argument("--placement", metavar="WHERE", help="layers, such as e:last3,d:all or e:0+1,c:all")
    group.add_argument("--num-virtual-tokens", type=positive, metavar="N", help="length of the prompts")
    group.add_argument("--rank", type=positive, metavar="N", help="of adapters' bottlenecks, or of lora's updates")
    group.add_argument("--on", metavar="WHICH", help="with lora: query, key, value, output, up, down (query,value)")
    group.add_argument(
        "--full-rank",
        action="store_true",
        help="with lora: whole matrices learn in the encoder, cut to --rank in the end; adapters in the decoder",
    )
    group.add_argument(
        "--finetune-layers", type=positive, metavar="N", help="with finetune: only the last N decoder layers"
    )
    group.add_argument("--initialisation", choices=INITIALISATIONS, help="what prompts start from")
    group.add_argument("--reparameterise", action="store_true", help="learn prompts through a residual network")
    group.add_argument("--shared-key-value", action="store_true", help="one prompt for keys and values")
    group.add_argument(
        "--vocabulary",
        choices=VOCABULARY_CHOICES,
        default="auto",
        help="new: symbols of the labels; words: these whole, for commands; backbone: a Whisper's own (auto: new)",
    )
    group.add_argument(
        "--language",
        default="",
        metavar="CODE",
        help="on a Whisper: whose token to start with (the project's)",
    )


def _add_training(group: argparse._ArgumentGroup) -> None:
    """Steps, rates, device."""
    add_device(group)
    group.add_argument("--precision", choices=PRECISIONS, default="auto", help="of matrix products")
    group.add_argument("--max-steps", type=positive, metavar="N", help="optimiser steps")
    group.add_argument("--num-train-epochs", type=positive, metavar="N", help="passes over the set, if not --max-steps")
    group.add_argument(
        "--window-seconds", type=minutes, metavar="SECONDS", help="pad shorter clips to this (the backbone's)"
    )
    group.add_argument("--minutes", type=minutes, default=0.0, help="learn from so much of the training clips (all)")
    group.add_argument("--learning-rate", type=rate, metavar="RATE", help="peak")
    group.add_argument("--vocabulary-learning-rate", type=rate, metavar="RATE", help="peak, of the new vocabulary")
    group.add_argument("--per-device-train-batch-size", type=positive, metavar="N", help="clips a step")
    group.add_argument(
        "--early-stopping-patience", type=positive, metavar="N", help="evaluations without a better score"
    )
    group.add_argument("--ctc-weight", type=fraction, metavar="SHARE", help="of the CTC loss")
    group.add_argument("--copies", type=positive, metavar="N", help="variants of each clip, itself among them")
    group.add_argument("--seed", type=whole, help="another seed, another order and start")
    group.add_argument(
        "--gradient-checkpointing", action="store_true", help="less memory, and about a third more time a step"
    )
    group.add_argument("--no-cache", action="store_true", help="compute the frozen part anew at every step")


def _add_language_model(group: argparse._ArgumentGroup) -> None:
    """Texts and weight."""
    group.add_argument(
        "--texts",
        default="",
        metavar="FILE",
        help="more sentences of the lect, one a line, that nobody has recorded: a word list, a book",
    )
    group.add_argument(
        "--language-model-weight",
        type=fraction,
        metavar="SHARE",
        help="of shallow fusion with an n-gram language model of labels and --texts; 0: none (what does best on dev)",
    )
