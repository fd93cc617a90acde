"""The page's modules of JavaScript give what the Python code gives, on cases that are made here."""

import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.decoding.alignment import ctc_align
from lect.engine.decoding.ctc import best_paths
from lect.engine.decoding.language_model import LanguageModel
from lect.engine.decoding.search import DecodeOptions, Hypothesis, search
from lect.engine.model.backbone import Backbone
from lect.engine.text.byte_pairs import lettered
from lect.engine.text.vocabulary import EOS, Vocabulary
from lect.exports.attended import Attended
from lect.exports.attention_times import without_silence
from lect.exports.formats import WRITERS
from lect.exports.pack import read_pack, write_pack
from lect.exports.recognition import Recognised, with_times
from lect.exports.segments import FRAME_SAMPLES, CutOptions, Piece, cut
from lect.exports.transcript import Segment, TimedWord, Transcript
from lect.exports.windows import is_missed, joined, parted
from tests.conftest import TINY
from tests.exports.conftest import LETTERS, adaptation, contents

PORT = Path(__file__).with_name("web_port.mjs")
VOCAB, POSITIONS = 9, 5

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node (apt-get install nodejs)")


def ported(cases: Sequence[dict[str, Any]]) -> list[Any]:
    """What the page's modules make of these cases."""
    done = subprocess.run(["node", PORT], input=json.dumps(cases), capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    results: list[Any] = json.loads(done.stdout)
    return results


def packed(array: np.ndarray | bytes) -> str:
    data = array if isinstance(array, bytes) else array.astype(np.float32).tobytes()
    return base64.b64encode(data).decode()


def log_probs(rng: np.random.Generator, shape: tuple[int, ...], sharpness: float) -> np.ndarray:
    logits = sharpness * rng.standard_normal(shape)
    scores: np.ndarray = (logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)).astype(np.float32)
    return scores


class TableDecoder:
    """Each next token depends on the last one and on the position."""

    def __init__(self, table: np.ndarray) -> None:
        self._table = table

    def start(self) -> int:
        return 0

    def step(self, tokens: np.ndarray, position: int) -> tuple[np.ndarray, int]:
        return self._table[position % len(self._table), tokens], position + 1

    def reorder(self, state: int, rows: np.ndarray) -> int:
        return state


def language_model(rng: np.random.Generator) -> LanguageModel:
    texts = [rng.integers(4, VOCAB, rng.integers(2, 9)).tolist() for _ in range(40)]
    return LanguageModel.of(texts, VOCAB, 0.4)


def posteriors(scores: np.ndarray) -> dict[str, Any]:
    return {"scores": packed(scores), "frames": len(scores), "vocab": scores.shape[1]}


def searches() -> tuple[list[Hypothesis], list[dict[str, Any]]]:
    """All kinds of searches over random scores: Python's hypotheses, and the cases."""
    rng, expected, cases = np.random.default_rng(0), [], []
    for number in range(160):
        frames, weight = int(rng.integers(0, 14)), float(rng.choice([0.0, 0.3, 0.6, 1.0]))
        table = log_probs(rng, (POSITIONS, VOCAB, VOCAB), 2.0)
        if number % 5 == 0:  # one that goes round and round
            table[:, :, 5] += 8
        has_ctc, has_decoder = number % 4 != 0, weight < 1 or number % 8 == 1
        ctc = log_probs(rng, (frames, VOCAB), 2.5) if has_ctc and frames else None
        if ctc is None and not has_decoder:
            continue
        fused = language_model(rng) if number % 3 == 0 else None
        python = {
            "beam_size": int(rng.choice([1, 4, 6])),
            "ctc_weight": weight,
            "max_repeats": int(rng.choice([0, 2, 8])),
            "length_penalty": [None, 0.6][number % 2],
            "max_tokens_per_frame": float(rng.choice([1.0, 3.0])),
            "max_tokens": 40,
        }
        start = [EOS] if number % 2 else [0, 6, 7]
        decoder = TableDecoder(table) if has_decoder else None
        expected += search(
            decoder,
            None if ctc is None else ctc[None],
            np.array([frames]),
            DecodeOptions(**python, language_model=fused),
            start_tokens=start,
        )
        names = {name: name.split("_")[0] + "".join(map(str.title, name.split("_")[1:])) for name in python}
        cases.append(
            {
                "kind": "search",
                "decoder": {"table": packed(table) if has_decoder else None, "positions": POSITIONS, "vocab": VOCAB},
                "ctc": None if ctc is None else posteriors(ctc),
                "frames": frames,
                "options": {names[name]: value for name, value in python.items()},
                "start": start,
                "languageModel": packed(fused.to_bytes()) if fused else None,
            }
        )
    return expected, cases


def test_the_search_finds_the_same_hypotheses() -> None:
    expected, cases = searches()
    found = ported(cases)
    assert [tuple(one["tokens"]) for one in found] == [one.tokens for one in expected]
    assert len({one.tokens for one in expected}) > 50 and any(len(one.tokens) > 10 for one in expected)
    for one, wanted in zip(found, expected, strict=True):
        assert one["score"] == pytest.approx(wanted.score, rel=1e-5, abs=1e-5)
        assert one["confidences"] == pytest.approx(wanted.token_confidences, rel=1e-4, abs=1e-6)


def test_tokens_are_aligned_alike() -> None:
    rng, expected, cases = np.random.default_rng(1), [], []
    for _ in range(40):
        ctc, tokens = log_probs(rng, (12, VOCAB), 3.0), rng.integers(4, VOCAB, rng.integers(0, 5)).tolist()
        expected += [ctc_align(ctc, tokens).tolist(), best_paths(ctc[None], np.array([12]))[0].tolist()]
        cases += [{"kind": "align", "ctc": posteriors(ctc), "tokens": tokens}, {"kind": "best", "ctc": posteriors(ctc)}]
    assert ported(cases) == expected


VOCABULARIES = {
    "graphemes": LETTERS,
    "slots": Vocabulary("grapheme", (*" abc", "[size:", "[/]")),
    "unigram": Vocabulary("unigram", ("▁", "a", "▁ba", "e\N{COMBINING ACUTE ACCENT}", "da"), (-1.0,) * 5),
    "phones": Vocabulary("phone", (" ", "a", "\N{COMBINING TILDE}", "t͡ʃ")),
    "bytes": Vocabulary(
        "bytes", (*(lettered(bytes([byte])) for byte in "Ġ ça…\n".encode()), "<|en|>", lettered(" no"))
    ),
}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_tokens_are_the_same_text_and_words(name: str) -> None:
    vocabulary, rng = VOCABULARIES[name], np.random.default_rng(2)
    expected, cases = list[Any](), list[dict[str, Any]]()
    for number in range(40):
        tokens = rng.integers(0, len(vocabulary), rng.integers(0, 12)).tolist()
        confidences = np.round(rng.uniform(0.1, 1, len(tokens)), 3).tolist()
        ctc = log_probs(rng, (25, len(vocabulary)), 2.0) if number % 2 else None
        timed = with_times(vocabulary, Hypothesis(tuple(tokens), 0.0, tuple(confidences)), ctc, 0.04, 1.0)
        expected += [timed.text, [[word.text, word.start, word.end] for word in timed.words]]
        shared = {"vocabulary": vocabulary.to_json(), "tokens": tokens}
        hypothesis = {"tokens": tokens, "confidences": confidences}
        shown = None if ctc is None else posteriors(ctc)
        cases.append({"kind": "decode", **shared})
        cases.append({"kind": "words", **shared, "hypothesis": hypothesis, "ctc": shown, "hop": 0.04, "seconds": 1.0})
    found = ported(cases)
    assert found[::2] == expected[::2]
    for words, wanted in zip(found[1::2], expected[1::2], strict=True):
        assert [word["text"] for word in words] == [text for text, _, _ in wanted]
        # Half a millisecond is rounded up by the one and to the even by the other.
        edges = [edge for word in words for edge in (word["start"], word["end"])]
        assert edges == pytest.approx([edge for _, *pair in wanted for edge in pair], abs=0.0011)


def test_words_are_where_the_heads_attended() -> None:
    vocabulary, rng, hop, start = VOCABULARIES["bytes"], np.random.default_rng(5), 0.02, (1, 2)
    expected, cases = list[Any](), list[dict[str, Any]]()
    for _ in range(30):
        tokens = rng.integers(4, len(vocabulary), rng.integers(0, 12)).tolist()
        frames, heads = int(rng.integers(2, 90)), int(rng.integers(1, 4))
        places = np.linspace(0, frames, len(tokens) + 1)[:, None, None] + rng.normal(0, 2, (len(tokens) + 1, heads, 1))
        weights = np.exp(-(((np.arange(frames + 9) - places) / 4) ** 2)) + 0.01
        samples = rng.standard_normal(frames * 320) * np.repeat(rng.choice([1e-4, 1], frames), 320)
        hypothesis = Hypothesis(tuple(tokens), 0.0, (0.5,) * len(tokens))
        attended = Attended(np.array([frames]))
        for step in range(len(tokens) + 1):
            attended.note(np.zeros(1, np.int64), np.array([[*start, *tokens[:step]]]), weights[None, step])
        noted = attended.of(0, start, tokens)
        timed = with_times(vocabulary, hypothesis, None, hop, len(samples) / SAMPLE_RATE, noted)
        expected.append([[word.text, word.start, word.end] for word in without_silence(timed.words, samples)])
        shared = {"hypothesis": {"tokens": tokens, "confidences": [0.5] * len(tokens)}, "hop": hop}
        sizes = {"heads": heads, "width": frames + 9, "frames": frames, "weights": packed(weights)}
        cases.append(
            {"kind": "attended", "vocabulary": vocabulary.to_json(), "samples": packed(samples), **shared, **sizes}
        )
    found = [[[word[key] for key in ("text", "start", "end")] for word in words] for words in ported(cases)]
    assert [[word[0] for word in words] for words in found] == [[word[0] for word in words] for words in expected]
    edges, wanted = ([edge for words in each for _, *pair in words for edge in pair] for each in (found, expected))
    assert edges == pytest.approx(wanted, abs=0.0011)


def test_what_a_window_wrote_is_parted_alike() -> None:
    rng, most = np.random.default_rng(6), 30 * SAMPLE_RATE
    for _ in range(10):
        lengths = rng.integers(SAMPLE_RATE, 20 * SAMPLE_RATE, rng.integers(1, 9)).tolist()
        starts = np.round(np.sort(rng.uniform(0, 30, 12)), 3)
        words = tuple(TimedWord("ba" * n, float(start), float(start) + 0.5, 0.8) for n, start in enumerate(starts, 1))
        whole = Recognised((5,) * 20, " ".join(word.text for word in words), words, 0.7, False)
        pieces = [Piece(0, np.zeros(length, np.float32)) for length in lengths]
        expected = [
            [each.text, each.confidence, [(word.start, word.end) for word in each.words], is_missed(piece, each)]
            for together in joined(pieces, most)
            for piece, each in zip(together, parted(whole, together), strict=True)
        ]
        shown = {**vars(whole), "words": [vars(word) for word in words]}
        (groups,) = ported([{"kind": "windows", "lengths": lengths, "most": most, "whole": shown}])
        found = [
            [
                each["text"],
                each["confidence"],
                [(word["start"], word["end"]) for word in each["words"]],
                each["isMissed"],
            ]
            for group in groups
            for each in group
        ]
        assert [[text, missed] for text, *_, missed in found] == [[text, missed] for text, *_, missed in expected]
        assert [each[1] for each in found] == pytest.approx([each[1] for each in expected])
        assert [edge for each in found for pair in each[2] for edge in pair] == pytest.approx(
            [edge for each in expected for pair in each[2] for edge in pair], abs=0.0011
        )


def test_recordings_are_cut_at_the_same_samples() -> None:
    rng, expected, cases = np.random.default_rng(3), [], []
    for _ in range(30):
        lengths = rng.integers(1, 700 if rng.random() < 0.3 else 60, 12)
        likely = np.repeat(np.arange(12) % 2, lengths) * 0.5 + rng.uniform(0, 0.5, lengths.sum())
        samples = rng.standard_normal(len(likely) * FRAME_SAMPLES - 100) * np.repeat(likely, FRAME_SAMPLES)[:-100]
        samples, block = samples.astype(np.float32), 128 * FRAME_SAMPLES
        parts = [
            (samples[start : start + block], likely[start // FRAME_SAMPLES :][:128].astype(np.float32))
            for start in range(0, len(samples), block)
        ]
        expected.append([[each.start, each.end, isinstance(each, Piece)] for each in cut(parts, CutOptions())])
        cases.append({"kind": "cut", "samples": packed(samples), "likely": packed(likely), "block": block})
    assert ported(cases) == expected


def test_texts_are_written_alike(tmp_path: Path) -> None:
    words = (TimedWord("a<b", 0.5, 1.0, 0.9), TimedWord('"c"-->', 1.25, 3661.5, 0.8))
    segments = (Segment(0.5, 1.0, "a<b", words[:1], 0.9), Segment(1.25, 3661.5, '"c"-->', words[1:], 0.8))
    transcript = Transcript(
        "", segments, (), words, 0.9, seconds=3700.0, real_time_factor=0, device="", vad="", word_times="ctc"
    )
    plain = {
        name: [{"start": each.start, "end": each.end, "text": each.text} for each in items]
        for name, items in {"segments": segments, "words": words}.items()
    }
    media = {"name": "talk & more.wav", "type": "audio/wav"}
    shared = {"kind": "written", "transcript": {**plain, "seconds": 3700.0}, "media": media}
    formats = ("txt", "srt", "vtt", "TextGrid")
    found = ported([{**shared, "format": name} for name in (*formats, "eaf")])
    assert found[:-1] == [WRITERS[name](transcript, tmp_path / "talk & more.wav") for name in formats]
    assert spoken(found[-1], tmp_path / "own.eaf") == spoken(
        WRITERS["eaf"](transcript, tmp_path / "talk.wav"), tmp_path / "python.eaf"
    )


def spoken(document: str, path: Path) -> dict[str, list[Any]]:
    """What ELAN's reader finds in it, tier by tier."""
    from pympi import Eaf

    path.write_text(document, encoding="utf-8")
    read = Eaf(str(path))
    return {tier: read.get_annotation_data_for_tier(tier) for tier in read.get_tier_names()}


def test_packs_are_read_and_refused_alike(backbone: Backbone, tmp_path: Path) -> None:
    path, rng = tmp_path / "village.lect", np.random.default_rng(4)
    texts = [rng.integers(4, len(LETTERS), 6).tolist() for _ in range(20)]
    model = LanguageModel.of(texts, len(LETTERS), 0.3)
    write_pack(path, contents(backbone, adaptation(TINY), language_model=model))
    whole, pack = path.read_bytes(), read_pack(path)
    damaged = bytearray(whole)
    damaged[whole.index(b"grapheme")] ^= 1
    ours = {"name": backbone.name, "sha256": backbone.sha256, "positions": 0}
    files = [(whole, ours), (bytes(damaged), ours), (whole[:-40], ours), (whole, ours | {"sha256": "0" * 64})]
    read, *refused = ported([{"kind": "pack", "data": packed(data), "backbone": facts} for data, facts in files])
    assert read["name"] == pack.manifest.name
    assert read["symbols"] == len(LETTERS) and read["ngrams"] == len(model.counts)
    sums = {name: float(tensor.astype(np.float64).sum()) for name, tensor in pack.tensors.items()}
    assert read["sums"] == pytest.approx(sums, abs=1e-3)
    sentences = [each["error"] for each in refused]
    assert all(word in told for told, word in zip(sentences, ("changed", "cut short", "backbone"), strict=True))
