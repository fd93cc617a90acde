"""Teaches a frozen backbone the project's lect, in a process of its own that survives this window.

The base is scored first; the best result by dev score is kept; the test split is scored at the end. Ctrl-C ends the
training after its step and keeps the best; a second Ctrl-C leaves it running by itself. What was killed goes on with
--resume.
"""

import argparse
import math
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lect.app.options import (
    LATEST,
    add_device,
    add_project,
    find_run,
    fraction,
    minutes,
    open_project,
    positive,
    rate,
    whole,
)
from lect.app.output import counted, duration, percent, print_beside, print_result, progress, remark
from lect.app.train_command import SETTING_FIELDS, SPEC_FIELDS, check_ctc_weight
from lect.engine.contract.adaptation_spec import INITIALISATIONS, METHODS, AdaptationSpec
from lect.engine.contract.errors import TrainError, UsageError
from lect.engine.contract.events import (
    BaseScored,
    Ended,
    Evaluated,
    Event,
    Failed,
    FeaturesReady,
    LanguageModelChosen,
    Scoring,
    Started,
    Stepped,
)
from lect.engine.contract.run_files import RunFiles
from lect.engine.contract.run_request import PRECISIONS, STARTER, VOCABULARY_CHOICES, RunRequest
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.runs.queue import is_training

if TYPE_CHECKING:
    from lect.engine.data.clips import Run
    from lect.engine.data.store import Project

INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything that can be set; what is not set is chosen for the size of the set."""
    add_project(parser)
    add_adaptation(parser.add_argument_group("what is learnt"))
    add_training(parser.add_argument_group("how"))
    add_language_model(parser.add_argument_group("what the search leans on (not with a Whisper's own vocabulary)"))
    again = parser.add_argument_group("going on and letting go")
    again.add_argument(
        "--resume", nargs="?", const=LATEST, metavar="RUN", help="go on with a run that ended early, or watch it"
    )
    again.add_argument("--detach", action="store_true", help="start it and return; --resume watches it again")


def add_adaptation(group: argparse._ArgumentGroup) -> None:
    """Which adaptation, where and how large."""
    group.add_argument(
        "--backbone", default=STARTER, metavar="NAME", help="a name of `lect backbone list`, or a folder"
    )
    group.add_argument("--method", choices=METHODS, help="(prompt)")
    group.add_argument("--placement", metavar="WHERE", help="layers, such as e:last3,d:all or e:0+1,c:all")
    group.add_argument("--num-virtual-tokens", type=positive, metavar="N", help="length of the prompts")
    group.add_argument("--rank", type=positive, metavar="N", help="of adapters' bottlenecks, or of lora's updates")
    group.add_argument("--on", metavar="WHICH", help="with lora: query, key, value, output (query,value)")
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
        help="new: symbols of the labels; words: these whole, for commands; backbone: its own (auto: a Whisper's own)",
    )
    group.add_argument(
        "--language",
        default="",
        metavar="CODE",
        help="on a Whisper: whose token to start with (the project's)",
    )


def add_training(group: argparse._ArgumentGroup) -> None:
    """Steps, rates, device."""
    add_device(group)
    group.add_argument("--precision", choices=PRECISIONS, default="auto", help="of matrix products")
    group.add_argument("--max-steps", type=positive, metavar="N", help="optimiser steps")
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


def add_language_model(group: argparse._ArgumentGroup) -> None:
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
        help="what a language model of labels and --texts counts for; 0: none is made (what does best on dev)",
    )


def run(args: argparse.Namespace) -> int:
    """Starts or resumes a run, and stays until it ends."""
    project = open_project(args)
    if args.resume is None:
        from lect.engine.runs.preparation import create_run

        run_id = create_run(project, request_of(args))
    else:
        run_id = run_to_resume(project, args.resume).id
    from lect.app.scores import warn_of_unknown_symbols

    watch = Watch(args, project, run_id)
    for split in ("dev", "test"):
        warn_of_unknown_symbols(args, project, run_id, split)
    if args.detach:
        watch.start()
        text = f"Run {run_id} is training. Watch it: lect train --resume {run_id} --project {args.project}"
        print_result(args, {"run": run_id, "folder": watch.files.folder, "detached": True}, text)
        return 0
    interrupted = watch.follow()
    value, text = watch.summary()
    print_result(args, value, text)
    return INTERRUPTED if interrupted else 0


def request_of(args: argparse.Namespace) -> RunRequest:
    """What the options ask for. Raises UsageError for a CTC loss that the backbone has no head for."""
    spec = replace(AdaptationSpec(), **_given(args, SPEC_FIELDS))
    spec = replace(spec, reparameterise=args.reparameterise, shared_key_value=args.shared_key_value)
    check_ctc_weight(args.backbone, args.ctc_weight)
    settings = replace(TrainSettings(), spec=spec, cache=not args.no_cache, **_given(args, SETTING_FIELDS))
    settings = replace(settings, gradient_checkpointing=args.gradient_checkpointing)
    return RunRequest(
        backbone=args.backbone,
        device=args.device,
        precision=args.precision,
        settings=settings,
        vocabulary=args.vocabulary,
        language=args.language,
        minutes=args.minutes,
        texts=args.texts,
        language_model_weight=args.language_model_weight,
    )


def _given(args: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(args, name)) is not None}


def run_to_resume(project: "Project", name: str) -> "Run":
    """The run to go on with; `latest` is the latest that has not ended. Raises UsageError when there is none."""
    if name != LATEST:
        return find_run(project, name)
    unfinished = [run for run in project.runs() if run.status != "done"]
    if not unfinished:
        raise UsageError("Every run of this project has ended: name the one to go on with, as in --resume 001.")
    return unfinished[-1]


class Watch:
    """One run as the command line sees it: its progress while it trains, and its summary."""

    def __init__(self, args: argparse.Namespace, project: "Project", run_id: str):
        self.args, self.project, self.run_id = args, project, run_id
        self.files = RunFiles(project.run(run_id).folder)
        self.steps, self.best_cer = 0, math.inf
        self.bar: Any = None
        self.shown = ""  # what the bar is about

    def start(self) -> Any:
        """The process, started unless it runs already; None then."""
        from lect.engine.runs.process import start_run

        return None if is_training(self.project.run(self.run_id)) else start_run(self.project, self.run_id)

    def follow(self) -> bool:
        """Shows the run until it has ended; whether a person ended it. Raises TrainError when it failed."""
        from lect.engine.runs.process import follow, stop_run

        end = self.files.events.stat().st_size if self.files.events.exists() else 0
        process = self.start()
        # Of a process that runs already, all its events; of a new one, none of an earlier one's.
        start = end if process else self.files.last_start()

        def stop() -> None:
            remark(self.args, "Ending after this step and keeping the best; Ctrl-C again leaves it running by itself.")
            stop_run(self.project, self.run_id)

        remark(self.args, f"Run {self.run_id} trains in {self.files.folder}.")
        with _interrupts(stop) as interrupted:
            try:
                for event in follow(self.files.folder, process, start):
                    self.show(event)
            except KeyboardInterrupt:
                remark(self.args, f"It trains on by itself: watch it with lect train --resume {self.run_id}.")
                raise
            finally:
                self._close()
        return interrupted()

    def show(self, event: Event) -> None:
        """One event, on stderr. Raises TrainError when it says that the training failed."""
        match event:
            case Started():
                self._show_start(event)
            case BaseScored():
                remark(self.args, f"Before any training: CER {percent(event.dev_cer)} on dev.")
            case FeaturesReady():
                self._advance("the frozen part", event.total, event.done, "clip")
            case Stepped():
                self._show_step(event)
            case Evaluated():
                self._show_evaluation(event)
            case Ended():
                self._show_end(event)
            case LanguageModelChosen():
                message = f"Shallow fusion with an n-gram language model of the texts, weight {event.weight}."
                remark(self.args, message)
            case Scoring():
                remark(self.args, f"Scoring {event.split}, base and adapted.")
            case Failed():
                raise TrainError(event.message)

    def summary(self) -> tuple[dict[str, Any], str]:
        """What came of it, for machines and for people."""
        from lect.app.scores import SPLITS, before_after, figures, has_scores, judged, stored

        run = self.project.run(self.run_id)
        pairs = {
            split: stored(self.files.folder, self.run_id, split)
            for split in SPLITS
            if has_scores(self.files.folder, split)
        }
        verdicts = {split: judged(*pair) for split, pair in pairs.items()}
        value = {"run": self.run_id, "folder": self.files.folder, "status": run.status, **run.facts}
        value |= {split: figures(*pair, verdicts[split][0]) for split, pair in pairs.items()}
        # No name may need a shell's quotes, nor a project in another folder a second option.
        following = f"lect pack {self.run_id} --project {self.args.project}"
        value |= {"next": following}
        text = [before_after(pairs)] if pairs else []
        text += [sentence for split, (_, sentence) in verdicts.items() if split == list(pairs)[-1]]
        return value, "\n".join([*text, f"Next: {following}"])

    def _show_start(self, event: Started) -> None:
        self.steps, method = event.steps, event.settings["spec"]["method"]
        clips = f"{counted(event.train_clips, 'clip')} ({duration(event.train_seconds)})"
        trained = f"{event.trained_parameters:,} trainable parameters"
        remark(self.args, f"{method} on {clips}, {trained}, on {event.device} in {event.precision}.")

    def _show_step(self, event: Stepped) -> None:
        self._advance("training", self.steps, event.step, "step")
        best = f", best dev CER {percent(self.best_cer)}" if math.isfinite(self.best_cer) else ""
        self.bar.set_postfix_str(f"loss {event.loss:.2f}{best}", refresh=False)

    def _show_evaluation(self, event: Evaluated) -> None:
        self.best_cer = event.best_cer
        lines = [f"step {event.step}: CER {percent(event.dev_cer)} on dev"]
        lines += [f"    {one.label}\n  → {one.text}" for one in event.texts[:2]]
        if not (self.args.json or self.args.quiet):
            print_beside(self.bar, "\n".join(lines), error=True)

    def _show_end(self, event: Ended) -> None:
        self._close()
        why = "ended early" if event.stopped else "ended"
        spent = duration(event.seconds)
        remark(self.args, f"Training {why} after {event.step} steps, {spent}; best at step {event.best_step}.")

    def _advance(self, what: str, total: int, done: int, unit: str) -> None:
        if self.shown != what:
            self._close()
            self.bar, self.shown = progress(self.args, total, what, unit, initial=done - 1), what
        self.bar.update(done - self.bar.n)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        self.bar, self.shown = None, ""


@contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Inside, the first Ctrl-C calls `stop` and the second interrupts; yields whether there was a first."""
    pressed = []

    def handle(number: int, frame: object) -> None:
        pressed.append(number)
        if len(pressed) > 1:
            raise KeyboardInterrupt
        stop()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
