"""Bundles and portable exports: made by `lect export` in a process of its own, handed out as one zip file."""

import json
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import atomic_path
from lect.engine.contract.subprocesses import module_command
from lect.engine.data.store import Project

FORMS = ("bundle", "portable")
_NAME = re.compile(rf"\d+-(?:{'|'.join(FORMS)})\.zip")


def export(project: Project, run_id: str, form: str, build: str) -> dict[str, Any]:
    """Makes one, with its zip file beside it; what `lect export` says of it. Raises UsageError with its reason."""
    command = module_command("lect", "export", "--run", run_id, f"--{form}", "--project", str(project.folder))
    command += ["--json"] + (["--build", build] if form == "portable" else [])
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        raise UsageError((ended.stderr.strip().splitlines() or ["The export failed."])[-1].removeprefix("lect: "))
    told: dict[str, Any] = json.loads(ended.stdout)
    _zip(Path(told["folder"]))
    return told


def zips(project: Project) -> list[Path]:
    """Those that there are, the newest first."""
    found = [path for path in (project.folder / "packs").glob("*.zip") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: -path.stat().st_mtime)


def _zip(folder: Path) -> None:
    # Weights do not get smaller, so nothing is compressed.
    with atomic_path(folder.with_name(f"{folder.name}.zip")) as path, zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
