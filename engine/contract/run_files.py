"""The files of a run's folder: what each is called, and readers of those that hold nothing but plain values.

Vocabularies, language models and scores have readers of their own, which take these paths.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import UsageError
from .events import Event, event_of
from .files import read_json
from .run_request import RunRequest

_START = b'{"event": "start"'  # how the line of a training's first event begins


@dataclass(frozen=True)
class Taken:
    """How much was guessed in recordings that nobody has written down, and how much of it is learnt."""

    pieces: int
    seconds: float
    learnt: int  # of the pieces
    learnt_seconds: float


@dataclass(frozen=True)
class RunFiles:
    """One run's folder."""

    folder: Path

    @property
    def settings(self) -> Path:
        """The request."""
        return self.folder / "settings.json"

    @property
    def asked(self) -> Path:
        """The request as it was, while its vocabulary is still to be chosen (`runs.choice`)."""
        return self.folder / "asked.json"

    @property
    def vocabulary(self) -> Path:
        """The vocabulary that it writes in."""
        return self.folder / "vocabulary.json"

    @property
    def clips(self) -> Path:
        """Which clips were used how: hashes by split."""
        return self.folder / "clips.json"

    @property
    def untranscribed(self) -> Path:
        """What `taken` reads."""
        return self.folder / "untranscribed.json"

    @property
    def guessed(self) -> Path:
        """The folder of what is learnt of these, with their sound; it goes when the training has ended."""
        return self.folder / "guessed"

    @property
    def guesses(self) -> Path:
        """What they seem to say."""
        return self.guessed / "guesses.json"

    @property
    def texts(self) -> Path:
        """Further sentences for the language model, one a line; not in every run."""
        return self.folder / "texts.txt"

    @property
    def language_model(self) -> Path:
        """The n-gram language model; not in every run."""
        return self.folder / "language_model.safetensors"

    @property
    def best(self) -> Path:
        """The adaptation's tensors at the best step, by dev."""
        return self.folder / "best.safetensors"

    @property
    def start(self) -> Path:
        """The tensors that the training starts from: another run's result; not in every run."""
        return self.folder / "start.safetensors"

    @property
    def checkpoint(self) -> Path:
        """Where a resumed training goes on."""
        return self.folder / "checkpoint.safetensors"

    @property
    def events(self) -> Path:
        """The training's events, a JSON object a line."""
        return self.folder / "events.jsonl"

    @property
    def log(self) -> Path:
        """What its process prints."""
        return self.folder / "log.txt"

    @property
    def stop(self) -> Path:
        """Its presence asks the training to end."""
        return self.folder / "stop"

    @property
    def held(self) -> Path:
        """Room on the disk that its process gives up in order to say that the disk is full."""
        return self.folder / "held"

    def scores(self, split: str) -> Path:
        """The adapted model's scores."""
        return self.folder / f"scores-{split}.json"

    def base_scores(self, split: str) -> Path:
        """The bare backbone's scores."""
        return self.folder / f"base-scores-{split}.json"

    @property
    def bare_texts(self) -> Path:
        """What the bare backbone wrote of the clips, and under which conditions."""
        return self.folder / "bare-texts.json"

    def predictions(self, split: str) -> Path:
        """References and hypotheses as a table."""
        return self.folder / f"predictions-{split}.tsv"

    def trn(self, split: str) -> Path:
        """The folder of both as sclite reads them."""
        return self.folder / f"trn-{split}"

    def request(self) -> RunRequest:
        """What was asked for."""
        return RunRequest.from_json(read_json(self.settings))

    def clip_hashes(self) -> dict[str, list[str]]:
        """The clips by split, as SHA-256 of their files."""
        hashes: dict[str, list[str]] = read_json(self.clips)
        return hashes

    def check_has_result(self) -> None:
        """Raises UsageError where no evaluation has left a result yet."""
        if not self.best.exists():
            raise UsageError(
                f"Run {self.folder.name} has no result yet: let it train, or resume it with "
                f"`lect train --resume {self.folder.name}`."
            )

    def dev_scores(self) -> dict[str, Any]:
        """The scores on dev as JSON, without rows; empty where there are none yet."""
        path = self.scores("dev")
        return {**read_json(path), "rows": []} if path.exists() else {}

    def taken(self) -> Taken | None:
        """How much is learnt of recordings that nobody has written down; None where there were none."""
        return Taken(**read_json(self.untranscribed)) if self.untranscribed.exists() else None

    def check_can_go_on(self) -> None:
        """Raises UsageError where the sound of recordings that it learns from is deleted."""
        if self.untranscribed.exists() and not self.guesses.exists():
            raise UsageError(
                f"The recordings without a text that run {self.folder.name} learnt from are deleted, so it cannot go "
                "on: start a new one with --untranscribed."
            )

    def read_events(self, start: int = 0) -> Iterator[tuple[Event, int]]:
        """The whole events from byte `start` of the file on, each with the byte behind it; none without a file."""
        if not self.events.exists():
            return
        with self.events.open("rb") as file:
            file.seek(start)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # still being written
                start += len(line)
                yield event_of(line), start

    def last_start(self) -> int:
        """The byte at which the latest training's events begin; 0 without any."""
        return max(self.events.read_bytes().rfind(_START), 0) if self.events.exists() else 0
