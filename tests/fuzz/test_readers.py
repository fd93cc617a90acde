"""A short round: bytes changed at a few places, and JSON with other values somewhere. `make fuzz` is longer."""

import json
import resource
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.readers import READERS

MOST_SECONDS, MOST_MEGABYTES = 10, 1_000
EXAMPLES = 150
ODD = (10**9, -1, 2**63, 1e308, "\x1b[2J", "\ud800", "a" * 5_000, [0] * 5_000, True)

pytestmark = pytest.mark.slow

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutants(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with bytes overwritten, put in, taken out or said twice."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.integers(0, 40)))
        new = draw(st.binary(max_size=40) | st.sampled_from([bytes(data[start:stop]) * 2, b"\xff" * 8, b"[" * 30_000]))
        data[start:stop] = new
    return bytes(data)


@st.composite
def other_values(draw: st.DrawFn, seed: dict[str, Any]) -> bytes:
    """An object with something else in one place."""
    value = json.loads(json.dumps(seed))
    at, key = value, draw(st.sampled_from(sorted(value)))
    while isinstance(at[key], dict) and at[key] and draw(st.booleans()):
        at, key = at[key], draw(st.sampled_from(sorted(at[key])))
    if draw(st.booleans()):
        at[key] = draw(values)
    else:
        del at[key]
    return json.dumps(value).encode()


@pytest.mark.parametrize("name", READERS)
def test_whatever_the_bytes(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    seeds = reader.seeds(tmp_path)
    assert any(map(reader, seeds))  # seeds that are refused at the door try nothing
    strategy = mutants(seeds)
    if seeds[0][:1] == b"{" and seeds[0].count(b"\n") < 2 and name != "nemo":
        strategy |= other_values(json.loads(seeds[0]))
    peak = _peak()

    @settings(
        max_examples=EXAMPLES, deadline=MOST_SECONDS * 1000, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def read(data: bytes) -> None:
        reader(data)

    read()
    assert _peak() - peak < MOST_MEGABYTES


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
