"""The names of an adaptation's flat tensors, built and parsed here alone.

They are the names of a run's result, a pack's tensors and the exported graphs' inputs:

    encoder.3.prompt.key         stack, layer, kind, part
    cross.0.lora.query.down      a low-rank update (its half `down`) also names its projection
    vocabulary.ctc.weight        a new vocabulary has no layer
    network.encoder.norm.weight  a network's own weight, where the method trains it

The decoder graph's cache is named as optimum names it: past_key_values.0.decoder.key goes in, present.0.decoder.key
comes out. So do the weights of the alignment heads, where a backbone has such heads.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

T = TypeVar("T")
Stack = Literal["encoder", "decoder", "cross"]
STACKS: tuple[Stack, ...] = get_args(Stack)
ATTENTION = ("query", "key", "value", "output")  # an attention's projections
FEED_FORWARD = ("up", "down")  # a feed-forward network's
PROJECTIONS = (*ATTENTION, *FEED_FORWARD)
KEY_VALUE, DOWN_UP = ("key", "value"), ("down", "up")  # the parts of a prompt, and of an adapter or a low-rank update

PROMPT, ADAPTER = "prompt", "adapter"
LORA = {projection: f"lora.{projection}" for projection in PROJECTIONS}  # the kind of each projection's update
KINDS = {PROMPT: KEY_VALUE, ADAPTER: DOWN_UP} | dict.fromkeys(LORA.values(), DOWN_UP)

EMBEDDING, CTC_WEIGHT, CTC_BIAS = "vocabulary.embedding", "vocabulary.ctc.weight", "vocabulary.ctc.bias"
CTC_LOG_PROBS = "ctc_log_probs"  # what the encoder graph makes of the CTC head
VOCABULARY = (EMBEDDING, CTC_WEIGHT, CTC_BIAS)
# The same matrices among a network's own weights.
OWN_VOCABULARY = {EMBEDDING: "decoder.embedding", CTC_WEIGHT: "ctc.weight", CTC_BIAS: "ctc.bias"}
ALIGNMENT = "alignment"  # (rows, heads, frames)

_LAYERED = re.compile(
    rf"(?P<stack>{'|'.join(STACKS)})\.(?P<layer>\d{{1,3}})\."
    rf"(?P<kind>{'|'.join(map(re.escape, KINDS))})\.(?P<part>[a-z]+)"
)
_NETWORK = "network."
_SHARED_PROMPT = "shared_prompt."
_PAST, _PRESENT = "past_key_values.", "present."


@dataclass(frozen=True, order=True)
class TensorName:
    """Whose tensor it is."""

    stack: Stack
    layer: int
    kind: str  # of KINDS
    part: str  # of the kind's parts

    def __str__(self) -> str:
        return f"{self.stack}.{self.layer}.{self.kind}.{self.part}"

    @property
    def partner(self) -> "TensorName":
        """The other half, without which this one means nothing."""
        first, second = KINDS[self.kind]
        return TensorName(self.stack, self.layer, self.kind, second if self.part == first else first)

    @property
    def changes_weights(self) -> bool:
        """Whether it is added to the network's own weights when the run is loaded: the encoder graph takes updates."""
        return self.kind in LORA.values() and self.stack != "encoder"


def parse(name: str) -> TensorName | None:
    """The parts of a layer's tensor name; None for any other name."""
    match = _LAYERED.fullmatch(name)
    if match is None or match["part"] not in KINDS[match["kind"]]:
        return None
    stack: Stack = match["stack"]  # type: ignore[assignment]
    return TensorName(stack, int(match["layer"]), match["kind"], match["part"])


def pairs(tensors: Mapping[str, T], stack: Stack, kind: str) -> dict[int, tuple[T, T]]:
    """The two halves of each layer of a stack that has a tensor of this kind, by layer, ascending.

    Raises KeyError for half a pair.
    """
    first, second = KINDS[kind]
    names = [name for name in map(parse, tensors) if name is not None]
    layers = sorted(name.layer for name in names if (name.stack, name.kind, name.part) == (stack, kind, first))
    return {
        layer: (
            tensors[str(TensorName(stack, layer, kind, first))],
            tensors[str(TensorName(stack, layer, kind, second))],
        )
        for layer in layers
    }


def network_weight(name: str) -> str:
    """The name, in a run's result, of a network's own weight."""
    return _NETWORK + name


def network_weights(tensors: Mapping[str, T]) -> dict[str, T]:
    """The network's own weights in a run's result, under the network's names."""
    return _without(tensors, _NETWORK)


def changes_weights(name: str) -> bool:
    """Whether a tensor of a run's result changes the network's own weights, so that no small pack can hold it."""
    layered = parse(name)
    return name.startswith(_NETWORK) or (layered is not None and layered.changes_weights)


def is_update(name: str) -> bool:
    """Whether a tensor of a run's result is half of a low-rank update, of either stack."""
    layered = parse(name)
    return layered is not None and layered.kind in LORA.values()


def shared_prompt_weight(name: str) -> str:
    """The name, in a backbone's weights, of a tensor of the prompt that pretraining made for any language."""
    return _SHARED_PROMPT + name


def is_shared_prompt(name: str) -> bool:
    """Whether a tensor of a backbone's weights belongs to that prompt."""
    return name.startswith(_SHARED_PROMPT)


def shared_prompts(tensors: Mapping[str, T]) -> dict[str, T]:
    """That prompt in a backbone's weights, under an adaptation's names."""
    return _without(tensors, _SHARED_PROMPT)


def past(layer: int, stack: str, part: str) -> str:
    """The decoder graph's input of a layer's earlier keys or values; stack: decoder (its own) or encoder (cross)."""
    return f"{_PAST}{layer}.{stack}.{part}"


def present(layer: int, stack: str, part: str) -> str:
    """The graph's output that becomes that input."""
    return f"{_PRESENT}{layer}.{stack}.{part}"


def parse_past(name: str) -> tuple[int, str, str] | None:
    """(layer, stack, part) of an input of the decoder graph that is cache; None for any other."""
    if not name.startswith(_PAST):
        return None
    layer, stack, part = name.removeprefix(_PAST).split(".")
    return int(layer), stack, part


def as_past(name: str) -> str | None:
    """The input that an output of this name becomes at the next step; None where it becomes none."""
    return _PAST + name.removeprefix(_PRESENT) if name.startswith(_PRESENT) else None


def adaptation_inputs(names: Iterable[str]) -> list[str]:
    """Which of a graph's inputs an adaptation's tensors feed, in their order."""
    return [name for name in names if name in VOCABULARY or parse(name) is not None]


def _without(tensors: Mapping[str, T], prefix: str) -> dict[str, T]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
