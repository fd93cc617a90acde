"""What the page's server answers to requests that its own page would never send: over HTTP, by a running `lect ui`."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.browser.conftest import Server, start_server

REFUSED = "That file was not uploaded here: choose it again."
SECRET = "a secret that nobody may read"
API = "/gradio_api"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's folder for temporary files."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def server(home: Path, place: Path) -> Iterator[Server]:
    """A page of its own, on this machine only."""
    started = start_server(home, TMPDIR=str(place))
    yield started
    started.stop()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A visitor without a window."""
    with httpx.Client(base_url=server.url, timeout=60) as opened:
        yield opened


@pytest.fixture
def window(client: httpx.Client) -> httpx.Client:
    """A visitor who has opened the page."""
    assert client.get("/").status_code == 200 and client.cookies
    return client


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the user's that has nothing to do with Lect."""
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


def file_data(path: object, **more: Any) -> dict[str, Any]:
    """A file as Gradio's page names one that it uploaded."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "list.txt"} | more


def call(client: httpx.Client, number: int, data: list[Any], session: str) -> dict[str, Any]:
    """What an endpoint answers in the end."""
    body = {"data": data, "fn_index": number, "session_hash": session, "event_data": {"pick": "1"}, "trigger_id": None}
    client.post(f"{API}/queue/join", json=body).raise_for_status()
    with client.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if line and (message := json.loads(line.removeprefix("data: ")))["msg"] == "process_completed":
                return dict(message)
    raise AssertionError("no answer")


def endpoints(client: httpx.Client) -> dict[int, list[str]]:
    """All of the page's API that Python answers: number -> the kinds of its inputs."""
    config = client.get("/config").json()
    kinds = {each["id"]: each["type"] for each in config["components"]}
    return {
        each["id"]: [kinds[number] for number in each["inputs"]]
        for each in config["dependencies"]
        if each["backend_fn"]
    }


def endpoint_of(client: httpx.Client, elem_id: str, event: str) -> int:
    """The endpoint that an event of an element calls."""
    config = client.get("/config").json()
    (number,) = [each["id"] for each in config["components"] if each["props"].get("elem_id") == elem_id]
    return next(int(each["id"]) for each in config["dependencies"] if [number, event] in each["targets"])


def inside(place: Path) -> set[Path]:
    """All temporary files of the server."""
    return {path for path in place.rglob("*") if path.is_file()}


def crafted(secret: Path, uploads: Path) -> dict[str, Any]:
    """Ways to name a file that is none of the uploads."""
    link = uploads / "link.txt"
    if not link.is_symlink():
        link.symlink_to(secret)
    climbing = f"{uploads}/../{os.path.relpath(secret, uploads.parent)}"
    return {
        "plain": file_data(str(secret)),
        "in a list": [file_data(str(secret))],
        "as a stream": file_data(str(secret), is_stream=True),
        "without its mark": {"path": str(secret), "url": f"{API}/file={secret}"},
        "deep inside": {"value": [{"file": {"more": file_data(str(secret))}}]},
        "climbing out": file_data(climbing),
        "by a link": file_data(str(link)),
        "an address": file_data("http://127.0.0.1:9/secret.txt"),
        "a picture": file_data("/usr/share/secret.svg", mime_type="image/svg+xml"),
        "the folder itself": file_data(str(uploads)),
        "not a name": file_data("\0"),
        "not even text": file_data(["/etc/passwd"]),
    }


def test_every_endpoint_refuses_a_foreign_file(client: httpx.Client, place: Path, secret: Path) -> None:
    known, before = endpoints(client), inside(place)
    assert len(known) > 60
    for number, kinds in known.items():
        several = number % 2  # a field for one file, or for more
        sent = [file_data(str(secret))] if several else file_data(str(secret))
        given = [None if kind == "state" else sent for kind in kinds]
        answer = call(client, number, given if any(given) else [*given, sent], f"foreign {number}")
        assert not answer["success"] and answer["output"]["error"] == REFUSED, (number, answer)
    assert inside(place) == before


def test_no_way_of_naming_a_foreign_file_gets_past(client: httpx.Client, place: Path, secret: Path) -> None:
    (uploads,) = place.glob("lect-page-*/uploads")
    number, sent = endpoint_of(client, "import-look", "click"), crafted(secret, uploads)
    before = inside(place)
    for name, value in sent.items():
        answer = call(client, number, [None, None, value, "", "", ""], name)
        assert not answer["success"] and answer["output"]["error"] == REFUSED, (name, answer)
    assert inside(place) == before


def test_a_file_that_was_uploaded_is_taken(window: httpx.Client, server: Server, home: Path, tmp_path: Path) -> None:
    answer = window.post(f"{API}/upload", files={"files": ("list.txt", b"ba da go\n")})
    (path,) = answer.json()
    number = endpoint_of(window, "sentence-file", "upload")
    message = call(window, number, [None, "", file_data(path)], "uploaded")
    assert message["output"]["error"] == "No project is open: make or open one in the first step."
    assert window.get(f"{API}/file={path}").text == "ba da go\n"


@pytest.mark.parametrize(
    "path",
    ["run/predict", "api/predict", "call/add_file", "call/v2/add_file", "component_server", "process_recording",
     "vibe-edit/", "stream/1", "file/etc/passwd", "proxy=https://example.org/", "deep_link", "file=https://example.org",
     "openapi.json", "queue/status"],
)  # fmt: skip
def test_what_the_page_does_not_need_is_not_there(client: httpx.Client, secret: Path, path: str) -> None:
    number = endpoint_of(client, "sentence-file", "upload")
    body = {"data": [None, "", file_data(str(secret))], "fn_index": number, "session_hash": "x"}
    for answer in (client.post(f"{API}/{path}", json=body), client.get(f"{API}/{path}")):
        assert answer.status_code == 404 and answer.text == "There is nothing here.", path


ELSEWHERE = {
    "another site": {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    "another port": {"Origin": "http://127.0.0.1:3000"},
    "another port's script": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
    "a file": {"Origin": "null"},
    "a frame": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
}


@pytest.mark.parametrize("headers", ELSEWHERE.values(), ids=ELSEWHERE)
def test_pages_of_other_origins_are_not_answered(window: httpx.Client, headers: dict[str, str]) -> None:
    for path in ("/", "/config", "/words.js", "/page/page.js", f"{API}/info", f"{API}/queue/data?session_hash=x"):
        answer = window.get(path, headers=headers)
        assert answer.status_code == 403 and "Access-Control-Allow-Origin" not in answer.headers, path
    asked = headers | {"Access-Control-Request-Method": "POST"}
    assert window.options(f"{API}/queue/join", headers=asked).status_code == 403
    assert window.post(f"{API}/queue/join", json={"data": [], "fn_index": 0}, headers=headers).status_code == 403
    assert window.post(f"{API}/upload", files={"files": b"x"}, headers=headers).status_code == 403


def test_its_own_page_and_a_link_to_it_are_answered(client: httpx.Client) -> None:
    own = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/config", headers=own).status_code == 200
    answer = client.get("/", headers=link)
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status_code == 200 and "frame-ancestors 'none'" in policy and "default-src 'none'" in policy
    assert client.get("/config", headers=link).status_code == 403


def test_only_windows_upload_and_not_more_than_fits(client: httpx.Client, server: Server, place: Path) -> None:
    before = inside(place)
    refused = client.post(f"{API}/upload", files={"files": ("a.txt", b"x")})
    assert refused.status_code == 403 and "reload the page" in refused.text
    client.get("/")
    unsized = client.post(f"{API}/upload", content=iter([b"x"]), headers={"Content-Type": "multipart/form-data"})
    assert unsized.status_code == 411
    for size, status in ((20_000_000_001, b"413"), (10**17, b"413")):
        assert answer_to_head(server, client, size).split()[1] == status
    assert inside(place) == before


def answer_to_head(server: Server, client: httpx.Client, size: int) -> bytes:
    """The answer to an upload of which nothing but the head is sent."""
    port = urlsplit(server.url).port
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = (
        f"POST {API}/upload HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookies}\r\nContent-Length: {size}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(head.encode())
        return connection.recv(1000)


@pytest.mark.parametrize("elem_id", ["import-look", "open", "transcribe-go"])
def test_a_visitor_from_elsewhere_names_no_folder(home: Path, elem_id: str, remote: httpx.Client) -> None:
    config = remote.get("/config").json()
    number = endpoint_of(remote, elem_id, "click")
    (inputs,) = [each["inputs"] for each in config["dependencies"] if each["id"] == number]
    named = {each["id"]: each["props"].get("elem_id") for each in config["components"]}
    fields = ("import-folder", "open-path", "transcribe-backbone")
    data = ["/etc" if named[each] in fields else None for each in inputs]
    assert "/etc" in data
    answer = call(remote, number, data, elem_id)
    assert answer["output"]["error"].startswith("Folders of the server cannot be named from elsewhere")


def test_a_visitor_from_elsewhere_does_not_listen_to_the_server(remote: httpx.Client) -> None:
    answer = call(remote, endpoint_of(remote, "card-start", "click"), [None], "listening")
    assert "not for visitors" in answer["output"]["error"]


@pytest.fixture(scope="module")
def remote(home: Path) -> Iterator[httpx.Client]:
    """A visitor with the password of a page that the network reaches."""
    started = start_server(home, "--host", "0.0.0.0", "--password", LECT_PASSWORD="word")
    with httpx.Client(base_url=started.url.replace("0.0.0.0", "127.0.0.1"), auth=("lect", "word")) as opened:
        yield opened
    started.stop()


def test_what_a_killed_page_leaves_goes_at_the_next_start(home: Path, tmp_path: Path) -> None:
    def start() -> tuple[Server, Path]:
        before = set(tmp_path.glob("lect-page-*"))
        started = start_server(home, TMPDIR=str(tmp_path))
        (folder,) = set(tmp_path.glob("lect-page-*")) - before
        return started, folder

    killed, left = start()
    running, kept = start()
    killed.stop(signal.SIGKILL)
    assert left.exists() and kept.exists()
    third, third_folder = start()
    assert not left.exists() and kept.exists()
    for ended, number in ((running, signal.SIGTERM), (third, signal.SIGHUP)):
        ended.stop(number)
    assert not kept.exists() and not third_folder.exists()


@pytest.mark.parametrize(
    ("asked", "kind", "body"),
    [
        ("cancel", "application/json", b'{"session_hash": 5, "data": "\\ud800"}'),
        ("queue/join", "application/json", b'{"session_hash": null, "data": ["\\ud800"]}'),
        ("queue/join", "application/json", b"[" * 50_000),
        ("upload", "multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n"),
        ("upload", "multipart/form-data", b"x"),
    ],
)
def test_bodies_that_are_none(window: httpx.Client, asked: str, kind: str, body: bytes) -> None:
    answer = window.post(f"{API}/{asked}", content=body, headers={"Content-Type": kind})
    assert 400 <= answer.status_code < 500, answer.text
