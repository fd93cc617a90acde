"""`lect desktop`: one window, which ends the page when it is closed; a stand-in shows it, as no test has a screen.

LECT_WEBVIEW names a Python that has pywebview and Qt, under a screen (Xvfb): then the real window opens as well.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.app.conftest import Lect

# Does what pywebview's window does as far as the command can tell: shows an address until it is closed.
STAND_IN = """
import pathlib, time, urllib.request
HERE = pathlib.Path(__file__).parent
class WebViewException(Exception): pass
class Window:
    def restore(self): pass
    def show(self): (HERE / "in-front").write_text("yes")
def create_window(title, url, **options):
    (HERE / "page").write_bytes(urllib.request.urlopen(url).read())
    return Window()
def start(**options):
    if (HERE / "no-screen").exists():
        raise WebViewException("no GTK, no Qt")
    (HERE / "shown").write_text("yes")
    while not (HERE / "close").exists():
        time.sleep(0.05)
"""


@pytest.fixture
def window(tmp_path: Path) -> Path:
    """The folder of the stand-in, where it leaves what it was told."""
    (tmp_path / "stand-in").mkdir()
    (tmp_path / "stand-in" / "webview.py").write_text(STAND_IN)
    (tmp_path / "stand-in" / "browse").write_text('#!/bin/sh\ntouch "$(dirname "$0")/browsed"\n')
    (tmp_path / "stand-in" / "browse").chmod(0o755)
    return tmp_path / "stand-in"


def start(tmp_path: Path, window: Path, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "LECT_HOME": str(tmp_path / "home"), "PYTHONPATH": f"{window}:{Path.cwd()}"}
    environment["BROWSER"] = f"{window / 'browse'} %s"
    command = [sys.executable, "-m", "lect", "desktop", *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.05)


def test_one_window_that_ends_its_page(tmp_path: Path, window: Path) -> None:
    first = start(tmp_path, window)
    wait_for(window / "shown")
    assert b"gradio" in (window / "page").read_bytes()
    url = json.loads((tmp_path / "home" / "desktop.json").read_text())["url"]
    second = start(tmp_path, window)
    _, said = second.communicate(timeout=300)
    assert second.returncode == 0 and "open already" in said
    wait_for(window / "in-front", 10)
    (window / "close").write_text("now")
    assert first.wait(30) == 0
    with pytest.raises(OSError):
        urllib.request.urlopen(url, timeout=2)
    assert not (tmp_path / "home" / "desktop.json").exists()


def test_a_machine_without_windows_gets_the_browser(tmp_path: Path, window: Path) -> None:
    (window / "no-screen").write_text("yes")
    page = start(tmp_path, window)
    wait_for(window / "browsed")
    page.terminate()
    assert "No window can be shown here" in page.communicate(timeout=300)[1]


def test_a_project_that_is_none_is_a_sentence(lect: Lect, tmp_path: Path) -> None:
    assert lect("desktop", tmp_path, "--browser", "--quiet").failed_with("no Lect project", code=1)
