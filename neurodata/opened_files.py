"""Which files a computation opens: what its result depends on, whatever library opens them and however it chooses them.

Python tells of every file that it opens (PEP 578). Whoever does not ask pays nothing: the listener is there from the first
question on, and hears for the block that asked alone. Files that a library opens in C, past Python, are not heard of.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_heard: ContextVar[set[Path] | None] = ContextVar("opened files", default=None)


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open":
        return
    heard = _heard.get()
    if heard is not None and isinstance(arguments[0], str | bytes | os.PathLike):
        heard.add(Path(os.path.abspath(os.fsdecode(arguments[0]))))


@functools.cache
def _begin_to_listen() -> None:
    sys.addaudithook(_listen)


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
