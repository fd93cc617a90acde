"""A home with a tiny backbone, sets of short clips with pauses like speech, and `lect` as a person calls it."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lect.app.cli import main
from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.audio.writing import write_wav
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import save_backbone
from tests.conftest import PHONES, TINY

WORDS = (
    "ba da",
    "go mi",
    "ba mi",
    "su la go",
    "da su",
    "la ba",
    "mi da ba",
    "go go",
    "su mi la",
    "da la",
    "ba su",
    "mi go",
)
FAST = ("--max-steps", "20", "--copies", "2", "--num-virtual-tokens", "2", "--per-device-train-batch-size", "4")
TAUGHT = (*FAST, "--max-steps", "100", "--vocabulary-learning-rate", "0.03")  # until CTC writes more than blanks


@dataclass(frozen=True)
class Outcome:
    """What one call of `lect` did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout."""
        return json.loads(self.out)

    def failed_with(self, *words: str, code: int = 1) -> bool:
        """Whether it ended with one sentence that has these words."""
        lines = self.err.strip().splitlines()
        assert self.code == code and len(lines) == 1 and lines[0].startswith("lect: "), self
        assert "Traceback" not in self.err + self.out
        return all(word in lines[0] for word in words)


Lect = Callable[..., Outcome]


@pytest.fixture
def lect(capsys: pytest.CaptureFixture[str]) -> Lect:
    """`lect("check", "--json")`: runs the command in this process."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return call


@contextmanager
def tiny_home(folder: Path) -> Iterator[Path]:
    """LECT_HOME in `folder` with the backbone `tiny`, its weights only."""
    torch.manual_seed(1)
    save_backbone(
        folder / "backbones" / "tiny", "tiny", EncoderDecoder(TINY), PHONES, languages=("xx",), licence="CC0-1.0"
    )
    before = os.environ.get("LECT_HOME")
    os.environ["LECT_HOME"] = str(folder)
    yield folder
    os.environ.pop("LECT_HOME") if before is None else os.environ.update(LECT_HOME=before)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """LECT_HOME with the backbone `tiny`."""
    with tiny_home(tmp_path_factory.mktemp("home")) as folder:
        yield folder


@pytest.fixture(scope="session")
def graphs(home: Path) -> Path:
    """The same backbone with its graphs."""
    assert main(["export", "--backbone", "tiny", "--quiet"]) == 0
    return home / "backbones" / "tiny"


def speech(text: str, seed: int = 0) -> np.ndarray:
    """(samples,) a burst a letter, with pauses at spaces and around: quiet enough between to be judged good."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(0.09 * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = np.sin(np.pi * np.arange(len(time)) / len(time)) ** 0.5
    silence = np.zeros(int(0.2 * SAMPLE_RATE))
    pieces = [silence]
    for letter in text:
        burst = 0.3 * envelope * np.sin(2 * np.pi * (700 + 90 * (ord(letter) - 97)) * time)
        pieces.append(silence if letter == " " else burst)
    wave = np.concatenate([*pieces, silence])
    return (wave + 0.001 * rng.standard_normal(len(wave))).astype(np.float32)


def write_set(folder: Path, texts: Sequence[str] = WORDS, speakers: int = 2, split: str = "") -> Path:
    """An audiofolder of one clip a text."""
    lines = ["file_name,transcription,speaker_id,split"]
    for number, text in enumerate(texts):
        write_wav(folder / f"{number:02d}.wav", speech(text, number))
        lines.append(f"{number:02d}.wav,{text},voice {number % speakers},{split}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve good clips of two voices."""
    return write_set(tmp_path_factory.mktemp("set"))


@pytest.fixture
def project(tmp_path: Path, dataset: Path, lect: Lect) -> Path:
    """A project with these clips, split."""
    folder = tmp_path / "project"
    assert lect("init", folder, "--language", "x-test").code == 0
    assert lect("import", dataset, "--project", folder).code == 0
    assert lect("split", "--project", folder).code == 0
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, dataset: Path, home: Path) -> Path:
    """A project with one run, 001. Not to be changed."""
    folder = tmp_path_factory.mktemp("trained") / "project"
    for command in (("init", folder), ("import", dataset), ("split",), ("train", "--backbone", "tiny", *TAUGHT)):
        where = [] if command[0] == "init" else ["--project", str(folder)]
        assert main([*map(str, command), *where, "--quiet"]) == 0
    return folder


@pytest.fixture(scope="session")
def pack(trained: Path, graphs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run 001 as a pack."""
    path = tmp_path_factory.mktemp("packs") / "tones.lect"
    assert main(["pack", "001", "-o", str(path), "--project", str(trained), "--quiet"]) == 0
    return path
