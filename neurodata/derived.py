"""Results that take long and follow from their inputs alone, kept on disk.

A result is found again by the content of its arguments and the source of the function, so whoever calls with files gives
their checksums, never their paths: a file that moved is known, a file that changed is not. Where a library chooses
what else it reads (the sidecars of a BIDS tree), the files that it did open decide as well. Entries are written beside
their place and renamed, which several processes may do at once; one that cannot be read is computed again; none is ever
removed. (joblib hashes and writes. Its Memory is not used, because it empties a function's folder when another process
has half written the function's source there.)
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import lazy_loader
import platformdirs

from bioplausible.foundation.files import whole_file
from neurodata.cache import file_sha256
from neurodata.opened_files import opened_files

joblib = lazy_loader.load("joblib")

FOLDER_NAME = "derived"
CACHE_VARIABLE = "BIOPLAUSIBLE_CACHE"


def default_folder() -> Path:
    """Name the folder of derived results, which never lies among data: several people may share those, and may not write there.

    Returns
    -------
    the folder that the environment variable BIOPLAUSIBLE_CACHE names, else one in the system's place for caches; it need not be
    there yet.
    """
    named = os.environ.get(CACHE_VARIABLE, "").strip()
    return (Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("bioplausible"))) / FOLDER_NAME


def _source(function: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""  # built in, or typed at a prompt


def _listed(path: Path) -> list[str] | None:
    """The files that were opened the last time, relative to their root."""
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _entry(folder: Path, key: str, root: Path, names: Sequence[str] | None) -> Path | None:
    """Where the result of these files' present content is kept."""
    if names is None:
        return None
    contents = [(name, file_sha256(root / name) if (root / name).is_file() else None) for name in names]
    return folder / f"{joblib.hash((key, contents))}.joblib"


def derived(
    function: Callable[..., Any],
    folder: str | os.PathLike[str] | None = None,
    ignore: Sequence[str] = (),
    files_under: str | os.PathLike[str] | None = None,
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
    files_under
        a folder of whose files those that the function opened decide with the arguments, by their content; None where arguments
        do alone.

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
    root = None if files_under is None else Path(os.path.abspath(Path(files_under).expanduser()))

    @functools.wraps(function)
    def remembering(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        counted = {key: value for key, value in given.arguments.items() if key not in ignore}
        key = joblib.hash((source, counted))
        listed = place / name / f"{key}.files"
        path = _entry(place / name, key, root, _listed(listed)) if root is not None else place / name / f"{key}.joblib"
        if path is not None and path.is_file():
            # a broken pickle raises whatever its bytes happen to mean
            with suppress(Exception):
                return joblib.load(path)
        with ExitStack() as listening:
            seen = listening.enter_context(opened_files()) if root is not None else set()
            result = function(*args, **kwargs)
        try:
            if root is not None:
                names = sorted(file.relative_to(root).as_posix() for file in seen if file.is_relative_to(root) and file.is_file())
                path = _entry(place / name, key, root, names)
                with whole_file(listed) as partial:
                    partial.write_text(json.dumps(names), encoding="utf-8")
            assert path is not None, "what was opened is known by now"
            with whole_file(path) as partial:
                joblib.dump(result, partial)
        except OSError as error:
            warnings.warn(
                f"the folder {place} for derived results cannot be written ({error.strerror or error}), so they are computed "
                f"each time; name another folder, or point {CACHE_VARIABLE} at one",
                stacklevel=2,
            )
        return result

    return remembering


__all__ = ["CACHE_VARIABLE", "default_folder", "derived"]
