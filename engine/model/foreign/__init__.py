"""Backbones from elsewhere: found out what they are, converted once, and kept in the user's backbone store."""

import shutil
from pathlib import Path

from ...contract.errors import BackboneError, UsageError
from ...contract.files import write_json
from ...contract.tensor_names import is_shared_prompt
from ..backbone import (
    CONFIG,
    SUMS,
    WEIGHTS,
    home,
    open_backbone,
    read_sums,
    verify_backbone,
    write_sums,
)
from ..weights import Bits, save_backbone
from .found import folder_name
from .huggingface import load_safetensors
from .limits import bounded_json, check_tensors, finite, short
from .network import Foreign, filled
from .reading import read_foreign

__all__ = ["Foreign", "add_backbone", "default_name", "read_foreign"]


def add_backbone(
    source: Path,
    name: str | None = None,
    licence: str | None = None,
    window_seconds: float | None = None,
    bits: Bits = 16,
) -> Path:
    """Brings a backbone into the store and returns its folder there; bits: see `save_backbone`.

    source: a file or folder of any kind that `read_foreign` reads, or a backbone folder as `lect pretrain` writes it.
    The name is the source's unless given. window_seconds: see `read_foreign`. Raises UsageError or BackboneError.
    """
    name = name or default_name(source)
    target = home() / "backbones" / name
    if not name or Path(name).name != name or name.startswith("."):
        raise UsageError(f"{name!r} cannot be a backbone's name: give another with --name.")
    if target.exists():
        raise UsageError(f"There is a backbone {name!r} already: give another name with --name.")
    part = home() / f".{name}.part"  # outside the store until it is whole
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        if (source / SUMS).is_file():
            if window_seconds is not None:
                raise UsageError(f"{source.name} is no Whisper: leave --window-seconds out.")
            _copy(source, part, name, licence)
        else:
            convert(read_foreign(source, window_seconds), part, name, licence, bits)
        target.parent.mkdir(exist_ok=True)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def default_name(source: Path) -> str:
    """What a source is called where no name is given: a hub names folders by revisions, and `model` says nothing."""
    folder = source.resolve() if source.is_dir() else source.parent.absolute()
    if source.is_file() and source.stem not in ("model", "pytorch_model", "weights"):
        return source.stem
    return folder_name(folder)


def convert(foreign: Foreign, target: Path, name: str, licence: str | None, bits: Bits) -> None:
    """Writes what was read as a backbone folder."""
    save_backbone(
        target,
        name,
        foreign.model,
        foreign.vocabulary,
        languages=foreign.languages,
        licence=licence or foreign.licence,
        bits=bits,
    )


def _copy(source: Path, target: Path, name: str, licence: str | None) -> None:
    # A link would bring in a file from outside, and keep what it points to from being checked.
    if links := [path.name for path in source.rglob("*") if path.is_symlink() or not (path.is_file() or path.is_dir())]:
        raise BackboneError(f"{source} holds a link ({links[0]!r:.60}), which no backbone does: copy the file itself.")
    try:
        _check_copied(source)
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError, RecursionError) as error:
        raise BackboneError(f"{source.name} is no backbone as Lect writes it ({short(error)}).") from error
    for file in {CONFIG, *read_sums(source)}:  # what is not in it was not checked
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, target / file)
    config = bounded_json(target / CONFIG)
    write_json(target / CONFIG, config | {"name": name, "licence": licence or config["licence"]})
    write_sums(target)


def _check_copied(source: Path) -> None:
    bounded_json(source / CONFIG)
    inside = source.resolve()
    if outside := [name for name in read_sums(source) if not (inside / name).resolve().is_relative_to(inside)]:
        raise BackboneError(f"{source} names a file outside itself ({outside[0]!r:.60}): it was refused.")
    backbone = open_backbone(str(source))
    if wrong := verify_backbone(source):
        raise BackboneError(f"{source} is damaged ({', '.join(wrong)} missing or changed): copy it again.")
    tensors = load_safetensors(source / WEIGHTS)
    check_tensors(tensors, source.name)
    own = {name: tensor for name, tensor in finite(tensors, source.name).items() if not is_shared_prompt(name)}
    filled(backbone.config, own, source.name)
    if len(backbone.vocabulary) != backbone.config.vocab_size:
        raise BackboneError(f"{source.name} has a vocabulary that does not fit its weights: copy it again.")
