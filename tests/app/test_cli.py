"""The one edge: names, options, exit codes, and every error as one sentence."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from lect.app.cli import COMMANDS, plain_options
from lect.app.commands.export import LAYOUTS, ONNX_LAYOUTS, WEIGHTS
from lect.app.output import duration, print_json, size, table
from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import os_sentence
from lect.exports import run_export
from lect.exports.runners import RUNNERS
from tests import ROOT
from tests.app.conftest import Lect, Outcome, speech


def test_the_overview_lists_every_command(lect: Lect) -> None:
    for arguments in ((), ("--help",), ("-h",), ("help",)):
        shown = lect(*arguments)
        assert shown.code == 0 and all(f"  {name} " in shown.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_json_and_quiet(lect: Lect, name: str) -> None:
    shown = lect(name, "--help")
    assert shown.code == 0 and "--json" in shown.out and "--quiet" in shown.out
    assert all(len(line) < 140 for line in shown.out.splitlines())


def test_a_command_that_does_not_exist(lect: Lect) -> None:
    assert lect("trian").failed_with("lect train", code=2)
    assert lect("zzz").failed_with("lect --help", code=2)


@pytest.mark.parametrize(
    "arguments",
    [
        ("init",),
        ("split", "--seed", "many"),
        ("train", "--ctc-weight", "2"),
        ("train", "--learning-rate", "-1"),
        ("train", "--max-steps", "0"),
        ("train", "--method", "magic"),
        ("transcribe", "a.wav", "--pack", "nothing.lect"),
        ("check", "--nonsense"),
        ("pack", "verify"),
        ("pack", "001", "002"),
        ("export", "--portable"),
        ("export", "--run", "001"),
        ("export", "--run", "001", "--bundle", "--build", "int8"),
        ("export", "--run", "001", "--portable", "--bundle"),
        ("export", "--run", "001", "--portable", "--layout", "ggml"),
        ("export", "--run", "001", "--layout", "whisper", "--weights", "float16"),
        ("export", "--layout", "whisper", "--out", "somewhere"),
        ("export", "--backbone", "whisper-base", "--layout", "ggml"),
        ("export", "--run", "001", "--backbone", "tiny", "--portable"),
        ("backbone", "verify", "no-such-backbone"),
    ],
)
def test_what_makes_no_sense_is_exit_code_2_and_one_sentence(lect: Lect, arguments: tuple[str, ...]) -> None:
    assert lect(*arguments).failed_with(code=2)


def test_the_programs_that_an_export_names() -> None:
    assert set(LAYOUTS) == {*ONNX_LAYOUTS, *RUNNERS} and set(ONNX_LAYOUTS) == run_export.ONNX_LAYOUTS.keys()
    assert set(WEIGHTS) == {weights for runner in RUNNERS.values() for weights in runner.weights}


def test_options_with_underscores_are_the_same() -> None:
    assert plain_options(["train", "--max_steps", "3", "--ctc_weight=0.5", "my_set", "--", "--a_b"]) == [
        "train", "--max-steps", "3", "--ctc-weight=0.5", "my_set", "--", "--a_b",
    ]  # fmt: skip


def test_errors_are_objects_with_json(lect: Lect, tmp_path: Path) -> None:
    failed = lect("check", "--project", tmp_path, "--json")
    assert failed.code == 1 and "lect init" in failed.json["error"] and failed.err.startswith("lect: ")
    assert lect("check", "--nonsense", "--json").json["error"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/somewhere"), "/somewhere may not be read or written"),
        (FileNotFoundError(errno.ENOENT, "No such file", "gone"), "gone is not there"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    ],
)
def test_what_the_system_refuses_is_a_sentence(error: OSError, words: str) -> None:
    sentence = os_sentence(error)
    assert words in sentence and sentence.endswith(".")


def in_a_process(before: str, *arguments: object) -> Outcome:
    """`lect` with these arguments in a process that first runs the code `before`."""
    code = f"import sys\n{before}\nfrom lect.app.cli import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_a_training_without_torch_says_what_to_install(project: Path) -> None:
    failed = in_a_process("sys.modules['torch'] = None", "train", "--project", project, "--backbone", "tiny")
    assert failed.failed_with("This needs torch", "lect[train]")


def test_our_own_mistakes_are_not_hidden(project: Path) -> None:
    failed = in_a_process("sys.modules['lect.engine.data.store'] = None", "check", "--project", project)
    assert failed.code == 1 and "Traceback" in failed.err and "lect.engine.data.store" in failed.err


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process cannot be given less memory")
def test_full_memory_is_a_sentence(lect: Lect, tmp_path: Path) -> None:
    write_wav(tmp_path / "set" / "a.wav", speech("ba da"))
    with (tmp_path / "set" / "a.txt").open("wb") as label:
        label.truncate(64 << 30)  # which takes no room on the disk
    lect("init", tmp_path / "p")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))"
    failed = in_a_process(limit, "import", tmp_path / "set", "--project", tmp_path / "p")
    assert failed.failed_with("Memory is full")


def test_a_reader_that_leaves_is_no_error() -> None:
    """As in `lect --help | head -0`."""
    command = f"{sys.executable} -m lect --help | true"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_under_the_results_is_a_sentence() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "lect", "--help"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("lect: The disk is full") and done.stderr.count(b"\n") == 1


def test_words_for_numbers() -> None:
    assert [duration(seconds) for seconds in (0.5, 12.4, 61, 7300)] == ["0.5 s", "12 s", "1 min 01 s", "2 h 01 min"]
    assert [size(count) for count in (12, 12_300, 4_560_000, 7e9)] == ["12 bytes", "12.3 kB", "4.6 MB", "7.0 GB"]


def test_columns_stay_aligned_in_any_script() -> None:
    # e with a combining tilde takes one column, a Chinese letter two.
    lines = table(("a", "b"), [("e\u0303n", "1"), ("語", "2"), ("xy", "3")]).splitlines()
    assert lines == ["a   b", "e\u0303n  1", "語  2", "xy  3"]


def test_numbers_that_json_has_not_become_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"best": float("inf"), "rates": [float("nan"), 0.5], "path": Path("a"), "text": "ŋ"})
    assert capsys.readouterr().out == '{"best": null, "rates": [null, 0.5], "path": "a", "text": "ŋ"}\n'
