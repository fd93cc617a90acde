"""Recording with this computer's own sound device: a virtual one that really runs in time, and none at all."""

from pathlib import Path

import pytest

from lect.engine.audio.quality import measure
from lect.engine.audio.reading import load_audio
from lect.engine.data.store import Project
from tests.browser.conftest import Window, fill, go, start_server
from tests.virtual_sound import needs_sound_server, play, virtual_microphone

pytestmark = pytest.mark.browser


def ready(page, sentence: str) -> None:  # type: ignore[no-untyped-def]
    """In front of a sentence, with the sound device chosen."""
    go(page, "Record")
    fill(page, "typed", sentence)
    page.locator("#add-sentences").click()
    page.locator("#prompt", has_text="Sentence 1 of 1").wait_for()
    page.locator("#source label", has_text="sound device").click()


@needs_sound_server
def test_a_take_of_the_sound_device(
    window: Window, project: Project, home: Path, microphone: Path, tmp_path: Path
) -> None:
    with virtual_microphone(tmp_path / "sound") as environment:
        server = start_server(home, **environment)
        try:
            page = window(server.url)
            ready(page, "ba da go")
            page.locator("#card-start:not([disabled])").click()
            page.locator("#card-level .meter").wait_for()
            play(microphone, environment)
            page.locator("#card-stop").click()
            page.locator("#verdict .notice").wait_for()
            page.locator("#keep:not([disabled])").click()
            page.locator("#header", has_text="13 clips").wait_for()
        finally:
            server.stop()
    kept = load_audio(project.clips()[-1].path)
    assert len(kept) > 16_000 and measure(kept).speech_dbfs > -40


def test_without_portaudio_a_sentence_says_what_to_install(
    window: Window, project: Project, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text('raise OSError("PortAudio library not found")\n')
    server = start_server(home, PYTHONPATH=str(tmp_path))
    try:
        page = window(server.url)
        ready(page, "ba da go")
        page.get_by_text("PortAudio is missing").wait_for()
        assert page.locator("#card-start").is_disabled()
    finally:
        server.stop()
