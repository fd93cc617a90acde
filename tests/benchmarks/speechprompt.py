"""SpeechPrompt v1 (Chang et al. 2022, arXiv 2203.16773), the baseline of the paper that Lect builds on: deep prompts on
a frozen language model over units of speech, which after the units of a clip writes its label.

`python -m tests.benchmarks.speechprompt FOLDER --speech SET ... --project PROJECT ...` prints a table as `lect lab`
does: the same splits, text rules, copies of clips, schedule, search and scores. Units and language model are kept in
FOLDER and not made again. It writes nothing into a project.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from lect.engine.audio.reading import load_audio
from lect.engine.contract.files import read_json, write_bytes, write_json
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.data.clips import SPLITS, Clip
from lect.engine.data.store import Project
from lect.engine.decoding.search import DecodeOptions, decode
from lect.engine.lab.experiments import Row
from lect.engine.lab.report import markdown
from lect.engine.model.device import Device, choose_device
from lect.engine.model.weights import save_tensors
from lect.engine.pretraining.acoustic_units import units_of
from lect.engine.runs.scored import score_clips
from lect.engine.scoring.edit_distance import character_error_rate
from lect.engine.scoring.scores import Scores
from lect.engine.text.vocabulary import Vocabulary
from lect.engine.text.vocabulary_building import build_vocabulary
from lect.engine.training.augment import augment
from lect.engine.training.features import CLEAN, Example
from lect.engine.training.train import rate, step_batch
from tests.benchmarks.speech_units import CLUSTERS, Encoder, Frames, UnitCorpus, centroids_in, unit_corpus
from tests.benchmarks.unit_language_model import UnitLanguageModel, perplexity, pretrain
from tests.benchmarks.unit_prompts import PromptDecoder, UnitPrompts, verbalised

LABELS = ("letters", "units")  # a label is written in symbols that are learnt, or in the language model's units
LEARNING_RATE = 5e-3  # of prompts, SpeechPrompt v1's
GREEDY, BEAM = DecodeOptions(beam_size=1, ctc_weight=0.0), DecodeOptions(ctc_weight=0.0)
MODEL, FACTS = "model.safetensors", "model.json"

Heard = Mapping[tuple[str, int], Sequence[int]]  # the units of a clip (its hash) and copy


@dataclass(frozen=True)
class Task:
    """A project's clips, as units."""

    project: Project
    clips: Mapping[str, Sequence[Clip]]  # by split
    vocabulary: Vocabulary
    heard: Heard

    @classmethod
    def of(cls, project: Project, frames: Frames, centroids: np.ndarray, settings: TrainSettings) -> "Task":
        """The copies of the clips of train are as many as in a run, and changed alike."""
        clips = {split: project.clips(split, usable_only=True) for split in SPLITS}
        vocabulary = build_vocabulary([project.rules.apply(clip.text) for clip in clips["train"]])
        heard = dict[tuple[str, int], Sequence[int]]()
        for split in SPLITS:
            for clip in clips[split]:
                sounds = _copies(clip, settings, settings.copies if split == "train" else 1)
                heard |= {(clip.sha256, at): units_of(frames(x), centroids).tolist() for at, x in enumerate(sounds)}
        return cls(project, clips, vocabulary, heard)

    def examples(self, split: str) -> list[Example]:
        """As training reads them."""
        rules = self.project.rules
        return [
            Example(clip.sha256, clip.path, clip.seconds, tuple(self.vocabulary.encode(rules.apply(clip.text))))
            for clip in self.clips[split]
        ]

    def texts(self, prompts: UnitPrompts, split: str, options: DecodeOptions) -> list[str]:
        """What is written of each clip."""
        prompts.eval()
        texts = []
        for clip in self.clips[split]:
            units = self.heard[clip.sha256, CLEAN]
            found = decode(
                partial(PromptDecoder, prompts, units), None, np.array([len(units)]), self.vocabulary, options
            )
            texts.append(self.vocabulary.decode(found[0].tokens))
        return texts

    def scores(self, prompts: UnitPrompts, split: str) -> Scores:
        """As those of a run without a CTC head."""
        return score_clips(self.project, self.clips[split], self.texts(prompts, split, BEAM), split)


def _copies(clip: Clip, settings: TrainSettings, count: int) -> list[np.ndarray]:
    """A clip itself, then random variants of it."""
    waveform, rng = load_audio(clip.path), np.random.default_rng([settings.seed, int(clip.sha256[:8], 16)])
    return [waveform, *(augment(waveform, settings.augmentation, (), rng) for _ in range(1, count))]


def language_model(folder: Path, corpus: UnitCorpus, epochs: int, device: Device) -> UnitLanguageModel:
    """That of the folder, trained if there is none."""
    torch.manual_seed(0)
    model = UnitLanguageModel(CLUSTERS)
    if not (folder / MODEL).exists():
        start, found = time.monotonic(), list[float]()
        for epoch, loss in enumerate(pretrain(model, corpus.train, epochs, device), start=1):
            found.append(perplexity(model, corpus.held_out))
            _say(f"epoch {epoch}: loss {loss:.3f}, perplexity on held-out speech {found[-1]:.2f}")
        write_json(folder / FACTS, {"perplexities": found, "seconds": time.monotonic() - start})
        save_tensors(folder / MODEL, model.state_dict())
    model.load_state_dict(load_file(folder / MODEL))
    return model.eval().requires_grad_(False)


def tune(prompts: UnitPrompts, task: Task, settings: TrainSettings, device: Device) -> None:
    """Trains prompts, and leaves them as they were where they did best on dev, greedily."""
    examples = task.examples("train")
    groups = [
        {"params": [prompts.keys, prompts.values], "peak": LEARNING_RATE},
        {"params": prompts.letters(), "peak": settings.vocabulary_learning_rate},
    ]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98))
    total, best, worse = settings.steps(len(examples)), (np.inf, prompts.tensors()), 0
    for step in range(total):
        torch.manual_seed(settings.seed * 1_000_003 + step)
        batch, copies = step_batch(settings, examples, step)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate(settings, step, total)
        units = [task.heard[each.sha256, copy] for each, copy in zip(batch, copies, strict=True)]
        optimizer.zero_grad(set_to_none=True)
        with device.autocast():
            loss = prompts.learning().loss(units, [each.tokens for each in batch])
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(prompts.parameters(), settings.max_grad_norm)
        optimizer.step()
        if (step + 1) % max(10, total // settings.evaluations) == 0 or step + 1 == total:
            cer = _dev_cer(prompts, task)
            _say(f"step {step + 1} of {total}: loss {float(loss.detach()):.3f}, dev CER {cer:.1%}")
            best, worse = ((cer, prompts.tensors()), 0) if cer < best[0] else (best, worse + 1)
            if worse == settings.early_stopping_patience:
                break
    prompts.load_state_dict(best[1], strict=False)


def _dev_cer(prompts: UnitPrompts, task: Task) -> float:
    rules = task.project.rules
    texts = [rules.apply(text) for text in task.texts(prompts, "dev", GREEDY)]
    return character_error_rate(texts, [rules.apply(clip.text) for clip in task.clips["dev"]])


def row(model: UnitLanguageModel, task: Task, labels: str, length: int, settings: TrainSettings, device: Device) -> Row:
    """A system of the table, trained; its base is the language model under the prompts as they begin."""
    torch.manual_seed(settings.seed)
    start, train = time.monotonic(), task.clips["train"]
    tokens = [example.tokens for example in task.examples("train")]
    units = None
    if labels == "units":
        units = verbalised(tokens, [task.heard[clip.sha256, CLEAN] for clip in train], len(task.vocabulary), model.end)
    prompts = UnitPrompts(model, len(task.vocabulary), length, units)
    base = task.scores(prompts, "test")
    tune(prompts, task, settings, device)
    test = task.scores(prompts, "test")
    new = sum(parameter.numel() for parameter in prompts.letters())
    return Row(
        data=task.project.name,
        system=f"SpeechPrompt, labels as {labels}, length {length}",
        asked_minutes=0.0,
        minutes=sum(clip.seconds for clip in train) / 60,
        clips=len(train),
        trained=prompts.keys.numel() + prompts.values.numel() + new,
        vocabulary=new,
        seeds=(settings.seed,),
        cells=(),
        base=base,
        dev=task.scores(prompts, "dev"),
        test=test,
        test_cers=(test.cer,),
        against=None,
        seconds=time.monotonic() - start,
    )


def conditions(folder: Path, model: UnitLanguageModel, corpus: UnitCorpus, encoder: Encoder) -> str:
    """What the language model is."""
    size, found = sum(parameter.numel() for parameter in model.parameters()), read_json(folder / FACTS)
    return (
        f"A language model of {size:,} parameters over {CLUSTERS} clusters of {encoder.backbone}'s encoder layer "
        f"{encoder.layer}, trained on {corpus.hours:.1f} hours: perplexity {found['perplexities'][-1]:.2f} a unit on "
        f"speakers that were held out, against {unigram_perplexity(corpus):.1f} by frequency alone."
    )


def unigram_perplexity(corpus: UnitCorpus) -> float:
    """Of the held-out units when each is expected as often as it comes in train."""
    counts = Counter(unit for clip in corpus.train for unit in clip)
    logs = [np.log((counts[unit] + 1) / (counts.total() + CLUSTERS)) for clip in corpus.held_out for unit in clip]
    return float(np.exp(-np.mean(logs)))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Iterable[str] | None = None) -> None:
    """Units, language model, and a row for each project and way to write labels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--speech", nargs="+", type=Path, required=True, help="sets that the language model hears")
    parser.add_argument("--without", nargs="*", default=[], help="languages that it must not hear")
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--backbone", default="whisper-base", help="whose encoder's frames are clustered")
    parser.add_argument("--layer", type=int, default=4)
    parser.add_argument("--project", nargs="+", type=Path, required=True, help="with splits; nothing is written there")
    parser.add_argument("--labels", nargs="+", choices=LABELS, default=LABELS)
    parser.add_argument("--length", type=int, default=144, help="of the prompts")
    parser.add_argument("--passes", type=int, default=TrainSettings().num_train_epochs, help="of prompts over a set")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(None if arguments is None else [*arguments])
    encoder, device = Encoder(args.backbone, args.layer), choose_device("cpu")
    settings = replace(TrainSettings(), seed=args.seed, num_train_epochs=args.passes)
    frames = encoder.frames(device)
    corpus = unit_corpus(args.folder, args.speech, args.without, args.hours, frames)
    model = language_model(args.folder, corpus, args.epochs, device)
    tasks = [Task.of(Project.open(path), frames, centroids_in(args.folder), settings) for path in args.project]
    rows = list[Row]()
    for labels, task in product(args.labels, tasks):
        rows.append(row(model, task, labels, args.length, settings, device))
        table = markdown(rows, "SpeechPrompt", conditions(args.folder, model, corpus, encoder))
        write_bytes(args.folder / "table.md", table.encode())
    print(table)


if __name__ == "__main__":
    main()
