"""What leaves the repository as a package: one name in site-packages, which works beside folders of the same names.

The wheel is installed without its libraries; those come from the environment of the tests, after the wheel's own.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests import ROOT

WHEEL_BYTES = 100_000_000  # 98.8 million were measured: the limit of the package index, and most of it weights
TOOLS = {"uv": ("tool", "install"), "pipx": ("install",)}
TAKEN_FOR_OURS = ("app", "engine", "exports", "assets", "tests")  # a person's own folders, with names as ours
INSIDE = {
    "lect/py.typed",
    "lect/app/cli.py",
    "lect/engine/runs/worker.py",
    "lect/exports/runtime.py",
    "lect/assets/starter/model.safetensors",
    "lect/assets/starter/encoder_model.onnx",
    "lect/assets/starter/decoder_model_merged.onnx",
    "lect/assets/starter/encoder_model_int8.onnx",
    "lect/assets/starter/decoder_model_merged_int8.onnx",
    "lect/assets/whisper-base/model.safetensors",
    "lect/assets/whisper-base/encoder_model.onnx",
    "lect/assets/whisper-base/decoder_own_vocabulary_int8.onnx",
    "lect/assets/whisper-base/LICENSE",
    "lect/assets/silero/silero_vad_16k_sequence.onnx",
    "lect/assets/silero/LICENSE",
    "lect/assets/page/page.css",
    "lect/assets/page/page.js",
    "lect/assets/page/icon.svg",
    "lect/assets/page/editor/editor.js",
    "lect/assets/page/wavesurfer/wavesurfer.esm.js",
    "lect/assets/page/wavesurfer/LICENSE",
    "lect/assets/page/languages.tsv",
    "lect/assets/page/texts/en.json",
    "lect/assets/page/fonts/NotoSans-Regular.woff2",
    "lect/assets/web/index.html",
    "lect/assets/web/worker.js",
    "lect/assets/sample/metadata.csv",
    "lect/assets/sample/audio/Andrea-0008.ogg",
}
OUTSIDE = {"tests", "docs", "screenshots", "__pycache__", "Makefile", "pyproject.toml"}
AT_THE_ROOT = {
    ".ci", ".gitignore", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md",
    "SECURITY.md", "app", "assets", "docs", "engine", "exports", "lect", "pyproject.toml", "tests",
}  # fmt: skip


def run(command: list[str | Path], folder: Path, **environment: str) -> str:
    """The output of a command, which must succeed; it finds no `lect` but the one of its own interpreter."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=folder, env=inherited | environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build_wheel(source: Path, folder: Path) -> Path:
    """The one wheel that pip makes from a source tree."""
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source]
    run(pip, folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment in which only this wheel is installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=os.name != "nt")
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--no-deps", "--no-index", wheel]
    run(pip, folder)
    # Python reads no .pth file of a folder that a .pth names: an editable `lect` stays out of sight.
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    site_packages = run([programs / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder)
    Path(site_packages.strip(), "libraries.pth").write_text("\n".join(libraries), encoding="utf-8")
    return programs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a person works: among packages of their own that must not be imported."""
    for name in TAKEN_FOR_OURS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not the one of Lect')\n")
    return tmp_path


def lect(programs: Path, folder: Path, *arguments: str | Path) -> str:
    """The output of the installed `lect`, where a person's own packages would be found before it."""
    return run([programs / "lect", *arguments], folder, LECT_HOME=str(folder / "home"), PYTHONPATH=str(folder))


def contents(wheel: Path) -> dict[str, int]:
    """Checksums by name, of what a wheel or another zip holds."""
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


def test_a_wheel_takes_one_name_and_holds_what_it_must(wheel: Path) -> None:
    names = set(contents(wheel))
    _, version, *_ = wheel.name.split("-")
    assert {name.partition("/")[0] for name in names} == {"lect", f"lect-{version}.dist-info"}
    assert INSIDE <= names
    assert not {name for name in names if OUTSIDE & set(name.split("/")) or name.endswith((".whl", ".pyc"))}
    assert wheel.stat().st_size < WHEEL_BYTES


def test_a_source_archive_gives_the_same_wheel_without_links(wheel: Path, tmp_path: Path) -> None:
    run([sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", tmp_path], ROOT)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    source = tmp_path / archive.name.removesuffix(".tar.gz")
    for room in ("app", "engine", "exports", "assets"):
        (source / "lect" / room).write_text(f"../{room}")  # what Git makes of a link on Windows
    assert contents(build_wheel(source, tmp_path)) == contents(wheel)


def test_an_installed_lect_is_the_wheels(installed: Path, folder: Path) -> None:
    code = "import lect.exports.runtime as r; from lect import Runtime; assert Runtime is r.Runtime; print(r.__file__)"
    module = Path(run([installed / "python", "-c", code], folder).strip())
    assert module.is_relative_to(installed.parent) and module.parts[-3:] == ("lect", "exports", "runtime.py")


def test_an_installed_lect_transcribes_without_torch(installed: Path, folder: Path) -> None:
    (folder / "torch.py").write_text("raise RuntimeError('PyTorch was imported')\n")
    shutil.copy(ROOT / "assets" / "sample" / "audio" / "Andrea-0008.ogg", folder / "talk.ogg")
    assert len(lect(installed, folder, "transcribe", "talk.ogg", "--phones").split()) > 1


def test_an_installed_lect_trains(installed: Path, folder: Path) -> None:
    lect(installed, folder, "init", ".", "--language", "sw")
    lect(installed, folder, "import", ROOT / "assets" / "sample")
    lect(installed, folder, "split")
    few = ("--max-steps", "2", "--minutes", "0.5", "--copies", "1")
    trained = json.loads(lect(installed, folder, "train", *few, "--json").splitlines()[-1])
    assert trained["run"] == "001" and trained["test"]["clips"] == 15


@pytest.mark.slow  # fetches what Lect needs from a package index
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("source", ("clone", "wheel"))
def test_a_tool_makes_a_command_of_it(tool: str, source: str, wheel: Path, folder: Path) -> None:
    if not (program := shutil.which(tool)):
        pytest.skip(f"needs {tool} (run `pip install {tool}`)")
    programs = folder / "programs"
    places = {"UV_TOOL_DIR": "tools", "UV_TOOL_BIN_DIR": "programs", "PIPX_HOME": "tools", "PIPX_BIN_DIR": "programs"}
    environment = {name: str(folder / place) for name, place in places.items()}
    run([program, *TOOLS[tool], ROOT if source == "clone" else wheel], folder, **environment)
    talk = ROOT / "assets" / "sample" / "audio" / "m7-0075.ogg"
    assert lect(programs, folder, "transcribe", talk, "--language", "sw", "--compute-type", "int8").strip()


@pytest.mark.slow  # fetches what Lect needs from a package index, and fills 700 MB
def test_a_portable_folder_transcribes_in_an_empty_home(folder: Path) -> None:
    if sys.platform != "linux" or shutil.which("make") is None:
        pytest.skip("needs Linux, and make")
    made, moved, home = folder / "made", folder / "moved", folder / "nobody"
    run(["make", "portable", f"PYTHON={sys.executable}", f"PORTABLE={made}"], ROOT)
    made.rename(moved)
    home.mkdir()
    talk = ROOT / "assets" / "sample" / "audio" / "m7-0075.ogg"
    nothing = ["env", "-i", "PATH=/usr/bin:/bin", f"HOME={home}", f"PYTHONPATH={folder}"]
    asked = ["transcribe", talk, "--language", "sw", "--compute-type", "int8"]
    assert run([*nothing, moved / "lect", *asked], folder).strip()


def test_nothing_stray_lies_at_the_root() -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("needs Git, and a checkout")
    git = ["git", "-c", f"safe.directory={ROOT}", "ls-files"]  # the checkout may be another user's
    kept = run([*git, "--cached", "--others", "--exclude-standard"], ROOT).splitlines()
    assert {path.partition("/")[0] for path in kept} == AT_THE_ROOT, "move it, remove it, ignore it, or list it here"
