"""Adaptations: placements, the folding of prompts, parameter counts, and what starts as nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lect.engine.contract.adaptation_spec import AdaptationSpec, parse_placement, parse_projections
from lect.engine.contract.errors import UsageError
from lect.engine.contract.model_config import ModelConfig
from lect.engine.model.adaptations import FullUpdates, attention_at, make_adaptation, merge_updates
from lect.engine.model.backbone import Backbone
from lect.engine.model.handles import NO_HANDLES, Handles
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import load_model, load_shared_prompt
from lect.engine.text.vocabulary import Vocabulary
from tests.conftest import PHONES

NEW = Vocabulary("grapheme", tuple(" abeé"))
BASE = ModelConfig(
    1000, 768, 12, 3072, 12, 6, "waveform", encoder_norm_first=False, decoder_norm_first=False,
    encoder_positions="convolutional", ctc=False,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "encoder", "decoder", "cross"),
    [
        ("e:last3,d:all", (9, 10, 11), tuple(range(6)), ()),
        ("e:first2", (0, 1), (), ()),
        ("d:0+2,c:last1", (), (0, 2), (5,)),
        ("e:none, d:all", (), tuple(range(6)), ()),
    ],
)
def test_placement(text: str, encoder: tuple[int, ...], decoder: tuple[int, ...], cross: tuple[int, ...]) -> None:
    placement = parse_placement(text, BASE)
    assert (placement.encoder, placement.decoder, placement.cross) == (encoder, decoder, cross)


@pytest.mark.parametrize("text", ["", "e", "e:last13", "x:all", "e:last0", "d:6", "e:-1", "e:0+", "e:all;d:all"])
def test_a_placement_that_makes_no_sense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"e:last3,d:all"):
        parse_placement(text, BASE)


def make(backbone: Backbone, **spec: object) -> tuple[EncoderDecoder, Handles, dict[str, torch.Tensor]]:
    model = load_model(backbone)
    torch.manual_seed(0)
    adaptation = make_adaptation(AdaptationSpec(**spec), model, PHONES, NEW, load_shared_prompt(backbone))  # type: ignore[arg-type]
    tensors = adaptation.tensors(model)
    return model, Handles.from_tensors(tensors), tensors


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("reparameterise", [False, True])
def test_folded_prompts_equal_prompts_before_the_projections(
    tiny_backbone: Backbone, shared: bool, reparameterise: bool
) -> None:
    """What SpeechPrompt does: prompt vectors in front of the layer's inputs, before the frozen projections."""
    model = load_model(tiny_backbone)
    spec = AdaptationSpec(
        num_virtual_tokens=3, placement="e:0,d:1,c:1", shared_key_value=shared, reparameterise=reparameterise
    )
    adaptation = make_adaptation(spec, model, PHONES, NEW, {})
    tensors = adaptation.tensors(model)
    prompts = adaptation.parts[1]
    keys, values = prompts._before_projection()
    for index, (stack, layer) in enumerate(prompts.places):
        attention = attention_at(model, stack, layer)
        memory = torch.randn(1, 5, 32)
        expected = attention.split(attention.key(torch.cat([keys[index][None], memory], 1)))
        folded = tensors[f"{stack}.{layer}.prompt.key"].transpose(0, 1)[None]
        torch.testing.assert_close(torch.cat([folded, attention.split(attention.key(memory))], 2), expected)
        torch.testing.assert_close(
            tensors[f"{stack}.{layer}.prompt.value"], attention.value(values[index]).unflatten(-1, (2, 16))
        )


def test_adapters_and_zero_value_gates_start_as_they_promise(tiny_backbone: Backbone) -> None:
    model, handles, tensors = make(tiny_backbone, method="adapter", rank=4, placement="e:all,d:all")
    waveform, lengths, tokens = torch.randn(1, 8000) * 0.1, torch.tensor([8000]), torch.tensor([[2, 5]])
    adapted = model(waveform, lengths, tokens, Handles(encoder_adapters=handles.encoder_adapters))[0]
    torch.testing.assert_close(adapted, model(waveform, lengths, tokens, NO_HANDLES)[0], atol=0, rtol=0)
    _, _, tensors = make(tiny_backbone, method="prompt", initialisation="zero-value")
    assert all(tensor.abs().max() == 0 for name, tensor in tensors.items() if name.endswith("prompt.value"))


def test_projections_are_named_in_any_order_and_a_wrong_name_is_refused() -> None:
    assert parse_projections("value, query") == ("query", "value")
    with pytest.raises(UsageError, match="query, key, value, output"):
        parse_projections("query,gate")


def learnt_updates(backbone: Backbone, **spec: object) -> tuple[EncoderDecoder, Handles, dict[str, torch.Tensor]]:
    """Low-rank updates as a training leaves them: no matrix of zeros, and the backbone's own vocabulary."""
    model, _, tensors = make(backbone, method="lora", **spec)
    updates = {name: torch.randn(each.shape) * 0.2 for name, each in tensors.items() if ".lora." in name}
    return model, Handles.from_tensors(updates), updates


SPOKEN = torch.randn(1, 8000, generator=torch.Generator().manual_seed(3)) * 0.1, torch.tensor([8000])
WRITTEN = torch.tensor([[2, 5, 7, 9]])
EVERYWHERE = {"placement": "e:all,d:all,c:all", "on": "query,key,value,output,up,down", "rank": 3}


@torch.no_grad()
def test_low_rank_updates_start_as_nothing_and_each_of_them_has_an_effect(tiny_backbone: Backbone) -> None:
    model, handles, tensors = make(tiny_backbone, method="lora", **EVERYWHERE)
    bare = model(*SPOKEN, WRITTEN, NO_HANDLES)[0]
    start = Handles.from_tensors({name: tensor for name, tensor in tensors.items() if ".lora." in name})
    torch.testing.assert_close(model(*SPOKEN, WRITTEN, start)[0], bare, atol=0, rtol=0)
    _, handles, updates = learnt_updates(tiny_backbone, **EVERYWHERE)
    whole = model(*SPOKEN, WRITTEN, handles)[0]
    for name in updates:
        if name.endswith(".up"):
            without = {**updates, name: torch.zeros_like(updates[name])}
            assert not torch.allclose(model(*SPOKEN, WRITTEN, Handles.from_tensors(without))[0], whole), name


@torch.no_grad()
def test_an_updated_attention_is_that_of_the_formula_in_numpy(tiny_backbone: Backbone) -> None:
    """Hu et al. 2021: h = W x + b + B A x, in softmax(Q K^T / sqrt(d)) V of two heads."""
    model, handles, updates = learnt_updates(tiny_backbone, placement="e:1", on="query,key,value,output", rank=3)
    attention, x = attention_at(model, "encoder", 1), torch.randn(1, 6, 32)
    change = handles.encoder_updates[1]
    found = attention(x, attention.keys_values(x, change), None, change)[0]

    def project(name: str, inputs: np.ndarray) -> np.ndarray:
        linear = getattr(attention, name)
        down, up = (updates[f"encoder.1.lora.{name}.{part}"].numpy() for part in ("down", "up"))
        return inputs @ linear.weight.numpy().T + linear.bias.numpy() + (inputs @ down.T) @ up.T

    query, key, value = (project(name, x[0].numpy()) for name in ("query", "key", "value"))
    heads = []
    for head in (slice(0, 16), slice(16, 32)):
        scores = np.exp(query[:, head] @ key[:, head].T / 4)
        heads.append(scores / scores.sum(1, keepdims=True) @ value[:, head])
    np.testing.assert_allclose(found.numpy(), project("output", np.concatenate(heads, 1)), atol=1e-5)


@torch.no_grad()
def test_merged_updates_write_what_they_did_as_handles(tiny_backbone: Backbone) -> None:
    model, handles, updates = learnt_updates(tiny_backbone, **EVERYWHERE)
    expected = model(*SPOKEN, WRITTEN, handles)
    kept = {name for name in updates if name.startswith("encoder.")}  # the encoder's graph takes them
    other = {"vocabulary.embedding": torch.zeros(1)}
    rest = merge_updates(model, updates | other)
    assert rest.keys() == kept | other.keys()
    left = Handles.from_tensors({name: rest[name] for name in kept})
    for merged, apart in zip(model(*SPOKEN, WRITTEN, left), expected, strict=True):
        torch.testing.assert_close(merged, apart, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_whole_updates_leave_as_the_low_rank_ones_that_come_nearest(tiny_backbone: Backbone) -> None:
    model = load_model(tiny_backbone)
    spec = AdaptationSpec(method="lora", full_rank=True, rank=4, placement="e:1", on="query,up,down")
    adaptation = make_adaptation(spec, model, PHONES, NEW, {})
    assert all(tensor.abs().max() == 0 for name, tensor in adaptation.tensors(model).items() if name.endswith(".up"))
    whole = adaptation.parts[1]
    assert isinstance(whole, FullUpdates)
    for delta in whole.deltas:
        delta.copy_(torch.randn(delta.shape[0], 4) @ torch.randn(4, delta.shape[1]) / 10)
    handles, stored = adaptation.handles(model), adaptation.tensors(model)
    assert sorted(stored)[:2] == ["encoder.1.lora.down.down", "encoder.1.lora.down.up"]
    assert stored["encoder.1.lora.up.up"].shape == (model.config.ffn_dim, 4)
    plain = Handles.from_tensors({name: tensor for name, tensor in stored.items() if ".lora." in name})
    learning = Handles(encoder_updates=handles.encoder_updates)
    for one, other, bare in zip(
        *(model(*SPOKEN, WRITTEN, each) for each in (plain, learning, NO_HANDLES)), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)
        assert not torch.allclose(one, bare, atol=1e-2)


def test_whole_updates_are_for_the_encoder_with_adapters_in_the_decoder(tiny_backbone: Backbone) -> None:
    model, spec = load_model(tiny_backbone), AdaptationSpec(method="lora", full_rank=True, rank=4, on="query,up")
    adaptation = make_adaptation(replace(spec, placement="e:1,d:0"), model, PHONES, NEW, {})
    kinds = {name.rpartition(".")[0] for name in adaptation.tensors(model) if name[0] in "ed" and "." in name}
    assert kinds == {"encoder.1.lora.query", "encoder.1.lora.up", "decoder.0.adapter"}
    for placement in ("d:1", "e:1,c:1"):
        with pytest.raises(UsageError, match="e:last3"):
            make_adaptation(replace(spec, placement=placement), model, PHONES, NEW, {})


def test_prompts_start_from_the_backbones_shared_prompt_at_any_length(tiny_backbone: Backbone) -> None:
    shared = load_shared_prompt(tiny_backbone)["encoder.1.prompt.key"]
    for length in (2, 4, 7):
        model, _, tensors = make(tiny_backbone, num_virtual_tokens=length, placement="e:1,d:none")
        key = attention_at(model, "encoder", 1).key(shared).unflatten(-1, (2, 16))
        kept = min(length, 4)
        torch.testing.assert_close(tensors["encoder.1.prompt.key"][:kept], key[:kept])
        assert tensors["encoder.1.prompt.key"].shape == (length, 2, 16)


def test_new_symbols_start_from_the_backbones_same_symbols(tiny_backbone: Backbone) -> None:
    model, _, tensors = make(tiny_backbone, method="vocabulary")
    old, new = PHONES.tokens.index, NEW.tokens.index
    embedding = model.decoder.embedding
    torch.testing.assert_close(tensors["vocabulary.embedding"][new("a")], embedding[old("a")])
    torch.testing.assert_close(
        tensors["vocabulary.embedding"][new("é")], embedding[old("e")]
    )  # e and a mark unknown here
    torch.testing.assert_close(tensors["vocabulary.embedding"][:4], embedding[:4])
    torch.testing.assert_close(tensors["vocabulary.ctc.bias"][new("b")], model.ctc.bias[old("b")])
    assert tensors["vocabulary.embedding"].shape == (len(NEW), 32)


def counts(backbone: Backbone, **spec: object) -> int:
    model = load_model(backbone)
    return make_adaptation(AdaptationSpec(**spec), model, PHONES, NEW, {}).trained_parameters()  # type: ignore[arg-type]


def test_parameter_counts(tiny_backbone: Backbone) -> None:
    vocabulary = len(NEW) * (32 + 32 + 1)
    assert counts(tiny_backbone, method="vocabulary") == vocabulary
    assert counts(tiny_backbone, num_virtual_tokens=5, placement="e:all,d:all") == vocabulary + 4 * 2 * 5 * 32
    assert counts(tiny_backbone, num_virtual_tokens=5, placement="e:0", shared_key_value=True) == vocabulary + 5 * 32
    assert counts(tiny_backbone, method="adapter", rank=3, placement="e:all,d:all") == vocabulary + 4 * 2 * 3 * 32
    assert counts(tiny_backbone, method="lora", rank=3, placement="e:all,d:0,c:0") == vocabulary + 4 * 2 * (2 * 3 * 32)
    assert counts(tiny_backbone, method="lora", rank=3, placement="e:0", on="key") == vocabulary + 2 * 3 * 32
    model = load_model(tiny_backbone)
    whole = sum(parameter.numel() for parameter in model.parameters())
    assert counts(tiny_backbone, method="finetune") == vocabulary + whole
    layer = sum(parameter.numel() for parameter in model.decoder.layers[-1].parameters())
    assert counts(tiny_backbone, method="finetune", finetune_layers=1) == vocabulary + layer


def test_from_scratch_keeps_nothing_of_the_backbone(tiny_backbone: Backbone) -> None:
    model, _, tensors = make(tiny_backbone, method="scratch")
    trained = load_model(tiny_backbone)
    assert not torch.equal(model.encoder.layers[0].attention.key.weight, trained.encoder.layers[0].attention.key.weight)
    row = tensors["vocabulary.embedding"][NEW.tokens.index("a")]
    assert not torch.equal(row, trained.decoder.embedding[PHONES.tokens.index("a")])


def trained_on_base(**spec: object) -> int:
    """Trainable parameters on Wav2Seq-base with a vocabulary of 1000; no memory is used."""
    letters = Vocabulary("grapheme", tuple(map(chr, range(0x4E00, 0x4E00 + 996))))
    with torch.device("meta"):
        model = EncoderDecoder(BASE).requires_grad_(False)
        adaptation = make_adaptation(AdaptationSpec(**spec), model, letters, letters, {})  # type: ignore[arg-type]
    return adaptation.trained_parameters()


@pytest.mark.parametrize(("length", "millions"), [(60, 2.52), (120, 4.27), (180, 6.02)])
def test_prompts_on_wav2seq_base_have_the_papers_parameter_counts(length: int, millions: float) -> None:
    """The paper (arXiv 2310.02971) also counts an input prompt for each stack, which nothing reads once there are
    key and value prompts in its layers: 2 x length x 768 that are neither made nor trained here.
    """
    learnt = trained_on_base(num_virtual_tokens=length, placement="e:all,d:all")
    assert learnt == 1000 * 768 + length * 2 * (12 + 6) * 768
    assert round((learnt + 2 * length * 768) / 1e6, 2) == millions


@pytest.mark.parametrize(("rank", "millions"), [(64, 2.54), (128, 4.31), (192, 6.08)])
def test_adapters_on_wav2seq_base_have_the_derived_parameter_counts(rank: int, millions: float) -> None:
    learnt = trained_on_base(method="adapter", rank=rank, placement="e:all,d:all")
    assert learnt == 1000 * 768 + (12 + 6) * 2 * 768 * rank
    assert round(learnt / 1e6, 2) == millions


def test_low_rank_updates_on_wav2seq_base_have_the_derived_parameter_count() -> None:
    """At rank r, queries and values of the 18 self-attentions cost as much as prompts of length 2 r."""
    learnt = trained_on_base(method="lora", rank=60, placement="e:all,d:all")
    assert learnt == 1000 * 768 + 18 * 2 * (60 * (768 + 768))
    assert learnt == trained_on_base(num_virtual_tokens=120, placement="e:all,d:all")


def test_wav2seq_base_and_its_fine_tuning_have_the_papers_parameter_counts() -> None:
    assert trained_on_base(method="finetune", finetune_layers=2) == 2 * 9_451_776 + 1000 * 768  # 19.7 million
    with torch.device("meta"):
        model = EncoderDecoder(BASE)
    sizes = [sum(parameter.numel() for parameter in part.parameters()) for part in (model.encoder, model.decoder)]
    assert [round(size / 1e6, 2) for size in sizes] == [94.37, round(56.71 + 0.768, 2)]
