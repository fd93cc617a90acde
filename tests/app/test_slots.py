"""Slot filling from labelled recordings to a pack: marks in the labels are marks in what is written."""

import json
from pathlib import Path

from lect.engine.contract.files import read_json
from lect.engine.text.slots import CLOSING, opening
from lect.exports.pack import read_pack
from tests.app.conftest import TAUGHT, Lect, write_set

CUPS, DRINKS = ("ba", "go"), ("mi", "su", "la")
ORDERS = [f"da [cup: {cup}] [drink: {drink}]" for cup in CUPS for drink in DRINKS] * 2


def test_slots_are_learnt_scored_packed_and_told(lect: Lect, graphs: Path, tmp_path: Path) -> None:
    project, recordings = ("--project", tmp_path / "project"), write_set(tmp_path / "set", ORDERS)
    assert lect("init", project[1], "--language", "x-test").code == 0
    assert lect("import", recordings, *project, "--quiet").code == 0
    assert lect("split", *project, "--quiet").code == 0
    trained = lect("train", *project, "--backbone", "tiny", *TAUGHT, "--ctc-weight", "0", "--json")
    assert trained.code == 0 and 0 <= trained.json["dev"]["slots"]["type_f1"] <= 1
    scored = lect("eval", "latest", "--split", "dev", *project)
    assert scored.code == 0 and "slot edit F1" in scored.out
    for split in ("dev", "test"):  # scored by `lect eval`, and at the training's end
        assert read_json(tmp_path / "project" / "runs" / "001" / f"scores-{split}.json")["decoding"]["ctc_weight"] == 0
    assert lect("pack", "latest", "-o", tmp_path / "orders.lect", *project, "--quiet").code == 0
    marks = (opening("cup"), opening("drink"), CLOSING)
    assert read_pack(tmp_path / "orders.lect").vocabulary.symbols[-3:] == marks
    out = ("--output_dir", tmp_path, "--output_format", "json", "--vad", "off", "--quiet")
    assert lect("transcribe", recordings / "00.wav", "--pack", tmp_path / "orders.lect", *out).code == 0
    told = json.loads((tmp_path / "00.json").read_text(encoding="utf-8"))
    assert "[" not in " ".join(word["word"] for segment in told["segments"] for word in segment["words"])
