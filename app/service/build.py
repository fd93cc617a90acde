"""The application: its addresses, and one transcription after another."""

import asyncio
import contextlib
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lect.engine.contract.errors import LectError, os_sentence
from lect.exports.runtime import Runtime
from lect.exports.transcriber import SpeechOptions
from lect.exports.transcript import Transcript

from ..refusing import without
from .answers import FORMATS, GRANULARITIES, answer
from .errors import BROKEN, BUSY, CLIENT_LEFT, Refusal, refused
from .guard import Guard

STARTED = int(time.time())  # what the list of models gives as the time they were made
ANY_MODEL = "whisper-1"  # what clients ask for that know no other name: the first
POLL_S = 0.5  # how often a transcription looks whether its client is still there
IDLE_S = 20.0
NAME_BYTES = 200  # most file systems allow 255


@dataclass(frozen=True)
class Limits:
    """What the service takes on."""

    waiting: int  # recordings at most that wait while one is transcribed
    upload_bytes: int  # of a request
    token: str | None  # which every request must bear; None: none, and only this machine's programs
    idle_s: float = IDLE_S  # of a client that sends nothing more of its request


@dataclass(frozen=True)
class Wanted:
    """One request."""

    model: Runtime
    upload: UploadFile
    form: str
    granularities: set[str]


def build(models: Mapping[str, Runtime], speech: SpeechOptions, limits: Limits) -> Starlette:
    """models: by the names that clients ask for; the first also answers to ANY_MODEL."""
    service = _Service(models, speech, limits)
    return Starlette(
        routes=[
            Route("/v1/audio/transcriptions", service.transcriptions, methods=["POST"]),
            Route("/v1/models", service.list_models),
            Route("/v1/models/{name}", service.one_model),
        ],
        middleware=[Middleware(Guard, token=limits.token, max_bytes=limits.upload_bytes, idle_s=limits.idle_s)],
        exception_handlers={
            kind: refused for kind in (Refusal, LectError, OSError, HTTPException, ClientDisconnect, Exception)
        },
    )


class _Service:
    def __init__(self, models: Mapping[str, Runtime], speech: SpeechOptions, limits: Limits) -> None:
        self._models, self._speech, self._limits = dict(models), speech, limits
        self._here, self._turn = 0, asyncio.Lock()  # which keeps the order of arrival

    async def list_models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_model(name) for name in self._models]})

    async def one_model(self, request: Request) -> Response:
        self._model(name := request.path_params["name"])
        return JSONResponse(_model(name))

    async def transcriptions(self, request: Request) -> Response:
        async with request.form(max_files=1, max_fields=50) as form:
            wanted = self._wanted(form)
            # A place is for what has arrived: uploads that stand still must not keep others out.
            with self._place(), _place_for(wanted.upload) as path:
                await asyncio.to_thread(_keep, wanted.upload, path)
                async with self._turn:
                    transcript = await self._transcribed(request, wanted.model, path)
        spoken = transcript.language.code if transcript.language else wanted.model.language
        return answer(transcript, wanted.form, wanted.granularities, spoken)

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if self._here > self._limits.waiting:
            raise Refusal(503, "Too many recordings are waiting already: try again later.", BUSY)
        self._here += 1
        try:
            yield
        finally:
            self._here -= 1

    def _wanted(self, form: FormData) -> Wanted:
        upload, kind = form.get("file"), form.get("response_format") or "json"
        if not isinstance(upload, UploadFile):
            raise Refusal(400, "There is no recording: send it as the field `file`.", field="file")
        if kind not in FORMATS:
            raise Refusal(400, f"This form of answer is not known: use {', '.join(FORMATS)}.", field="response_format")
        if form.get("stream") in ("true", "True", "1"):
            raise Refusal(400, "Answers are not streamed here: leave `stream` out.", field="stream")
        granularities = _granularities(form)
        if granularities - set(GRANULARITIES) or (granularities and kind != "verbose_json"):
            sentence = f"Granularities are {' and '.join(GRANULARITIES)}, and go with verbose_json."
            raise Refusal(400, sentence, field="timestamp_granularities")
        model = _asked(self._model(str(form.get("model", ""))), form)
        return Wanted(model, upload, str(kind), granularities or {"segment"})

    def _model(self, name: str) -> Runtime:
        if name in self._models:
            return self._models[name]
        if name in ("", ANY_MODEL):
            return next(iter(self._models.values()))
        sentence = f"There is no model {name!r} here: use {', '.join(self._models)}."
        raise Refusal(404, sentence, field="model", code="model_not_found")

    async def _transcribed(self, request: Request, runtime: Runtime, path: Path) -> Transcript:
        stop = threading.Event()
        if await request.is_disconnected():
            raise Refusal(CLIENT_LEFT, "The client has left.")
        work = asyncio.create_task(asyncio.to_thread(_transcribe, runtime, path, self._speech, stop))
        try:
            while not (await asyncio.wait({work}, timeout=POLL_S))[0]:
                if await request.is_disconnected():
                    stop.set()
            return work.result()
        finally:
            stop.set()


def _granularities(form: FormData) -> set[str]:
    """By the name that OpenAI's client gives the field, or as curl users write it."""
    given = [*form.getlist("timestamp_granularities[]"), *form.getlist("timestamp_granularities")]
    return {name.strip() for each in given for name in str(each).split(",")}


def _asked(model: Runtime, form: FormData) -> Runtime:
    """For this request alone: in its language and behind its prompt, where the model takes them."""
    language, prompt = str(form.get("language") or ""), str(form.get("prompt") or "")
    asked = model.for_recording()
    if language and model.whisper and model.vocabulary.languages():
        asked.set_language(language, model.whisper.task)
    if prompt and model.whisper:
        asked.set_prompt(prompt)
    return asked


def _transcribe(runtime: Runtime, path: Path, speech: SpeechOptions, stop: threading.Event) -> Transcript:
    started, found = time.perf_counter(), []
    for each in runtime.listen(path, speech):
        if stop.is_set():
            raise Refusal(CLIENT_LEFT, "The client has left.")
        found.append(each)
    return runtime.gathered(found, started, speech)


def _keep(upload: UploadFile, path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(upload.file, file)


@contextlib.contextmanager
def _place_for(upload: UploadFile) -> Iterator[Path]:
    """A path for the recording, of the name that it came with; errors give that name alone."""
    with tempfile.TemporaryDirectory(prefix="lect-") as folder:
        try:
            yield Path(folder, file_name(upload.filename or ""))
        except LectError as error:
            raise Refusal(400, without(Path(folder), str(error)), field="file") from error
        except OSError as error:
            raise Refusal(500, without(Path(folder), os_sentence(error)), BROKEN) from error


def file_name(given: str) -> str:
    """A stranger's name for a file as one that every system takes, in no folder."""
    stem, dot, suffix = re.sub(r"[^\w .()'-]", "_", re.split(r"[/\\]", given)[-1]).rpartition(".")
    ending = f"{dot}{suffix}".encode()[:NAME_BYTES]
    start = stem.encode()[: NAME_BYTES - len(ending)].decode(errors="ignore")
    return (start + ending.decode(errors="ignore")).strip(" .") or "recording"


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": STARTED, "owned_by": "lect"}
