"""Deep prompts on a frozen language model over units, and how it writes a label under them (SpeechPrompt, Chang et al.
2022): the units of a clip, an end, the label, an end.

It does not know audio, nor how prompts are trained.
"""

from collections import Counter
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from lect.engine.contract.errors import UsageError
from lect.engine.decoding.ctc import Ints, LogProbs
from lect.engine.model.adaptations import project
from lect.engine.model.handles import KeyValue
from lect.engine.text.vocabulary import EOS
from tests.benchmarks.unit_language_model import UnitLanguageModel

DROPOUT = 0.1
PADDING = -100  # a target that counts for nothing

State = tuple[int, list[KeyValue]]  # the next position, and each layer's keys/values


class UnitPrompts(nn.Module):
    """Keys and values in front of each layer's own, before the frozen projections, and a row for each token of a label.

    units: the unit that each token is written in, whose rows do not learn; None: new rows, which do.
    """

    def __init__(self, model: UnitLanguageModel, tokens: int, length: int, units: Sequence[int] | None):
        super().__init__()
        self.model = model
        shape = (len(model.layers), length, model.config.dim)
        self.keys, self.values = nn.Parameter(torch.randn(shape)), nn.Parameter(torch.randn(shape))
        if units is None:
            self.rows = nn.Parameter(torch.randn(tokens, model.config.dim) * model.embedding.std())
        else:
            self.rows = nn.Parameter(model.embedding[list(units)].clone(), requires_grad=False)

    def letters(self) -> list[nn.Parameter]:
        """The rows, where they learn."""
        return [self.rows] if self.rows.requires_grad else []

    def tensors(self) -> dict[str, Tensor]:
        """A copy of all that may learn, for `load_state_dict`."""
        own = {"keys": self.keys, "values": self.values, "rows": self.rows}
        return {name: parameter.detach().clone() for name, parameter in own.items()}

    def learning(self) -> "UnitPrompts":
        """In training mode, but for the language model."""
        self.train().model.eval()
        return self

    def past(self, batch: int) -> list[KeyValue]:
        """Each layer's keys/values before the first unit."""
        keys, values = (F.dropout(each, DROPOUT, self.training) for each in (self.keys, self.values))
        layers = zip(self.model.attentions(), keys, values, strict=True)
        return [project(attention, key, value).rows(batch) for attention, key, value in layers]

    def loss(self, units: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> Tensor:
        """The mean cross-entropy of the labels' tokens, their ends included."""
        inputs, targets = list[Tensor](), list[Tensor]()
        for clip, label in zip(units, labels, strict=True):
            inputs.append(torch.cat([self.heard(clip), self.rows[[EOS, *label]]]))
            targets.append(torch.tensor([*[PADDING] * (len(clip) + 1), *label, EOS]))
        states, _ = self.model(pad_sequence(inputs, batch_first=True), 0, self.past(len(units)))
        wanted = pad_sequence(targets, batch_first=True, padding_value=PADDING)
        counts = wanted != PADDING
        return F.cross_entropy(F.linear(states[counts], self.rows), wanted[counts])

    def heard(self, units: Sequence[int]) -> Tensor:
        """(1 + units, dim): what the language model reads of a clip."""
        return self.model.embedding[[self.model.end, *units]]


class PromptDecoder:
    """The `StepDecoder` of one clip."""

    def __init__(self, prompts: UnitPrompts, units: Sequence[int]):
        self.prompts, self.units = prompts, units

    @torch.no_grad()
    def start(self) -> State:
        """Behind the units."""
        _, past = self.prompts.model(self.prompts.heard(self.units)[None], 0, self.prompts.past(1))
        return len(self.units) + 1, past

    @torch.no_grad()
    def step(self, tokens: Ints, state: State) -> tuple[LogProbs, State]:
        """(rows,) -> (rows, tokens) log-probabilities and the next state."""
        rows, (position, past) = self.prompts.rows, state
        states, past = self.prompts.model(rows[torch.from_numpy(tokens)][:, None], position, past)
        log_probs: LogProbs = F.linear(states[:, 0], rows).log_softmax(-1).numpy()
        return log_probs, (position + 1, past)

    def reorder(self, state: State, rows: Ints) -> State:
        """Picks and repeats rows."""
        index = torch.from_numpy(rows)
        return state[0], [KeyValue(pair.key[index], pair.value[index]) for pair in state[1]]


def verbalised(labels: Sequence[Sequence[int]], clips: Sequence[Sequence[int]], tokens: int, end: int) -> list[int]:
    """The unit that stands for each token: the more frequent that is in labels, the more frequent this is in clips.

    end: what the end of a label is written in; units are below it. Raises UsageError where they do not suffice.
    """
    if tokens - 1 > end:
        raise UsageError(f"There are {tokens} symbols for {end} units: write labels in letters.")
    written, spoken = (Counter(each for one in several for each in one) for several in (labels, clips))
    frequent = sorted(range(end), key=lambda unit: -spoken[unit])
    ordered = sorted((token for token in range(tokens) if token != EOS), key=lambda token: -written[token])
    found = dict(zip(ordered, frequent, strict=False))
    return [found.get(token, end) for token in range(tokens)]
