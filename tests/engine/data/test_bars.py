"""Tables of cells between bars: every order of columns that people use gives its own labels, or is refused."""

from pathlib import Path

import pytest

from lect.engine.contract.errors import TextError
from lect.engine.data.layouts import read
from tests.engine.data.test_importers import sounds
from tests.engine.data.test_layouts import problems, write

Row = tuple[str | None, str, str]  # label, speaker, language


def labels(folder: Path, *lines: str, name: str = "metadata.csv", at: str = "wavs") -> list[Row]:
    """What is read of a table about 0.wav, 1.wav, …"""
    sounds(folder, *(f"{at}/{number}.wav" for number in range(len(lines))))
    write(folder / name, *lines)
    return [(item.text, item.speaker, item.language) for item in read(folder) if not item.problem]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("0|text one|male1", "1|text two|male1"), [("text one", "male1", ""), ("text two", "male1", "")]),
        (("0|text one|anna", "1|text two|bela"), [("text one", "anna", ""), ("text two", "bela", "")]),
        (("0|yes|m1", "1|no|m2", "2|no|m2"), [("yes", "m1", ""), ("no", "m2", ""), ("no", "m2", "")]),
        (("0|yes no|m1", "1|yes no|m2", "2|yes no|m3"), [("yes no", each, "") for each in ("m1", "m2", "m3")]),
        (("0|how are you|Anna B", "1|very well thanks|Anna B"),
         [("how are you", "Anna B", ""), ("very well thanks", "Anna B", "")]),
        (("speaker|file_name|text", "m1|0.wav|how are you"), [("how are you", "m1", "")]),
        (("text|file_name", "how are you|0.wav"), [("how are you", "", "")]),
        (("wavs/0.wav|anna|one two", "wavs/1.wav|bela|no"), [("one two", "anna", ""), ("no", "bela", "")]),
        (("DUMMY1/0.wav|0|one two", "DUMMY1/1.wav|7|three four"), [("one two", "0", ""), ("three four", "7", "")]),
        (("0|yes | no, she said", "1|plain text"), [("yes | no, she said", "", ""), ("plain text", "", "")]),
        (("0|yes | no, she said|m1", "1|plain text|m1"), [("yes | no, she said", "m1", ""), ("plain text", "m1", "")]),
        (("0|m1|yes | no, she said", "1|m1|plain text"), [("yes | no, she said", "m1", ""), ("plain text", "m1", "")]),
        (("0|only one", "1|and another"), [("only one", "", ""), ("and another", "", "")]),
        (("0|in 12 days|in twelve days", "1|so||"), [("in twelve days", "", ""), ("so", "", "")]),
        (("0|in 9 cm|in nine cm|m1", "1|Mr. X|Mister X|m2"), [("in nine cm", "m1", ""), ("Mister X", "m2", "")]),
        (("0|one thing||", "1|another thing||"), [("one thing", "", ""), ("another thing", "", "")]),
        (("0.wav|m1|ZH|one two", "1.wav|m1|ZH|three four"), [("one two", "m1", "ZH"), ("three four", "m1", "ZH")]),
        (("0.wav|one two|m1|pl", "1.wav|three four|m1|pl"), [("one two", "m1", "pl"), ("three four", "m1", "pl")]),
        (("audio_file|text|speaker_name", "0.wav|one", "1.wav|a|b|m1"), [("a|b", "m1", "")]),
        (("id|transcription|normalized_transcription", "0|in 12|in twelve"), [("in twelve", "", "")]),
        (("file|speaker|text|language", "0|m1|one|pl", "1|m1|a | b|pl"), [("one", "m1", "pl"), ("a | b", "m1", "pl")]),
        (("/home/me/set/wavs/0.wav|one two|m1", "C:\\set\\wavs\\1.wav|three four|m1"),
         [("one two", "m1", ""), ("three four", "m1", "")]),
    ],
)  # fmt: skip
def test_the_label_is_the_text_whatever_the_columns(
    tmp_path: Path, lines: tuple[str, ...], expected: list[Row]
) -> None:
    assert labels(tmp_path, *lines) == expected


@pytest.mark.parametrize(
    "lines",
    [
        ("0|yes|Anna B", "1|no|Anna B", "2|so|Anna B"),
        ("0|yes no|anna", "1|yes no|bela", "2|yes no|cili"),
        ("0|yes|anna", "1|yes|bela", "2|yes|cili"),  # nothing says which is the word
        ("0|5|five", "1|7|seven"),
        ("0|Maria anakula chakula leo|Maria is eating food now", "1|mtoto analala|the child sleeps"),  # a translation
        ("0|one two|three four|five six", "1|seven eight|nine ten|eleven twelve"),
        ("0|one two|m1", "1|three four"),  # a speaker in some rows, or a bar in a text
    ],
)
def test_what_the_columns_leave_open_is_refused(tmp_path: Path, lines: tuple[str, ...]) -> None:
    with pytest.raises(TextError, match=r"^metadata\.csv does not show which .*: begin it with a row of names"):
        labels(tmp_path, *lines)


def test_lists_of_files_with_their_splits(tmp_path: Path) -> None:
    sounds(tmp_path, "wavs/a.wav", "wavs/b.wav", "wavs/c.wav")
    write(tmp_path / "train.txt", "wavs/a.wav|a text|m1", "wavs/c.wav|c text|m1")
    write(tmp_path / "metadata_eval.csv", "audio_file|text|speaker_name", "wavs/b.wav|b text|m2")
    assert sorted((item.text or "", item.speaker, item.split) for item in read(tmp_path)) == [
        ("a text", "m1", "train"),
        ("b text", "m2", "test"),
        ("c text", "m1", "train"),
    ]


def test_a_bar_in_one_of_two_texts_is_said(tmp_path: Path) -> None:
    rows = ("0|in 12|in twelve", "1|a 1|a one", "2|a | b|a b", "3|a | 2|a | two")
    assert labels(tmp_path, *rows) == [("in twelve", "", ""), ("a one", "", ""), ("a | two", "", "")]
    assert [each for each in problems(read(tmp_path)) if "bars" in each] == [
        "The bars in “2|a | b|a b” in metadata.csv leave its text open: take them out."
    ]


def test_a_row_fetches_nothing_from_outside(tmp_path: Path) -> None:
    sounds(tmp_path, "private.wav", "set/wavs/0.wav")
    write(tmp_path / "set" / "metadata.csv", "../private.wav|private|m1", "0|open text|m1")
    items = read(tmp_path / "set")
    assert [item.text for item in items if not item.problem] == ["open text"]
    assert problems(items) == [
        "metadata.csv names private.wav, which is not there: put it there, or take out its line."
    ]


@pytest.mark.parametrize(
    ("written", "on_disk"), [("rec01.wav", "REC01.WAV"), ("ŽLUŤ", "žluť.Flac"), ("A/b.wav", "a/B.wav")]
)
def test_names_in_another_case(tmp_path: Path, written: str, on_disk: str) -> None:
    sounds(tmp_path, on_disk)
    write(tmp_path / "metadata.csv", f"{written}|one text|m1", f"{written}|one text|m1")
    assert {item.path.name for item in read(tmp_path)} == {Path(on_disk).name}
    sounds(tmp_path, f"{Path(on_disk).parent}/{Path(on_disk).name.upper()}", on_disk.lower())
    if Path(on_disk).name.lower() != on_disk and len(list(tmp_path.rglob("*"))) > 3:
        assert all(item.problem for item in read(tmp_path) if item.path.name == Path(written).name)
