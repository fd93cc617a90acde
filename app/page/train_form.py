"""What a person chooses of a training: the widgets, and the request that they ask for. It starts nothing."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr

from lect.engine.contract import adaptation_spec
from lect.engine.contract.adaptation_spec import AUTO, AdaptationSpec
from lect.engine.contract.errors import LectError, UsageError
from lect.engine.contract.run_request import DEVICES, VOCABULARY_CHOICES, WHISPER, RunRequest, VocabularyChoice
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.data.store import Project
from lect.engine.model.backbone import open_backbone
from lect.engine.runs.recipe import for_labels, is_open, recommended

from ..options import fraction, positive, rate, whole
from ..output import duration
from ..train_options import option, request_for
from . import languages
from .backbones import Installed, installed, spoken_by, titled
from .events import html_block, sentence_of
from .project_settings import UNDETERMINED
from .texts import Say, label

METHODS = (AUTO, *(method for method in adaptation_spec.METHODS if method != "scratch"))  # which needs hours of speech
EFFORTS = {"quick": 200, "usual": 0, "long": 3000}  # optimiser steps; 0 is by the size of the set
# Fields of the expert drawer that are written, by group: a field of the request each, and what reads it as `lect train`
# does.
GROUPS: dict[str, dict[str, Callable[[str], Any]]] = {
    "learn": {
        "placement": str,
        "num_virtual_tokens": positive,
        "rank": positive,
        "on": str,
        "finetune_layers": positive,
    },
    "time": {
        "max_steps": positive,
        "early_stopping_patience": positive,
        "learning_rate": rate,
        "vocabulary_learning_rate": rate,
        "per_device_train_batch_size": positive,
        "copies": positive,
        "seed": whole,
    },
    "write": {"ctc_weight": fraction, "language_model_weight": fraction},
}
FIELDS = {name: read for group in GROUPS.values() for name, read in group.items()}


class FieldError(UsageError):
    """A field of the expert drawer that cannot be read."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{option(field)} cannot be read: change it, or leave it empty.")
        self.field = field

    def sentence(self, say: Say) -> str:
        """What is to be written there."""
        return say(f"range_{FIELDS[self.field].__name__}", name=say(f"expert_{self.field}"))


def why(error: LectError, say: Say) -> str:
    """What an error of `request` says, or of what is done with it."""
    return error.sentence(say) if isinstance(error, FieldError) else sentence_of(error, say)


def choices() -> list[Any]:
    """The widgets, in the order in which `request` takes their values; `backbones` fills the third."""
    backbone = gr.Radio([], label=label("train_backbone"), elem_id="backbone")
    method = gr.Radio(_named("choose", METHODS), value=AUTO, label=label("train_method"), elem_id="method")
    effort = gr.Radio(_named("effort", tuple(EFFORTS)), value="usual", label=label("train_effort"), elem_id="effort")
    with gr.Accordion(label("train_texts_title"), open=False, elem_id="further"):
        further = gr.File(label=label("train_texts_file"), file_types=["text"], elem_id="further-texts", height=150)
    with gr.Accordion(label("train_expert"), open=False, elem_id="expert"):
        with gr.Row():
            device = gr.Dropdown(
                DEVICES, value="auto", label=label("train_device"), info=label("train_device_info"), elem_id="device",
                min_width=200,
            )  # fmt: skip
            vocabulary = gr.Dropdown(
                VOCABULARY_CHOICES, value="auto", label=label("train_vocabulary"), info=label("train_vocabulary_info"),
                elem_id="vocabulary", min_width=200,
            )  # fmt: skip
        fields = [field for group in GROUPS for field in _written(group)]
    return [method, effort, backbone, device, vocabulary, further, *fields]


def _written(group: str) -> list[gr.Textbox]:
    html_block(f'<h2 class="group"><lect-words key="expert_group_{group}"></lect-words></h2>')
    with gr.Row():
        return [
            gr.Textbox(
                "", label=label(f"expert_{name}"), info=label(f"expert_{name}_info"), placeholder="auto",
                elem_id=f"expert{option(name)[1:]}", min_width=200, max_lines=1,
            )
            for name in GROUPS[group]
        ]  # fmt: skip


def changes(widgets: list[Any]) -> list[Any]:
    """The events of the widgets of `choices` by which a person has chosen."""
    return [each.blur if isinstance(each, gr.Textbox) else each.upload if isinstance(each, gr.File) else each.input
            for each in widgets]  # fmt: skip


def backbones(language: str, chosen: str | None, say: Say) -> gr.Radio:
    """The backbones there are, in words about a project's language; chosen: what stays chosen if it is there.

    At first the one that `lect train` takes.
    """
    there = installed()
    offered = [(_offered(one, language, say), one.folder.name) for one in there]
    names = [one.folder.name for one in there]
    if chosen in names:
        return gr.Radio(offered)  # without a value, which would undo a click that was made meanwhile
    return gr.Radio(offered, value=next((name for name in (WHISPER, *names) if name in names), None))


def for_project(asked: RunRequest, project: Project) -> RunRequest:
    """The request with the backbone's own code for the project's language, where the project names it otherwise."""
    code = languages.among(project.language, spoken_by(asked.backbone))
    alike = project.language.lower().partition("-")[0] == code
    return asked if alike or not code else replace(asked, language=code)


def plan(
    project: Project, method: adaptation_spec.Method, backbone: str | None, vocabulary: VocabularyChoice, say: Say
) -> str:
    """What these choices will train, and on how much, as `lect train` says it."""
    asked = RunRequest(backbone or WHISPER, settings=TrainSettings(AdaptationSpec(method)), vocabulary=vocabulary)
    opened = open_backbone(asked.backbone)
    asked = for_labels(project, for_project(asked, project))
    spec = recommended(asked, opened).settings.spec
    where = adaptation_spec.parse_placement(spec.placement, opened.config)
    whole = "plan_joint" if where.decoder else "plan_full_rank"
    clips = [clip for clip in project.clips(usable_only=True) if clip.split in ("", "train")]
    planned = say(
        whole if spec.full_rank else "plan_method",
        length=duration(sum(clip.seconds for clip in clips)),
        speakers=say("count_speakers", count=len({clip.speaker for clip in clips})),
        layers=len(where.encoder),
        backbone=titled(asked.backbone),
        method=say("method_" + spec.method),
    )
    also = "plan_words" if asked.vocabulary != vocabulary else "plan_open" if is_open(project, asked) else ""
    return f"{planned} {say(also)}" if also else planned


def request(
    method: adaptation_spec.Method, effort: str, backbone: str | None, device: str, vocabulary: VocabularyChoice,
    texts: str | None, *written: str,
) -> RunRequest:  # fmt: skip
    """What the values of `choices` ask for. Raises UsageError for a field that cannot be read."""
    given = {name: _read(name, value) for name, value in zip(FIELDS, written, strict=True) if value and value.strip()}
    weight = given.pop("language_model_weight", None)
    plain = RunRequest(
        backbone or WHISPER, device, vocabulary=vocabulary, texts=texts or "", language_model_weight=weight
    )
    return request_for({"method": method, "max_steps": EFFORTS[effort]} | given, plain)


def _read(name: str, value: str) -> Any:
    try:
        return FIELDS[name](value.strip())
    except ArgumentTypeError as error:
        raise FieldError(name) from error


def _named(prefix: str, names: tuple[str, ...]) -> list[tuple[Any, str]]:
    return [(label(f"{prefix}_{name}"), name) for name in names]


def _offered(one: Installed, language: str, say: Say) -> str:
    if not one.spells:
        kind = "sounds"
    elif language in ("", UNDETERMINED):
        kind = "open"
    else:
        kind = "known" if one.knows(language) else "unknown"
    return say(f"backbone_{kind}", name=one.name, languages=say("count_languages", count=len(one.languages)))
