"""`lect export --web` and `lect web`: mistakes are sentences, and the server sends what browsers want."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from lect.exports.onnxruntime_web import SHA256
from tests import ROOT
from tests.app.conftest import Lect


def test_a_page_needs_the_known_runtime(lect: Lect, tmp_path: Path) -> None:
    page = tmp_path / "page"
    assert lect("export", "--web", page, "--backbone", "tiny").failed_with("npm pack", "--onnxruntime-web", code=2)
    for name in SHA256:
        (tmp_path / name).write_bytes(b"another")
    other = lect("export", "--web", page, "--backbone", "tiny", "--onnxruntime-web", tmp_path)
    assert other.failed_with("does not hold", "npm pack", code=2)
    (tmp_path / "no.tgz").write_bytes(b"none")
    assert lect("export", "--web", page, "--onnxruntime-web", tmp_path / "no.tgz").failed_with("no npm package", code=2)
    assert not page.exists()


def test_options_that_do_not_go_together_are_refused(lect: Lect, tmp_path: Path) -> None:
    assert lect("export", "--pack", "a.lect").failed_with("--web DIR", code=2)
    assert lect("export", "--web", tmp_path, "--run", "1", "--portable").failed_with("--portable", "leave", code=2)
    assert lect("export", "--web", tmp_path, "--run", "1", "--pack", "a.lect").failed_with("not both", code=2)
    assert lect("export", "--web", tmp_path, "--pack", tmp_path / "a.lect").failed_with("no pack", code=2)
    assert lect("web", tmp_path).failed_with("lect export --web", code=2)


def test_the_server_sends_files_that_a_browser_isolates(tmp_path: Path) -> None:
    for name in ("contents.js", "manifest.webmanifest", "engine.wasm.gz"):
        (tmp_path / name).write_text("")
    command = [sys.executable, "-m", "lect", "web", str(tmp_path), "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        kinds = {"contents.js": "text/javascript", "manifest.webmanifest": "application/manifest+json"}
        for name, kind in (kinds | {"engine.wasm.gz": "application/octet-stream"}).items():
            with urlopen(f"{url}/{name}") as answer:
                assert answer.headers["Content-Type"] == kind and answer.headers["Content-Encoding"] is None
                assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        with pytest.raises(HTTPError):
            urlopen(f"{url}/../{tmp_path.parent.name}")
    finally:
        process.terminate()
        process.wait(60)
