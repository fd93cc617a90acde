"""What many tests need: a tiny random backbone on disk, and short clips that sound like something."""

import os
import shutil
from collections import Counter

import numpy as np
import pytest
import torch

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.audio.writing import write_wav
from lect.engine.contract.model_config import ModelConfig
from lect.engine.model.backbone import Backbone, open_backbone
from lect.engine.model.device import Device
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import save_backbone
from lect.engine.text.vocabulary import Vocabulary
from lect.engine.text.vocabulary_building import build_vocabulary
from lect.engine.training.features import Example
from lect.engine.training.train import TrainData

COMMANDS_OF_MARKERS = {"slow": "make test-slow", "bench": ".venv/bin/python -m pytest -m bench"}

os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="needs espeak-ng (apt-get install espeak-ng)"
)
PHONES = Vocabulary("phone", tuple(" abdefghijklmnoprstuvw"))
TINY = ModelConfig(len(PHONES), dim=32, heads=2, ffn_dim=64, encoder_layers=2, decoder_layers=2, convolution_kernel=7)
WORDS = ("ba da", "go mi", "ba mi", "su la go", "da su", "la ba", "mi da ba", "go go", "su mi la", "da la")


@pytest.fixture(scope="session")
def cpu() -> Device:
    """The CPU in float32, whatever else the machine has."""
    return Device(torch.device("cpu"), False, "CPU")


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """A random backbone of 2 + 2 layers, with a shared prompt."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("backbones") / "tiny"
    prompt = {
        f"{stack}.{layer}.prompt.{part}": torch.randn(4, TINY.dim)
        for stack in ("encoder", "decoder")
        for layer in range(2)
        for part in ("key", "value")
    }
    model = EncoderDecoder(TINY)
    save_backbone(folder, "tiny", model, PHONES, languages=("xx",), licence="CC0-1.0", shared_prompt=prompt)
    return open_backbone(str(folder))


def tones(text: str, seconds: float = 0.8, seed: int = 0) -> np.ndarray:
    """(samples,) a stand-in for speech: one tone a letter, over faint noise."""
    rng = np.random.default_rng(seed)
    samples = int(seconds * SAMPLE_RATE)
    letters = np.array([0 if letter == " " else 200 + 60 * (ord(letter) - 97) for letter in text])
    pitch = letters[(np.arange(samples) * len(letters) // samples)]
    wave = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE) + 0.003 * rng.standard_normal(samples)
    return wave.astype(np.float32)


@pytest.fixture(scope="session")
def tone_data(tmp_path_factory: pytest.TempPathFactory) -> TrainData:
    """Ten clips to train on and four to choose by."""
    folder = tmp_path_factory.mktemp("tones")
    vocabulary = build_vocabulary(WORDS, kind="grapheme")
    examples = []
    for number in range(14):
        text = WORDS[number % len(WORDS)]
        path = folder / f"{number}.wav"
        write_wav(path, tones(text, 0.6 + 0.05 * number, number))
        examples.append(Example(f"{number:064x}", path, 0.6 + 0.05 * number, tuple(vocabulary.encode(text))))
    texts = [WORDS[number % len(WORDS)] for number in range(10, 14)]
    return TrainData(vocabulary, examples[:10], examples[10:], texts)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What did not run, and how to run it: a line for each reason."""
    skipped = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped"))
    for reason, count in skipped.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason}")
    for marker, command in COMMANDS_OF_MARKERS.items():
        left = sum(marker in item.keywords for item in terminalreporter.stats.get("deselected", []))
        if left:
            terminalreporter.write_line(f"{left} left out, marked {marker}: {command} runs them")
