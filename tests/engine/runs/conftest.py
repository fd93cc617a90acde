"""A small project that can be trained on, and a small Whisper."""

from pathlib import Path

import pytest
import torch

from lect.engine.audio.writing import write_wav
from lect.engine.contract.model_config import ModelConfig
from lect.engine.data.store import Project
from lect.engine.model.backbone import Backbone, open_backbone
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import save_backbone
from lect.engine.text.vocabulary import BOS, Vocabulary
from tests.conftest import WORDS
from tests.engine.data.test_store import speech


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A set in three splits."""
    project = Project.create(tmp_path / "project", "p", "xx")
    for seed, text in enumerate(WORDS):
        write_wav(tmp_path / f"{seed}.wav", speech(seed))
        split = "dev" if seed in (0, 1) else "test" if seed == 2 else "train"
        project.keep(tmp_path / f"{seed}.wav", speech(seed), text, split=split)
    return project


@pytest.fixture
def whisper(tmp_path: Path) -> Backbone:
    """A random one with windows of 4 s, which knows English."""
    torch.manual_seed(0)
    control = (16, 17, 18)
    symbols = (*"abdegilmosuĠ", "<|en|>", "<|transcribe|>", "<|notimestamps|>")
    tokens = Vocabulary("bytes", symbols, (), (BOS, *control), control)
    config = ModelConfig(
        len(tokens), 32, 2, 64, 4, 1, mel_strides=(1, 2), mel_normalisation="range", mel_window_seconds=4.0,
        decoder_positions=40, scale_embedding=False, key_bias=False, ctc=False,
    )  # fmt: skip
    save_backbone(tmp_path / "w", "w", EncoderDecoder(config), tokens, languages=("en",), licence="MIT")
    return open_backbone(str(tmp_path / "w"))
