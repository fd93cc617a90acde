"""Bundles and portable exports: made by `lect export` in a process of its own, handed out as one zip file.

An export loads PyTorch and takes gigabytes, which the page's process would keep for as long as it runs.
"""

import json
import re
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

from lect.engine.contract.builds import BUILDS
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import atomic_path
from lect.engine.contract.subprocesses import module_command
from lect.engine.data.store import Project

FORMS = ("bundle", "portable")
_NAME = re.compile(rf"\d+-(?:{'|'.join(FORMS)})\.zip")


@dataclass(frozen=True)
class Rates:
    """Error rates of a build on the clips of the gate, fractions."""

    build: str
    cer: float
    wer: float


@dataclass(frozen=True)
class Exported:
    """One zip file, and what its gate measured."""

    path: Path
    clips: int  # on which the graphs write the same text as PyTorch
    rates: tuple[Rates, ...]


def export(project: Project, run_id: str, form: str, build: str) -> Exported:
    """Makes one. Raises UsageError with the reason when `lect export` fails."""
    command = module_command("lect", "export", "--run", run_id, f"--{form}", "--project", str(project.folder))
    command += ["--json"] + (["--build", build] if form == "portable" else [])
    ended = subprocess.run(command, capture_output=True, encoding="utf-8")
    if ended.returncode:
        raise UsageError((ended.stderr.strip().splitlines() or ["The export failed."])[-1].removeprefix("lect: "))
    result = json.loads(ended.stdout)
    parity = result["parity"]
    rates = [Rates(name, parity[name]["cer"], parity[name]["wer"]) for name in BUILDS if parity[name]]
    return Exported(_zipped(Path(result["folder"])), parity["clips"], tuple(rates))


def zips(project: Project) -> list[Path]:
    """Those that there are, the newest first."""
    found = [path for path in (project.folder / "packs").glob("*.zip") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: -path.stat().st_mtime)


def _zipped(folder: Path) -> Path:
    # Weights do not get smaller, so nothing is compressed.
    target = folder.with_name(f"{folder.name}.zip")
    with atomic_path(target) as path, zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
    return target
