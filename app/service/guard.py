"""Who may ask, how much they may send, and how slowly: decided before a request's body is kept anywhere."""

import asyncio
import hmac
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..addresses import is_loopback
from ..refusing import answer_early
from .errors import Refusal

SLOWEST_BYTES_S = 4000  # of an upload as a whole; GSM, twenty years ago, was faster


class Guard:
    """An ASGI middleware. Without a token only this machine's own programs are let in, and no web page of another's."""

    def __init__(self, app: ASGIApp, token: str | None, max_bytes: int, idle_s: float) -> None:
        self._app, self._token, self._max_bytes, self._idle_s = app, token, max_bytes, idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands the request on, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if refusal := self._refusal(Headers(scope=scope)):
            await answer_early(refusal.response(), scope, receive, send)
        else:
            await self._app(scope, self._watched(receive), send)

    def _refusal(self, headers: Headers) -> Refusal | None:
        if self._token is not None:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), self._token.encode()):
                return Refusal(401, "The API key is missing or wrong: give the server's own.", code="invalid_api_key")
        # A page that a browser opened from elsewhere can reach this address, by its own name or by one that it bends.
        elif not all(map(_is_here, (f"//{headers.get('host', '')}", headers.get("origin", "//localhost")))):
            return Refusal(403, "This server answers programs of its own machine only: give it an API key.")
        if int(headers.get("content-length", "0")) > self._max_bytes:
            return self._too_large()
        return None

    def _too_large(self) -> Refusal:
        limit = self._max_bytes / 1e6
        return Refusal(413, f"The recording is larger than {limit:.0f} MB: compress it, or cut it.", field="file")

    def _watched(self, receive: Receive) -> Receive:
        """`receive`, while the body comes, within its bounds of size and time."""
        seen, whole, started = 0, False, time.monotonic()

        async def watched() -> Message:
            nonlocal seen, whole
            if whole:
                return await receive()
            left_s = started + self._idle_s + seen / SLOWEST_BYTES_S - time.monotonic()
            try:
                message = await asyncio.wait_for(receive(), min(self._idle_s, max(0, left_s)))
            except TimeoutError as error:
                sentence = "The recording did not arrive: send it again, without pauses."
                raise Refusal(408, sentence, field="file") from error
            seen, whole = seen + len(message.get("body", b"")), not message.get("more_body", False)
            if seen > self._max_bytes:
                raise self._too_large()
            return message

        return watched


def _is_here(address: str) -> bool:
    try:
        return is_loopback(urlsplit(address).hostname or "")
    except ValueError:
        return False
