"""How one training goes. Names follow Hugging Face's TrainingArguments and PEFT where they have one."""

import math
from dataclasses import dataclass, field

from .adaptation_spec import AdaptationSpec

LEARNING_RATES = {"prompt": 1e-2, "adapter": 2e-3, "lora": 2e-3, "vocabulary": 0.0, "finetune": 3e-4, "scratch": 1e-3}

FULL_RANK_RATE = 4e-4


@dataclass(frozen=True)
class Augmentation:
    """How often, and how far, recordings are changed."""

    speed: float = 0.12  # playing speed up to this share faster or slower (changes pitch too)
    speed_share: float = 0.7
    noise_share: float = 0.5
    snr_db: tuple[float, float] = (5.0, 30.0)
    room_share: float = 0.3
    band_share: float = 0.15  # telephone-like narrow band
    clip_share: float = 0.05


@dataclass(frozen=True)
class TrainSettings:
    """One training. Names follow Hugging Face's TrainingArguments and PEFT where they have one."""

    spec: AdaptationSpec = field(default_factory=AdaptationSpec)
    learning_rate: float = 0.0  # peak, of all but the vocabulary; 0: LEARNING_RATES of the method
    vocabulary_learning_rate: float = 3e-3  # new embedding and CTC head
    max_steps: int = 0  # 0: by the size of the set
    num_train_epochs: int = 60  # from which it follows, within limits
    per_device_train_batch_size: int = 8
    warmup_ratio: float = 0.05
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    early_stopping_patience: int = 8  # evaluations without a better dev score
    evaluations: int = 20  # over the whole run
    # 0 for labels in another order than they are spoken, which CTC cannot learn; 1 for CTC alone, also in decoding. In
    # the vocabulary of a backbone that has no CTC head there is no such loss, at any weight.
    ctc_weight: float = 0.5
    joint_search_weight: float = 0.6  # of CTC in decoding, where CTC and attention both learnt
    head_steps: int = 60  # that a CTC head which starts from nothing learns alone, before all else does
    head_learning_rate: float = 5e-3  # in these steps
    label_smoothing_factor: float = 0.1
    copies: int = 6  # of each clip: the recording itself and random variants
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    cache: bool = True
    packings: int = 0  # ways in which clips are packed into full windows (`packing`); 0: each has one of its own
    window_seconds: float | None = None  # what shorter clips are padded up to; None: as the backbone's config has it
    gradient_checkpointing: bool = False  # from the first step on; else once memory does not suffice

    @property
    def peak(self) -> float:
        """The learning rate at its highest, of all but the vocabulary."""
        return self.learning_rate or (FULL_RANK_RATE if self.spec.full_rank else LEARNING_RATES[self.spec.method])

    @property
    def search_ctc_weight(self) -> float:
        """The weight of CTC in decoding: a part that learnt nothing has no say."""
        return self.joint_search_weight if 0 < self.ctc_weight < 1 else self.ctc_weight

    def steps(self, clips: int) -> int:
        """Optimiser steps for a set of this size."""
        return self.max_steps or min(3000, self.num_train_epochs * max(5, self.batches(clips)))

    def batches(self, clips: int) -> int:
        """Batches an epoch."""
        return math.ceil(clips / self.per_device_train_batch_size)
