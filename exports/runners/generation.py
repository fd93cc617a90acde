"""What a Whisper's decoding starts with and never writes, by rows of its embedding, as the programs' configs say it.

After whisper/tokenizer.py and whisper/decoding.py of OpenAI's program.
"""

import re
from collections.abc import Sequence

from lect.engine.model.foreign.whisper import Whisper
from lect.engine.text.byte_pairs import lettered

START, END = "<|startoftranscript|>", "<|endoftext|>"
TASKS = ("translate", "transcribe")
# Control tokens that no program may write; the end, languages and times are not among them.
UNWRITTEN = (START, *(f"<|{task}|>" for task in TASKS), "<|startoflm|>", "<|startofprev|>", "<|nospeech|>")
_LANGUAGE = re.compile(r"<\|[a-z]{2,3}\|>")


def languages(tokens: Sequence[str]) -> dict[str, int]:
    """Token -> row."""
    return {token: row for row, token in enumerate(tokens) if _LANGUAGE.fullmatch(token)}


def suppressed(whisper: Whisper) -> list[int]:
    """The rows that are never written, ascending."""
    control = {row for row, token in enumerate(whisper.tokens) if token in UNWRITTEN}
    return sorted({*(whisper.suppressed or ()), *control})


def first_suppressed(tokens: Sequence[str]) -> list[int]:
    """Those that are not written first: a space, and the end."""
    return [tokens.index(lettered(" ")), tokens.index(END)]
