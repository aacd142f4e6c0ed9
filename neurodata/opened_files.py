"""Which files a computation opens: what its result depends on, whatever library opens them and however it chooses them.

Python tells of every file that it opens (PEP 578), and h5py, which opens its files in C, is made to. Whoever does not ask pays
nothing: the listener is there from the first question on, and hears for the block that asked alone. Files that other libraries
open in C, past Python, are not heard of.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_heard: ContextVar[set[Path] | None] = ContextVar("opened files", default=None)


def _hear(name: object) -> None:
    heard = _heard.get()
    if heard is not None and isinstance(name, str | bytes | os.PathLike):
        heard.add(Path(os.path.abspath(os.fsdecode(name))))


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        _hear(arguments[0])


def _telling(opening: Callable[..., Any]) -> Callable[..., Any]:
    """One of h5py's functions that open a file, with its name said before."""

    @functools.wraps(opening)
    def told(name: Any, *args: Any, **kwargs: Any) -> Any:
        _hear(name)
        return opening(name, *args, **kwargs)

    return told


@functools.cache
def _begin_to_listen() -> None:
    from h5py import h5f  # which whoever never asks does without

    sys.addaudithook(_listen)
    # h5py's own File, and whatever is made of it, looks them up here each time
    h5f.open, h5f.create = _telling(h5f.open), _telling(h5f.create)


@contextmanager
def opened_files() -> Iterator[set[Path]]:
    """Collect the files that Python opens, to read or to write, within a block and in its thread.

    Yields
    ------
    absolute paths, which come as files are opened.

    >>> with opened_files() as seen:
    ...     text = Path(__file__).read_text()
    >>> [path.name for path in seen]
    ['opened_files.py']
    """
    _begin_to_listen()
    seen: set[Path] = set()
    token = _heard.set(seen)
    try:
        yield seen
    finally:
        _heard.reset(token)


__all__ = ["opened_files"]
