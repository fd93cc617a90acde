"""What the page refuses: bad uploads, other files, other names of this machine, visitors without the password."""

import functools
import http.server
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lect.app.page import recent
from lect.engine.audio.reading import load_audio
from lect.engine.data.store import Project
from tests import ROOT
from tests.browser.conftest import FAKE_DEVICE, PATIENCE_MS, Server, Window, fill, go, start_server, unfold

pytestmark = pytest.mark.browser


def status(url: str, **headers: str) -> int:
    """The HTTP status of a GET."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Name -> (a file that is not right, what the page says of it)."""
    outside = folder / "outside.zip"
    with zipfile.ZipFile(outside, "w") as archive:
        archive.writestr("../../evil.wav", b"RIFF")
    lonely = folder / "lonely.wav"
    lonely.write_bytes((ROOT / "assets" / "sample" / "audio" / "m1-0001.ogg").read_bytes())
    words = folder / "words.zip"
    with zipfile.ZipFile(words, "w") as archive:
        archive.writestr("metadata.csv", "file_name,transcription\na.wav,ba da\n")
        archive.writestr("a.wav", "no sound at all")
    return {
        "outside": (outside, "would write outside its folder"),
        "lonely": (lonely, "There are no texts to the recordings"),
        "words": (words, "holds text, not sound"),
    }


def test_bad_uploads_are_named_and_nothing_is_written(window: Window, project: Project, tmp_path: Path) -> None:
    page = window()
    go(page, "Import")
    for path, sentence in bad_files(tmp_path).values():
        page.locator("#import-files input[type=file]").set_input_files(path)
        page.locator("#import-outcome", has_text=sentence).wait_for()
        page.reload()
        page.locator("#header .header").wait_for()
        go(page, "Import")
    assert len(project.clips()) == 12 and not list(tmp_path.parent.rglob("evil.wav"))


def test_a_damaged_pack_and_a_list_that_is_no_text(window: Window, project: Project, tmp_path: Path) -> None:
    page = window()
    go(page, "Export")
    unfold(page, "verify")
    damaged = tmp_path / "damaged.lect"
    damaged.write_bytes(b"PK\x05\x06" + bytes(18))
    page.locator("#verify-file input[type=file]").set_input_files(damaged)
    page.get_by_text("is a zip file but no pack").first.wait_for()
    go(page, "Record")
    latin = tmp_path / "list.txt"
    latin.write_bytes("café\n".encode("latin-1"))
    page.locator("#sentence-file").locator("xpath=..").locator("input[type=file]").set_input_files(latin)
    page.get_by_text("is not text in UTF-8").first.wait_for()
    assert not (project.folder / "sentences.tsv").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [((FAKE_DEVICE,), "allow it beside the address"), ((), "No microphone is found: plug one in")],
    ids=["refused", "none"],
)
def test_without_a_microphone_one_sentence_says_what_to_do(
    browser_with: Callable[..., Any], server: Server, project: Project, arguments: tuple[str, ...], sentence: str
) -> None:
    page = browser_with(*arguments).new_page(locale="en-GB")
    page.set_default_timeout(PATIENCE_MS)
    page.goto(server.url)
    page.locator("#header", has_text="Clips").wait_for()
    go(page, "Record")
    fill(page, "typed", "ba da go")
    page.locator("#add-sentences").click()
    for button in ("record", "room"):
        page.locator(f"lect-recorder .{button} >> visible=true").click()
        page.locator("lect-recorder .message >> visible=true", has_text=sentence).wait_for()
        page.locator("lect-recorder .record:not([disabled]) >> visible=true").wait_for()


def test_only_the_files_of_opened_projects_are_served(server: Server, project: Project, tmp_path: Path) -> None:
    clip = project.clips()[0]
    key = recent.key(project.folder)
    assert status(f"{server.url}/project/{key}/clip/{clip.id}") == 200
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    database = project.folder / "lect.db"
    for path in (
        f"/project/{key}/clip/99999",
        f"/project/{key}/clip/../../lect.db",
        f"/project/{key}/pack/-1",
        f"/project/{recent.key(tmp_path)}/clip/1",
        *(f"/gradio_api/file={each}" for each in (secret, database, clip.path, ROOT / "pyproject.toml", "/etc/passwd")),
        "/page/../pyproject.toml",
        "/page/%2e%2e/%2e%2e/pyproject.toml",
        "/gradio_api/file=https://example.org/",
        "/gradio_api/proxy=https://example.org/",
        "/docs",
        "/openapi.json",
    ):
        assert status(server.url + path) in (403, 404), path
    assert status(server.url, Host="example.org") == 400


FOREIGN = """
<iframe src="{url}/"></iframe>
<iframe name="target"></iframe>
<form action="{url}/gradio_api/upload" method="post" enctype="multipart/form-data" target="target">
<input name="files" value="x"></form>
<script src="{url}/words.js"></script>
<script>
const body = JSON.stringify({{ data: ["mine", "", false, false, "", ""], fn_index: 1, session_hash: "x" }});
const told = (answer) => answer.text();
const asked = ["/", "/config", "/words.js"].map((path) => fetch("{url}" + path).then(told));
asked.push(fetch("{url}/gradio_api/queue/join", {{ method: "POST", body, credentials: "include" }}).then(told));
asked.push(fetch("{url}/gradio_api/queue/join", {{ method: "POST", body, mode: "no-cors" }}).then(told));
document.querySelector("form").submit();
window.read = Promise.allSettled(asked).then((all) => all.map((each) => each.value ?? ""));
</script>
<a href="{url}/">open</a>
"""


def test_a_page_of_another_port_reads_and_changes_nothing(browser: Any, server: Server, tmp_path: Path) -> None:
    context = browser.new_context()
    context.new_page().goto(server.url)  # so that its cookie is there
    page, blocked = context.new_page(), set[str]()
    page.set_default_timeout(PATIENCE_MS)
    page.on("requestfailed", lambda request: blocked.add(request.url.removeprefix(server.url)))
    (tmp_path / "index.html").write_text(FOREIGN.format(url=server.url))
    folder = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), folder) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{other.server_port}/")
        assert page.evaluate("() => window.read") == [""] * 5
        assert page.evaluate("() => window.lectWords") is None
        assert blocked >= {"/", "/config", "/words.js", "/gradio_api/queue/join", "/gradio_api/upload"}
        page.locator("a").click()  # a link is no harm
        page.locator("#header .header").wait_for()
        other.shutdown()
    context.close()


def test_the_network_needs_a_flag_and_a_password(home: Path) -> None:
    command = [sys.executable, "-m", "lect", "ui", "--host", "0.0.0.0", "--port", "0", "--no-browser"]
    refused = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"LECT_HOME": str(home)}
    )
    assert refused.returncode == 2 and "add --password" in refused.stderr
    guarded = start_server(home, "--host", "0.0.0.0", "--password", LECT_PASSWORD="mot de passe")
    try:
        url = guarded.url.replace("0.0.0.0", "127.0.0.1")
        assert status(url) == 401 and status(f"{url}/words.js") == 401 and status(f"{url}/gradio_api/info") == 401
        assert status(url, Authorization="Basic bGVjdDptb3QgZGUgcGFzc2U=") == 200
        assert status(url, Authorization="Basic bGVjdDp3cm9uZw==") == 401
    finally:
        guarded.stop()


def test_a_kept_recording_survives_a_kill(window: Window, project: Project, home: Path) -> None:
    doomed = start_server(home)
    page = window(doomed.url)
    go(page, "Record")
    fill(page, "typed", "ba da go")
    page.locator("#add-sentences").click()
    page.locator("#prompt", has_text="Sentence 1 of 1").wait_for()
    page.locator("lect-recorder .record >> visible=true").click()
    page.wait_for_timeout(2000)
    page.locator("lect-recorder .record >> visible=true").click()
    page.locator("#verdict .notice").wait_for()
    page.locator("#keep").click()
    page.locator("#header", has_text="13 clips").wait_for()
    doomed.stop(signal.SIGKILL)
    kept = Project.open(project.folder).clips()[-1]
    assert kept.text == "ba da go" and len(load_audio(kept.path)) > 16_000
