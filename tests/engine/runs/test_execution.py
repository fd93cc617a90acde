"""What the worker does once the training has ended: it reads neither the backbone's weights nor a recording again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.contract.adaptation_spec import AUTO, AdaptationSpec
from lect.engine.contract.errors import BackboneError, UsageError
from lect.engine.contract.events import Done, Ended, Event, LanguageModelChosen, Scored, Scoring
from lect.engine.contract.files import read_json, write_json
from lect.engine.contract.run_files import RunFiles
from lect.engine.contract.run_request import RunRequest
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.data.store import Project
from lect.engine.decoding.recogniser import Recogniser
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.backbone import Backbone, open_backbone
from lect.engine.model.device import Device
from lect.engine.model.handles import NO_HANDLES
from lect.engine.model.weights import load_adaptation, load_model
from lect.engine.runs.execution import run_training
from lect.engine.runs.preparation import RunData, checked, create_run
from lect.engine.runs.results import decoding, load_run
from lect.engine.runs.scored import score_run
from lect.engine.runs.shallow_fusion import OWN_WEIGHTS

SETTINGS = TrainSettings(
    AdaptationSpec(num_virtual_tokens=2), max_steps=20, copies=1, per_device_train_batch_size=4, evaluations=1
)


@pytest.fixture
def backbone(tiny_backbone: Backbone, tmp_path: Path) -> Backbone:
    """One that a test may take away."""
    copytree(tiny_backbone.folder, tmp_path / "backbone")
    return open_backbone(str(tmp_path / "backbone"))


def start(project: Project, backbone: Backbone, settings: TrainSettings) -> tuple[str, Iterator[Event]]:
    """A run, and its events up to the end of the training, which are over."""
    request = RunRequest(str(backbone.folder), "cpu", "float32", settings, language_model_weight=0.3)
    run_id = create_run(project, request)
    events = run_training(project, run_id)
    while not isinstance(next(events), Ended):
        pass
    return run_id, events


def test_scoring_loads_the_backbone_no_second_time(project: Project, backbone: Backbone) -> None:
    run_id, events = start(project, backbone, SETTINGS)
    backbone.weights.unlink()
    rest = list(events)
    assert isinstance(rest[0], LanguageModelChosen) and rest[0].weight == 0.3
    assert [type(event) for event in rest[1:]] == [Scoring, Scored, Scoring, Scored, Done]
    assert RunFiles(project.run(run_id).folder).scores("test").exists()


def test_dev_is_decoded_before_it_is_scored_and_not_read_again(project: Project, backbone: Backbone) -> None:
    _, events = start(project, backbone, SETTINGS)
    next(events)  # the language model is chosen, on dev
    for clip in project.clips("dev"):
        clip.path.unlink()
    assert [event.split for event in events if isinstance(event, Scoring)] == ["dev", "test"]


def test_a_ctc_loss_needs_a_head_or_a_new_vocabulary(project: Project, whisper: Backbone, backbone: Backbone) -> None:
    asked = RunRequest(str(whisper.folder), settings=replace(SETTINGS, ctc_weight=0.4), vocabulary="backbone")
    with pytest.raises(UsageError, match="has no CTC head for its own vocabulary: leave --ctc-weight or"):
        checked(asked)
    assert checked(replace(asked, settings=SETTINGS)).settings.ctc_weight == 0
    for other in (replace(asked, vocabulary="auto"), replace(asked, backbone=str(backbone.folder))):
        assert checked(other).settings.ctc_weight == 0.4


def test_a_window_is_no_longer_than_the_backbones(whisper: Backbone, backbone: Backbone) -> None:
    for name, seconds, said in ((whisper, 4.1, "hears 4 seconds at once"), (backbone, 1.0, "as long as they are")):
        with pytest.raises(UsageError, match=said):
            checked(RunRequest(str(name.folder), settings=replace(SETTINGS, window_seconds=seconds)))
    asked = RunRequest(str(whisper.folder), settings=replace(SETTINGS, window_seconds=4.0))
    assert checked(asked).settings.window_seconds == 4


def test_clips_that_fill_windows_share_a_batch_by_these(whisper: Backbone, cpu: Device) -> None:
    recogniser = Recogniser(load_model(whisper), whisper.vocabulary, NO_HANDLES, DecodeOptions(), cpu)
    batches = recogniser.batches([np.zeros(SAMPLE_RATE, np.float32)] * 40)
    assert [len(batch) for batch in batches] == [15, 15, 10]  # 60 s in windows of 4 s


def test_a_whisper_learns_an_unknown_language(project: Project, whisper: Backbone, cpu: Device) -> None:
    few = TrainSettings(AdaptationSpec(AUTO), max_steps=6, copies=1, per_device_train_batch_size=4, evaluations=1)
    run_id, events = start(project, whisper, few)
    assert [type(event) for event in events][-1] == Done
    files = RunFiles(project.run(run_id).folder)
    spec, tensors = files.request().settings.spec, load_adaptation(files.best)
    assert (spec.method, spec.full_rank, files.request().settings.window_seconds) == ("lora", True, 1.0)
    assert {name.split(".")[1] for name in tensors if ".lora." in name} == {"1", "2", "3"}
    assert {name.split(".")[0] for name in tensors if ".adapter." in name} == {"decoder"}
    assert tensors["vocabulary.ctc.weight"].abs().max() > 0
    loaded = load_run(project, run_id)
    assert loaded.model.encoder.window_samples == 16_000
    scores = score_run(project, run_id, "test", cpu)
    assert scores.cer == read_json(files.scores("test"))["cer"] and decoding(files.folder).ctc_weight == 0.3


def test_further_texts_give_a_whispers_own_tokens_a_language_model(
    project: Project, whisper: Backbone, tmp_path: Path
) -> None:
    few = replace(SETTINGS, spec=AdaptationSpec("lora", rank=2, placement="d:all"), max_steps=2)
    (tmp_path / "more.txt").write_text("Ba\nde Ba\n", encoding="utf-8")
    request = RunRequest(str(whisper.folder), "cpu", "float32", few, vocabulary="backbone")
    for asked, weights in (
        (request, (0.0,)),
        (replace(request, texts=str(tmp_path / "more.txt")), OWN_WEIGHTS),
        (replace(request, texts=str(tmp_path / "more.txt"), language_model_weight=0.2), (0.2,)),
    ):
        files = RunFiles(project.run(run_id := create_run(project, asked)).folder)
        assert [*run_training(project, run_id)][-1] == Done(run_id)
        model = decoding(files.folder).language_model
        assert (model.weight if model else 0.0) in weights
        if asked.texts:
            assert files.texts.read_text(encoding="utf-8") == "Ba\nde Ba"


@pytest.mark.parametrize("method", ["lora", "finetune"])
def test_a_method_that_changes_the_network_is_compared_with_the_bare_one(
    project: Project, backbone: Backbone, cpu: Device, method: str
) -> None:
    spec = AdaptationSpec(method, rank=2)  # type: ignore[arg-type]
    run_id, events = start(project, backbone, replace(SETTINGS, spec=spec, learning_rate=0.05))
    scores = {event.figures["conditions"]["split"]: event.figures for event in events if isinstance(event, Scored)}
    for split, figures in scores.items():
        RunFiles(project.run(run_id).folder).bare_texts.unlink(missing_ok=True)  # else it is not decoded again
        again = score_run(project, run_id, split, cpu)
        assert (again.cer, again.baseline) == (figures["cer"], (figures["baseline"]["wer"], figures["baseline"]["cer"]))
    assert scores.keys() == {"dev", "test"}


def test_what_the_bare_backbone_writes_is_decoded_once(project: Project, backbone: Backbone) -> None:
    def kept_by(seed: int) -> Path:
        run_id, events = start(project, backbone, replace(SETTINGS, seed=seed))
        assert [*events][-1] == Done(run_id)
        return RunFiles(project.run(run_id).folder).bare_texts

    path = kept_by(0)
    kept = read_json(path)
    assert len(kept["texts"]) == len(project.clips("dev") + project.clips("test"))
    write_json(path, kept | {"texts": dict.fromkeys(kept["texts"], "as it was kept")})
    second = kept_by(1)
    rows = read_json(RunFiles(second.parent).base_scores("test"))["rows"]
    assert {row["hypothesis"] for row in rows} == {"as it was kept"}
    path.unlink()
    second.unlink()
    assert read_json(kept_by(2)) == kept


def test_a_method_that_changes_the_network_needs_the_weights_once_more(project: Project, backbone: Backbone) -> None:
    _, events = start(project, backbone, replace(SETTINGS, spec=AdaptationSpec("lora", rank=2)))
    backbone.weights.unlink()
    with pytest.raises(BackboneError, match="cannot be read"):
        list(events)


def test_a_whispers_own_tokens_learn_labels_as_they_are_written(project: Project) -> None:
    for clip in project.clips():
        project.relabel(clip.id, "Ba da, go!")
    request = RunRequest(settings=TrainSettings(AdaptationSpec("lora", placement="d:all")), vocabulary="backbone")
    run = RunData.open(project, create_run(project, request))
    assert {run.vocabulary.decode(example.tokens) for example in run.examples("train")} == {"Ba da, go!"}
    assert set(run.texts("train")) == {"ba da go"}, "what is scored"
