"""A backbone of one's own: a corpus, a training that goes on where it stood, and a backbone that projects can use."""

import itertools
import json
from pathlib import Path

import pytest

from lect.engine.model.backbone import open_backbone, verify_backbone
from tests.app.conftest import Lect, write_set
from tests.conftest import needs_espeak

WORDS = ("maji", "mtoto", "nyumba", "chakula", "asubuhi", "kitabu")
MODEL = {"dim": 32, "heads": 2, "ffn_dim": 64, "encoder_layers": 1, "decoder_layers": 2}
SETTINGS = {
    "warmup_steps": 2, "decay_steps": 2, "evaluate_every": 2, "prompt_length": 3,
    "sampling": {"batch_seconds": 8, "augmentation": {"room_share": 0, "snr_db": [10, 20]}},
}  # fmt: skip


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty phrases of two words."""
    path = tmp_path_factory.mktemp("text") / "sw.txt"
    path.write_text("\n".join(map(" ".join, itertools.permutations(WORDS, 2))) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def corpus(lect: Lect, tmp_path: Path, text: Path) -> Path:
    """Synthetic Swahili."""
    assert lect("pretrain", "synth", tmp_path / "corpus", text, "--voice", "sw", "--quiet").code == 0
    return tmp_path / "corpus"


@needs_espeak
def test_from_speech_to_a_backbone(lect: Lect, tmp_path: Path, corpus: Path) -> None:
    recordings = write_set(tmp_path / "set", ("maji moto", "mtoto wa", "nyumba hii", "???"))
    added = lect("pretrain", "add", corpus, recordings, "--name", "real", "--language", "sw", "--json")
    assert added.code == 0 and added.json["clips"] == 3 and added.json["left_out"] == {"no phones for its label": 1}
    training, made = tmp_path / "training", tmp_path / "home" / "swahili"
    run = ("pretrain", "run", corpus, training, "--settings", json.dumps(SETTINGS), "--device", "cpu", "--threads", "1")
    first = lect(*run, "--model", json.dumps(MODEL), "--noise", recordings, "--steps", "2", "--json")
    assert first.code == 0 and first.json["step"] == 2 and "pretrain finish" in first.json["next"]
    told = lect(*run, "--steps", "4")
    assert told.code == 0 and "step 4: " in told.err and "stands at step 4" in told.out
    events = [json.loads(line) for line in (training / "events.jsonl").read_text("utf-8").splitlines()]
    assert [event["step"] for event in events if event["event"] == "evaluation"] == [2, 4]
    finished = lect(
        "pretrain", "finish", training, made, "--name", "swahili", "--licence", "CC0-1.0", "--languages", "sw"
    )
    assert finished.code == 0 and f"lect export --backbone {made}" in finished.out
    info = lect("backbone", "info", made, "--json").json
    assert (info["name"], info["languages"], info["licence"]) == ("swahili", ["sw"], "CC0-1.0")
    assert MODEL.items() <= info["model"].items() and verify_backbone(open_backbone(str(made)).folder) == []


def test_from_recordings_that_nobody_transcribed_to_a_backbone(lect: Lect, tmp_path: Path) -> None:
    recordings = write_set(tmp_path / "set", tuple(f"{one} {other}" for one in WORDS for other in WORDS))
    corpus, training, made = tmp_path / "corpus", tmp_path / "training", tmp_path / "home" / "heard"
    added = lect("pretrain", "add", corpus, recordings, "--name", "field", "--unlabelled", "--json")
    assert added.code == 0 and added.json["clips"] == len(WORDS) ** 2
    run = ("pretrain", "run", corpus, training, "--settings", json.dumps(SETTINGS), "--device", "cpu", "--threads", "1")
    assert lect(*run, "--steps", "2", "--model", json.dumps(MODEL)).failed_with("lect pretrain units", code=2)
    first = lect("pretrain", "units", corpus, "--clusters", "8", "--pieces", "12", "--json").json
    assert first["clips"] == added.json["clips"] and first["part"] in first["next"]
    assert lect(*run, "--model", json.dumps(MODEL), "--steps", "2", "--parts", first["part"], "--quiet").code == 0
    finish = ("pretrain", "finish", training, made, "--name", "heard", "--licence", "CC0-1.0")
    assert lect(*finish).code == 0
    again = ("pretrain", "units", corpus, "--clusters", "8", "--pieces", "12", "--device", "cpu")
    assert lect(*again, "--layer", "1").failed_with("--backbone", code=2)
    second = lect(*again, "--backbone", made, "--layer", "1", "--json").json
    assert second["part"] != first["part"]
    start = (*run[:3], tmp_path / "second", *run[4:], "--parts", second["part"], "--start", made, "--steps", "2")
    assert lect(*start, "--json").json["step"] == 2
    assert json.loads((tmp_path / "second" / "config.json").read_text())["dim"] == MODEL["dim"]


@needs_espeak
def test_another_network_in_the_folder_of_a_training_is_refused(lect: Lect, tmp_path: Path, corpus: Path) -> None:
    run = ("pretrain", "run", corpus, tmp_path / "training", "--settings", json.dumps(SETTINGS), "--quiet")
    assert lect(*run, "--model", json.dumps(MODEL), "--steps", "2").code == 0
    before = (tmp_path / "training" / "config.json").read_bytes()
    assert lect(*run, "--model", '{"dim": 64}', "--steps", "4").failed_with("another network", code=2)
    assert (tmp_path / "training" / "config.json").read_bytes() == before


@needs_espeak
@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("--model", "{dim: 32}", "no JSON object"),
        ("--model", "[32]", "no JSON object"),
        ("--model", '{"dims": 32}', "'dims'"),
        ("--model", '{"dim": "wide"}', "'dim'"),
        ("--model", '{"heads": 3}', "3 heads"),
        ("--model", '{"frontend": "photograph"}', "'photograph'"),
        ("--settings", '{"batch": 8}', "'batch'"),
        ("--settings", '{"learning_rate": null}', "'learning_rate'"),
        ("--settings", '{"sampling": {"augmentation": {"echo": 1}}}', "'echo'"),
        ("--settings", '{"sampling": {"augmentation": {"snr_db": 5}}}', "'snr_db'"),
        ("--noise", "nowhere", "nowhere"),
    ],
)
def test_settings_that_make_no_sense(
    lect: Lect, tmp_path: Path, corpus: Path, option: str, value: str, word: str
) -> None:
    failed = lect("pretrain", "run", corpus, tmp_path / "training", "--steps", "2", option, value)
    assert failed.failed_with(word, code=2)
    assert not (tmp_path / "training" / "checkpoint.safetensors").exists()


@needs_espeak
def test_speech_that_cannot_be_made(lect: Lect, tmp_path: Path, text: Path) -> None:
    synth = ("pretrain", "synth", tmp_path / "corpus")
    assert lect(*synth, text, "--voice", "zz").failed_with("no voice 'zz'", code=2)
    assert lect(*synth, tmp_path / "gone.txt", "--voice", "sw").failed_with("gone.txt is not there")
    (tmp_path / "latin.txt").write_bytes("água".encode("latin-1"))
    assert lect(*synth, tmp_path / "latin.txt", "--voice", "sw").failed_with("UTF-8", code=2)
    assert not (tmp_path / "corpus").exists()


def test_stages_that_come_too_early(lect: Lect, tmp_path: Path) -> None:
    assert lect("pretrain").failed_with("STAGE", code=2)
    assert lect("pretrain", "run", tmp_path, tmp_path / "t", "--steps", "2").failed_with("no corpus", code=2)
    finish = ("pretrain", "finish", tmp_path / "t", tmp_path / "b", "--name", "b", "--licence", "CC0-1.0")
    assert lect(*finish).failed_with("no pretraining", code=2)
    assert lect("pretrain", "--json", *finish[1:]).json["error"]
