"""How a part of Lect is started in a process of its own."""

import sys


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of Lect with this interpreter, from whichever folder.

    -P: the folder that one works in may hold a `lect` or a `json.py` of its own, and must not be looked through first.
    """
    return [sys.executable, "-P", "-m", module, *arguments]
