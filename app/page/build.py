"""The page as a whole: the steps in their order, and what happens when it is opened."""

import gradio as gr

from . import clips, export, header, project, recent, record, results, train, transcribe, upload
from .events import bind, html_block
from .paths import Allowed, CheckedBlocks
from .scratch import Scratch
from .shared import Page

STEPS = (project, record, upload, clips, train, results, export, transcribe)
NEED_PROJECT = STEPS[1:-1]
UPLOADS_KEPT_S = 24 * 3600
SCRIPT = '<script src="{}"></script>'
FIRST = "".join(map(SCRIPT.format, ("/words.js", "/page/page.js")))  # before Gradio's own, which ask for the language
SCRIPTS = ("/page/events.js", "/page/ticks.js", "/page/recorder.js")
EDITOR = (
    '<link rel="stylesheet" href="/page/editor/editor.css"><script type="module" src="/page/editor/editor.js"></script>'
)
ICON = '<link rel="icon" href="/page/icon.svg">'
HEAD = ICON + "".join(map(SCRIPT.format, SCRIPTS)) + EDITOR
# A window remembers its own project, so that two windows may have two and a reload finds it again.
REMEMBERED = '() => sessionStorage.getItem("lect-project") || ""'
REMEMBER = '(folder) => { sessionStorage.setItem("lect-project", folder); return folder; }'


def build_page(local: bool, scratch: Scratch, first: str = "") -> gr.Blocks:
    """The page; local: whether only this machine can reach it; scratch: for its files; first: the folder of the project
    that new windows show, the latest when it is ""."""
    blocks = CheckedBlocks(title="Lect", analytics_enabled=False, delete_cache=(3600, UPLOADS_KEPT_S), fill_width=True)
    blocks.allowed = Allowed(scratch.uploads, local)
    with blocks:
        opened, language, ready = gr.State(""), gr.State(""), gr.State(False)
        kept = gr.Textbox(visible="hidden", elem_id="kept")  # what the browser remembers
        line = html_block(elem_id="header")

        def open_first(remembered: str) -> tuple[str, str, bool]:
            known = [str(folder) for folder in recent.recent()]
            chosen = next((each for each in (remembered, first, *known) if each in known), "")
            return chosen, chosen, True

        loaded = bind(blocks.load, open_first, [kept], [opened, kept, ready], js=REMEMBERED)
        bind(opened.change, lambda folder: folder, [opened], [kept])
        kept.change(None, [kept], [], js=REMEMBER, api_visibility="private")
        with gr.Tabs(elem_id="steps", overflow_behavior="wrap") as tabs:
            page = Page(opened, ready, language, tabs, line, loaded, local, scratch)
            for step in STEPS:
                step.build(page)
        bind(opened.change, doors, [opened], page.needs_project)
        header.connect(page)
    blocks.queue(default_concurrency_limit=None)
    return blocks


def doors(folder: str) -> list[gr.Tab]:
    """The steps that have no meaning without a project, open or closed."""
    return [gr.Tab(interactive=bool(folder)) for _ in NEED_PROJECT]


def theme() -> gr.themes.Base:
    """Calm, and from no font server."""
    fonts = ["Lect", "system-ui", "sans-serif"]
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_lg,
        font=fonts,
        font_mono=["ui-monospace", "monospace"],
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="1px",
        block_shadow="none",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        color_accent="*primary_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_text_color="white",
        button_secondary_background_fill="white",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_border_color="*neutral_300",
        button_border_width="1px",
        button_large_text_weight="500",
        input_background_fill="*neutral_50",
        input_background_fill_dark="*neutral_800",
        input_border_width="1px",
        input_border_color="*neutral_200",
        input_border_color_dark="*neutral_700",
        checkbox_border_color_dark="*neutral_600",
        checkbox_background_color_selected="*primary_700",
    )
