"""Who may reach the page, from where, for what, and how much they may send; and what browsers may do with its answers.

It does not know what is served.
"""

import base64
import hmac
import re
import secrets
import shutil
from collections.abc import MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..addresses import is_loopback
from ..refusing import answer_early

USER = "lect"
MAX_UPLOAD_BYTES = 2_000_000_000  # of a file
MAX_REQUEST_BYTES = 20_000_000_000  # of all files that are chosen at once
KEPT_FREE_BYTES = 1_000_000_000  # of the disk, for what is recorded meanwhile
MAX_EDIT_BYTES = 200_000  # of one action on a transcript
UPLOAD, PROJECT = "/gradio_api/upload", "/project/"
# All that the page's own windows ask for. Gradio answers more: it would run handlers outside the queue, fetch addresses
# for whoever asks, convert videos.
SERVED = re.compile(
    r"/(|words\.js|(page|project|assets|static|svelte)/.*|config/?|theme\.css|favicon\.ico|manifest\.json|robots\.txt"
    r"|gradio_api/(queue/(join|data)|upload|upload_progress|cancel|reset|startup-events|info|theme\.css"
    r"|heartbeat/[^/]+|file=(?!https?:).*)/?)",
    re.IGNORECASE,
)
# Gradio's page makes functions of text (its own, and the handlers that run in the browser) and styles in place.
POLICY = {
    "default-src": "'none'",
    "script-src": "'self' blob: 'unsafe-inline' 'unsafe-eval'",  # blob: the recorder's audio worklet
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "manifest-src": "'self'",
    "base-uri": "'self'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in POLICY.items()),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


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
    """An ASGI middleware in front of all that is served.

    A window that was opened here has a cookie, and only such windows upload and edit: nobody else can fill the disk.
    """

    def __init__(self, app: ASGIApp, password: str | None, uploads: Path) -> None:
        token = base64.b64encode(f"{USER}:{password}".encode())
        self._app, self._uploads = app, uploads
        self._expected = None if password is None else b"Basic " + token
        self._session = secrets.token_urlsafe()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, handed on or refused."""
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if refusal := self._refusal(scope, Headers(scope=scope)):
            return await answer_early(refusal, scope, receive, self._protected(scope, send))
        return await self._app(scope, receive, self._protected(scope, send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if self._expected and not hmac.compare_digest(headers.get("authorization", "").encode(), self._expected):
            asks = {"WWW-Authenticate": f'Basic realm="Lect; the user is {USER}"'}
            return PlainTextResponse("The password is needed.", 401, asks)
        if from_elsewhere(scope, headers):
            return PlainTextResponse("Lect answers its own page only, not those of other addresses.", 403)
        if not SERVED.fullmatch(scope["path"]):
            return PlainTextResponse("There is nothing here.", 404)
        if scope["path"].rstrip("/").lower() == UPLOAD:
            return self._session_refusal(scope, headers) or self._upload_refusal(headers)
        if scope["method"] == "POST" and scope["path"].startswith(PROJECT):
            return self._session_refusal(scope, headers) or _edit_refusal(headers)
        return None

    def _session_refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if hmac.compare_digest(_cookie(headers, _cookie_name(scope)).encode(), self._session.encode()):
            return None
        return PlainTextResponse("This window is older than the server: reload the page.", 403)

    def _upload_refusal(self, headers: Headers) -> Response | None:
        if not (length := headers.get("content-length", "")).isdecimal():
            return PlainTextResponse("The upload does not say how large it is.", 411)
        if int(length) > MAX_REQUEST_BYTES:
            most = f"{MAX_REQUEST_BYTES / 1e9:.0f} GB"
            return PlainTextResponse(f"These files are larger than {most}: choose fewer at once.", 413)
        if int(length) > shutil.disk_usage(self._uploads).free - KEPT_FREE_BYTES:
            return PlainTextResponse("The server's disk is too full for this: free some space, then try again.", 507)
        return None

    def _protected(self, scope: Scope, send: Send) -> Send:
        """`send`, which tells browsers what they may do with the answer, and gives windows their cookie."""

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if scope["path"] == "/" and message["status"] == 200:
                    cookie = f"{_cookie_name(scope)}={self._session}; Path=/; HttpOnly; SameSite=Strict"
                    headers.append("Set-Cookie", cookie)
            await send(message)

        return protected


def _edit_refusal(headers: Headers) -> Response | None:
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) <= MAX_EDIT_BYTES:
        return None
    return PlainTextResponse("This is no edit of a transcript.", 413)


def from_elsewhere(scope: MutableMapping[str, Any], headers: Headers) -> bool:
    """Whether a page of another origin sent this; another port of this machine is another origin. Programs send none of
    these headers. A link that opens the page in a window of its own is no harm."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        return True
    opens = scope["path"] == "/" and headers.get("sec-fetch-dest") == "document" and scope.get("method") == "GET"
    return site not in ("same-origin", "none") and not opens


def _cookie_name(scope: Scope) -> str:
    """Cookies do not tell ports apart, and two pages may run."""
    return f"lect-{(scope.get('server') or ('', 0))[1]}"


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""
