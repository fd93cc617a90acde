"""The addresses of the editor: a draft, its sound, its files, and the actions on it, each a small JSON object.

Who may reach them is settled before (`access`). A key and a number lead to a draft; no address has a path.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from lect.engine.contract.errors import LectError, StoreError, os_sentence
from lect.engine.data.store import Project
from lect.exports.formats import EXTENSIONS, WRITERS

from .. import recent
from ..texts import language_for, words_in
from ..transcripts import zipped
from . import teaching
from .actions import action_of
from .draft import Draft, part_json, transcript_of
from .place import NO_PROJECT, OutdatedError, Place, place_at

AT = "/project/{key}/transcript/{number}"


def add_routes(app: FastAPI) -> None:
    """All of them; plain functions, so that none keeps another waiting."""

    @app.exception_handler(LectError)
    def refused(request: Request, error: LectError) -> Response:
        status = {OutdatedError: 409, StoreError: 404}.get(type(error), 422)
        return JSONResponse({"error": str(error)}, status)

    @app.exception_handler(OSError)
    def failed(request: Request, error: OSError) -> Response:
        return JSONResponse({"error": os_sentence(error)}, 507)

    @app.get(AT)
    def draft(key: str, number: str) -> Response:
        return JSONResponse(_whole(place_at(key).read(number), key))

    @app.get(AT + "/sound")
    def sound(key: str, number: str) -> FileResponse:
        return _file(place_at(key).sound(number), "audio/flac")

    @app.get(AT + "/peaks")
    def peaks(key: str, number: str) -> FileResponse:
        return _file(place_at(key).peaks(number), "application/octet-stream")

    @app.get(AT + "/file/{kind}")
    def file(key: str, number: str, kind: str) -> Response:
        if kind not in WRITERS:
            raise HTTPException(404)
        name, content = _written(place_at(key), number, kind)
        return _download(content.encode(), Path(name).stem + EXTENSIONS[kind])

    @app.get("/project/{key}/transcripts/{numbers}/{kind}")
    def files(key: str, numbers: str, kind: str) -> Response:
        if kind not in WRITERS:
            raise HTTPException(404)
        place = place_at(key)
        written = [_written(place, number, kind) for number in numbers.split("-")]
        return _download(zipped(kind, written), f"transcripts-{kind}.zip")

    @app.post(AT)
    def act(key: str, number: str, asked: dict[str, Any]) -> Response:
        version = asked.get("version")
        before, after = place_at(key).act(number, version if isinstance(version, int) else -1, action_of(asked))
        return JSONResponse(_changed(before, after))

    @app.post(AT + "/use")
    def use(key: str, number: str, asked: dict[str, Any], request: Request) -> Response:
        say = words_in(language_for(request.headers))
        taken = teaching.use(_project(key), place_at(key), number, str(asked.get("consent", "")))
        return JSONResponse({"html": teaching.told(taken, say), "clips": len(taken.clips)})

    @app.post("/project/{key}/train-again")
    def train_again(key: str) -> Response:
        return JSONResponse({"run": teaching.train_again(_project(key))})


def _whole(draft: Draft, key: str) -> dict[str, Any]:
    speakers = [speaker.name for speaker in _project(key).speakers()] if key != NO_PROJECT else []
    facts = {"file": draft.file, "seconds": draft.seconds, "speaker": draft.speaker, "speakers": speakers}
    return {**facts, **_state(draft), "parts": [part_json(part) for part in draft.parts]}


def _changed(before: Draft, after: Draft) -> dict[str, Any]:
    """The stretch of parts that differs."""
    old, new, same = before.parts, after.parts, 0
    while same < min(len(old), len(new)) and old[same] is new[same]:
        same += 1
    behind = 0
    while behind < min(len(old), len(new)) - same and old[-1 - behind] is new[-1 - behind]:
        behind += 1
    parts = [part_json(part) for part in new[same : len(new) - behind]]
    return {**_state(after), "at": same, "removed": len(old) - behind - same, "parts": parts}


def _state(draft: Draft) -> dict[str, Any]:
    return {"version": draft.version, "undo": bool(draft.done), "redo": bool(draft.undone)}


def _project(key: str) -> Project:
    if project := recent.by_key(key):
        return project
    raise StoreError("This needs a project: make or open one in the first step.")


def _file(path: Path, kind: str) -> FileResponse:
    if not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, media_type=kind)


def _written(place: Place, number: str, kind: str) -> tuple[str, str]:
    """(the recording's name, what a writer makes of its draft)."""
    draft = place.read(number)
    # In the draft's own folder, where no document of another program lies beside it that would be added to.
    media = place.sound(number).with_name(Path(draft.file).name)
    return draft.file, WRITERS[kind](transcript_of(draft), media)


def _download(content: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}"}
    return Response(content, media_type="application/octet-stream", headers=headers)
