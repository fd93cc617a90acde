"""Who may ask, and how much they may send: decided before a request's body is kept anywhere."""

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..addresses import is_loopback
from .errors import Refusal


class Guard:
    """An ASGI middleware. Without a token only this machine's own programs are let in, and no web page of another's."""

    def __init__(self, app: ASGIApp, token: str | None, max_bytes: int) -> None:
        self._app, self._token, self._max_bytes = app, token, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands the request on, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if refusal := self._refusal(Headers(scope=scope)):
            # A client that is still sending when the connection closes would not see why.
            await self._drain(receive)
            await refusal.response()(scope, receive, send)
        else:
            await self._app(scope, self._counted(receive), send)

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

    def _counted(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_bytes:
                raise self._too_large()
            return message

        return counted

    async def _drain(self, receive: Receive) -> None:
        left = self._max_bytes
        while left > 0:
            message = await receive()
            left -= len(message.get("body", b""))
            if not message.get("more_body"):
                return


def _is_here(address: str) -> bool:
    try:
        return is_loopback(urlsplit(address).hostname or "")
    except ValueError:
        return False
