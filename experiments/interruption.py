"""Ctrl-C ends the command soon, whatever it is doing.

Python looks for signals between its own instructions, and an epoch is one call of compiled code that takes as long as it takes.
What is on disk is whole at every moment, so that nothing is lost by an end without ceremony: whoever does not stop by itself is
stopped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

__all__ = ["STATUS", "at_once"]

STATUS = 130
"""Exit status of a command that was interrupted: 128 and the number of the signal."""
_PATIENCE_SECONDS = 1.0
_CURSOR = "\x1b[?25h"


@contextlib.contextmanager
def at_once(told: str, patience: float = _PATIENCE_SECONDS) -> Iterator[None]:
    """End the process when it is interrupted and does not stop by itself.

    Parameters
    ----------
    told
        Line for stderr.
    patience
        Seconds that it has.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread
        return
    here, there = socket.socketpair()
    here.setblocking(False)
    there.settimeout(None)
    before = signal.set_wakeup_fd(here.fileno(), warn_on_full_buffer=False)
    over = threading.Event()

    def watch() -> None:
        while number := there.recv(1):
            if number[0] == signal.SIGINT and not over.wait(patience):
                shown = _CURSOR if sys.stderr.isatty() else ""  # a bar hides it
                print(f"{shown}{told}", file=sys.stderr, flush=True)
                os._exit(STATUS)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        here.close()
