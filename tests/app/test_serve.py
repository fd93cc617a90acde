"""`lect serve` as a process of its own, asked by the client that OpenAI publishes."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import uvicorn

from lect.app.service.build import Limits, build
from lect.engine.audio.reading import SAMPLE_RATE, load_audio
from lect.engine.audio.writing import write_wav
from lect.engine.contract.files import ASSETS
from lect.exports.runtime import Runtime
from lect.exports.transcriber import SpeechOptions
from tests import ROOT
from tests.app.conftest import Lect

openai = pytest.importorskip("openai")

SPEECH = ASSETS / "sample" / "audio" / "Andrea-0008.ogg"
# The service, and nothing that an offline machine lacks.
WITHOUT_TORCH = """
import sys
for name in ("torch", "gradio", "sqlite_utils", "onnx"): sys.modules[name] = None
from lect.app.cli import main
sys.exit(main(sys.argv[1:]))
"""
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'  # and no end
Serve = Callable[..., str]


@pytest.fixture(scope="module")
def serve(graphs: Path) -> Iterator[Serve]:
    """`serve(options, KEY=value)`: the base URL of a running server."""
    running = list[subprocess.Popen[str]]()

    def start(*options: str, stderr: IO[str] | None = None, **environment: str) -> str:
        command = [sys.executable, "-c", WITHOUT_TORCH, "serve", "--pack", str(graphs), "--port", "0", "--json"]
        process = subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        return str(json.loads(process.stdout.readline())["url"])

    yield start
    for process in running:
        process.send_signal(signal.SIGINT)
    assert [process.wait(30) for process in running] == [0] * len(running)


@pytest.fixture(scope="module")
def url(serve: Serve) -> str:
    """A server of the tiny backbone, without a token."""
    return serve("--max-upload", "1", LECT_API_KEY="")


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    """OpenAI's own, which raises at the first error."""
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as opened:
        yield opened


@pytest.fixture(scope="module")
def expected(graphs: Path) -> dict[str, object]:
    """What `lect transcribe` says."""
    command = [sys.executable, "-m", "lect", "transcribe", str(SPEECH), "--pack", str(graphs), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (file,) = json.loads(done.stdout)["files"]
    assert file["text"]
    return dict(file)


def test_the_client_gets_the_text(client: openai.OpenAI, expected: dict[str, object]) -> None:
    heard = client.audio.transcriptions.create(model="whisper-1", file=SPEECH, language="en", temperature=0)
    assert heard.text == expected["text"] and heard.usage.seconds == math.ceil(expected["seconds"])
    plain = client.audio.transcriptions.create(model="tiny", file=SPEECH, response_format="text")
    assert plain == f"{expected['text']}\n"


def test_the_client_gets_times(client: openai.OpenAI, expected: dict[str, object]) -> None:
    told = client.audio.transcriptions.create(
        model="tiny", file=SPEECH, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert type(told).__name__ == "TranscriptionVerbose" and told.language == "und"
    assert told.text == expected["text"] and told.duration == expected["seconds"]
    for mine, theirs in zip(told.segments, expected["segments"], strict=True):
        assert (mine.start, mine.end, mine.text) == (theirs["start"], theirs["end"], theirs["text"])
        assert mine.avg_logprob < 0 and mine.compression_ratio > 0
    words = [word for segment in expected["segments"] for word in segment["words"]]
    assert [(w.word, w.start, w.end) for w in told.words] == [(w["word"], w["start"], w["end"]) for w in words]
    short = client.audio.transcriptions.create(model="tiny", file=SPEECH, response_format="verbose_json")
    assert short.segments and short.words is None


def test_the_client_gets_subtitles(client: openai.OpenAI, expected: dict[str, object]) -> None:
    srt = client.audio.transcriptions.create(model="tiny", file=SPEECH, response_format="srt")
    vtt = client.audio.transcriptions.create(model="tiny", file=SPEECH, response_format="vtt")
    assert srt.startswith("1\n00:00:00,") and vtt.startswith("WEBVTT\n")
    assert all(segment["text"] in srt and segment["text"] in vtt for segment in expected["segments"])


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").object == "model"
    with pytest.raises(openai.NotFoundError, match="use tiny"):
        client.models.retrieve("large")


def test_what_is_wrong_with_a_request_is_said(client: openai.OpenAI, url: str, tmp_path: Path) -> None:
    create = client.audio.transcriptions.create
    (tmp_path / "letter.wav").write_text("Dear reader")
    with pytest.raises(openai.BadRequestError, match="holds text") as refused:
        create(model="tiny", file=tmp_path / "letter.wav")
    assert refused.value.body["type"] == "invalid_request_error" and refused.value.param == "file"
    with pytest.raises(openai.NotFoundError, match="no model 'large'") as unknown:
        create(model="large", file=SPEECH)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="json, text, srt"):
        create(model="tiny", file=SPEECH, response_format="diarized_json")
    with pytest.raises(openai.BadRequestError, match="verbose_json"):
        create(model="tiny", file=SPEECH, timestamp_granularities=["word"])
    with pytest.raises(openai.BadRequestError, match="streamed"):
        list(create(model="tiny", file=SPEECH, stream=True))
    for answer in (httpx.post(f"{url}/audio/transcriptions"), httpx.post(f"{url}/models"), httpx.get(f"{url}/none")):
        assert answer.status_code in (400, 404, 405) and answer.json()["error"]["message"]


def test_granularities_are_taken_by_either_name(url: str) -> None:
    for name, value in (("timestamp_granularities[]", "word"), ("timestamp_granularities", "word, segment")):
        with SPEECH.open("rb") as file:
            data = {"response_format": "verbose_json", name: value}
            told = httpx.post(f"{url}/audio/transcriptions", files={"file": file}, data=data, timeout=60).json()
        assert told["words"] and ("segments" in told) == ("segment" in value)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("letter.wav", "letter.wav"),
        ("../../été 1.mp3", "été 1.mp3"),
        ("C:\\talks\\a;b.wav", "a_b.wav"),
        ("x" * 300 + ".wav", "x" * 196 + ".wav"),
        ("..", "recording"),
    ],
)
def test_errors_name_what_was_sent_and_no_folder(url: str, name: str, shown: str) -> None:
    answer = httpx.post(f"{url}/audio/transcriptions", files={"file": (name, b"Dear reader")}, timeout=60)
    message = answer.json()["error"]["message"]
    assert answer.status_code == 400 and message.startswith(f"{shown} holds text"), message
    assert "/" not in message


def test_a_base_url_without_its_end_is_told(url: str) -> None:
    root = url.removesuffix("/v1")
    for answer in (httpx.post(f"{root}/audio/transcriptions"), httpx.get(f"{root}/models"), httpx.get(root)):
        assert answer.status_code == 404 and "base URL of this server ends in /v1" in answer.json()["error"]["message"]
    assert "use POST /v1/audio/transcriptions" in httpx.post(f"{url}/audio/translations").json()["error"]["message"]


def test_what_is_too_large_is_refused_however_it_is_sent(client: openai.OpenAI, url: str, tmp_path: Path) -> None:
    write_wav(tmp_path / "long.wav", np.zeros(60 * SAMPLE_RATE, np.float32))
    with pytest.raises(openai.APIStatusError, match="larger than 1 MB") as refused:
        client.audio.transcriptions.create(model="tiny", file=tmp_path / "long.wav")
    assert refused.value.status_code == 413
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    chunked = httpx.post(
        f"{url}/audio/transcriptions",
        content=iter([head, *[bytes(100_000)] * 11]),  # without a length in front
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert chunked.status_code == 413 and "1 MB" in chunked.json()["error"]["message"]


def half_upload(url: str, length: int, body: bytes = b"") -> socket.socket:
    """A connection that has sent the head of an upload, and no more than `body`."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=5)
    head = f"POST {parts.path}/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n"
    connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode() + body)
    return connection


def test_what_is_too_large_is_refused_at_once(url: str) -> None:
    with half_upload(url, 10**9) as connection:
        connection.settimeout(2)
        answer = b""
        while b"larger than" not in answer:
            answer += (read := connection.recv(2000))
            assert read, answer
    assert answer.startswith(b"HTTP/1.1 413")


def test_idle_uploads_keep_nobody_out(url: str) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(half_upload(url, 900_000, PART))
        with SPEECH.open("rb") as file:
            assert httpx.post(f"{url}/audio/transcriptions", files={"file": file}, timeout=60).status_code == 200


def test_idle_and_dripping_uploads_end(graphs: Path) -> None:
    limits = Limits(waiting=1, upload_bytes=10**6, token=None, idle_s=1.0)
    listener = socket.create_server(("127.0.0.1", 0))
    app = build({"tiny": Runtime.open(graphs)}, SpeechOptions(), limits)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    try:
        started = time.monotonic()
        with half_upload(url, 900_000, PART) as idle, half_upload(url, 900_000, PART) as dripping:
            dripping.settimeout(0.2)
            answer = b""
            while not answer and time.monotonic() - started < 10:
                dripping.sendall(b"0")
                with suppress(TimeoutError):
                    answer = dripping.recv(2000)
            assert answer.startswith(b"HTTP/1.1 408") and idle.recv(2000).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - started < 5
    finally:
        server.should_exit = True
        thread.join()


def test_clients_that_leave_are_no_tracebacks(serve: Serve, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        url = serve(stderr=log, LECT_API_KEY="")
        for body in (b"", b"--x\r\n", PART):
            half_upload(url, 900_000, body).close()
        with SPEECH.open("rb") as file:
            assert httpx.post(f"{url}/audio/transcriptions", files={"file": file}, timeout=60).status_code == 200
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_web_page_from_elsewhere_is_not_answered(url: str) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert httpx.get(f"{url}/models", headers=headers).status_code == 403
    assert httpx.get(f"{url}/models", headers={"Origin": "http://localhost:3000"}).status_code == 200


def test_a_token_is_asked_for(serve: Serve, lect: Lect, graphs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LECT_API_KEY", raising=False)
    assert lect("serve", "--pack", graphs, "--host", "0.0.0.0").failed_with("LECT_API_KEY", code=2)
    url = serve("--host", "0.0.0.0", LECT_API_KEY="key").replace("0.0.0.0", "127.0.0.1")
    with (
        openai.OpenAI(base_url=url, api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="API key"),
    ):
        client.audio.transcriptions.create(model="tiny", file=SPEECH)
    with openai.OpenAI(base_url=url, api_key="key", max_retries=0) as client:
        assert client.audio.transcriptions.create(model="tiny", file=SPEECH).text


def test_more_than_the_queue_holds_is_turned_away(serve: Serve, tmp_path: Path) -> None:
    url = serve("--max-queue", "1", LECT_API_KEY="")
    write_wav(tmp_path / "talk.wav", np.tile(load_audio(SPEECH), 40))
    answers = list[httpx.Response]()

    def ask() -> None:
        with (tmp_path / "talk.wav").open("rb") as file:
            answers.append(httpx.post(f"{url}/audio/transcriptions", files={"file": file}, timeout=120))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503, 503]
    assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 503)
    assert len({answer.text for answer in answers if answer.status_code == 200}) == 1
    assert httpx.get(f"{url}/models").status_code == 200


def test_a_client_that_leaves_gives_its_turn_away(serve: Serve, tmp_path: Path) -> None:
    url = serve("--beam-size", "24", LECT_API_KEY="")  # with which all of it would take half a minute
    write_wav(tmp_path / "talk.wav", np.tile(load_audio(SPEECH), 600))
    with (tmp_path / "talk.wav").open("rb") as file, pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/audio/transcriptions", files={"file": file}, timeout=httpx.Timeout(30, read=1.5))
    started = time.monotonic()
    with SPEECH.open("rb") as file:
        assert httpx.post(f"{url}/audio/transcriptions", files={"file": file}, timeout=60).status_code == 200
    assert time.monotonic() - started < 12


def test_a_port_that_is_taken_is_a_sentence(lect: Lect, graphs: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        assert lect("serve", "--pack", graphs, "--port", port).failed_with(f"port {port}", code=2)
