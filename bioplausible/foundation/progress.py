"""How far a long job has come: one signature for whoever reports it, one bar for whoever watches."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["Progress", "progress_bar", "silent"]

Progress = Callable[[int, int, str], None]
"""Called with what is done, what there is in all (0 where unknown), and a line to show."""


def silent(done: int, of: int, line: str) -> None:
    """Show nothing: what stands where no progress is asked for."""


@contextlib.contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a bar on stderr where that is a terminal; elsewhere nothing.

    Yields
    ------
    the function to call with what is done, what there is in all, and a line to show.
    """
    # Most of what the foundation serves shows nothing.
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield silent
        return
    columns = (BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of, line: bar.update(task, completed=done, total=of or None, description=line)
