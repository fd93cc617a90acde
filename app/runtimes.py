"""What the commands that transcribe share: their options, and the runtimes that these open."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lect.engine.contract.builds import BUILDS
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import ASSETS
from lect.engine.contract.run_request import WHISPER

from .options import fraction, positive
from .output import remark

PHONES_PACK = ASSETS / "phones" / "phones.lect"  # Whisper-base taught the IPA in many languages, see its model card

if TYPE_CHECKING:
    from lect.exports.runtime import Runtime
    from lect.exports.transcriber import SpeechOptions


def add_packs(parser: argparse.ArgumentParser) -> None:
    """--pack, once or more, --phones, or the backbone alone."""
    written_by = parser.add_mutually_exclusive_group()
    written_by.add_argument(
        "--pack",
        type=pack_path,
        action="append",
        metavar="PACK",
        help="a .lect file, a bundle or a portable folder, or the name of one in the project's packs; may be given "
        "more than once (none: the backbone writes in its own vocabulary)",
    )
    written_by.add_argument(
        "--phones", action="store_true", help="no pack: the sounds of any language, roughly, as IPA symbols"
    )
    parser.add_argument(
        "--backbone",
        metavar="NAME",
        help=f"its name or folder (the pack's, found by itself; without a pack {WHISPER})",
    )


def pack_path(text: str) -> Path:
    """A pack by its path, or by its name among the packs of the project that one stands in."""
    path = Path(text)
    if path.exists() or path.name != text:
        return path
    places = [
        folder / "packs" / name for folder in (Path.cwd(), *Path.cwd().parents) for name in (f"{text}.lect", text)
    ]
    return next((place for place in places if place.exists()), path)


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """How packs are run; names as Whisper's."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    parser.add_argument("--compute-type", choices=BUILDS, default=BUILDS[0], help="int8 is smaller and quicker")
    parser.add_argument("--threads", type=positive, metavar="N", help="processor threads")
    parser.add_argument("--beam-size", type=positive, metavar="N", help="1 is quickest")
    whisper = parser.add_argument_group("of a Whisper in its own vocabulary")
    whisper.add_argument("--language", metavar="CODE", help="what is spoken (found out, recording by recording)")
    whisper.add_argument("--task", choices=("transcribe", "translate"), default="transcribe", help="or into English")
    whisper.add_argument(
        "--prompt", "--initial-prompt", metavar="TEXT", help="read first, as if written before: for names and spelling"
    )


def add_speech(parser: argparse.ArgumentParser) -> None:
    """Where speech is; names as faster-whisper's."""
    speech = parser.add_argument_group("where speech is")
    speech.add_argument("--vad", choices=("silero", "energy", "off"), default="silero", help="what tells it (silero)")
    speech.add_argument("--vad-threshold", type=fraction, metavar="P", help="how likely it must be speech (0.5)")
    speech.add_argument("--vad-min-silence-duration-ms", type=positive, metavar="MS", help="that ends a segment (500)")
    speech.add_argument("--vad-speech-pad-ms", type=positive, metavar="MS", help="kept around speech (400)")
    speech.add_argument("--vad-max-speech-duration-s", type=positive, metavar="S", help="of a segment (20, at most 30)")


def open_runtimes(args: argparse.Namespace) -> list["Runtime"]:
    """Each of --pack with its graphs loaded, or the backbone. Raises UsageError, PackError or BackboneError."""
    from lect.engine.decoding.search import DecodeOptions
    from lect.exports.runtime import Runtime

    for pack in args.pack or ():
        if not pack.exists():
            raise UsageError(f"There is no pack {pack}: check the path of --pack, or the name in the project's packs.")
    if args.task != "transcribe" and not args.language and (args.pack or args.phones):
        raise UsageError("With a pack, --task goes with --language.")
    runtimes = Runtime.open_all(
        args.pack or [phones_source(args) if args.phones else None],
        args.backbone,
        device=args.device,
        compute_type=args.compute_type,
        threads=args.threads,
        options=DecodeOptions(beam_size=args.beam_size) if args.beam_size else DecodeOptions(),
    )
    for runtime in runtimes:
        if args.language or args.task != "transcribe":
            runtime.set_language(args.language or "", args.task)
        if args.prompt:
            runtime.set_prompt(args.prompt)
    return runtimes


def pack_names(args: argparse.Namespace) -> list[str]:
    """What tells the packs apart: their files' names, or the backbone's. Raises UsageError when two have one."""
    alone = "phones" if args.phones else Path(args.backbone or WHISPER).name
    names = [pack.resolve().stem for pack in args.pack] if args.pack else [alone]
    if len(set(names)) < len(names):
        raise UsageError("Two of these packs have one name: rename a file, to tell them apart.")
    return names


def open_runtime(args: argparse.Namespace) -> "Runtime":
    """As `open_runtimes`, for a command that takes one pack."""
    if args.pack and len(args.pack) > 1:
        raise UsageError("This command runs one pack: give --pack once.")
    return open_runtimes(args)[0]


def speech_options(args: argparse.Namespace) -> "SpeechOptions":
    """How speech is looked for. Raises UsageError when a value makes no sense."""
    from lect.exports.segments import CutOptions
    from lect.exports.transcriber import SpeechOptions

    given = {name: value for name, value in vars(args).items() if name.startswith("vad_") and value is not None}
    return SpeechOptions(args.vad, CutOptions(**given))


def phones_source(args: argparse.Namespace) -> Path:
    """What writes phones: the pack that ships for it, or the backbone that is named.

    Raises UsageError when that writes something else.
    """
    remark(args, "Rough phones, by a model that nobody taught this language: check every symbol.")
    if not args.backbone:
        return PHONES_PACK
    from lect.engine.model.backbone import open_backbone

    backbone = open_backbone(args.backbone)
    if backbone.vocabulary.kind != "phone":
        raise UsageError(
            f"The backbone {backbone.name!r} does not write phones: leave --backbone out, or name another."
        )
    return backbone.folder
