"""Files and folders are written beside their name and renamed: whoever looks finds a whole one or none, or the old one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from bioplausible.foundation.errors import InputError

__all__ = ["FULL", "cannot_write", "clear_partial", "whole_file", "whole_folder", "write_bytes", "write_text"]

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of errors that say that a disk, or a user's share of it, is full."""


def cannot_write(path: str | os.PathLike[str], error: OSError, instead: str = "choose another place") -> InputError:
    """Say that a file or folder cannot be written.

    Parameters
    ----------
    path
        what was to be written.
    error
        why it could not be.
    instead
        what to try.

    Returns
    -------
    the error, to be raised.
    """
    if error.errno in FULL:
        return InputError(f"no disk space left to write {path}: free some, or {instead}")
    return InputError(f"{path} cannot be written ({error.strerror or error}): expected a writable place with room, {instead}")


def _beside(path: Path) -> Path:
    # Hidden, and with the name's own ending, by which some libraries choose how they write.
    return path.with_name(f".part-{os.getpid()}-{secrets.token_hex(4)}.{path.name}")


def clear_partial(folder: Path, name: str = "*") -> None:
    """Delete what somebody who was killed has left half written; nobody else may be writing it.

    Parameters
    ----------
    folder
        where.
    name
        of the file that it was to be, or a pattern.
    """
    for each in folder.glob(f".part-*-????????.{name}"):
        with contextlib.suppress(OSError):
            each.unlink()


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path beside a file to write to, which then takes the file's place; after a failure nothing has changed.

    Parameters
    ----------
    path
        the file; its folder is made where it is not there.

    Yields
    ------
    a path where nothing is yet, with the same ending.

    Raises
    ------
    OSError
        when the place cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        # Renamed it is gone; here it is still there after a failure alone, an interrupt included.
        with contextlib.suppress(OSError):
            partial.unlink()


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a folder beside the one that is wanted, which then takes its name; after a failure nothing has changed.

    Parameters
    ----------
    path
        the folder; it must not be there yet, or be empty.

    Yields
    ------
    a new and empty folder.

    Raises
    ------
    InputError
        when it is there and holds something, or cannot be written.
    """
    partial = None
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(f"{path} is there already and not an empty folder; expected a new one, choose another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _beside(path)
        partial.mkdir()
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole.

    Parameters
    ----------
    path
        the file; its folder is made where it is not there.
    content
        all of it.

    Raises
    ------
    InputError
        no space, or no permission.
    """
    try:
        with whole_file(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(path: Path, content: str) -> None:
    """Write text as UTF-8; see `write_bytes`.

    Parameters
    ----------
    path
        the file.
    content
        all of it.

    Raises
    ------
    InputError
        no space, or no permission.
    """
    write_bytes(path, content.encode("utf-8"))
