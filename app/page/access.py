"""Who may reach the page, and with which password. It does not know what is served."""

import base64
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from fastapi.responses import Response

from ..addresses import is_loopback

# Gradio would fetch addresses elsewhere for whoever asks.
OUTWARD = ("/gradio_api/file=http:", "/gradio_api/file=https:", "/gradio_api/file/http", "/gradio_api/proxy=")
USER = "lect"

Asgi = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]


@dataclass(frozen=True)
class ServerOptions:
    """Who may reach the page."""

    host: str = "127.0.0.1"
    password: str | None = None  # needed for any host but this machine

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(self.host)


class Guard:
    """Asks for the password, where there is one, and refuses to fetch from elsewhere."""

    def __init__(self, app: Asgi, password: str | None):
        self.app = app
        token = base64.b64encode(f"{USER}:{password}".encode())
        self.expected = None if password is None else b"Basic " + token

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        given = dict(scope["headers"]).get(b"authorization", b"")
        if self.expected is not None and not hmac.compare_digest(given, self.expected):
            asks = {"WWW-Authenticate": f'Basic realm="Lect; the user is {USER}"'}
            return await Response("The password is needed.", 401, asks)(scope, receive, send)
        if scope["path"].lower().startswith(OUTWARD):
            return await Response("Nothing is fetched from elsewhere.", 403)(scope, receive, send)
        return await self.app(scope, receive, send)
