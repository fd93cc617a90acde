"""A dataclass from a JSON object that a person wrote. It does not know which."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

from lect.engine.contract.errors import UsageError

T = TypeVar("T")


def from_fields(option: str, kind: type[T], given: Mapping[str, Any], **fixed: Any) -> T:
    """A dataclass with the fields that `option` gives and the `fixed` ones.

    Raises UsageError for a field that it has not, or whose value is of another kind than the default.
    """
    assert is_dataclass(kind)
    known = {each.name: each for each in fields(kind) if each.name not in fixed}
    values = dict(fixed)
    for name, value in given.items():
        if name not in known:
            raise UsageError(f"{option} has no field {name!r}: it knows {', '.join(known)}.")
        factory = known[name].default_factory
        if factory is not MISSING and isinstance(value, dict):
            values[name] = from_fields(f"{option} {name}", type(factory()), value)
            continue
        default = factory() if factory is not MISSING else known[name].default
        if not _alike(value, default):
            raise UsageError(f"{option} field {name!r} cannot be {json.dumps(value)}: its usual value is {default}.")
        values[name] = _tuples(value)
    return kind(**values)


def _alike(value: Any, default: Any) -> bool:
    """Whether JSON's value can stand where the default stands."""
    if isinstance(default, tuple):
        return isinstance(value, list) and all(_alike(each, default[0]) for each in value)
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is type(default)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
