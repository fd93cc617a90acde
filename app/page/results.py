"""How good it became: before and after, clip by clip, and which letters are taken for which; labels are mended here."""

from typing import Any

import gradio as gr

from app.output import duration, percent
from app.page.diff import confusions, marked
from app.page.events import bind, bind_pick, html_block
from app.page.markup import card, empty, notice, play, speech, table, text
from app.page.shared import Page, opened
from app.page.texts import Say, label, words_for
from engine.clips import Clip, Run
from engine.errors import UsageError
from engine.store import Project

SPLITS = ("test", "dev")
SHOWN = 40  # clips
CONFUSED = 14
KIND = {"better": "good", "worse": "bad", "mixed": "warn", "unclear": "warn"}
ID_LENGTH = 16  # of a clip's hash, as scores name clips


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_results"), id="results") as tab:
        fixing = gr.State(0)
        with gr.Row(elem_classes="filters"):
            run = gr.Dropdown([], label=label("column_run"), elem_id="result-run", min_width=160)
            split = gr.Dropdown(
                [(label(f"split_{name}"), name) for name in SPLITS],
                value="test",
                label=label("column_split"),
                elem_id="result-split",
                min_width=160,
            )
        summary = html_block(elem_id="summary", picks=True)
        with gr.Column(visible=False, elem_id="fix") as editor:
            with gr.Row(elem_classes="inline"):
                words = gr.Textbox("", label=label("results_fix"), elem_id="fix-label", elem_classes="speech", scale=4)
                save = gr.Button(label("save"), variant="primary", elem_id="fix-save", scale=1, min_width=90)
        rows = html_block(elem_id="result-rows", picks=True)

    view = [summary, rows, editor]
    bind(tab.select, show, [page.project, run, split], [run, *view])
    bind(run.input, compare, [page.project, run, split], view)
    bind(split.input, compare, [page.project, run, split], view)
    bind_pick(rows, choose, [page.project], [editor, words, fixing])
    bind(save.click, fix, [page.project, fixing, words], [editor])
    page.leads(summary)


def show(folder: str, run_id: str | None, split: str, request: gr.Request) -> tuple[Any, ...]:
    """The step as it is when it is opened: the run that was shown, else the latest that is scored."""
    say = words_for(request)
    if not folder:
        return gr.Dropdown([]), empty(say("no_project"), say("tab_project"), "project"), "", gr.Column(visible=False)
    runs = [run.id for run in scored(opened(folder))]
    if not runs:
        return gr.Dropdown([]), empty(say("results_none"), say("tab_train"), "train"), "", gr.Column(visible=False)
    chosen = run_id if run_id in runs else runs[-1]
    return gr.Dropdown(runs[::-1], value=chosen), *compare(folder, chosen, split, request)


def scored(project: Project) -> list[Run]:
    """The runs that have scores on some split."""
    from app.scores import has_scores

    return [run for run in project.runs() if any(has_scores(run.folder, split) for split in SPLITS)]


def compare(folder: str, run_id: str, split: str, request: gr.Request) -> tuple[Any, ...]:
    """(summary, rows, editor) of one run on one split."""
    from app.scores import judged, stored

    project, say = opened(folder), words_for(request)
    base, adapted = stored(project.run(run_id).folder, run_id, split)
    comparison, _ = judged(base, adapted)
    on = adapted.conditions
    told = say("outcome_" + comparison.outcome)
    conditions = say(
        "results_conditions",
        clips=on.clips,
        length=duration(on.seconds),
        speakers=on.speakers or "?",
        rules=adapted.normalisation,
        drawn=say("drawn_" + adapted.resampled),
    )
    bars = _rate("cer", say("results_cer"), base, adapted, say) + _rate("wer", say("results_wer"), base, adapted, say)
    summary = (
        notice(told, KIND[comparison.outcome])
        + f'<div class="rates">{bars}</div><p class="muted">{text(conditions)}</p>'
    )
    pairs = [(row.reference, row.hypothesis) for row in adapted.rows]
    listed = _rows(project, base, adapted, say) + _confusions(pairs, say)
    return card(say("results_title", number=run_id), summary), listed, gr.Column(visible=False)


def choose(value: str, folder: str, request: gr.Request) -> tuple[Any, ...]:
    """Opens a clip's label to be corrected."""
    clip = _by_hash(opened(folder)).get(value)
    if clip is None:
        raise UsageError("That clip is no longer in the project.")
    return gr.Column(visible=True), clip.text, clip.id


def fix(folder: str, clip_id: int, words: str, request: gr.Request) -> Any:
    """Saves a corrected label; the scores are as they were measured."""
    opened(folder).relabel(clip_id, words.strip())
    gr.Info(words_for(request)("results_fixed"))
    return gr.Column(visible=False)


def _by_hash(project: Project) -> dict[str, Clip]:
    return {clip.sha256[:ID_LENGTH]: clip for clip in project.clips()}


def _rate(kind: str, name: str, base: Any, adapted: Any, say: Say) -> str:
    rows = []
    for key, scores in (("before", base), ("after", adapted)):
        rate, interval = getattr(scores, kind), getattr(scores, f"{kind}_interval")
        range_ = say("results_interval", low=percent(interval[0]), high=percent(interval[1])) if interval else ""
        bar = f'<i style="width:{min(100, 100 * rate):.1f}%"></i>' + (_whisker(interval) if interval else "")
        figures = f'<b><bdi dir="ltr">{percent(rate)}</bdi></b><small>{text(range_)}</small>'
        rows.append(
            f'<div class="rate {key}"><span>{text(say(key))}</span><div class="track">{bar}</div>{figures}</div>'
        )
    return f'<div class="rate-group"><h4>{text(name)}</h4>{"".join(rows)}</div>'


def _whisker(interval: tuple[float, float]) -> str:
    low, high = (min(100.0, 100 * end) for end in interval)
    return f'<em style="inset-inline-start:{low:.1f}%;width:{max(0.4, high - low):.1f}%"></em>'


def _rows(project: Project, base: Any, adapted: Any, say: Say) -> str:
    clips, before = _by_hash(project), {row.id: row for row in base.rows}
    worst = sorted(adapted.rows, key=lambda row: (-row.cer, row.id))
    cells = []
    for row in worst[:SHOWN]:
        clip = clips.get(row.id)
        buttons = play(project.folder, clip, say("play")) if clip else ""
        fix_button = (
            f'<button class="link" data-pick="{row.id}">{text(say("results_fix_this"))}</button>' if clip else ""
        )
        texts = "".join(
            f"<div><span>{text(say(key))}</span>{shown}</div>"
            for key, shown in (
                ("column_label", speech(row.reference)),
                ("before", marked(row.reference, before[row.id].hypothesis)),
                ("after", marked(row.reference, row.hypothesis)),
            )
        )
        cells.append((buttons, f'<div class="texts">{texts}</div>', percent(row.cer), fix_button))
    return table(
        ["", say("results_texts"), "CER", ""],
        cells,
        say("results_worst", shown=min(SHOWN, len(worst)), total=len(worst)),
        numbers=(2,),
    )


def _confusions(pairs: list[tuple[str, str]], say: Say) -> str:
    found = confusions(pairs)[:CONFUSED]
    if not found:
        return notice(say("results_all_right"), "good")
    most = found[0][2]
    bars = "".join(
        f'<li><span class="pair">{_letter(said)} → {_letter(heard)}</span>'
        f'<i style="width:{100 * count / most:.0f}%"></i><b>{count}</b></li>'
        for said, heard, count in found
    )
    return card(say("results_confusions"), f'<ul class="confusions">{bars}</ul>')


def _letter(symbol: str) -> str:
    return speech({"": "∅", " ": "␣"}.get(symbol, symbol))
