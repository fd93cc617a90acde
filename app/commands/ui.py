"""Opens the page: record, train and transcribe in the browser.

It listens on this machine only. Another --host opens it to the network, over plain HTTP, and then needs a password:
--password asks for it, or takes it from LECT_PASSWORD; the user's name is `lect`.
"""

import argparse
import contextlib
import os
import signal
import sys
from getpass import getpass
from pathlib import Path

from lect.engine.contract.errors import UsageError

from ..addresses import is_loopback, listen
from ..output import note, print_json, remark

FIRST_PORT = 7860


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Project and address."""
    parser.add_argument("project", nargs="?", type=Path, metavar="PROJECT", help="open this project (the latest)")
    parser.add_argument("--port", type=int, metavar="N", help=f"(the first free from {FIRST_PORT})")
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="listen here (127.0.0.1: this machine only)")
    parser.add_argument("--password", action="store_true", help="ask for a password, which visitors need")
    parser.add_argument("--no-browser", action="store_true", help="only say where it is")


def run(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C."""
    try:
        import gradio  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise UsageError("The page needs its extra: run pip install 'lect[app]'.") from error
    from ..page.access import ServerOptions
    from ..page.server import make_server

    password = _password(args)
    if password is None and not is_loopback(args.host):
        raise UsageError(f"{args.host} can be reached from elsewhere: add --password, or leave --host out.")
    listener, url = listen(args.host, args.port, FIRST_PORT)
    app, scratch = make_server(ServerOptions(args.host, password), _first_project(args.project))
    with scratch:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        if args.json:
            print_json({"url": url})
            sys.stdout.flush()  # whoever reads it waits for nothing else
        else:
            note(f"The page is at {url} (Ctrl-C ends it; a training goes on by itself).")
        if not (args.no_browser or args.json):
            _open_browser(url)
        end_tidily()
        with contextlib.suppress(KeyboardInterrupt):  # how a person closes it
            server.run(sockets=[listener])
    remark(args, "The page is closed.")
    return 0


def _password(args: argparse.Namespace) -> str | None:
    if not args.password:
        return None
    if not (password := os.environ.get("LECT_PASSWORD") or getpass("Password for visitors: ")):
        raise UsageError("The password is empty: type one, or set LECT_PASSWORD.")
    return password


def end_tidily() -> None:
    """Turns the signals of a system that shuts down, and of a terminal that is closed, into Ctrl-C: temporary files are
    removed at the end."""
    for name in ("SIGTERM", "SIGHUP"):
        if number := getattr(signal, name, None):
            signal.signal(number, signal.default_int_handler)


def _first_project(folder: Path | None) -> str:
    if folder is None:
        return ""
    from lect.engine.data.store import Project

    from ..page.recent import remember

    project = Project.open(folder)
    remember(project)
    return str(project.folder)


def _open_browser(url: str) -> None:
    import threading
    import webbrowser

    threading.Timer(1.0, webbrowser.open, [url]).start()
