"""The folder of a pretraining: its symbols and its network, which the first start fixes, and where its events go.

It does not know how a pretraining goes.
"""

from dataclasses import dataclass
from pathlib import Path

from ..contract.errors import UsageError
from ..contract.files import read_json, write_json
from ..contract.model_config import ModelConfig
from ..text.vocabulary import Vocabulary
from .corpus import Corpus
from .prepare import symbols

RARE_PHONE = 30  # times that a symbol must occur to be learnt


@dataclass(frozen=True)
class TrainingFolder:
    """One pretraining's folder."""

    folder: Path

    @property
    def events(self) -> Path:
        """What the training reports, a JSON object a line."""
        return self.folder / "events.jsonl"

    def vocabulary(self) -> Vocabulary:
        """Its symbols."""
        return Vocabulary("phone", tuple(read_json(self._symbols)))

    def config(self) -> ModelConfig:
        """Its network. Raises UsageError where no pretraining has begun."""
        if not self._config.exists():
            raise UsageError(f"{self.folder} holds no pretraining: start one with `lect pretrain run CORPUS FOLDER`.")
        return ModelConfig.from_json(read_json(self._config))

    def fix_symbols(self, corpus: Corpus, start: Vocabulary | None) -> Vocabulary:
        """The folder's symbols; at the first start those of `start`, or else the corpus's. Raises UsageError."""
        if not self._symbols.exists():
            write_json(self._symbols, start.symbols if start else [" ", *_symbols_of(corpus)])
        return self.vocabulary()

    def fix_config(self, wanted: ModelConfig) -> ModelConfig:
        """The folder's network; at the first start the one that is wanted."""
        if not self._config.exists():
            write_json(self._config, wanted.to_json())
        return self.config()

    @property
    def _symbols(self) -> Path:
        return self.folder / "symbols.json"

    @property
    def _config(self) -> Path:
        return self.folder / "config.json"


def _symbols_of(corpus: Corpus) -> list[str]:
    found = symbols((utterance.label for utterance in corpus.utterances), RARE_PHONE)
    if not found:
        raise UsageError(
            f"No symbol occurs {RARE_PHONE} times in {corpus.folder}: add more, or label it with `lect pretrain units`."
        )
    return list(found)
