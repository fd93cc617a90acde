"""Scores a run on a split, the bare backbone beside it, and says whether the difference may be chance."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from lect.engine.contract.errors import UsageError
from lect.engine.contract.run_files import RunFiles

from ..options import add_device, add_project, add_run, find_run, fraction, open_project, positive
from ..output import print_result, remark

if TYPE_CHECKING:
    from lect.engine.data.clips import Run
    from lect.engine.decoding.language_model import LanguageModel
    from lect.engine.decoding.search import DecodeOptions
    from lect.engine.scoring.scores import Scores

SHOWN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Run, split and decoding."""
    add_run(parser)
    parser.add_argument("--split", choices=("train", "dev", "test"), default="test", help="which clips (test)")
    parser.add_argument("--beam-size", type=positive, metavar="N", help="hypotheses kept; 1 is greedy")
    parser.add_argument(
        "--ctc-weight", type=fraction, metavar="SHARE", help="of CTC in the joint score (as the run has it)"
    )
    parser.add_argument(
        "--language-model-weight", type=fraction, metavar="SHARE", help="of the run's language model; 0: without it"
    )
    add_device(parser)
    add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Scores anew; the run keeps the figures."""
    from lect.engine.model.device import choose_device
    from lect.engine.runs.scored import score_run

    from ..scores import before_after, figures, judged, stored, warn_of_unknown_symbols

    project = open_project(args)
    found = find_run(project, args.run_id)
    device, options = choose_device(args.device), _decoding(args, found)
    warn_of_unknown_symbols(args, project, found.id, args.split)
    remark(args, f"Scoring run {found.id} and its backbone on {args.split}, on {device.name}.")
    score_run(project, found.id, args.split, device, options)
    base, adapted = stored(found.folder, found.id, args.split)
    comparison, sentence = judged(base, adapted)
    predictions = RunFiles(found.folder).predictions(args.split)
    value = {"run": found.id, "split": args.split, **figures(base, adapted, comparison), "predictions": predictions}
    value |= {**options.to_json(), "device": device.name}
    text = [before_after({args.split: (base, adapted)}), adapted.describe(), sentence, *_worst(adapted)]
    print_result(args, value, "\n".join([*text, f"All of them: {predictions}"]))
    return 0


def _decoding(args: argparse.Namespace, found: "Run") -> "DecodeOptions":
    """How the run's result is decoded, with what the options change."""
    from lect.engine.runs.results import decoding

    given = {"beam_size": args.beam_size, "ctc_weight": args.ctc_weight}
    options = replace(decoding(found.folder), **{name: value for name, value in given.items() if value is not None})
    if (weight := args.language_model_weight) is not None:
        options = replace(options, language_model=_weighted(options.language_model, weight, found.id))
    return options


def _weighted(language_model: "LanguageModel | None", weight: float, run_id: str) -> "LanguageModel | None":
    if language_model is None and weight:
        raise UsageError(f"Run {run_id} has no language model: train again with --language-model-weight {weight}.")
    return language_model.weighted(weight) if language_model and weight else None


def _worst(scores: "Scores") -> list[str]:
    from lect.engine.scoring.score_files import alignment

    wrong = sorted((row for row in scores.rows if row.cer > 0), key=lambda row: -row.cer)[:SHOWN]
    return ["The worst:", *(alignment(row) for row in wrong)] if wrong else ["Every text is right."]
