"""Files that lie, are cut short or would exhaust the machine: one true sentence each, in little time and memory."""

import json
import os
import random
import resource
import shutil
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lect.engine.contract.errors import BackboneError, LectError
from lect.engine.model.backbone import write_sums
from lect.engine.model.foreign import add_backbone, read_foreign
from lect.engine.model.foreign.limits import MOST_JSON_BYTES
from tests.engine.model.whisper_layouts import (
    TOKENS,
    Tiny,
    tiny,
    tokenizer_json,
    write_ctranslate2,
    write_ggml,
    write_huggingface,
    write_mlx,
    write_openai,
)

MOST_SECONDS = 8.0  # of the processor, to refuse a small file: believing it takes minutes, or never ends
MOST_MEGABYTES = 400  # beyond what the process has had before
RANDOM_CUTS = 60


@pytest.fixture(scope="module")
def model() -> Tiny:
    return tiny()


@pytest.fixture(autouse=True)
def little_time_and_memory() -> Iterator[None]:
    read_nothing = time.process_time(), _peak()
    yield
    started, peak = read_nothing
    assert _peak() - peak < MOST_MEGABYTES, "memory"
    assert time.process_time() - started < 60, "time of all refusals in one test"


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def refused(source: Path, words: str | None = None) -> str:
    """The sentence; any other exception, or none, fails."""
    started = time.process_time()
    with pytest.raises(LectError, match=words) as raised:
        read_foreign(source)
    assert time.process_time() - started < MOST_SECONDS
    text = str(raised.value)
    assert text.isprintable() and text.endswith(".") and len(text) < 400, text
    return text


def test_every_ggml_cut_is_refused(model: Tiny, tmp_path: Path) -> None:
    write_ggml(tmp_path / "whole.bin", model, "q5_1")
    data = (tmp_path / "whole.bin").read_bytes()
    filters = 48 + 8 + 4 * 80 * 201
    tensors = filters + 4 + 256 * 5
    boundaries = [0, 3, 4, 8, 47, 48, 52, 56, filters, filters + 4, filters + 9, tensors, tensors + 12, len(data) - 1]
    for cut in (*boundaries, *_random_cuts(len(data))):
        (tmp_path / "cut.bin").write_bytes(data[:cut])
        refused(tmp_path / "cut.bin")


def test_every_ctranslate2_cut_is_refused(model: Tiny, tmp_path: Path) -> None:
    (tmp_path / "vocabulary.json").write_text(json.dumps(TOKENS))
    data = write_ctranslate2(tmp_path / "model.bin", model, "int8").read_bytes()
    first = 26 + len("decoder/embeddings/weight") + 3
    boundaries = [0, 1, 4, 6, 17, 18, 22, 26, 28, first, first + 1, first + 9, first + 10, first + 14, first + 15]
    for cut in (*boundaries, len(data) - 4, len(data) - 1, *_random_cuts(len(data))):
        (tmp_path / "model.bin").write_bytes(data[:cut])
        refused(tmp_path)


@pytest.mark.parametrize("kind", ["openai", "hugging face", "mlx", "npz"])
def test_every_other_cut_is_refused(kind: str, model: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "it"
    if kind == "openai":
        folder.mkdir()
        path = write_openai(folder / "x.pt", tiny(51_865))
    elif kind == "hugging face":
        path = write_huggingface(folder, model) / "model.safetensors"
    else:
        write_mlx(folder, model, npz=kind == "npz", bits=None if kind == "npz" else 4)
        tokenizer_json(folder / "tokenizer.json")
        path = next(folder.glob("weights.*"))
    data = path.read_bytes()
    header = struct.unpack("<Q", data[:8])[0] if path.suffix == ".safetensors" else 100
    for cut in (0, 1, 7, 8, 9, 8 + header - 1, 8 + header, len(data) - 1, *_random_cuts(len(data))[::3]):
        path.write_bytes(data[:cut])
        refused(folder)


def _random_cuts(size: int) -> list[int]:
    return [random.Random(size + number).randrange(size) for number in range(RANDOM_CUTS)]


@pytest.mark.parametrize("field", range(1, 12))
@pytest.mark.parametrize("value", [-1, 0, 7, 10**9, -(2**31)])
def test_ggml_sizes_that_lie(field: int, value: int, ggml: bytes, tmp_path: Path) -> None:
    data = bytearray(ggml)
    struct.pack_into("<i", data, 4 * field, value)
    (tmp_path / "x.bin").write_bytes(data)
    if (field, value) in ((2, 7), (11, 7), (11, 0)):  # the encoder's window and the file's type, which are not used
        read_foreign(tmp_path / "x.bin")
    else:
        refused(tmp_path / "x.bin")


@pytest.fixture(scope="module")
def ggml(model: Tiny, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("ggml") / "x.bin"
    write_ggml(path, model)
    return path.read_bytes()


def test_ggml_tensors_that_lie(model: Tiny, ggml: bytes, tmp_path: Path) -> None:
    start = ggml.index(b"encoder.conv1.weight")
    cases = {
        -24: (0, 5, -1, 10**9), -20: (0, -1, 10**9), -16: (5, 99, -1), -12: (0, -3, 10**9, 2**31 - 1),
        -8: (0, -80, 10**9),
    }  # fmt: skip
    for offset, values in cases.items():
        for value in values:
            data = bytearray(ggml)
            struct.pack_into("<i", data, start + offset, value)
            (tmp_path / "x.bin").write_bytes(data)
            refused(tmp_path / "x.bin")
    write_ggml(tmp_path / "none.bin", Tiny({}, model.sizes))
    refused(tmp_path / "none.bin", "lacks weights")
    for row, token in ((5, b"\xff" * 5000), (0, b"z")):  # far too long, and twice the same
        tokens = [bytes([value]) for value in range(256)]
        tokens[row] = token
        write_ggml(tmp_path / "tokens.bin", model, tokens=tuple(tokens))
        refused(tmp_path / "tokens.bin")


def test_ctranslate2_numbers_that_lie(model: Tiny, tmp_path: Path) -> None:
    (tmp_path / "vocabulary.json").write_text(json.dumps(TOKENS))
    data = write_ctranslate2(tmp_path / "model.bin", model).read_bytes()
    name = data.index(b"decoder/embeddings/weight")
    shape = name + len("decoder/embeddings/weight") + 1
    changes: list[tuple[int, str, int]] = [
        (0, "<I", 3), (0, "<I", 7), (22, "<I", 10**9), (22, "<I", 0), (26, "<H", 60_000), (shape, "<B", 200),
        (shape + 1, "<I", 10**9), (shape + 1, "<I", 0), (shape + 5, "<I", 2**32 - 1), (shape + 9, "<B", 1),
        (shape + 9, "<B", 77), (shape + 10, "<I", 2**32 - 1), (shape + 10, "<I", 3), (len(data) - 60, "<I", 10**9),
    ]  # fmt: skip
    for offset, layout, value in changes:
        changed = bytearray(data)
        struct.pack_into(layout, changed, offset, value)
        (tmp_path / "model.bin").write_bytes(changed)
        refused(tmp_path)
    heads = data.index(b"encoder/num_heads") + len("encoder/num_heads") + 1 + 1 + 1 + 4
    for value in (0, -1, 3, 30_000):
        changed = bytearray(data)
        struct.pack_into("<h", changed, heads, value)
        (tmp_path / "model.bin").write_bytes(changed)
        refused(tmp_path)


CONFIG_LIES: dict[str, tuple[Any, ...]] = {
    "vocab_size": (10**9, 0, -1, True, "x", None, 1e9),
    "d_model": (10**9, 0, -32),
    "encoder_layers": (10**6, 10**9, 0, -1, True),
    "decoder_layers": (10**6, 10**9, 0, "2"),
    "decoder_attention_heads": (0, -4, 10**9, 3, "x", [4], True),
    "encoder_ffn_dim": (10**9, 0, -1),
    "num_mel_bins": (-80, 10**9, 0),
    "max_target_positions": (10**9, 0),
    "suppress_tokens": ("x", [[1]], [10**9], {"a": 1}),
    "alignment_heads": ([[10**9, 0]], [1], "xy", [["a", "b"]]),
    "model_type": ("bert", None, ["whisper"]),
}


@pytest.mark.parametrize("name", CONFIG_LIES)
def test_configs_that_lie(name: str, model: Tiny, tmp_path: Path) -> None:
    folder = write_huggingface(tmp_path / "it", model)
    config = json.loads((folder / "config.json").read_text())
    for value in CONFIG_LIES[name]:
        lie = config | {name: value}
        if name == "decoder_attention_heads":
            lie["encoder_attention_heads"] = value
        (folder / "config.json").write_text(json.dumps(lie))
        refused(folder)


def test_deep_large_and_odd_json(model: Tiny, tmp_path: Path) -> None:
    folder = write_huggingface(tmp_path / "it", model)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    odd = [b"[" * 100_000, b'{"a":' * 50_000, b"[]", b"null", b"\xff\xfe", b"", b"{", b'{"model_type": "whisper"}']
    for name in ("config.json", "tokenizer.json"):
        for text in odd:
            (folder / name).write_bytes(text)
            refused(folder)
        (folder / name).write_bytes(whole[name])
    with (folder / "tokenizer.json").open("wb") as file:
        file.truncate(MOST_JSON_BYTES + 1)
    refused(folder, "more than 32 MB")
    tokenizer = json.loads(whole["tokenizer.json"])
    for letter, row in (("a" * 5000, 70), ("\ud800", 70), ("a", 10**9), ("a", -1), ("a", "x"), ("a", True)):
        vocab = tokenizer["model"]["vocab"] | {letter: row}
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer | {"model": {"vocab": vocab}}))
        refused(folder)


def _openai(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        model = tiny(51_865)
        value: dict[str, Any] = {"dims": dict(model.sizes), "model_state_dict": dict(model.state)}
        change(value)
        torch.save(value, folder / "x.pt")
        return folder / "x.pt"

    return write


def _weight(tensor: object, name: str = "encoder.conv1.weight") -> Callable[[Path], Path]:
    return _openai(lambda value: value["model_state_dict"].__setitem__(name, tensor))


def _size(name: str, value: object) -> Callable[[Path], Path]:
    return _openai(lambda whole: whole["dims"].__setitem__(name, value))


def _quantised() -> torch.Tensor:
    return torch.quantize_per_tensor(torch.ones(32, 80, 3), 0.1, 0, torch.qint8)


HOSTILE: dict[str, Callable[[Path], Path]] = {
    "a repeated number of 40 GB": _weight(torch.zeros(1).as_strided((10**5, 10**5), (0, 0))),
    "a tensor without memory": _weight(torch.empty(10**6, 10**6, device="meta")),
    "a sparse tensor": _weight(torch.eye(32).to_sparse()),
    "a quantised tensor": _openai(lambda value: value["model_state_dict"].__setitem__("x", _quantised())),
    "whole numbers": _weight(torch.ones(32, 80, 3, dtype=torch.int64)),
    "complex numbers": _weight(torch.ones(32, 80, 3, dtype=torch.complex64)),
    "a text": _weight("x"),
    "NaN": _weight(torch.full((32, 80, 3), torch.nan)),
    "infinity": _weight(torch.full((32, 80, 3), torch.inf)),
    "no dimensions": _weight(torch.tensor(1.0)),
    "an empty tensor": _weight(torch.empty(0, 80, 3)),
    "another shape": _weight(torch.ones(32, 80, 5)),
    "a key with a bias": _weight(torch.ones(32), "encoder.blocks.0.attn.key.bias"),
    "layer 1000000000": _weight(torch.ones(32), "encoder.blocks.1000000000.attn_ln.weight"),
    "a name of control characters": _weight(torch.ones(32), "\x1b[2Jnasty\nline"),
    "a name of a megabyte": _weight(torch.ones(32), "x" * 1_000_000),
    "a number for a name": _weight(torch.ones(32), 5),  # type: ignore[arg-type]
    "positions that are no sinusoids": _weight(torch.ones(50, 32), "encoder.positional_embedding"),
    "no heads": _size("n_text_head", 0),
    "negative heads": _size("n_text_head", -4),
    "heads that do not divide": _size("n_text_head", 5),
    "a billion heads": _size("n_text_head", 10**9),
    "heads as text": _size("n_text_head", "4"),
    "a vocabulary of a billion": _size("n_vocab", 10**9),
    "a million layers": _size("n_audio_layer", 10**6),
    "sizes that are no dictionary": _openai(lambda value: value.__setitem__("dims", [1])),
    "weights that are no dictionary": _openai(lambda value: value.__setitem__("model_state_dict", 5)),
    "no weights": _openai(lambda value: value.__setitem__("model_state_dict", {})),
    "no dictionary inside": _openai(lambda value: value.pop("dims")),
}


@pytest.mark.filterwarnings("ignore")  # of torch, about kinds of tensors that are going out of use
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_checkpoints(what: str, tmp_path: Path) -> None:
    refused(HOSTILE[what](tmp_path))


def test_zips_that_unpack_to_gigabytes(model: Tiny, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", bytes(100_000_000))
    refused(tmp_path / "bomb.pt", "unpacks to")
    write_mlx(tmp_path / "mlx", model, npz=True)
    np.savez_compressed(tmp_path / "mlx" / "weights.npz", x=np.zeros(30_000_000, np.float32))
    refused(tmp_path / "mlx", "unpacks to")


def test_arrays_that_hold_objects_or_lie(model: Tiny, tmp_path: Path) -> None:
    write_mlx(tmp_path / "mlx", model, npz=True)
    weights = tmp_path / "mlx" / "weights.npz"
    np.savez(weights, x=np.array([{"a": 1}], dtype=object))
    refused(tmp_path / "mlx", "holds what no model does")
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    for head in (header, header.replace("1000000", "-1"), "{" * 500, header.replace("<f4", "<U9"), "x" * 60_000):
        body = b"\x93NUMPY\x01\x00" + struct.pack("<H", min(len(head), 65_535)) + head.encode() + bytes(64)
        with zipfile.ZipFile(weights, "w") as file:
            file.writestr("x.npy", body)
        refused(tmp_path / "mlx")


def test_safetensors_headers_that_lie(model: Tiny, tmp_path: Path) -> None:
    folder = write_huggingface(tmp_path / "it", model)
    weights = folder / "model.safetensors"
    deep = b'{"a":' * 100_000
    for header in (b"{}", b"{" * 1000, deep, b'{"a":1}', b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4000]}}'):
        weights.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
        refused(folder)
    many = {f"t{number}": torch.zeros(1) for number in range(21_000)}
    save_file(many, weights)
    refused(folder)


def test_mlx_groups_that_lie(model: Tiny, tmp_path: Path) -> None:
    for number, lie in enumerate(({"bits": 0}, {"bits": 10**9}, {"group_size": 7}, {"mode": "mxfp4"}, {"bits": "4"})):
        folder = tmp_path / str(number)
        write_mlx(folder, model, bits=4)
        tokenizer_json(folder / "tokenizer.json")
        config = json.loads((folder / "config.json").read_text())
        config["quantization"] |= lie
        (folder / "config.json").write_text(json.dumps(config))
        refused(folder)
        (folder / "config.json").write_text(json.dumps(config | {"quantization": None}))
        refused(folder)


def test_what_is_no_model_at_all(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.bin").write_bytes(b"")
    (tmp_path / "noise.bin").write_bytes(random.Random(1).randbytes(5000))
    (tmp_path / "zip.pt").write_bytes(b"PK\x03\x04" + bytes(100))
    for name in ("empty", "nothing.bin", "noise.bin", "zip.pt", "absent"):
        refused(tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path / "link")
    refused(tmp_path / "link")


def test_a_backbone_folder_that_lies_is_not_copied(
    model: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LECT_HOME", str(tmp_path / "home"))
    write_ggml(tmp_path / "x.bin", model)
    good = add_backbone(tmp_path / "x.bin", "good")
    config = json.loads((good / "config.json").read_text())
    lies: list[dict[str, Any]] = [
        {"model": "x"}, {"languages": 5}, {"vocabulary": config["vocabulary"] | {"symbols": ["a"]}},
        {"model": config["model"] | {"heads": -4}}, {"model": config["model"] | {"encoder_layers": 10**6}},
        {"model": config["model"] | {"ctc": 3}}, {"model": config["model"] | {"mel_window_seconds": 1e9}},
        {"model": config["model"] | {"vocab_size": 10**9}}, {"model": config["model"] | {"heads": 0}},
        {"model": config["model"] | {"waveform_convolutions": [[1]]}}, {"model": config["model"] | {"dim": 32.0}},
        {"model": config["model"] | {"alignment_heads": {}}}, {"model": None}, {"name": 5}, {"name": "\x1b[2J"},
        {"licence": None}, {"licence": "x" * 10**6}, {"languages": "abc"}, {"languages": [5]}, {"format_version": True},
        {"languages": ["x"] * 10**6}, {"vocabulary": config["vocabulary"] | {"start": [True]}},
        {"vocabulary": config["vocabulary"] | {"suppressed": [4] * 10**6}},
        {"vocabulary": config["vocabulary"] | {"symbols": ["\x1b", *config["vocabulary"]["symbols"][1:]]}},
    ]  # fmt: skip
    for number, lie in enumerate(lies):
        bad = tmp_path / f"bad{number}"
        shutil.copytree(good, bad)
        (bad / "config.json").write_text(json.dumps(config | lie))
        write_sums(bad)
        with pytest.raises(LectError):
            add_backbone(bad)
    linked = tmp_path / "linked"
    shutil.copytree(good, linked)
    (tmp_path / "secret").write_text("not for others")
    (linked / "notes.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(BackboneError, match="holds a link"):
        add_backbone(linked)
    outside = tmp_path / "outside"
    shutil.copytree(good, outside)
    (outside / "SHA256SUMS").write_text((good / "SHA256SUMS").read_text() + f"{'0' * 64}  ../secret\n")
    with pytest.raises(BackboneError, match="outside itself"):
        add_backbone(outside)
    large = tmp_path / "large"
    shutil.copytree(good, large)
    (large / "SHA256SUMS").write_bytes(b"x" * 30_000_000)
    with pytest.raises(BackboneError):
        add_backbone(large)
    assert [path.name for path in (tmp_path / "home" / "backbones").iterdir()] == ["good"]


def test_only_what_is_checked_is_copied(model: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECT_HOME", str(tmp_path / "home"))
    write_ggml(tmp_path / "x.bin", model)
    good = add_backbone(tmp_path / "x.bin", "good")
    names = sorted(path.name for path in good.iterdir())
    with (good / "junk.bin").open("wb") as file:
        file.truncate(1 << 40)
    assert sorted(path.name for path in add_backbone(good, "copy").iterdir()) == names


def test_tokenizers_without_letters(model: Tiny, tmp_path: Path) -> None:
    folder = write_huggingface(tmp_path / "it", model)
    (folder / "tokenizer.json").unlink()
    added = {token: row for row, token in enumerate(TOKENS) if token.startswith("<|")}
    for vocab in ({}, {token: row for row, token in enumerate(TOKENS[:100])}):
        (folder / "vocab.json").write_text(json.dumps(vocab))
        refused(folder)
        (folder / "added_tokens.json").write_text(json.dumps(added))
        refused(folder, "no tokens for .* letters")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes among files")
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_pipes_are_not_waited_for(model: Tiny, tmp_path: Path, name: str) -> None:
    folder = write_huggingface(tmp_path / "it", model)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(folder)
