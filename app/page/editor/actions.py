"""What a window may ask of a draft, by name: a JSON object to an action."""

from collections.abc import Callable, Mapping
from typing import Any

from lect.engine.contract.errors import UsageError

from .draft import Draft

Action = Callable[[Draft], Draft]


def action_of(asked: Mapping[str, Any]) -> Action:
    """asked: `do`, the action's name, and its values. Raises UsageError for what is no action."""

    def number(name: str) -> Any:
        value = asked[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(name)
        return value

    def words(name: str) -> str:
        if not isinstance(asked[name], str):
            raise TypeError(name)
        return str(asked[name])

    try:
        match asked["do"]:
            case "write":
                part, text, typing = number("part"), words("text"), asked.get("typing") is True
                return lambda draft: draft.write(part, text, typing=typing)
            case "split":
                part, offset = number("part"), number("offset")
                return lambda draft: draft.split(part, offset)
            case "split_at":
                part, when = number("part"), number("when")
                return lambda draft: draft.split_at(part, when)
            case "merge":
                part = number("part")
                return lambda draft: draft.merge(part)
            case "move":
                part, start, end = number("part"), number("start"), number("end")
                return lambda draft: draft.move(part, start, end)
            case "add":
                start, end = number("start"), number("end")
                return lambda draft: draft.add(start, end)
            case "remove":
                part = number("part")
                return lambda draft: draft.remove(part)
            case "check":
                part, checked = number("part"), asked["checked"] is True
                return lambda draft: draft.check(part, checked)
            case "speaker":
                part, speaker = number("part"), words("speaker")
                return lambda draft: draft.name(part, speaker) if part else draft.name_all(speaker)
            case "undo":
                return Draft.undo
            case "redo":
                return Draft.redo
    except (KeyError, TypeError) as error:
        raise UsageError(f"The action lacks {error}: reload the page.") from error
    raise UsageError("This action is not known: reload the page.")
