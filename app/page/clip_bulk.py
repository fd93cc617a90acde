"""What is done with all ticked clips at once: the buttons, seen while clips are ticked, and the changes they make."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from lect.engine.data.store import Project

from . import clip_list
from .texts import label

# value: what is chosen beside the button.
ACTIONS: dict[str, Callable[[Project, list[int], str], None]] = {
    "speaker": lambda project, ids, value: project.edit(ids, speaker=value),
    "split": lambda project, ids, value: project.edit(ids, split=value),
    "leave_out": lambda project, ids, value: project.edit(ids, excluded=True),
    "use": lambda project, ids, value: project.edit(ids, excluded=False),
    "delete": lambda project, ids, value: project.delete(ids),
}
# The last input is what is ticked in the browser.
WITH_TICKED = "(...given) => [...given.slice(0, -1), window.lectTicked()]"


def buttons() -> tuple[list[tuple[str, gr.Button, Any]], gr.Textbox]:
    """((action, button, its value)…, what is ticked)."""
    ticked = gr.Textbox("", visible="hidden", elem_id="ticked")
    with gr.Column(elem_id="bulk"):
        with gr.Row(elem_classes="bulk-fields"):
            speaker = gr.Textbox("", label=label("column_speaker"), elem_id="bulk-speaker", min_width=80)
            set_speaker = gr.Button(label("bulk_speaker"), elem_id="bulk-set-speaker")
            side = gr.Dropdown(
                clip_list.sides(), value="train", label=label("column_split"), elem_id="bulk-split", min_width=80
            )
            set_split = gr.Button(label("bulk_split"), elem_id="bulk-set-split")
        with gr.Row(elem_classes="bulk-actions"):
            plain = [
                (name, gr.Button(label(f"bulk_{name}"), elem_id=f"bulk-{name}", min_width=60), ticked)
                for name in ("leave_out", "use", "delete")
            ]
    return [("speaker", set_speaker, speaker), ("split", set_split, side), *plain], ticked
