"""The backbone that ships: whole, small, licensed, and the very bytes that its command makes of the published weights.

LECT_WHISPER_WEIGHTS: see `test_foreign_real`.
"""

from pathlib import Path

import pytest

from lect.app.cli import main
from lect.engine.contract.files import ASSETS, sha256_file
from lect.engine.contract.run_request import WHISPER
from lect.engine.model.backbone import CONFIG, WEIGHTS, open_backbone, verify_backbone
from lect.exports.backbone_graphs import has_graphs
from tests.engine.model.test_foreign_real import SHA256, variable

MOST_BYTES = {"whisper-base": 80_000_000, "": 125_000_000}
LARGEST_FILE = 95_000_000


def test_it_is_whole_and_licensed() -> None:
    backbone = open_backbone(WHISPER)
    assert backbone.folder == ASSETS / WHISPER and verify_backbone(backbone.folder) == []
    assert has_graphs(backbone) and len(backbone.languages) == 99 and len(backbone.config.alignment_heads) == 8
    assert backbone.licence == "MIT" and "Copyright (c) 2022 OpenAI" in (backbone.folder / "LICENSE").read_text()


def test_what_ships_is_small() -> None:
    for name, most in MOST_BYTES.items():
        sizes = [path.stat().st_size for path in (ASSETS / name).rglob("*") if path.is_file()]
        assert sum(sizes) < most and max(sizes) < LARGEST_FILE


@pytest.mark.slow
def test_it_is_made_of_the_published_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = variable("LECT_WHISPER_WEIGHTS") / "base.bin"
    assert sha256_file(published) == SHA256["base.bin"]
    monkeypatch.setenv("LECT_HOME", str(tmp_path))
    assert main(["backbone", "add", str(published), "--name", WHISPER, "--bits", "8", "--licence", "MIT"]) == 0
    made = tmp_path / "backbones" / WHISPER
    for name in (WEIGHTS, CONFIG):
        assert (made / name).read_bytes() == (ASSETS / WHISPER / name).read_bytes()
