"""Lect: a frozen speech model that learns a new lect from a few minutes of recordings, and transcribes it offline.

    from lect import Runtime

The one name that Lect takes in site-packages. In a checkout its rooms lie at the top of the repository and this folder
links to them, so that every tool finds `lect.engine` where Python does; wheels hold the rooms themselves
(`pyproject.toml` maps them). Importing it loads nothing else.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lect.exports.runtime import Runtime as Runtime

__all__ = ["Runtime"]


def __getattr__(name: str) -> Any:
    # Loaded when it is asked for: `lect --help` must not wait for numpy and ONNX Runtime.
    if name == "Runtime":
        from lect.exports.runtime import Runtime

        return Runtime
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
