"""What an adaptation is asked to be: its method, size and place. It does not know how one is made."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from .errors import UsageError
from .model_config import ModelConfig
from .tensor_names import PROJECTIONS

Method = Literal["auto", "prompt", "adapter", "lora", "vocabulary", "finetune", "scratch"]
AUTO: Method = "auto"  # asks for the one that does best, see `engine/runs/recipe.py`
METHODS: tuple[Method, ...] = get_args(Method)[1:]
Initialisation = Literal["backbone", "random", "zero-value"]
INITIALISATIONS: tuple[Initialisation, ...] = get_args(Initialisation)


@dataclass(frozen=True)
class AdaptationSpec:
    """Which adaptation, where and how large."""

    method: Method = "prompt"
    num_virtual_tokens: int = 16  # prompt length, key/value pairs a layer
    rank: int = 16  # adapter bottleneck, or of low-rank updates
    placement: str = "e:all,d:all"  # see parse_placement
    initialisation: Initialisation = "backbone"
    reparameterise: bool = False  # residual MLP shared by all layers, folded away after training
    shared_key_value: bool = False  # one prompt before both projections
    finetune_layers: int = 0  # finetune: last n decoder layers; 0 is the whole network
    on: str = "query,value"  # low-rank updates: of which projections, see parse_projections
    # Low-rank updates: learnt as whole matrices in the encoder, cut to `rank` in the end; adapters in the decoder.
    full_rank: bool = False

    @property
    def trains_backbone(self) -> bool:
        """Whether the network's own weights change, so that the result is a network and no small set of tensors."""
        return self.method in ("finetune", "scratch")


@dataclass(frozen=True)
class Placement:
    """Layer indices, ascending."""

    encoder: tuple[int, ...]
    decoder: tuple[int, ...]
    cross: tuple[int, ...]


def parse_placement(text: str, config: ModelConfig) -> Placement:
    """`e:last3,d:all` -> layers. Stacks: e(ncoder), d(ecoder self-attention), c(ross-attention); each all, none,
    firstN, lastN, or layers counted from 0 as 2+5. A stack not named is left alone. Raises UsageError.
    """
    sizes = {"e": config.encoder_layers, "d": config.decoder_layers, "c": config.decoder_layers}
    chosen: dict[str, tuple[int, ...]] = {"e": (), "d": (), "c": ()}
    for part in text.replace(" ", "").split(","):
        stack, _, which = part.partition(":")
        layers = _layers(which, sizes[stack[0]]) if stack[:1] in sizes else None
        if layers is None:
            raise UsageError(
                f"Placement {part!r} is not understood: write for example e:last3,d:all or e:0+1+2,c:all "
                f"(this backbone has {config.encoder_layers} encoder and {config.decoder_layers} decoder layers)."
            )
        chosen[stack[0]] = layers
    return Placement(chosen["e"], chosen["d"], chosen["c"])


def _layers(which: str, size: int) -> tuple[int, ...] | None:
    if which in ("all", "none"):
        return tuple(range(size)) if which == "all" else ()
    if match := re.fullmatch(r"(first|last)(\d+)", which):
        count = int(match[2])
        if not 0 < count <= size:
            return None
        return tuple(range(count)) if match[1] == "first" else tuple(range(size - count, size))
    if not re.fullmatch(r"\d+(\+\d+)*", which):
        return None
    layers = tuple(sorted({int(number) for number in which.split("+")}))
    return layers if layers[-1] < size else None


def parse_projections(text: str) -> tuple[str, ...]:
    """`query,value` -> names of PROJECTIONS, in their order. Raises UsageError."""
    chosen = set(text.replace(" ", "").split(","))
    if not chosen <= set(PROJECTIONS):
        known = ", ".join(PROJECTIONS)
        raise UsageError(f"Projections {text!r} are not understood: name some of {known}, as in query,value.")
    return tuple(name for name in PROJECTIONS if name in chosen)
