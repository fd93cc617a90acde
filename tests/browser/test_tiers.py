"""Long recordings on the page: the preview shows their tiers, and one chooses."""

from pathlib import Path

import pytest

from lect.engine.audio.writing import write_wav
from lect.engine.data.store import Project
from tests.browser.conftest import Window, go
from tests.engine.data.test_annotations import aligned, eaf, tier
from tests.engine.data.test_store import speech

pytestmark = pytest.mark.browser


def test_tiers_are_shown_and_chosen(window: Window, project: Project, tmp_path: Path) -> None:
    write_wav(tmp_path / "talk.wav", speech(1, 8.0))
    tiers = tier("A", aligned("a1", 1, 2, "uno dos") + aligned("a2", 2, 3, "tres"), "utt", "Ana")
    (tmp_path / "talk.eaf").write_bytes(eaf([500, 2500, 4500], tiers + tier("notes", aligned("n", 1, 3, "x"), "note")))
    before = {clip.id for clip in project.clips()}
    page = window()
    go(page, "Import")
    page.locator("#import-files input[type=file]").set_input_files([tmp_path / "talk.wav", tmp_path / "talk.eaf"])
    page.locator("#import-outcome", has_text="several tiers").wait_for()
    page.locator("#import-tiers label", has_text="A · utt · Ana · 2 annotations").click()
    page.locator("#import-outcome", has_text="Ready to import 2 clips").wait_for()
    rows = [row.inner_text().split("\t") for row in page.locator("#import-outcome tbody tr").all()]
    assert [(row[0], row[1], row[3]) for row in rows[:2]] == [("A · utt · Ana", "2", "✓"), ("notes · note", "1", "–")]
    page.locator("#import-take").click()
    page.locator("#import-outcome", has_text="Imported").wait_for()
    new = [clip for clip in project.clips() if clip.id not in before]
    assert [(clip.text, clip.speaker) for clip in new] == [("uno dos", "Ana"), ("tres", "Ana")]
