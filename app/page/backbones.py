"""The backbones that are installed, and what each can do by itself. It opens no weights and knows no widget."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lect.engine.contract.errors import LectError
from lect.engine.contract.run_request import STARTER, WHISPER
from lect.engine.model.backbone import CONFIG, Backbone, backbone_folders, open_backbone

from ..commands.backbone import exported_builds
from . import languages


@dataclass(frozen=True)
class Installed:
    """One of them."""

    folder: Path
    name: str  # as a person reads it
    languages: tuple[str, ...]  # that its training heard
    spoken: tuple[str, ...]  # that it can be told to write, or finds out; none of most that are no Whisper
    spells: bool  # whether it writes text, and not phones
    ready: bool  # whether its graphs are there, which transcribing needs
    bytes: int  # of weights

    def knows(self, language: str) -> bool:
        """Whether a project's language is one that it heard."""
        return bool(languages.among(language, self.languages))


def installed() -> list[Installed]:
    """All that can be read, the Whisper that Lect names first, then the starter; of two with one name, the former."""
    folders = {folder.name: folder for folder in reversed(list(backbone_folders()))}.values()
    ordered = sorted(folders, key=lambda folder: (folder.name != WHISPER, folder.name != STARTER, folder.name))
    found = ((folder, _opened(folder, (folder / CONFIG).stat().st_mtime_ns)) for folder in ordered)
    return [_of(folder, backbone) for folder, backbone in found if backbone]


def writers() -> list[Installed]:
    """Those that transcribe by themselves, without a pack."""
    return [one for one in installed() if one.spells and one.ready]


def writer_of(language: str) -> Installed | None:
    """One of `writers` that knows a project's language, else the first of them, if there is any."""
    there = writers()
    return next((one for one in there if one.knows(language)), there[0] if there else None)


def titled(name: str) -> str:
    """A folder's name as a person reads it: "whisper-base" is "Whisper base"."""
    words = name.replace("-", " ")
    return words[:1].upper() + words[1:]


def spoken_by(name: str) -> tuple[str, ...]:
    """The languages that the backbone in a folder of this name can be told to write."""
    return next((one.spoken for one in installed() if one.folder.name == name), ())


@lru_cache(64)
def _opened(folder: Path, modified: int) -> Backbone | None:
    # A Whisper's vocabulary takes 50 ms to read, at every click; `modified` reads one that was replaced anew.
    try:
        return open_backbone(str(folder))
    except LectError:
        return None  # a damaged one must not keep the others from being offered


def _of(folder: Path, backbone: Backbone) -> Installed:
    vocabulary = backbone.vocabulary
    spoken = vocabulary.languages() if vocabulary.kind == "bytes" else ()
    spells = vocabulary.kind != "phone"
    ready, size = bool(exported_builds(backbone)), backbone.weights.stat().st_size
    return Installed(folder, titled(folder.name), backbone.languages, spoken, spells, ready, size)
