"""A transcript that a person corrects: its segments, what can be done with them, and the way back.

Every action takes some segments that lie side by side out, and puts others in their place; so one record undoes any of
them. Plain values: it does not know files, sound or the page.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from lect.engine.contract.errors import UsageError
from lect.exports.transcript import Language, Segment, Skipped, TimedWord, Transcript

from .words import cut_at, retimed

SHORTEST_S = 0.05  # of a segment
STEPS_BACK = 100
FACTS = ("file", "seconds", "facts", "speaker", "used", "version", "next_id")  # of a draft, beside parts and actions


@dataclass(frozen=True)
class Part:
    """One segment. Parts are in order and do not overlap."""

    id: int  # never used again in its draft
    start: float  # seconds
    end: float
    text: str  # one line
    words: tuple[TimedWord, ...] = ()
    confidence: float = 1.0
    checked: bool = False  # by a person, who says that text and edges are right
    changed: bool = False  # whether a person wrote any of it
    speaker: str = ""  # "": the draft's

    @cached_property
    def line(self) -> str:
        """As JSON."""
        return _encoded(part_json(self))


@dataclass(frozen=True)
class Change:
    """An action: from `at` on, `before` became `after`."""

    at: int
    before: tuple[Part, ...]
    after: tuple[Part, ...]
    typed: int = 0  # the part whose text it is, while it may still be typed on


@dataclass(frozen=True)
class Draft:
    """A transcript while it is corrected."""

    file: str  # the recording's name
    seconds: float
    facts: Mapping[str, Any]  # of the transcript that it began as, those that no correction changes
    parts: tuple[Part, ...] = ()
    speaker: str = ""  # who speaks where a part does not say
    used: Mapping[str, str] = field(default_factory=dict)  # clips of the project that it became: number -> label
    version: int = 0  # counts actions, undoing ones too
    next_id: int = 1
    done: tuple[Change, ...] = ()  # the latest last
    undone: tuple[Change, ...] = ()  # likewise

    def index(self, part: int) -> int:
        """Where a part stands. Raises UsageError when it is gone."""
        for place, each in enumerate(self.parts):
            if each.id == part:
                return place
        raise UsageError("That segment is no longer there: another window has changed it.")

    def write(self, part: int, text: str, *, typing: bool = False) -> "Draft":
        """Another text for a part; typing: so soon after the last one that both are undone together."""
        at = self.index(part)
        old, text = self.parts[at], " ".join(text.split())
        if text == old.text:
            return self
        words = retimed(old.words, text, old.start, old.end)
        new = replace(old, text=text, words=words, confidence=1.0, changed=True)
        last = self.done[-1] if self.done else None
        if typing and last and last.typed == part and not self.undone:
            joined = replace(self, done=self.done[:-1])._act(at, 1, [new], typed=part)
            return replace(joined, done=(*self.done[:-1], replace(joined.done[-1], before=last.before)))
        return self._act(at, 1, [new], typed=part)

    def split(self, part: int, offset: int) -> "Draft":
        """Cuts a part in two where the character at `offset` of its text is spoken."""
        at = self.index(part)
        old = self.parts[at]
        when = cut_at(old.words, old.text, offset, old.start, old.end)
        return self.split_at(part, when, offset)

    def split_at(self, part: int, when: float, offset: int | None = None) -> "Draft":
        """Cuts a part in two at a time; offset: of its text, else after the words that are spoken by then."""
        at = self.index(part)
        old = self.parts[at]
        if old.end - old.start < 2 * SHORTEST_S:
            raise UsageError("This segment is too short to be split.")
        when = min(max(when, old.start + SHORTEST_S), old.end - SHORTEST_S)
        if offset is None:
            before = [word for word in old.words if (word.start + word.end) / 2 < when]
            texts = [" ".join(word.text for word in each) for each in (before, old.words[len(before) :])]
        else:
            texts = [old.text[:offset], old.text[offset:]]
        halves = []
        for number, (text, start, end) in enumerate(zip(texts, (old.start, when), (when, old.end), strict=True)):
            text = " ".join(text.split())
            near = [word for word in old.words if word.end > start and word.start < end]
            words = retimed(near, text, start, end)
            id_ = old.id if number == 0 else self.next_id
            halves.append(replace(old, id=id_, start=start, end=end, text=text, words=words, checked=False))
        return self._act(at, 1, halves)

    def merge(self, part: int) -> "Draft":
        """Joins a part with the one that follows. Raises UsageError for the last one."""
        at = self.index(part)
        if at + 1 == len(self.parts):
            raise UsageError("This is the last segment: there is none to merge it with.")
        one, other = self.parts[at : at + 2]
        joined = replace(
            one,
            end=other.end,
            text=" ".join(filter(None, (one.text, other.text))),
            words=one.words + other.words,
            confidence=min(one.confidence, other.confidence),
            checked=one.checked and other.checked,
            changed=one.changed or other.changed,
        )
        return self._act(at, 2, [joined])

    def move(self, part: int, start: float, end: float) -> "Draft":
        """Other edges, as far as the neighbours leave room."""
        at = self.index(part)
        old = self.parts[at]
        low = self.parts[at - 1].end if at else 0.0
        high = self.parts[at + 1].start if at + 1 < len(self.parts) else self.seconds
        if not (math.isfinite(start) and math.isfinite(end)) or high - low < SHORTEST_S:
            raise UsageError("There is no room for that segment.")
        start = round(min(max(start, low), high - SHORTEST_S), 3)
        end = round(max(min(end, high), start + SHORTEST_S), 3)
        if (start, end) == (old.start, old.end):
            return self
        words = retimed(old.words, old.text, start, end)
        return self._act(at, 1, [replace(old, start=start, end=end, words=words)])

    def add(self, start: float, end: float) -> "Draft":
        """An empty part where there is none yet. Raises UsageError where there is no room."""
        at = sum(part.start < start for part in self.parts)
        low = self.parts[at - 1].end if at else 0.0
        high = self.parts[at].start if at < len(self.parts) else self.seconds
        start, end = round(max(start, low), 3), round(min(end, high), 3)
        if not end - start >= SHORTEST_S:
            raise UsageError("There is no room for a segment: split the one that is there.")
        return self._act(at, 0, [Part(self.next_id, start, end, "", changed=True)])

    def remove(self, part: int) -> "Draft":
        """Takes a part out; what is spoken there is not part of the transcript."""
        return self._act(self.index(part), 1, [])

    def check(self, part: int, checked: bool) -> "Draft":
        """Marks a part as right, or no longer. Raises UsageError for one without text."""
        at = self.index(part)
        if checked and not self.parts[at].text:
            raise UsageError("This segment has no text yet: write what is said, or remove it.")
        if self.parts[at].checked == checked:
            return self
        return self._act(at, 1, [replace(self.parts[at], checked=checked)])

    def name(self, part: int, speaker: str) -> "Draft":
        """Who speaks in a part; "": the draft's speaker."""
        at = self.index(part)
        return self._act(at, 1, [replace(self.parts[at], speaker=" ".join(speaker.split()))])

    def name_all(self, speaker: str) -> "Draft":
        """Who speaks where parts do not say. It is no action that is undone."""
        return replace(self, speaker=" ".join(speaker.split()), version=self.version + 1)

    def undo(self) -> "Draft":
        """Takes the last action back, if there is one."""
        if not self.done:
            return self
        *left, last = self.done
        parts = _put(self.parts, last.at, len(last.after), last.before)
        undone = (*self.undone, replace(last, typed=0))
        return replace(self, parts=parts, done=tuple(left), undone=undone, version=self.version + 1)

    def redo(self) -> "Draft":
        """Does again what was taken back last, if nothing was done since."""
        if not self.undone:
            return self
        *left, last = self.undone
        parts = _put(self.parts, last.at, len(last.before), last.after)
        return replace(self, parts=parts, done=(*self.done, last), undone=tuple(left), version=self.version + 1)

    def _act(self, at: int, count: int, new: Sequence[Part], typed: int = 0) -> "Draft":
        change = Change(at, self.parts[at : at + count], tuple(new), typed)
        return replace(
            self,
            parts=_put(self.parts, at, count, new),
            version=self.version + 1,
            next_id=max([self.next_id, *(part.id + 1 for part in new)]),
            done=(*self.done, change)[-STEPS_BACK:],
            undone=(),
        )


def _put(parts: tuple[Part, ...], at: int, count: int, new: Sequence[Part]) -> tuple[Part, ...]:
    return (*parts[:at], *new, *parts[at + count :])


def draft_of(file: str, transcript: Transcript) -> Draft:
    """What a person begins with."""
    parts = tuple(
        Part(number, s.start, s.end, " ".join(s.text.split()), s.words, s.confidence)
        for number, s in enumerate(transcript.segments, start=1)
    )
    language = transcript.language
    facts = {
        "real_time_factor": transcript.real_time_factor,
        "device": transcript.device,
        "vad": transcript.vad,
        "word_times": transcript.word_times,
        "language": asdict(language) if language else None,
        "skipped": [asdict(each) for each in transcript.skipped],
    }
    return Draft(file, transcript.seconds, facts, parts, next_id=len(parts) + 1)


def transcript_of(draft: Draft) -> Transcript:
    """The draft as it stands: what every format is written from. Parts without text count as skipped."""
    spoken = [part for part in draft.parts if part.text]
    language = Language(**draft.facts["language"]) if draft.facts["language"] else None
    segments = tuple(
        Segment(p.start, p.end, p.text, p.words, 1.0 if p.checked else p.confidence, language=language) for p in spoken
    )
    logs = [(math.log(max(each.confidence, 1e-9)), len(each.words)) for each in segments]
    weight = sum(count for _, count in logs)
    return Transcript(
        text=" ".join(part.text for part in spoken),
        segments=segments,
        skipped=_skipped(draft, spoken),
        words=tuple(word for part in spoken for word in part.words),
        confidence=math.exp(sum(log * count for log, count in logs) / weight) if weight else 0.0,
        seconds=draft.seconds,
        real_time_factor=draft.facts["real_time_factor"],
        device=draft.facts["device"],
        vad=draft.facts["vad"],
        word_times="estimated" if any(part.changed for part in spoken) else draft.facts["word_times"],
        language=language,
    )


def _skipped(draft: Draft, spoken: Sequence[Part]) -> tuple[Skipped, ...]:
    """What lies between the segments, with the reason that was given for most of it."""
    known = [Skipped(**each) for each in draft.facts["skipped"]]
    edges = [0.0, *(edge for part in spoken for edge in (part.start, part.end)), draft.seconds]
    found = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end > start:
            covering = max(known, key=lambda each: min(each.end, end) - max(each.start, start), default=None)
            found.append(Skipped(start, end, covering.reason if covering else "no speech"))
    return tuple(found)


def to_line(draft: Draft) -> str:
    """JSON that `from_line` reads back. A part is encoded once, since an action leaves nearly all as they are."""
    parts = f'"parts":[{_lines(draft.parts)}]'
    changes = (f'"{name}":[{",".join(map(_change_line, getattr(draft, name)))}]' for name in ("done", "undone"))
    facts = {name: getattr(draft, name) for name in FACTS}
    return ",".join([_encoded(facts)[:-1], parts, *changes]) + "}"


def _change_line(change: Change) -> str:
    edges = f'"at":{change.at},"typed":{change.typed}'
    return f'{{{edges},"before":[{_lines(change.before)}],"after":[{_lines(change.after)}]}}'


def _lines(parts: Iterable[Part]) -> str:
    return ",".join(part.line for part in parts)


def _encoded(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def part_json(part: Part) -> dict[str, Any]:
    """A part as a JSON object; its words as (text, start, end, confidence), since an hour has thousands."""
    words = [(w.text, w.start, w.end, round(w.confidence, 4)) for w in part.words]
    return {each.name: getattr(part, each.name) for each in fields(part)} | {"words": words}


def from_line(line: str | bytes) -> Draft:
    """From `to_line`."""
    value = json.loads(line)
    changes = {name: tuple(map(_change, value[name])) for name in ("done", "undone")}
    return Draft(**{**value, "parts": tuple(map(_part, value["parts"])), **changes})


def _part(value: Mapping[str, Any]) -> Part:
    return Part(**{**value, "words": tuple(TimedWord(*word) for word in value["words"])})


def _change(value: Mapping[str, Any]) -> Change:
    both = {name: tuple(map(_part, value[name])) for name in ("before", "after")}
    return Change(value["at"], **both, typed=value["typed"])
