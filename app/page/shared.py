"""What the steps share: the open project, the tabs, and how a tab is filled when it is opened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from lect.engine.contract.errors import UsageError
from lect.engine.data.store import Project

from .events import bind
from .scratch import Scratch


@dataclass
class Page:
    """The page while it is built."""

    project: gr.State  # the folder of the open project, as text; "" when none is open
    ready: gr.State  # whether it is known which project that is, which a window's first moment lacks
    language: gr.State  # that is typed on the first screen while no project is open
    tabs: gr.Tabs
    header: gr.HTML
    loaded: Any  # what runs when a window is opened, and sets `project`
    local: bool  # whether only this machine can reach the page; then folders may be named by their path
    scratch: Scratch  # where temporary files go
    needs_project: list[gr.Tab] = field(default_factory=list)  # closed while no project is open

    def fills(self, tab: gr.Tab, function: Callable[..., Any], outputs: Sequence[Any]) -> None:
        """Calls `function(project, request)` whenever the tab is opened."""
        bind(tab.select, function, [self.project], outputs)


def opened(folder: str) -> Project:
    """The open project. Raises UsageError when none is open, StoreError when it is gone."""
    if not folder:
        raise UsageError("No project is open: make or open one in the first step.")
    return Project.open(Path(folder))
