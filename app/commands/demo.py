"""The whole way on a small sample set: a project, its clips, a training, a pack, and texts without PyTorch.

The sample is synthetic speech, made with espeak-ng in a language that Whisper-base hardly knows; characters of its own
are learnt, from few copies and in few steps, so that the demo stays short.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lect.engine.contract.errors import LectError
from lect.engine.contract.files import ASSETS
from lect.engine.contract.run_request import WHISPER

from ..output import counted, duration, percent, print_json, size

if TYPE_CHECKING:
    from lect.engine.data.clips import Clip
    from lect.engine.data.store import Project

# An interpreter in which PyTorch cannot be imported, as on an offline machine.
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from lect.app.cli import main; sys.exit(main(sys.argv[1:]))"
SHOWN = 3
STEPS, COPIES = 80, 2  # of about 280 steps and 5 copies that `lect train` would take


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where, how long, and on what."""
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep the project here (a temporary folder, removed)")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help=f"training steps ({STEPS})")
    parser.add_argument("--sample", type=Path, default=ASSETS / "sample", metavar="DIR", help="another labelled set")
    parser.add_argument("--backbone", default=WHISPER, metavar="NAME", help="another backbone, with its graphs")


def run(args: argparse.Namespace) -> int:
    """Tells the story, or gives its figures."""
    with _folder(args.work) as folder:
        story = Story(args, folder)
        figures = story.tell()
    if args.json:
        print_json(figures)
    return 0 if figures["onnx_matches_torch"] else 1


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    if work is not None:
        yield work
        return
    with tempfile.TemporaryDirectory(prefix="lect-demo-") as folder:
        yield Path(folder) / "demo"


class Story:
    """One demo, chapter by chapter."""

    def __init__(self, args: argparse.Namespace, folder: Path):
        self.args, self.folder = args, folder
        self.began = time.monotonic()

    def tell(self) -> dict[str, Any]:
        """All chapters; the figures."""
        project = self.collect()
        run_id = self.train(project)
        figures = self.scores(project, run_id)
        pack = self.pack(project, run_id)
        figures |= {"pack_bytes": pack.stat().st_size, "pack_sha256": project.packs()[-1].sha256}
        figures |= self.offline(project, run_id, pack)
        figures["seconds"] = round(time.monotonic() - self.began, 1)
        self.say(f"All in {duration(figures['seconds'])}, on {figures['device']}.")
        return figures

    def say(self, text: str) -> None:
        """A line of the story."""
        if not self.args.json:
            print(text, flush=True)

    def collect(self) -> "Project":
        """A project with the sample's clips, checked and split."""
        from lect.engine.audio.quality import usable
        from lect.engine.data.importers import import_into
        from lect.engine.data.store import Project

        from .split import describe

        project = Project.create(self.folder, "demo", "und")
        report = import_into(project, self.args.sample)
        clips = project.clips()
        good = sum(usable(clip.quality) for clip in clips)
        seconds = sum(clip.seconds for clip in clips)
        if len(languages := {clip.language for clip in clips}) == 1:
            project.set_language(languages.pop())
        self.say(f"1. {counted(len(report.taken), 'clip')} taken, {duration(seconds)}; {good} of them usable.")
        self.say(f"2. Split, seeded:\n{_indented(describe(project.assign_splits()))}")
        return project

    def train(self, project: "Project") -> str:
        """A short run of the method that Lect recommends."""
        from dataclasses import replace

        from lect.engine.contract.run_files import RunFiles
        from lect.engine.contract.run_request import RunRequest
        from lect.engine.runs.preparation import create_run

        from ..training_watch import watch

        settings = replace(RunRequest().settings, max_steps=self.args.steps, copies=COPIES)
        run_id = create_run(project, RunRequest(self.args.backbone, settings=settings))
        spec = RunFiles(project.run(run_id).folder).request().settings.spec
        self.say(f"3. Training by {spec.method} ({spec.placement}) on {self.args.backbone}; Ctrl-C ends it early.")
        if watch(self.args, project, run_id):
            self.say("   Ended early; the best so far is kept.")
        return run_id

    def scores(self, project: "Project", run_id: str) -> dict[str, Any]:
        """Before and after, on the test split."""
        from ..scores import before_after, figures, judged, stored

        run = project.run(run_id)
        base, adapted = stored(run.folder, run_id, "test")
        comparison, sentence = judged(base, adapted)
        self.say(f"4. The test clips, before and after:\n{_indented(before_after({'test': (base, adapted)}))}")
        self.say(_indented(sentence))
        return {
            **figures(base, adapted, comparison),
            "device": run.facts["device"],
            "train_seconds": run.facts["seconds"],
        }

    def pack(self, project: "Project", run_id: str) -> Path:
        """The run as a verified file."""
        from lect.exports.pack_assembly import default_path, pack_contents, pack_run

        run = project.run(run_id)
        path = default_path(project, run)
        report = pack_run(project, run, path, pack_contents(project, run))
        self.say(f"5. {path.name}: {size(report.bytes)}, {report.parameters:,} parameters, verified.")
        return path

    def offline(self, project: "Project", run_id: str, pack: Path) -> dict[str, Any]:
        """The test clips once more, by a process that cannot import PyTorch, against PyTorch's own texts."""
        from lect.engine.runs.preparation import RunData
        from lect.engine.runs.scored import score_clips

        clips = RunData.open(project, run_id).clips["test"]
        expected = torch_texts(project, run_id, clips)
        results, seconds = transcribe_without_torch([clip.path for clip in clips], pack, self.args.backbone)
        texts = [result["text"] for result in results]
        same = sum(one == other for one, other in zip(texts, expected, strict=True))
        audio = sum(clip.seconds for clip in clips)
        spent = f"{duration(audio)} of speech in {duration(seconds)}"
        self.say(f"6. Offline, without PyTorch: {spent}; {same} of {len(texts)} texts are the same as PyTorch's.")
        for clip, text in list(zip(clips, texts, strict=True))[:SHOWN]:
            self.say(f"   {clip.text}\n   → {text}")
        cer = score_clips(project, clips, texts, "test").cer
        self.say(f"   CER {percent(cer)}.")
        found = {"onnx_matches_torch": same == len(texts), "onnx_same_texts": same, "onnx_cer": cer}
        return found | {"onnx_seconds": round(seconds, 2), "test_clips": len(texts)}


def torch_texts(project: "Project", run_id: str, clips: "list[Clip]") -> list[str]:
    """What PyTorch writes, as it comes from the decoder."""
    from lect.engine.audio.reading import load_audio
    from lect.engine.decoding.recogniser import Recogniser
    from lect.engine.model.device import choose_device
    from lect.engine.runs.results import decoding, load_run

    result, options = load_run(project, run_id), decoding(project.run(run_id).folder)
    recogniser = Recogniser(result.model, result.vocabulary, result.handles, options, choose_device())
    return recogniser.texts([load_audio(clip.path) for clip in clips])


def transcribe_without_torch(files: list[Path], pack: Path, backbone: str) -> tuple[list[dict[str, Any]], float]:
    """Results of `lect transcribe` and its wall time, in seconds. Raises LectError when it fails."""
    began = time.monotonic()
    command = [sys.executable, "-P", "-c", WITHOUT_TORCH, "transcribe", *map(str, files), "--pack", str(pack), "--json"]
    command += ["--vad", "off"]  # whole clips, as training scores them
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([*command, "--backbone", backbone], capture_output=True, encoding="utf-8", env=environment)
    if done.returncode:
        raise LectError(f"Transcribing without PyTorch failed: {done.stderr.strip() or 'see `lect doctor`.'}")
    return json.loads(done.stdout)["files"], time.monotonic() - began


def _indented(text: str) -> str:
    return "\n".join(f"   {line}" for line in text.splitlines())
