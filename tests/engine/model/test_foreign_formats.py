"""One tiny Whisper in the layout of every program: each is told by its bytes and gives the same backbone."""

from pathlib import Path

import pytest
import torch

from lect.engine.contract.errors import BackboneError, UsageError
from lect.engine.model.backbone import open_backbone
from lect.engine.model.foreign import add_backbone, default_name, read_foreign
from lect.engine.model.foreign.network import Foreign
from lect.engine.model.weights import load_model
from tests.engine.model.whisper_layouts import (
    BYTES,
    GGML_FORMS,
    TOKENS,
    Tiny,
    quantised_ctranslate2,
    tiny,
    tokenizer_json,
    write_ctranslate2,
    write_ggml,
    write_huggingface,
    write_mlx,
    write_openai,
)

WHOLE_ROWS = 51_865  # of a multilingual Whisper, whose tokens are known without a list
ENGLISH_ROWS = 51_864


@pytest.fixture(scope="module")
def model() -> Tiny:
    return tiny()


@pytest.fixture(scope="module")
def expected(model: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Foreign:
    """What Hugging Face's layout gives, which transformers itself vouches for (test_foreign_whisper)."""
    return read_foreign(write_huggingface(tmp_path_factory.mktemp("layouts") / "hf", model))


def weights_of(model: Tiny, folder: Path) -> dict[str, torch.Tensor]:
    """A model's weights under our names, by way of Hugging Face's layout."""
    return read_foreign(write_huggingface(folder / "reference", model)).model.state_dict()


def same(found: Foreign, expected: Foreign) -> None:
    own, wanted = found.model.state_dict(), expected.model.state_dict()
    assert own.keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(own[name], tensor, rtol=0, atol=0, msg=name)
    assert found.vocabulary == expected.vocabulary
    assert found.languages == ("de", "en", "zh") == expected.languages


@pytest.mark.parametrize("form", ["float32", "float16"])
def test_ctranslate2(form: str, model: Tiny, expected: Foreign, tmp_path: Path) -> None:
    (tmp_path / "vocabulary.txt").write_text("".join(f"{token}\n" for token in TOKENS))
    write_ctranslate2(tmp_path / "model.bin", model, form)
    same(read_foreign(tmp_path), expected)
    (tmp_path / "model.bin").rename(tmp_path / "any name.pt")
    same(read_foreign(tmp_path / "any name.pt"), expected)


@pytest.mark.parametrize("form", ["bfloat16", "int8", "int16"])
def test_narrow_ctranslate2(form: str, model: Tiny, tmp_path: Path) -> None:
    tokenizer_json(tmp_path / "tokenizer.json")
    own = read_foreign(write_ctranslate2(tmp_path / "model.bin", model, form)).model.state_dict()
    wanted = weights_of(model, tmp_path)
    for name, tensor in wanted.items():
        if form == "bfloat16":
            torch.testing.assert_close(own[name], tensor.bfloat16().float(), rtol=0, atol=0, msg=name)
        elif tensor.dim() < 2 or "positions" in name:
            torch.testing.assert_close(own[name], tensor, rtol=0, atol=0, msg=name)
        elif form == "int8":
            numbers, scales = quantised_ctranslate2(tensor, form)
            values = numbers / scales.reshape(-1, *(1,) * (tensor.dim() - 1))
            torch.testing.assert_close(own[name], values, rtol=0, atol=0, msg=name)
        else:  # one scale for the three that are fused
            assert (own[name] - tensor).abs().max() < tensor.abs().max() / 2**9


@pytest.mark.parametrize("form", GGML_FORMS)
def test_whisper_cpp(form: str, model: Tiny, expected: Foreign, tmp_path: Path) -> None:
    kept = write_ggml(tmp_path / "ggml-tiny.bin", model, form)
    found = read_foreign(tmp_path / "ggml-tiny.bin")
    assert found.vocabulary == expected.vocabulary
    wanted = weights_of(kept, tmp_path)
    for name, tensor in found.model.state_dict().items():
        torch.testing.assert_close(tensor, wanted[name], rtol=0, atol=1e-6 if form.endswith("_1") else 0, msg=name)
    if form != "f32":
        assert not torch.equal(wanted["decoder.embedding"], expected.model.state_dict()["decoder.embedding"]) or (
            form == "f16"
        )


@pytest.mark.parametrize("npz", [False, True], ids=["safetensors", "npz"])
def test_mlx(npz: bool, model: Tiny, expected: Foreign, tmp_path: Path) -> None:
    write_mlx(tmp_path / "mlx", model, npz)
    tokenizer_json(tmp_path / "mlx" / "tokenizer.json")
    same(read_foreign(tmp_path / "mlx"), expected)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_quantised_mlx(bits: int, model: Tiny, tmp_path: Path) -> None:
    kept = write_mlx(tmp_path / "mlx", model, bits=bits)
    tokenizer_json(tmp_path / "mlx" / "tokenizer.json")
    found, wanted = read_foreign(tmp_path / "mlx").model.state_dict(), weights_of(kept, tmp_path)
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-6, msg=name)


def test_an_old_hugging_face_folder(model: Tiny, expected: Foreign, tmp_path: Path) -> None:
    folder = write_huggingface(tmp_path / "old", model, old=True)
    same(read_foreign(folder), expected)
    same(read_foreign(folder / "pytorch_model.bin"), expected)


def test_128_mels(tmp_path: Path) -> None:
    write_ggml(tmp_path / "large.bin", tiny(mels=128))
    assert read_foreign(tmp_path / "large.bin").model.config.mels == 128


@pytest.mark.parametrize("rows", [WHOLE_ROWS, WHOLE_ROWS + 1, ENGLISH_ROWS])
def test_files_without_a_tokenizer_have_the_published_tokens(rows: int, tmp_path: Path) -> None:
    model = tiny(rows)
    found = read_foreign(write_openai(tmp_path / "any.pt", model))
    languages = {WHOLE_ROWS: 99, WHOLE_ROWS + 1: 100, ENGLISH_ROWS: 1}
    assert len(found.languages) == languages[rows] and len(found.vocabulary) == rows
    alone = read_foreign(write_ctranslate2(tmp_path / "model.bin", model, "float16"))
    assert alone.vocabulary == found.vocabulary
    assert alone.model.config == found.model.config
    text = "Ask not what your country can do: it's 1961! – naïve 日本"
    assert found.vocabulary.decode(found.vocabulary.encode(text)) == text


def test_a_vocabulary_of_another_size_needs_its_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"does not say which: put its tokenizer\.json beside"):
        read_foreign(write_openai(tmp_path / "any.pt", tiny(2000)))


def test_the_added_backbone_is_named_by_its_source(
    model: Tiny, expected: Foreign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LECT_HOME", str(tmp_path / "home"))
    write_ggml(tmp_path / "ggml-tiny.bin", model)
    folder = add_backbone(tmp_path / "ggml-tiny.bin")
    backbone = open_backbone("ggml-tiny")
    assert backbone.folder == folder and backbone.licence == "MIT" and backbone.vocabulary == expected.vocabulary
    stored = load_model(backbone).state_dict()
    for name, tensor in expected.model.state_dict().items():
        torch.testing.assert_close(stored[name], tensor.half().float(), rtol=0, atol=0)
    snapshot = tmp_path / "models--Systran--faster-whisper-tiny" / "snapshots" / "d90ca5fe"
    snapshot.mkdir(parents=True)
    write_ctranslate2(snapshot / "model.bin", model)
    assert default_name(snapshot) == default_name(snapshot / "model.bin") == "faster-whisper-tiny"


def test_other_ggml_files_and_folders_of_several_are_refused(model: Tiny, tmp_path: Path) -> None:
    silero = b"lmgg" + (10).to_bytes(4, "little") + b"silero-16k" + bytes(60)
    (tmp_path / "vad").write_bytes(silero)
    with pytest.raises(BackboneError, match="a ggml file but no Whisper's"):
        read_foreign(tmp_path / "vad")
    (tmp_path / "gguf").write_bytes(b"GGUF" + bytes(60))
    with pytest.raises(BackboneError, match="GGUF"):
        read_foreign(tmp_path / "gguf")
    several = tmp_path / "models"
    several.mkdir()
    for name in ("ggml-a.bin", "ggml-b.bin"):
        write_ggml(several / name, model)
    with pytest.raises(UsageError, match=r"several models \(ggml-a.bin, ggml-b.bin\)"):
        read_foreign(several)
    (several / "ggml-b.bin").unlink()
    assert len(read_foreign(several).vocabulary) == len(TOKENS)


def test_tokens_that_a_converter_wrote_twice(model: Tiny, expected: Foreign, tmp_path: Path) -> None:
    write_ggml(tmp_path / "x.bin", model, tokens=(*BYTES, b"<|endoftext|>"))
    assert read_foreign(tmp_path / "x.bin").vocabulary == expected.vocabulary
