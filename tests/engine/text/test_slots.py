"""Slots: the inline form, Audio SNIPS' own, the rules and vocabularies that keep their marks, and SUPERB's scores."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lect.engine.contract.errors import TextError
from lect.engine.scoring.scores import Scores, score
from lect.engine.scoring.slot_scores import RATES, slot_counts, slot_rates
from lect.engine.text.rules import TextRules, inventory, nfc
from lect.engine.text.slots import (
    CLOSING,
    Slot,
    from_object,
    from_snips,
    is_mark,
    opening,
    parts,
    plain,
    slots_of,
    written,
)
from lect.engine.text.vocabulary import UNK, Vocabulary
from lect.engine.text.vocabulary_building import build_vocabulary

ORDER = "a [size: large] latte with [milk: oat milk]"
ORDERS = [ORDER, "one [shots: double shot] mocha", "a [size: small] tea [milk: soy milk] please", "no slots here"]
NAMES = st.text(st.characters(whitelist_categories=("Lu", "Ll", "Nd")), min_size=1, max_size=8)
SAID = st.lists(st.text("abé ñ", min_size=1).map(lambda text: " ".join(text.split())).filter(bool), min_size=1)


def test_the_inline_form_is_read() -> None:
    assert parts(ORDER) == ["a ", Slot("size", "large"), " latte with ", Slot("milk", "oat milk"), ""]
    assert slots_of("[a:b][c:  d ]") == [Slot("a", "b"), Slot("c", "d")]
    assert plain(ORDER) == "a large latte with oat milk"


@pytest.mark.parametrize(
    "text", ["[laughs]", "[size:]", "[size: ]", "[a b: c]", "a: b", "[size: large", "[[x]: y]", ""]
)
def test_what_is_not_of_the_form_is_plain_text(text: str) -> None:
    assert slots_of(text) == [] and plain(text) == text and TextRules(punctuation="keep").apply(text) == text


def test_a_slot_never_lies_inside_of_another() -> None:
    assert slots_of("[a: x [b: y] z]") == [Slot("b", "y")]


@given(st.lists(st.tuples(NAMES, SAID.map(" ".join))), SAID)
def test_writing_undoes_reading(slots: list[tuple[str, str]], said: list[str]) -> None:
    text = nfc(written([said[0], *(Slot(*slot) for slot in slots), *said[1:]]))
    assert written(parts(text)) == text
    assert [slot.value for slot in slots_of(text)] == [value for _, value in slots]


def test_audio_snips_form_becomes_the_inline_form() -> None:
    line = "BOS ADD KENT JAMES TO THE DISNEY SOUNDTRACK EOS\tO O artist artist O O playlist O AddToPlaylist"
    assert from_snips(line) == "ADD [artist: KENT JAMES] TO THE [playlist: DISNEY] SOUNDTRACK"
    apart = "BOS PLAY JAZZ & BLUES , NOW EOS\tO O genre genre genre O O PlayMusic"
    assert from_snips(apart) == "PLAY [genre: JAZZ AND BLUES] NOW"
    beside = "BOS RATE DUNE FIVE EOS\tO O book rating RateBook"
    assert from_snips(beside) == "RATE [book: DUNE] [rating: FIVE]"
    prefixed = "BOS RATE DUNE IT FIVE EOS\tO O B-book B-book I-book RateBook"
    assert from_snips(prefixed) == "RATE [book: DUNE] [book: IT FIVE]"
    with pytest.raises(TextError, match="3 words and 2 tags"):
        from_snips("BOS PLAY JAZZ NOW EOS\tO O genre PlayMusic")


def test_slots_of_a_json_object_become_the_inline_form() -> None:
    assert from_object('{"size": "large", "milk": "oat milk"}') == "[size: large] [milk: oat milk]"
    for text in ("", "{", "[]", "{}", '{"size": 3}', '{"a b": "c"}', '{"a": "b]"}'):
        assert from_object(text) == ""


def test_text_rules_act_on_what_is_said_and_keep_the_marks() -> None:
    rules = TextRules(replace=(("milk", "cream"),))
    assert (
        rules.apply("A [Size: LARGE!]  latte, with[milk: oat-milk].") == "a [Size: large] latte with [milk: oat-cream]"
    )
    assert rules.apply("a [size: ...] latte") == "a latte"  # nothing is said in it
    assert {count.symbol for count in inventory([ORDER], TextRules())} == set("a large latte with oat milk") - {" "}


@pytest.mark.parametrize("kind", ["grapheme", "unigram", "word"])
def test_marks_are_symbols_and_texts_survive(kind: Any) -> None:
    vocabulary = build_vocabulary(ORDERS * 40, kind)
    marks = [opening("milk"), opening("shots"), opening("size"), CLOSING]
    assert vocabulary.symbols[-4:] == tuple(marks) and not any(map(is_mark, vocabulary.symbols[:-4]))
    for text in ORDERS:
        tokens = vocabulary.encode(text)
        assert UNK not in tokens and vocabulary.decode(tokens) == text
        assert " ".join("".join(vocabulary.pieces(tokens)).split()) == plain(text)
    assert sum(map(is_mark, (vocabulary.tokens[token] for token in vocabulary.encode(ORDER)))) == 4
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    assert vocabulary.unknown("[size: large] [cup: small]") == [opening("cup")]
    assert build_vocabulary([plain(text) for text in ORDERS * 40], kind).symbols == vocabulary.symbols[:-4]


def test_a_mark_starts_from_no_letter() -> None:
    letters = build_vocabulary(["size large"])
    assert letters.sources(opening("size")) == [] == letters.sources(CLOSING)
    marked = build_vocabulary(["[size: large]"])
    assert marked.sources(CLOSING) == [marked.tokens.index(CLOSING)]


def rates(*pairs: tuple[str, str]) -> dict[str, float]:
    """By name, of (reference, hypothesis) pairs."""
    references, hypotheses = zip(*pairs, strict=True)
    return dict(zip(RATES, slot_rates(slot_counts(references, hypotheses).sum(0)), strict=True))


def test_scores_of_slots_by_hand() -> None:
    """As s3prl/metric/slot_filling.py counts them; the whole of it was compared on random sets as well."""
    found = rates(
        ("[a: xy] [b: z]", "[a: xy] [b: q]"),  # both names; one value is wrong
        ("[a: xy]", "[c: xy] [c: w]"),  # missing, and two invented
        ("said", "said"),  # nothing to fill
    )
    assert found["type_f1"] == pytest.approx((1 + 0 + 1) / 3)
    assert found["value_cer"] == pytest.approx((1 + 2) / (2 + 1 + 2))
    assert found["edit_f1_full"] == pytest.approx(2 * 1 / (2 * 1 + (1 + 2) + (1 + 1)))
    assert found["edit_f1_part"] == pytest.approx(2 * 1 / (2 * 1 + 1 + (1 + 1)))


def test_values_of_one_name_are_compared_with_the_nearest() -> None:
    found = rates(("[a: one] [a: three]", "[a: tree] [a: one] [a: none]"))
    assert found["type_f1"] == 1 and found["value_cer"] == pytest.approx(1 / 8)
    assert found["edit_f1_full"] == pytest.approx(2 / (2 + 2))


def test_a_set_with_slots_is_scored_with_intervals_and_told() -> None:
    texts = [ORDER, ORDERS[1], ORDERS[2], ORDERS[3]] * 5
    heard = [*texts[:10], *("a [size: large] latte" for _ in range(10))]
    scores = score(texts, heard, [str(n) for n in range(20)], normalisation="nfc")
    assert scores.slots is not None
    counts = slot_counts(texts, heard)
    assert scores.slots.edit_f1_full == pytest.approx(slot_rates(counts.sum(0))[2])
    low, high = scores.slots.intervals["edit_f1_full"]
    assert low < scores.slots.edit_f1_full < high
    assert "slot type F1" in scores.describe() and "slot value CER" in scores.describe()
    assert Scores.from_json(scores.to_json()) == scores
    without = score(["a"], ["a"], ["1"], normalisation="nfc")
    assert without.slots is None and "slot" not in without.describe()
