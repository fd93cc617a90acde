"""What a file is by its bytes, and whether all of it is there: containers, text, and files that were cut short.

It decodes nothing.
"""

import io
import struct
from typing import BinaryIO

from ..contract.errors import AudioError

HEAD_BYTES = 4_096  # enough to recognise a container, or plain text
RIFF_SLACK_BYTES = 1_024  # some writers count a chunk or a padding byte wrongly; 32 ms at 16 kHz
RIFF_UNKNOWN_BYTES = 0x7F00_0000  # sizes from here on are what writers put when they do not know (pipes)
OGG_PAGE_BYTES = 65_307  # the largest page, RFC 3533
MP3_TAIL_BYTES = 4_096  # this much unread, and none of it a tag, means that sound was left behind
CONVERT = "convert it to WAV or FLAC"

# First bytes -> FFmpeg's demuxer. Named, never guessed by FFmpeg: its playlist formats open other files and addresses.
OTHER_CONTAINERS = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"\x30\x26\xb2\x75", "asf"),
    (b"#!AMR", "amr"),
    (b"\x00\x00\x01\xba", "mpeg"),
)
ODD_CODINGS = ((b"RIFF", "wav"), (b"OggS", "ogg"), (b"fLaC", "flac"), (b"caff", "caf"))  # where libsndfile gives up
ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide")  # at byte 4 of m4a, mp4, mov, 3gp
TS_SYNC, TS_PACKET_BYTES, TS_STAMP_BYTES = b"G", 188, 4  # MPEG transport streams; those of cameras stamp each packet
ADTS_SYNC = (b"\xff\xf1", b"\xff\xf9")  # bare AAC


class NeedsFFmpeg(Exception):
    """libsndfile cannot read this file to its end; FFmpeg may. The message says what is odd about it."""

    def __init__(self, demuxer: str, oddity: str) -> None:
        super().__init__(oddity)
        self.demuxer = demuxer


def checked_head(file: BinaryIO, name: str) -> bytes:
    """The first bytes of a file that libsndfile may open. Raises AudioError or NeedsFFmpeg for any other."""
    head, size = file.read(HEAD_BYTES), file.seek(0, io.SEEK_END)
    if not head:
        raise AudioError(f"{name} is empty: record or export it again.")
    if demuxer := _other_container(head):
        raise NeedsFFmpeg(demuxer, f"is a {demuxer.upper()} container")
    if _is_cut_short(file, head, size):
        raise damaged(name)
    file.seek(0)
    return head


def refusal(head: bytes, name: str) -> Exception:
    """Why libsndfile could not open a file that begins with `head`: coded oddly, text, or nothing known."""
    if demuxer := next((demuxer for magic, demuxer in ODD_CODINGS if head.startswith(magic)), None):
        return NeedsFFmpeg(demuxer, f"is a {demuxer.upper()} file in an unusual coding, or damaged")
    if _is_text(head):
        return AudioError(f"{name} holds text, not sound: name the recording itself.")
    return AudioError(f"{name} is not sound in a format known here: {CONVERT}.")


def states_length(head: bytes, file: BinaryIO) -> bool:
    """Whether an MP3's first frame (LAME's Xing header) counts all of its frames and bytes."""
    start = _id3_bytes(head)
    found = max(head.find(tag, start, start + 48) for tag in (b"Xing", b"Info"))
    flags = int.from_bytes(head[found + 4 : found + 8], "big")
    if found < 0 or flags & 3 != 3:  # frames and bytes
        return False
    place = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(place)
    return size - found - int.from_bytes(head[found + 12 : found + 16], "big") < MP3_TAIL_BYTES


def damaged(name: str) -> AudioError:
    """What a person reads of a file that ends or breaks where it should not."""
    return AudioError(f"{name} is damaged or cut short: copy or export it again.")


def _other_container(head: bytes) -> str | None:
    """FFmpeg's name for a container that libsndfile does not know, from its first bytes."""
    if head[4:8] in ISO_BOXES:
        return "mov"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    if head.startswith(ADTS_SYNC):
        return "aac"
    if _is_transport_stream(head):
        return "mpegts"
    return next((demuxer for magic, demuxer in OTHER_CONTAINERS if head.startswith(magic)), None)


def _is_transport_stream(head: bytes) -> bool:
    for stamp in (0, TS_STAMP_BYTES):
        syncs = head[stamp :: TS_PACKET_BYTES + stamp]
        if len(syncs) > 4 and syncs == TS_SYNC * len(syncs):
            return True
    return False


def _id3_bytes(head: bytes) -> int:
    """The length of the ID3 tag that a file begins with; 0 without one."""
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:  # of 7 bits
        size = size << 7 | byte
    return 10 + size


def _is_text(head: bytes) -> bool:
    """Any encoding: sound has control characters within its first bytes, text has none but spacing."""
    return head.startswith((b"\xff\xfe", b"\xfe\xff")) or not set(head) & (set(range(32)) - set(b"\t\n\f\r\x1b"))


def _is_cut_short(file: BinaryIO, head: bytes, size: int) -> bool:
    """Whether a WAV, AIFF or Ogg lacks its end: libsndfile would read what is left without a word."""
    if head.startswith((b"RIFF", b"FORM")) and len(head) >= 12:
        stated = struct.unpack("<I" if head.startswith(b"RIFF") else ">I", head[4:8])[0]
        return bool(size + RIFF_SLACK_BYTES < stated < RIFF_UNKNOWN_BYTES)
    if head.startswith(b"OggS"):
        file.seek(max(0, size - 2 * OGG_PAGE_BYTES))
        return _ends_inside_ogg_page(file.read())
    return False


def _ends_inside_ogg_page(tail: bytes) -> bool:
    # A page is 27 bytes (the last is its number of segments), the sizes of its segments, and the segments.
    start = tail.rfind(b"OggS")
    header = tail[start : start + 27]
    if start < 0 or len(header) < 27:
        return True
    sizes = tail[start + 27 : start + 27 + header[26]]
    return start + 27 + header[26] + sum(sizes) > len(tail)
