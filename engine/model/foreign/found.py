"""The Whispers that lie on this computer already, in the caches of the programs that fetched them.

It lists them by their first bytes and small configs, opens no weights and no connection, and follows no link to a
folder outside a cache but those that a hub's cache is made of.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...contract.errors import LectError
from .ggml import is_whisper
from .huggingface import CONFIG
from .kinds import Kind
from .limits import bounded_json
from .openai import is_openai
from .reading import config_family, weight_files

MOST_FOLDERS = 2000  # of one cache
HUB = "huggingface"


@dataclass(frozen=True)
class Found:
    """One Whisper, which `read_foreign` reads from its path."""

    path: Path  # a file or a folder
    name: str  # what it would be called here
    kind: str  # whose format it is
    size: int  # bytes of weights


def caches(environment: Mapping[str, str], home: Path, system: str) -> list[Path]:
    """The folders where programs keep Whispers; system: as `sys.platform`.

    Those of transformers, faster-whisper and mlx-whisper (the hub), openai-whisper, Buzz, Handy, Vibe and Speech Note.
    """
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    hub = Path(environment.get("HF_HOME") or cache / HUB) / "hub"
    folders = [Path(environment.get("HF_HUB_CACHE") or hub), cache / "whisper"]
    if system == "win32":
        local = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
        roaming = Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
        buzz = local / "Buzz" / "Buzz" / "Cache" / "models"
        folders += [roaming / "com.pais.handy" / "models", local / "github.com.thewh1teagle.vibe"]
    elif system == "darwin":
        buzz = home / "Library" / "Caches" / "Buzz" / "models"
        folders += [home / "Library" / "Application Support" / "com.pais.handy" / "models"]
    else:
        buzz = cache / "Buzz" / "models"
        folders += [home / place / "com.pais.handy" / "models" for place in (".config", ".local/share")]
        folders += [home / ".var/app/net.mkiol.SpeechNote/data/net.mkiol/dsnote"]
    buzz = Path(environment.get("BUZZ_MODEL_ROOT") or buzz)
    return [*folders, buzz, buzz / "whisper"]


def find_whispers(folders: list[Path] | None = None) -> list[Found]:
    """Every Whisper in these folders, by name; those of this computer unless given. What cannot be read is left out."""
    if folders is None:
        folders = caches(os.environ, Path.home(), sys.platform)
    found = {one.path: one for folder in folders for place in _places(folder) for one in _whispers(place)}
    return sorted(found.values(), key=lambda one: (one.name.lower(), one.path))


def _places(folder: Path) -> Iterator[Path]:
    """The folder, those in it, and a hub's snapshots; nothing where it is not there."""
    try:
        inside = sorted(path for path in folder.iterdir() if path.is_dir())[:MOST_FOLDERS]
    except OSError:
        return
    yield folder
    for path in inside:
        yield path
        try:
            yield from sorted((path / "snapshots").iterdir())
        except OSError:
            continue


def _whispers(place: Path) -> Iterator[Found]:
    try:
        files = list(weight_files(place))
        yield from _of_folder(place, files) or _single(files)
    except (OSError, LectError):
        return


def _of_folder(folder: Path, files: list[tuple[Path, Kind]]) -> list[Found]:
    """The one Whisper that a whole folder is; none where it holds single files."""
    name = folder_name(folder)
    converted = [path for path, kind in files if kind == Kind.CTRANSLATE2]
    family = None if converted else config_family(folder)
    weights = [path for path, kind in files if kind in (Kind.SAFETENSORS, Kind.NUMPY, Kind.TORCH)]
    if converted:
        return [Found(folder, name, Kind.CTRANSLATE2.value, _size(converted[:1]))]
    if family is None or not weights or bounded_json(folder / CONFIG).get("model_type", "whisper") != "whisper":
        return []
    return [Found(folder, name, family, _size(weights))]


def _single(files: list[tuple[Path, Kind]]) -> list[Found]:
    found = [path for path, kind in files if kind == Kind.GGML and is_whisper(path)]
    openai = [path for path, kind in files if kind == Kind.TORCH and is_openai(path)]
    return [
        Found(path, path.stem, kind, _size([path]))
        for kind, paths in ((Kind.GGML.value, found), ("OpenAI", openai))
        for path in paths
    ]


def folder_name(folder: Path) -> str:
    """A folder's name; a hub's is named by a revision, and stands in one that has the model's name."""
    return folder.parent.parent.name.rpartition("--")[2] if folder.parent.name == "snapshots" else folder.name


def _size(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths)
