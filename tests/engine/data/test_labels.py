"""Signs that a label is not what is said: found where they are, and not in ordinary labels of any script."""

from pathlib import Path

import pytest

from lect.engine.data.import_plan import ImportRequest, import_set, preview
from lect.engine.data.labels import doubts
from lect.engine.data.review import review
from lect.engine.data.store import Project
from lect.engine.text.rules import TextRules
from tests.engine.data.test_importers import sounds, table


@pytest.mark.parametrize(
    "mark",
    ["[laughter]", "<unk>", "(xxx)", "{breath}", "*coughs*", "((unclear))", "xxx", "&=laughs", "%uh", "#noise", "(?)"],
)
def test_marks_are_no_words(mark: str) -> None:
    why = f"The label has {mark}, which would be learnt as a word: take it out here or by a text rule."
    assert doubts(f"kwa {mark} maana", 2.0, TextRules()) == [why]
    assert doubts(f"kwa {mark.upper()} maana", 2.0, TextRules(remove=(mark,))) == []


@pytest.mark.parametrize(
    "label",
    [
        "kwa maana (na sisi) wenyewe",
        "a [size: large] latte",
        "Ich bin 32 Jahre alt, am 3. 10. 1990!",
        "ការងារ",
        "我今年三十二岁",
        "l'œuvre & l'art – 5 * 3",
        "ɛ́kɔ̀ŋ ǃ͡ŋ",
    ],
)
def test_ordinary_labels_are_no_doubt(label: str) -> None:
    assert doubts(label, 2.0, TextRules()) == []


def test_numbers_and_labels_of_another_recording() -> None:
    assert doubts("0.000 1.800 kwa 2.3 7.0 sisi", 9.0, TextRules()) == [
        "The label is mostly digits and signs: write it as it is spoken."
    ]
    assert doubts("kwa maana sisi wenyewe tukiwa watumishi wake", 0.5, TextRules()) == [
        "The label is far too long for its recording: look whether it is another one's."
    ]


def test_preview_import_and_review_say_the_same(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", "p", "xx")
    source = sounds(tmp_path / "set", "a.wav", "b.wav", "c.wav")
    rows = [["a.wav", "kwa [noise]"], ["b.wav", "12:30"], ["c.wav", "kwa maana"]]
    table(source / "metadata.csv", [["file_name", "text"], *rows])
    expected = preview(project, ImportRequest(source))
    assert [path.name for path, _ in expected.warnings] == ["a.wav", "b.wav"] and not expected.failed
    assert import_set(project, ImportRequest(source)).warnings == expected.warnings
    assert review(project).doubts == {why: [number] for number, (_, why) in enumerate(expected.warnings, 1)}
