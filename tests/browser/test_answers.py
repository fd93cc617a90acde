"""What the server answers reaches the page, in the order of the clicks."""

import json
from typing import Any

import pytest

from lect.app.page.build import build_page
from lect.app.page.scratch import Scratch
from lect.engine.contract.files import ASSETS
from tests.browser.conftest import Server, Window, until


@pytest.mark.parametrize("view", ["prompt", "clips", "clip", "summary", "live", "runs"])
def test_handlers_that_fill_one_view_run_in_turn(view: str) -> None:
    with Scratch() as scratch:
        blocks = build_page(True, scratch)
    writers = [
        fn for fn in blocks.fns.values() if fn.fn and any(getattr(each, "elem_id", None) == view for each in fn.outputs)
    ]
    assert len(writers) > 1
    assert len({fn.concurrency_id for fn in writers}) == 1
    assert {fn.concurrency_limit for fn in writers} == {1}


def test_an_event_accepted_while_the_stream_ends_gets_its_answer(window: Window, server: Server) -> None:
    page = alone(window, server)
    streams = [[{"msg": "close_stream"}], [completed("late"), {"msg": "close_stream"}]]
    page.route("**/other/queue/data", lambda route: answer(route, streams.pop(0)))
    page.route("**/other/queue/join", lambda route: route.fulfill(json={"event_id": "late"}))
    answers = page.evaluate(
        """async () => {
          await fetch("/other/queue/join", { method: "POST", body: "{}" });
          return (await fetch("/other/queue/data")).text();
        }"""
    )
    assert messages(answers) == [completed("late"), {"msg": "close_stream"}]
    assert not streams


def test_a_stream_ends_after_the_events_that_are_under_way(window: Window, server: Server) -> None:
    page, held = alone(window, server), list[Any]()
    streams = [[{"msg": "close_stream"}], [completed("late"), {"msg": "close_stream"}]]

    page.route("**/other/queue/data", lambda route: answer(route, streams.pop(0)))
    page.route("**/other/queue/join", lambda route: held.append(route))
    page.evaluate(
        """() => {
          fetch("/other/queue/join", { method: "POST", body: "{}" });
          window.answers = fetch("/other/queue/data").then((stream) => stream.text());
        }"""
    )
    until(page, lambda: len(streams) == 1 and bool(held))
    page.wait_for_timeout(200)  # the end has been read by now, and the event is accepted after it
    held.pop().fulfill(json={"event_id": "late"})
    answers = page.evaluate("() => window.answers")
    assert messages(answers) == [completed("late"), {"msg": "close_stream"}]
    assert not streams


def alone(window: Window, server: Server) -> Any:
    """Our script in a page where Gradio's client asks for nothing."""
    page = window()
    page.goto(f"{server.url}/page/icon.svg")
    page.evaluate(f"() => {{{(ASSETS / 'page' / 'events.js').read_text()}}}")
    return page


def answer(route: Any, said: list[dict[str, str]]) -> None:
    route.fulfill(
        content_type="text/event-stream", body="".join(f"data: {json.dumps(message)}\n\n" for message in said)
    )


def messages(stream: str) -> list[dict[str, str]]:
    return [json.loads(part.removeprefix("data: ")) for part in stream.split("\n\n") if part]


def completed(event: str) -> dict[str, str]:
    return {"msg": "process_completed", "event_id": event}
