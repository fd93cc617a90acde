"""Transcribes for other programs, over HTTP, as OpenAI's `/v1/audio/transcriptions` does; without PyTorch.

Clients written for that interface work with `base_url` set to the address that is shown. Each pack is a model named
like its file, or without a pack the backbone by its name; `whisper-1` is the first. The fields `language` and `prompt`
count for a Whisper in its own vocabulary; for a pack they change nothing, nor does `temperature` for any. It listens on
this machine only. For another --host set LECT_API_KEY, which every request must then bear.
"""

import argparse
import contextlib
import os
import sys

from lect.engine.contract.errors import UsageError

from ..addresses import is_loopback, listen
from ..options import positive
from ..output import note, print_json, remark
from ..runtimes import add_packs, add_runtime, add_speech, open_runtimes, pack_names, speech_options

FIRST_PORT = 8000
CONNECTIONS = 250  # at once; further ones are turned away before a system runs out of open files
KEY = "LECT_API_KEY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Packs, address and limits."""
    add_packs(parser)
    parser.add_argument("--port", type=int, metavar="N", help=f"(the first free from {FIRST_PORT})")
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="listen here (127.0.0.1: this machine only)")
    parser.add_argument("--max-queue", type=positive, default=8, metavar="N", help="recordings that may wait (8)")
    parser.add_argument("--max-upload", type=positive, default=500, metavar="MB", help="of one recording (500)")
    add_runtime(parser)
    add_speech(parser)


def run(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C."""
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise UsageError("Serving needs its extra: run pip install 'lect[serve]'.") from error
    from ..service.build import Limits, build

    token = os.environ.get(KEY) or None
    if token is None and not is_loopback(args.host):
        raise UsageError(f"{args.host} can be reached from elsewhere: set {KEY}, or leave --host out.")
    listener, url = listen(args.host, args.port, FIRST_PORT)
    models = dict(zip(pack_names(args), open_runtimes(args), strict=True))
    app = build(models, speech_options(args), Limits(args.max_queue, args.max_upload * 1_000_000, token))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, limit_concurrency=CONNECTIONS)
    )
    if args.json:
        print_json({"url": f"{url}/v1", "models": list(models)})
        sys.stdout.flush()  # whoever reads it waits for nothing else
    else:
        note(f"{', '.join(models)} at {url}/v1 (Ctrl-C ends it).")
    with contextlib.suppress(KeyboardInterrupt):  # how a person ends it
        server.run(sockets=[listener])
    remark(args, "Ended.")
    return 0
