"""Arrays that come from elsewhere in an `.npz`: read whole, or refused in one sentence before any memory is asked for."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from bioplausible.foundation.errors import InputError
from experiments.environment import check_room

__all__ = ["READ_ERRORS", "check_size", "read_npz"]

READ_ERRORS = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def read_npz(path: Path, origin: str, layout: str) -> dict[str, np.ndarray]:
    """Read all arrays of a file.

    Parameters
    ----------
    path
        Of the file.
    origin
        What messages begin with.
    layout
        What is expected in it.

    Raises
    ------
    InputError
        No such file, another kind of file, damage, objects of Python, or headers of more than any memory holds.
    """
    if not path.is_file() or not zipfile.is_zipfile(path):
        what = "is no .npz" if path.is_file() else "is not there"
        raise InputError(f"{origin}: the file {what}; give an .npz with {layout}, as numpy.savez writes it")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {}
            for key in arrays.files:
                check_size(path, key, f"{origin}, '{key}'", "smaller arrays")
                found[key] = arrays[key]
    except InputError:
        raise
    except READ_ERRORS as error:
        why = " ".join(str(error).split())
        raise InputError(f"{origin}: the file cannot be read ({why}); write it again with numpy.savez") from error
    if not found:
        raise InputError(f"{origin}: the file holds no array; expected {layout}")
    return found


def check_size(file: Path, key: str, origin: str, instead: str) -> None:
    """Refuse an array whose header says more than any memory holds, before it is asked for.

    Parameters
    ----------
    file
        An `.npz`.
    key
        Of the array.
    origin
        What messages begin with.
    instead
        What to try.

    Raises
    ------
    InputError
        More than there is, or objects of Python.
    """
    with zipfile.ZipFile(file) as members, members.open(f"{key}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise InputError(f"{origin} holds objects of Python, expected numbers")
    check_room(math.prod(shape) * dtype.itemsize, f"{origin} of shape {shape} take", instead)
