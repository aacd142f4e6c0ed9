"""Claims: of several processes that share a folder one does the work, and the others see that it is taken.

A claim is a lock on a file that the system lets go when its holder ends, killed ones included. Where a file system has no such
locks, as some of those that clusters share, it is a file that its holder touches every few seconds, and expires when that stops for
a minute. It can be taken then though its holder, stopped meanwhile, wakes up later: what is done twice is written whole by both.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLease, Timeout

from bioplausible.foundation.files import cannot_write

__all__ = ["EXPIRES", "claim"]

EXPIRES = 60.0
"""Seconds without a sign of life after which a claim can be taken, where the file system has no locks."""
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextlib.contextmanager
def claim(place: Path, wait: float = 0.0, told: Callable[[], None] | None = None) -> Iterator[bool]:
    """Claim what a file stands for.

    Parameters
    ----------
    place
        The file; its folder is made where it is not there. It is gone when the claim is given up.
    wait
        Seconds to wait for whoever has it; -1 for as long as it takes.
    told
        Called once before waiting.

    Yields
    ------
    bool
        Whether it is ours.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    lock = _taken(place)
    if lock is None and wait:
        if told is not None:
            told()
        lock = _taken(place, wait)
    if lock is None:
        yield False
        return
    try:
        yield True
    finally:
        # Whoever opened it before it goes finds that it has no name any more, and opens the next one.
        if isinstance(lock, FileLock):
            with contextlib.suppress(OSError):
                place.unlink()
        lock.release()


def _taken(place: Path, wait: float = 0.0) -> BaseFileLock | None:
    """A lock that is held now, None where another holds it."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _acquired(FileLock(place, fallback_to_soft=False), wait)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        lease = SoftFileLease(marker := place.with_suffix(".lease.lock"), lease_duration=EXPIRES)
        found = _acquired(lease, wait)
        if found is None and _is_silent(marker):
            # It is its holder's until it was watched for as long: clocks of two machines need not agree.
            found = _acquired(lease, 2 * EXPIRES)
        return found
    except OSError as error:
        raise cannot_write(place, error) from error


def _is_silent(marker: Path) -> bool:
    """Whether nobody has touched a claim for as long as it lives, by the clock of its file system."""
    with contextlib.suppress(OSError), tempfile.NamedTemporaryFile(dir=marker.parent) as now:
        return os.stat(now.name).st_mtime - marker.stat().st_mtime > EXPIRES
    return False


def _acquired(lock: BaseFileLock, wait: float) -> BaseFileLock | None:
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        return None
    return lock
