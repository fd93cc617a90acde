"""PyTorch's `.pt` files from strangers, read without running anything of theirs.

A `.pt` file holds a pickle, a program that may call whatever it names. PyTorch's own restricted reader calls nothing
but what rebuilds tensors and plain containers. Classes of the programs that write speech checkpoints are met by a
stand-in that keeps what it is given and does nothing; a file that names anything else is refused before it is read.
It does not know what a checkpoint holds.
"""

from pathlib import Path
from typing import Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from ...contract.errors import BackboneError
from .limits import check_unpacked

# Whose classes a speech checkpoint may name. None of them is imported.
KNOWN_PROGRAMS = ("argparse", "fairseq", "numpy", "omegaconf", "typing")
# Types that omegaconf notes down beside its values; they are stood in for as well.
KNOWN_TYPES = {f"builtins.{kind.__name__}" for kind in (bool, bytes, dict, float, int, list, object, str, tuple)}


class StandIn:
    """What an object of another program was made of."""

    __slots__ = ("arguments", "state")
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> "StandIn":
        """Keeps what the object's class was called with."""
        self = super().__new__(cls)
        self.arguments, self.state = arguments, None
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The dictionary in a checkpoint: tensors, plain containers and stand-ins.

    Raises BackboneError for a file of another kind, a damaged one, and one that would run code.
    """
    try:
        with path.open("rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
    except OSError as error:
        raise BackboneError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    if not is_zip:
        raise BackboneError(f"{path.name} is no checkpoint that torch.save wrote (a zip file): check which file it is.")
    check_unpacked(path)
    try:
        named = get_unsafe_globals_in_checkpoint(str(path))
    except Exception as error:  # whatever a stranger's bytes make the reader trip over
        raise _damaged(path) from error
    if unknown := sorted(name for name in set(named) - KNOWN_TYPES if name.partition(".")[0] not in KNOWN_PROGRAMS):
        raise BackboneError(
            f"{path.name} names {unknown[0]}, which is code and no weights: it was refused, and nothing of it ran."
        )
    try:
        with safe_globals([(StandIn, name) for name in named]):
            value = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise _damaged(path) from error
    if not isinstance(value, dict):
        raise BackboneError(f"{path.name} holds no dictionary, as a checkpoint does: check which file it is.")
    return value


def plain(value: Any) -> Any:
    """Dictionaries and lists in place of stand-ins: omegaconf's containers and nodes, namespaces, dictionaries."""
    if isinstance(value, StandIn):
        state = value.state if isinstance(value.state, dict) else {}
        return plain(state.get("_content", state.get("_val", state)))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _damaged(path: Path) -> BackboneError:
    return BackboneError(f"{path.name} is cut short, damaged, or holds what no checkpoint does: fetch it again.")
