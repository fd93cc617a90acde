"""A transcript in the formats that people work in: one function each, `Transcript` and media file to text.

It knows neither how a transcript is made nor where its file goes.
"""

from collections.abc import Callable
from pathlib import Path

from ..transcript import Transcript
from .annotations import eaf, textgrid
from .linguists import flextext, saymore
from .subtitles import srt, vtt
from .tables import audacity, csv, ctm, json, trn, tsv, txt

Writer = Callable[[Transcript, Path], str]

# Name, which is also the file's extension, -> writer. Audacity's labels are .txt for Audacity itself; SayMore looks for
# ELAN's documents under a name of their own.
WRITERS: dict[str, Writer] = {
    "txt": txt,
    "srt": srt,
    "vtt": vtt,
    "tsv": tsv,
    "json": json,
    "eaf": eaf,
    "TextGrid": textgrid,
    "flextext": flextext,
    "saymore": saymore,
    "audacity": audacity,
    "ctm": ctm,
    "trn": trn,
    "csv": csv,
}
EXTENSIONS = {name: f".{name}" for name in WRITERS} | {"audacity": ".labels.txt", "saymore": ".annotations.eaf"}
