"""Recordings in, one shape out: mono float32 at 16 kHz, in [-1, 1]; and that shape back to a WAV file.

Knows files, containers, channels and rates. Does not know whether a recording is any good (`quality`), how long
one may be, or what is said in it. What cannot be decoded to its end is refused, never shortened quietly.
"""

import io
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from lect.engine.contract.errors import AudioError
from lect.engine.contract.files import write_bytes

SAMPLE_RATE = 16_000  # Hz
MIN_RATE, MAX_RATE = 4_000, 768_000  # Hz; below, speech is gone and a hostile header would multiply memory
BLOCK_FRAMES = 1 << 16  # a recording is decoded and resampled in pieces, so two hours need no second copy
HEAD_BYTES = 4_096  # enough to recognise a container, or plain text
FRAMES_UNKNOWN = 1 << 62  # libsndfile's count for a FLAC that was written to a pipe is its largest integer
RIFF_SLACK_BYTES = 1_024  # some writers count a chunk or a padding byte wrongly; 32 ms at 16 kHz
RIFF_UNKNOWN_BYTES = 0x7F00_0000  # sizes from here on are what writers put when they do not know (pipes)
OGG_PAGE_BYTES = 65_307  # the largest page, RFC 3533
MP3_SLACK_FRAMES = 2 * 1_152  # an MP3 without a length header is estimated to within a frame or two
MP3_TAIL_BYTES = 4_096  # this much unread, and none of it a tag, means that sound was left behind
MP3_TAIL_TAGS = (b"APETAGEX", b"LYRICSBEGIN")
STATED_SLACK_S = 0.5  # durations stated by containers include encoder delay and padding
CONVERT = "convert it to WAV or FLAC"

# First bytes -> FFmpeg's demuxer. Named, never guessed by FFmpeg: its playlist formats open other files and addresses.
OTHER_CONTAINERS = ((b"\x1a\x45\xdf\xa3", "matroska"), (b"\x30\x26\xb2\x75", "asf"), (b"#!AMR", "amr"))
ODD_CODINGS = ((b"RIFF", "wav"), (b"OggS", "ogg"), (b"fLaC", "flac"), (b"caff", "caf"))  # where libsndfile gives up
ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide")  # at byte 4 of m4a, mp4, mov, 3gp
BARE_STREAMS = ("mp3", "aac", "amr")
ADTS_SYNC = (b"\xff\xf1", b"\xff\xf9")  # bare AAC

Samples = NDArray[np.float32]
UseStretch = Callable[[int, Samples], None]
T = TypeVar("T")


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says."""

    seconds: float  # length; an estimate for an MP3 that carries no length
    rate: int  # samples a second, Hz
    channels: int  # as stored, before mixing down
    format: str  # container and coding, such as "WAV PCM_16" or "MOV aac"


@dataclass(frozen=True)
class _Source:
    """An open recording, whichever library reads it."""

    info: AudioInfo
    blocks: Iterator[Samples]  # (frames, channels) each
    headroom: bool = False  # stored as floats: samples past full scale are whole, not clipped


class _NeedsFFmpeg(Exception):
    """libsndfile cannot read this file to its end; FFmpeg may. The message says what is odd about it."""

    def __init__(self, demuxer: str, oddity: str) -> None:
        super().__init__(oddity)
        self.demuxer = demuxer


def probe(path: Path) -> AudioInfo:
    """Length, rate, channels and format of `path` from its header, without decoding. Raises AudioError."""
    return _with_source(path, lambda source: source.info)


def load_audio(path: Path) -> Samples:
    """`path` as (samples,) float32, mono (the mean of its channels), 16 kHz, in [-1, 1].

    Reads what libsndfile reads, and through PyAV (`lect[video]`) m4a, mp4, webm, mkv, wma, amr and aac.
    A floating-point recording that passes full scale is turned down as a whole, since nothing in it is lost; overshoot
    from lossy coding and from resampling is cut off at full scale. Raises AudioError, one sentence, for a file that
    is missing, empty, not sound, damaged or cut short, or that holds no samples, NaN or infinity.
    """
    return _with_source(path, lambda source: _to_speech(source, path.name))


def each_stretch(path: Path, stretches: Sequence[tuple[float, float]], use: UseStretch) -> float:
    """Hands stretches (start, end in seconds) of `path` to `use`, decoding it once; gives its length in seconds.

    use: called with a stretch's index and (samples,) as `load_audio` gives them, shorter where the recording ends
    first, and never for what begins after its end; twice for the same stretch if a damaged file has to be read anew.
    Memory holds the stretches that are open, not the recording. Raises AudioError as `load_audio` does.
    """
    return _with_source(path, lambda source: _cut(source, path.name, stretches, use))


def from_array(rate: int, samples: NDArray[Any]) -> Samples:
    """A recorder's array, (n,) or (n, channels), signed integers or floats, as (samples,) float32 at 16 kHz.

    Raises AudioError when it is empty, not finite, or of a rate or type that no recorder gives.
    """
    is_float = samples.dtype.kind == "f"
    if not (is_float or samples.dtype.name in ("int16", "int32")) or samples.ndim not in (1, 2):
        raise AudioError(
            f"The recording is a {samples.ndim}-dimensional array of {samples.dtype}: record 16-bit sound."
        )
    if not samples.size:
        raise AudioError("The recording holds no sound: check the microphone and record again.")
    _check_rate(rate, "The recording")
    frames = samples if samples.ndim == 2 else samples[:, None]
    scale = 1.0 if is_float else 2.0 ** (8 * samples.dtype.itemsize - 1)
    starts = range(0, len(frames), BLOCK_FRAMES)
    blocks = ((frames[i : i + BLOCK_FRAMES] / scale).astype(np.float32) for i in starts)
    info = AudioInfo(len(frames) / rate, rate, frames.shape[1], str(samples.dtype))
    return _to_speech(_Source(info, blocks, headroom=is_float), "The recording")


def write_wav(path: Path, samples: Samples) -> None:
    """Writes (samples,) float32 at 16 kHz as a 16-bit WAV, atomically; `load_audio` gives the same 16 bits back."""
    write_bytes(path, encoded(samples, "WAV"))


def encoded(samples: Samples, container: Literal["WAV", "FLAC"]) -> bytes:
    """(samples,) float32 at 16 kHz as a file of 16 bits a sample."""
    assert samples.ndim == 1 and np.isfinite(samples).all()
    # Scaled here, because libsndfile multiplies by 32767 when it writes and divides by 32768 when it reads.
    pcm = np.clip(np.rint(samples * np.float32(32_768)), -32_768, 32_767).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, SAMPLE_RATE, format=container, subtype="PCM_16")
    return buffer.getvalue()


def _to_speech(source: _Source, name: str) -> Samples:
    """Mixes, resamples and limits a source block by block: (samples,) float32."""
    collected = bytearray()  # grows in place, so the whole is never held twice
    for block in _resampled(source, name):
        collected += block.tobytes()
    return _limited(np.frombuffer(collected, np.float32), source.headroom, name)


def _resampled(source: _Source, name: str) -> Iterator[Samples]:
    """A source mixed to one channel at 16 kHz, block by block: (samples,) float32, not limited yet."""
    resampler = soxr.ResampleStream(source.info.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    for block in source.blocks:
        if not np.isfinite(block).all():
            raise AudioError(f"{name} holds samples that are not numbers (NaN or infinity): export it again.")
        yield resampler.resample_chunk(block.mean(axis=1, dtype=np.float32))
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _limited(samples: Samples, headroom: bool, name: str) -> Samples:
    if not len(samples):
        raise AudioError(f"{name} holds no sound: record or export it again.")
    peak = max(float(samples.max()), -float(samples.min()))
    if headroom and peak > 1:
        samples /= np.float32(peak)
    return np.clip(samples, -1, 1, out=samples)


def _cut(source: _Source, name: str, stretches: Sequence[tuple[float, float]], use: UseStretch) -> float:
    starts = [round(start * SAMPLE_RATE) for start, _ in stretches]
    # In samples, at least one: an annotation of a microsecond must not stop the others.
    bounds = [(start, max(start + 1, end * SAMPLE_RATE)) for start, (_, end) in zip(starts, stretches, strict=True)]
    waiting = deque(sorted(range(len(bounds)), key=bounds.__getitem__))
    opened: dict[int, list[Samples]] = {}

    def close(index: int) -> None:
        use(index, _limited(np.concatenate(opened.pop(index)), source.headroom, name))

    done = 0
    for block in _resampled(source, name):
        while waiting and bounds[waiting[0]][0] < done + len(block):
            opened[waiting.popleft()] = []
        for index in list(opened):
            start, end = bounds[index]
            last = len(block) if end >= done + len(block) else round(end) - done
            opened[index].append(block[max(start - done, 0) : last])
            if end <= done + len(block):
                close(index)
        done += len(block)
    for index in list(opened):
        close(index)
    return done / SAMPLE_RATE


def _with_source(path: Path, use: Callable[[_Source], T]) -> T:
    """`use` of the open recording: read by libsndfile, or from the start again by FFmpeg where that has to give up."""
    name = path.name
    try:
        _check_is_file(path)
        with path.open("rb") as file:
            try:
                return use(_sndfile_source(file, name))
            except _NeedsFFmpeg as need:
                return use(_ffmpeg_source(file, name, need))
    except OSError as error:
        raise AudioError(f"{name} cannot be opened ({error.strerror}): check its path and permissions.") from error


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        raise AudioError(f"{path.name} is a folder: name a recording in it.")
    if path.exists() and not path.is_file():  # opening a named pipe would wait for ever
        raise AudioError(f"{path.name} is not a file: name a recording.")
    if path.suffix.lower() == ".raw":  # soundfile believes the name and asks for a rate
        raise AudioError(f"{path.name} is raw samples that do not state their rate: {CONVERT}.")


def _check_rate(rate: int, name: str) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(f"{name} states {rate} samples a second, outside {MIN_RATE} to {MAX_RATE}: record at 16000.")


def _sndfile_source(file: BinaryIO, name: str) -> _Source:
    head, size = file.read(HEAD_BYTES), file.seek(0, io.SEEK_END)
    if not head:
        raise AudioError(f"{name} is empty: record or export it again.")
    if demuxer := _other_container(head):
        raise _NeedsFFmpeg(demuxer, f"is a {demuxer.upper()} container")
    _check_whole(file, head, size, name)
    file.seek(0)
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        raise _refusal(head, name) from error
    _check_rate(sound.samplerate, name)
    if sound.frames >= FRAMES_UNKNOWN:
        raise _NeedsFFmpeg("flac", "does not state its length")
    info = AudioInfo(
        sound.frames / sound.samplerate, sound.samplerate, sound.channels, f"{sound.format} {sound.subtype}"
    )
    return _Source(info, _sndfile_blocks(sound, file, name), headroom=sound.subtype in ("FLOAT", "DOUBLE"))


def _sndfile_blocks(sound: soundfile.SoundFile, file: BinaryIO, name: str) -> Iterator[Samples]:
    done, is_mp3 = 0, sound.format == "MP3"
    try:
        while len(block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
            done += len(block)
            yield block
    except soundfile.LibsndfileError as error:
        raise _damaged(name) from error
    if done < sound.frames - is_mp3 * MP3_SLACK_FRAMES:
        raise _damaged(name)
    # libsndfile takes the first frame's bit rate for the whole file's and stops there: seconds would be missing.
    unread = file.read(MP3_TAIL_BYTES) if is_mp3 else b""
    if len(unread) == MP3_TAIL_BYTES and not any(tag in unread for tag in MP3_TAIL_TAGS):
        raise _NeedsFFmpeg("mp3", "is an MP3 of varying bit rate that does not state its length")


def _ffmpeg_source(file: BinaryIO, name: str, need: _NeedsFFmpeg) -> _Source:
    try:
        import av
    except ImportError as error:
        raise AudioError(f"{name} {need}: run pip install 'lect[video]' to read it, or {CONVERT}.") from error
    try:
        container = _open_container(file, need.demuxer)
        if not container.streams.audio:
            raise AudioError(f"{name} is a {need.demuxer.upper()} container without sound: name a recording.")
        codec = container.streams.audio[0].codec_context
        _check_rate(codec.sample_rate, name)
        info = AudioInfo(
            _stated_seconds(container) or _packet_seconds(container),
            codec.sample_rate,
            codec.channels,
            f"{need.demuxer.upper()} {codec.name}",
        )
        container = _open_container(file, need.demuxer)  # counting packets used the first one up
    except av.FFmpegError as error:
        raise _damaged(name) from error
    return _Source(info, _ffmpeg_blocks(container, info, name))


def _ffmpeg_blocks(container: Any, info: AudioInfo, name: str) -> Iterator[Samples]:
    import av

    # The rate is given because HE-AAC may decode to twice the rate of its header.
    to_planar = av.AudioResampler(format="fltp", rate=info.rate)
    done = 0
    try:
        for frame in chain(container.decode(container.streams.audio[0]), (None,)):
            for planar in to_planar.resample(frame):
                done += planar.samples
                yield planar.to_ndarray().T.astype(np.float32, copy=False)
    except av.FFmpegError as error:
        raise _damaged(name) from error
    stated = _stated_seconds(container)
    if stated and done / info.rate < stated - STATED_SLACK_S:
        raise _damaged(name)


def _open_container(file: BinaryIO, demuxer: str) -> Any:
    import av

    file.seek(0)
    return av.open(file, format=demuxer)


def _stated_seconds(container: Any) -> float | None:
    """The sound's length by its header, or None where there is none, as in what a browser records."""
    stream = container.streams.audio[0]
    if container.format.name in BARE_STREAMS:  # FFmpeg only guesses
        return None
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is None or len(container.streams) > 1:  # pictures may outlast the sound
        return None
    return float(container.duration) / 1e6


def _packet_seconds(container: Any) -> float:
    """Where the last packet of sound ends; reads the whole file but decodes nothing."""
    packets = container.demux(container.streams.audio[0])
    return max((float((p.pts + (p.duration or 0)) * p.time_base) for p in packets if p.pts is not None), default=0.0)


def _other_container(head: bytes) -> str | None:
    """FFmpeg's name for a container that libsndfile does not know, from its first bytes."""
    if head[4:8] in ISO_BOXES:
        return "mov"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    if head.startswith(ADTS_SYNC):
        return "aac"
    return next((demuxer for magic, demuxer in OTHER_CONTAINERS if head.startswith(magic)), None)


def _refusal(head: bytes, name: str) -> Exception:
    """Why libsndfile could not open a file that begins with `head`: coded oddly, text, or nothing known."""
    if demuxer := next((demuxer for magic, demuxer in ODD_CODINGS if head.startswith(magic)), None):
        return _NeedsFFmpeg(demuxer, f"is a {demuxer.upper()} file in an unusual coding, or damaged")
    if _is_text(head):
        return AudioError(f"{name} holds text, not sound: name the recording itself.")
    return AudioError(f"{name} is not sound in a format known here: {CONVERT}.")


def _is_text(head: bytes) -> bool:
    """Any encoding: sound has control characters within its first bytes, text has none but spacing."""
    return head.startswith((b"\xff\xfe", b"\xfe\xff")) or not set(head) & (set(range(32)) - set(b"\t\n\f\r\x1b"))


def _check_whole(file: BinaryIO, head: bytes, size: int, name: str) -> None:
    """Refuses a cut WAV, AIFF or Ogg: libsndfile would read what is left without a word."""
    if head.startswith((b"RIFF", b"FORM")) and len(head) >= 12:
        stated = struct.unpack("<I" if head.startswith(b"RIFF") else ">I", head[4:8])[0]
        cut = size + RIFF_SLACK_BYTES < stated < RIFF_UNKNOWN_BYTES
    elif head.startswith(b"OggS"):
        file.seek(max(0, size - 2 * OGG_PAGE_BYTES))
        cut = _ends_inside_ogg_page(file.read())
    else:
        return
    if cut:
        raise _damaged(name)


def _ends_inside_ogg_page(tail: bytes) -> bool:
    # A page is 27 bytes (the last is its number of segments), the sizes of its segments, and the segments.
    start = tail.rfind(b"OggS")
    header = tail[start : start + 27]
    if start < 0 or len(header) < 27:
        return True
    sizes = tail[start + 27 : start + 27 + header[26]]
    return start + 27 + header[26] + sum(sizes) > len(tail)


def _damaged(name: str) -> AudioError:
    return AudioError(f"{name} is damaged or cut short: copy or export it again.")
