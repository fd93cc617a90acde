"""What this machine can do: each part is really used, not only looked up; what is amiss is reported with its remedy.

Fails only when something that transcribing needs is broken; what only training or the page needs is reported.
"""

import argparse
import importlib
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lect.engine.contract.errors import LectError, UsageError

from ..output import print_result, size
from .backbone import exported_builds

LEAST_FREE_BYTES = 2_000_000_000  # a project's audio, its feature cache and some runs
LEAST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Finding:
    """What one look found."""

    name: str
    good: bool
    says: str  # in a sentence
    needed: bool = False  # whether transcribing is impossible without it
    facts: dict[str, Any] = field(default_factory=dict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def run(args: argparse.Namespace) -> int:
    """Looks at everything, and goes on past what is broken."""
    findings = [look() for look in LOOKS]
    broken = [finding for finding in findings if finding.needed and not finding.good]
    marks = {True: "ok", False: "--"}
    text = [f"{'!!' if one in broken else marks[one.good]}  {one.name:13} {one.says}" for one in findings]
    text.append("Something that Lect needs is broken: see !!." if broken else "Lect can transcribe on this machine.")
    print_result(args, {"ok": not broken, "findings": {one.name: asdict(one) for one in findings}}, "\n".join(text))
    return int(bool(broken))


def _python() -> Finding:
    good = sys.version_info >= LEAST_PYTHON
    says = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    remedy = "." if good else ": Lect needs Python 3.11 or newer."
    return Finding("python", good, says + remedy, True, {"version": platform.python_version()})


def _runtime() -> Finding:
    missing = [name for name in ("numpy", "regex", "safetensors", "soundfile", "soxr") if not _imports(name)]
    versions = {name: _version(name) for name in ("lect", "numpy", "safetensors", "soundfile", "soxr")}
    if missing:
        return Finding(
            "libraries", False, f"{', '.join(missing)} cannot be loaded: run pip install lect again.", True, versions
        )
    says = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    return Finding("libraries", True, f"{says}.", True, versions)


def _onnxruntime() -> Finding:
    both = [name for name in ("onnxruntime", "onnxruntime-gpu") if _version(name)]
    facts: dict[str, Any] = {"packages": {name: _version(name) for name in both}}
    if len(both) == 2:
        remedy = "run pip uninstall onnxruntime onnxruntime-gpu, then pip install lect."
        return Finding(
            "onnxruntime", False, f"onnxruntime and onnxruntime-gpu overwrite each other: {remedy}", True, facts
        )
    try:
        facts["providers"] = providers = real_providers()
    except UsageError as error:  # there is no starter to try it with
        return Finding("onnxruntime", False, f"It could not be tried: {error}", True, facts)
    except Exception as error:  # a broken installation fails in many ways, and none of them may end the report
        return Finding(
            "onnxruntime", False, f"It cannot run a model ({_first_line(error)}): reinstall Lect.", True, facts
        )
    where = "CUDA and CPU" if any("CUDA" in name for name in providers) else "CPU"
    return Finding("onnxruntime", True, f"{both[0] if both else 'onnxruntime'} runs on the {where}.", True, facts)


def real_providers() -> list[str]:
    """What the starter is really run by: a list of what is available also names what cannot run here."""
    from lect.engine.model.backbone import open_backbone
    from lect.exports.graph_files import graph_files
    from lect.exports.onnx_network import Network

    return list(Network.open(graph_files(open_backbone().folder, "int8")).encoder.get_providers())


def _torch() -> Finding:
    if _version("torch") is None:
        return Finding("torch", False, "Not installed: to train, run pip install 'lect[train]'.")
    try:
        import torch

        from lect.engine.model.device import choose_device

        device = choose_device()
        works = float(
            (torch.ones(8, 8, device=device.torch_device) @ torch.ones(8, 8, device=device.torch_device)).sum()
        )
        assert works == 512.0
    except Exception as error:  # CUDA reports what is wrong with a driver as a bare RuntimeError
        return Finding(
            "torch", False, f"It does not compute ({_first_line(error)}): reinstall it, or use --device cpu."
        )
    facts: dict[str, Any] = {"version": torch.__version__, "device": device.name, "precision": device.precision}
    facts |= {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return Finding("torch", True, f"{torch.__version__} trains on {device.name} in {device.precision}.", facts=facts)


def _av() -> Finding:
    if _imports("av"):
        return Finding("PyAV", True, f"{_version('av')}: m4a, webm and mp4 can be read.")
    return Finding("PyAV", False, "Not there: to read m4a, webm and mp4, run pip install 'lect[video]'.")


def _portaudio() -> Finding:
    try:
        import sounddevice

        inputs = [device["name"] for device in sounddevice.query_devices() if device["max_input_channels"]]
    except ImportError:
        return Finding("PortAudio", False, "Not there: to record outside the browser, run pip install 'lect[app]'.")
    except Exception as error:  # OSError without the library, PortAudioError without a sound system
        remedy = "install PortAudio (libportaudio2) to record outside the browser."
        return Finding("PortAudio", False, f"It cannot be used ({_first_line(error)}): {remedy}")
    if not inputs:
        return Finding("PortAudio", False, "It finds no microphone: plug one in to record outside the browser.")
    return Finding("PortAudio", True, f"Microphones: {', '.join(inputs)}.", facts={"inputs": inputs})


def _espeak() -> Finding:
    found = shutil.which("espeak-ng")
    says = f"{found}." if found else "Not there: only making synthetic speech needs it; install espeak-ng for that."
    return Finding("espeak-ng", bool(found), says)


def _starter() -> Finding:
    from lect.engine.model.backbone import open_backbone, verify_backbone

    try:
        backbone = open_backbone()
        wrong = verify_backbone(backbone.folder)
    except (LectError, OSError) as error:
        return Finding("starter", False, str(error), True)
    if wrong:
        return Finding("starter", False, f"Its files {', '.join(wrong)} are damaged: install Lect again.", True)
    graphs = exported_builds(backbone)
    if not graphs:
        return Finding("starter", False, "It has no graphs to run offline: install Lect again.", True)
    says = f"Verified; runs offline as {' and '.join(graphs)}."
    return Finding("starter", True, says, True, {"sha256": backbone.sha256, "graphs": graphs})


def _disk() -> Finding:
    from lect.engine.model.backbone import home

    places = [Path.cwd(), *(folder for folder in [home(), *home().parents] if folder.is_dir())]
    free = min(shutil.disk_usage(place).free for place in places[:2])
    good = free >= LEAST_FREE_BYTES
    remedy = "." if good else f": free some, training wants {size(LEAST_FREE_BYTES)}."
    return Finding("disk", good, f"{size(free)} free{remedy}", facts={"free_bytes": free})


LOOKS: tuple[Callable[[], Finding], ...] = (
    _python, _runtime, _onnxruntime, _torch, _av, _portaudio, _espeak, _starter, _disk
)  # fmt: skip


def _imports(name: str) -> bool:
    try:
        importlib.import_module(name)
    except Exception:  # a library with a missing system part fails as it likes
        return False
    return True


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
