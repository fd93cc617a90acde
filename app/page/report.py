"""The report on a set, as HTML: what `lect check` says, in figures, tables and advice."""

from lect.engine.data.clips import Clip
from lect.engine.data.review import Review
from lect.engine.text.rules import SymbolCount

from ..advice import advice
from .markup import card, chips, length, notice, speech, table, text
from .texts import Say

SYMBOLS = 120
PROBLEMS = 30


def shown(report: Review, say: Say) -> str:
    """The whole of it."""
    return "".join([_figures(report, say), _advice(report, say), _problems(report, say), _symbols(report, say)])


def _figures(report: Review, say: Say) -> str:
    rows = [
        (
            text(say(f"split_{name}" if name else "split_none")),
            str(len(part)),
            length(part, say),
            _voices(part),
        )
        for name, part in report.splits.items()
    ]
    splits = table(
        [say("column_split"), say("column_clips"), say("column_length"), say("column_speakers")],
        rows,
        numbers=(1, 2, 3),
    )
    verdicts = [(str(number), say("word_" + word.replace(" ", "_"))) for word, number in report.verdicts.items()]
    voices = [
        (text(name or say("speaker_unknown")), str(len(part)), length(part, say))
        for name, part in report.speakers.items()
    ]
    speakers = table([say("column_speaker"), say("column_clips"), say("column_length")], voices, numbers=(1, 2))
    return card(say("report_set"), splits + speakers) + card(say("report_recordings"), chips(verdicts))


def _voices(part: list[Clip]) -> str:
    return str(len({clip.speaker for clip in part} - {""}))


def _advice(report: Review, say: Say) -> str:
    sentences = [notice(sentence, "warn") for sentence in advice(report)]
    return card(say("report_advice"), "".join(sentences)) if sentences else ""


def _problems(report: Review, say: Say) -> str:
    if not report.problems:
        return ""
    rows = [
        (f'<button class="link" data-pick="{p.clip}">{p.clip}</button>', speech(p.label), text(p.why))
        for p in report.problems[:PROBLEMS]
    ]
    title = say("report_problems", clips=say("count_clips", count=len(report.problems)))
    return card(title, table([say("column_clip"), say("column_label"), say("column_why")], rows))


def _symbols(report: Review, say: Say) -> str:
    cells = "".join(map(_symbol, report.inventory[:SYMBOLS]))
    title = say("report_symbols", what=say("count_symbols", count=len(report.inventory)))
    return card(title, f'<div class="symbols">{cells}</div>')


def _symbol(one: SymbolCount) -> str:
    kind = "symbol rare" if one.rare else "symbol"
    return f'<span class="{kind}" title="{text(" + ".join(one.names))}">{speech(one.symbol)}<i>{one.count}</i></span>'
