"""A run on the page: how far it is, its curves, texts of dev clips; and the list of all runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from lect.engine.contract.events import BaseScored, Evaluated, FeaturesReady, Started, Stepped
from lect.engine.contract.run_files import Taken
from lect.engine.scoring.recommendation import rival

from ..output import percent
from . import pictures
from .markup import card, meter, notice, onward, speech, table, text
from .messages import in_words
from .texts import Say, duration
from .watch import View


def live(view: View, say: Say) -> str:
    """One run."""
    parts = [_progress(view, say)]
    if start := view.latest(Started):
        parts.append(f'<p class="muted">{text(_facts(start, say))}</p>')
    if taken := view.files.taken():
        guesser = view.run.settings.get("guessed_by", "")
        parts.append(f'<p class="muted">{text(_taken(taken, guesser, say))}</p>')
    steps = view.step if view.phase == "done" else view.steps
    if view.rates:
        base = view.latest(BaseScored)
        rate = base.dev_cer if base else None
        title = say("curve_cer_base" if base else "curve_cer")
        parts.append(pictures.chart(view.rates, steps, title, base=rate, percent=True))
    if view.losses:
        parts.append(pictures.chart(view.losses, steps, say("curve_loss")))
    if (evaluation := view.latest(Evaluated)) and evaluation.texts:
        rows = [(speech(one.label), speech(one.text)) for one in evaluation.texts]
        headings = [say("column_label"), say("column_recognised")]
        parts.append(table(headings, rows, say("train_texts", step=evaluation.step)))
    return card(say("run_title", number=view.run.id), "".join(parts))


def _progress(view: View, say: Say) -> str:
    if view.phase == "features" and (at := view.latest(FeaturesReady)):
        shown = meter(at.done / at.total, say("phase_features", done=at.done, total=at.total))
        return shown if at.kept else shown + notice(say("features_not_kept"), "warn")
    if view.phase == "training" and (at_step := view.latest(Stepped)):
        left = duration(at_step.seconds_left, say)
        shown = meter(view.step / view.steps, say("phase_training", step=view.step, total=view.steps, left=left))
        features = view.latest(FeaturesReady)
        return shown + notice(say("features_not_kept"), "warn") if features and not features.kept else shown
    if view.phase == "failed":
        return notice(in_words(view.message, say) or say("phase_failed"), "bad")
    if view.phase == "interrupted":
        return notice(say("phase_interrupted"), "warn")
    if view.phase in ("queued", "new"):
        return notice(say(f"phase_{view.phase}"))
    if view.phase == "done":
        facts = view.run.facts
        sentence = say("phase_done", step=facts.get("best_step", "?"), length=duration(facts.get("seconds", 0), say))
        if view.tested:
            before, after = (percent(rate) for rate in view.tested)
            sentence = f"{say('phase_tested', after=after, before=before)} {sentence}"
        speak = f'<button class="act primary" data-pick="try:{view.run.id}">{text(say("train_try"))}</button>'
        links = f'<div class="links">{speak}{onward(say("tab_results"), "results", "act")}</div>'
        return notice(sentence, "good") + advice(view.files.dev_scores(), say) + links
    return meter(1 if view.phase == "scoring" else 0, say(f"phase_{view.phase}"))


def _facts(start: Started, say: Say) -> str:
    return say(
        "train_facts",
        method=say("method_" + start.settings["spec"]["method"]),
        clips=say("count_clips", count=start.train_clips),
        length=duration(start.train_seconds, say),
        parameters=f"{start.trained_parameters:,}",
        device=start.device,
        precision=start.precision,
    )


def _taken(taken: Taken, guesser: str, say: Say) -> str:
    return say(
        "untranscribed_taken",
        learnt=taken.learnt,
        pieces=say("count_pieces", count=taken.pieces),
        length=duration(taken.learnt_seconds, say),
        whole=duration(taken.seconds, say),
        number=guesser,
    )


def advice(dev: Mapping[str, Any], say: Say) -> str:
    """What learning from guesses brought, and that a run is not to be used, where its bare backbone, or the run that
    guessed, is as good. dev: its scores as `RunFiles.dev_scores` gives them."""
    other, guesser = rival({"dev": dev}), dev.get("guesser")
    if other == "backbone":
        return notice(say("not_recommended"), "bad")
    if not guesser:
        return ""
    facts = {name: percent(guesser[name]) for name in ("before", "after")}
    key, kind = ("guesses_nothing", "bad") if other else ("guesses_brought", "good")
    return notice(say(key, number=guesser["run"], **facts), kind)


def listed(views: Sequence[View], shown: str, say: Say) -> str:
    """All runs, the newest first."""
    headings = [say("column_run"), say("train_method"), say("column_state"), say("column_tested"), say("column_best")]
    return table(headings, [_row(view, shown, say) for view in reversed(views)], say("train_runs"), numbers=(3, 4))


def _row(view: View, shown: str, say: Say) -> tuple[str, ...]:
    run = view.run
    rate = min((rate for _, rate in view.rates), default=None) if view.dev is None else view.dev
    mark = ' aria-current="true"' if run.id == shown else ""
    name = f'<button class="link" data-pick="{run.id}"{mark}>{run.id}</button>'
    state = say(f"state_{view.phase}")
    tested = percent(view.tested[1]) if view.tested else "–"
    dev = percent(rate) if rate is not None else "–"
    return name, text(say("method_" + run.method)), text(state), tested, dev
