"""What strangers write is shown as it is where it can be, and written out where terminals or files would suffer."""

import json
import unicodedata
import xml.etree.ElementTree as ET

import pytest

from lect.engine.text.byte_pairs import lettered
from lect.engine.text.vocabulary import SPECIALS, Vocabulary
from lect.engine.text.writable import escaped, is_writable, spaced

FINE = ("ba̱ɗa", "کتاب‌ها", "क्‍ष", "naïve 𝄞 🙂", "a b", "")  # joiners of Persian and Hindi are letters' own


@pytest.mark.parametrize("text", FINE)
def test_what_any_script_needs_stays(text: str) -> None:
    assert is_writable(text) and escaped(text) == text and spaced(text) == text


@pytest.mark.parametrize("sign", ["\x1b", "\x07", "\x9b", "\r", "\n", "\x00", "\ud800", "\udce9", "\u202e", "\uffff"])
def test_what_no_file_or_terminal_should_get(sign: str) -> None:
    text = escaped(f"a{sign}b")
    assert is_writable(text) and json.loads(f'"{text}"') == f"a{sign}b"
    assert ET.fromstring(f"<a>{text}</a>").text == text
    assert spaced(f"a{sign}b") == "a b"
    assert escaped("a\tb\n", kept="\t\n") == "a\tb\n"


def test_every_control_character_is_known() -> None:
    signs = [chr(code) for code in range(0x110000)]
    assert not [sign for sign in signs if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") and is_writable(sign)]


def test_bytes_that_are_control_characters_become_spaces() -> None:
    vocabulary = Vocabulary("bytes", tuple(lettered(bytes(range(256)))))
    ids = [len(SPECIALS) + byte for byte in b"a\x1b[2Jb\xc2\x9bc\n"]
    assert vocabulary.decode(ids) == "a [2Jb c"
    assert is_writable("".join(vocabulary.pieces(ids)))
