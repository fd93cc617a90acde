"""The readers, each with seeds that it takes and a call that may raise LectError and nothing else.

It does not know who makes bytes of the seeds: hypothesis (`test_readers`) or libFuzzer (`__main__`).
"""

import io
import json
import os
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import safetensors.numpy
import soundfile
from starlette.applications import Starlette
from starlette.testclient import TestClient

from lect.app.page.access import ServerOptions
from lect.app.page.server import make_server
from lect.app.service.build import Limits, build
from lect.engine.audio.reading import SAMPLE_RATE, load_audio, notes
from lect.engine.contract.errors import LectError
from lect.engine.contract.files import ASSETS
from lect.engine.data import layouts
from lect.engine.data.archives import unpack
from lect.engine.data.store import Project
from lect.engine.model.foreign import read_foreign
from lect.engine.text.rules import TextRules
from lect.engine.text.vocabulary import Vocabulary
from lect.exports.pack import FILES, LANGUAGE_MODEL, SUMS, read_pack
from lect.exports.pack_archive import sums, zipped
from lect.exports.runtime import Runtime
from lect.exports.transcriber import SpeechOptions
from tests.engine.model.whisper_layouts import (
    TOKENS,
    tiny,
    write_ctranslate2,
    write_ggml,
    write_huggingface,
    write_openai,
)

Read = Callable[[Path], object]  # the file that was written, in a folder of its own
BOUNDARY = "x"

FLEX = """<?xml version="1.0" encoding="utf-8"?>
<document version="2"><interlinear-text guid="t"><paragraphs><paragraph><phrases>
<phrase begin-time-offset="0" end-time-offset="900" speaker="Ana" media-file="m"><words>
<word><item type="txt" lang="fau">Daia</item></word><word><item type="punct" lang="fau">.</item></word></words>
<item type="gls" lang="en">This</item></phrase></phrases></paragraph></paragraphs>
<media-files offset-type="milliseconds"><media guid="m" location="talk.wav"/></media-files></interlinear-text>
</document>
"""
EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///talk.wav"
RELATIVE_MEDIA_URL="./talk.wav" TIME_ORIGIN="5"/></HEADER><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="0"/>
<TIME_SLOT TIME_SLOT_ID="b"/><TIME_SLOT TIME_SLOT_ID="c" TIME_VALUE="900.5"/></TIME_ORDER>
<TIER TIER_ID="t" PARTICIPANT="p" LINGUISTIC_TYPE_REF="l"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="1"
TIME_SLOT_REF1="a" TIME_SLOT_REF2="b"><ANNOTATION_VALUE>ba da</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="2" TIME_SLOT_REF1="b" TIME_SLOT_REF2="c"><ANNOTATION_VALUE>go
</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER><TIER TIER_ID="u" PARENT_REF="t"><ANNOTATION>
<REF_ANNOTATION ANNOTATION_ID="3" ANNOTATION_REF="1"><ANNOTATION_VALUE>x</ANNOTATION_VALUE></REF_ANNOTATION>
</ANNOTATION></TIER><LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="l"/></ANNOTATION_DOCUMENT>"""
TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "w"
        xmin = 0
        xmax = 1
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "b\\a'a"
        intervals [2]:
            xmin = 0.5
            xmax = 1
            text = "da ""x"" "
"""
SRT = "1\n00:00:00,000 --> 00:00:00,500\n<i>ba</i> &amp; da\n\n2\n00:00:00,500 --> 00:00:01,000\ngo\n"
VTT = "WEBVTT\n\nNOTE x\n\na\n00:00.000 --> 00:00.500 align:start\n<v Ana>ba da</v>\n\n00:00.500 --> 00:01.000\ngo\n"
TIMED = ("0.0\t0.5\tba da\n0.5\t1.0\tgo\n", "[00:00.000 --> 00:00.500]  ba\n[00:00.500 --> 00:01.000]  da\n", "ba da\n")
TABLES = ("file_name,transcription,speaker\ntalk.wav,ba da,a\n", "file_name\ttext\ntalk.wav\tgo\n", '"file_name","x"\n')
BARS = ("talk|ba da|ba da\n", "wav/talk.wav|ana|ba da\ntalk|ana|go\n")
NEMO = '{"audio_filepath": "talk.wav", "text": "ba", "offset": 0.1, "duration": 0.5}\n'
SEGMENTS = "u1 talk 0.0 0.5\nu2 talk 0.5 1.0\n"


@dataclass(frozen=True)
class Reader:
    """What is read under which name, with what beside it."""

    name: str
    seeds: Callable[[Path], list[bytes]]  # given a folder to make them in
    read: Read
    beside: tuple[tuple[str, bytes], ...] = ()

    def __call__(self, data: bytes) -> bool:
        """Whether the bytes were taken. Raises what no reader should."""
        with tempfile.TemporaryDirectory() as folder:
            for name, other in (*self.beside, (self.name, data)):
                (Path(folder) / name).write_bytes(other)
            with suppress(LectError):
                self.read(Path(folder) / self.name)
                return True
        return False


@cache
def wav(coding: str = "WAV", seconds: float = 1.0) -> bytes:
    """A second of tone."""
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.3 * np.sin(np.arange(int(seconds * SAMPLE_RATE)) / 7), SAMPLE_RATE, format=coding)
    return buffer.getvalue()


def texts(*seeds: str) -> Callable[[Path], list[bytes]]:
    """Seeds that are written out here."""
    return lambda folder: [seed.encode() for seed in seeds]


def _sounds(folder: Path) -> list[bytes]:
    found = [wav(coding, 0.2) for coding in ("WAV", "FLAC", "OGG", "MP3", "AIFF", "CAF", "RF64")]
    with suppress(ImportError):
        import av

        for name, codec in (("a.m4a", "aac"), ("a.webm", "libopus"), ("a.mkv", "pcm_s16le"), ("a.mts", "ac3")):
            with av.open(str(folder / name), "w") as container:
                stream = container.add_stream(codec, rate=48_000, layout="stereo")
                for start in range(0, 9_600, 960):
                    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1_920), np.float32), format="flt", layout="stereo")
                    frame.sample_rate, frame.pts = 48_000, start
                    container.mux(stream.encode(frame))
                container.mux(stream.encode(None))
            found.append((folder / name).read_bytes())
    return found


def _listened(path: Path) -> None:
    load_audio(path)
    notes(path)


def _zips(folder: Path) -> list[bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("set/metadata.csv", TABLES[0])
        file.writestr("set/größe.wav", b"RIFF")
    return [buffer.getvalue()]


def _unpacked(path: Path) -> None:
    with suppress(OSError):  # a name that the disk does not take
        unpack(path, path.parent / "out", most_bytes=1 << 20, most_files=100)


def _databases(folder: Path) -> list[bytes]:
    project = Project.create(folder / "p", "p", "xx")
    (folder / "a.wav").write_bytes(wav())
    project.keep(folder / "a.wav", load_audio(folder / "a.wav"), "ba da")
    with sqlite3.connect(folder / "p" / "lect.db") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return [(folder / "p" / "lect.db").read_bytes()]


def _opened(path: Path) -> None:
    project = Project.open(path.parent)
    project.clips()
    project.runs()
    project.speakers()


def _pack_files(folder: Path) -> dict[str, bytes]:
    vocabulary = Vocabulary("grapheme", tuple("abd "))
    tensors = {"vocabulary.embedding": np.ones((len(vocabulary), 4), np.float32)}
    ngrams = {"ngrams": np.zeros((1, 6), np.uint16), "counts": np.ones(1, np.uint32), "weight": np.array(0.3)}
    manifest = {
        "format_version": 2, "name": "p", "language": "xx", "backbone": "tiny", "backbone_sha256": "0" * 64,
        "method": {"method": "prompt", "ctc_weight": 0.5}, "normalisation": "nfc",
        "tensors": {name: {"shape": list(t.shape), "dtype": str(t.dtype)} for name, t in tensors.items()},
        "scores": {"dev": {"cer": 0.1, "wer": 0.5, "baseline": {"cer": 0.2, "wer": 0.6}}}, "created_by": "lect",
    }  # fmt: skip
    files = dict.fromkeys(FILES, b"{}") | {LANGUAGE_MODEL: safetensors.numpy.save(ngrams)}
    files |= {"manifest.json": json.dumps(manifest).encode(), FILES[2]: safetensors.numpy.save(tensors)}
    files |= {"vocabulary.json": json.dumps(vocabulary.to_json()).encode()}
    files |= {"text_rules.json": json.dumps(TextRules(replace=(("x", "y"),)).to_json()).encode()}
    del files[SUMS]
    return files


def pack_reader(changed: str) -> Reader:
    """A pack with other bytes in one of its files, under checksums that fit: else nothing would read them."""

    def read(path: Path) -> None:
        files = _pack_files(path.parent) | {changed: path.read_bytes()}
        pack = path.with_suffix(".lect")
        pack.write_bytes(zipped(files | {SUMS: sums(files)}))
        read_pack(pack).rules.apply("Ba da xx")

    return Reader("inner", lambda folder: [_pack_files(folder)[changed]], read)


def _whole_packs(folder: Path) -> list[bytes]:
    files = _pack_files(folder)
    return [zipped(files | {SUMS: sums(files)})]


def weights(write: Callable[[Path], object], name: str, *others: str) -> Reader:
    """A foreign backbone's file, with the others of its folder, which `write` makes, as they should be."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "it"
        write(folder)
        data = (folder / name).read_bytes()
        beside = tuple((other, (folder / other).read_bytes()) for other in others)

    def read(written: Path) -> object:
        return read_foreign(written.parent if others else written)

    return Reader(name, lambda folder: [data], read, beside)


def _write_ctranslate2(folder: Path) -> None:
    folder.mkdir()
    write_ctranslate2(folder / "model.bin", tiny())
    (folder / "vocabulary.json").write_text(json.dumps(TOKENS), encoding="utf-8")


def _form(*parts: tuple[str, bytes]) -> bytes:
    body = b""
    for head, data in parts:
        body += f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


def _posted(path: Path) -> None:
    with TestClient(_service(), base_url="http://127.0.0.1", raise_server_exceptions=True) as client:
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        answer = client.post("/v1/audio/transcriptions", content=path.read_bytes(), headers=kind)
    assert answer.status_code < 500, answer.text


@cache
def _service() -> Starlette:
    return build(
        {"tiny": Runtime.open(ASSETS / "starter")}, SpeechOptions(), Limits(waiting=4, upload_bytes=1 << 20, token=None)
    )


def _bodies(folder: Path) -> list[bytes]:
    return [_form(('name="file"; filename="a.wav"', b"RIFF"), ('name="model"', b"tiny"), ('name="language"', b"sw"))]


def _asked(path: Path) -> None:
    """A window's call, and a file that it sends."""
    page, body = _page(), path.read_bytes()
    for place, kind in (("queue/join", "application/json"), ("upload", f"multipart/form-data; boundary={BOUNDARY}")):
        answer = page.post(f"/gradio_api/{place}", content=body, headers={"Content-Type": kind})
        assert answer.status_code < 500, answer.text


@cache
def _page() -> TestClient:
    os.environ["LECT_HOME"] = tempfile.mkdtemp()  # whatever a call may do, it does not do it to the user's projects
    server, _ = make_server(ServerOptions())
    # What Gradio stumbles over is raised behind the answer too, for the log.
    client = TestClient(server, base_url="http://127.0.0.1", raise_server_exceptions=False)
    client.get("/")  # for the cookie
    return client


def _calls(folder: Path) -> list[bytes]:
    call = {"data": ["a.wav", None, {"path": "a.wav", "meta": {"_type": "gradio.FileData"}}], "fn_index": 0}
    return [json.dumps(call | {"session_hash": "x"}).encode(), _form(('name="files"; filename="a.wav"', b"RIFF"))]


def _listing(path: Path) -> list[layouts.Item]:
    return list(layouts.listed(path.parent))


TALK = (("talk.wav", wav()),)
KALDI = (*TALK, ("wav.scp", b"talk talk.wav\n"), ("text", b"u1 ba da\nu2 go\n"))


def readers() -> Iterator[tuple[str, Reader]]:
    """Each by its name."""
    yield "audio", Reader("a.sound", _sounds, _listened)
    yield "zip", Reader("a.zip", _zips, _unpacked)
    yield "database", Reader("lect.db", _databases, _opened)
    yield "http", Reader("body", _bodies, _posted)
    yield "page", Reader("body", _calls, _asked)
    for name, file, seeds in (
        ("elan", "talk.eaf", (EAF,)), ("flex", "talk.flextext", (FLEX,)),
        ("praat", "talk.TextGrid", (TEXTGRID,)), ("srt", "talk.srt", (SRT,)),
        ("vtt", "talk.vtt", (VTT,)), ("timed", "talk.txt", TIMED), ("table", "metadata.csv", TABLES),
        ("bars", "metadata.csv", BARS), ("nemo", "manifest.json", (NEMO,)),
    ):  # fmt: skip
        yield name, Reader(file, texts(*seeds), _listing, TALK)
    yield "kaldi", Reader("segments", texts(SEGMENTS), _listing, KALDI)
    yield "pack", Reader("a.lect", _whole_packs, read_pack)
    for name in ("manifest.json", "vocabulary.json", "text_rules.json", FILES[2], LANGUAGE_MODEL):
        yield f"pack-{name.partition('.')[0]}", pack_reader(name)
    model = tiny()
    yield "ggml", weights(lambda folder: (folder.mkdir(), write_ggml(folder / "x.bin", model)), "x.bin")
    yield "openai", weights(lambda folder: (folder.mkdir(), write_openai(folder / "x.pt", tiny(51_865))), "x.pt")
    yield "ctranslate2", weights(_write_ctranslate2, "model.bin", "vocabulary.json")
    whole = ("config.json", "model.safetensors", "tokenizer.json")
    for changed in whole:
        others = [name for name in whole if name != changed]
        name = f"hf-{changed.partition('.')[0]}"
        yield name, weights(lambda folder: write_huggingface(folder, model), changed, *others)


READERS = dict(readers())
