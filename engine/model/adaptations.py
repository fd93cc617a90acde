"""What is trained on top of a frozen backbone: prompts, adapters, low-rank updates, a new vocabulary; or its weights.

An `Adaptation` is a module that gives flat tensors, named as the exported graph's inputs, at every step; `Handles`
reads them. What is stored is always those tensors: reparameterisations are folded into them. Prompts are written as
in SpeechPrompt (keys and values before the frozen projections), adapters as in Houlsby et al. 2019, low-rank updates
as in Hu et al. 2021 (LoRA). It does not know data or the training loop.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..contract.adaptation_spec import AdaptationSpec, parse_placement, parse_projections
from ..contract.errors import TrainError, UsageError
from ..contract.tensor_names import (
    ADAPTER,
    ATTENTION,
    CTC_BIAS,
    CTC_WEIGHT,
    EMBEDDING,
    LORA,
    PROMPT,
    STACKS,
    Stack,
    TensorName,
    changes_weights,
    network_weights,
    pairs,
)
from ..text.vocabulary import Vocabulary
from .handles import FullRank, Handles, KeyValue, LowRank, Updates
from .layers import Attention, DecoderLayer, EncoderLayer
from .network import EncoderDecoder

Place = tuple[Stack, int, str]  # and layer, and kind of its tensors


class Part(nn.Module):
    """A part of an adaptation, with parameters that learn."""

    def tensors(self, model: EncoderDecoder) -> dict[str, Tensor]:
        """Flat tensors with gradients, under their graph input names."""
        raise NotImplementedError

    def go_on_from(self, tensors: Mapping[str, Tensor], model: EncoderDecoder) -> None:
        """Starts where another one's `tensors` ended. Of a larger vocabulary, the new tokens keep their own start."""
        raise NotImplementedError


class Prompts(Part):
    """Key and value prompts in front of each chosen layer's own, written before the frozen projections.

    `tensors` projects them, so that what leaves is ordinary keys and values. With `reparameterise`, prompts pass
    through one residual bottleneck network shared by all layers (Residual Prompt Tuning, arXiv 2305.03937) on the
    way.
    """

    def __init__(self, spec: AdaptationSpec, places: Sequence[tuple[Stack, int]], dim: int):
        super().__init__()
        self.places = tuple(places)
        self.shared = spec.shared_key_value
        shape = (len(self.places), spec.num_virtual_tokens, dim)
        self.keys = nn.Parameter(torch.randn(shape) * 0.5)
        self.values = None if self.shared else nn.Parameter(torch.randn(shape) * 0.5)
        self.gate = nn.Parameter(torch.zeros(len(self.places))) if spec.initialisation == "zero-value" else None
        self.residual = _residual_network(dim) if spec.reparameterise else None

    def tensors(self, model: EncoderDecoder) -> dict[str, Tensor]:
        """Folded keys and values, each (length, heads, head_dim)."""
        keys, values = self._before_projection()
        folded = {}
        for index, (stack, layer) in enumerate(self.places):
            key, value = project(attention_at(model, stack, layer), keys[index], values[index])
            folded[str(TensorName(stack, layer, PROMPT, "key"))] = key
            folded[str(TensorName(stack, layer, PROMPT, "value"))] = (
                value if self.gate is None else value * self.gate[index]
            )
        return folded

    def _before_projection(self) -> tuple[Tensor, Tensor]:
        keys, values = self.keys, self.keys if self.values is None else self.values
        if self.residual is None:
            return keys, values
        return keys + self.residual(keys), values + self.residual(values)

    @torch.no_grad()
    def start_from(self, prompts: Mapping[tuple[Stack, int], tuple[Tensor, Tensor]]) -> None:
        """Sets keys and values (any length, dim) by place; longer prompts repeat theirs, slightly apart."""
        for index, place in enumerate(self.places):
            if place in prompts:
                key, value = prompts[place]
                self.keys[index] = _stretched(key, self.keys.shape[1])
                if self.values is not None:
                    self.values[index] = _stretched(value, self.keys.shape[1])

    @torch.no_grad()
    def go_on_from(self, tensors: Mapping[str, Tensor], model: EncoderDecoder) -> None:
        """What is projected to the given keys and values."""
        for index, (stack, layer) in enumerate(self.places):
            attention = attention_at(model, stack, layer)
            self.keys[index] = _unprojected(attention.key, tensors[str(TensorName(stack, layer, PROMPT, "key"))])
            value = tensors[str(TensorName(stack, layer, PROMPT, "value"))].flatten(1).to(self.keys)
            if self.values is not None:
                self.values[index] = _unprojected(attention.value, value)
            if self.gate is not None:
                ungated = attention.value(self.keys[index] if self.values is None else self.values[index])
                self.gate[index] = (ungated * value).sum() / (ungated**2).sum().clamp_min(1e-12)


def _unprojected(projection: nn.Linear, projected: Tensor) -> Tensor:
    """(length, …) behind a projection -> (length, dim) in front of it."""
    bias = 0 if projection.bias is None else projection.bias.double()
    behind = projected.flatten(1).to(projection.weight).double() - bias
    found: Tensor = torch.linalg.lstsq(projection.weight.double(), behind.T).solution
    return found.T.to(projected)


def project(attention: Attention, keys: Tensor, values: Tensor) -> KeyValue:
    """(..., length, dim) before the projections -> keys and values (..., length, heads, head_dim) behind them."""
    heads = (attention.heads, -1)
    return KeyValue(attention.key(keys).unflatten(-1, heads), attention.value(values).unflatten(-1, heads))


def _residual_network(dim: int) -> nn.Module:
    norm = nn.LayerNorm(dim)
    nn.init.zeros_(norm.weight)  # adds nothing at first
    return nn.Sequential(nn.Linear(dim, dim // 2), nn.ReLU(), nn.Linear(dim // 2, dim), norm)


def _stretched(rows: Tensor, length: int) -> Tensor:
    """(any, dim) -> (length, dim)."""
    repeated = rows.repeat(-(-length // len(rows)), 1)[:length].clone()
    repeated[len(rows) :] += 0.1 * torch.randn_like(repeated[len(rows) :])
    return repeated


def attention_at(model: EncoderDecoder, stack: Stack, layer: int) -> Attention:
    """The attention that a prompt in `stack` (encoder, decoder or cross) stands in front of."""
    if stack == "encoder":
        block = model.encoder.layers[layer]
        assert isinstance(block, EncoderLayer)
        return block.attention
    decoder_block = model.decoder.layers[layer]
    assert isinstance(decoder_block, DecoderLayer)
    return decoder_block.attention if stack == "decoder" else decoder_block.cross_attention


class Bottlenecks(Part):
    """Pairs of matrices down (rank, in) and up (out, rank), one for each place.

    Of kind "adapter" they stand behind a layer; of kind "lora.query" they update that projection, unscaled (LoRA's
    alpha is the rank, and its learning rate does the rest). The zero `up` makes them start as nothing.
    """

    def __init__(self, spec: AdaptationSpec, places: Sequence[Place], size_in: int, size_out: int):
        super().__init__()
        self.places = tuple(places)
        self.down = nn.Parameter(torch.randn(len(self.places), spec.rank, size_in) * size_in**-0.5)
        self.up = nn.Parameter(torch.zeros(len(self.places), size_out, spec.rank))

    def tensors(self, model: EncoderDecoder) -> dict[str, Tensor]:
        """The matrices of each place."""
        matrices = {}
        for index, place in enumerate(self.places):
            matrices[str(TensorName(*place, "down"))] = self.down[index]
            matrices[str(TensorName(*place, "up"))] = self.up[index]
        return matrices

    @torch.no_grad()
    def go_on_from(self, tensors: Mapping[str, Tensor], model: EncoderDecoder) -> None:
        """The matrices of each place."""
        for index, place in enumerate(self.places):
            self.down[index] = tensors[str(TensorName(*place, "down"))]
            self.up[index] = tensors[str(TensorName(*place, "up"))]


class FullUpdates(Part):
    """Updates of whole matrices, which leave as the low-rank ones that come nearest.

    On little data they learn more than low-rank ones, and cut to a few dozens of their ranks they have lost nothing.
    """

    def __init__(self, spec: AdaptationSpec, places: Sequence[Place], model: EncoderDecoder):
        super().__init__()
        self.places, self.rank = tuple(places), spec.rank
        weights = [projection_at(model, *place).weight for place in self.places]
        self.deltas = nn.ParameterList(nn.Parameter(torch.zeros_like(weight)) for weight in weights)

    def updates(self) -> dict[int, Updates]:
        """As they learn, by layer."""
        found: dict[int, dict[str, LowRank | FullRank]] = {}
        for (_, layer, kind), delta in zip(self.places, self.deltas, strict=True):
            found.setdefault(layer, {})[projection_of(kind)] = FullRank(delta)
        return dict(found)

    @torch.no_grad()
    def tensors(self, model: EncoderDecoder) -> dict[str, Tensor]:
        """The matrices of each place, by truncated singular value decomposition."""
        matrices = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the decomposition is a randomised one (Halko et al. 2011), for speed
            for place, delta in zip(self.places, self.deltas, strict=True):
                left, values, right = torch.svd_lowrank(delta.float(), 2 * self.rank, niter=4)
                left, roots, right = left[:, : self.rank], values[: self.rank].sqrt(), right[:, : self.rank]
                matrices[str(TensorName(*place, "down"))] = (right * roots).T.contiguous()
                matrices[str(TensorName(*place, "up"))] = (left * roots).contiguous()
        return matrices

    @torch.no_grad()
    def go_on_from(self, tensors: Mapping[str, Tensor], model: EncoderDecoder) -> None:
        """The products of the low-rank matrices, which are what was scored."""
        for place, delta in zip(self.places, self.deltas, strict=True):
            delta.copy_(tensors[str(TensorName(*place, "up"))] @ tensors[str(TensorName(*place, "down"))])


def projection_of(kind: str) -> str:
    """Of which projection a kind of update is."""
    return next(projection for projection, known in LORA.items() if known == kind)


def projection_at(model: EncoderDecoder, stack: Stack, layer: int, kind: str) -> nn.Linear:
    """The projection that an update of this kind changes."""
    name = projection_of(kind)
    if name in ATTENTION:
        linear = getattr(attention_at(model, stack, layer), name)
    else:
        linear = getattr((model.encoder if stack == "encoder" else model.decoder).layers[layer].feed_forward, name)
    assert isinstance(linear, nn.Linear)
    return linear


@torch.no_grad()
def merge_updates(
    model: EncoderDecoder, tensors: Mapping[str, Tensor], wanted: Callable[[str], bool] = changes_weights
) -> dict[str, Tensor]:
    """Adds low-rank updates among an adaptation's tensors to the weights of `model`; returns the others.

    wanted: which, by name; those of the decoder, unless others are.
    """
    updates = {name: tensor for name, tensor in tensors.items() if wanted(name)}
    for stack in STACKS:
        for kind in LORA.values():
            for layer, (down, up) in pairs(updates, stack, kind).items():
                projection_at(model, stack, layer, kind).weight += up @ down
    return {name: tensor for name, tensor in tensors.items() if name not in updates}


class NewVocabulary(Part):
    """Embedding (tied to the output) and CTC head over a new vocabulary, started from the backbone's same symbols.

    Where the backbone has no CTC head, a new one starts from zero: from other weights it learns no sooner, and a bias
    against the blank keeps it from learning at all.
    """

    def __init__(self, model: EncoderDecoder, old: Vocabulary, new: Vocabulary, new_head: bool):
        super().__init__()
        self.embedding = nn.Parameter(_carried_over(model.decoder.embedding, old, new))
        self.ctc_weight = self.ctc_bias = None
        if model.ctc is not None:
            self.ctc_weight = nn.Parameter(_carried_over(model.ctc.weight, old, new))
            self.ctc_bias = nn.Parameter(_carried_over(model.ctc.bias[:, None], old, new)[:, 0])
        elif new_head:
            self.ctc_weight = nn.Parameter(torch.zeros(len(new), model.config.dim))
            self.ctc_bias = nn.Parameter(torch.zeros(len(new)))

    def tensors(self, model: EncoderDecoder) -> dict[str, Tensor]:
        """The matrices under their graph names."""
        matrices: dict[str, Tensor] = {EMBEDDING: self.embedding}
        if self.ctc_weight is not None and self.ctc_bias is not None:
            matrices |= {CTC_WEIGHT: self.ctc_weight, CTC_BIAS: self.ctc_bias}
        return matrices

    @torch.no_grad()
    def go_on_from(self, tensors: Mapping[str, Tensor], model: EncoderDecoder) -> None:
        """The first rows, since a vocabulary grows at its end."""
        for name, parameter in self.tensors(model).items():
            parameter[: len(tensors[name])] = tensors[name].to(parameter)


@torch.no_grad()
def _carried_over(matrix: Tensor, old: Vocabulary, new: Vocabulary) -> Tensor:
    """Rows for the new tokens: the mean of the old rows that mean the same, or a row like the average one."""
    average, spread = matrix[4:].mean(0), matrix[4:].std(0)
    carried = []
    for token in new.tokens:
        sources = old.sources(token)
        carried.append(matrix[sources].mean(0) if sources else average + 0.3 * spread * torch.randn_like(average))
    return torch.stack(carried).float().clone()


class Adaptation(nn.Module):
    """All that one training learns; `tensors` gives what `Handles.from_tensors` reads."""

    def __init__(self, spec: AdaptationSpec, parts: Sequence[Part], network: nn.Module | None = None):
        super().__init__()
        self.spec = spec
        self.parts = tuple(parts)
        self.learning = nn.ModuleList(parts)  # registers their parameters
        self.network = network  # the weights that learn, where the method is a fine-tune

    def tensors(self, model: EncoderDecoder) -> dict[str, Tensor]:
        """Flat tensors with gradients, by graph input name."""
        return {name: tensor for part in self.parts for name, tensor in part.tensors(model).items()}

    def handles(self, model: EncoderDecoder) -> Handles:
        """What to pass to the model's calls while it learns: as `tensors`, but with whole updates as they are."""
        tensors, whole = dict[str, Tensor](), dict[int, Updates]()
        for part in self.parts:
            if isinstance(part, FullUpdates):
                whole |= part.updates()
            else:
                tensors |= part.tensors(model)
        handles = Handles.from_tensors(tensors)
        return replace(handles, encoder_updates=whole) if whole else handles

    def go_on_from(self, tensors: Mapping[str, Tensor], model: EncoderDecoder) -> None:
        """Starts where another adaptation of this spec ended: `tensors` are what a run leaves, (`TrainState.result`).

        Raises TrainError when they are of another spec.
        """
        try:
            if network := network_weights(tensors):
                model.load_state_dict(network)
            for part in self.parts:
                part.go_on_from(tensors, model)
        except (KeyError, RuntimeError) as error:
            raise TrainError("The run to start from is of another method or backbone: train without it.") from error

    def trained_parameters(self) -> int:
        """How many parameters are trainable."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)


def make_adaptation(
    spec: AdaptationSpec,
    model: EncoderDecoder,
    old: Vocabulary,
    new: Vocabulary,
    shared_prompt: dict[str, Tensor],
    *,
    new_head: bool = False,
) -> Adaptation:
    """A fresh adaptation for a frozen model; `shared_prompt` as `weights.load_shared_prompt` gives it.

    A method that trains the backbone unfreezes what it trains in `model`, which must then be the caller's own copy.
    Whisper's own vocabulary stays as it is: its 50,000 rows would be most of what learns, and need no change.
    new_head: whether a new vocabulary brings a CTC head where the backbone has none.
    Raises UsageError when nothing would learn.
    """
    if spec.method == "scratch":
        model.load_state_dict(EncoderDecoder(model.config).state_dict())
    placement = parse_placement(spec.placement, model.config)
    places: list[tuple[Stack, int]] = [("encoder", layer) for layer in placement.encoder]
    places += [("decoder", layer) for layer in placement.decoder]
    attentions: list[tuple[Stack, int]] = [*places, *(("cross", layer) for layer in placement.cross)]
    vocabulary = [] if new.kind == "bytes" else [NewVocabulary(model, old, new, new_head)]
    if spec.method == "prompt":
        prompts = Prompts(spec, attentions, model.config.dim)
        if spec.initialisation == "backbone":
            prompts.start_from(_by_place(shared_prompt))
        return Adaptation(spec, [*vocabulary, prompts])
    if spec.method == "adapter":
        behind = [(*place, ADAPTER) for place in places]
        dim = model.config.dim
        return Adaptation(spec, [*vocabulary, Bottlenecks(spec, behind, dim, dim)])
    if spec.method == "lora":
        return Adaptation(spec, [*vocabulary, *_updates(spec, attentions, model)])
    if spec.method == "vocabulary":
        if not vocabulary:
            raise UsageError("The method `vocabulary` needs a new one to learn: add --vocabulary new.")
        return Adaptation(spec, vocabulary)
    layers = model.decoder.layers
    network = nn.ModuleList(layers[-spec.finetune_layers :]) if spec.finetune_layers else model
    return Adaptation(spec, vocabulary, network.requires_grad_(True))


def _updates(spec: AdaptationSpec, attentions: Sequence[tuple[Stack, int]], model: EncoderDecoder) -> list[Part]:
    """Of the projections of these layers; a cross-attention has no feed-forward network of its own.

    A small pack holds no updates of a decoder: beside whole ones, which are of the encoder, it gets adapters.
    """
    names, (dim, wide) = parse_projections(spec.on), (model.config.dim, model.config.ffn_dim)
    places = [(*place, LORA[name]) for place in attentions for name in names if name in ATTENTION]
    by_size = [(places, dim, dim)]
    for name, sizes in (("up", (dim, wide)), ("down", (wide, dim))):
        layers = [place for place in attentions if place[0] != "cross"] if name in names else []
        by_size.append(([(*place, LORA[name]) for place in layers], *sizes))
    if not spec.full_rank:
        return [Bottlenecks(spec, places, *sizes) for places, *sizes in by_size if places]
    whole = [place for places, *_ in by_size for place in places if place[0] == "encoder"]
    if not whole or any(stack == "cross" for stack, _ in attentions):
        raise UsageError("Updates of full rank are for the encoder, beside adapters in the decoder: e:last3,d:all.")
    behind = [(*place, ADAPTER) for place in attentions if place[0] == "decoder"]
    return [FullUpdates(spec, whole, model), *([Bottlenecks(spec, behind, dim, dim)] if behind else [])]


def _by_place(shared_prompt: Mapping[str, Tensor]) -> dict[tuple[Stack, int], tuple[Tensor, Tensor]]:
    return {(stack, layer): pair for stack in STACKS for layer, pair in pairs(shared_prompt, stack, PROMPT).items()}
