"""A pack as a recogniser of ELAN's: what is installed is run as ELAN runs it."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import soundfile

from lect.engine.audio.reading import load_audio
from lect.engine.contract.files import ASSETS
from tests.app.conftest import Lect

SPEECH = ASSETS / "sample" / "audio" / "Andrea-0008.ogg"
CMDI = "{http://www.clarin.eu/cmd/}"


def parameters(**values: str) -> str:
    """As ELAN writes them on the recogniser's standard input."""
    lines = "".join(f'<param name="{name}">{value}</param>\n' for name, value in values.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<PARAM>\n{lines}</PARAM>\n'


@pytest.mark.skipif(sys.platform == "win32", reason="runs the script for Unix")
def test_what_is_installed_runs_as_elan_runs_it(lect: Lect, graphs: Path, tmp_path: Path) -> None:
    told = lect("elan", "install", tmp_path, "--pack", graphs, "--threads", "1", "--json")
    folder = Path(told.json["folder"])
    (description,) = folder.glob("*.cmdi")
    recogniser = next(ET.parse(description).getroot().iter(f"{CMDI}recognizer"))
    assert recogniser.get("recognizerType") == "local" and recogniser.text == "lect-tiny"
    sound, result = tmp_path / "talk & song.wav", tmp_path / "result.xml"
    soundfile.write(sound, load_audio(SPEECH), 16_000)
    given = parameters(source=sound.as_uri().replace("&", "&amp;"), result=str(result))
    done = subprocess.run(
        [str(recogniser.get("runLinux"))], cwd=folder, input=given, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "RESULT: DONE.", done
    assert any(line.startswith("PROGRESS: 1.00 ") for line in done.stdout.splitlines())
    tier = ET.parse(result).getroot()
    (file,) = lect("transcribe", sound, "--pack", graphs, "--json").json["files"]
    spans = [(float(s.get("start", -1)), float(s.get("end", -1)), s.findtext("v")) for s in tier.iter("span")]
    assert tier.tag == "TIER" and spans == [(s["start"], s["end"], s["text"]) for s in file["segments"]] and spans


def test_what_goes_wrong_is_said_where_elan_looks(
    lect: Lect, graphs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from io import StringIO

    for given, words in (
        ("", "run by ELAN"),
        (parameters(source=str(tmp_path / "gone.wav")), "'result'"),
        (parameters(source=str(tmp_path / "gone.wav"), result=str(tmp_path / "r.xml")), "gone.wav"),
    ):
        monkeypatch.setattr(sys, "stdin", StringIO(given))
        failed = lect("elan", "recognise", "--pack", graphs)
        assert failed.code == 1 and failed.out.splitlines()[-1] == "RESULT: FAILED." and words in failed.out
    assert lect("elan", "install", tmp_path / "none", "--pack", graphs).failed_with("extensions", code=2)
