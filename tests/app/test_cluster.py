"""`lect transcribe --engine ray` on a cluster of two nodes on this machine."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.audio.writing import write_wav
from tests.app.conftest import Lect
from tests.app.test_transcribe import SPEECH

ray = pytest.importorskip("ray", reason="needs Ray, which has no wheel for this Python")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running cluster of two nodes with a core each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_TMPDIR", str(tmp_path_factory.mktemp("ray")))
        started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        started.add_node(num_cpus=1)
        started.wait_for_nodes()
        patch.setenv("RAY_ADDRESS", started.address)
        yield started.address
        started.shutdown()


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech, silence, and a file that is no sound."""
    folder = tmp_path_factory.mktemp("sounds")
    for number in range(3):
        shutil.copy(SPEECH, folder / f"talk {number}.ogg")
    write_wav(folder / "silence.wav", np.zeros(3 * SAMPLE_RATE, np.float32))
    (folder / "letter.mp3").write_text("Dear reader")
    return folder


def without_times(told: Any) -> list[dict[str, Any]]:
    return [{**file, "real_time_factor": 0} for file in told["files"]]


def test_the_cluster_writes_what_one_machine_does(lect: Lect, cluster: str, graphs: Path, sounds: Path) -> None:
    here = lect("transcribe", sounds, "--pack", graphs, "--json")
    there = lect("transcribe", sounds, "--pack", graphs, "--json", "--engine", "ray", "--jobs", 4)  # for 2 cores
    assert here.code == there.code == 1  # the letter is no sound
    assert without_times(here.json) == without_times(there.json)


def test_a_worker_that_dies_is_replaced(lect: Lect, cluster: str, graphs: Path, sounds: Path) -> None:
    killed = list[int]()

    def kill() -> None:
        while not (found := workers()):
            time.sleep(0.01)
        killed.append(found[0])
        os.kill(found[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    there = lect("transcribe", sounds, "--pack", graphs, "--json", "--engine", "ray")
    killer.join()
    assert killed and without_times(there.json) == without_times(
        lect("transcribe", sounds, "--pack", graphs, "--json").json
    )


def workers() -> list[int]:
    """The processes that are at a recording; Ray names them after what they do."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::Worker.work"):
                found.append(int(path.parent.name))
        except OSError:  # ended meanwhile
            continue
    return found


def test_what_a_person_can_mend_is_one_sentence(
    lect: Lect, cluster: str, graphs: Path, sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("transcribe", sounds, "--engine", "ray", "--pack")
    assert lect(*command, sounds / "letter.mp3").failed_with("letter.mp3")
    assert lect(*command, graphs, "--threads", 9).failed_with("fewer --threads", code=2)
    assert lect(*command, graphs, "--hotwords", sounds / "none.txt").failed_with("none.txt")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert lect(*command, graphs).failed_with("No Ray cluster answers", "ray start --head", code=2)
