"""A training that starts where another one's result lies: the same method, the same tokens, and new letters behind."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lect.engine.audio.writing import write_wav
from lect.engine.contract.adaptation_spec import AUTO, AdaptationSpec
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import read_json
from lect.engine.contract.run_files import RunFiles
from lect.engine.contract.run_request import RunRequest
from lect.engine.contract.tensor_names import EMBEDDING
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.data.store import Project
from lect.engine.model.adaptations import make_adaptation
from lect.engine.model.backbone import Backbone, open_backbone
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import load_adaptation, load_model, load_shared_prompt
from lect.engine.runs.execution import run_training
from lect.engine.runs.preparation import create_run
from lect.engine.runs.recipe import continuing, reason
from lect.engine.text.vocabulary import Vocabulary
from lect.engine.text.vocabulary_building import build_vocabulary, grown
from tests.conftest import PHONES
from tests.engine.data.test_store import speech

SETTINGS = TrainSettings(
    AdaptationSpec(num_virtual_tokens=2), max_steps=10, copies=1, per_device_train_batch_size=4, evaluations=1
)
SPECS = (
    AdaptationSpec(num_virtual_tokens=3, placement="e:all,d:all,c:all"),
    AdaptationSpec(num_virtual_tokens=3, shared_key_value=True, reparameterise=True),
    AdaptationSpec(num_virtual_tokens=3, shared_key_value=True, initialisation="zero-value"),
    AdaptationSpec(num_virtual_tokens=3, initialisation="zero-value"),
    AdaptationSpec("adapter", rank=2),
    AdaptationSpec("lora", rank=2, placement="e:all,d:all"),
    AdaptationSpec("lora", rank=8, placement="e:all", on="query,up,down", full_rank=True),
    AdaptationSpec("vocabulary"),
)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.method}-{spec.initialisation}-{spec.full_rank}")
def test_a_started_adaptation_leaves_what_it_was_started_from(tiny_backbone: Backbone, spec: AdaptationSpec) -> None:
    model, old = load_model(tiny_backbone), Vocabulary("grapheme", tuple(" abe"))
    prompt = load_shared_prompt(tiny_backbone)
    first = make_adaptation(spec, model, PHONES, old, prompt, new_head=True)
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in first.parameters():  # each is moved away from where all of them start
            parameter += 0.1 * torch.randn(parameter.shape, generator=rng)
    wanted = first.tensors(model)
    second = make_adaptation(spec, model, PHONES, replace(old, symbols=(*old.symbols, "é")), prompt, new_head=True)
    fresh = second.tensors(model)[EMBEDDING][-1].clone()
    second.go_on_from(wanted, model)
    found = second.tensors(model)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        if name.endswith((".down", ".up")) and spec.full_rank:
            continue  # the factors of a product may differ; the product is compared below
        torch.testing.assert_close(found[name][: len(tensor)], tensor, atol=2e-4, rtol=1e-3)
    for name in (name for name in wanted if spec.full_rank and name.endswith(".up")):
        products = [each[name] @ each[name.removesuffix("up") + "down"] for each in (found, wanted)]
        torch.testing.assert_close(*products, atol=2e-4, rtol=1e-3)
    assert torch.equal(found[EMBEDDING][-1], fresh) and len(found[EMBEDDING]) == len(wanted[EMBEDDING]) + 1


def test_a_fine_tuned_network_goes_on_too(tiny_backbone: Backbone) -> None:
    model, vocabulary = load_model(tiny_backbone), Vocabulary("grapheme", tuple(" abe"))
    other = EncoderDecoder(model.config)
    tensors = {f"network.{name}": tensor for name, tensor in other.state_dict().items()}
    adaptation = make_adaptation(AdaptationSpec("finetune"), model, PHONES, vocabulary, {})
    adaptation.go_on_from({**adaptation.tensors(model), **tensors}, model)
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_a_vocabulary_grows_behind_its_tokens() -> None:
    old = build_vocabulary(["ba da", "da e"])
    assert grown(old, ["ba e"]) == old
    new = grown(old, ["ba ñandu ñu", "é [size: ba]"])
    assert new.symbols[: len(old.symbols)] == old.symbols and new.kind == "grapheme"
    assert new.unknown("ba ñandu é") == [] and new.decode(new.encode("é ba [size: da]")) == "é ba [size: da]"
    words = build_vocabulary(["yes", "no no"], "word")
    more = grown(words, ["no maybe"], words=True)
    assert more.symbols == (*words.symbols, "▁maybe") and len(more.scores) == len(more.symbols)
    assert more.decode(more.encode("maybe no")) == "maybe no"
    own = Vocabulary("bytes", tuple("ab"))
    assert grown(own, ["c"]) is own


def test_what_makes_tensors_fit_is_as_it_was() -> None:
    before = RunRequest("whisper-base", vocabulary="new", settings=replace(SETTINGS, ctc_weight=1.0, copies=3))
    asked = RunRequest(settings=TrainSettings(AdaptationSpec(AUTO), max_steps=7), start="001")
    found = continuing(asked, before)
    assert (found.backbone, found.vocabulary, found.start) == ("whisper-base", "new", "001")
    assert found.settings == replace(before.settings, max_steps=7, head_steps=0)
    assert reason(found, 1, 1) == "Lect goes on from run 001, by the method `prompt`."
    for other in (replace(asked, backbone="tiny"), replace(asked, settings=TrainSettings(AdaptationSpec("adapter")))):
        with pytest.raises(UsageError, match="leave --backbone, --method"):
            continuing(other, before)


def test_a_run_goes_on_from_another(project: Project, tiny_backbone: Backbone, tmp_path: Path) -> None:
    request = RunRequest(str(tiny_backbone.folder), "cpu", "float32", SETTINGS, language_model_weight=0.0)
    first = create_run(project, request)
    with pytest.raises(UsageError, match="has no result yet"):
        create_run(project, RunRequest(start=first))
    list(run_training(project, first))
    write_wav(tmp_path / "new.wav", speech(99))
    project.keep(tmp_path / "new.wav", speech(99), "ñu", split="train")

    asked = RunRequest(device="cpu", precision="float32", start=first, settings=TrainSettings(AdaptationSpec(AUTO)))
    second = create_run(project, asked)
    old, new = (RunFiles(project.run(run).folder) for run in (first, second))
    symbols = [read_json(files.vocabulary)["symbols"] for files in (old, new)]
    assert symbols[1][: len(symbols[0])] == symbols[0] and len(symbols[1]) > len(symbols[0])
    assert new.start.read_bytes() == old.best.read_bytes() and new.request().start == first
    old.best.unlink()  # what a run starts from is its own
    list(run_training(project, second))
    start, end = load_adaptation(new.start)[EMBEDDING], load_adaptation(new.best)[EMBEDDING]
    moved = np.abs((end[: len(start)] - start).numpy()).max()
    fresh = np.abs(end[: len(start)].numpy() - _fresh(new, start)).max()
    assert len(end) > len(start) and 0 < moved < fresh


def _fresh(files: RunFiles, start: torch.Tensor) -> np.ndarray:
    """Where the same rows would have begun without a run to start from."""
    backbone = open_backbone(files.request().backbone)
    model, vocabulary = load_model(backbone), Vocabulary.from_json(read_json(files.vocabulary))
    torch.manual_seed(0)
    adaptation = make_adaptation(files.request().settings.spec, model, backbone.vocabulary, vocabulary, {})
    rows: np.ndarray = adaptation.tensors(model)[EMBEDDING][: len(start)].detach().numpy()
    return rows
