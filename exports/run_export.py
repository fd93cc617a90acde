"""A run as a folder for a machine that has nothing else.

Each form passes its gate on the run's dev clips, or is not made. It does not know how graphs are made (`portable`,
`bundle`, `whisper_folder`, `sherpa_folder`, `plain_whisper`).
"""

import tempfile
from pathlib import Path

from lect.engine.audio.reading import load_audio
from lect.engine.contract.builds import Build
from lect.engine.data.clips import Run
from lect.engine.data.store import Project
from lect.engine.runs.preparation import RunData
from lect.engine.runs.results import load_run

from .bundle import write_bundle
from .pack import write_pack
from .pack_assembly import check_packable, pack_contents
from .parity import Clips, ParityReport
from .plain_whisper import RunnerReport, write_run
from .portable import write_portable
from .sherpa_folder import write_sherpa_folder
from .whisper_folder import write_whisper_folder

# Of programs that run ONNX graphs: onnx-asr, and sherpa-onnx.
ONNX_LAYOUTS = {"whisper": write_whisper_folder, "sherpa": write_sherpa_folder}
GATE_SPLIT = "dev"  # whose clips the graphs and PyTorch must transcribe alike


def default_folder(project: Project, run: Run, form: str) -> Path:
    """Where a run's export goes unless another place is named."""
    return project.folder / "packs" / f"{run.id}-{form}"


def export_portable(project: Project, run: Run, folder: Path, build: Build) -> ParityReport:
    """Graphs with the adaptation inside. Errors as `write_portable`."""
    model = load_run(project, run.id).model
    return write_portable(folder, pack_contents(project, run), model, gate_clips(project, run), build)


def export_whisper(project: Project, run: Run, folder: Path, layout: str) -> float:
    """A Whisper's run as graphs of `ONNX_LAYOUTS`; the largest difference from PyTorch. Errors as their writers'."""
    model = load_run(project, run.id).model
    return ONNX_LAYOUTS[layout](folder, pack_contents(project, run), model, gate_clips(project, run).waveforms)


def export_for_runner(project: Project, run: Run, folder: Path, layout: str, weights: str | None) -> RunnerReport:
    """A Whisper's run for other programs, of `runners.RUNNERS`. Errors as `plain_whisper.write_run`."""
    model = load_run(project, run.id).model
    return write_run(folder, pack_contents(project, run), model, gate_clips(project, run), layout, weights)


def export_bundle(project: Project, run: Run, folder: Path) -> ParityReport:
    """The run's pack beside its backbone. Errors as `check_packable` and `write_bundle`."""
    check_packable(run)
    contents = pack_contents(project, run)
    with tempfile.TemporaryDirectory() as temporary:
        pack = Path(temporary) / "pack.lect"
        write_pack(pack, contents)
        return write_bundle(folder, pack, contents.backbone, gate_clips(project, run))


def gate_clips(project: Project, run: Run) -> Clips:
    """The clips of a run that its exports are tried on."""
    clips = RunData.open(project, run.id).clips[GATE_SPLIT]
    waveforms, labels = [load_audio(clip.path) for clip in clips], [clip.text for clip in clips]
    return Clips(waveforms, labels, project.rules.apply, project.rules.name)
