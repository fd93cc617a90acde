"""What the worker does with a run: settles its vocabulary, trains it, chooses its language model, and scores it.

The backbone is loaded once; a method that changes the network's own weights needs a second copy for the comparison.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..audio.reading import Samples
from ..contract.events import Done, Event, LanguageModelChosen, Scored, Scoring
from ..contract.run_files import RunFiles
from ..contract.tensor_names import changes_weights
from ..data.store import Project
from ..decoding.recogniser import Recogniser
from ..model.backbone import open_backbone
from ..model.device import choose_device
from ..model.weights import load_adaptation, load_model
from ..training.features import FeatureCache
from ..training.state import TrainState, make_state
from ..training.train import TrainData, train
from .choice import choose_vocabulary
from .guesses import forget_guesses
from .preparation import RunData
from .results import applied, decoding
from .scored import bare_recogniser, bare_texts, keep_scores, load_waveforms
from .shallow_fusion import decode_dev


def run_training(project: Project, run_id: str) -> Iterator[Event]:
    """Trains (from the checkpoint, if there is one), then scores dev and test, base and adapted."""
    files = RunFiles(project.run(run_id).folder)
    files.check_can_go_on()
    device = choose_device(files.request().device, files.request().precision)
    project.update_run(run_id, status="training", device=device.name, pid=os.getpid())
    yield from choose_vocabulary(project, run_id)
    request = files.request()
    backbone, run = open_backbone(request.backbone), RunData.open(project, run_id)
    examples = run.examples("train"), run.examples("dev")
    data = TrainData(run.vocabulary, *examples, run.texts("dev"), project.rules.apply)
    data = data.packed(request.settings, backbone)
    cache = FeatureCache(project.folder / "cache")
    state = make_state(request.settings, backbone, run.vocabulary, device, cache)
    if files.start.exists():  # before the checkpoint, where a run that is resumed has one
        state.adaptation.go_on_from(load_adaptation(files.start), state.model)
    end = yield from train(state, request.settings, data, files.folder, resume=True, stop=files.stop.exists)
    project.update_run(run_id, status="scoring", best_step=end.best_step, seconds=end.seconds, stopped=end.stopped)
    yield from _score(run, run_id, state)
    project.update_run(run_id, status="done")
    guessed = {example.path for example in run.guessed}
    heard = [example for example in data.train if guessed & {example.path, *example.more}]
    state.features.forget(heard, range(request.settings.copies))
    forget_guesses(files)
    yield Done(run_id)


def _score(run: RunData, run_id: str, state: TrainState) -> Iterator[Event]:
    files = RunFiles(run.project.run(run_id).folder)
    bare, adapted = _recognisers(run, files, state)
    waveforms: Sequence[Samples] = load_waveforms(run.clips["dev"])
    texts = decode_dev(run, files, adapted, waveforms)
    options = decoding(files.folder)
    if options.language_model is not None:
        yield LanguageModelChosen(options.language_model.weight)
    adapted = adapted.with_options(options)
    for split in ("dev", "test"):
        if not run.clips[split]:
            continue
        yield Scoring(split)
        if split != "dev":
            waveforms = load_waveforms(run.clips[split])
            texts = adapted.texts(waveforms)
        base = bare_texts(run, run_id, split, bare, state.backbone, waveforms)
        scores = keep_scores(run, run_id, split, base, texts, options)
        yield Scored(scores.to_json(rows=False), scores.describe())


def _recognisers(run: RunData, files: RunFiles, state: TrainState) -> tuple[Recogniser, Recogniser]:
    """The bare backbone, and the best result, without a language model; state: at the training's end."""
    tensors, window = load_adaptation(files.best), files.request().settings.window_seconds
    bare = adapted = state.model
    if window is not None or state.adaptation.spec.trains_backbone:
        bare = load_model(state.backbone)
    elif any(map(changes_weights, tensors)):
        adapted = load_model(state.backbone)
    handles, options = applied(adapted, tensors), replace(decoding(files.folder), language_model=None)
    return (
        bare_recogniser(bare, state.backbone, run.vocabulary, options, state.device),
        Recogniser(adapted, run.vocabulary, handles, options, state.device),
    )
