"""What every importer gives, and how a foreign file's tensors become a network: name by name, none missing or left."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...contract.errors import BackboneError
from ...contract.model_config import ModelConfig
from ...text.vocabulary import Vocabulary
from ..network import EncoderDecoder
from .limits import check_config

_SHOWN = 3  # names in a sentence
_SHOWN_LETTERS = 80  # of a name

# Parts of an attention or a feed-forward network, in fairseq and in transformers alike.
ATTENTION = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "output"}
FEED_FORWARD = {"fc1": "feed_forward.up", "fc2": "feed_forward.down", "final_layer_norm": "feed_forward_norm"}


@dataclass(frozen=True)
class Foreign:
    """A backbone that was made elsewhere."""

    model: EncoderDecoder  # float32
    vocabulary: Vocabulary
    languages: tuple[str, ...]  # that it has tokens for
    licence: str  # of the published weights


def layer_names(theirs: str, ours: str, cross: bool) -> dict[str, str]:
    """Names of one Transformer layer's modules, theirs -> ours; `cross` for a decoder's."""
    attentions = {"self_attn": "attention"} | ({"encoder_attn": "cross_attention"} if cross else {})
    names = {f"{theirs}.{old}": f"{ours}.{new}" for old, new in FEED_FORWARD.items()}
    for old, new in attentions.items():
        names |= {f"{theirs}.{old}.{part}": f"{ours}.{new}.{name}" for part, name in ATTENTION.items()}
        names[f"{theirs}.{old}_layer_norm"] = f"{ours}.{new}_norm"
    return names


def layer_count(names: Iterable[str], prefix: str) -> int:
    """How many layers the names that follow `prefix` belong to: a number in a name is no reason to build as many."""
    return len({name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix)})


def renamed(tensors: Mapping[str, Tensor], modules: Mapping[str, str]) -> dict[str, Tensor]:
    """Tensors under our modules' names; those of unknown modules keep theirs, for `filled` to complain about."""
    found = {}
    for name, tensor in tensors.items():
        module, _, part = name.rpartition(".")
        found[f"{modules[module]}.{part}" if module in modules else name] = tensor
    return found


def filled(config: ModelConfig, tensors: Mapping[str, Tensor], source: str) -> EncoderDecoder:
    """A network with these float32 weights (see `limits.finite`), in evaluation mode.

    Raises BackboneError unless they fit, name by name.
    """
    check_config(config, tensors, source)
    with torch.device("meta"):  # every weight is about to be replaced
        model = EncoderDecoder(config)
    wanted = model.state_dict()
    if missing := sorted(wanted.keys() - tensors.keys()):
        raise BackboneError(f"{source} lacks weights, {_some(missing)}: it is incomplete, or of another kind.")
    if unknown := sorted(tensors.keys() - wanted.keys()):
        raise BackboneError(f"{source} holds weights that Lect has no place for, {_some(unknown)}.")
    if unfit := sorted(name for name, tensor in wanted.items() if tensor.shape != tensors[name].shape):
        raise BackboneError(f"{source} holds weights of other shapes than its config says, {_some(unfit)}.")
    model.load_state_dict(tensors, assign=True)
    return model.eval().requires_grad_(False)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name)[1:-1][:_SHOWN_LETTERS] for name in names[:_SHOWN]) + more
