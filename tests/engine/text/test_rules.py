"""Text rules on the orthographies that other tools break, and the inventory that shows what they leave."""

import json
import unicodedata

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lect.engine.contract.errors import TextError
from lect.engine.text.rules import TextRules, graphemes, inventory, nfc

ZWNJ, ZWJ, ZWSP = "\u200c", "\u200d", "\u200b"

# Any script, with what text rules stumble over made frequent.
labels = st.text(
    st.one_of(
        st.characters(), st.sampled_from(" '’ʼ-.,·\u0301\u0303\u0331\u200b\u200c\u200d\u00ad\ufe0fاهकषि्é가ʃː˥İΣ")
    ),
    max_size=30,
)


def nfd(text: str) -> str:
    """Decomposed form."""
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("Don't “stop” - rock 'n' roll—now!", "don't stop rock n roll now"),
        ("L’été, aujourd’hui.", "l’été aujourd’hui"),
        ("a well-known  (Rumantsch) «Engiadin’ota»", "a well-known rumantsch engiadin’ota"),
        ("Ɛ̃ndɔ́ bá̱tu.", "ɛ̃ndɔ́ bá̱tu"),  # tone and nasal marks, composed only in part
        ("ʼAwíí ʻokina ꞌA", "ʼawíí ʻokina ꞌa"),  # apostrophes that are letters, also at the edge
        ("Paral·lel.", "paral·lel"),
        ("ˈtʃaː˥˩ ǃXóõ t͡s n̩ e˞ ma꞉", "ˈtʃaː˥˩ ǃxóõ t͡s n̩ e˞ ma꞉"),  # IPA: tone bars, clicks, length, ties
        ("قَالَ، مَا هٰذَا؟", "قَالَ مَا هٰذَا"),
        (f"می{ZWNJ}خواهم، \u200fکتاب{ZWNJ} ", f"می{ZWNJ}خواهم کتاب"),
        (f"ന്{ZWJ} ക്{ZWJ}ഷ", f"ന്{ZWJ} ക്{ZWJ}ഷ"),  # Malayalam: a joiner after a mark ends words
        ("צה״ל תל־אביב?", "צה״ל תל־אביב"),
        ("हिन्दी में लिखो।", "हिन्दी में लिखो"),
        ("བཀྲ་ཤིས་བདེ་ལེགས།", "བཀྲ་ཤིས་བདེ་ལེགས"),
        (f"ខ្ញុំ{ZWSP}ស្រឡាញ់", "ខ្ញុំ ស្រឡាញ់"),
        ("ሰላም፡ለዓለም።", "ሰላም ለዓለም"),
        ("ΟΔΟΣ, ΣΟΦΟΣ", "οδος σοφος".replace("οδος", "οδο\u03c2").replace("σοφος", "σοφο\u03c2")),
        ("Straße\u00a0GROẞ", "straße groß"),
        ("ok 👍🏽 ❤️ 👨‍👩‍👧", "ok"),
        ("one,two/three…four", "one two three four"),
        ("soft\u00adhyphen \ufeffbom \u202bembed\u202c", "softhyphen bom embed"),
        ("tab\tline\r\nend\u2028", "tab line end"),
        ("\ue000\ue001", "\ue000\ue001"),  # private use: a legacy font's letters
        ("broken \ufffd", "broken \ufffd"),  # stays, to be seen in the inventory
        ("…—!", ""),
    ],
)
def test_default_rules(given_text: str, expected: str) -> None:
    assert TextRules().apply(given_text) == nfc(expected)
    assert TextRules().apply(nfd(given_text)) == nfc(expected)


def test_case_and_punctuation_can_stay() -> None:
    assert TextRules(case="keep").apply("E ɛ, Ɛ.") == "E ɛ Ɛ"
    assert TextRules(punctuation="keep").apply("-Ya  =ba «A»!") == "-ya =ba «a»!"


def test_turkish_needs_its_two_rules() -> None:
    assert TextRules().apply("IŞIK İZMİR") != "ışık izmir"
    turkish = TextRules(replace=(("I", "ı"), ("İ", "i")))
    assert turkish.apply("IŞIK İZMİR") == turkish.apply(nfd("IŞIK İZMİR")) == "ışık izmir"


def test_an_apostrophe_can_be_made_a_letter() -> None:
    assert TextRules().apply("'okina ra'") == "okina ra"
    assert TextRules(replace=(("'", "ʼ"),)).apply("'Okina ra'") == "ʼokina raʼ"


def test_a_rule_for_a_mark_reaches_into_composed_letters() -> None:
    toneless = TextRules(remove=("\u0301", "\u0300"))
    assert toneless.apply("Kɔ́ká è ǘ ɛ̃́") == "kɔka e ü ɛ̃"
    assert TextRules(replace=(("\u0331", "\u0323"),)).apply("bá̱tu") == nfc("bá\u0323tu")


def test_a_rule_for_a_letter_leaves_composed_letters_alone() -> None:
    assert TextRules(replace=(("e", "i"), ("и", "і"))).apply("é e й и") == "é i й і"
    assert TextRules(remove=("ñ",)).apply(nfd("niño nino")) == "nio nino"


def test_small_rules_see_lowered_text_and_capital_ones_do_not() -> None:
    assert TextRules(replace=(("sh", "š"),)).apply("Shop SHE ash") == "šop še aš"
    assert TextRules(replace=(("NN", "name"),)).apply("NN Anna") == "name anna"
    assert TextRules(case="keep", replace=(("sh", "š"),)).apply("Shop ash") == "Shop aš"


def test_removals_come_first_and_rules_in_order() -> None:
    rules = TextRules(remove=("[laughs]", "<noise>"), replace=(("a", "b"), ("b", "c")))
    assert rules.apply("A [Laughs] b <noise>x") == "c c x"


def test_rules_are_checked() -> None:
    for wrong in ({"case": "upper"}, {"punctuation": "strip"}, {"remove": ("",)}, {"replace": (("", "a"),)}):
        with pytest.raises(TextError, match="text rule"):
            TextRules(**wrong)


def test_names_tell_rules_apart() -> None:
    assert TextRules().name == "nfc+lower+nopunct"
    assert TextRules(case="keep", punctuation="keep").name == "nfc"
    one, other = TextRules(remove=("a",)), TextRules(remove=("b",))
    assert one.name.startswith("nfc+lower+nopunct+custom-") and one.name != other.name
    assert one.name == TextRules(remove=("a",)).name


def test_rules_survive_json() -> None:
    rules = TextRules("keep", "keep", ("[x]", "\u0301"), (("I", "ı"), ("a", "")))
    assert TextRules.from_json(json.loads(json.dumps(rules.to_json()))) == rules


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"case": "lower", "punctuation": "remove", "remove": [1], "replace": []},
        {"case": "lower", "punctuation": "remove", "remove": None, "replace": []},
        {"case": "lower", "punctuation": "remove", "remove": [], "replace": [["a"]]},
        {"case": "lower", "punctuation": "remove", "remove": [], "replace": [["", "b"]]},
        {"case": {}, "punctuation": "remove", "remove": [], "replace": []},
    ],
)
def test_a_strangers_rules_are_refused(value: dict[str, object]) -> None:
    with pytest.raises(TextError):
        TextRules.from_json(value)


@settings(max_examples=300, deadline=None)
@given(labels, st.sampled_from(["lower", "keep"]), st.sampled_from(["remove", "keep"]))
@example("a\u00ad\u0301", "lower", "remove")
@example("a\u200c\u200c\u0928", "lower", "remove")
@example("-\u0301a-b'", "lower", "remove")
@example("x\ud800y", "lower", "remove")
def test_whatever_the_text(text: str, case: str, punctuation: str) -> None:
    rules = TextRules(case, punctuation)  # type: ignore[arg-type]
    result = rules.apply(text)
    assert result == nfc(result) and result == " ".join(result.split(" ")).strip()
    assert rules.apply(result) == result  # applying twice changes nothing
    assert rules.apply(nfc(text)) == result
    assert rules.apply(nfd(text)) == result
    assert "".join(graphemes(result)) == result
    result.encode()  # no broken characters


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(categories=["Ll", "Lo", "Mn", "Mc"]), min_size=1, max_size=12))
def test_letters_and_marks_are_never_lost(word: str) -> None:
    kept = TextRules().apply("«" + word + "»")
    unmarked = regex.sub(r"^\p{M}+", "", nfd(word))  # marks in front sit on the bracket and go with it
    assert nfd(kept) == nfd(nfc(unmarked).lower())


def test_graphemes_are_what_a_reader_counts() -> None:
    assert graphemes("ɛ̃ndɔ́") == ["ɛ̃", "n", "d", "ɔ́"]
    assert graphemes("bá̱ क्षि 각") == ["b", "á̱", " ", "क्षि", " ", "각"]
    assert graphemes(f"می{ZWNJ}خ") == ["م", "ی", ZWNJ, "خ"]
    assert graphemes("a \u0303b") == ["a", " ", "\u0303", "b"]
    assert graphemes("") == []


def test_inventory_counts_names_and_flags() -> None:
    texts = ["Kɔ́ kɔ!", "kɔ́ а", nfd("kɔ́")]  # the lonely а is Cyrillic
    by_symbol = {entry.symbol: entry for entry in inventory(texts, TextRules())}
    assert list(by_symbol) == ["k", "ɔ́", "ɔ", "а"]
    assert (by_symbol["k"].count, by_symbol["k"].clips, by_symbol["k"].rare) == (4, 3, False)
    assert (by_symbol["ɔ́"].count, by_symbol["ɔ́"].clips) == (3, 3)
    assert by_symbol["ɔ́"].names == ("LATIN SMALL LETTER OPEN O", "COMBINING ACUTE ACCENT")
    assert by_symbol["а"].rare and by_symbol["а"].script == "CYRILLIC"
    assert by_symbol["ɔ"].script == "LATIN"
    assert inventory(["\ue000"], TextRules())[0].names == ("U+E000",)
    assert inventory([], TextRules()) == []
