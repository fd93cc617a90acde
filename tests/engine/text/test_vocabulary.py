"""Text to ids and back for the three kinds, and what each does with what it has never seen."""

import json
import math
import random
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lect.engine.contract.errors import TextError, UsageError
from lect.engine.text.rules import RARE_CLIPS, TextRules, nfc
from lect.engine.text.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from lect.engine.text.vocabulary_building import UNIGRAM_CHARACTERS, UNIGRAM_PIECES, build_vocabulary

SENTENCES = [
    "the quick brown fox jumps over the lazy dog",
    "she sells sea shells by the sea shore",
    "how much wood would a woodchuck chuck",
    "peter piper picked a peck of pickled peppers",
    "a proper copper coffee pot",
]

normal_labels = st.lists(st.text(max_size=20).map(TextRules().apply).filter(bool), min_size=1, max_size=6)


def test_ids_are_fairseqs() -> None:
    vocabulary = Vocabulary("grapheme", (" ", "a"))
    assert (BOS, PAD, EOS, UNK) == (0, 1, 2, 3)
    assert vocabulary.tokens == ("<s>", "<pad>", "</s>", "<unk>", " ", "a")
    assert len(vocabulary) == 6
    assert vocabulary.encode("a a") == [5, 4, 5]
    assert vocabulary.decode([EOS, 5, PAD, 4, UNK, 5, EOS]) == "a a"
    assert vocabulary.decode([4, 5, 4, 4, 5, 4]) == "a a"


def test_graphemes_count_as_a_reader_does() -> None:
    vocabulary = build_vocabulary(["ɛ̃ndɔ́ bá̱tu"] * RARE_CLIPS)
    assert vocabulary.kind == "grapheme"
    assert vocabulary.symbols == tuple(sorted([" ", "ɛ̃", "n", "d", "ɔ́", "b", "á̱", "t", "u"]))
    decomposed = unicodedata.normalize("NFD", "ɛ̃ndɔ́ bá̱tu")
    assert vocabulary.encode(decomposed) == vocabulary.encode(nfc(decomposed))
    assert len(vocabulary.encode(decomposed)) == 9
    assert vocabulary.decode(vocabulary.encode(decomposed)) == nfc(decomposed)


def test_what_is_unknown() -> None:
    vocabulary = build_vocabulary(["abc"] * RARE_CLIPS)
    assert vocabulary.encode("abé xc") == [4, 5, UNK, UNK, UNK, 6]
    assert vocabulary.unknown("abé xéc") == ["é", " ", "x"]
    assert vocabulary.unknown("abc") == []


def test_a_rare_cluster_is_spelled_with_its_letter_and_marks() -> None:
    vocabulary = build_vocabulary(["ká", "ká", "ká", "kɔ̀", "की"])
    assert "á" in vocabulary.symbols and "ɔ̀" not in vocabulary.symbols
    assert {"ɔ", "\u0300", "क", "ी"} < set(vocabulary.symbols)
    assert len(vocabulary.encode("ɔ̀")) == 2
    assert vocabulary.decode(vocabulary.encode("ká kɔ̀".replace(" ", ""))) == "kákɔ̀"
    assert vocabulary.unknown("à") == ["à"]  # the mark is known, its letter alone is not
    assert vocabulary.encode("à") == [UNK]
    assert UNK not in vocabulary.encode(nfc("k\u0300ɔ"))  # a combination never seen, of parts that were


def test_a_rare_hangul_syllable_is_spelled_in_jamo() -> None:
    vocabulary = build_vocabulary(["각"])
    assert len(vocabulary.symbols) == 3 and vocabulary.decode(vocabulary.encode("각")) == "각"


@settings(max_examples=150, deadline=None)
@given(normal_labels)
def test_graphemes_come_back(labels: list[str]) -> None:
    vocabulary = build_vocabulary(labels, "grapheme")
    for label in labels:
        ids = vocabulary.encode(label)
        assert UNK not in ids and vocabulary.unknown(label) == []
        assert vocabulary.decode(ids) == label
        assert vocabulary.encode(unicodedata.normalize("NFD", label)) == ids
    assert build_vocabulary(labels[::-1], "grapheme") == vocabulary  # order plays no part
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


def test_auto_takes_graphemes_until_there_is_much_text() -> None:
    assert build_vocabulary(SENTENCES).kind == "grapheme"
    assert build_vocabulary(SENTENCES * 400).kind == "grapheme"
    many_letters = ["".join(map(chr, range(0x4E00, 0x5000)))] * (UNIGRAM_CHARACTERS // 500)
    assert build_vocabulary(many_letters).kind == "grapheme"
    no_spaces = ["thequickbrownfoxjumpsoverthelazydog"] * (UNIGRAM_CHARACTERS // 30)
    assert build_vocabulary(no_spaces).kind == "grapheme"


def test_auto_takes_subwords_of_much_text() -> None:
    pytest.importorskip("tokenizers")
    rng = random.Random(0)
    syllables = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(800)]
    labels = [" ".join(rng.choices(words, k=8)) for _ in range(UNIGRAM_CHARACTERS // 40)]
    vocabulary = build_vocabulary(labels)
    assert vocabulary.kind == "unigram" and len(vocabulary.symbols) <= UNIGRAM_PIECES
    for label in labels[:20]:
        assert vocabulary.decode(vocabulary.encode(label)) == label
        assert len(vocabulary.encode(label)) < len(label) / 2


def test_subwords_are_the_same_every_time_and_as_the_library_cuts() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    labels = [*SENTENCES, "ɛ̃ndɔ́ bá̱tu", "jazz quiz"] * 20
    vocabulary = build_vocabulary(labels, "unigram")
    assert all(build_vocabulary(labels, "unigram") == vocabulary for _ in range(3))
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary
    pieces = [("<unk>", -99.0), *zip(vocabulary.symbols, vocabulary.scores, strict=True)]
    library = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=0))
    library.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    for label in labels[:7]:
        ours = vocabulary.encode(label)
        theirs = [token - 1 + 4 for token in library.encode(nfc(label)).ids]
        assert sum(vocabulary.scores[i - 4] for i in ours) == pytest.approx(
            sum(vocabulary.scores[i - 4] for i in theirs)
        )
        assert vocabulary.decode(ours) == nfc(label)


def test_viterbi_takes_the_most_probable_cutting() -> None:
    pieces = {"▁": 0.1, "▁a": 0.2, "a": 0.1, "b": 0.1, "ab": 0.3, "▁ab": 0.02, "c": 0.18}
    vocabulary = Vocabulary("unigram", tuple(pieces), tuple(map(math.log, pieces.values())))
    cut = [vocabulary.tokens[i] for i in vocabulary.encode("ab abc")]
    assert cut == ["▁", "ab", "▁", "ab", "c"]
    assert vocabulary.decode(vocabulary.encode("ab abc")) == "ab abc"
    assert vocabulary.encode("axb") == [5, UNK, 7]
    assert vocabulary.unknown("axbyx") == ["x", "y"]
    assert vocabulary.encode("") == []


def test_subwords_need_the_library_or_fewer_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TextError, match="use graphemes"):
        build_vocabulary(["".join(map(chr, range(0x4E00, 0x5200)))], "unigram")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UsageError, match="pip install"):
        build_vocabulary(SENTENCES, "unigram")


def test_whole_words_of_a_closed_set() -> None:
    vocabulary = build_vocabulary(["go left", "go right", "stop"], "word")
    assert vocabulary.symbols == ("▁go", "▁left", "▁right", "▁stop")
    tokens = vocabulary.encode("stop left")
    assert tokens == [7, 5] and vocabulary.decode(tokens) == "stop left"
    assert vocabulary.unknown("go up") == ["▁", "u", "p"]


def test_phones_kept_apart_by_spaces() -> None:
    vocabulary = build_vocabulary(["tʃ aː b", "ɛ̃ t͡ʃ a", "ʈʂʰ t ʃ"], "phone")
    assert set(vocabulary.symbols) == {"tʃ", "aː", "b", "ɛ̃", "t͡ʃ", "a", "ʈʂʰ", "t", "ʃ"}
    name = {symbol: i for i, symbol in enumerate(vocabulary.tokens)}
    assert vocabulary.encode("tʃ aː b") == [name["tʃ"], name["aː"], name["b"]]
    assert vocabulary.encode("tʃaːb") == vocabulary.encode("tʃ aː b")  # the longest match
    assert vocabulary.encode("t ʃ") == [name["t"], name["ʃ"]]  # never across a space
    assert vocabulary.encode(unicodedata.normalize("NFD", "ɛ̃t͡ʃ")) == [name["ɛ̃"], name["t͡ʃ"]]
    assert vocabulary.decode(vocabulary.encode("tʃ aː b")) == "tʃaːb"
    assert vocabulary.unknown("tʃ õ a") == ["o", "\u0303"]


def test_phones_of_running_words() -> None:
    texts = [unicodedata.normalize("NFD", "tʃaːkɛ̃dlo bada"), "ata"]
    vocabulary = build_vocabulary(texts, "phone")
    assert set(vocabulary.symbols) == set("tʃaːkɛ\u0303dlo b")
    for text in texts:
        assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.decode(vocabulary.encode("ada  ata ")) == "ada ata"


def test_a_phone_keeps_its_marks() -> None:
    vocabulary = Vocabulary("phone", ("t", "tʃ", "ʃ\u0303", "\u0303", " "))
    assert [vocabulary.tokens[i] for i in vocabulary.encode("tʃ\u0303 tʃ")] == ["t", "ʃ\u0303", " ", "tʃ"]
    fallback = Vocabulary("phone", ("tʃ", "\u0303"))
    assert fallback.encode("tʃ\u0303") == [4, 5]


def test_no_text() -> None:
    for nothing in ([], ["", " "]):
        with pytest.raises(TextError, match="label some clips"):
            build_vocabulary(nothing)


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"kind": "grapheme"},
        {"kind": "byte", "symbols": ["a"]},
        {"kind": "grapheme", "symbols": [1]},
        {"kind": "grapheme", "symbols": ["a", ""]},
        {"kind": "grapheme", "symbols": ["a", "a"]},
        {"kind": "grapheme", "symbols": ["é", "e\u0301"]},
        {"kind": "grapheme", "symbols": ["<pad>"]},
        {"kind": "grapheme", "symbols": ["a"], "scores": [-1]},
        {"kind": "unigram", "symbols": ["a"]},
        {"kind": "unigram", "symbols": ["a"], "scores": ["x"]},
        {"kind": "unigram", "symbols": ["a"], "scores": [float("nan")]},
    ],
)
def test_a_strangers_vocabulary_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(TextError):
        Vocabulary.from_json(value)


def test_a_token_that_does_not_exist_is_our_mistake() -> None:
    with pytest.raises(IndexError):
        Vocabulary("grapheme", ("a",)).decode([9])


def test_a_new_vocabulary_starts_as_the_backbones_does() -> None:
    backbone = Vocabulary("bytes", ("a", "<|en|>", "<|transcribe|>"), (), (BOS, 5, 6), (5, 6))
    own = Vocabulary("unigram", ("▁a", "b"), (-1.0, -2.0))
    led = own.led_by(backbone, "en")
    assert led.symbols == ("▁a", "b", "<|en|>", "<|transcribe|>")
    assert led.start == (BOS, 6, 7) and led.suppressed == (6, 7)
    assert led.encode("ab a") == own.encode("ab a") and led.decode([*led.start, 4, 5]) == "ab"
    assert led.languages() == ("en",) and own.languages() == ()
    assert Vocabulary.from_json(led.to_json()) == led
    assert own.led_by(own, "en") == own
    assert backbone.starting_as(led).start == backbone.start
    assert backbone.starting_as(own).start == (EOS,)
    assert backbone.starting_as(own.led_by(backbone, "tlh")) == backbone  # it has no such token
