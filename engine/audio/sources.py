"""Recordings as the blocks that a library decodes: by libsndfile, or in another process (`ffmpeg`) by FFmpeg.

Which of them reads a file is settled when it is opened. It does not know the rate and the channels that models take.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from ..contract.errors import AudioError
from .containers import (
    CONVERT,
    MP3_TAIL_BYTES,
    NeedsFFmpeg,
    checked_head,
    damaged,
    refusal,
    states_length,
)
from .decoders import Decoder, decoder
from .unfinished import finished

MIN_RATE, MAX_RATE = 4_000, 768_000  # Hz; below, speech is gone and a hostile header would multiply memory
BLOCK_FRAMES = 1 << 16  # decoded at once, so that two hours need no second copy
BLOCK_CHANNELS = 8  # with more, as many frames fewer
FRAMES_UNKNOWN = 1 << 62  # libsndfile's count for a FLAC that was written to a pipe is its largest integer
MP3_SLACK_FRAMES = 2 * 1_152  # an MP3 without a length header is estimated to within a frame or two
MPEG_IN_WAV_SLACK = 0.05  # of the frames that a WAV's fact chunk states, where MP3 is in it
MPEG_IN_WAV_SLACK_S = 0.5  # or, in a short one, so many seconds
MP3_TAIL_TAGS = (b"APETAGEX", b"LYRICSBEGIN")

Block = NDArray[np.float32]  # (frames, channels)


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header states."""

    seconds: float  # length; an estimate for an MP3 that carries no length
    rate: int  # samples a second, Hz
    channels: int  # as stored, before mixing down
    format: str  # container and coding, such as "WAV PCM_16" or "MOV aac"
    note: str = ""  # what had to be put right in order to read it, a sentence


@dataclass(frozen=True)
class Source:
    """An open recording, whichever library reads it."""

    info: AudioInfo
    blocks: Iterator[Block]
    headroom: bool = False  # stored as floats: samples past full scale are whole, not clipped


@contextmanager
def open_source(path: Path, *, whole: bool = True) -> Iterator[Source]:
    """The recording in `path`; whole: that will be read to its end, so that it must be opened by who reaches it.

    Raises AudioError, one sentence; while blocks are read too, where a file turns out to be damaged.
    """
    try:
        _check_is_file(path)
        with ExitStack() as held:
            file = held.enter_context(path.open("rb"))
            try:
                source = _sndfile_source(file, path.name, whole)
            except NeedsFFmpeg as need:
                _check_ffmpeg(path.name, need)
                source = _ffmpeg_source(held.enter_context(decoder()), path, need)
            yield source
    except OSError as error:
        raise AudioError(f"{path.name} cannot be opened ({error.strerror}): check its path and permissions.") from error


def check_rate(rate: int, name: str) -> None:
    """Raises AudioError for a rate that no recorder of speech gives."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(f"{name} states {rate} samples a second, outside {MIN_RATE} to {MAX_RATE}: record at 16000.")


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        raise AudioError(f"{path.name} is a folder: name a recording in it.")
    if path.exists() and not path.is_file():  # opening a named pipe would wait for ever
        raise AudioError(f"{path.name} is not a file: name a recording.")
    if path.suffix.lower() == ".raw":  # soundfile believes the name and asks for a rate
        raise AudioError(f"{path.name} is raw samples that do not state their rate: {CONVERT}.")


def _sndfile_source(file: BinaryIO, name: str, whole: bool) -> Source:
    head = checked_head(file, name)
    file, note = finished(file)
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        raise refusal(head, name) from error
    check_rate(sound.samplerate, name)
    if sound.frames >= FRAMES_UNKNOWN:
        raise NeedsFFmpeg("flac", "does not state its length")
    if whole and sound.format == "MP3" and not states_length(head, file):
        if _ends_early(file, name):
            raise NeedsFFmpeg("mp3", "is an MP3 of varying bit rate that does not state its length")
        file.seek(0)
        sound = soundfile.SoundFile(file)
    seconds, coding = sound.frames / sound.samplerate, f"{sound.format} {sound.subtype}"
    info = AudioInfo(seconds, sound.samplerate, sound.channels, coding, note)
    return Source(info, _sndfile_blocks(sound, name), headroom=sound.subtype in ("FLOAT", "DOUBLE"))


def _ends_early(file: BinaryIO, name: str) -> bool:
    """Whether libsndfile stops before an MP3 does: it takes the first frame's bit rate for the whole file's."""
    file.seek(0)
    # Decoded once for nothing: after a jump to the end, libsndfile would give other samples and write errors.
    for _ in _sndfile_blocks(soundfile.SoundFile(file), name):
        pass
    unread = file.read(MP3_TAIL_BYTES)
    return len(unread) == MP3_TAIL_BYTES and not any(tag in unread for tag in MP3_TAIL_TAGS)


def _sndfile_blocks(sound: soundfile.SoundFile, name: str) -> Iterator[Block]:
    done, frames = 0, BLOCK_FRAMES * BLOCK_CHANNELS // max(BLOCK_CHANNELS, sound.channels)
    try:
        while len(block := sound.read(frames, dtype="float32", always_2d=True)):
            done += len(block)
            yield block
    except soundfile.LibsndfileError as error:
        raise damaged(name) from error
    if done < sound.frames - _slack_frames(sound):
        raise damaged(name)


def _slack_frames(sound: soundfile.SoundFile) -> int:
    """How many frames fewer than stated are no damage: writers of MP3 count what they pad it with, and guess."""
    if sound.format == "MP3":
        return MP3_SLACK_FRAMES
    in_wav = sound.subtype.startswith("MPEG_LAYER")  # whether its bytes are all there was seen before
    return max(int(MPEG_IN_WAV_SLACK * sound.frames), int(MPEG_IN_WAV_SLACK_S * sound.samplerate)) if in_wav else 0


def _ffmpeg_source(decoder: Decoder, path: Path, need: NeedsFFmpeg) -> Source:
    stated = decoder.open(path, need.demuxer)
    info = AudioInfo(stated["seconds"], stated["rate"], stated["channels"], stated["format"])
    check_rate(info.rate, path.name)
    blocks = (np.frombuffer(data, np.float32).reshape(-1, channels) for channels, data in decoder.blocks())
    return Source(info, blocks)


def _check_ffmpeg(name: str, need: NeedsFFmpeg) -> None:
    if find_spec("av") is None:
        raise AudioError(f"{name} {need}: run pip install 'lect[video]' to read it, or {CONVERT}.")
