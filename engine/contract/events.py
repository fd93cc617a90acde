"""What a training reports on its way, in this order: a small frozen record of each kind, and its line of JSON.

OwnTokensChosen, Started, (BaseScored | resumed), FeaturesReady …, Stepped …, Evaluated …, Ended, LanguageModelChosen,
Scoring, Scored …, Done; or Failed at any point.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """What all events share."""

    kind: ClassVar[str]

    def to_line(self) -> str:
        """One line of JSON."""
        return _line(self.kind, asdict(self))


@dataclass(frozen=True)
class OwnTokensChosen(Event):
    """The backbone alone writes so well that its own tokens are tuned."""

    kind = "own_tokens"
    dev_cer: float  # greedy
    clips: int  # of dev, that it was heard on


@dataclass(frozen=True)
class Started(Event):
    """A training begins, or goes on."""

    kind = "start"
    settings: dict[str, Any]  # TrainSettings as JSON
    device: str
    precision: str
    steps: int  # at most
    train_clips: int
    train_seconds: float
    dev_clips: int
    trained_parameters: int
    constant_below_layer: int | None  # see `features.FeatureSource`


@dataclass(frozen=True)
class BaseScored(Event):
    """The bare backbone on dev."""

    kind = "base"
    dev_cer: float


@dataclass(frozen=True)
class FeaturesReady(Event):
    """The frames of one more clip are computed."""

    kind = "features"
    done: int
    total: int
    kept: bool = True  # else the disk is nearly full, and they are computed again whenever they are needed


@dataclass(frozen=True)
class Stepped(Event):
    """One optimiser step; losses in nats a token."""

    kind = "step"
    step: int
    loss: float
    ctc_loss: float
    attention_loss: float
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class ShownText:
    """What a dev clip was decoded to, beside its label."""

    text: str
    label: str


@dataclass(frozen=True)
class Evaluated(Event):
    """Dev was scored, and the best result kept."""

    kind = "evaluation"
    step: int
    best_step: int
    best_cer: float
    worse_evaluations: int  # since the best
    seconds: float
    dev_cer: float
    texts: tuple[ShownText, ...]


@dataclass(frozen=True)
class Ended(Event):
    """All steps are done, or the training was stopped."""

    kind = "end"
    step: int
    best_step: int
    best_cer: float
    worse_evaluations: int
    seconds: float
    frozen_sha256: str  # of the weights that did not learn
    stopped: bool  # before its last step


@dataclass(frozen=True)
class LanguageModelChosen(Event):
    """Shallow fusion with an n-gram language model does good on dev."""

    kind = "language_model"
    weight: float


@dataclass(frozen=True)
class Scoring(Event):
    """A split is being decoded, bare and adapted."""

    kind = "scoring"
    split: str


@dataclass(frozen=True)
class Scored(Event):
    """A split's scores."""

    kind = "scores"
    figures: dict[str, Any]  # Scores as JSON, without rows
    summary: str  # for people

    def to_line(self) -> str:
        """One line of JSON, the figures beside the summary."""
        return _line(self.kind, {**self.figures, "summary": self.summary})


@dataclass(frozen=True)
class Done(Event):
    """Everything is written."""

    kind = "done"
    run: str


@dataclass(frozen=True)
class Failed(Event):
    """It could not go on."""

    kind = "error"
    message: str  # one sentence for people


def _line(kind: str, facts: dict[str, Any]) -> str:
    return json.dumps({"event": kind, **facts}, ensure_ascii=False) + "\n"


_KINDS: dict[str, type[Event]] = {each.kind: each for each in Event.__subclasses__()}


def event_of(line: str | bytes) -> Event:
    """The event of a line that `to_line` wrote."""
    value = json.loads(line)
    kind = _KINDS[value.pop("event")]
    if kind is Scored:
        return Scored(summary=value.pop("summary"), figures=value)
    if kind is Evaluated:
        value["texts"] = tuple(ShownText(**text) for text in value["texts"])
    return kind(**value)
