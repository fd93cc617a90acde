"""What is trained where a request leaves it open: what did best on such a backbone, and why, in a sentence.

Of a project it knows what its clips say and in which language; it does not know how a training goes.
"""

from collections.abc import Collection
from dataclasses import fields, replace
from typing import Any, TypeVar

from ..contract.adaptation_spec import AUTO, AdaptationSpec
from ..contract.errors import UsageError
from ..contract.run_request import RunRequest
from ..contract.tensor_names import PROJECTIONS
from ..contract.train_settings import TrainSettings
from ..data.clips import SPLITS
from ..data.store import Project
from ..model.backbone import Backbone, open_backbone
from ..text.vocabulary_building import are_commands

T = TypeVar("T", AdaptationSpec, TrainSettings)
LAYERS = 3  # of the encoder, the last ones

# For a vocabulary that a backbone without a CTC head has never written, by a method that is named: CTC alone.
NEW_HEAD = TrainSettings(
    spec=AdaptationSpec("lora", rank=32, placement=f"e:last{LAYERS}", on=",".join(PROJECTIONS), full_rank=True),
    vocabulary_learning_rate=5e-3,
    num_train_epochs=16,
    evaluations=8,
    copies=5,
    ctc_weight=1.0,
    window_seconds=1.0,
)
# With none named, the decoder learns to write it too, by adapters, and has its say in the search, which leaves 2 to 6
# points fewer characters wrong in five languages (docs/methods.md). A decoder that has read so much is worth more there
# than the starter's: over seven runs CTC at 0.1, 0.2, 0.3 and 0.6 leaves 18.8, 18.5, 18.2 and 19.1 % (the starter,
# Romansh: 39.2 at 0.3, 37.1 at 0.6). Cutting the encoder's updates to this rank costs nothing that was seen.
JOINT = replace(
    NEW_HEAD,
    spec=replace(NEW_HEAD.spec, placement=f"{NEW_HEAD.spec.placement},d:all"),
    ctc_weight=0.5,
    joint_search_weight=0.3,
)
# For commands, which are short and soon learnt by heart: more passes over more variants of each.
COMMANDS = replace(NEW_HEAD, num_train_epochs=32, copies=16)
# For labels in another order than they are spoken, as slots are: attention alone learns them, so the decoder does. Of
# 395 spoken orders in whole words, 300 steps of adapters found 98 % of the slots (F1), and of prompts 92 %.
ATTENTION = replace(NEW_HEAD, spec=AdaptationSpec("adapter", placement="d:all"), copies=2, ctc_weight=0.0)
# For the tokens that a Whisper has written all along. Smoothed labels would have it doubt all of its 50,000: Dutch of
# ten minutes, by LoRA in the decoder, had 4.6 to 4.9 % of characters wrong with them, 4.1 to 4.7 % without, and 4.3 %
# before any training.
OWN_TOKENS = replace(TrainSettings(), label_smoothing_factor=0.0)
OWN_LORA_RATE = 1e-4
# Where no method is named for them: in the decoder alone, so that the encoder runs once a window; in windows that clips
# share, each of which takes seconds; and by adapters, which a small pack holds, as it cannot a decoder's LoRA.
OWN_ADAPTERS = replace(
    OWN_TOKENS,
    spec=AdaptationSpec("adapter", rank=16, placement="d:all"),
    learning_rate=2e-4,
    per_device_train_batch_size=4,
    num_train_epochs=1,
    evaluations=4,
    copies=1,
    packings=4,
)
UNASKED = replace(TrainSettings(), spec=AdaptationSpec(AUTO))


def for_labels(project: Project, request: RunRequest) -> RunRequest:
    """The request in whole words, where it leaves the vocabulary open and the labels are commands.

    Those of dev must all be learnt: where they are kept apart, letters are what may write them.
    """
    if request.vocabulary != "auto" or request.start:
        return request
    labels = {clip.id: project.rules.apply(clip.text) for clip in project.clips(usable_only=True)}
    labels = {id_: label for id_, label in labels.items() if label}
    if not are_commands([*labels.values()]):
        return request
    sides = {split: {labels[clip.id] for clip in project.clips(split) if clip.id in labels} for split in SPLITS}
    learnt = sides["dev"] <= sides["train"] or not any(sides.values())
    return replace(request, vocabulary="words") if learnt else request


def is_open(project: Project, asked: RunRequest) -> bool:
    """Whether a request leaves it to what a Whisper writes alone in which vocabulary it is trained."""
    own, usual = open_backbone(asked.backbone).vocabulary, RunRequest().settings
    language = (asked.language or project.language).lower().partition("-")[0]
    settings = asked.settings.spec.method, asked.settings.ctc_weight
    chosen = asked.start or asked.vocabulary != "auto" or "ctc_weight" in asked.stated
    is_usual = settings == (usual.spec.method, usual.ctc_weight)
    return not chosen and is_usual and own.kind == "bytes" and language in own.languages()


def recommended(request: RunRequest, backbone: Backbone) -> RunRequest:
    """The request with all that its method, named or not, needs in order to learn.

    A Whisper learns a new vocabulary, through a CTC head, whether or not it knows the language: on so little speech
    its attention learns little (`choice` has the exception). What differs from a setting's usual value, or is `stated`,
    was asked for, and stays.
    """
    if request.start:
        return request  # as the run that it starts from had it
    kind, usual = backbone.vocabulary.kind, TrainSettings()
    if request.keeps_vocabulary(kind) and request.vocabulary == "auto" and request.settings.ctc_weight:
        request = replace(request, vocabulary="new")
    if request.keeps_vocabulary(kind) and request.settings.spec.method == AUTO:
        usual = OWN_ADAPTERS
    elif request.keeps_vocabulary(kind):
        usual = replace(OWN_TOKENS, learning_rate=OWN_LORA_RATE if request.settings.spec.method == "lora" else 0.0)
    elif not backbone.config.ctc:
        usual = _fitting(_new_head(request.settings.spec, _recipe(request)), backbone)
    spec = _asked(request.settings.spec, UNASKED.spec, usual.spec, request.stated)
    settings = _asked(request.settings, UNASKED, usual, request.stated)
    return replace(request, settings=replace(settings, spec=spec), stated=())


def continuing(request: RunRequest, before: RunRequest) -> RunRequest:
    """The request as a training that starts from the result of `before`: what makes its tensors fit is as it was there,
    and so is what is not asked for otherwise.

    Raises UsageError when another backbone or method is asked for.
    """
    asked, usual = request.settings, before.settings
    if request.backbone not in (RunRequest.backbone, before.backbone) or asked.spec not in (UNASKED.spec, usual.spec):
        raise UsageError(
            "A training that starts from a run has its backbone and its method: leave --backbone, --method and what "
            "belongs to them out."
        )
    settings = replace(
        _asked(asked, UNASKED, usual, request.stated),
        spec=usual.spec,
        window_seconds=usual.window_seconds,
        ctc_weight=usual.ctc_weight,
        head_steps=0,
    )
    return replace(
        request,
        backbone=before.backbone,
        vocabulary=before.vocabulary,
        language=before.language,
        settings=settings,
    )


def reason(request: RunRequest, minutes: float, voices: int, is_open: bool = False) -> str:
    """What will be trained, and why, for the person who waits for it; is_open: unless the backbone does well alone."""
    if request.start:
        return f"Lect goes on from run {request.start}, by the method `{request.settings.spec.method}`."
    spec, data = request.settings.spec, f"With {minutes:.1f} minutes of {voices} {'voice' if voices == 1 else 'voices'}"
    trained, named = f"by the method `{spec.method}` on {request.backbone}", "--method names another."
    if spec.full_rank:
        kept = "low-rank updates and adapters" if "d:" in spec.placement else "low-rank updates"
        trained = (
            f"the layers {spec.placement} of {request.backbone}, kept as {kept}, and a CTC head for what the labels "
            "are written in: of all that was tried with so little speech, this made the fewest errors"
        )
    if request.vocabulary == "words":
        named += " The labels are learnt as whole words, as commands are; --vocabulary new has their letters learnt."
    if is_open:
        named += " Where it writes the language well by itself, which is tried first, its own tokens are tuned instead."
    return f"{data} Lect trains {trained}. {named}"


def _recipe(request: RunRequest) -> TrainSettings:
    """What a new CTC head learns by, or attention in its place, or both where the decoder may learn too."""
    asked = request.settings
    if not asked.ctc_weight:
        return ATTENTION
    if request.vocabulary == "words":
        return COMMANDS
    return JOINT if asked.spec.method == AUTO and asked.ctc_weight < 1 and "d:" in asked.spec.placement else NEW_HEAD


def _new_head(asked: AdaptationSpec, recipe: TrainSettings) -> TrainSettings:
    """The recipe as a method can have it with a new CTC head; CTC alone reaches the encoder alone."""
    if asked.method == AUTO:
        return recipe
    if asked.method == "scratch" or asked.finetune_layers:
        usual = TrainSettings(spec=AdaptationSpec(asked.method))
        return replace(usual, window_seconds=recipe.window_seconds)
    return replace(recipe, spec=AdaptationSpec(asked.method, placement=recipe.spec.placement))


def _fitting(usual: TrainSettings, backbone: Backbone) -> TrainSettings:
    """The same for a backbone that may have fewer layers, or no windows."""
    own = backbone.config.mel_window_seconds
    placement = usual.spec.placement
    if backbone.config.encoder_layers < LAYERS:
        placement = placement.replace(NEW_HEAD.spec.placement, "e:all")
    spec = replace(usual.spec, placement=placement)
    window = min(usual.window_seconds, own) if usual.window_seconds and own else None
    return replace(usual, spec=spec, window_seconds=window)


def _asked(asked: T, unasked: T, usual: T, stated: Collection[str]) -> T:
    """`usual`, but for what was asked for."""
    changes: dict[str, Any] = {
        each.name: getattr(asked, each.name)
        for each in fields(asked)
        if each.name in stated or getattr(asked, each.name) != getattr(unasked, each.name)
    }
    return replace(usual, **changes)
