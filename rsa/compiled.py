"""Loops that array programs have no words for, compiled by Numba; they leave the interpreter, so that threads share them out."""

import inspect
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a loop on its first call, and keep it on disk for the next run.

    A type checker's hook may have wrapped the function; what is compiled is the function itself.
    """
    return njit(nogil=True, cache=True)(inspect.unwrap(function))


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a step of a loop into whatever calls it: a call costs more than a few sums and look-ups."""
    return njit(nogil=True, inline="always")(inspect.unwrap(function))


def in_threads(work: Callable[[int], None], n: int) -> None:
    """Do independent pieces of work, each by its index, as many at a time as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(work, range(n)):
            pass


__all__ = ["compiled", "in_threads", "inlined"]
