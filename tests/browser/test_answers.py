"""What the server answers reaches the page, in the order of the clicks."""

import json
from typing import Any

import pytest

from lect.app.page.build import build_page
from lect.app.page.scratch import Scratch
from tests.browser.conftest import Window


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


def test_an_event_accepted_while_the_stream_ends_gets_its_answer(window: Window) -> None:
    page = window()
    streams = [[{"msg": "close_stream"}], [completed("late"), {"msg": "close_stream"}]]

    def stream(route: Any) -> None:
        body = "".join(f"data: {json.dumps(message)}\n\n" for message in streams.pop(0))
        route.fulfill(content_type="text/event-stream", body=body)

    page.route("**/other/queue/data", stream)
    page.route("**/other/queue/join", lambda route: route.fulfill(json={"event_id": "late"}))
    answers = page.evaluate(
        """async () => {
          await fetch("/other/queue/join", { method: "POST", body: "{}" });
          return (await fetch("/other/queue/data")).text();
        }"""
    )
    assert [json.loads(part.removeprefix("data: ")) for part in answers.split("\n\n") if part] == [
        completed("late"),
        {"msg": "close_stream"},
    ]
    assert not streams


def completed(event: str) -> dict[str, str]:
    return {"msg": "process_completed", "event_id": event}
