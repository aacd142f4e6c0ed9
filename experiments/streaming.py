"""Images that do not fit where networks are trained: fetched while earlier steps are taken, in the order that they would have had.

An epoch is the same scan as ever, over a chunk of steps at a time. While one chunk is trained on, the next are read and decoded by
threads, so that a step costs more only where reading is slower than training.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from experiments.environment import memory_for_arrays, memory_of_the_machine

__all__ = ["ahead", "is_streamed", "stay_in_files", "steps_at_once"]

_SHARE = 4  # of the memory, beside the learner, its optimiser and activations
_CHUNK_BYTES = 16 * 2**20  # of images on the device at a time; some such chunks are on their way, and looked up
_MOST_STEPS = 64
_DEPTH = 2

Item = TypeVar("Item")
Made = TypeVar("Made")


def is_streamed(stream: str, n_numbers: int) -> bool:
    """Decide whether images are streamed.

    Parameters
    ----------
    stream
        "auto" where they take more than a quarter of the memory, "always" or "never".
    n_numbers
        How many numbers all images have, behind the front end.

    >>> is_streamed("auto", 10), is_streamed("always", 10), is_streamed("never", 10**15)
    (False, True, False)
    """
    if stream != "auto":
        return stream == "always"
    room = memory_for_arrays()
    return room is not None and 4 * n_numbers * _SHARE > room


def stay_in_files(stream: str, n_bytes: int) -> bool:
    """Decide whether pictures of a folder are decoded whenever they are shown, rather than once.

    Parameters
    ----------
    stream
        "auto" where all of them would take more than a quarter of the machine's memory, "always" or "never".
    n_bytes
        What they take, decoded.

    >>> stay_in_files("auto", 10), stay_in_files("always", 10), stay_in_files("never", 10**15)
    (False, True, False)
    """
    if stream != "auto":
        return stream == "always"
    room = memory_of_the_machine()
    return room is not None and n_bytes * _SHARE > room


def steps_at_once(n_steps: int, bytes_a_step: int) -> int:
    """Give the steps of a chunk: as many as fit, and a divisor of the epoch's where that is no less than half of it.

    Parameters
    ----------
    n_steps
        Of an epoch.
    bytes_a_step
        Of the images of a step, of all seeds.

    >>> steps_at_once(100, 2**20), steps_at_once(97, 2**20), steps_at_once(5, 2**40)
    (10, 16, 1)
    """
    most = max(1, min(n_steps, _MOST_STEPS, _CHUNK_BYTES // max(bytes_a_step, 1)))
    divisors = [count for count in range(most, max(most // 2, 1) - 1, -1) if n_steps % count == 0]
    return divisors[0] if divisors else most


def ahead(make: Callable[[Item], Made], items: Iterable[Item], depth: int = _DEPTH) -> Iterator[Made]:
    """Make things one after the other in a thread, some ahead of whoever takes them.

    Parameters
    ----------
    make
        Of an item what is taken.
    items
        In their order.
    depth
        How many are made in advance, at the most.

    Yields
    ------
    What `make` gave, in the order of the items; what it raised is raised here, in its place.

    >>> list(ahead(lambda n: n * n, range(4)))
    [0, 1, 4, 9]
    """
    left = iter(items)
    waiting: deque[Future[Made]] = deque()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead")
    try:
        for item in left:
            waiting.append(pool.submit(make, item))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # Whoever stops early waits for the one that is being made, and for no other.
        pool.shutdown(wait=True, cancel_futures=True)
