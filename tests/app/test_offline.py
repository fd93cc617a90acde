"""What leaves a project, and how it transcribes: packs, exports, and a machine without PyTorch."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import torch

from lect.app.commands.demo import WITHOUT_TORCH
from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.contract.files import sha256_file
from lect.engine.data.store import Project
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import save_backbone
from tests import ROOT
from tests.app.conftest import FAST, PHONES, TINY, Lect


@pytest.fixture
def clips(trained: Path) -> list[Path]:
    """The recordings of the test split."""
    return [clip.path for clip in Project.open(trained).clips("test")]


def test_a_pack_is_written_verified_and_entered(lect: Lect, trained: Path, graphs: Path) -> None:
    written = lect("pack", "latest", "--project", trained, "--name", "Tones", "--licence", "CC0-1.0", "--json")
    assert written.code == 0 and written.json["fits"] and written.json["name"] == "Tones"
    path = Path(written.json["pack"])
    assert path.parent == trained / "packs" and path in [known.path for known in Project.open(trained).packs()]
    assert written.json["scores"]["test"]["baseline"]["cer"] > 0


def test_a_pack_is_described_and_verified(lect: Lect, pack: Path, tmp_path: Path) -> None:
    info = lect("pack", "info", pack)
    assert info.code == 0 and "tiny" in info.out and "prompt" in info.out and "before CER" in info.out
    assert "fits tiny" in lect("pack", "verify", pack, "--backbone", "tiny").out
    cut = tmp_path / "cut.lect"
    cut.write_bytes(pack.read_bytes()[:-200])
    found = lect("pack", "verify", pack, cut, tmp_path / "gone.lect", "--json")
    assert found.code == 1 and [one["whole"] for one in found.json["packs"]] == [True, False, False]


def test_the_same_run_gives_the_same_bytes(lect: Lect, trained: Path, pack: Path, tmp_path: Path) -> None:
    again = tmp_path / pack.name
    lect("pack", "001", "-o", again, "--project", trained)
    assert again.read_bytes() == pack.read_bytes()


def test_a_backbone_gets_its_graphs(lect: Lect, graphs: Path) -> None:
    assert lect("backbone", "info", graphs, "--json").json["graphs"] == ["float32", "int8"]
    assert lect("backbone", "verify", graphs).code == 0


@pytest.mark.parametrize("form", [pytest.param("portable", marks=pytest.mark.slow), "bundle"])
def test_a_run_leaves_with_all_it_needs(
    lect: Lect, trained: Path, pack: Path, clips: list[Path], tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = lect("transcribe", *clips, "--pack", pack, "--vad", "off").out
    assert len(expected) > sum(len(f"{clip}\t\n") for clip in clips)
    out = tmp_path / "out"
    done = lect("export", "--run", "001", f"--{form}", "--out", out, "--project", trained)
    assert done.code == 0 and "same text as PyTorch" in done.out and f"--pack {out}" in done.out
    monkeypatch.setenv("LECT_HOME", str(tmp_path / "an offline machine"))
    (moved := tmp_path / "moved").mkdir()
    out.rename(moved / "out")
    command = [sys.executable, "-c", WITHOUT_TORCH, "transcribe", *map(str, clips), "--pack", str(moved / "out")]
    command += ["--vad", "off"]
    heard = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", env=os.environ)
    assert heard.returncode == 0, heard.stderr
    assert heard.stdout == expected


@pytest.mark.parametrize("method", [("finetune",), ("lora", "--rank", "2", "--on", "value,output")], ids=lambda m: m[0])
def test_what_changes_the_networks_weights_is_portable_only(
    lect: Lect, project: Path, graphs: Path, method: tuple[str, ...]
) -> None:
    train = ("train", "--project", project, "--backbone", "tiny", *FAST, "--method", *method)
    assert lect(*train, "--quiet").code == 0
    for leaving in (("pack", "001"), ("export", "--run", "001", "--bundle")):
        assert lect(*leaving, "--project", project, "--quiet").failed_with("--portable", code=2)
    done = lect("export", "--run", "latest", "--portable", "--build", "int8", "--project", project, "--json")
    assert done.code == 0 and done.json["form"] == "portable"
    clips = [clip.path for clip in Project.open(project).clips("test")]
    heard = lect("transcribe", *clips, "--pack", done.json["folder"], "--json")
    assert heard.code == 0 and heard.json["compute_type"] == "int8"


def test_files_become_texts(lect: Lect, pack: Path, clips: list[Path]) -> None:
    one = lect("transcribe", clips[0], "--pack", pack)
    assert one.code == 0 and one.out.count("\n") == 1
    more = lect(
        "transcribe", *clips, "--pack", pack, "--json", "--compute_type", "int8", "--threads", "1", "--beam-size", "1"
    )
    assert more.code == 0 and more.json["compute_type"] == "int8" and more.json["device"] == "cpu"
    assert [Path(each["file"]) for each in more.json["files"]] == clips
    assert all(each["real_time_factor"] > 0 and each["seconds"] > 0 for each in more.json["files"])


def test_bad_files_are_named_and_the_others_go_on(lect: Lect, pack: Path, clips: list[Path], tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "letter.wav").write_text("Dear reader,\n" * 100)
    soundfile.write(tmp_path / "long.flac", np.zeros(7_200 * 4_000, np.int16), 4_000)
    soundfile.write(tmp_path / "wide.wav", np.tile(np.sin(np.arange(2 * SAMPLE_RATE))[:, None] / 9, 8), SAMPLE_RATE)
    bad = [tmp_path / name for name in ("empty.wav", "letter.wav", "long.flac", "gone.wav")]
    done = lect("transcribe", *bad, tmp_path / "wide.wav", clips[0], "--pack", pack)
    assert done.code == 1 and len(done.out.splitlines()) == 3
    assert "Traceback" not in done.err
    told = [line for line in done.err.splitlines() if line.startswith("lect: ")]
    assert [path.name in line for path, line in zip([bad[0], bad[1], bad[3]], told, strict=True)] == [True] * 3


def test_texts_are_written_beside_each_other(lect: Lect, pack: Path, clips: list[Path], tmp_path: Path) -> None:
    written = lect("transcribe", *clips, "--pack", pack, "--output_dir", tmp_path / "out", "--vad", "off")
    assert written.code == 0
    texts = [line.partition("\t")[2] for line in written.out.splitlines()]
    assert [(tmp_path / "out" / f"{clip.stem}.txt").read_text("utf-8") for clip in clips] == [f"{t}\n" for t in texts]
    as_json = ("--output-format", "json", "--vad", "off")
    lect("transcribe", clips[0], "--pack", pack, "--output-dir", tmp_path / "out", *as_json)
    assert json.loads((tmp_path / "out" / f"{clips[0].stem}.json").read_text("utf-8"))["text"] == texts[0]
    twice = lect("transcribe", clips[0], clips[0], "--pack", pack, "--output-dir", tmp_path / "out")
    assert twice.failed_with("one file", code=2)


def test_a_pack_for_another_backbone_is_refused(
    lect: Lect, pack: Path, graphs: Path, clips: list[Path], tmp_path: Path
) -> None:
    torch.manual_seed(9)
    shutil.copytree(graphs, tmp_path / "other")
    save_backbone(tmp_path / "other", "other", EncoderDecoder(TINY), PHONES, languages=(), licence="CC0-1.0")
    for path in (tmp_path / "other").glob("*.onnx"):  # of the same shape, so the same graphs over its own weights
        graph = onnx.load(path, load_external_data=False)
        onnx.helper.set_model_props(graph, {"lect.backbone_sha256": sha256_file(tmp_path / "other/model.safetensors")})
        onnx.save(graph, path)
    refused = lect("transcribe", clips[0], "--pack", pack, "--backbone", tmp_path / "other")
    assert refused.failed_with("made for the backbone 'tiny'")
    assert lect("pack", "verify", pack, "--backbone", tmp_path / "other").failed_with("made for the backbone 'tiny'")


def test_it_transcribes_where_torch_is_not_installed(lect: Lect, pack: Path, clips: list[Path]) -> None:
    expected = lect("transcribe", *clips, "--pack", pack, "--vad", "off").out
    assert len(expected) > sum(len(f"{clip}\t\n") for clip in clips)
    command = [sys.executable, "-c", WITHOUT_TORCH, "transcribe", *map(str, clips), "--pack", str(pack)]
    command += ["--vad", "off"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", env=os.environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout == expected


def test_training_where_torch_is_not_installed_says_what_to_install(trained: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, "train", "--project", str(trained)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", env=os.environ)
    assert done.returncode == 1 and done.stderr == "lect: This needs torch: run pip install 'lect[train]'.\n"


def test_the_demo_goes_all_the_way(lect: Lect, graphs: Path, dataset: Path, tmp_path: Path) -> None:
    demo = ("demo", "--backbone", "tiny", "--sample", dataset, "--steps", "20", "--work", tmp_path / "work")
    done = lect(*demo, "--json")
    assert done.code == 0
    figures = done.json
    for name in ("cer_before", "cer_after", "wer_before", "wer_after", "seconds", "pack_bytes", "device"):
        assert figures[name] is not None
    assert figures["onnx_matches_torch"] is True and figures["onnx_cer"] == pytest.approx(figures["cer_after"])
    assert lect("demo", "--work", tmp_path / "work").failed_with("already holds a project")
