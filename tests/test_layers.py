"""Imports run one way, heavy libraries stay behind their walls, and what must be quick loads nothing heavy."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from lect.app.cli import COMMANDS
from tests import ROOT

HEAVY = (
    "torch",
    "torchaudio",
    "gradio",
    "onnxruntime",
    "onnx",
    "numpy",
    "sqlite_utils",
    "jiwer",
    "tokenizers",
    "soundfile",
)
# Of the base install, what an offline machine has; the last four belong to soundfile.
RUNTIME_LIBRARIES = {
    "numpy", "onnxruntime", "regex", "safetensors", "soundfile", "_soundfile", "_soundfile_data", "soxr", "tqdm",
    "cffi", "_cffi_backend", "pycparser", "typing_extensions",
}  # fmt: skip
# What onnxruntime brings along.
WITH_ONNXRUNTIME = {"google", "flatbuffers", "packaging"}


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `code`."""
    report = "import json, sys; print('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.strip().splitlines()[-1]))


def third_party(modules: set[str]) -> set[str]:
    """The packages among modules that are neither Python's nor ours."""
    roots = {name.partition(".")[0] for name in modules}
    ours = {"lect", "sitecustomize", "usercustomize", "_distutils_hack"}
    return {root for root in roots if root not in sys.stdlib_module_names and root not in ours and root[:2] != "__"}


def test_imports_run_one_way(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    code = lint_imports(config_filename="pyproject.toml", no_cache=True)
    assert code == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("sqlite_utils", {"engine/data/store.py", "engine/data/migrations.py"}),
        ("onnxruntime", {"exports/onnx_sessions.py", "exports/quantisation.py"}),
        ("gradio", {"app"}),
        ("huggingface_hub", {"engine/model/foreign/hub.py"}),
        ("pickle", set()),
    ],
)
def test_a_library_is_imported_only_where_it_belongs(library: str, allowed: set[str]) -> None:
    users = {path.relative_to(ROOT).as_posix() for path in sources() if library in imports(path)}
    assert {path for path in users if path not in allowed and path.partition("/")[0] not in allowed} == set()


def sources() -> list[Path]:
    """Every module of ours."""
    return [path for room in ("app", "engine", "exports") for path in sorted((ROOT / room).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    """The packages that a file imports, anywhere in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def test_a_top_level_room_names_itself_by_dots() -> None:
    """`..contract.errors` inside `engine`, `lect.engine.contract.errors` elsewhere: one way, which shows the room."""
    wrong = []
    for path in sources():
        room = path.relative_to(ROOT).parts[0]
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
        wrong += [f"{path}: {module}" for module in modules if f"{module}.".startswith(f"lect.{room}.")]
    assert wrong == []


@pytest.mark.parametrize("arguments", [["--help"], [], ["--versionx"], ["trian"]])
def test_the_overview_loads_nothing_heavy(arguments: list[str]) -> None:
    modules = loaded_by(f"from lect.app.cli import main; main({arguments!r})")
    assert modules.isdisjoint(HEAVY)
    assert not any(name.startswith("lect.app.commands") for name in modules)


def test_no_commands_help_loads_anything_heavy() -> None:
    code = f"from lect.app.cli import main\nfor name in {list(COMMANDS)!r}: assert main([name, '--help']) == 0"
    assert loaded_by(code).isdisjoint(HEAVY)


def test_the_contract_loads_nothing_heavy() -> None:
    modules = [f"lect.engine.contract.{path.stem}" for path in (ROOT / "engine" / "contract").glob("*.py")]
    assert "lect.engine.contract.run_files" in modules
    assert loaded_by(f"import {', '.join(name.removesuffix('.__init__') for name in modules)}").isdisjoint(HEAVY)


def test_the_runtime_path_loads_nothing_that_the_base_install_lacks() -> None:
    found = third_party(loaded_by("import lect.app.commands.transcribe, lect.exports.runtime, lect.exports.pack"))
    assert found - RUNTIME_LIBRARIES - WITH_ONNXRUNTIME == set()
    assert "torch" not in found


def test_the_runtime_path_works_where_nothing_else_is_installed() -> None:
    absent = [name for name in HEAVY if name not in RUNTIME_LIBRARIES]
    block = f"import sys\nfor name in {absent!r}: sys.modules[name] = None"
    assert "lect.exports.runtime" in loaded_by(f"{block}\nimport lect.app.commands.transcribe, lect.exports.runtime")
