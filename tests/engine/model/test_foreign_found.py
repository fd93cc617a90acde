"""Whispers that other programs have fetched are listed where they lie, and nothing else is."""

import json
import sys
from pathlib import Path

import pytest
import torch

from lect.engine.model.foreign import read_foreign
from lect.engine.model.foreign.found import caches, find_whispers
from tests.engine.model.whisper_layouts import (
    Tiny,
    tiny,
    tokenizer_json,
    write_ctranslate2,
    write_ggml,
    write_huggingface,
    write_mlx,
    write_openai,
)

HOME = Path("/home/ann")


@pytest.fixture(scope="module")
def model() -> Tiny:
    return tiny()


def test_the_caches_of_each_system() -> None:
    linux = [path.as_posix() for path in caches({}, HOME, "linux")]
    assert linux[:2] == ["/home/ann/.cache/huggingface/hub", "/home/ann/.cache/whisper"]
    assert "/home/ann/.cache/Buzz/models" in linux and "/home/ann/.config/com.pais.handy/models" in linux
    mac = [path.as_posix() for path in caches({}, HOME, "darwin")]
    assert "/home/ann/Library/Caches/Buzz/models" in mac
    assert "/home/ann/Library/Application Support/com.pais.handy/models" in mac
    windows = [path.as_posix() for path in caches({"LOCALAPPDATA": "L", "APPDATA": "R"}, HOME, "win32")]
    assert {"L/Buzz/Buzz/Cache/models", "L/github.com.thewh1teagle.vibe", "R/com.pais.handy/models"} <= set(windows)


def test_the_variables_that_move_them() -> None:
    def first(**environment: str) -> list[str]:
        return [path.as_posix() for path in caches(environment, HOME, "linux")]

    assert first(XDG_CACHE_HOME="/c")[:2] == ["/c/huggingface/hub", "/c/whisper"]
    assert first(XDG_CACHE_HOME="/c", HF_HOME="/h")[0] == "/h/hub"
    assert first(HF_HOME="/h", HF_HUB_CACHE="/hub")[0] == "/hub"
    assert first(BUZZ_MODEL_ROOT="/b")[-2:] == ["/b", "/b/whisper"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_each_kind_is_found_and_read_from_where_it_lies(model: Tiny, tmp_path: Path) -> None:
    hub, whisper, buzz = tmp_path / "hub", tmp_path / "whisper", tmp_path / "buzz"
    for folder in (hub, whisper, buzz):
        folder.mkdir()
    snapshot = hub / "models--Systran--faster-whisper-tiny" / "snapshots" / "d90ca5fe"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "blobs").mkdir()
    blob = write_ctranslate2(snapshot.parents[1] / "blobs" / "dcb76c", model)
    (snapshot / "model.bin").symlink_to(blob)
    tokenizer_json(snapshot / "tokenizer.json")
    for name in ("openai--whisper-tiny", "mlx-community--whisper-tiny"):
        (hub / f"models--{name}" / "snapshots").mkdir(parents=True)
    write_huggingface(hub / "models--openai--whisper-tiny" / "snapshots" / "1", model)
    write_mlx(hub / "models--mlx-community--whisper-tiny" / "snapshots" / "2", model)
    tokenizer_json(hub / "models--mlx-community--whisper-tiny" / "snapshots" / "2" / "tokenizer.json")
    write_openai(whisper / "tiny.pt", tiny(51_865))
    write_ggml(buzz / "ggml-tiny.bin", model)
    _others(model, hub, whisper, buzz)
    found = find_whispers([hub, whisper, buzz, tmp_path / "absent", whisper])
    assert [(one.name, one.kind) for one in found] == [
        ("faster-whisper-tiny", "CTranslate2"), ("ggml-tiny", "whisper.cpp"), ("tiny", "OpenAI"),
        ("whisper-tiny", "MLX"), ("whisper-tiny", "Hugging Face"),
    ]  # fmt: skip
    assert found[0].size == blob.stat().st_size and found[2].path == whisper / "tiny.pt"
    for one in found:
        assert read_foreign(one.path).model.config.dim == model.sizes["n_text_state"]


def _others(model: Tiny, hub: Path, whisper: Path, buzz: Path) -> None:
    """What lies beside them: other models, parts of downloads, files that cannot be read."""
    bert = hub / "models--org--bert" / "snapshots" / "3"
    bert.mkdir(parents=True)
    (bert / "config.json").write_text(json.dumps({"model_type": "bert"}))
    torch.save({"weight": torch.zeros(3)}, bert / "pytorch_model.bin")
    torch.save({"model": {}}, whisper / "wav2seq.pt")
    (whisper / "tiny.pt.part").write_bytes(b"PK\x03\x04 not all of it")
    (whisper / "notes.txt").write_text("tiny.pt is the small one")
    (buzz / "ggml-silero.bin").write_bytes(b"lmgg" + (10).to_bytes(4, "little") + b"silero-16k" + bytes(60))
    (buzz / "ggml-cut.bin").write_bytes(b"lmgg")
    broken = hub / "models--org--whisper-broken" / "snapshots" / "4"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text("[" * 100_000)
    (broken / "model.safetensors").symlink_to(broken / "absent")
