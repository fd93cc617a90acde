"""How clicks reach Python: handlers answer at once or step by step, and an error becomes one sentence on the page."""

import functools
import html
import inspect
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import gradio as gr
from gradio.context import LocalContext

from lect.engine.contract.errors import LectError, os_sentence

from .messages import in_words
from .texts import DEFAULT, Say, words_for, words_in

T = TypeVar("T")

# Clicks on elements of an HTML block that carry data-pick reach its `click` handlers, with that value and with what
# goes along: data-value, or what was typed in the field of the same data-form, where Enter clicks.
PICKS = """
const form = (part) => part.closest("[data-form]");
element.addEventListener("click", (event) => {
  const picked = event.target.closest("[data-pick]");
  if (!picked) return;
  const value = picked.dataset.value ?? form(picked)?.querySelector("input, textarea")?.value ?? "";
  trigger("click", { pick: picked.dataset.pick, value });
});
element.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("[data-form] input")) {
    event.preventDefault();
    form(event.target).querySelector("[data-pick]").click();
  }
});
"""


class Pick(str):
    """What was clicked in an HTML block (data-pick), and what goes along."""

    value: str = ""


def html_block(value: str = "", *, picks: bool = False, **options: Any) -> gr.HTML:
    """Our own HTML, in our own styles; picks: whether clicks in it reach Python (`bind_pick`)."""
    return gr.HTML(value, apply_default_css=False, js_on_load=PICKS if picks else None, **options)


def bind(
    trigger: Callable[..., Any],
    function: Callable[..., Any],
    inputs: Sequence[Any] = (),
    outputs: Sequence[Any] = (),
    **options: Any,
) -> Any:
    """Calls `function` on an event. No handler waits for another but `in_turn`, and none is offered as an API."""
    fixed = {"api_visibility": "private", "concurrency_limit": None}
    hidden = {} if "show_progress" in options else _without_progress([*inputs, *outputs])
    return trigger(answering(function), list(inputs), list(outputs), **fixed | hidden | options)


def _without_progress(used: list[Any]) -> dict[str, Any]:
    """Options of an event whose progress is not shown. Hidden or not, at every event Gradio's page notifies each
    component that any event so far has shown progress on (25 ms a click); a State has no place on the page."""
    nowhere = next((one for one in used if isinstance(one, gr.State)), None)
    return {"show_progress": "hidden", "show_progress_on": nowhere}


def in_turn(step: str) -> dict[str, Any]:
    """Options of `bind` for handlers that fill one view: they run in the order of their events, for an older answer
    that comes late would stay on the page in place of the newer one."""
    return {"concurrency_id": step, "concurrency_limit": 1}


def answering(function: Callable[..., Any]) -> Callable[..., Any]:
    """The handler, whose errors that a person can mend are shown; it may be a generator."""
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def steps(*args: Any) -> Iterator[Any]:
            try:
                yield from function(*args)
            except (LectError, OSError) as error:
                raise shown(error, _say(args)) from error

        return steps

    @functools.wraps(function)
    def once(*args: Any) -> Any:
        try:
            return function(*args)
        except (LectError, OSError) as error:
            raise shown(error, _say(args)) from error

    return once


def shown(error: LectError | OSError, say: Say) -> gr.Error:
    """An error as the page shows it. Names of files may hold anything, so it is never taken for HTML."""
    return gr.Error(html.escape(sentence_of(error, say)), duration=20, print_exception=False)


def sentence_of(error: LectError | OSError, say: Say) -> str:
    """What an error says, in the page's words."""
    return in_words(os_sentence(error) if isinstance(error, OSError) else str(error), say)


def _say(args: tuple[Any, ...]) -> Say:
    given = next((each for each in args if isinstance(each, gr.Request)), None)
    request = given or LocalContext.request.get(None)
    return words_for(request) if request else words_in(DEFAULT)


def bind_pick(
    block: gr.HTML,
    function: Callable[..., Any],
    inputs: Sequence[Any] = (),
    outputs: Sequence[Any] = (),
    **options: Any,
) -> Any:
    """Calls `function(pick, *inputs, request)` when an element with data-pick is clicked in an HTML block.

    It may be a generator.
    """

    def handler(event: gr.EventData, request: gr.Request, *values: Any) -> Any:
        picked = Pick(event._data["pick"])
        picked.value = str(event._data.get("value", ""))
        return function(picked, *values, request)

    def steps(event: gr.EventData, request: gr.Request, *values: Any) -> Iterator[Any]:
        yield from handler(event, request, *values)

    return bind(block.click, steps if inspect.isgeneratorfunction(function) else handler, inputs, outputs, **options)


def progressing(work: Callable[[Callable[[Any], None]], T]) -> Iterator[tuple[Any, T | None]]:
    """Runs `work(report)` to its end even if the window is closed; yields (report, None)…, then (None, result)."""
    reports: queue.SimpleQueue[Any] = queue.SimpleQueue()
    outcome: dict[str, Any] = {}
    ended = object()

    def run() -> None:
        try:
            outcome["result"] = work(reports.put)
        except Exception as error:  # raised again below, in the handler
            outcome["error"] = error
        reports.put(ended)

    threading.Thread(target=run, daemon=False).start()
    while (report := reports.get()) is not ended:
        yield report, None
    if "error" in outcome:
        raise outcome["error"]
    yield None, outcome["result"]
