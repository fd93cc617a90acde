"""From a request to a run: its clips and its vocabulary, fixed in the run's folder so that later changes to the project
leave it alone.

It does not know how a training goes.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from ..contract.adaptation_spec import parse_placement, parse_projections
from ..contract.errors import TrainError, UsageError
from ..contract.files import atomic_path, read_json, write_bytes, write_json
from ..contract.run_files import RunFiles
from ..contract.run_request import RunRequest
from ..contract.train_settings import TrainSettings
from ..data.clips import SPLITS, Clip
from ..data.consent import check_covered, check_unnamed_covered
from ..data.layouts.items import decode
from ..data.store import Project
from ..model.backbone import Backbone, open_backbone
from ..text.rules import TextRules
from ..text.vocabulary import Vocabulary
from ..text.vocabulary_building import build_vocabulary, grown
from ..training.features import Example
from .guesses import Guess, guessed_examples, keep_guesses, surest
from .recipe import continuing, for_labels, is_open, recommended

MOST_TEXT = 6_000_000  # characters, a Bible and a half, whose counting takes 20 s and 0.6 GB
LEAST_TRAIN_CLIPS = 4


@dataclass(frozen=True)
class RunData:
    """The clips of a run by split, and the vocabulary that it writes in."""

    project: Project
    clips: dict[str, list[Clip]]
    vocabulary: Vocabulary
    guessed: tuple[Example, ...] = ()  # learnt beside the clips of train

    @classmethod
    def open(cls, project: Project, run_id: str) -> "RunData":
        """The clips that the run was made with and that are still there."""
        files = RunFiles(project.run(run_id).folder)
        by_hash = {clip.sha256: clip for clip in project.clips()}
        clips = {
            split: [by_hash[sha] for sha in hashes if sha in by_hash] for split, hashes in files.clip_hashes().items()
        }
        vocabulary = Vocabulary.from_json(read_json(files.vocabulary))
        return cls(project, clips, vocabulary, tuple(guessed_examples(files, vocabulary)))

    def texts(self, split: str) -> list[str]:
        """Normalised labels."""
        rules = self.project.rules
        return [rules.apply(clip.text) for clip in self.clips[split]]

    def labelled(self, split: str) -> list[Example]:
        """The clips as training reads them."""
        rules = learnt_rules(self.project.rules, self.vocabulary)
        return [
            Example(clip.sha256, clip.path, clip.seconds, tuple(self.vocabulary.encode(rules.apply(clip.text))))
            for clip in self.clips[split]
        ]

    def examples(self, split: str) -> list[Example]:
        """What training reads: the clips, and with those of train what was guessed."""
        return [*self.labelled(split), *(self.guessed if split == "train" else ())]


def create_run(project: Project, request: RunRequest, guesses: Sequence[Guess] = ()) -> str:
    """Enters a run and fixes its data; its id.

    guesses: at recordings that nobody has written down, of which the surest are learnt too. Raises TrainError when the
    set cannot be trained on, UsageError for what the backbone cannot have, and where no guess is sure.
    """
    asked = for_labels(project, continued(project, request))
    request = checked(asked)
    data = gather(project, request)
    sure = surest(guesses) if request.guessed_by else []
    before = RunFiles(project.run(request.start).folder) if request.start else None
    texts = [line.strip() for line in _lines(Path(request.texts))] if request.texts else []
    run_id = project.add_run(request.to_json())
    files = RunFiles(project.run(run_id).folder)
    write_json(files.settings, request.to_json())
    write_json(files.vocabulary, data.vocabulary.to_json())
    write_json(files.clips, {split: [clip.sha256 for clip in clips] for split, clips in data.clips.items()})
    if is_open(project, asked):
        write_json(files.asked, asked.to_json())
    if sure:
        keep_guesses(files, guesses, sure)
    if texts:
        write_bytes(files.texts, "\n".join(filter(None, texts)).encode())
    elif before and before.texts.exists():
        write_bytes(files.texts, before.texts.read_bytes())
    if before:  # a copy, since that run may be resumed and leave another result
        with atomic_path(files.start) as temporary:
            shutil.copyfile(before.best, temporary)
    return run_id


def continued(project: Project, request: RunRequest) -> RunRequest:
    """The request as `recipe.continuing` has it, where it starts from a run.

    Raises UsageError when that has no result yet, StoreError when there is none of this name.
    """
    if not request.start:
        return request
    before = RunFiles(project.run(request.start).folder)
    before.check_has_result()
    return continuing(request, before.request())


def checked(request: RunRequest) -> RunRequest:
    """The request as its backbone can have it: with a method, and no CTC loss where there will be no head for one.

    Raises UsageError for a placement, projections or a backbone that there are not, and where a weight was asked for of
    a CTC loss that there is no head for.
    """
    backbone, stated = open_backbone(request.backbone), request.stated
    request = recommended(request, backbone)
    parse_placement(request.settings.spec.placement, backbone.config)
    parse_projections(request.settings.spec.on)
    _check_window(request.settings.window_seconds, backbone)
    if backbone.config.ctc or not request.keeps_vocabulary(backbone.vocabulary.kind):
        return request
    weight = request.settings.ctc_weight
    if weight and ("ctc_weight" in stated or weight != TrainSettings().ctc_weight):
        raise UsageError(
            f"The backbone {request.backbone!r} has no CTC head for its own vocabulary: leave --ctc-weight or "
            "--vocabulary out."
        )
    return replace(request, settings=replace(request.settings, ctc_weight=0.0))


def _check_window(seconds: float | None, backbone: Backbone) -> None:
    most = backbone.config.mel_window_seconds
    if seconds is not None and not 0 < seconds <= most:
        room = f"hears {most:g} seconds at once" if most else "takes clips as long as they are"
        raise UsageError(f"The backbone {backbone.name!r} {room}: give fewer --window-seconds, or leave them out.")


def gather(project: Project, request: RunRequest) -> RunData:
    """Splits what has no split yet and builds the vocabulary.

    Raises TrainError when there is too little, UsageError where somebody's consent does not cover training.
    """
    if any(not clip.split for clip in project.clips(usable_only=True)):
        project.assign_splits()
    clips = {split: project.clips(split, usable_only=True) for split in SPLITS}
    rules = project.rules
    clips = {split: [clip for clip in each if rules.apply(clip.text)] for split, each in clips.items()}
    clips["train"] = _first_minutes(clips["train"], request.minutes)
    if len(clips["train"]) < LEAST_TRAIN_CLIPS or not clips["dev"]:
        raise TrainError(
            f"There are {len(clips['train'])} usable clips to train on and {len(clips['dev'])} to check with: "
            f"import or record at least {LEAST_TRAIN_CLIPS + 2} clips, then run `lect split`."
        )
    check_covered(project, "train", [clip for each in clips.values() for clip in each])
    if request.guessed_by:
        check_unnamed_covered(project, "train")
    vocabulary = run_vocabulary(project, request, [rules.apply(clip.text) for clip in clips["train"]])
    return RunData(project, clips, vocabulary)


def run_vocabulary(project: Project, request: RunRequest, texts: Sequence[str]) -> Vocabulary:
    """What a run writes in: the backbone's own tokens ("backbone"), or symbols or whole "words" of its texts ("new").

    "auto" keeps a Whisper's own where there is no CTC loss, see `recommended`. A language that the backbone has no
    token for gets a new one in a new vocabulary, and in the backbone's own the token that it starts with anyhow. A run
    that starts from another writes in that one's, which grows. Raises UsageError.
    """
    if request.start:
        before = RunFiles(project.run(request.start).folder)
        return grown(Vocabulary.from_json(read_json(before.vocabulary)), texts, words=request.vocabulary == "words")
    backbone = open_backbone(request.backbone)
    own, language = backbone.vocabulary, request.language or project.language
    known = own.languages()
    if request.language and not known:
        raise UsageError(f"The backbone {backbone.name!r} has no language tokens: leave --language out.")
    if (code := language.lower().partition("-")[0]) in known:
        language = code
    if request.vocabulary == "words":
        return build_vocabulary(texts, "word").led_by(own, language)
    if request.vocabulary != "backbone" and not request.keeps_vocabulary(own.kind):
        return build_vocabulary(texts).led_by(own, language)
    return own.starting(language) if request.language or language in known else own


def learnt_rules(rules: TextRules, vocabulary: Vocabulary) -> TextRules:
    """How labels are learnt: as they are scored, but in a Whisper's own vocabulary with the case and the punctuation
    that they have.

    It has always written so, and would first have to unlearn it.
    """
    return replace(rules, case="keep", punctuation="keep") if vocabulary.kind == "bytes" else rules


def _lines(path: Path) -> list[str]:
    text = decode(path)
    if len(text) > MOST_TEXT:
        raise UsageError(
            f"{path.name} has {len(text):,} characters, and the language model takes up to {MOST_TEXT:,}: give a part."
        )
    return text.splitlines()


def _first_minutes(clips: Sequence[Clip], minutes: float) -> list[Clip]:
    """So many minutes of the clips, or all (0), in the order of their hashes: fewer minutes are a part of more."""
    if not minutes:
        return list(clips)
    if (there := sum(clip.seconds for clip in clips) / 60) < minutes:
        raise TrainError(f"There are only {there:.1f} minutes to train on: ask for fewer --minutes, or leave it out.")
    ordered = sorted(clips, key=lambda clip: clip.sha256)
    ends = accumulate(clip.seconds for clip in ordered)
    return [clip for clip, end in zip(ordered, ends, strict=True) if end <= 60 * minutes]
