"""Whispers that leave for other programs: the weights and tokens that independent writers give, and the same text.

LECT_WHISPER_RUNNERS names a Python that has the programs of `whisper_runners.py`, ctranslate2's converter among them;
LECT_SPEECH a folder of Dutch recordings with `metadata.csv`.
"""

import csv
import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import lect.engine.model.torchaudio_bridge  # noqa: F401  (transformers imports torchaudio)
from lect.engine.audio.reading import load_audio
from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import read_json, sha256_file
from lect.engine.model.backbone import Backbone, open_backbone, verify_backbone
from lect.engine.model.foreign.binary import opened
from lect.engine.model.foreign.ctranslate2 import named_as_ctranslate2, read_variables
from lect.engine.model.foreign.openai import named_as_openai
from lect.engine.model.foreign.reading import read_foreign
from lect.engine.model.foreign.whisper import plain_whisper
from lect.engine.model.foreign.whisper_tokens import published_tokens
from lect.engine.model.handles import NO_HANDLES, Handles
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import load_model, save_backbone
from lect.engine.text.byte_pairs import encoded, merges
from lect.exports.pack import CARD, MANIFEST, PackContents
from lect.exports.parity import Clips, ParityError
from lect.exports.plain_whisper import ROUNDING, write_backbone, write_run
from lect.exports.runners import RUNNERS
from lect.exports.runners.huggingface import TOKENIZER
from tests.conftest import tones
from tests.engine.model.whisper_layouts import (
    TOKENS,
    Tiny,
    tiny,
    variables,
    write_ctranslate2,
    write_huggingface,
    write_openai,
)
from tests.exports.conftest import adaptation, contents, in_torch, updates
from tests.exports.whisper_runners import with_transformers

CASES = [(layout, weights) for layout, runner in RUNNERS.items() for weights in runner.weights]
LONG_SECONDS = 60
PUBLISHED = 51_865  # rows: a checkpoint without a tokenizer must have so many


@dataclass(frozen=True)
class Made:
    """A tiny random Whisper as a backbone, with the weights that it was made of."""

    source: Tiny
    backbone: Backbone
    model: EncoderDecoder


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return backbone_of(tiny(), tmp_path)


def backbone_of(source: Tiny, tmp_path: Path) -> Made:
    write = write_openai if source.sizes["n_vocab"] == PUBLISHED else write_huggingface
    foreign = read_foreign(write(tmp_path / "source", source))
    save_backbone(tmp_path / "base", "base", foreign.model, foreign.vocabulary, languages=("en",), licence="MIT")
    backbone = open_backbone(str(tmp_path / "base"))
    return Made(source, backbone, load_model(backbone))


@pytest.fixture
def clips() -> Clips:
    return Clips([tones("ba da", 0.5), tones("go mi", 0.7, 1)], ["ba da", "go mi"])


def low_rank(made: Made) -> PackContents:
    """A run with low-rank updates of the encoder, that writes German."""
    tensors = {}
    for layer in range(made.backbone.config.encoder_layers):
        tensors |= updates(made.backbone.config, layer, 2, np.random.default_rng(layer))
    tensors = {name: 30 * tensor.astype(np.float32) for name, tensor in tensors.items()}  # beside large random weights
    return contents(made.backbone, tensors, vocabulary=made.backbone.vocabulary.starting("de"))


def test_names_and_rows_are_those_of_independent_writers(made: Made) -> None:
    whisper = plain_whisper(made.model, made.backbone.vocabulary, "it", "MIT")
    assert whisper.tokens == TOKENS
    short = dict(whisper.tensors) | {"encoder.positions": made.source.state["encoder.positional_embedding"]}
    state = named_as_openai(short)
    assert state.keys() == made.source.state.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in made.source.state.items())
    fused, expected = named_as_ctranslate2(short), variables(made.source)
    assert fused.keys() == expected.keys()
    assert all(torch.equal(fused[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(("layout", "weights"), CASES)
def test_a_run_is_read_back_as_it_was(layout: str, weights: str, clips: Clips, tmp_path: Path) -> None:
    made = backbone_of(tiny(PUBLISHED) if layout == "openai" else tiny(), tmp_path)
    run = low_rank(made)
    handles = Handles.from_tensors(in_torch(run.tensors))
    audio, lengths = torch.from_numpy(clips.waveforms[0])[None], torch.tensor([len(clips.waveforms[0])])
    with torch.no_grad():
        learnt = made.model.encoder(made.model.encoder.embed(audio, lengths), handles).values
        untrained = made.model.encoder(made.model.encoder.embed(audio, lengths), NO_HANDLES).values
    report = write_run(tmp_path / "run", run, made.model, clips, layout, weights)
    assert report.clips == 2 and report.agreement is not None and report.after is not None
    assert (report.rounding == 0) == (weights == "float32")
    if weights.startswith("float"):
        assert report.agreement == 1
    found = read_foreign(_opened(tmp_path / "run", layout)).model
    with torch.no_grad():
        again = found.encoder(found.encoder.embed(audio, lengths), NO_HANDLES).values
    share = float((again - learnt).norm() / learnt.norm())
    assert share <= {"float32": 1e-5, "float16": 2e-3}.get(weights, 4 * ROUNDING[weights])
    assert float((again - untrained).norm() / learnt.norm()) > 5 * share  # what was learnt is in it
    assert verify_backbone(tmp_path / "run") == []
    manifest, card = read_json(tmp_path / "run" / MANIFEST), (tmp_path / "run" / CARD).read_text()
    assert manifest["layout"] == layout and manifest["parity"]["agreement"] == report.agreement
    assert layout == "openai" or "LANGUAGE" not in card
    assert "de" in card and "sha256sum" in card


def _opened(folder: Path, layout: str) -> Path:
    names = {"ctranslate2": "model.bin", "ggml": "ggml-model.bin", "openai": "model.pt"}
    return folder / names[layout] if layout in names else folder


def test_model_bin_has_what_the_converter_writes(made: Made, tmp_path: Path) -> None:
    write_backbone(tmp_path / "bare", made.backbone, made.model, "ctranslate2", "float16")
    write_ctranslate2(tmp_path / "theirs.bin", made.source, "float16")
    with opened(tmp_path / "bare" / "model.bin") as ours, opened(tmp_path / "theirs.bin") as theirs:
        found, expected = read_variables(ours), read_variables(theirs)
    assert found.keys() >= expected.keys()
    positions = "encoder/position_encodings/encodings"  # which the tiny one has fewer of
    assert all(torch.equal(found[name], expected[name]) for name in expected.keys() - {positions})
    config = read_json(tmp_path / "bare" / "config.json")
    assert config["lang_ids"] == [TOKENS.index(f"<|{code}|>") for code in ("en", "zh", "de")]
    assert TOKENS.index("<|transcribe|>") in config["suppress_ids"]
    assert read_json(tmp_path / "bare" / "vocabulary.json") == list(TOKENS)


def test_transformers_computes_the_same(made: Made, clips: Clips, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    write_run(tmp_path / "run", low_rank(made), made.model, clips, "huggingface", "float32")
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(tmp_path / "run")
    features = transformers.WhisperFeatureExtractor.from_pretrained(tmp_path / "run")(
        clips.waveforms[0], sampling_rate=16_000, return_tensors="pt"
    ).input_features
    tokens = torch.tensor([[TOKENS.index(f"<|{name}|>") for name in ("startoftranscript", "de", "transcribe")]])
    with torch.no_grad():
        expected = theirs(features, decoder_input_ids=tokens).logits[0]
    found = read_foreign(tmp_path / "run")
    ids = [found.vocabulary.tokens.index(name) for name in ("<s>", "<|de|>", "<|transcribe|>")]
    audio = torch.from_numpy(clips.waveforms[0])[None]
    with torch.no_grad():
        encoded = found.model.encoder(found.model.encoder.embed(audio, torch.tensor([audio.shape[1]])), NO_HANDLES)
        logits = found.model.teacher_forcing(encoded, torch.tensor([ids]), NO_HANDLES)[0]
    rows = [TOKENS.index(name) for name in found.vocabulary.symbols]
    torch.testing.assert_close(logits[:, 4:], expected[:, rows], rtol=0, atol=2e-3)
    assert theirs.generation_config.language == "de" and theirs.generation_config.is_multilingual


def test_the_tokenizer_is_the_published_one() -> None:
    from tokenizers import Tokenizer

    from lect.exports.runners.tokenizer import tokenizer_json

    tokens = published_tokens(PUBLISHED, "it")
    tokenizer = Tokenizer.from_str(tokenizer_json(tokens))
    ordinary = {token: row for row, token in enumerate(tokens[:50_257])}
    assert len(merges(ordinary)) == 50_000  # as published
    for text in (" Tuis hebben ze geen computer, alleen op school.", " naïve Ʒ 漢字 42 don't ok", "ẹ̀kọ́"):
        ids = tokenizer.encode(text).ids
        assert ids == [ordinary[run] for run in encoded(text, ordinary)]
        assert tokenizer.decode(ids) == text
    assert tokenizer.token_to_id("<|0.02|>") == 50_365
    assert [tokens[50_256], tokenizer.token_to_id("<|endoftext|>")] == ["", 50_257]


@pytest.mark.parametrize(
    ("change", "said"),
    [("prompt", "prompts"), ("adapter", "adapters"), ("vocabulary", "a new vocabulary"), ("window", "windows")],
)
def test_what_a_plain_whisper_cannot_hold_is_refused(
    change: str, said: str, made: Made, clips: Clips, tmp_path: Path
) -> None:
    tensors = {name: tensor for name, tensor in adaptation(made.backbone.config).items() if change in name}
    model = load_model(made.backbone, 1.0) if change == "window" else made.model
    run = replace(low_rank(made), tensors=tensors)
    with pytest.raises(UsageError, match=f"{said}.*--method lora"):
        write_run(tmp_path / "run", run, model, clips, "ggml")
    assert not (tmp_path / "run").exists()


def test_other_weights_and_other_families_are_refused(
    made: Made, backbone: Backbone, model: EncoderDecoder, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="float16, float32"):
        write_backbone(tmp_path / "a", made.backbone, made.model, "openai", "q8_0")
    with pytest.raises(UsageError, match="no other program"):
        write_backbone(tmp_path / "a", backbone, model, "openai")
    with pytest.raises(UsageError, match="has no tokens"):
        write_backbone(tmp_path / "a", made.backbone, made.model, "openai")


def test_a_writer_that_errs_is_found_out(
    made: Made, clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = RUNNERS["ggml"]

    def other(folder: Path, whisper: object, weights: str, language: str) -> Path:
        swapped = dict(whisper.tensors)  # type: ignore[attr-defined]
        names = [f"decoder.layers.0.attention.{part}.weight" for part in ("query", "key")]
        swapped |= dict(zip(names, [swapped[name] for name in names[::-1]], strict=True))
        return runner.write(folder, replace(whisper, tensors=swapped), weights, language)  # type: ignore[type-var]

    monkeypatch.setitem(RUNNERS, "ggml", replace(runner, write=other))
    with pytest.raises(ParityError, match="read back"):
        write_run(tmp_path / "run", low_rank(made), made.model, clips, "ggml")
    assert not (tmp_path / "run").exists()


# With the programs themselves, and Whisper-base


@pytest.fixture(scope="module")
def python() -> str:
    if "LECT_WHISPER_RUNNERS" not in os.environ:
        pytest.skip("LECT_WHISPER_RUNNERS is not set: see this file's beginning")
    return os.environ["LECT_WHISPER_RUNNERS"]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Some Dutch clips, and a recording of a minute."""
    if "LECT_SPEECH" not in os.environ:
        pytest.skip("LECT_SPEECH is not set: see this file's beginning")
    source, target = Path(os.environ["LECT_SPEECH"]), tmp_path_factory.mktemp("clips")
    with (source / "metadata.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["language"] == "nl"][1:40]
    waveforms = [load_audio(source / row["file_name"]) for row in rows]
    pause = np.zeros(6_400, np.float32)
    joined = np.concatenate([part for waveform in waveforms for part in (waveform, pause)])
    paths = [target / f"{number}.wav" for number in range(5)]
    for path, samples in zip(paths, [*waveforms[:4], joined[: LONG_SECONDS * 16_000]], strict=True):
        write_wav(path, samples)
    return paths


@pytest.mark.slow
def test_the_programs_write_the_same_text(python: str, recordings: list[Path], tmp_path: Path) -> None:
    backbone = open_backbone("whisper-base")
    programs = {"ctranslate2": "faster-whisper", "ggml": "pywhispercpp", "openai": "openai-whisper"}
    script = Path(__file__).with_name("whisper_runners.py")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    write_backbone(tmp_path / "huggingface", backbone, load_model(backbone), "huggingface")
    recognise = with_transformers(str(tmp_path / "huggingface"), "nl")
    expected = [recognise(load_audio(path), False).strip() for path in recordings[:-1]]
    assert len(set(expected)) == len(expected)
    for layout, program in programs.items():
        write_backbone(tmp_path / layout, backbone, load_model(backbone), layout)
        command = [python, script, program, _opened(tmp_path / layout, layout), "nl", *recordings]
        if program == "faster-whisper":
            command[3] = tmp_path / layout
        printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        found = json.loads(printed.splitlines()[-1])
        assert found["plain"][:-1] == expected, program
        assert len(found["timed"][-1].split()) > 60, program  # of a long recording, and no repetition of one phrase


@pytest.mark.slow
def test_model_bin_is_the_converters_to_the_byte(python: str, tmp_path: Path) -> None:
    backbone = open_backbone("whisper-base")
    for layout in ("huggingface", "ctranslate2"):
        write_backbone(tmp_path / layout, backbone, load_model(backbone), layout)
    code = (
        "import sys; sys.modules['torchaudio'] = None; from ctranslate2.converters import TransformersConverter as T; "
        f"T({str(tmp_path / 'huggingface')!r}, copy_files=[{TOKENIZER!r}]).convert({str(tmp_path / 'theirs')!r}, "
        "quantization='float16')"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, "-c", code], check=True, env=environment)
    assert sha256_file(tmp_path / "theirs" / "model.bin") == sha256_file(tmp_path / "ctranslate2" / "model.bin")
    ours, theirs = (read_json(tmp_path / name / "config.json") for name in ("ctranslate2", "theirs"))
    assert ours == {key: theirs[key] for key in ours}
