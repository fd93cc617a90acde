"""Transcripts as the page lists them, and several of them in one file."""

import io
import zipfile

from lect.app.page.editor.place import Entry
from lect.app.page.texts import words_in
from lect.app.page.transcripts import links, listed, zipped


def test_recordings_of_one_name_get_files_of_their_own() -> None:
    packed = zipped("srt", [("a.wav", "1"), ("a.mp3", "2"), ("b.wav", "3"), ("a.wav", "4")])
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        found = {name: archive.read(name).decode() for name in archive.namelist()}
    assert found == {"a.wav.srt": "1", "a.mp3.srt": "2", "b.srt": "3", "a.wav 2.srt": "4"}


def test_names_of_files_are_never_taken_for_html() -> None:
    shown = listed([Entry("001", "<b>.wav", 61.0, 4, 3)], "001", words_in("en"))
    assert "&lt;b&gt;.wav" in shown and "<b>" not in shown and "3 of 4 checked" in shown
    assert listed([], "", words_in("en")) == ""
    assert "/project/none/transcripts/001-002/srt" in links("none", ["001", "002"], words_in("en"))
