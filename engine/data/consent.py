"""What a community and each person allow to be done with recordings, use by use; and who learnt from whose voice.

A community's word comes first: "no" is no for all, "ask" needs each person's "yes", else a person's "no" counts alone.
What nobody was asked is not forbidden. It does not decide what a use is: whoever trains or exports asks here.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ..contract.errors import UsageError
from ..contract.run_files import RunFiles
from .clips import Clip, Community, Pack, Run, Speaker
from .store import Project

USES = {"train": "training", "share": "sharing"}  # learning from the recordings; handing on what was learnt
YES, NO, ASK = "yes", "no", "ask"
LABEL = re.compile(r"(TK|BC)[ -]?([A-Z]{1,3})", re.IGNORECASE)  # Local Contexts' codes, such as TK NC
SHOWN = 3  # speakers in a sentence


def label_code(text: str) -> str:
    """`tk-nc` as `TK NC`. Raises UsageError for what is no such code."""
    match = LABEL.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no code of a Local Contexts label: write it as TK NC or BC P.")
    return f"{match[1]} {match[2]}".upper()


def check_covered(project: Project, use: str, clips: Iterable[Clip]) -> None:
    """Raises UsageError where the community, or a speaker of these clips, does not allow a use."""
    community, said = project.community(), {speaker.name: speaker for speaker in project.speakers()}
    answer, what = community.uses.get(use, ""), USES[use]
    if answer == NO:
        raise UsageError(
            f"{community.name or 'The community'} did not agree to {what}: ask again, and note it with lect consent."
        )
    counts = Counter(clip.speaker for clip in clips)
    uncovered = [name for name in sorted(counts) if not _covers(said.get(name, Speaker(name)), use, answer)]
    if uncovered:
        named = ", ".join(f"“{name or 'nobody named'}” ({counts[name]})" for name in uncovered[:SHOWN])
        more = f" and {len(uncovered) - SHOWN} more" if len(uncovered) > SHOWN else ""
        raise UsageError(
            f"The consent of {named}{more} does not cover {what} (their clips are counted): ask them, and note it with "
            "lect consent, or train without their clips."
        )


def check_unnamed_covered(project: Project, use: str) -> None:
    """Raises UsageError where the community asks each speaker: of recordings without a label nobody knows them."""
    if project.community().uses.get(use, "") == ASK:
        raise UsageError(
            f"Each speaker must have agreed to {USES[use]}, and nobody is named in recordings without a text: leave "
            "them out, or import them as clips."
        )


def _covers(speaker: Speaker, use: str, community: str) -> bool:
    answer = speaker.uses.get(use, "")
    return answer == YES if community == ASK else answer != NO


def rights(project: Project, clips: Sequence[Clip]) -> dict[str, Any]:
    """What travels with an export, without anybody's name but the community's; empty where nothing was stated."""
    community, said = project.community(), {speaker.name: speaker for speaker in project.speakers()}
    spoken = [said[name] for name in sorted({clip.speaker for clip in clips}) if name in said]
    found: dict[str, Any] = {}
    if community != Community():
        found["community"] = community.name
        found |= {"licence": community.licence, "consent": community.consent, "labels": list(community.labels)}
        found["uses"] = dict(community.uses)
    answers = {use: sum(speaker.uses.get(use) == YES for speaker in spoken) for use in USES}
    if any(answers.values()):
        found["speakers"] = len({clip.speaker for clip in clips})
        found["speakers_agreed"] = answers
    return found


def learnt_from(project: Project, speaker: str) -> tuple[list[Run], list[Pack]]:
    """The runs that were made with a speaker's clips, deleted ones among them, and the packs of these runs."""
    theirs = {clip.sha256 for clip in [*project.clips(), *project.trash()] if clip.speaker == speaker}
    runs = [run for run in project.runs() if theirs & _hashes(run)]
    numbers = {run.id for run in runs}
    return runs, [pack for pack in project.packs() if pack.run in numbers]


def _hashes(run: Run) -> set[str]:
    files = RunFiles(run.folder)
    return {sha for hashes in files.clip_hashes().values() for sha in hashes} if files.clips.exists() else set()
