"""Backbones on disk: a folder with config, vocabulary, weights and exported graphs, each named in SHA256SUMS.

Needs neither torch nor onnxruntime: an offline machine opens the same folders. It does not load weights.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract.errors import BackboneError, UsageError
from ..contract.files import ASSETS, read_json, sha256_file, write_bytes
from ..contract.model_config import ModelConfig
from ..text.vocabulary import Vocabulary
from ..text.writable import is_writable

FORMAT_VERSION = 1
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SUMS = "SHA256SUMS"
STARTER = "starter"
MOST_LETTERS, MOST_LANGUAGES = 1_000, 10_000  # of a name or licence; there are 8,000 languages
MOST_SUMS_BYTES = 1 << 20


@dataclass(frozen=True)
class Backbone:
    """A frozen speech encoder-decoder as it lies on disk."""

    folder: Path
    name: str
    config: ModelConfig
    vocabulary: Vocabulary
    languages: tuple[str, ...]  # that its training saw
    licence: str
    sha256: str  # of the weights: a pack names it, and fits no other backbone

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.folder / WEIGHTS


def home() -> Path:
    """Lect's own folder for this user: LECT_HOME, or the platform's place for application data."""
    if "LECT_HOME" in os.environ:
        return Path(os.environ["LECT_HOME"])
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "lect"
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "lect"


def backbone_folders() -> Iterator[Path]:
    """Every folder that holds a backbone: those that ship, then the user's."""
    for root in (ASSETS, home() / "backbones"):
        yield from sorted(path.parent for path in root.glob(f"*/{CONFIG}"))


def open_backbone(name: str = STARTER) -> Backbone:
    """A backbone by name or by folder. Raises UsageError when there is none, BackboneError when it is damaged."""
    folder = next((folder for folder in backbone_folders() if folder.name == name), Path(name))
    if not (folder / CONFIG).is_file():
        known = ", ".join(folder.name for folder in backbone_folders()) or "none"
        raise UsageError(f"There is no backbone {name!r}; known: {known} (see `lect backbone list`).")
    try:
        config = read_json(folder / CONFIG)
        _check_facts(config)
        if config["format_version"] > FORMAT_VERSION:
            raise BackboneError(f"Backbone {name!r} was made by a newer Lect: update Lect to use it.")
        return Backbone(
            folder=folder,
            name=config["name"],
            config=ModelConfig.from_json(config["model"]),
            vocabulary=Vocabulary.from_json(config["vocabulary"]),
            languages=tuple(config["languages"]),
            licence=config["licence"],
            sha256=read_sums(folder)[WEIGHTS],
        )
    except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError) as error:
        raise BackboneError(f"Backbone {name!r} is damaged ({error!s:.200}): install it again.") from error


def read_sums(folder: Path) -> dict[str, str]:
    """File name -> SHA-256, from the folder's SHA256SUMS."""
    if (folder / SUMS).stat().st_size > MOST_SUMS_BYTES:
        raise ValueError(f"{SUMS} is far too long")
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines if line)}


def _check_facts(config: Mapping[str, Any]) -> None:
    """Raises ValueError where what a stranger wrote is not what our readers count on."""
    languages = config["languages"]
    if type(config["format_version"]) is not int or not isinstance(languages, list) or len(languages) > MOST_LANGUAGES:
        raise ValueError("its version is no number, or its languages are no list")
    texts = (config["name"], config["licence"], *languages)
    if not all(isinstance(text, str) and len(text) <= MOST_LETTERS and is_writable(text) for text in texts):
        raise ValueError("its name, licence and languages are no texts")


def write_sums(folder: Path) -> None:
    """Writes SHA256SUMS over every other file in the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    lines = [f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in paths]
    write_bytes(folder / SUMS, "".join(lines).encode())


def verify_backbone(folder: Path) -> list[str]:
    """The files that are missing or differ from SHA256SUMS; empty when all is well."""
    return [
        name
        for name, digest in read_sums(folder).items()
        if not (folder / name).is_file() or sha256_file(folder / name) != digest
    ]
