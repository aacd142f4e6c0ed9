"""Many jobs on a cluster, by the address of its dask scheduler; without an address on a cluster of this machine's own.

The scheduler knows whose job a process had that died, and gives it to another. Workers have this package, see the same folders as
the command at the same places, and work in the folder that it was given in: relative paths, a user's own `path.py:name` among them,
are found from there. One thread each is right (`dask worker --nthreads 1`), since a training takes all that a thread may.
Rocklin 2015, doi:10.25080/Majora-7b98e3ed-013.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bioplausible.foundation.errors import InputError, shortened
from experiments.engine import Failure, Job, tried

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["run_on_cluster"]

_ANSWERS_WITHIN = 15


def run_on_cluster(jobs: Mapping[str, Job], workers: int, address: str | None = None) -> Iterator[tuple[str, Any]]:
    """Do all jobs.

    Parameters
    ----------
    jobs
        Name -> what is to be done, in the order in which it is begun: functions without arguments, for another machine.
    workers
        Processes of a cluster of our own.
    address
        HOST:PORT of a scheduler, whose workers then do it.

    Yields
    ------
    tuple of (str, Any)
        As of `experiments.engine.run_all`.

    Raises
    ------
    InputError
        dask is not installed, no scheduler answers, or it ended.
    """
    if not jobs:
        return
    with _client(workers, address) as client:
        names = {}
        for place, (name, job) in enumerate(jobs.items()):
            # A job is never the same as one of before: what it gives depends on what is on disk.
            names[client.submit(_tried_within, os.getcwd(), name, job, pure=False, priority=-place)] = name
        from distributed import as_completed

        for future in as_completed(list(names), loop=client.loop):
            yield names[future], _outcome(future, address)
            future.release()


def _tried_within(folder: str, name: str, job: Job) -> tuple[str, Any]:
    """What a job gives, or why it gives nothing, in the folder that its relative paths are meant from."""
    try:
        os.chdir(folder)
    except OSError as error:
        return name, Failure(
            f"the worker cannot go to {folder}, where the command was given ({error.strerror}): workers need to see its folders at "
            "the same places"
        )
    return tried(name, job)


def _outcome(future: Any, address: str | None) -> Any:
    """What a job gave, or why it gave nothing."""
    from distributed import KilledWorker

    if future.status == "finished":
        with contextlib.suppress(Exception):  # whoever had it died before it was fetched
            return future.result(timeout=_ANSWERS_WITHIN)[1]
    error = future.exception(timeout=_ANSWERS_WITHIN) if future.status == "error" else None
    if isinstance(error, KilledWorker):
        return Failure("its processes were killed, as systems do when memory runs out: try a smaller one, or workers with more")
    if error is not None:
        return Failure(" ".join(f"{type(error).__name__}: {error}".split()))
    raise InputError(
        f"the dask scheduler {'of this command' if address is None else f'at {address}'} ended: what is done is kept, and the same "
        "command goes on with it"
    )


@contextlib.contextmanager
def _client(workers: int, address: str | None) -> Iterator[Client]:
    try:
        import distributed
    except ImportError:
        raise InputError(
            "the engine dask was asked for and is not installed: pip install 'bioplausible[dask]', or leave --engine out"
        ) from None
    # What becomes of workers is told by their jobs.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        if address is None:
            cluster: Any = stack.enter_context(_cluster(workers))
        try:
            client = distributed.Client(cluster if address is None else address, timeout=_ANSWERS_WITHIN, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:  # no such host, nobody there, no address at all
            why = shortened(" ".join(str(error).split()))
            raise InputError(
                f"no dask scheduler answers at {shortened(str(address))} ({why}): start one with `dask scheduler`, and give its "
                "HOST:PORT"
            ) from error
        try:
            yield client
        finally:
            with contextlib.suppress(Exception):  # one that ended cannot be told that nobody needs it any more
                client.close(timeout=_ANSWERS_WITHIN)


def _cluster(workers: int) -> Any:
    """Processes of this machine, which end when this one does."""
    from distributed import LocalCluster

    # dask stops workers that take more than their share of memory, and trainings are not to be stopped by halves.
    return LocalCluster(n_workers=workers, threads_per_worker=1, memory_limit=0, dashboard_address=None)
