"""In which vocabulary a run learns whose language the backbone has a token for: by what it writes of dev, alone."""

from dataclasses import replace

import pytest

from lect.engine.contract.adaptation_spec import AUTO, AdaptationSpec
from lect.engine.contract.events import Done, OwnTokensChosen
from lect.engine.contract.files import read_json
from lect.engine.contract.run_files import RunFiles
from lect.engine.contract.run_request import RunRequest
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.data.store import Project
from lect.engine.model.backbone import Backbone
from lect.engine.runs import choice
from lect.engine.runs.execution import run_training
from lect.engine.runs.preparation import RunData, create_run
from lect.engine.runs.recipe import OWN_ADAPTERS

FEW = TrainSettings(AdaptationSpec(AUTO), max_steps=2, copies=1, evaluations=1)


def asked(whisper: Backbone) -> RunRequest:
    return RunRequest(str(whisper.folder), "cpu", "float32", FEW, language="en")


def test_new_letters_are_learnt_where_the_backbone_writes_badly(project: Project, whisper: Backbone) -> None:
    files = RunFiles(project.run(run_id := create_run(project, asked(whisper))).folder)
    assert files.asked.exists()
    events = [*run_training(project, run_id)]
    assert events[-1] == Done(run_id) and not any(isinstance(event, OwnTokensChosen) for event in events)
    assert files.request().vocabulary == "new" and files.request().settings.spec.full_rank and not files.asked.exists()


def test_its_own_tokens_are_tuned_where_it_writes_well(
    project: Project, whisper: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "WELL", 100.0)  # no random network writes well
    files = RunFiles(project.run(run_id := create_run(project, asked(whisper))).folder)
    events = [*run_training(project, run_id)]
    assert isinstance(events[0], OwnTokensChosen) and events[0].clips == 2 and events[-1] == Done(run_id)
    request, dev = files.request(), read_json(files.base_scores("dev"))
    assert (request.vocabulary, request.settings.spec) == ("backbone", OWN_ADAPTERS.spec)
    assert RunData.open(project, run_id).vocabulary.kind == "bytes" and dev["cer"] > 0
    assert not any(isinstance(event, OwnTokensChosen) for event in choice.choose_vocabulary(project, run_id))


def test_what_is_asked_for_is_not_chosen(project: Project, whisper: Backbone) -> None:
    request = asked(whisper)
    for other in (
        replace(request, language=""),  # the project's, of which the backbone knows nothing
        replace(request, vocabulary="new"),
        replace(request, settings=replace(FEW, spec=AdaptationSpec("adapter"))),
        replace(request, stated=("ctc_weight",)),
    ):
        assert not RunFiles(project.run(create_run(project, other)).folder).asked.exists()
