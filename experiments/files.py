"""Files are written beside their name and renamed: whoever looks finds a whole file or none."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from bioplausible.foundation.errors import InputError

__all__ = ["no_empty_folder", "prepare_folder", "write_arrays", "write_bytes", "write_text"]


def _explain(path: Path, error: OSError) -> InputError:
    if error.errno == errno.ENOSPC:
        return InputError(f"no disk space left to write {path}: free some, or choose another --out")
    return InputError(f"{path} cannot be written ({error.strerror}): choose an --out that is writable")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole.

    Raises:
        InputError: no space, or no permission.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # A temporary file is private to its owner; results are made as any other file is.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except OSError as error:
        raise _explain(path, error) from error
    finally:
        # Renamed it is gone; here it is still there after a failure alone, an interrupt included.
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def write_text(path: Path, content: str) -> None:
    """Write text as UTF-8; see `write_bytes`."""
    write_bytes(path, content.encode("utf-8"))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an `.npz`; see `write_bytes`."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(arrays))  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


@contextlib.contextmanager
def no_empty_folder(path: Path | None) -> Iterator[None]:
    """Leave no folder behind that a run made, failed in, and wrote nothing into."""
    is_new = path is not None and not os.path.lexists(path)
    try:
        yield
    except BaseException:
        if path is not None and is_new:
            # A folder that holds something stays.
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def prepare_folder(path: Path) -> Path:
    """Make the folder that a run writes into.

    Raises:
        InputError: it is a file, holds something already, or cannot be written.
    """
    try:
        if path.exists() and not path.is_dir():
            raise InputError(f"--out {path} is a file: give a folder that is new or empty")
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise InputError(f"--out {path} holds files already: give a folder that is new or empty, so that nothing is lost")
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(f"--out {path} cannot be written ({error.strerror}): give a folder that can") from error
    return path
