"""Tables of experiments: what they train, that they go on where they were, and that their figures are the runs' own."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lect.app.lab_tables import TABLES
from lect.engine.audio.writing import write_wav
from lect.engine.contract.files import read_json
from lect.engine.contract.run_request import RunRequest
from lect.engine.data.store import Project
from lect.engine.lab.experiments import sized_alike, trainable_parameters
from lect.engine.model.backbone import open_backbone
from lect.engine.model.network import EncoderDecoder
from lect.engine.runs.preparation import gather
from tests.app.conftest import FAST, WORDS, Lect, speech
from tests.app.test_train import events, press_ctrl_c, wait_for
from tests.conftest import TINY

LAYERS = TINY.encoder_layers + TINY.decoder_layers
OPTIONS = ("--options", " ".join(("--backbone tiny", *FAST)))
SYSTEMS = ("--system", "prompt --num-virtual-tokens 3", "--system", "adapter --rank 2")
LONG = ("--options", "--backbone tiny --copies 2 --per-device-train-batch-size 2 --max-steps 60")


def runs(out: Path, name: str = "set") -> list[Path]:
    """The folders of a set's runs."""
    return [run.folder for run in Project.open(out / "data" / name).runs()]


def test_a_table_of_two_trainings(lect: Lect, dataset: Path, tmp_path: Path) -> None:
    lab = ("lab", "mine", "--data", f"set={dataset}", "--out", tmp_path, *SYSTEMS, *OPTIONS)
    assert [cell["done"] for cell in lect(*lab, "--dry-run", "--json").json["cells"]] == [False, False]
    done = lect(*lab, "--json")
    assert done.code == 0 and not done.json["failed"]
    prompt, adapter = done.json["rows"]
    assert prompt["trained"] - prompt["vocabulary"] == 2 * 3 * TINY.dim * LAYERS
    assert adapter["trained"] - adapter["vocabulary"] == 2 * 2 * TINY.dim * LAYERS
    assert prompt["vocabulary"] == adapter["vocabulary"] > 0
    for row, folder in zip((prompt, adapter), runs(tmp_path), strict=True):
        own = read_json(folder / "scores-test.json")
        assert row["test"]["cer"] == own["cer"] and row["test"]["cer_interval"] == own["cer_interval"] is not None
        assert row["base"]["wer"] == read_json(folder / "base-scores-test.json")["wer"]
    assert prompt["against"] is None and adapter["against"]["cer"] == [prompt["test"]["cer"], adapter["test"]["cer"]]
    assert read_json(tmp_path / "table.json") == done.json["rows"]
    with (tmp_path / "table.csv").open(newline="") as file:
        assert [float(row["test_cer"]) for row in csv.DictReader(file)] == [
            prompt["test"]["cer"],
            adapter["test"]["cer"],
        ]
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert f"{prompt['trained']:,}" in text and "2 of 2 trainings done" in text
    drawn = ElementTree.parse(tmp_path / "plot.svg").iter("{http://www.w3.org/2000/svg}title")
    assert sorted(title.text.partition(",")[0] for title in drawn if title.text) == sorted(SYSTEMS[1::2])
    # Nothing is trained twice, and a table with more systems trains only those.
    more = lect(*lab, "--system", "vocabulary", "--json")
    assert more.json["rows"][:2] == done.json["rows"] and len(more.json["rows"]) == len(runs(tmp_path)) == 3


def test_each_seed_may_have_its_own_split(lect: Lect, dataset: Path, tmp_path: Path) -> None:
    lab = ("lab", "mine", "--data", f"set={dataset}", "--out", tmp_path, *SYSTEMS, *OPTIONS, "--resplit")
    done = lect(*lab, "--seeds", "0", "1", "--json")
    assert done.code == 0 and not done.json["failed"]
    files, row = runs(tmp_path), done.json["rows"][0]
    tested = [{each["id"] for each in read_json(folder / "scores-test.json")["rows"]} for folder in files]
    assert tested[0] == tested[2] != tested[1] == tested[3]  # systems in turn, each with both seeds
    assert row["test"]["conditions"]["clips"] == len(tested[0]) + len(tested[1])
    assert done.json["rows"][1]["against"]["utterances"] == row["test"]["conditions"]["clips"]
    assert "of its own" in (tmp_path / "table.md").read_text(encoding="utf-8")
    assert lect(*lab, "--seeds", "0", "1", "--json").json["rows"] == done.json["rows"] and runs(tmp_path) == files
    assert len(lect(*lab, "--seeds", "1", "--json").json["rows"]) == 2 and runs(tmp_path) == files


def test_a_killed_table_goes_on(lect: Lect, dataset: Path, tmp_path: Path) -> None:
    lab = ("lab", "mine", "--data", f"set={dataset}", "--out", tmp_path, *SYSTEMS, *LONG)
    command = [sys.executable, "-m", "lect", *map(str, lab), "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        first = tmp_path / "data" / "set" / "runs" / "001"
        wait_for(lambda: (first / "checkpoint.safetensors").exists())
        process.kill()
    os.kill(Project.open(tmp_path / "data" / "set").run("001").facts["pid"], signal.SIGKILL)
    assert '"event": "done"' not in events(first)
    done = lect(*lab, "--json")
    assert done.code == 0 and len(done.json["rows"]) == 2
    assert [folder.name for folder in runs(tmp_path)] == ["001", "002"]
    assert events(first).count('"event": "step", "step": 1,') == 1  # it did not start anew


def test_ctrl_c_ends_a_table_and_the_training_goes_on_later(lect: Lect, dataset: Path, tmp_path: Path) -> None:
    lab = ("lab", "mine", "--data", f"set={dataset}", "--out", tmp_path, *SYSTEMS, *LONG, "--json")
    finger = press_ctrl_c(tmp_path / "data" / "set" / "runs" / "001", times=1)
    ended = lect(*lab)
    finger.join()
    assert ended.code == 130 and ended.json["rows"] == [] and len(runs(tmp_path)) == 1
    done = lect(*lab)
    assert done.code == 0 and len(done.json["rows"]) == len(runs(tmp_path)) == 2
    assert '"step": 60,' in events(runs(tmp_path)[0])


def test_minutes_seeds_and_what_fails(lect: Lect, dataset: Path, tmp_path: Path) -> None:
    lab = ("lab", "mine", "--data", f"set={dataset}", "--out", tmp_path, "--system", "vocabulary", *OPTIONS)
    done = lect(*lab, "--minutes", "0.08", "60", "--seeds", "0", "1", "--json")
    assert done.code == 1 and len(done.json["failed"]) == 2
    assert all("ask for fewer --minutes" in sentence for sentence in done.json["failed"].values())
    (row,) = done.json["rows"]
    assert row["seeds"] == [0, 1] and row["test"]["cer"] == pytest.approx(sum(row["test_cers"]) / 2)
    project = Project.open(tmp_path / "data" / "set")
    less, more, every = (
        gather(project, RunRequest("tiny", minutes=length)).clips["train"] for length in (0.08, 0.1, 0)
    )
    assert row["clips"] == len(less) and sum(clip.seconds for clip in less) <= 60 * 0.08
    assert {clip.id for clip in less} < {clip.id for clip in more} < {clip.id for clip in every}


def corpus(folder: Path, name: str) -> Path:
    """A few clips as LibriSpeech, a language of Multilingual LibriSpeech, or Audio SNIPS as SUPERB prepares it lie."""
    make = {"librispeech-100h": librispeech, "mls-limited": multilingual, "snips": snips}[name]
    make(folder / "corpus")
    return folder / "corpus"


def librispeech(folder: Path) -> None:
    for speaker, subset in enumerate(("train-clean-100", "dev-clean", "test-clean", "test-other", "train-other-500")):
        chapter = folder / subset / str(speaker) / "7"
        texts = {f"{speaker}-7-{n:04d}": text for n, text in enumerate(WORDS[speaker * 2 : speaker * 2 + 5])}
        for n, (name, text) in enumerate(texts.items()):
            write_wav(chapter / f"{name}.wav", speech(text, 10 * speaker + n))
        lines = [f"{name} {text.upper()}\n" for name, text in texts.items()]
        (chapter / f"{speaker}-7.trans.txt").write_text("".join(lines))


def multilingual(folder: Path) -> None:
    for split, texts in (("train", WORDS[:8]), ("dev", WORDS[8:10]), ("test", WORDS[10:])):
        root, lines = folder / "mls_polish" / split, []
        for n, text in enumerate(texts):
            write_wav(root / "audio" / "5" / "2" / f"5_2_{split}{n}.wav", speech(text, n))
            lines.append(f"5_2_{split}{n}\t{text}\n")
        (root / "transcripts.txt").write_text("".join(lines))
    for hours, names in (("9hr", (0, 1, 2)), ("1hr/0", (3, 4))):
        handles = folder / "mls_polish" / "train" / "limited_supervision" / hours / "handles.txt"
        handles.parent.mkdir(parents=True)
        handles.write_text("".join(f"5_2_train{n}\n" for n in names))


def snips(folder: Path) -> None:
    lines = []
    for split, voice, count in (("train", "Ivy", 5), ("valid", "Amy", 2), ("test", "Emma", 2)):
        for n in range(count):
            words = WORDS[n + len(split)]
            write_wav(folder / split / f"{voice}-snips-{split}-{n}.wav", speech(words, len(lines)))
            slots = " ".join("B-artist" if at == 0 else "O" for at in range(words.count(" ") + 1))
            lines.append(f"{voice}-snips-{split}-{n} BOS {words} EOS\tO {slots} PlayMusic\n")
    (folder / "all.iob.snips.txt").write_text("".join(lines))


@pytest.mark.parametrize(("name", "clips"), [("librispeech-100h", 5), ("mls-limited", 5), ("snips", 5)])
def test_the_papers_corpora_as_they_are_published(lect: Lect, tmp_path: Path, name: str, clips: int) -> None:
    source = corpus(tmp_path, name)
    lab = ("lab", name, "--data", source, "--out", tmp_path / "lab", "--system", "vocabulary", *OPTIONS)
    done = lect(*lab, "--json")
    assert done.code == 0 and done.json["failed"] == {}
    (row,) = done.json["rows"]
    assert row["clips"] == clips and row["data"] == ("mls_polish" if name == "mls-limited" else "corpus")
    (run,) = runs(tmp_path / "lab", row["data"])
    used = {split: len(hashes) for split, hashes in read_json(run / "clips.json").items()}
    assert used == {"train": 5, "dev": 5 if name == "librispeech-100h" else 2, "test": used["dev"]}
    assert Project.open(tmp_path / "lab" / "data" / row["data"]).language == ("pl" if name == "mls-limited" else "und")


def test_systems_of_equal_size(lect: Lect, dataset: Path, tmp_path: Path) -> None:
    whole = "lora --full-rank --placement e:all --rank 3"  # whole matrices learn, whatever is kept of them
    systems = ("prompt --num-virtual-tokens 4", "adapter", "prompt --placement e:last1", "vocabulary", whole)
    given = [word for system in systems for word in ("--system", system)]
    lab = ("lab", "mine", "--data", f"set={dataset}", "--out", tmp_path, *given, "--equal", *OPTIONS)
    assert [cell["size"] for cell in lect(*lab, "--dry-run", "--json").json["cells"]] == [4, 4, 16, None, 3]
    assert runs(tmp_path) == []


def test_the_tables_that_come_along_fit_the_starter() -> None:
    from lect.app.commands.lab import _request

    backbone = open_backbone("starter")
    model = EncoderDecoder(backbone.config)
    for name, table in TABLES.items():
        requests = [_request(table, system) for system in table.systems]
        if table.equal:
            sizes = [
                trainable_parameters(one.settings.spec, model, backbone)
                for one in sized_alike(requests)
                if one.settings.spec.method in ("prompt", "adapter")
            ]
            assert max(sizes) < 1.1 * min(sizes), name


def test_what_makes_no_sense_is_said(lect: Lect, dataset: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path)
    assert lect("lab", "mine", "--data", dataset, *out).failed_with("mls-full", "--system", code=2)
    lab = ("lab", "length", *out, *OPTIONS, "--data")
    assert lect(*lab, tmp_path / "none").failed_with("no folder", code=2)
    assert lect(*lab, dataset, dataset).failed_with("name of its own", code=2)
    assert lect(*lab, dataset, "--system", "prompt --seed 3").failed_with("--seeds", code=2)
    assert lect(*lab, dataset, "--system", "prompt --placement e:last9").failed_with("e:last9", code=2)
    assert lect(*lab, f"a={dataset}", "--dry-run").code == 0
    other = tmp_path / "other"
    other.mkdir()
    assert lect(*lab, f"a={other}").failed_with("holds another set", code=2)
