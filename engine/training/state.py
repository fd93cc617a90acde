"""What one training holds and changes: a frozen model, the adaptation that learns on it, and the optimiser.

It takes one optimiser step, and decodes dev quickly. It does not know schedules, checkpoints or events: `train` writes
the loop out.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..contract.errors import TrainError
from ..contract.tensor_names import network_weight
from ..contract.train_settings import TrainSettings
from ..decoding.recogniser import Recogniser
from ..decoding.search import DecodeOptions
from ..model.adaptations import Adaptation, NewVocabulary, make_adaptation
from ..model.backbone import Backbone
from ..model.device import Device
from ..model.frontend import Frames
from ..model.handles import Handles
from ..model.network import EncoderDecoder
from ..model.weights import load_model, load_shared_prompt
from ..text.vocabulary import EOS, Vocabulary
from .augment import SpecAugment
from .features import ALL_LAYERS, CLEAN, Example, FeatureCache, FeatureSource, Waveforms, padded
from .losses import Labels, Losses, ctc_loss, joint_loss


class TrainState:
    """Model, adaptation and optimiser of one run."""

    def __init__(
        self,
        backbone: Backbone,
        model: EncoderDecoder,
        adaptation: Adaptation,
        features: FeatureSource,
        optimizer: torch.optim.Optimizer,
        device: Device,
        ctc_weight: float,
        smoothing: float,
        start: Sequence[int] = (EOS,),
    ):
        """model: the backbone's network; start: what the decoder reads before each label."""
        self.backbone = backbone
        self.model, self.adaptation, self.features, self.optimizer = model, adaptation, features, optimizer
        self.device, self.ctc_weight, self.smoothing, self.start = device, ctc_weight, smoothing, start
        self.largest_part = 1 << 30  # clips that fit in memory at once

    def step(
        self, examples: Sequence[Example], copies: Sequence[int], rate: float, max_norm: float
    ) -> dict[str, float]:
        """One optimiser step on clips; rate: share of each group's peak learning rate.

        Returns the losses, nats a token. Raises TrainError when memory does not hold a single clip.
        """
        self.model.train(self.adaptation.spec.trains_backbone)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        while True:
            try:
                losses = self._backward(examples, copies)
                break
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if not self.model.encoder.gradient_checkpointing:
                    self.model.checkpoint_gradients()
                elif self.largest_part > 1:
                    self.largest_part = max(1, min(self.largest_part, len(examples)) // 2)
                else:
                    raise TrainError(
                        "Not enough memory for a single clip: use shorter clips or --device cpu."
                    ) from None
        nn.utils.clip_grad_norm_(self.adaptation.parameters(), max_norm)
        self.optimizer.step()
        return losses

    def learn_head(self, batches: Sequence[Sequence[Example]], rate: float, max_norm: float) -> None:
        """A step on each batch of clips, in which a CTC head that starts from nothing learns alone.

        What else learns would otherwise be driven about by the gradients of a head that knows nothing. What the head
        reads is computed once a clip, since nothing changes it.
        """
        if not (head := self.new_head()):
            return
        optimizer = torch.optim.AdamW(head, lr=rate, betas=(0.9, 0.98))
        read = dict[str, Tensor]()
        for examples in batches:
            encoded = padded([self._read_once(example, read) for example in examples], self.device.torch_device)
            labels = Labels.of([example.tokens for example in examples]).to(self.device.torch_device)
            logits = self.model.ctc_logits(encoded, self.adaptation.handles(self.model))
            assert logits is not None
            optimizer.zero_grad(set_to_none=True)
            ctc_loss(logits, labels).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(head, max_norm)
            optimizer.step()

    def new_head(self) -> list[nn.Parameter]:
        """The parameters of a CTC head that starts from nothing, where one learns."""
        vocabularies = [part for part in self.adaptation.parts if isinstance(part, NewVocabulary)]
        if self.model.ctc is not None:
            return []
        parameters = [parameter for part in vocabularies for parameter in (part.ctc_weight, part.ctc_bias)]
        return [parameter for parameter in parameters if parameter is not None]

    @torch.no_grad()
    def _read_once(self, example: Example, read: dict[str, Tensor]) -> Tensor:
        """(frames, dim) of the encoder's output for the recording itself."""
        if example.sha256 not in read:
            self.model.eval()
            handles = self.adaptation.handles(self.model)
            with self.device.autocast():
                encoded = self._encode(self.features.batch([example], [CLEAN]), handles)
            read[example.sha256] = encoded.values[0].float().cpu()
        return read[example.sha256]

    def _backward(self, examples: Sequence[Example], copies: Sequence[int]) -> dict[str, float]:
        """The gradients of a batch, in as many parts as memory demands; parts weigh by their label tokens."""
        self.optimizer.zero_grad(set_to_none=True)
        sums = {"loss": 0.0, "ctc_loss": 0.0, "attention_loss": 0.0}
        tokens = sum(len(example.tokens) for example in examples)
        for start in range(0, len(examples), self.largest_part):
            part = slice(start, start + self.largest_part)
            share = sum(len(example.tokens) for example in examples[part]) / tokens
            with self.device.autocast():
                handles = self.adaptation.handles(self.model)
                encoded = self._encode(self.features.batch(examples[part], copies[part]), handles)
                labels = Labels.of([example.tokens for example in examples[part]]).to(self.device.torch_device)
                losses = self._losses(encoded, labels, handles)
            (losses.total * share).backward()  # type: ignore[no-untyped-call]
            for name, loss in zip(sums, losses, strict=True):
                sums[name] += float(loss.detach()) * share
        return sums

    def _losses(self, encoded: Frames, labels: Labels, handles: Handles) -> Losses:
        return joint_loss(self.model, encoded, labels, handles, self.ctc_weight, self.smoothing, self.start)

    def _encode(self, batch: Frames | Waveforms, handles: Handles) -> Frames:
        """From the constant frames, or from the waveforms where none are constant, to the encoder's output."""
        encoder, layer = self.model.encoder, self.features.layer
        if isinstance(batch, Waveforms):
            corrupt = SpecAugment() if self.model.training else None
            batch = encoder.embed(batch.samples, batch.lengths, corrupt=corrupt)
        if layer == ALL_LAYERS:
            return batch
        encoded = encoder(batch, handles, layer or 0)
        assert isinstance(encoded, Frames)
        return encoded

    @torch.no_grad()
    def decode(self, examples: Sequence[Example], handles: Handles, vocabulary: Vocabulary, batch: int) -> list[str]:
        """Quick texts for choosing the best step: CTC's best path, or greedy where no CTC head learns."""
        self.model.eval()
        options = DecodeOptions(beam_size=1, ctc_weight=1.0 if self.ctc_weight else 0.0)
        recogniser = Recogniser(self.model, vocabulary, handles, options, self.device)
        texts = []
        for start in range(0, len(examples), batch):
            part = examples[start : start + batch]
            with self.device.autocast():
                encoded = self._encode(self.features.batch(part, [CLEAN] * len(part)), handles)
            texts += recogniser.texts_of(encoded)
        return texts

    def result(self, folded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the run leaves: the adaptation's folded tensors, and the network's own where it learned."""
        tensors = {name: tensor.detach() for name, tensor in folded.items()}
        if self.adaptation.spec.trains_backbone:
            tensors |= {network_weight(name): tensor for name, tensor in self.model.state_dict().items()}
        return tensors


def make_state(
    settings: TrainSettings, backbone: Backbone, vocabulary: Vocabulary, device: Device, cache: FeatureCache | None
) -> TrainState:
    """The frozen backbone with a fresh adaptation, seeded."""
    torch.manual_seed(settings.seed)
    model = load_model(backbone, settings.window_seconds)
    if settings.gradient_checkpointing:
        model.checkpoint_gradients()
    shared_prompt = load_shared_prompt(backbone)
    adaptation = make_adaptation(
        settings.spec, model, backbone.vocabulary, vocabulary, shared_prompt, new_head=settings.ctc_weight > 0
    )
    adaptation.to(device.torch_device)
    model.to(device.torch_device)
    layer = constant_below(adaptation, model)
    kept = cache if settings.cache else None
    features = FeatureSource(model, backbone.sha256, layer, settings.augmentation, kept, device)
    optimizer = make_optimizer(adaptation, settings)
    smoothing = settings.label_smoothing_factor
    return TrainState(
        backbone, model, adaptation, features, optimizer, device, settings.ctc_weight, smoothing, vocabulary.start
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory did not suffice: on the CPU, PyTorch raises a plain RuntimeError."""
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "not enough memory" in str(error).lower()
        or ("can't allocate memory" in str(error))
    )


def make_optimizer(adaptation: Adaptation, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW.

    The vocabulary has a rate of its own, and prompts no decay (it would pull them out of their layers' range).
    """
    parts = [part for part in adaptation.parts if isinstance(part, NewVocabulary)]
    vocabulary = {id(parameter) for part in parts for parameter in part.parameters()}
    learning = [parameter for parameter in adaptation.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if id(p) in vocabulary], "peak": settings.vocabulary_learning_rate},
        {"params": [p for p in learning if id(p) not in vocabulary], "peak": settings.peak},
    ]
    decay = 0.0 if adaptation.spec.method == "prompt" else settings.weight_decay
    groups[1]["weight_decay"] = decay
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), weight_decay=settings.weight_decay)


def frozen_hash(model: nn.Module) -> str:
    """SHA-256 over the weights that do not learn."""
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        if not parameter.requires_grad:
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(parameter.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()


def constant_below(adaptation: Adaptation, model: EncoderDecoder) -> int | None:
    """The encoder layer below which training changes nothing, as `FeatureSource` counts it."""
    if any(parameter.requires_grad for parameter in model.encoder.parameters()):
        return None
    lowest = adaptation.handles(model).lowest_encoder_layer()
    return ALL_LAYERS if lowest is None else lowest
