"""`lect transcribe --engine ray`: recordings spread over a Ray cluster that is already there.

Every machine of it needs Lect and sees the recordings, packs and outputs under the same paths. A worker that dies is
started again and its recording done anew (Ray's actor restarts and task retries,
https://docs.ray.io/en/latest/ray-core/fault_tolerance/actors.html).
"""

import argparse
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from lect.engine.contract.errors import LectError, UsageError

from .transcribing import Done, Job, Transcriber

RESTARTS = 3  # of one worker
KNOCK_S = 5.0


class Worker:
    """A process of the cluster that transcribes one recording after another."""

    def __init__(self, args: argparse.Namespace, folder: str) -> None:
        self._args, self._folder = args, folder
        self._transcriber: Transcriber | None = None

    def work(self, job: Job) -> Done | LectError | OSError:
        """One recording. What a person can mend is handed over, for Ray would restart a worker that raises."""
        try:
            os.chdir(self._folder)  # names of files are as the person gave them
        except OSError:
            return UsageError(f"A machine of the cluster does not see {self._folder}: share this folder with it.")
        try:
            self._transcriber = self._transcriber or Transcriber(self._args)
        except (LectError, OSError) as error:
            return error
        return self._transcriber(job)


def work(args: argparse.Namespace, jobs: Sequence[Job]) -> Iterator[Done]:
    """What came of each, in order. Raises UsageError without Ray or a cluster, else as opening a pack does."""
    ray = _connect()
    from ray.util import ActorPool

    threads = args.threads or 1
    args = argparse.Namespace(**{**vars(args), "threads": threads})
    remote = ray.remote(num_cpus=threads, max_restarts=RESTARTS, max_task_retries=RESTARTS)(Worker)
    try:
        # A worker more than the cluster has room for would wait for it for ever, with the recordings that it was given.
        room = sum(int(node["Resources"].get("CPU", 0)) // threads for node in ray.nodes() if node["Alive"])
        if not room:
            raise UsageError(f"No machine of the cluster has {threads} cores: use fewer --threads.")
        pool = ActorPool([remote.remote(args, os.getcwd()) for _ in range(min(args.jobs or room, room, len(jobs)))])
        for done in pool.map(lambda worker, job: worker.work.remote(job), list(jobs)):
            if isinstance(done, Exception):
                raise done
            yield done
    except ray.exceptions.RayActorError as error:
        raise LectError(f"A worker of the cluster ended {RESTARTS + 1} times: look at Ray's log.") from error
    finally:
        ray.shutdown()


def _connect() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UsageError("Ray is not installed: pip install 'lect[ray]'.") from error
    address = os.environ.get("RAY_ADDRESS", "auto")
    try:
        if address != "auto":
            _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        # What Ray says of a worker that died would go to stdout, among the texts; only its debugger turns that off.
        ray._private.worker._worker_logs_enabled = False
    except OSError as error:  # ConnectionError is one
        raise UsageError(
            f"No Ray cluster answers ({address}): start one with `ray start --head`, or name it in RAY_ADDRESS."
        ) from error
    return ray


def _knock(address: str) -> None:
    """Raises OSError where nobody answers, for which Ray itself tries minutes long."""
    there = urlsplit(address if "://" in address else f"//{address}")
    socket.create_connection((there.hostname, there.port), KNOCK_S).close()
