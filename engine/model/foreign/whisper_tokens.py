"""Whisper's tokens by id: a file's own, those of a tokenizer beside it, or the published ones.

An ordinary token is a run of bytes as `byte_pairs` writes them; control tokens (`<|en|>`) follow in the published
order. It does not know weights or the ids of our vocabulary.
"""

import base64
import gzip
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...contract.errors import BackboneError
from ...contract.files import ASSETS
from ...text import byte_pairs
from ...text.vocabulary import CONTROL
from .limits import MOST_TOKEN_LETTERS, bounded_json

ENGLISH_ROWS = 51_864  # of the English-only checkpoints' embeddings, which know no other language's token
MULTILINGUAL_ROWS = (51_865, 51_866)  # 99 languages, and 100 since large-v3
LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml "
    "cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am "
    "yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
).split()
NO_TIMESTAMPS = "<|notimestamps|>"
TIMESTAMPS = tuple(f"<|{step / 50:.2f}|>" for step in range(1501))  # every 20 ms of 30 s
LETTERS = byte_pairs.lettered(" abcdefghijklmnopqrstuvwxyz")  # a tokenizer without them is not all there
_UNUSED = re.compile(r"<\|unused \d+\|>")  # our name of a row that has none
_SURROGATE = re.compile("[\\ud800-\\udfff]")  # which no file can hold
_BEFORE = ("<|endoftext|>", "<|startoftranscript|>")
_FORMER = {"<|iw|>": "<|he|>"}  # the code of Hebrew in older tokenizers
_AFTER = ("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", NO_TIMESTAMPS)

# What OpenAI's decoding never writes: signs of notes and speakers, which are not speech (whisper/tokenizer.py).
_NOTES = (
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *"<< >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪".split(),
)
_MUSIC = "♩♪♫♬♭♮♯"  # of several tokens each: the first is enough
_NOT_FIRST_IN_WORDS = (" -", " '")

# (decoder layers, heads, rows of the embedding) -> the cross-attention heads that follow time, as OpenAI publishes them
# (whisper/__init__.py): which of layers x heads, packed. The first large ones differ but have the same sizes.
_ALIGNMENT_HEADS = {
    (4, 6, 51864): b"ABzY8J1N>@0{>%R00Bk>$p{7v037`oCl~+#00",
    (4, 6, 51865): b"ABzY8bu8Lr0{>%RKn9Fp%m@SkK7Kt=7ytkO",
    (6, 8, 51864): b"ABzY8;40c<0{>%RzzG;p*o+Vo09|#PsxSZm00",
    (6, 8, 51865): b"ABzY8KQ!870{>%RzyTQH3`Q^yNP!>##QT-<FaQ7m",
    (12, 12, 51864): b"ABzY8>?_)10{>%RpeA61k&I|OI3I$65C{;;pbCHh0B{qLQ;+}v00",
    (12, 12, 51865): b"ABzY8DmU6=0{>%Rpa?J`kvJ6qF(V^F86#Xh7JUGMK}P<N0000",
    (24, 16, 51864): b"ABzY8usPae0{>%R7<zz_OvQ{)4kMa0BMw6u5rT}kRKX;$NfYBv00*Hl@qhsU00",
    (24, 16, 51865): b"ABzY8B0Jh+0{>%R7}kK1fFL7w6%<-Pf*t^=N)Qr&0RR9",
    (32, 20, 51866): b"ABzY8gWO1E0{>%R7(9S+Kn!D~%ngiGaR?*L!iJG9p-nab0JQ=-{D1-g00",
    (4, 20, 51866): b"ABzY8j^C+e0{>%RARaKHP%t(lGR*)0g!tONPyhe`",
}

Heads = tuple[tuple[int, int], ...]


def published_tokens(rows: int, source: str) -> tuple[str, ...]:
    """The tokens of a published embedding with this many rows. Raises BackboneError for any other."""
    if rows != ENGLISH_ROWS and rows not in MULTILINGUAL_ROWS:
        raise BackboneError(
            f"{source} has {rows} tokens and does not say which: put its tokenizer.json beside it and add the folder."
        )
    table = "english" if rows == ENGLISH_ROWS else "multilingual"
    text = (ASSETS / "whisper" / f"{table}.tokens").read_text(encoding="utf-8")
    return in_published_order(text.split("\n")[:-1], rows, source)


def in_published_order(ordinary: Sequence[str], rows: int, source: str) -> tuple[str, ...]:
    """Ordinary tokens, then the control tokens that follow them. Raises BackboneError unless they fill the rows."""
    languages = rows - len(ordinary) - len(_BEFORE) - len(_AFTER) - len(TIMESTAMPS)
    if not 1 <= languages <= len(LANGUAGES):
        raise BackboneError(f"{source} has {rows} tokens, {len(ordinary)} of them ordinary: no Whisper has.")
    codes = [f"<|{code}|>" for code in LANGUAGES[:languages]]
    return (*ordinary, *_BEFORE, *codes, *_AFTER, *TIMESTAMPS)


def tokens_beside(folder: Path, rows: int) -> tuple[str, ...] | None:
    """The tokens that a folder's tokenizer or list has, by id; None where it has neither.

    Raises BackboneError for one that does not fit the embedding's rows.
    """
    if (folder / "tokenizer.json").is_file():
        tokenizer = bounded_json(folder / "tokenizer.json")
        return _by_id(
            tokenizer["model"]["vocab"] | {each["content"]: each["id"] for each in tokenizer["added_tokens"]}, rows
        )
    if (folder / "vocab.json").is_file():
        added = folder / "added_tokens.json"
        return _by_id(bounded_json(folder / "vocab.json") | (bounded_json(added) if added.is_file() else {}), rows)
    return None


def ordinary_tokens(symbols: Sequence[str]) -> list[str]:
    """Those in front of the control tokens, in a vocabulary's symbols; the one without a name is the empty token."""
    count = next((n for n, token in enumerate(symbols) if CONTROL.fullmatch(token) and not _UNUSED.fullmatch(token)), 0)
    return ["" if _UNUSED.fullmatch(token) else token for token in symbols[:count]]


def named(tokens: Sequence[str]) -> list[str]:
    """The same, with names for the rows that have none, and for the empty token that Whisper's ordinary ones end with.

    Those behind `<|notimestamps|>` are timestamps, which older tokenizers do not list.
    """
    tokens = [_FORMER.get(token, token) for token in tokens]
    first = tokens.index(NO_TIMESTAMPS) + 1 if NO_TIMESTAMPS in tokens else len(tokens)
    times = dict(enumerate(TIMESTAMPS, start=first))
    taken = set(tokens)
    return [
        token or (times[row] if row in times and times[row] not in taken else f"<|unused {row}|>")
        for row, token in enumerate(tokens)
    ]


def check_tokens(tokens: Sequence[Any], rows: int, source: str) -> None:
    """Raises BackboneError unless there is a text for each row that can be written to a file."""
    if len(tokens) != rows:
        raise BackboneError(f"{source} has {len(tokens)} tokens, but its weights have {rows}.")
    for row, token in enumerate(tokens):
        if not isinstance(token, str) or len(token) > MOST_TOKEN_LETTERS or _SURROGATE.search(token):
            raise BackboneError(f"{source} has a token {row} that is no text: it is damaged.")
    if lacking := sorted(set(LETTERS) - set(tokens)):
        raise BackboneError(
            f"{source} has no tokens for {len(lacking)} letters, {lacking[0]}: take its whole tokenizer."
        )


def never_written(tokens: Sequence[str]) -> tuple[int, ...]:
    """Ids of the ordinary tokens that OpenAI's decoding suppresses: notes, speakers' names and music, not speech."""
    ids = {token: row for row, token in enumerate(tokens) if not CONTROL.fullmatch(token)}
    first = [byte_pairs.encoded(text, ids) for text in _NOT_FIRST_IN_WORDS]
    runs = [byte_pairs.encoded(space + note, ids) for note in _NOTES for space in ("", " ")]
    music = [byte_pairs.encoded(space + sign, ids) for sign in _MUSIC for space in ("", " ")]
    chosen = [*first, *music, *(run for run in runs if len(run) == 1)]
    return tuple(sorted({ids[run[0]] for run in chosen if run[0] in ids}))


def published_alignment_heads(layers: int, heads: int, rows: int) -> Heads:
    """(layer, head) of the published model of these sizes; empty where there is none, or more than one."""
    packed = _ALIGNMENT_HEADS.get((layers, heads, rows))
    if packed is None:
        return ()
    flags = gzip.decompress(base64.b85decode(packed))
    return tuple(divmod(index, heads) for index, flag in enumerate(flags) if flag)


def checked_heads(value: Any, layers: int, heads: int) -> Heads:
    """A file's list of (layer, head) pairs. Raises ValueError when it is none."""
    pairs = tuple(tuple(pair) for pair in value or ())
    if len(pairs) > layers * heads or any(
        len(pair) != 2 or type(pair[0]) is not int or type(pair[1]) is not int for pair in pairs
    ):
        raise ValueError("its alignment heads are no pairs of numbers")
    if not all(0 <= layer < layers and 0 <= head < heads for layer, head in pairs):
        raise ValueError("its alignment heads lie outside its layers")
    return pairs


def _by_id(ids: Mapping[str, Any], rows: int) -> tuple[str, ...]:
    tokens = [""] * rows
    for token, row in ids.items():
        if type(row) is not int or not 0 <= row < rows:
            raise ValueError(f"its token {token[:20]!r} has the id {str(row)[:20]}, beyond its {rows} rows")
        tokens[row] = token
    return tuple(tokens)
