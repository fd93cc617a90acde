"""Published Whispers are fetched by name, here from a small hub of the test's own: resumed, checked, or refused."""

import http.server
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lect.engine.contract.errors import BackboneError, UsageError
from lect.engine.model.foreign.published import PUBLISHED, fetch_published, published_name

WEIGHTS = bytes(range(256)) * 20_000
FILES = {"config.json": b"{}", "tokenizer.json": b"{}", "model.bin": WEIGHTS}


@dataclass
class Hub:
    """What it was asked for, and how much of a file it gives before it goes silent."""

    asked: list[tuple[str, str | None]] = field(default_factory=list)
    most: int = len(WEIGHTS)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    state = Hub()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append((self.path, wanted))
            data = FILES.get(self.path.rpartition("/")[2], b"")
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            self.send_response(206 if start else 200 if data else 404)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : start + state.most])

        def log_message(self, *args: object) -> None:
            """A test's hub keeps no log."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}/")
    monkeypatch.setenv("LECT_HOME", str(tmp_path))
    yield state
    server.shutdown()
    server.server_close()


def test_it_is_resumed_where_it_broke_off(hub: Hub) -> None:
    hub.most = 2_000_000
    seen: list[tuple[int, int]] = []
    for _ in range(2):
        with pytest.raises(BackboneError, match="check the connection and do it again, what has arrived is kept"):
            fetch_published("large-v2", lambda here, whole: seen.append((here, whole)))
    folder = fetch_published("large-v2", lambda here, whole: seen.append((here, whole)))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    ranges = [wanted for path, wanted in hub.asked if path.endswith("model.bin")]
    assert ranges == [None, "bytes=2000000-", "bytes=4000000-"]
    published = PUBLISHED["whisper-large-v2"]
    assert hub.asked[0][0] == f"/{published.repository}/resolve/{published.revision}/config.json"
    assert seen == sorted(seen) and seen[-1] == (len(WEIGHTS), len(WEIGHTS))
    asked = len(hub.asked)
    assert fetch_published("whisper-large-v2", lambda here, whole: None) == folder
    assert len(hub.asked) == asked, "what is here is not fetched again"


def test_another_file_than_the_published_is_deleted(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="is not the published file: it was deleted"):
        fetch_published("whisper-small", lambda here, whole: None)
    assert not list(tmp_path.rglob("model.bin*"))


def test_what_the_hub_does_not_have(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILES, "tokenizer.json", b"")
    with pytest.raises(BackboneError, match=r"did not give whisper-tiny \(it answered 404\)"):
        fetch_published("tiny", lambda here, whole: None)


def test_without_a_connection_one_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECT_HOME", str(tmp_path))
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        for address in (f"http://127.0.0.1:{taken.getsockname()[1]}", "http://no such host", "nonsense"):
            monkeypatch.setenv("HF_ENDPOINT", address)
            with pytest.raises(BackboneError, match="check the connection"):
                fetch_published("openai/whisper-tiny", lambda here, whole: None)


def test_names() -> None:
    assert published_name("small") == published_name("openai/whisper-small") == "whisper-small"
    with pytest.raises(UsageError, match=r"whisper-tiny.*whisper-large-v3-turbo"):
        published_name("huge")
    assert all(len(one.revision) == 40 and len(one.sha256 or "0" * 64) == 64 for one in PUBLISHED.values())
