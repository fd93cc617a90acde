"""espeak-ng as a source of phones and of speech. Skipped, with the reason, where it is not installed."""

import csv
from pathlib import Path

import numpy as np
import pytest

from lect.engine.audio.reading import SAMPLE_RATE, load_audio
from lect.engine.contract.errors import UsageError
from lect.engine.pretraining.synth import phrases, speak, speak_all, write_audiofolder
from lect.engine.text.phones import available_voices, clean_ipa, phones, voice_for
from tests.conftest import needs_espeak


def test_ipa_becomes_plain_symbols() -> None:
    assert clean_ipa("ɡˈuːtən\nmˌɔʁɡən") == "guːtən mɔʁgən"
    assert clean_ipa("t͡ʃa5 bɔ̃ʒˈuʁ.") == "tʃa bɔ̃ʒuʁ"


@needs_espeak
def test_labels_become_phones() -> None:
    assert phones("habari gani", "sw") == "habari gani"
    assert phones("Привет 日本", "de") is None  # spelled out in English: no label to learn from


@needs_espeak
def test_a_language_finds_its_voice_or_none() -> None:
    available = available_voices()
    assert voice_for("sv-SE", available) == "sv" and voice_for("sw", available) == "sw"
    assert voice_for("zh-CN", available) is None and voice_for("hsb", available) is None


@needs_espeak
def test_speech_is_made_in_the_voice_rate_and_pitch_asked_for() -> None:
    slow, fast = (speak("habari za asubuhi rafiki yangu", "sw", words_per_minute=rate) for rate in (100, 200))
    assert slow.dtype == np.float32 and len(slow) > 1.4 * len(fast) > 0.5 * SAMPLE_RATE
    again = [clip.waveform for clip in speak_all(["habari gani"] * 2, "sw", ("m1", "f2"))]
    assert np.array_equal(again[0], again[1])


def test_without_espeak_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="install it"):
        speak("habari", "sw")


def test_phrases_lie_between_punctuation() -> None:
    assert phrases("moja, mbili tatu nne. mbili tatu nne; tano\nsita saba", (2, 3)) == ["mbili tatu nne", "sita saba"]


@needs_espeak
def test_an_audiofolder_is_written(tmp_path: Path) -> None:
    count = write_audiofolder(tmp_path, speak_all(["habari gani", "asante sana"], "sw", ("m1",)), "sw", "CC0-1.0")
    rows = list(csv.DictReader((tmp_path / "metadata.csv").open(encoding="utf-8")))
    assert count == 2 and [row["transcription"] for row in rows] == ["habari gani", "asante sana"]
    assert len(load_audio(tmp_path / rows[0]["file_name"])) / SAMPLE_RATE == pytest.approx(
        float(rows[0]["duration"]), abs=0.1
    )
