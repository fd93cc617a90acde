"""Consent in two levels, use by use: what a community and a person say together."""

import pytest

from lect.engine.contract.errors import UsageError
from lect.engine.data.clips import Community, Speaker
from lect.engine.data.consent import check_covered, label_code, rights
from lect.engine.data.store import Project
from tests.engine.data.test_store import speech


@pytest.fixture
def project(tmp_path: object) -> Project:
    """Clips by anna and bela."""
    made = Project.create(tmp_path / "p", "p", "xx")  # type: ignore[operator]
    for number, name in enumerate(("anna", "bela")):
        made.keep((bytes([number]) * 8, ".wav"), speech(number, 1.0), "ba", name)
    return made


@pytest.mark.parametrize(
    ("community", "anna", "bela", "covered"),
    [
        ("", "", "", True),  # as projects were before anybody could be asked
        ("", "yes", "no", False),
        ("yes", "", "", True),
        ("yes", "no", "", False),
        ("ask", "yes", "yes", True),
        ("ask", "yes", "", False),
        ("no", "yes", "yes", False),
    ],
)
def test_a_communitys_word_comes_first(community: str, anna: str, bela: str, covered: bool, project: Project) -> None:
    project.save_community(Community("The valley", uses={"share": community} if community else {}))
    said = {"anna": anna, "bela": bela}
    project.save_speakers([Speaker(name, uses={"share": answer} if answer else {}) for name, answer in said.items()])
    check_covered(project, "train", project.clips())
    if covered:
        check_covered(project, "share", project.clips())
        return
    with pytest.raises(UsageError, match="lect consent") as refused:
        check_covered(project, "share", project.clips())
    who = "The valley" if community == "no" else "anna" if anna == "no" else "bela"
    assert who in str(refused.value) and "sharing" in str(refused.value)


def test_who_is_not_in_it_does_not_count(project: Project) -> None:
    project.save_speakers([Speaker("bela", uses={"share": "no"})])
    check_covered(project, "share", [clip for clip in project.clips() if clip.speaker == "anna"])


def test_what_travels_names_nobody(project: Project) -> None:
    assert rights(project, project.clips()) == {}
    project.save_community(Community("The valley", "for our school", "CC-BY-4.0", ("TK NC",), {"share": "ask"}))
    project.save_speakers([Speaker("anna", uses={"share": "yes"})])
    found = rights(project, project.clips())
    assert found["community"] == "The valley" and found["labels"] == ["TK NC"] and found["uses"] == {"share": "ask"}
    assert found["speakers"] == 2 and found["speakers_agreed"] == {"train": 0, "share": 1}
    assert "anna" not in str(found)
    assert project.community().labels == ("TK NC",)


def test_codes_of_labels() -> None:
    assert [label_code(text) for text in ("tk-nc", "TK A", "bc p", "TKCV")] == ["TK NC", "TK A", "BC P", "TK CV"]
    for text in ("CC-BY", "TK", "TK NONCOMMERCIAL", ""):
        with pytest.raises(UsageError, match="TK NC"):
            label_code(text)
