"""The page's server: what is served, to whom, and what is not.

Only the files of projects that were opened here leave, by number; the machine's other files and addresses elsewhere
are not reachable through it. It does not know what the page shows.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import gradio as gr
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, PlainTextResponse, Response
from gradio.routes import templates
from jinja2 import ChoiceLoader, DictLoader, FileSystemLoader
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from lect.engine.contract.errors import LectError
from lect.engine.contract.files import ASSETS
from lect.engine.data.store import Project

from . import guessing, recent, waiting
from .access import MAX_UPLOAD_BYTES, Guard, ServerOptions
from .build import FIRST, HEAD, build_page, theme
from .editor import routes as editor
from .folders import zips
from .scratch import Scratch
from .texts import labels, language_for, texts_of

PAGE = "frontend/index.html"  # of Gradio's templates


def make_server(options: ServerOptions, project: str = "") -> tuple[FastAPI, Scratch]:
    """The application, and its temporary files, which go when that is left. project: opened first."""
    scratch = Scratch()
    os.environ["GRADIO_TEMP_DIR"] = str(scratch.uploads)
    blocks = build_page(options.local, scratch, project)
    _load_first(FIRST)
    blocks.has_launched = True  # `launch` sets it, mounting does not; without it Gradio checks no path
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_until_end)
    add_routes(app)
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=MAX_UPLOAD_BYTES,
        ssr_mode=False,
        i18n=labels(),
        theme=theme(),
        css_paths=[ASSETS / "page" / "page.css"],
        head=HEAD,
    )
    _answer_malformed(app)
    app.add_middleware(Guard, password=options.password, uploads=scratch.uploads)
    if options.local:
        # A page elsewhere whose name resolves to this machine must not be taken for ours.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]", options.host])
    return app, scratch


@asynccontextmanager
async def _until_end(app: FastAPI) -> AsyncIterator[None]:
    yield
    guessing.end()  # the server's threads, which wait for it, are waited for


def _load_first(elements: str) -> None:
    """Puts elements into the page itself: Gradio adds its `head` once it runs, and has chosen the language by then."""
    folder = Path(gr.__file__).with_name("templates")
    source = (folder / PAGE).read_text(encoding="utf-8").replace("</head>", f"{elements}</head>", 1)
    templates.env.loader = ChoiceLoader([DictLoader({PAGE: source}), FileSystemLoader(folder)])


def _answer_malformed(app: FastAPI) -> None:
    """Gradio stumbles over bodies that are none, and over halves of characters when it says what is wrong with one."""
    (mounted,) = (route.app for route in app.routes if isinstance(route, Mount) and isinstance(route.app, FastAPI))

    async def refused(request: Request, error: Exception) -> Response:
        return PlainTextResponse("The request cannot be read.", 422)

    mounted.add_exception_handler(RequestValidationError, refused)
    mounted.add_exception_handler(Exception, refused)


def add_routes(app: FastAPI) -> None:
    """Fonts and scripts, recordings and packs."""
    app.mount("/page", StaticFiles(directory=ASSETS / "page"))

    @app.get("/words.js")
    def words(request: Request) -> Response:
        language = language_for(request.headers)
        text = json.dumps(texts_of(language), ensure_ascii=False)
        return Response(
            f"window.lectLanguage = {json.dumps(language)}; window.lectWords = {text};", media_type="text/javascript"
        )

    editor.add_routes(app)

    @app.get("/project/{key}/clip/{clip_id}")
    def clip(key: str, clip_id: int) -> FileResponse:
        found = _project(key).clip(clip_id)
        return _file(found.path if found else None)

    @app.get("/project/{key}/waiting/{name}")
    def take(key: str, name: str) -> FileResponse:
        found = waiting.get(_project(key), name)
        return _file(found.path if found else None)

    @app.get("/project/{key}/pack/{number}")
    def pack(key: str, number: int) -> FileResponse:
        packs = _project(key).packs()
        found = packs[number] if 0 <= number < len(packs) else None
        return _file(found.path if found else None, download=True)

    @app.get("/project/{key}/export/{name}")
    def export(key: str, name: str) -> FileResponse:
        return _file(next((path for path in zips(_project(key)) if path.name == name), None), download=True)


def _project(key: str) -> Project:
    try:
        if project := recent.by_key(key):
            return project
    except LectError as error:
        raise HTTPException(404) from error
    raise HTTPException(404)


def _file(path: Path | None, download: bool = False) -> FileResponse:
    if path is None or not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, filename=path.name if download else None)
