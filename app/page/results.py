"""How good it became: before and after, clip by clip, and which letters are taken for which; labels are mended here."""

from typing import Any

import gradio as gr

from lect.engine.contract.errors import UsageError
from lect.engine.contract.run_files import RunFiles
from lect.engine.data.clips import Clip, Run
from lect.engine.data.store import Project

from ..output import percent
from . import run_view, watch
from .diff import confusions, marked
from .events import Pick, bind, bind_pick, html_block, in_turn
from .markup import card, editor, empty, figure_of, notice, play, speech, table, text
from .shared import Page, opened
from .texts import Say, duration, label, words_for

SPLITS = ("test", "dev")
BEFORE = ""  # in place of another run's number: the backbone before any training
SHOWN = 40  # clips
POLL_S = 2.0  # while a run is being scored
CONFUSED = 14
IN_TURN = in_turn("results")
KIND = {"better": "good", "worse": "bad", "mixed": "warn", "unclear": "warn"}
ID_LENGTH = 16  # of a clip's hash, as scores name clips


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_results"), id="results", interactive=False) as tab:
        page.needs_project.append(tab)
        with gr.Row(elem_classes="filters", visible=False) as choices:
            run = gr.Dropdown([], label=label("column_run"), elem_id="result-run", min_width=160)
            split = gr.Dropdown(
                [(label(f"split_{name}"), name) for name in SPLITS],
                value="test",
                label=label("column_split"),
                elem_id="result-split",
                min_width=160,
            )
            against = gr.Dropdown([], label=label("results_against"), elem_id="result-against", min_width=160)
        summary = html_block(elem_id="summary")
        rows = html_block(elem_id="result-rows", picks=True)
        clock = gr.Timer(POLL_S, active=False)

    view = [summary, rows]
    chosen = [page.project, run, split, against]
    everything = [choices, run, against, *view, clock]
    for trigger in (tab.select, run.input, clock.tick):
        bind(trigger, show, chosen[:-1], everything, **IN_TURN)
    for changed in (split.input, against.input):
        bind(changed, compare, chosen, view, **IN_TURN)
    bind_pick(rows, fix, chosen, view, **IN_TURN)


def show(folder: str, run_id: str | None, split: str, request: gr.Request) -> tuple[Any, ...]:
    """The step as it is when it is opened: the run that was shown, else the latest that is scored; it looks again while
    one is being scored."""
    say = words_for(request)
    scoring = _scoring(opened(folder)) if folder else ""
    clock = gr.Timer(active=bool(scoring))
    said = notice(say("results_scoring", number=scoring)) if scoring else ""
    runs = [run.id for run in scored(opened(folder))] if folder else []
    if not runs:
        lacks = ("results_none", "train") if folder else ("no_project", "project")
        nothing = said or empty(say(lacks[0]), say(f"tab_{lacks[1]}"), lacks[1])
        return gr.Row(visible=False), gr.Dropdown([]), gr.Dropdown([]), nothing, "", clock
    chosen = run_id if run_id in runs else runs[-1]
    others = [
        (say("results_before"), BEFORE),
        *((say("results_title", number=run), run) for run in runs[::-1] if run != chosen),
    ]
    choices = gr.Row(visible=True), gr.Dropdown(runs[::-1], value=chosen), gr.Dropdown(others, value=BEFORE)
    summary, rows = compare(folder, chosen, split, BEFORE, request)
    return *choices, f"{said}{summary}", rows, clock


def _scoring(project: Project) -> str:
    """The run that is being scored; "" when none is."""
    return next((run.id for run in project.runs() if watch.look(run).phase == "scoring"), "")


def scored(project: Project) -> list[Run]:
    """The runs that have scores on some split."""
    from ..scores import has_scores

    return [run for run in project.runs() if any(has_scores(run.folder, split) for split in SPLITS)]


def compare(folder: str, run_id: str, split: str, against: str, request: gr.Request) -> tuple[Any, ...]:
    """(summary, rows) of one run on one split, beside its bare backbone or another run."""
    from ..scores import judged, stored

    project, say = opened(folder), words_for(request)
    base, adapted = stored(project.run(run_id).folder, run_id, split)
    names = (say("before"), say("after"))
    if against != BEFORE:
        _, base = stored(project.run(against).folder, against, split)
        names = (say("results_title", number=against), say("results_title", number=run_id))
    comparison, _ = judged(base, adapted)
    on = adapted.conditions
    conditions = say(
        "results_conditions",
        clips=say("count_clips", count=on.clips),
        length=duration(on.seconds, say),
        speakers=say("count_speakers", count=on.speakers) if on.speakers else say("speaker_unknown"),
        rules=adapted.normalisation,
        drawn=say("drawn_" + adapted.resampled),
    )
    bars = "".join(_rate(kind, names, base, adapted, say) for kind in ("cer", "wer"))
    summary = (
        notice(say("outcome_" + comparison.outcome), KIND[comparison.outcome])
        + run_view.advice(RunFiles(project.run(run_id).folder).dev_scores(), say)
        + f'<div class="rates">{bars}</div><p class="muted">{text(conditions)}</p>'
    )
    pairs = [(row.reference, row.hypothesis) for row in adapted.rows]
    listed = _rows(project, names, base, adapted, say) + _confusions(pairs, say)
    return card(say("results_title", number=run_id), summary), listed


def fix(picked: Pick, folder: str, run_id: str, split: str, against: str, request: gr.Request) -> tuple[Any, ...]:
    """Saves a corrected label; the scores are as they were measured."""
    project = opened(folder)
    clip = _by_hash(project).get(picked.removeprefix("fix:"))
    if clip is None:
        raise UsageError("That clip is no longer in the project.")
    project.relabel(clip.id, picked.value.strip())
    return compare(folder, run_id, split, against, request)


def _by_hash(project: Project) -> dict[str, Clip]:
    return {clip.sha256[:ID_LENGTH]: clip for clip in project.clips()}


def _rate(kind: str, names: tuple[str, str], base: Any, adapted: Any, say: Say) -> str:
    rows = []
    for key, name, scores in zip(("before", "after"), names, (base, adapted), strict=True):
        rate, interval = getattr(scores, kind), getattr(scores, f"{kind}_interval")
        range_ = say("results_interval", low=percent(interval[0]), high=percent(interval[1])) if interval else ""
        bar = f'<i style="width:{min(100, 100 * rate):.1f}%"></i>' + (_whisker(interval) if interval else "")
        figures = f"<b>{figure_of(percent(rate))}</b><small>{text(range_)}</small>"
        rows.append(f'<div class="rate {key}"><span>{text(name)}</span><div class="track">{bar}</div>{figures}</div>')
    return f'<div class="rate-group"><h3>{text(say(f"results_{kind}"))}</h3>{"".join(rows)}</div>'


def _whisker(interval: tuple[float, float]) -> str:
    low, high = (min(100.0, 100 * end) for end in interval)
    low = min(low, high - 0.4)  # one that is a point is seen too
    return f'<em style="inset-inline-start:{low:.1f}%;width:{high - low:.1f}%"></em>'


def _rows(project: Project, names: tuple[str, str], base: Any, adapted: Any, say: Say) -> str:
    clips, before, rules = _by_hash(project), {row.id: row for row in base.rows}, project.rules
    worst = sorted(adapted.rows, key=lambda row: (-row.cer, row.id))
    cells = []
    for row in worst[:SHOWN]:
        clip = clips.get(row.id)
        listen = play(project.folder, clip, say("play")) if clip else ""
        words = (say("results_fix"), say("save"), say("results_fix_this"))
        mend = editor(f"fix:{row.id}", clip.text, *words) if clip else ""
        if clip and rules.apply(clip.text) != row.reference:
            mend = f'<p>{speech(clip.text)} <small class="good">{text(say("results_fixed"))}</small></p>{mend}'
        lines = (
            (say("column_label"), f"{speech(row.reference)} {mend}"),
            (names[0], marked(row.reference, before[row.id].hypothesis)),
            (names[1], marked(row.reference, row.hypothesis)),
        )
        texts = "".join(f"<div><span>{text(name)}</span><p>{shown}</p></div>" for name, shown in lines)
        cells.append((listen, f'<div class="texts">{texts}</div>', percent(row.cer)))
    return legend(say) + table(
        ["", say("results_texts"), "CER"],
        cells,
        say("results_worst", shown=min(SHOWN, len(worst)), total=say("count_clips", count=len(worst))),
        numbers=(2,),
    )


def _confusions(pairs: list[tuple[str, str]], say: Say) -> str:
    found = confusions(pairs)[:CONFUSED]
    if not found:
        return notice(say("results_all_right"), "good")
    most = found[0][2]
    bars = "".join(
        f'<li><span class="pair">{_confused(wanted, recognised, say)}</span>'
        f'<i style="width:{100 * count / most:.0f}%"></i><b>{count}</b></li>'
        for wanted, recognised, count in found
    )
    return card(say("results_confusions"), f'<ul class="confusions">{bars}</ul>')


def legend(say: Say) -> str:
    """What the marks in a text mean."""
    marks = (("ins", "legend_wrong"), ("del", "legend_missing"))
    shown = "".join(f'<span class="diff"><{mark}>{text(say(key))}</{mark}></span>' for mark, key in marks)
    return f'<p class="legend muted">{shown}</p>'


def _confused(wanted: str, recognised: str, say: Say) -> str:
    """One kind of error in words."""
    kind = "missing" if not recognised else "added" if not wanted else "for"
    letters = {"wanted": _letter(wanted, say), "got": _letter(recognised, say)}
    return text(say(f"confused_{kind}", **letters))


def _letter(symbol: str, say: Say) -> str:
    return say("confused_space") if symbol == " " else f"“{symbol}”"
