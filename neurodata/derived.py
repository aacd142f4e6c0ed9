"""Results that take long and follow from their inputs alone, kept on disk.

A result is found again by the content of its arguments and the source of the function, so whoever calls with files gives
their checksums, never their paths: a file that moved is known, a file that changed is not. Entries are written beside
their place and renamed, which several processes may do at once; one that cannot be read is computed again; none is ever
removed. (joblib hashes and writes. Its Memory is not used, because it empties a function's folder when another process
has half written the function's source there.)
"""

from __future__ import annotations

import functools
import inspect
import os
import stat
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import joblib
import pooch

from bioplausible.foundation.files import whole_file
from neurodata.cache import ENVIRONMENT_VARIABLE, data_path

FOLDER_NAME = "derived"


def default_folder() -> Path:
    """Name the folder of derived results: in the data folder, or where that is kept read-only in the system's place for caches.

    The mode decides and not whether writing would work, since an administrator may write anywhere.

    Returns
    -------
    the folder, which need not be there yet.
    """
    data = data_path()
    read_only = data.is_dir() and not data.stat().st_mode & stat.S_IWUSR
    return (Path(pooch.os_cache("bioplausible")) if read_only else data) / FOLDER_NAME


def _source(function: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""  # built in, or typed at a prompt


def derived(
    function: Callable[..., Any], folder: str | os.PathLike[str] | None = None, ignore: Sequence[str] = ()
) -> Callable[..., Any]:
    """Let a function remember its results in a folder.

    Parameters
    ----------
    function
        a function whose result depends on nothing but its arguments. A change of its own source is noticed, one of what it
        calls is not: give a version as an argument.
    folder
        where results are kept, by default :func:`default_folder`. Where it cannot be written,
        a warning says so and results are not kept. As they are pickled, it must be a folder that only trusted people write.
    ignore
        names of arguments that do not count: how to read what another argument's checksum identifies.

    Returns
    -------
    a function of the same arguments.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     derived(round, place)(2.5)
    2
    """
    place = default_folder() if folder is None else Path(folder).expanduser()
    name = f"{function.__module__}.{function.__qualname__}"
    signature, source = inspect.signature(function), _source(function)

    @functools.wraps(function)
    def remembering(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        counted = {key: value for key, value in given.arguments.items() if key not in ignore}
        path = place / name / f"{joblib.hash((source, counted))}.joblib"
        if path.is_file():
            # a broken pickle raises whatever its bytes happen to mean
            with suppress(Exception):
                return joblib.load(path)
        result = function(*args, **kwargs)
        try:
            with whole_file(path) as partial:
                joblib.dump(result, partial)
        except OSError as error:
            warnings.warn(
                f"the folder {place} for derived results cannot be written ({error.strerror or error}), so they are computed "
                f"each time; name another folder, or point {ENVIRONMENT_VARIABLE} at one",
                stacklevel=2,
            )
        return result

    return remembering


__all__ = ["default_folder", "derived"]
