"""The options of `lect pretrain`, a sub-command a stage. It does not know what a stage does."""

import argparse
from pathlib import Path
from typing import Any

from .options import add_device, add_output, json_object, positive


def add_pretrain_options(parser: argparse.ArgumentParser) -> None:
    """One sub-command a stage."""
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    _add_options(_stage(stages, "add", "labelled recordings into a corpus"))
    _synth_options(_stage(stages, "synth", "synthetic speech into a corpus"))
    _units_options(_stage(stages, "units", "pseudo-labels into a corpus"))
    _run_options(_stage(stages, "run", "train on a corpus, or go on with a training"))
    _finish_options(_stage(stages, "finish", "write a checkpoint as a backbone"))


def _stage(stages: Any, name: str, what: str) -> argparse.ArgumentParser:
    stage: argparse.ArgumentParser = stages.add_parser(name, help=what, description=what, allow_abbrev=False)
    add_output(stage)
    return stage


def _add_options(stage: argparse.ArgumentParser) -> None:
    stage.add_argument("corpus", type=Path, metavar="CORPUS", help="a folder; made if it is not there")
    stage.add_argument("source", type=Path, metavar="SOURCE", help="a folder, as `lect import` reads it")
    stage.add_argument("--name", help="of this part of the corpus (the source's folder name)")
    stage.add_argument("--layout", default="auto", help="how the source lies on the disk (auto)")
    stage.add_argument("--language", default="", metavar="TAG", help="of recordings that state none")
    stage.add_argument("--leave-out", default="", metavar="TAGS", help="languages not to take, with commas between")
    stage.add_argument("--unlabelled", action="store_true", help="take every recording of the folder, without labels")


def _synth_options(stage: argparse.ArgumentParser) -> None:
    stage.add_argument("corpus", type=Path, metavar="CORPUS", help="a folder; made if it is not there")
    stage.add_argument("text", type=Path, metavar="TEXT", help="a UTF-8 file in the voice's language")
    stage.add_argument("--voice", required=True, help="an espeak-ng voice, such as uk")
    stage.add_argument("--hours", type=float, default=1.0, help="how much at most (1)")
    stage.add_argument("--seed", type=int, default=0, help="another seed, other voices (0)")


def _units_options(stage: argparse.ArgumentParser) -> None:
    stage.add_argument("corpus", type=Path, metavar="CORPUS", help="what `add` and `synth` made")
    stage.add_argument("--clusters", type=positive, help="of frames (100)")
    stage.add_argument("--pieces", type=positive, help="symbols that runs of clusters are written in (1000)")
    stage.add_argument("--backbone", metavar="NAME", help="cluster the output of its encoder, not the plain spectrum")
    stage.add_argument("--layer", type=positive, metavar="N", help="of its encoder, from 1 (the middle one)")
    stage.add_argument("--seed", type=int, help="another seed, other clusters (0)")
    add_device(stage)


def _run_options(stage: argparse.ArgumentParser) -> None:
    stage.add_argument("corpus", type=Path, metavar="CORPUS", help="what `add` and `synth` made")
    stage.add_argument("folder", type=Path, metavar="FOLDER", help="of the training; made if it is not there")
    stage.add_argument("--steps", type=positive, required=True, help="in all, those of an earlier start included")
    stage.add_argument("--parts", default="", metavar="NAMES", help="of the corpus, with commas between (all)")
    stage.add_argument("--start", metavar="BACKBONE", help="begin with its weights, symbols and shape")
    stage.add_argument("--noise", type=Path, metavar="DIR", help="recordings of noise to mix in")
    stage.add_argument("--model", type=json_object, metavar="JSON", help="fields of ModelConfig (the starter's)")
    stage.add_argument("--settings", type=json_object, default={}, metavar="JSON", help="fields of PretrainSettings")
    stage.add_argument("--threads", type=positive, help="of the processor (all)")
    add_device(stage)


def _finish_options(stage: argparse.ArgumentParser) -> None:
    stage.add_argument("folder", type=Path, metavar="FOLDER", help="of the training")
    stage.add_argument("backbone", type=Path, metavar="BACKBONE", help="the backbone's folder; made if not there")
    stage.add_argument("--name", required=True, help="of the backbone")
    stage.add_argument("--licence", required=True, help="of the backbone, such as CC-BY-4.0")
    stage.add_argument("--languages", default="", metavar="TAGS", help="of its recordings, with commas between")
