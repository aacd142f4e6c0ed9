"""Many jobs on the processes of one machine: what fails is named and stops no other, and who is killed leaves nobody behind.

joblib starts the processes and hands out the jobs. A process that dies takes the pool with it, and nobody is told whose job it was:
those that may have been at work are then done again, each in a process of its own, and the rest goes on as before.
"""

from __future__ import annotations

import os
import re
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import BrokenProcessPool

from bioplausible.foundation.errors import InputError, shortened, unknown_name
from experiments.environment import check_workers

__all__ = ["ENGINES", "Engine", "Failure", "Job", "run_all", "tried"]

ENGINES = ("local", "dask")
"""Who does jobs: processes of this machine, or the workers of a dask cluster (`experiments.cluster`)."""

# joblib replaces a process whose memory has grown, or that died, which is told by its job.
warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")

# joblib hands out one job to each process, and as many in advance.
_HANDED_OUT = 2
_LOOK_EVERY = 0.5

Job = Callable[[], Any]


class Failure(NamedTuple):
    """A job that came to nothing.

    Attributes
    ----------
    reason
        In one line.
    details
        The traceback, "" after a user's mistake or where the process died.
    """

    reason: str
    details: str = ""


@dataclass(frozen=True)
class Engine:
    """Who does jobs.

    Attributes
    ----------
    name
        One of `ENGINES`.
    workers
        Processes; of the local engine 1 does everything in this one.
    address
        Of a dask scheduler, HOST:PORT; None for a cluster of this machine's own.
    """

    name: str = "local"
    workers: int = 1
    address: str | None = None

    def __post_init__(self) -> None:
        """Check that they go together."""
        if self.name not in ENGINES:
            raise unknown_name("engine", self.name, ENGINES)
        check_workers(self.workers)
        if self.address is None:
            return
        if self.name != "dask":
            raise InputError(f"address {shortened(self.address)} was given with the engine {self.name}: add --engine dask")
        if self.workers > 1:
            raise InputError(
                f"{self.workers} workers were asked for at {shortened(self.address)}: a cluster has its own, leave --workers out"
            )
        if not re.fullmatch(r"\w+://\S+|[^\s/:]+:\d{1,5}", self.address):
            raise InputError(f"address {shortened(repr(self.address))} was given, expected HOST:PORT, such as 10.0.0.7:8786")

    def run(self, jobs: Mapping[str, Job]) -> Iterator[tuple[str, Any]]:
        """Do all jobs, as `run_all` does.

        Parameters
        ----------
        jobs
            As of `run_all`.
        """
        if self.name == "local":
            return run_all(jobs, self.workers)
        from experiments.cluster import run_on_cluster

        return run_on_cluster(jobs, self.workers, self.address)


def run_all(jobs: Mapping[str, Job], workers: int) -> Iterator[tuple[str, Any]]:
    """Do all jobs.

    Parameters
    ----------
    jobs
        Name -> what is to be done, in the order in which it is begun: functions without arguments, for another process.
    workers
        Processes; 1 does everything in this one.

    Yields
    ------
    tuple of (str, Any)
        A job's name and what it gave, as soon as it is done, or a `Failure`.

    >>> dict(run_all({"half": lambda: 1 / 2, "none": lambda: 1 / 0}, 1))  # doctest: +ELLIPSIS
    {'half': 0.5, 'none': Failure(reason='ZeroDivisionError: division by zero', details=...)}
    """
    pending = dict(jobs)
    while pending:
        try:
            for name, outcome in _in_parallel(pending, workers):
                del pending[name]
                yield name, outcome
        except BrokenProcessPool:
            for name in list(pending)[: _HANDED_OUT * workers]:
                yield name, _alone(name, pending.pop(name))


def _in_parallel(jobs: Mapping[str, Job], workers: int) -> Iterator[tuple[str, Any]]:
    tasks = [delayed(tried)(name, job) for name, job in jobs.items()]
    pool = Parallel(workers, return_as="generator_unordered", pre_dispatch="2*n_jobs", batch_size=1, **_ending_with_this())
    results: Iterator[tuple[str, Any]] = pool(tasks)
    return results


def _alone(name: str, job: Job) -> Any:
    """One job in a process of its own."""
    try:
        # Two processes, of which one has nothing to do: with one, joblib would do it in this one.
        ((_, outcome),) = Parallel(2, **_ending_with_this())([delayed(tried)(name, job)])
    except BrokenProcessPool:
        return Failure("its process was killed, as the system does when memory runs out, though it ran alone: try a smaller one")
    return outcome


def tried(name: str, job: Job) -> tuple[str, Any]:
    """What a job gives, or why it gives nothing.

    Parameters
    ----------
    name
        Of the job.
    job
        What is to be done.

    Returns
    -------
    tuple of (str, Any)
        The name, and what came of it or a `Failure`.
    """
    try:
        return name, job()
    except InputError as error:
        return name, Failure(str(error))
    except MemoryError as error:
        return name, Failure(f"memory ran out ({error}): try fewer workers, or a smaller one")
    except (Exception, SystemExit) as error:  # noqa: BLE001 whatever one job runs into, the others go on
        return name, Failure(" ".join(f"{type(error).__name__}: {error}".split()), traceback.format_exc())


def _ending_with_this() -> dict[str, Any]:
    """Options of joblib, after which workers end soon after this process, those that were never given a job among them."""
    return {"initializer": _end_with, "initargs": (os.getpid(),)}


def _end_with(parent: int) -> None:
    """End this process soon after the one that started it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
