"""Subtitles, one cue a segment, as Whisper writes them."""

from pathlib import Path

from ..transcript import Transcript


def srt(transcript: Transcript, media: Path) -> str:
    """SubRip: hours always, a comma before the milliseconds."""
    cues = (
        f"{number}\n{_clock(each.start, ',', True)} --> {_clock(each.end, ',', True)}\n{_plain(each.text)}\n\n"
        for number, each in enumerate(transcript.segments, start=1)
    )
    return "".join(cues)


def vtt(transcript: Transcript, media: Path) -> str:
    """WebVTT: markup characters escaped, so that no player takes text for tags."""
    cues = (
        f"\n{_clock(each.start, '.', False)} --> {_clock(each.end, '.', False)}\n{_escaped(each.text)}\n"
        for each in transcript.segments
    )
    return "WEBVTT\n" + "".join(cues)


def _clock(seconds: float, point: str, always_hours: bool) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours:02d}:" if hours or always_hours else ""
    return f"{shown}{minutes:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"


def _plain(text: str) -> str:
    return text.replace("-->", "->")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
