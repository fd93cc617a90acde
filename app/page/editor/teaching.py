"""From corrected transcripts to a training that goes on from the last one. It does not know how that is asked for."""

from dataclasses import asdict
from typing import Any

from lect.engine.contract.errors import UsageError
from lect.engine.contract.run_files import RunFiles
from lect.engine.contract.run_request import RunRequest
from lect.engine.data.clips import Speaker
from lect.engine.data.corrections import Taken, take_corrected
from lect.engine.data.layouts import Item
from lect.engine.data.store import Project
from lect.engine.runs import queue

from ...output import percent
from ...rounds import rounds
from ..markup import card, notice, table, text
from ..pictures import chart
from ..texts import Say
from .place import Place


def use(project: Project, place: Place, number: str, consent: str) -> Taken:
    """Makes clips of a draft's checked segments. Raises UsageError when none is checked."""
    draft = place.read(number)
    checked = [part for part in draft.parts if part.checked and part.text]
    if not checked and not draft.used:
        raise UsageError("No segment is checked yet: listen, correct, then press Enter.")
    sound = place.sound(number)
    items = [Item(sound, p.text, p.speaker or draft.speaker, start=p.start, end=p.end) for p in checked]
    if consent.strip():
        known = {speaker.name: speaker for speaker in project.speakers()}
        named = {item.speaker for item in items} - {""}
        project.save_speakers(
            Speaker(**{**asdict(known.get(name, Speaker(name))), "consent": consent.strip()}) for name in named
        )
    taken = take_corrected(project, items, {int(clip): label for clip, label in draft.used.items()})
    place.note_used(number, {str(clip): label for clip, label in taken.clips.items()})
    return taken


def told(taken: Taken, say: Say) -> str:
    """What became of the segments, as HTML."""
    where = say(f"draft_split_{taken.split or 'none'}")
    sentence = say("draft_used", clips=say("count_clips", count=len(taken.clips)), where=where, new=taken.new)
    more = [("draft_relabelled", taken.relabelled), ("draft_removed", taken.removed)]
    counted = [say(key, clips=say("count_clips", count=count)) for key, count in more if count]
    rows = [(text(place.name.partition("#t=")[2].replace(",", "–")), text(why)) for place, why in taken.left]
    left = table([say("draft_place"), say("column_why")], rows, say("draft_left")) if rows else ""
    return notice(" ".join([sentence, *counted]), "good" if taken.clips else "warn") + left


def train_again(project: Project) -> str:
    """Starts a training where the last one's best ended, or lets it wait; its number. Raises UsageError without one."""
    from lect.engine.runs.preparation import create_run

    ended = [run for run in project.runs() if RunFiles(run.folder).best.exists() and run.status == "done"]
    if not ended:
        raise UsageError("No training has ended here yet: the first one is started in the step Train.")
    run_id = create_run(project, RunRequest(start=ended[-1].id))
    queue.enqueue(project, run_id)
    return run_id


def curve(project: Project, say: Say) -> str:
    """The error rate after each round, as HTML; empty before there is one."""
    if (found := rounds(project)) is None:
        return ""
    points = [(float(number), each.cer) for number, each in enumerate(found.rounds)]
    clips = say("count_clips", count=found.clips)
    rows = [
        (say("results_title", number=each.run) if each.run else say("results_before"), *_figures(each))
        for each in found.rounds
    ]
    steps = len(points) - 1
    drawn = chart(points, steps, say("draft_rounds_curve", clips=clips), percent=True) if steps > 1 else ""
    headings = [say("draft_round"), say("draft_learnt"), "CER"]
    return card(
        say("draft_rounds"), drawn + table(headings, rows, say("draft_rounds_what", clips=clips), numbers=(1, 2))
    )


def _figures(each: Any) -> tuple[str, str]:
    return str(each.learnt or "–"), percent(each.cer)
