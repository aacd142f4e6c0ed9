"""How far a long job has come: one signature for whoever reports it, one bar for whoever watches."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

__all__ = ["Progress", "now_and_then", "progress_bar", "silent"]

Progress = Callable[[int, int, str], None]
"""Called with what is done, what there is in all (0 where unknown), and a line to show."""


def silent(done: int, of: int, line: str) -> None:
    """Show nothing: what stands where no progress is asked for."""


@contextlib.contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a bar on stderr where that is a terminal; elsewhere, as in the log of a cluster, a line now and then.

    Yields
    ------
    the function to call with what is done, what there is in all, and a line to show.
    """
    # Most of what the foundation serves shows nothing.
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield now_and_then()
        return
    left = (TextColumn("left"), TimeRemainingColumn(compact=True))
    columns = (BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn(), *left)
    with Bar(*columns, TextColumn("{task.description}"), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of, line: bar.update(task, completed=done, total=of or None, description=line)


def now_and_then(every: float = 60.0, clock: Callable[[], float] = time.monotonic) -> Progress:
    """Write a line on stderr, though not more often than is worth reading.

    Parameters
    ----------
    every
        seconds between two lines, and before the first, at the least.
    clock
        gives seconds.

    Returns
    -------
    the function to call with what is done, what there is in all, and a line to show.
    """
    started = last = clock()
    first: int | None = None

    def write(done: int, of: int, line: str) -> None:
        nonlocal last, first
        first = done if first is None else first  # what was there before took no time
        now = clock()
        if now - last < every:
            return
        last = now
        left = f", {_spoken((now - started) / (done - first) * (of - done))} left" if of and done > first else ""
        in_all = f"{done} of {of}" if of else f"{done}"
        print(f"{_spoken(now - started)}: {in_all}{left}: {line}", file=sys.stderr, flush=True)

    return write


def _spoken(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> _spoken(42.0), _spoken(3725.0)
    ('0:42', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
