"""What a review of a project's clips advises, in sentences: for the command line and the page.

It does not know how anything was found.
"""

from collections.abc import Sequence

from lect.engine.data.clips import UNKNOWN_SPEAKER
from lect.engine.data.review import ENOUGH_MINUTES, Review, total_seconds

from .output import counted, duration

SHOWN = 12
REMEDIES = {
    "noisy": "record in a quieter place, or nearer to the microphone",
    "too quiet": "go nearer to the microphone, or turn its level up",
    "clipped": "turn the microphone's level down",
    "cut off": "wait a moment before and after speaking",
    "empty": "check that the right microphone records",
}


def advice(found: Review) -> list[str]:
    """What to do, the most fruitful first."""
    if not found.clips:
        return ["There is no clip yet: record or import some."]
    verdicts = [
        f"{counted(number, 'clip')} {verdict}: {REMEDIES[verdict]}."
        for verdict, number in found.frequent_verdicts.items()
        if verdict in REMEDIES
    ]
    return [*_amount(found), *verdicts, *_voices(found), *_rare(found), *_misfits(found), *_doubts(found), *found.leaks]


def _amount(found: Review) -> list[str]:
    if not (more := found.clips_to_enough):
        return []
    length = duration(total_seconds(found.usable))
    return [
        f"There are {length} to use: {counted(more, 'clip')} more like these make {ENOUGH_MINUTES} minutes, "
        "a good start."
    ]


def _voices(found: Review) -> list[str]:
    speakers = found.speakers
    if UNKNOWN_SPEAKER in speakers:
        return ["Some clips do not say who speaks: then nothing tells whether the test has a new voice."]
    if len(speakers) == 1:
        return ["There is one speaker: others may be understood worse than the scores say."]
    if not (name := found.dominant_speaker):
        return []
    share = f"{len(speakers[name])} of {len(found.clips)} clips"
    return [f"{name} speaks {share}: record the others more, or they will be understood worse."]


def _rare(found: Review) -> list[str]:
    rare = [one.symbol for one in found.inventory if one.rare]
    if not rare:
        return []
    named = " ".join(rare[:SHOWN]) + (" …" if len(rare) > SHOWN else "")
    return [f"Record more sentences with {named}, or correct the labels where these are slips."]


def _misfits(found: Review) -> list[str]:
    if not found.misfits:
        return []
    return [f"Listen to clip {_named(found.misfits)}: the label is far too long or too short for the recording."]


def _doubts(found: Review) -> list[str]:
    return [f"Look at clip {_named(clips)}: {why[0].lower()}{why[1:]}" for why, clips in found.doubts.items()]


def _named(clips: Sequence[int]) -> str:
    return ", ".join(map(str, clips[:SHOWN])) + (", …" if len(clips) > SHOWN else "")
