"""One cache folder for everything that is downloaded, by checksum.

A file already in the folder with a right checksum is used as it is and never downloaded again, so the folder may be
read-only once it is filled. A download goes to a hidden partial file beside its destination, is checked, and is renamed:
whatever fails in between leaves nothing half-written under the file's own name. What a broken connection, an interruption
or a killed process leaves of a download is gone on with by the next one; of several processes one downloads, the others wait.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import lazy_loader
import platformdirs
from filelock import FileLock

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import FULL
from bioplausible.foundation.progress import Progress
from neurodata.transfer import resume

pooch = lazy_loader.load("pooch")

ENVIRONMENT_VARIABLE = "BIOPLAUSIBLE_DATA"
CONNECTIONS = 8  # at once, for recordings of many small files

_verified: dict[tuple[str, int, int, str], str] = {}  # (path, size, modification time, algorithm) -> checksum


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be downloaded.

    Parameters
    ----------
    path
        where it lies in the cache folder, with forward slashes.
    url
        its address, or several that are tried in turn; none of a file that is put into the folder by hand.
    sha256
        its checksum in hexadecimal, or several of which any is right.
    size_bytes
        its size, or None where unknown.
    algorithm
        "md5" where the source states no other checksum.
    """

    path: str
    url: str | tuple[str, ...]
    sha256: str | tuple[str, ...]
    size_bytes: int | None = None
    algorithm: str = "sha256"

    @property
    def urls(self) -> tuple[str, ...]:
        """Addresses in the order in which they are tried."""
        return (self.url,) if isinstance(self.url, str) else self.url

    @property
    def checksums(self) -> tuple[str, ...]:
        """Accepted checksums."""
        return (self.sha256,) if isinstance(self.sha256, str) else self.sha256


def data_path() -> Path:
    """Name the cache folder: the environment variable BIOPLAUSIBLE_DATA, else the system's place for caches.

    Returns
    -------
    the folder, which need not be there yet.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("bioplausible"))


def _checksum(path: Path, algorithm: str) -> str:
    status = path.stat()
    key = (str(path.resolve()), status.st_size, status.st_mtime_ns, algorithm)
    if key not in _verified:
        _verified[key] = pooch.file_hash(str(path), alg=algorithm)
    return _verified[key]


def file_sha256(path: Path) -> str:
    """Compute a file's sha256; a file that has not changed since is not read twice by one process.

    Parameters
    ----------
    path
        the file.

    Returns
    -------
    the checksum in hexadecimal.
    """
    return _checksum(path, "sha256")


def _is_right(path: Path, remote: RemoteFile) -> bool:
    try:
        return path.is_file() and _checksum(path, remote.algorithm) in remote.checksums
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
        f"no disk space left for {remote.path} in {folder}{there}; {needed} is needed (what came is kept), free some or point "
        f"{ENVIRONMENT_VARIABLE} at another disk"
    )


def _download(url: str, partial: Path, remote: RemoteFile, progress: Progress | None) -> str | None:
    """Download into the partial file, going on where it ends; return what went wrong, or None."""
    began = partial.stat().st_size
    failure = resume(url, partial, remote.size_bytes, progress)
    if failure is not None:
        return failure
    found = pooch.file_hash(str(partial), alg=remote.algorithm)
    if found in remote.checksums:
        return None
    size = partial.stat().st_size
    os.truncate(partial, 0)
    if began:  # what an earlier attempt left may have been the wrong part: from the start, once
        return _download(url, partial, remote, progress)
    expected = f" of {remote.size_bytes}" if remote.size_bytes else ""
    return (
        f"{url}: {size}{expected} bytes came with the wrong checksum ({remote.algorithm} {found[:12]}…, expected "
        f"{' or '.join(checksum[:12] + '…' for checksum in remote.checksums)})"
    )


@contextmanager
def fetched_elsewhere(name: str, folder: Path) -> Iterator[None]:
    """Put what another library's fetcher trips over into one sentence, whatever it raises it as.

    Parameters
    ----------
    name
        of the recording.
    folder
        where the fetcher writes to.

    Raises
    ------
    InputError
        for OSError, ValueError and RuntimeError of the block.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
        raise InputError(
            f"{name} could not be downloaded to {folder} ({reason}); try again later, or point {ENVIRONMENT_VARIABLE} at a folder "
            "that has it"
        ) from error


@contextmanager
def alone_at(path: Path) -> Iterator[None]:
    """Let one process at a time make a file; the others wait, and look for it then.

    Parameters
    ----------
    path
        the file; its folder is made where it is not there.

    Raises
    ------
    OSError
        where the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    with lock:
        try:
            yield
        finally:
            with suppress(OSError):
                Path(lock.lock_file).unlink()  # still held: whoever waits finds another in its place


@contextmanager
def _partial(path: Path, remote: RemoteFile, root: Path) -> Iterator[Path]:
    """Give the partial file of a download to one process at a time; it stays where it holds something that can be gone on with."""
    partial = path.with_name(f".{path.name}.{remote.checksums[0][:12]}.part")
    try:
        with alone_at(path):
            try:
                partial.touch()
                yield partial
            finally:
                with suppress(OSError):
                    if not partial.stat().st_size:
                        partial.unlink()
    except OSError as error:
        raise (_no_space(root, remote) if error.errno in FULL else _unwritable(root, error)) from error


def fetch(remote: RemoteFile, folder: Path | None = None, progress: Progress | None = None) -> Path:
    """Give the path of a file, downloading it where it is not there yet.

    Parameters
    ----------
    remote
        what to fetch.
    folder
        the cache folder, by default :func:`data_path`.
    progress
        called with bytes so far, bytes in all and a line to show while the file is downloaded.

    Returns
    -------
    the path, of a file with a right checksum.

    Raises
    ------
    InputError
        when it cannot be downloaded, has a wrong checksum, or cannot be written.
    """
    root = data_path() if folder is None else folder
    path = root / remote.path
    if _is_right(path, remote):
        return path
    if not remote.urls:
        found = "another file is there" if path.is_file() else "it is not there"
        raise InputError(
            f"{remote.path} has no address to be downloaded from, and {found}: put the file with the {remote.algorithm} "
            f"{' or '.join(remote.checksums)} at {path}"
        )
    with _partial(path, remote, root) as partial:
        if _is_right(path, remote):  # another process has downloaded it meanwhile
            return path
        free, there = shutil.disk_usage(path.parent).free, partial.stat().st_size
        if remote.size_bytes and free < remote.size_bytes - there:
            raise _no_space(root, remote, free)
        failures = []
        for url in remote.urls:
            failure = _download(url, partial, remote, progress)
            if failure is None:
                os.replace(partial, path)
                return path
            failures.append(failure)
        kept = partial.stat().st_size
        raise InputError(
            f"{remote.path} could not be downloaded ({'; '.join(failures)}); "
            + (f"{kept / 1e6:.1f} MB are kept and will be gone on with: " if kept else "")
            + f"try again later, or put the file with the right checksum at {path}"
        )


class _StoppedError(Exception):
    """Another download has failed, or the user has had enough."""


def fetch_all(remotes: Iterable[RemoteFile], folder: Path | None = None, progress: Progress | None = None) -> tuple[Path, ...]:
    """Fetch several files, some at a time.

    Parameters
    ----------
    remotes
        what to fetch.
    folder
        the cache folder, by default :func:`data_path`.
    progress
        called with bytes so far and bytes in all, and a line to show; summed over the files that have to be downloaded.

    Returns
    -------
    their paths in the order given.

    Raises
    ------
    InputError
        for the first that fails; what came of the others is kept.
    """
    root = data_path() if folder is None else folder
    wanted = tuple(remotes)
    missing = [remote for remote in wanted if not _is_right(root / remote.path, remote)]
    if missing:
        lock, stop = threading.Lock(), threading.Event()
        done = dict.fromkeys((remote.path for remote in missing), 0)
        total = sum(remote.size_bytes or 0 for remote in missing)

        def report(path: str) -> Progress:
            def add(n_bytes: int, _: int, line: str) -> None:
                if stop.is_set():
                    raise _StoppedError
                if progress is not None:
                    with lock:
                        done[path] = n_bytes
                        progress(sum(done.values()), total, line)

            return add

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            tasks = [pool.submit(fetch, remote, root, report(remote.path)) for remote in missing]
            try:
                for task in as_completed(tasks):
                    task.result()
            except BaseException:  # an interruption too: gigabytes under way do not go on behind it
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    return tuple(root / remote.path for remote in wanted)


def is_cached(remote: RemoteFile, folder: Path | None = None) -> bool:
    """Say whether a file is there with the right size, without reading it; :func:`fetch` checks its checksum.

    Parameters
    ----------
    remote
        the file.
    folder
        the cache folder, by default :func:`data_path`.

    Returns
    -------
    True where it is there; of a file whose size is not known, whatever its size.
    """
    path = (data_path() if folder is None else folder) / remote.path
    try:
        return path.is_file() and (remote.size_bytes is None or path.stat().st_size == remote.size_bytes)
    except OSError:
        return False


__all__ = [
    "ENVIRONMENT_VARIABLE",
    "RemoteFile",
    "alone_at",
    "data_path",
    "fetch",
    "fetch_all",
    "fetched_elsewhere",
    "file_sha256",
    "is_cached",
]
