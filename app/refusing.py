"""How a server refuses: early, and in words that name what was sent as its sender does. It does not know why."""

import asyncio
import contextlib
import os
from pathlib import Path

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

DRAIN_S = 5.0
DRAIN_BYTES = 64_000_000


def without(folder: Path, sentence: str) -> str:
    """A sentence on files in a temporary folder, as one on files that were sent."""
    return sentence.replace(f"{folder}{os.sep}", "").replace(str(folder), "What was sent")


async def answer_early(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends the whole answer at once, then reads on for a moment before the connection is given up: many clients look
    for an answer only when all is sent, and would see a broken connection in its place."""
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            await _drain(receive)
    await send({"type": "http.response.body", "body": b""})


async def _drain(receive: Receive) -> None:
    left = DRAIN_BYTES
    message: Message = {}
    while left > 0 and message.get("more_body", True) and message.get("type") != "http.disconnect":
        message = await receive()
        left -= len(message.get("body", b""))
