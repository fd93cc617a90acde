"""FFmpeg, through PyAV, in a process of its own: what a file makes it do ends this process, and nothing else.

`decoders` starts it and asks. A request is a line of JSON on the standard input: a file to open, the next of its
blocks, or to close it. An answer is a line of JSON on the standard output, and the block's bytes behind it.
It knows neither numpy nor what models take.
"""

import json
import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import av

from ..contract.errors import AudioError
from .containers import CONVERT, damaged

BLOCK_BYTES = 1 << 18  # of an answer: 4 s of mono at 16 kHz
SAMPLE_BYTES = 4
STATED_SLACK_S = 0.5  # durations stated by containers include encoder delay and padding
BARE_STREAMS = ("mp3", "aac", "amr", "mpeg", "mpegts")
MEMORY_BYTES = 2 << 30  # of addresses; 0.15 GB are in use for most
CPU_S = 120  # for one answer; to count the packets of 4 GB takes 10

Block = tuple[int, bytes]  # channels, and float32 samples in their turn


class Recording:
    """An open file. Raises AudioError for one that has no sound, or none that FFmpeg can decode."""

    def __init__(self, path: Path, demuxer: str):
        self._path, self._demuxer = path, demuxer
        container = self._opened()
        if not container.streams.audio:
            raise AudioError(f"{path.name} is a {demuxer.upper()} container without sound: name a recording.")
        codec = container.streams.audio[0].codec_context
        if codec is None:
            raise AudioError(f"{path.name} holds sound in a coding that FFmpeg does not know: {CONVERT}.")
        self._rate = codec.sample_rate
        self.info = {
            "seconds": _stated_seconds(container) or _packet_seconds(container),
            "rate": codec.sample_rate,
            "channels": codec.channels,
            "format": f"{demuxer.upper()} {codec.name}",
        }
        container.close()

    def blocks(self) -> Iterator[Block]:
        """Its sound. Raises AudioError where it ends before its container says."""
        channels, parts, size, done = 0, list[bytes](), 0, 0
        with self._opened() as container:  # another one: counting packets uses one up
            for frame in _packed(container, self._rate):
                if size >= BLOCK_BYTES:
                    yield channels, b"".join(parts)
                    parts, size = [], 0
                channels, done = frame.layout.nb_channels, done + frame.samples
                parts.append(bytes(frame.planes[0])[: frame.samples * channels * SAMPLE_BYTES])
                size += len(parts[-1])
            stated = _stated_seconds(container)
        if parts:
            yield channels, b"".join(parts)
        if stated and done / self._rate < stated - STATED_SLACK_S:
            raise damaged(self._path.name)

    def _opened(self) -> Any:
        # Titles in Latin-1 are no reason to refuse the sound.
        return av.open(str(self._path), format=self._demuxer, metadata_errors="replace")


def _packed(container: Any, rate: int) -> Iterator[Any]:
    """Frames of interleaved float32: PyAV reads planes beyond the eighth from memory that is not theirs."""
    # The rate is given because HE-AAC may decode to twice the rate of its header.
    resampler = av.AudioResampler(format="flt", rate=rate)
    for frame in chain(container.decode(container.streams.audio[0]), (None,)):
        yield from resampler.resample(frame)


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
    """From the first packet of sound to the end of the last; reads the whole file but decodes nothing."""
    start, end = math.inf, 0.0
    for packet in container.demux(container.streams.audio[0]):
        if packet.pts is not None:
            start = min(start, float(packet.pts * packet.time_base))  # streams of cameras begin at any time
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return end - min(end, max(0.0, start))


def _bound_memory() -> None:
    with suppress(ImportError, OSError, ValueError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _bound_time() -> None:
    """Lets the system end this process where an answer takes for ever; a slow disk is no reason."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        most = math.ceil(time.process_time()) + CPU_S
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(value: dict[str, Any], data: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(value | {"bytes": len(data)}).encode() + b"\n" + data)
    sys.stdout.buffer.flush()


def main() -> None:
    """Answers until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it stops it
    _bound_memory()
    _answer({})
    path, blocks = Path(), iter(list[Block]())
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _bound_time()
        try:
            if "open" in request:
                path = Path(request["open"])
                recording = Recording(path, request["demuxer"])
                blocks = recording.blocks()
                _answer(recording.info)
            elif "close" in request:
                blocks = iter([])
                _answer({})
            else:
                channels, data = next(blocks, (0, b""))
                _answer({"channels": channels}, data)
        except AudioError as error:
            _answer({"error": str(error)})
        except Exception:  # PyAV raises much beside its own errors over a stranger's bytes
            _answer({"error": str(damaged(path.name))})


if __name__ == "__main__":
    main()
