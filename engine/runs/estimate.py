"""How long a training would take on this machine.

`python -m lect.engine.runs.estimate PROJECT` reads a request on stdin.
A few steps of it are really done on a few clips, in a folder that is thrown away, and what they took is scaled up. It
changes nothing in the project.
"""

import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..audio.reading import load_audio
from ..contract.errors import LectError, TrainError, os_sentence
from ..contract.events import Evaluated, Event, FeaturesReady, Stepped
from ..contract.run_request import RunRequest
from ..contract.train_settings import TrainSettings
from ..data.clips import Clip
from ..data.splits import assign
from ..data.store import Project
from ..decoding.search import DecodeOptions
from ..model.backbone import open_backbone
from ..model.device import choose_device
from ..model.weights import load_model
from ..text.vocabulary import Vocabulary
from ..training.features import Example, FeatureCache
from ..training.state import make_state
from ..training.train import TrainData, train
from .preparation import LEAST_TRAIN_CLIPS, checked, continued, learnt_rules, run_vocabulary
from .process import give_way
from .recipe import for_labels
from .scored import bare_recogniser

TRAINED, CHECKED = 8, 4  # clips that are tried
STEPS = 3  # the first one, which sets things up, does not count
BARE = 2  # clips that the base writes alone: a Whisper's windows take seconds each


@dataclass(frozen=True)
class Estimate:
    """What a training would take if it is not ended early."""

    seconds: float
    steps: int
    clips: int  # that it learns from
    device: str
    precision: str


@dataclass(frozen=True)
class Times:
    """Seconds, as measured."""

    feature: float  # a clip through the frozen part
    step: float
    clip: float  # a clip's text
    bare: float  # the same by the backbone alone, as dev and test are scored at the end


def estimate(project: Project, request: RunRequest) -> Estimate:
    """Raises TrainError when there is too little to train on, UsageError for what the backbone cannot have."""
    request = checked(for_labels(project, continued(project, request)))
    clips = _split(project)
    if len(clips["train"]) < LEAST_TRAIN_CLIPS or not clips["dev"]:
        raise TrainError(f"There are too few usable clips: record or import at least {LEAST_TRAIN_CLIPS + 2}.")
    device = choose_device(request.device, request.precision)
    settings, data = request.settings, _data(project, request, clips)
    times = _timed(replace(settings, max_steps=STEPS, copies=1), request, _tried(data))
    steps = settings.steps(len(data.train))
    checks = min(settings.evaluations, math.ceil(steps / 10)) + 1  # the base is one
    seconds = (
        times.feature * len(data.train) * settings.copies
        + times.step * steps
        + times.clip * checks * len(clips["dev"])
        + (times.clip + times.bare) * (len(clips["dev"]) + len(clips["test"]))
    )
    return Estimate(seconds, steps, len(clips["train"]), device.name, device.precision)


def _split(project: Project) -> dict[str, list[Clip]]:
    clips = [clip for clip in project.clips(usable_only=True) if project.rules.apply(clip.text)]
    assignment = assign(clips, 0, False).assignment
    return {split: [clip for clip in clips if assignment[clip.id] == split] for split in ("train", "dev", "test")}


def _data(project: Project, request: RunRequest, clips: dict[str, list[Clip]]) -> TrainData:
    texts = {split: [project.rules.apply(clip.text) for clip in clips[split]] for split in ("train", "dev")}
    vocabulary = run_vocabulary(project, request, texts["train"])
    learnt, scored = (_examples(project, clips[split], vocabulary) for split in ("train", "dev"))
    data = TrainData(vocabulary, learnt, scored, texts["dev"])
    return data.packed(request.settings, open_backbone(request.backbone))


def _tried(data: TrainData) -> TrainData:
    scored = _even([example.seconds for example in data.dev], CHECKED)
    return replace(
        data,
        train=[data.train[at] for at in _even([example.seconds for example in data.train], TRAINED)],
        dev=[data.dev[at] for at in scored],
        dev_texts=[data.dev_texts[at] for at in scored],
    )


def _timed(settings: TrainSettings, request: RunRequest, data: TrainData) -> Times:
    device = choose_device(request.device, request.precision)
    spent: dict[type[Event], list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="lect-estimate-") as folder:
        began = time.monotonic()
        cache = FeatureCache(Path(folder) / "cache")
        backbone = open_backbone(request.backbone)
        state = make_state(settings, backbone, data.vocabulary, device, cache)
        for event in train(state, settings, data, Path(folder)):
            spent.setdefault(type(event), []).append(time.monotonic() - began)
            began = time.monotonic()
    bare = bare_recogniser(load_model(backbone), backbone, data.vocabulary, DecodeOptions(), device)
    waveforms = [load_audio(example.path) for example in data.dev[:BARE]]
    began = time.monotonic()
    bare.texts(waveforms)
    alone = (time.monotonic() - began) / len(waveforms)
    # Without a cache, a step holds the frozen part.
    features, steps = spent.get(FeaturesReady, [0.0]), spent[Stepped][1:]
    written = spent[Evaluated][-1] / len(data.dev)
    return Times(sum(features) / len(features), sum(steps) / len(steps), written, alone)


def _even(seconds: Sequence[float], count: int) -> list[int]:
    """Some places, of all lengths."""
    ordered = sorted(range(len(seconds)), key=seconds.__getitem__)
    return [ordered[at * len(ordered) // count] for at in range(count)] if len(ordered) > count else ordered


def _examples(project: Project, clips: Sequence[Clip], vocabulary: Vocabulary) -> list[Example]:
    rules = learnt_rules(project.rules, vocabulary)
    return [
        Example(clip.sha256, clip.path, clip.seconds, tuple(vocabulary.encode(rules.apply(clip.text))))
        for clip in clips
    ]


def main(folder: str) -> int:
    """Reads a request, and writes an estimate, or why there is none, as one JSON object."""
    give_way()  # as the training will
    try:
        request = RunRequest.from_json(json.load(sys.stdin))
        print(json.dumps(asdict(estimate(Project.open(Path(folder)), request))))
    except (LectError, OSError) as error:
        print(json.dumps({"error": os_sentence(error) if isinstance(error, OSError) else str(error)}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
