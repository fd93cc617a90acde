"""Serves a folder that `lect export --web` wrote, on this machine. Any other file host does as well."""

import argparse
import contextlib
import os
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lect.engine.contract.errors import UsageError

from ..addresses import listen
from ..output import note, print_json, remark

FIRST_PORT = 8400
HOST = "127.0.0.1"
MARK = "contents.js"
# With the first two, browsers give the page threads; its service worker adds them on hosts that do not.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}

TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".webmanifest": "application/manifest+json",
    ".gz": "application/octet-stream",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder and a port."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="which `lect export --web DIR` wrote")
    parser.add_argument("--port", type=int, metavar="N", help=f"(the first free from {FIRST_PORT})")


def run(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C."""
    if not (args.folder / MARK).is_file():
        raise UsageError(f"{args.folder} is no exported page: write one with `lect export --web {args.folder}`.")
    listener, url = listen(HOST, args.port, FIRST_PORT)
    server = ThreadingHTTPServer(listener.getsockname(), partial(_Handler, directory=str(args.folder)), False)
    server.socket.close()
    server.socket = listener
    if args.json:
        print_json({"url": url})
        sys.stdout.flush()  # whoever reads it waits for nothing else
    else:
        note(f"{args.folder} at {url} (Ctrl-C ends it).")
    with contextlib.suppress(KeyboardInterrupt), server:  # how a person ends it
        server.serve_forever()
    remark(args, "Ended.")
    return 0


class _Handler(SimpleHTTPRequestHandler):
    def guess_type(self, path: str | os.PathLike[str]) -> str:
        """A file's type: a system's own table may call modules anything, and browsers then refuse them."""
        return TYPES.get(Path(path).suffix) or super().guess_type(path)

    def end_headers(self) -> None:
        """Adds our headers to every answer."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: a line a file helps nobody."""
