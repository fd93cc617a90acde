"""Opens the page in a window of its own; in the browser where no such window can be had.

There is one window: a second start brings it to the front. Closing it ends the page, but no training: that goes on by
itself, and the next window finds it again.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from lect.engine.contract.errors import LectError
from lect.engine.contract.files import read_json, write_json

from ..output import note, remark
from .ui import end_tidily

TITLE, SIZE, LEAST_SIZE = "Lect", (1200, 860), (480, 600)
ANSWER_S, LOOK_EVERY_S, ENDS_WITHIN_S = 3.0, 0.5, 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Project, and whether a window is wanted."""
    parser.add_argument("project", nargs="?", type=Path, metavar="PROJECT", help="open this project (the latest)")
    parser.add_argument("--browser", action="store_true", help="in the browser, whatever this machine can show")


def run(args: argparse.Namespace) -> int:
    """Stays until the window is closed."""
    from lect.engine.model.backbone import home

    state = home() / "desktop.json"
    if url := _answering(state):
        write_json(state.with_suffix(".front"), time.time())  # the other process looks for it
        remark(args, f"Lect is open already, at {url}: its window comes to the front.")
        return 0
    webview = None if args.browser else _webview(args)
    end_tidily()
    server, url = _serve(args.project)
    try:
        write_json(state, {"url": url})
        if webview is None or not _window(args, webview, url, state):
            _browser(url, server)
    except KeyboardInterrupt:
        pass  # how a terminal closes it
    finally:
        state.unlink(missing_ok=True)
        _end(server)
    return 0


def _answering(state: Path) -> str:
    """The address of a page that is open already; "" where there is none, or where it was killed."""
    try:
        url = str(read_json(state)["url"])
        with urllib.request.urlopen(url, timeout=ANSWER_S):
            return url
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _webview(args: argparse.Namespace) -> Any:
    try:
        import webview

        return webview
    except ImportError:
        remark(args, "A window of its own needs an extra, pip install 'lect[desktop]'; this is the browser.")
        return None


def _serve(project: Path | None) -> tuple["subprocess.Popen[str]", str]:
    """The page in a process of its own, since a window wants this one's main thread; and its address."""
    command = [sys.executable, "-m", "lect", "ui", "--port", "0", "--no-browser", "--json"]
    command += [str(project)] if project else []
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    line = server.stdout.readline()
    said = _object(line)
    if "url" in said:
        return server, str(said["url"])
    _end(server)
    raise LectError(str(said.get("error", "The page did not start: see `lect doctor`.")))


def _object(line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except (ValueError, TypeError):
        return {}


def _window(args: argparse.Namespace, webview: Any, url: str, state: Path) -> bool:
    """Shows the window until it is closed; False where this machine cannot."""
    _until_it_answers(url)
    window = webview.create_window(TITLE, url, width=SIZE[0], height=SIZE[1], min_size=LEAST_SIZE)
    done = threading.Event()
    threading.Thread(target=_come_to_front, args=(window, state.with_suffix(".front"), done), daemon=True).start()
    try:
        webview.start(private_mode=False, storage_path=str(state.parent / "desktop"))
    except webview.WebViewException as error:
        remark(args, f"No window can be shown here ({error}): this is the browser.")
        return False
    finally:
        done.set()
    return True


def _until_it_answers(url: str) -> None:
    """A window that is too early shows an error and does not try again."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(OSError), urllib.request.urlopen(url, timeout=ANSWER_S):
            return
        time.sleep(0.2)


def _come_to_front(window: Any, asked: Path, done: threading.Event) -> None:
    while not done.wait(LOOK_EVERY_S):
        if asked.exists():
            asked.unlink(missing_ok=True)
            window.restore()
            window.show()


def _browser(url: str, server: "subprocess.Popen[str]") -> None:
    import webbrowser

    _until_it_answers(url)
    webbrowser.open(url)
    note(f"The page is at {url} (Ctrl-C ends it; a training goes on by itself).")
    server.wait()


def _end(server: "subprocess.Popen[str]") -> None:
    server.terminate()
    try:
        server.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
