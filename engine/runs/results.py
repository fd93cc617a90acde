"""What a run has learnt, loaded: its best adaptation on its backbone, and how the two are decoded."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ..contract.files import read_json
from ..contract.run_files import RunFiles
from ..contract.tensor_names import network_weights
from ..data.store import Project
from ..decoding.language_model import LanguageModel
from ..decoding.recogniser import Recogniser
from ..decoding.search import DecodeOptions
from ..model.adaptations import merge_updates
from ..model.backbone import Backbone, open_backbone
from ..model.device import Device
from ..model.handles import Handles
from ..model.network import EncoderDecoder
from ..model.weights import load_adaptation, load_model
from ..text.vocabulary import Vocabulary


@dataclass(frozen=True)
class RunResult:
    """A run's best result, ready to transcribe with; what changes the network's weights is in them."""

    backbone: Backbone
    model: EncoderDecoder
    handles: Handles
    vocabulary: Vocabulary

    def recogniser(self, options: DecodeOptions, device: Device) -> Recogniser:
        """It at work."""
        return Recogniser(self.model, self.vocabulary, self.handles, options, device)


def load_run(project: Project, run_id: str) -> RunResult:
    """Raises UsageError when the run has no result yet."""
    files = RunFiles(project.run(run_id).folder)
    files.check_has_result()
    backbone = open_backbone(files.request().backbone)
    model = load_model(backbone, files.request().settings.window_seconds)
    handles = applied(model, load_adaptation(files.best))
    return RunResult(backbone, model, handles, Vocabulary.from_json(read_json(files.vocabulary)))


def applied(model: EncoderDecoder, tensors: Mapping[str, Tensor]) -> Handles:
    """The handles among a result's tensors; what changes the network's own weights is put into `model`."""
    if network := network_weights(tensors):
        model.load_state_dict(network)
    return Handles.from_tensors(merge_updates(model, tensors))


def decoding(folder: Path) -> DecodeOptions:
    """How the result of the run in `folder` is decoded.

    With the weight of CTC that belongs to its training, and the run's language model where there is one.
    """
    files = RunFiles(folder)
    options = DecodeOptions(ctc_weight=files.request().settings.search_ctc_weight)
    if not files.language_model.exists():
        return options
    size = len(Vocabulary.from_json(read_json(files.vocabulary)))
    return replace(options, language_model=LanguageModel.from_bytes(files.language_model.read_bytes(), size))
