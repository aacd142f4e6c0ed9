"""One cache folder for everything that is downloaded, by checksum.

A file already in the folder with a right checksum is used as it is and never downloaded again, so the folder may be
read-only once it is filled. A download goes to a temporary file beside its destination, is checked, and is renamed:
whatever fails in between leaves nothing half-written under the file's own name.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pooch

from neurodata.errors import InputError

ENVIRONMENT_VARIABLE = "BIOPLAUSIBLE_DATA"
CONNECTIONS = 8  # at once, for recordings of many small files
TIMEOUT_SECONDS = 30
CHUNK_BYTES = 1 << 18

Progress = Callable[[int, int], object]  # bytes so far, bytes in all (0 where the server does not say)

_verified: dict[tuple[str, int, int], str] = {}  # (path, size, modification time) -> sha256


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be downloaded.

    Parameters
    ----------
    path
        where it lies in the cache folder, with forward slashes.
    url
        its address, or several that are tried in turn.
    sha256
        its checksum in hexadecimal, or several of which any is right.
    size_bytes
        its size, or None where unknown.
    """

    path: str
    url: str | tuple[str, ...]
    sha256: str | tuple[str, ...]
    size_bytes: int | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        """Addresses in the order in which they are tried."""
        return (self.url,) if isinstance(self.url, str) else self.url

    @property
    def checksums(self) -> tuple[str, ...]:
        """Accepted checksums."""
        return (self.sha256,) if isinstance(self.sha256, str) else self.sha256


class _ProgressBar:
    """What pooch calls a progress bar, passed on to a function of bytes done and bytes in all."""

    def __init__(self, report: Progress):
        self.report = report
        self.total = 0
        self.done = 0

    def update(self, n_bytes: int) -> None:
        self.done = min(self.done + n_bytes, self.total or self.done + n_bytes)
        self.report(self.done, self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """Leave the display to whoever gave the function."""


def data_path() -> Path:
    """Name the cache folder: the environment variable BIOPLAUSIBLE_DATA, else the system's place for caches."""
    named = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    return Path(named).expanduser() if named else Path(pooch.os_cache("bioplausible"))


def file_sha256(path: Path) -> str:
    """Compute a file's sha256; a file that has not changed since is not read twice by one process."""
    status = path.stat()
    key = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    if key not in _verified:
        _verified[key] = pooch.file_hash(str(path), alg="sha256")
    return _verified[key]


def _is_right(path: Path, remote: RemoteFile) -> bool:
    try:
        return path.is_file() and file_sha256(path) in remote.checksums
    except OSError as error:
        raise InputError(
            f"{path} is there but cannot be read ({error.strerror}); expected a readable file, change its permissions "
            f"or point {ENVIRONMENT_VARIABLE} at another folder"
        ) from error


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"the data folder {folder} cannot be written ({error.strerror or error}); expected a writable folder or one "
        f"that holds the files already, point {ENVIRONMENT_VARIABLE} at another"
    )


def _no_space(folder: Path, remote: RemoteFile, free: int | None = None) -> InputError:
    needed = f"{remote.size_bytes / 1e6:.1f} MB" if remote.size_bytes else "more"
    there = "" if free is None else f" ({free / 1e6:.1f} MB free)"
    return InputError(
        f"no disk space left for {remote.path} in {folder}{there}; {needed} is needed, free some or point "
        f"{ENVIRONMENT_VARIABLE} at another disk"
    )


def _say_why(error: Exception) -> str:
    """Put a failed request into some words; the exception's own text runs over several clauses of internals."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT_SECONDS} seconds"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke before the end of the file"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return type(error).__name__


def _download(url: str, partial: Path, remote: RemoteFile, progress: Progress | None) -> str | None:
    """Download into the partial file; return what went wrong, or None."""
    import requests

    bar = None if progress is None else _ProgressBar(progress)
    downloader = pooch.HTTPDownloader(progressbar=bar or False, chunk_size=CHUNK_BYTES, timeout=TIMEOUT_SECONDS)
    try:
        downloader(url, str(partial), None)
    except requests.RequestException as error:
        return f"{url}: {_say_why(error)}"
    found = pooch.file_hash(str(partial), alg="sha256")
    if found not in remote.checksums:
        size = partial.stat().st_size
        expected = f" of {remote.size_bytes}" if remote.size_bytes else ""
        return (
            f"{url}: {size}{expected} bytes came with the wrong checksum (sha256 {found[:12]}…, expected "
            f"{' or '.join(checksum[:12] + '…' for checksum in remote.checksums)})"
        )
    return None


def fetch(remote: RemoteFile, folder: Path | None = None, progress: Progress | None = None) -> Path:
    """Give the path of a file, downloading it where it is not there yet.

    Parameters
    ----------
    remote
        what to fetch.
    folder
        the cache folder, by default :func:`data_path`.
    progress
        called with bytes so far and bytes in all while the file is downloaded.

    Raises
    ------
    InputError
        when it cannot be downloaded, has a wrong checksum, or cannot be written.
    """
    root = data_path() if folder is None else folder
    path = root / remote.path
    if _is_right(path, remote):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise (_no_space(root, remote) if error.errno == errno.ENOSPC else _unwritable(root, error)) from error
    partial = Path(name)
    try:
        if remote.size_bytes and free < remote.size_bytes:
            raise _no_space(root, remote, free)
        failures = []
        for url in remote.urls:
            failure = _download(url, partial, remote, progress)
            if failure is None:
                # a temporary file is private to its owner; what is cached may be shared
                partial.chmod(0o644)
                os.replace(partial, path)
                return path
            failures.append(failure)
        raise InputError(
            f"{remote.path} could not be downloaded ({'; '.join(failures)}); try again later, or put the file with the "
            f"right checksum at {path}"
        )
    except OSError as error:
        raise (_no_space(root, remote) if error.errno == errno.ENOSPC else _unwritable(root, error)) from error
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def fetch_all(remotes: Iterable[RemoteFile], folder: Path | None = None, progress: Progress | None = None) -> tuple[Path, ...]:
    """Fetch several files, some at a time.

    Parameters
    ----------
    remotes
        what to fetch.
    folder
        the cache folder, by default :func:`data_path`.
    progress
        called with bytes so far and bytes in all, summed over the files that have to be downloaded.

    Returns
    -------
    their paths in the order given.

    Raises
    ------
    InputError
        for the first that fails, after the ones under way have ended.
    """
    root = data_path() if folder is None else folder
    wanted = tuple(remotes)
    missing = [remote for remote in wanted if not _is_right(root / remote.path, remote)]
    if missing:
        lock = threading.Lock()
        done = dict.fromkeys((remote.path for remote in missing), 0)
        total = sum(remote.size_bytes or 0 for remote in missing)

        def report(path: str) -> Progress | None:
            if progress is None:
                return None

            def add(n_bytes: int, _: int) -> None:
                with lock:
                    done[path] = n_bytes
                    progress(sum(done.values()), total)

            return add

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            tasks = [pool.submit(fetch, remote, root, report(remote.path)) for remote in missing]
            try:
                for task in tasks:
                    task.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    return tuple(root / remote.path for remote in wanted)


def is_cached(remote: RemoteFile, folder: Path | None = None) -> bool:
    """Say whether a file is there with the right size, without reading it; :func:`fetch` checks its checksum."""
    path = (data_path() if folder is None else folder) / remote.path
    try:
        return path.is_file() and (remote.size_bytes is None or path.stat().st_size == remote.size_bytes)
    except OSError:
        return False


__all__ = ["ENVIRONMENT_VARIABLE", "Progress", "RemoteFile", "data_path", "fetch", "fetch_all", "file_sha256", "is_cached"]
