"""Refusals in the shape of OpenAI's errors, which its clients turn into exceptions."""

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from lect.engine.contract.errors import LectError, os_sentence

INVALID, BUSY, BROKEN = "invalid_request_error", "overloaded_error", "server_error"
RETRY_AFTER_S = 5
CLIENT_LEFT = 499


class Refusal(Exception):
    """A request that is not answered as asked: the status, one sentence, and the field that is to blame."""

    def __init__(self, status: int, sentence: str, kind: str = INVALID, *, field: str = "", code: str = "") -> None:
        super().__init__(sentence)
        self.status, self.kind, self.field, self.code = status, kind, field, code

    def response(self) -> JSONResponse:
        """What the client gets."""
        error = {"message": str(self), "type": self.kind, "param": self.field or None, "code": self.code or None}
        headers = {"Retry-After": str(RETRY_AFTER_S)} if self.kind == BUSY else None
        return JSONResponse({"error": error}, self.status, headers)


def refused(request: Request, error: Exception) -> JSONResponse:
    """Any error of a request, as an answer."""
    if isinstance(error, LectError):
        error = Refusal(400, str(error), field="file")
    elif isinstance(error, HTTPException):
        error = Refusal(error.status_code, _sentence(request, error))
    elif isinstance(error, ClientDisconnect):
        error = Refusal(CLIENT_LEFT, "The client has left.")
    elif isinstance(error, OSError):
        error = Refusal(500, os_sentence(error), BROKEN)
    elif not isinstance(error, Refusal):
        error = Refusal(500, "This is a mistake of the server's own: its terminal says more.", BROKEN)
    return error.response()


def _sentence(request: Request, error: HTTPException) -> str:
    """What Starlette refuses by itself."""
    asked = f"{request.method} {request.url.path}"
    if error.status_code != 404:
        return f"{error.detail}: {asked}."
    if request.url.path.startswith("/v1/"):
        return f"There is no {asked} here: use POST /v1/audio/transcriptions, or GET /v1/models."
    return f"There is no {asked} here: the base URL of this server ends in /v1."
