"""The `lect` command: finds the command that is asked for, and turns every error a person can cause into one sentence.

Only the chosen command's module is imported. It does not know what any command does.
"""

import argparse
import difflib
import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from types import ModuleType
from typing import NoReturn

from lect.engine.contract.errors import LectError, UsageError, os_sentence

from .options import add_output
from .output import note, print_json

COMMANDS = {
    "ui": "open the page: record, train and transcribe in the browser",
    "desktop": "open the page in a window of its own",
    "demo": "adapt Whisper-base to a sample set, score it, pack it and transcribe offline",
    "doctor": "what this machine can do, and what to mend",
    "init": "make a project",
    "import": "take labelled recordings into a project",
    "consent": "what the community and each speaker allow; delete a speaker's recordings",
    "next": "what to record or to label next, and why",
    "check": "report on a project's clips and labels before training",
    "split": "divide the clips into train, dev and test",
    "train": "teach a frozen backbone the project's lect",
    "eval": "score a run, base against adapted",
    "compare": "whether one run is better than another by more than chance",
    "lab": "run a table of experiments: many trainings, compared with intervals",
    "export": "write the graphs of a backbone, or a run as a folder that needs nothing else",
    "pack": "write a run as a .lect file; verify or describe one",
    "transcribe": "recordings to text with a pack, offline",
    "find": "look for words in recordings, transcribed or not, with a pack",
    "listen": "write what is spoken into the microphone, while it is spoken",
    "bench": "how fast a pack is on this machine, and how much memory it takes",
    "elan": "make a pack a recogniser of ELAN's",
    "web": "serve a page of `lect export --web`, which transcribes in the browser itself",
    "serve": "transcribe for other programs, over HTTP, as OpenAI's interface does",
    "backbone": "list, describe or verify the backbones",
    "pretrain": "make a backbone of your own from speech in many languages",
    "cache": "how large the project's feature cache is, or empty it",
}
FAILED, INTERRUPTED = 1, 130
# What the base install lacks, and the extra that brings it.
EXTRAS = {"sklearn": "pretrain"} | dict.fromkeys(
    ("jiwer", "onnx", "onnxscript", "rapidfuzz", "sqlite_utils", "tokenizers", "torch", "torchaudio"), "train"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `lect` with the arguments after its name; returns the exit code."""
    if argv is None:
        _prepare_process()
    arguments = plain_options(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read has left; Python would complain about it once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return _failed("Interrupted.", INTERRUPTED, arguments)
    except LectError as error:
        return _failed(str(error), error.exit_code, arguments)
    except ImportError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _failed(f"This needs {error.name}: run pip install 'lect[{extra}]'.", FAILED, arguments)
    except MemoryError:
        return _failed("Memory is full: close other programs, or give less at once.", FAILED, arguments)
    except OSError as error:
        return _failed(os_sentence(error), FAILED, arguments)


def _prepare_process() -> None:
    for stream in (sys.stdout, sys.stderr):
        # Transcripts and file names are of any script, also where a pipe's encoding is not.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    # PyTorch's idle threads otherwise spin: 47 times slower, measured, beside one busy program on two cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def plain_options(arguments: Sequence[str]) -> list[str]:
    """Option names with dashes, however they were written; values and what follows a bare `--` stay as they are."""
    options, rest = list(arguments), list[str]()
    if "--" in options:
        end = options.index("--")
        options, rest = options[:end], options[end:]
    names = [each.partition("=") if each.startswith("--") else ("", "", each) for each in options]
    return [name.replace("_", "-") + equals + value for name, equals, value in names] + rest


class Parser(argparse.ArgumentParser):
    """Arguments, whose mistakes are errors like all others."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(f"{message[:1].upper()}{message[1:]} (see `{self.prog} --help`).")


def parser_for(name: str) -> Parser:
    """The parser of one command, which also knows what every command takes."""
    command = _module(name)
    parser = Parser(prog=f"lect {name}", description=command.__doc__, allow_abbrev=False, formatter_class=_Formatter)
    command.add_arguments(parser)
    add_output(parser.add_argument_group("for machines and scripts"))
    parser.set_defaults(json=False, quiet=False)
    return parser


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=32)


def _dispatch(arguments: list[str]) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if name in ("-V", "--version"):
        from importlib.metadata import version

        print(f"lect {version('lect')}")
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean `lect {near[0]}`?" if near else "see `lect --help`."
        raise UsageError(f"There is no command {name!r}: {hint}")
    try:
        parsed = parser_for(name).parse_args(rest)
    except SystemExit as stop:  # --help was printed
        return int(stop.code or 0)
    return int(_module(name).run(parsed))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"lect.app.commands.{name}{'_' * keyword.iskeyword(name)}")


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: lect COMMAND [options]",
            "",
            "Teach a frozen speech model a new lect from a few minutes of labelled recordings.",
            "",
            *lines,
            "",
            "`lect COMMAND --help` says more. Every command takes --json and --quiet.",
        ]
    )


def _failed(sentence: str, code: int, arguments: Sequence[str]) -> int:
    note(f"lect: {sentence}")
    if "--json" in arguments:
        print_json({"error": sentence})
    return code
