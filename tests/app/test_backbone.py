"""`lect backbone`: foreign models come into the store whole, or not at all, and are listed with what matters."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lect.engine.contract.files import ASSETS
from lect.engine.contract.run_request import WHISPER
from lect.engine.model.backbone import open_backbone, verify_backbone
from lect.engine.model.handles import NO_HANDLES
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import load_model
from lect.engine.scoring.edit_distance import character_error_rate
from lect.exports.runtime import Runtime
from lect.exports.transcriber import SpeechOptions
from tests.app.conftest import FAST, Lect
from tests.app.tiny_whisper import CONTROLS, DIM, LAYERS, LETTERS, weights, whisper_folder

SPEECH = ASSETS / "sample" / "audio" / "Andrea-0008.ogg"
LONGER, SPOKEN = ASSETS / "sample" / "audio" / "m1-0001.ogg", "sisi wenyewe tukiwa watumishi wenu kwa ajili ya yesu"


@pytest.fixture(scope="module", autouse=True)
def tidy(home: Path) -> Iterator[None]:
    """Takes out again what is added here: other modules have the same home."""
    store = home / "backbones"
    before = set(store.iterdir())
    yield
    for folder in set(store.iterdir()) - before:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper_folder(tmp_path_factory.mktemp("foreign") / "whisper-mini")


def test_a_whisper_folder_is_added_and_listed(lect: Lect, whisper: Path, home: Path) -> None:
    added = lect("backbone", "add", whisper, "--json").json
    assert added["name"] == "whisper-mini" and added["languages"] == ["en", "sw"] and added["licence"] == "Apache-2.0"
    folder = home / "backbones" / "whisper-mini"
    assert verify_backbone(folder) == [] and not list(home.glob(".*.part"))
    backbone = open_backbone("whisper-mini")
    model = load_model(backbone)
    source = weights(len(LETTERS) + len(CONTROLS))["model.decoder.embed_positions.weight"]
    torch.testing.assert_close(model.decoder.positions, source, atol=2e-3, rtol=1e-3)  # float16
    tokens = torch.tensor([list(backbone.vocabulary.start)])
    assert model(torch.randn(1, 8000), torch.tensor([8000]), tokens, NO_HANDLES)[0].isfinite().all()
    listed = lect("backbone", "list").out
    assert all(word in listed for word in ("whisper-mini", "kB", "en, sw", "Apache-2.0", "no graphs", "tiny"))
    assert lect("backbone", "add", whisper).failed_with("already", "--name", code=2)
    assert lect("backbone", "verify", "whisper-mini").code == 0


def test_ones_own_backbone_is_added_under_another_name(lect: Lect, home: Path) -> None:
    own = home / "backbones" / "tiny"
    assert lect("backbone", "add", own, "--name", "mine", "--licence", "MIT").code == 0
    copy = open_backbone("mine")
    assert (copy.name, copy.licence, copy.sha256) == ("mine", "MIT", open_backbone("tiny").sha256)
    assert verify_backbone(copy.folder) == []
    assert isinstance(load_model(copy), EncoderDecoder)


def test_a_model_on_the_hub_is_fetched_only_when_asked(
    lect: Lect, whisper: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        asked.append(name)
        if name != "someone/whisper-mini":
            raise ConnectionError("a long story\nin two lines")
        assert "model.safetensors" in allow_patterns
        return str(whisper)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert lect("backbone", "add", "someone/whisper-mini", "--name", "x").failed_with("not there", code=2)
    assert asked == []
    assert lect("backbone", "add", "else/where", "--hub").failed_with("else/where", "connection")
    assert lect("backbone", "add", "someone/whisper-mini", "--hub", "--name", "fetched").code == 0
    assert open_backbone("fetched").name == "fetched"


def test_what_ships_transcribes_from_the_first_minute(lect: Lect) -> None:
    call = ("transcribe", LONGER, "--compute-type", "int8", "--json")
    (found,) = (alone := lect(*call, "--language", "sw").json)["files"]
    assert (alone["pack"], alone["backbone"]) == (None, WHISPER)
    assert character_error_rate([found["text"].lower()], [SPOKEN]) < 0.6  # synthetic, and among its weakest languages
    assert 0 < lect(*call).json["files"][0]["language_probability"] < 1
    assert Runtime.open(compute_type="int8").transcribe(LONGER).language is not None


def test_it_transcribes_without_a_pack(lect: Lect, whisper: Path, home: Path, tmp_path: Path) -> None:
    call = ("transcribe", SPEECH, "--backbone", "mini", "--json")
    added = lect("backbone", "add", whisper, "--name", "mini", "--window-seconds", "3", "--bits", "8")
    export = "lect export --backbone mini"
    assert lect(*call).failed_with(export) and export in added.out
    exported = lect(*export.split()[1:], "--json")
    assert exported.json["next"] == "lect transcribe FILE --backbone mini" and exported.json["next"] in added.out
    (found,) = (alone := lect(*call).json)["files"]
    assert (alone["pack"], alone["backbone"]) == (None, "mini")
    assert found["language"] in ("en", "sw") and 0.5 <= found["language_probability"] <= 1
    told = lect("transcribe", SPEECH, "--backbone", "mini", "--vad", "off")
    assert f"language {found['language']}, found with" in told.err
    (given,) = lect(*call, "--language", "sw").json["files"]
    assert given["language"] == "sw" and "language_probability" not in given
    assert "language" not in lect("transcribe", SPEECH, "--backbone", "mini", "--quiet").err
    assert lect(*call, "--language", "tlh").failed_with("en, sw", code=2)
    assert lect(*call, "--task", "translate").failed_with("translate", code=2)  # for which it has no token
    assert lect(*call, "--prompt", "Ana").failed_with("--prompt", code=2)
    assert lect(*call, "--backbone", "starter").failed_with("--phones", code=2)
    events = lect("listen", "--backbone", "mini", "--input", SPEECH, "--json").out.splitlines()
    assert [json.loads(line)["event"] for line in events][-1] in ("final", "nothing")
    bench = lect("bench", "--backbone", "mini", "--input", SPEECH, "--runs", "1", "--json")
    assert bench.json["compute_type"] == "float32"
    assert Runtime.open(backbone="mini").transcribe(SPEECH).text == found["text"]


def test_a_request_has_a_language_of_its_own(home: Path) -> None:
    testclient = pytest.importorskip("starlette.testclient")
    from lect.app.service.build import Limits, build

    app = build({"mini": Runtime.open(backbone="mini")}, SpeechOptions(vad="off"), Limits(1, 1_000_000, None))

    def asked(**fields: str) -> dict[str, Any]:
        with testclient.TestClient(app, base_url="http://localhost") as client, SPEECH.open("rb") as file:
            form = {"response_format": "verbose_json", **fields}
            return dict(client.post("/v1/audio/transcriptions", data=form, files={"file": file}).json())

    found = asked()
    other = {"en": "sw", "sw": "en"}[found["language"]]
    assert asked(language=other)["language"] == other and asked() == found
    assert "en, sw" in asked(language="tlh")["error"]["message"]
    assert "--prompt" in asked(prompt="Ana")["error"]["message"]


def test_it_learns_and_is_packed(lect: Lect, whisper: Path, home: Path, project: Path) -> None:
    assert lect("backbone", "add", whisper, "--name", "quick", "--window-seconds", "2").code == 0
    assert open_backbone("quick").sha256 != open_backbone("fetched").sha256, "another window is another network"
    on_it = ("train", "--project", project, "--backbone", "quick", "--vocabulary", "backbone", *FAST)
    assert lect(*on_it, "--ctc-weight", "0.5").failed_with("no CTC head", code=2)
    assert lect(*on_it, "--language", "tlh").failed_with("en, sw", code=2)
    assert lect("train", "--project", project, "--backbone", "tiny", "--language", "sw").failed_with(
        "no language", code=2
    )
    done = lect(*on_it, "--language", "sw", "--json").json
    assert done["status"] == "done" and done["test"]["clips"] > 0
    own, run = open_backbone("quick").vocabulary, Path(done["folder"])
    assert json.loads((run / "vocabulary.json").read_text())["start"] == list(own.starting("sw").start)
    packed = lect("pack", done["run"], "--project", project, "-o", project / "x.lect", "--json").json
    assert packed["parameters"] == LAYERS * 2 * 16 * DIM, "adapters in the decoder, and no vocabulary"


def test_what_cannot_be_added_leaves_nothing(lect: Lect, whisper: Path, home: Path, tmp_path: Path) -> None:
    before = set(home.rglob("*"))
    (tmp_path / "notes.pt").write_text("no checkpoint")
    (tmp_path / "empty").mkdir()
    assert lect("backbone", "add", tmp_path / "notes.pt").failed_with("no weights")
    assert lect("backbone", "add", tmp_path / "empty").failed_with("no weights")
    assert lect("backbone", "add", tmp_path / "absent").failed_with("not there", code=2)
    assert lect("backbone", "add", whisper, "--name", "../elsewhere").failed_with("cannot be", code=2)
    assert lect("backbone", "add").failed_with("what to add", code=2)
    assert lect("backbone", "list", "--name", "x").failed_with("go with", code=2)
    own = home / "backbones" / "tiny"
    assert lect("backbone", "add", own, "--name", "x", "--window-seconds", 2).failed_with("no Whisper", code=2)
    assert lect("transcribe", "x.wav", "--pack", own, "--task", "translate").failed_with("--language", code=2)
    assert set(home.rglob("*")) == before


def test_what_other_programs_keep_here_is_found_and_added_by_number(
    lect: Lect, whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "none"))
    assert "no Whisper" in lect("backbone", "find").out
    shutil.copytree(whisper, tmp_path / "models--org--whisper-little" / "snapshots" / "1234")
    listed = lect("backbone", "find", "--json").json["found"]
    assert [(one["name"], one["kind"]) for one in listed] == [("whisper-little", "Hugging Face")]
    assert "whisper-little" in lect("backbone", "find").out
    assert lect("backbone", "find", 2).failed_with("a number of the 1", code=2)
    assert lect("backbone", "find", 1, "--json").json["name"] == "whisper-little"


def test_get_says_what_there_is_and_that_the_hub_cannot_be_reached(lect: Lect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert lect("backbone", "get").failed_with("whisper-large-v3-turbo", code=2)
    assert lect("backbone", "get", "huge").failed_with("no published", code=2)
    assert lect("backbone", "get", "tiny").failed_with("check the connection")
