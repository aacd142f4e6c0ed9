"""Results that take long and follow from their inputs alone, kept on disk.

A result is found again by the content of its arguments (hashed by joblib) and the source of the function, so whoever
calls with files gives their checksums, never their paths: a file that moved is known, a file that changed is not. Entries
are written beside their place and renamed, which several processes may do at once; one that cannot be read is computed
again.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from joblib import Memory

from neurodata.cache import ENVIRONMENT_VARIABLE, data_path

FOLDER_NAME = "derived"


def derived(
    function: Callable[..., Any], folder: str | os.PathLike[str] | None = None, ignore: Sequence[str] = ()
) -> Callable[..., Any]:
    """Let a function remember its results in a folder.

    Parameters
    ----------
    function
        a function of a module (not nested), whose result depends on nothing but its arguments.
    folder
        where results are kept, by default "derived" in :func:`neurodata.cache.data_path`. Where it cannot be written,
        a warning says so and everything is computed anew.
    ignore
        names of arguments that do not count: how to read what another argument's checksum identifies.

    Returns
    -------
    a function of the same arguments.

    >>> with tempfile.TemporaryDirectory() as place:
    ...     derived(round, place)(2.5)
    2
    """
    place = data_path() / FOLDER_NAME if folder is None else Path(folder).expanduser()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            pass
        return Memory(place, verbose=0).cache(function, ignore=list(ignore))
    except OSError as error:
        warnings.warn(
            f"the folder {place} for derived results cannot be written ({error.strerror or error}), so they are computed "
            f"each time; name another folder, or point {ENVIRONMENT_VARIABLE} at one",
            stacklevel=2,
        )
        return function


__all__ = ["derived"]
