"""Arrays on disk, and the folder that a run writes into."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import cannot_write, whole_file
from bioplausible.foundation.resolve import is_reference

__all__ = ["no_empty_folder", "prepare_folder", "short_name", "write_arrays"]


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an `.npz` whole.

    Parameters
    ----------
    path
        the file, whose name ends in .npz.
    arrays
        name -> array.

    Raises
    ------
    InputError
        no space, or no permission.
    """
    try:
        with whole_file(path) as partial:
            np.savez_compressed(partial, **dict(arrays))  # type: ignore[arg-type]
    except OSError as error:
        raise cannot_write(path, error) from error


@contextlib.contextmanager
def no_empty_folder(path: Path | None) -> Iterator[None]:
    """Leave no folder behind that a run made, failed in, and wrote nothing into; nor those that it made to hold that one."""
    new = [] if path is None else [each for each in (path, *path.parents) if not os.path.lexists(each)]
    try:
        yield
    except BaseException:
        # A folder that holds something stays.
        for each in new:
            with contextlib.suppress(OSError):
                each.rmdir()
        raise


def prepare_folder(path: Path, besides: str = "") -> Path:
    """Make the folder that a run writes into.

    Parameters
    ----------
    path
        The folder; a new one or an empty one.
    besides
        A name that may be in it: what an interrupted run left for the next.

    Raises
    ------
    InputError
        It is a file, holds something already, or cannot be written.
    """
    try:
        if path.exists() and not path.is_dir():
            raise InputError(f"--out {path} is a file: give a folder that is new or empty")
        path.mkdir(parents=True, exist_ok=True)
        there = {each.name for each in path.iterdir()}
        if "config.yaml" in there and "unfinished" in there and besides != "unfinished":
            raise InputError(
                f"--out {path} holds a training that was interrupted: go on with it by `train --out {path} --resume`, or give "
                "a folder that is new or empty"
            )
        if there - {besides}:
            raise InputError(f"--out {path} holds files already: give a folder that is new or empty, so that nothing is lost")
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(f"--out {path} cannot be written ({error.strerror}): give a folder that can") from error
    return path


def short_name(name: str) -> str:
    """A name as a part of a file's: without the folders of a user's file, and without what some file systems refuse.

    Parameters
    ----------
    name
        Of a rule, network or image set, or `path.py:name`.

    >>> short_name("feedback_alignment/sign"), short_name("../mine/rules.py:oja")
    ('feedback_alignment-sign', 'rules.py-oja')
    """
    own = name.rpartition("/")[2] if is_reference(name) else name
    return re.sub(r"[^\w.-]", "-", own)
