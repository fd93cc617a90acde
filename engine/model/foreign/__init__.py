"""Backbones from elsewhere: found out what they are, converted once, and kept in the user's backbone store."""

import shutil
from pathlib import Path

from ...contract.errors import BackboneError, UsageError
from ...contract.files import read_json, write_json
from ..backbone import CONFIG, SUMS, home, open_backbone, verify_backbone, write_sums
from ..weights import save_backbone
from .network import Foreign
from .wav2seq import read_wav2seq
from .whisper import WINDOW_SECONDS, read_whisper


def add_backbone(
    source: Path, name: str | None = None, licence: str | None = None, window_seconds: float | None = None
) -> Path:
    """Brings a backbone into the store and returns its folder there; weights are stored in float16.

    source: a Wav2Seq checkpoint (a .pt file), a Whisper folder in Hugging Face's layout, or a backbone folder as
    `lect pretrain` writes it. The name is the source's unless given. window_seconds: see `read_whisper`.
    Raises UsageError or BackboneError.
    """
    name = name or (source.stem if source.is_file() else source.resolve().name)
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
                raise UsageError(f"{source.name} is no Whisper folder: leave --window-seconds out.")
            _copy(source, part, name, licence)
        else:
            _convert(read_foreign(source, window_seconds), part, name, licence)
        target.parent.mkdir(exist_ok=True)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def read_foreign(source: Path, window_seconds: float | None = None) -> Foreign:
    """The backbone in a foreign file or folder; window_seconds: see `read_whisper`.

    Raises UsageError or BackboneError.
    """
    if (source / CONFIG).is_file():
        return read_whisper(source, WINDOW_SECONDS if window_seconds is None else window_seconds)
    if window_seconds is not None:
        raise UsageError(f"{source.name} is no Whisper folder: leave --window-seconds out.")
    if source.is_file():
        return read_wav2seq(source)
    if source.is_dir():
        raise BackboneError(f"{source} has no {CONFIG}: give a Whisper or backbone folder, or a Wav2Seq .pt file.")
    raise UsageError(f"{source} is not there: check the path.")


def _convert(foreign: Foreign, target: Path, name: str, licence: str | None) -> None:
    save_backbone(
        target,
        name,
        foreign.model,
        foreign.vocabulary,
        languages=foreign.languages,
        licence=licence or foreign.licence,
    )


def _copy(source: Path, target: Path, name: str, licence: str | None) -> None:
    open_backbone(str(source))
    if wrong := verify_backbone(source):
        raise BackboneError(f"{source} is damaged ({', '.join(wrong)} missing or changed): copy it again.")
    shutil.copytree(source, target, dirs_exist_ok=True)
    config = read_json(target / CONFIG)
    write_json(target / CONFIG, config | {"name": name, "licence": licence or config["licence"]})
    write_sums(target)
