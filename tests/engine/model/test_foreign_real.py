"""Real Whisper weights: independent conversions agree, and what other programs write of them is read back.

LECT_WHISPER_WEIGHTS names a folder with `base.bin` and `base2.bin`, CTranslate2's float16 of Whisper-base by two
converters (SHA-256 below), and below it the folders that they came in: one with `data/tokenizer.json` and
`config.json`, and tiny.en's with `model.bin`. LECT_WHISPER_WRITERS names a Python that has the programs of
`whisper_writers.py`, and pywhispercpp for ggml's own quantisation. LECT_SPEECH names a folder of Dutch recordings with
`metadata.csv`.
"""

import csv
import ctypes
import json
import os
import subprocess
from pathlib import Path

import jiwer
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lect.engine.audio.reading import load_audio
from lect.engine.contract.files import sha256_file
from lect.engine.decoding.recogniser import Recogniser
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.device import Device
from lect.engine.model.foreign import Foreign, read_foreign
from lect.engine.model.foreign.ctranslate2 import read_ctranslate2
from lect.engine.model.foreign.ggml_blocks import quantised
from lect.engine.model.foreign.whisper import Whisper
from lect.engine.model.foreign.whisper_tokens import named, never_written, published_tokens
from lect.engine.model.handles import NO_HANDLES
from lect.engine.text.vocabulary import CONTROL
from tests.engine.model.whisper_layouts import BLOCK, GGML_FORMS, QUANTISERS, Quantiser, Tiny, letters, write_ggml

pytestmark = pytest.mark.slow

SHA256 = {
    "base.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    "base2.bin": "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
}
CLIPS = 3
MOST_WRONG = 0.15  # of the characters of the real clips, in all; a wrong weight leaves no sentence at all
IN_OPENAI = (
    ("frontend.convolutions.0", "conv1"), ("frontend.convolutions.1", "conv2"), (".layers.", ".blocks."),
    ("cross_attention_norm", "cross_attn_ln"), ("attention_norm", "attn_ln"), ("cross_attention", "cross_attn"),
    ("attention", "attn"), ("output", "out"), ("feed_forward_norm", "mlp_ln"), ("feed_forward.up", "mlp.0"),
    ("feed_forward.down", "mlp.2"), ("encoder.norm", "encoder.ln_post"), ("decoder.norm", "decoder.ln"),
    ("decoder.embedding", "decoder.token_embedding.weight"), (".positions", ".positional_embedding"),
)  # fmt: skip


def variable(name: str) -> Path:
    if name not in os.environ:
        pytest.skip(f"{name} is not set: see this file's beginning")
    return Path(os.environ[name])


@pytest.fixture(scope="module")
def weights() -> Path:
    return variable("LECT_WHISPER_WEIGHTS")


@pytest.fixture(scope="module")
def tokenizer(weights: Path) -> Path:
    return next(weights.rglob("data/tokenizer.json")).parent


@pytest.fixture(scope="module")
def base(weights: Path) -> Foreign:
    return read_foreign(weights / "base.bin")


@pytest.fixture(scope="module")
def whole(weights: Path) -> Tiny:
    """Whisper-base under OpenAI's names, float32."""
    raw: Whisper = read_ctranslate2(weights / "base.bin")
    state = {}
    for name, tensor in raw.tensors.items():
        if name != "output":
            for ours, theirs in IN_OPENAI:
                name = name.replace(ours, theirs)
            state[name] = tensor.float()
    sizes = {
        "n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 512, "n_audio_head": 8, "n_audio_layer": 6,
        "n_vocab": 51_865, "n_text_ctx": 448, "n_text_state": 512, "n_text_head": 8, "n_text_layer": 6,
    }  # fmt: skip
    return Tiny(state, sizes)


@pytest.fixture(scope="module")
def clips() -> list[tuple[np.ndarray, str]]:
    """(samples,) and text of short Dutch recordings."""
    folder = variable("LECT_SPEECH")
    with (folder / "metadata.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["language"] == "nl"][1 : CLIPS + 1]
    return [(load_audio(folder / row["file_name"]), row["transcription"]) for row in rows]


@pytest.fixture(scope="module")
def written(whole: Tiny, tokenizer: Path, clips: list[tuple[np.ndarray, str]], tmp_path_factory: object) -> Path:
    """What other programs write, beside OpenAI's `.pt` that they start from."""
    folder: Path = tmp_path_factory.mktemp("written")  # type: ignore[attr-defined]
    half = {name: tensor.half() for name, tensor in whole.state.items()}
    torch.save({"dims": whole.sizes, "model_state_dict": half}, folder / "base.pt")
    (folder / "clip.json").write_text(json.dumps(clips[0][0].tolist()))
    script = Path(__file__).with_name("whisper_writers.py")
    arguments = [script, folder / "base.pt", tokenizer, folder / "clip.json", folder]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([variable("LECT_WHISPER_WRITERS"), *arguments], check=True, env=environment)
    return folder


def same(found: Foreign, expected: Foreign) -> None:
    near(found, expected, 0)
    assert found.model.config == expected.model.config


def near(found: Foreign, expected: Foreign, share: float) -> None:
    """Weights of the same names within a share of each tensor's largest, and the same vocabulary."""
    own, wanted = found.model.state_dict(), expected.model.state_dict()
    assert own.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert (own[name] - tensor).abs().max() <= share * tensor.abs().max(), name
    assert found.vocabulary == expected.vocabulary


def test_two_independent_conversions_are_equal(weights: Path, base: Foreign) -> None:
    assert {name: sha256_file(weights / name) for name in SHA256} == SHA256
    same(read_foreign(weights / "base2.bin"), base)


def test_what_a_file_does_not_say_is_what_was_published(weights: Path, tokenizer: Path, base: Foreign) -> None:
    for folder, rows in ((tokenizer, 51_865), (next(weights.rglob("model.bin")).parent, 51_864)):
        config, tokens = json.loads((folder / "config.json").read_text()), published_tokens(rows, "it")
        assert set(never_written(tokens)) == {
            row for row in config["suppress_ids"] if not CONTROL.fullmatch(tokens[row])
        }
        listed = named((folder / "vocabulary.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n"))
        old = {"<|nocaptions|>": "<|nospeech|>"}
        assert [old.get(token, token) for token in listed] == named(tokens)
    published = json.loads((tokenizer / "config.json").read_text())["alignment_heads"]
    assert [list(pair) for pair in base.model.config.alignment_heads] == published


def test_tiny_en_is_read(weights: Path) -> None:
    foreign = read_foreign(next(weights.rglob("model.bin")).parent)
    assert foreign.languages == ("en",) and foreign.model.config.dim == 384
    assert len(foreign.model.config.alignment_heads) == 8


def test_it_recognises_real_speech(base: Foreign, clips: list[tuple[np.ndarray, str]]) -> None:
    options, cpu = DecodeOptions(beam_size=4), Device(torch.device("cpu"), False, "CPU")
    recogniser = Recogniser(base.model, base.vocabulary.starting("nl"), NO_HANDLES, options, cpu)
    texts = recogniser.texts([waveform for waveform, _ in clips])
    print(*zip(texts, (text for _, text in clips), strict=True), sep="\n")
    assert jiwer.cer([text for _, text in clips], texts) <= MOST_WRONG


@pytest.mark.parametrize("form", ["float32", "float16", "bfloat16", "int8", "int8_float16", "int16"])
def test_what_ctranslate2_writes(form: str, written: Path, base: Foreign) -> None:
    found = read_foreign(written / f"ct2-{form}")
    near(found, base, {"float32": 0, "float16": 0, "bfloat16": 2**-8}.get(form, 1 / 253))
    assert found.alignment_heads == base.model.config.alignment_heads


def test_what_openai_and_transformers_write(written: Path, base: Foreign) -> None:
    same(read_foreign(written / "base.pt"), base)
    same(read_foreign(written / "transformers"), base)


def test_what_mlx_writes(written: Path, base: Foreign) -> None:
    same(read_foreign(written / "mlx-16"), base)
    reference = load_file(written / "reference.safetensors")
    for bits in (4, 8):
        found = read_foreign(written / f"mlx-{bits}").model.state_dict()
        for ours, theirs in (("attention.query", "attn.query"), ("feed_forward.up", "mlp1")):
            wanted = reference[f"{bits}.decoder.blocks.3.{theirs}.weight"]
            torch.testing.assert_close(found[f"decoder.layers.3.{ours}.weight"], wanted, rtol=0, atol=0)
        assert len(reference) > 100


def test_the_other_programs_recognise_it_too(written: Path, clips: list[tuple[np.ndarray, str]]) -> None:
    texts = json.loads((written / "texts.json").read_text())
    assert len(texts) == 2 and len({text.strip() for text in texts.values()}) == 1, texts
    assert jiwer.cer(clips[0][1], texts["openai"].strip()) <= MOST_WRONG


@pytest.mark.parametrize("form", [form for form in GGML_FORMS if form.startswith("q")])
def test_what_ggml_quantises(form: str, whole: Tiny, tmp_path: Path) -> None:
    kept = write_ggml(tmp_path / "x.bin", whole, form, _ordinary(), {form: ggml_quantiser(form)})
    found = read_foreign(tmp_path / "x.bin").model.state_dict()
    name = "decoder.layers.3.feed_forward.up.weight"
    wanted = kept.state["decoder.blocks.3.mlp.0.weight"]
    torch.testing.assert_close(found[name], wanted, rtol=0, atol=0)
    blocks = whole.state["decoder.blocks.3.mlp.0.weight"].numpy().reshape(-1, BLOCK)
    simple = torch.from_numpy(QUANTISERS[form](blocks)[1]).reshape(wanted.shape)  # the fast tests' own quantiser
    assert (simple - wanted).abs().max() < 0.2 * wanted.abs().max()


@pytest.mark.parametrize("form", ["q8_0", "q5_1"])
def test_lect_quantises_as_ggml_does(form: str, whole: Tiny) -> None:
    for name in ("decoder.blocks.3.mlp.0.weight", "decoder.token_embedding.weight"):
        rows = whole.state[name]
        assert quantised(rows, GGML_FORMS[form][1]) == ggml_quantiser(form)(rows.numpy().reshape(-1, BLOCK))[0]


@pytest.mark.parametrize("form", ["f32", "f16"])
def test_ggml_files_have_all_of_it(form: str, whole: Tiny, base: Foreign, tmp_path: Path) -> None:
    write_ggml(tmp_path / "x.bin", whole, form, _ordinary())
    same(read_foreign(tmp_path / "x.bin"), base)


def _ordinary() -> tuple[bytes, ...]:
    byte_of = {letter: value for value, letter in enumerate(letters())}
    return tuple(bytes(byte_of[letter] for letter in token) for token in published_tokens(51_865, "it")[:50_257])


class _Traits(ctypes.Structure):
    """ggml_type_traits of ggml.h."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("block", ctypes.c_int64),
        ("interleave", ctypes.c_int64),
        ("bytes", ctypes.c_size_t),
        ("quantised", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
    ]


def ggml_quantiser(form: str) -> Quantiser:
    """ggml's own quantisation and its own way back, from the library that pywhispercpp brings."""
    python = variable("LECT_WHISPER_WRITERS")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    found = sorted(Path(packages).glob("libggml-base*.so*"))
    if not found:
        pytest.skip("pywhispercpp is not installed beside the other writers")
    library = ctypes.CDLL(str(found[0]))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = (
        ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
    )  # fmt: skip
    library.ggml_get_type_traits.restype = ctypes.POINTER(_Traits)
    kind = GGML_FORMS[form][1]
    traits = library.ggml_get_type_traits(kind).contents
    assert traits.name == form.encode() and traits.block == BLOCK

    def quantise(blocks: np.ndarray) -> tuple[bytes, np.ndarray]:
        values = np.ascontiguousarray(blocks, np.float32)
        data = ctypes.create_string_buffer(len(values) * traits.bytes)
        size = library.ggml_quantize_chunk(kind, values.ctypes.data, data, 0, len(values), BLOCK, None)
        assert size == len(data)
        back = np.empty_like(values)
        traits.to_float(ctypes.cast(data, ctypes.c_void_p), back.ctypes.data, back.size)
        return data.raw, back

    return quantise
