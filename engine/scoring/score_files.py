"""Scores for people and for other programs: utterances as a table, as NIST's transcripts, and as aligned lines."""

import csv
from itertools import zip_longest
from pathlib import Path

import jiwer

from ..contract.files import atomic_path, write_bytes
from ..text.columns import column_width
from .scores import Row, Scores, tidy
from .trn import TRN_SPECIAL, trn_escaped


def write_predictions(scores: Scores, path: Path) -> None:
    """Writes id, reference, hypothesis, wer and cer of every utterance, one per line, as UTF-8 tab-separated values.

    Fields hold no tab and no line break; one with a quotation mark is quoted, as `csv` and spreadsheets read it.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["id", "reference", "hypothesis", "wer", "cer"])
        for row in scores.rows:
            table.writerow([tidy(row.id), row.reference, row.hypothesis, f"{row.wer:.4f}", f"{row.cer:.4f}"])


def write_trn(scores: Scores, folder: Path) -> None:
    """Writes `ref.trn` and `hyp.trn` for NIST's sclite: `sclite -r ref.trn trn -h hyp.trn trn -i rm -e utf-8 -s`.

    Characters that mean something to sclite are percent-encoded, so that nothing is lost and nothing changes meaning.
    """
    for name, texts in (
        ("ref.trn", [row.reference for row in scores.rows]),
        ("hyp.trn", [row.hypothesis for row in scores.rows]),
    ):
        lines = [f"{trn_escaped(text)} ({_trn_id(row)})\n" for text, row in zip(texts, scores.rows, strict=True)]
        write_bytes(folder / name, "".join(lines).encode())


def alignment(row: Row) -> str:
    """Reference above hypothesis, word under word; stars stand where one of them has no word."""
    output = jiwer.process_words(row.reference, row.hypothesis)
    columns: list[tuple[str, str]] = []
    for chunk in output.alignments[0]:
        reference = output.references[0][chunk.ref_start_idx : chunk.ref_end_idx]
        hypothesis = output.hypotheses[0][chunk.hyp_start_idx : chunk.hyp_end_idx]
        columns += zip_longest(reference, hypothesis, fillvalue="")
    lines = ["ref:", "hyp:"]
    for pair in columns:
        width = max(map(column_width, pair))
        cells = [word or "*" * width for word in pair]
        lines = [f"{line} {cell}{' ' * (width - column_width(cell))}" for line, cell in zip(lines, cells, strict=True)]
    return "\n".join(line.rstrip() for line in lines)


def _trn_id(row: Row) -> str:
    # sclite reads the speaker up to the first hyphen.
    speaker = trn_escaped(tidy(row.speaker) or "unknown", TRN_SPECIAL + " -")
    return f"{speaker}-{trn_escaped(tidy(row.id), TRN_SPECIAL + ' ')}"
