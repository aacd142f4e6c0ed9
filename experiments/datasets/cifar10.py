"""CIFAR-10: 50,000 and 10,000 colour images of 32 x 32, ten kinds of animals and vehicles.

The authors' archive for Python holds six pickles written by Python 2, each a dict with ``data`` (10000, 3072) uint8,
rows of 1,024 red, 1,024 green and 1,024 blue values, and ``labels``, a list. A pickle can run any code when it is
loaded, so these are read by an unpickler that knows three names only, and gives each a stand-in that records an array's
shape, type and bytes and does nothing else.

The decoded arrays are kept beside the archive, so that later reads need neither unpacking nor the archive.

Reference: A. Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images, technical report, University of
    Toronto.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import whole_file
from neurodata.cache import RemoteFile, data_path, fetch

from .contract import NamedSet, SourceFile, SourceImages, Split
from .known_files import CIFAR10_CITATION, CIFAR10_CLASSES

_ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
_ARCHIVE_BYTES = 170498071
_ARCHIVE = RemoteFile(
    path="cifar10/cifar-10-python.tar.gz",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    sha256=_ARCHIVE_SHA256,
    size_bytes=_ARCHIVE_BYTES,
)
_DECODED = "cifar10/cifar-10-decoded.npz"
_FOLDER = "cifar-10-batches-py"
_TRAIN_MEMBERS = tuple(f"{_FOLDER}/data_batch_{number}" for number in range(1, 6))
_TEST_MEMBERS = (f"{_FOLDER}/test_batch",)
_LARGEST_MEMBER = 64 * 2**20


class _StoredType:
    """Stands for ``numpy.dtype`` in a pickle: remembers which type was asked for."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code.decode("latin1") if isinstance(code, bytes) else code

    def __setstate__(self, state: Any) -> None:
        """Byte order and alignment say nothing about single bytes."""


class _StoredArray:
    """Stands for ``numpy.ndarray`` in a pickle: remembers shape, type and bytes."""

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.stored_type, self.is_fortran, self.content = state

    def decode(self) -> UInt8[np.ndarray, "n values"]:
        if self.stored_type.code != "u1":
            raise TypeError(f"an array is of type {self.stored_type.code}")
        return np.frombuffer(self.content, np.uint8).reshape(self.shape, order="F" if self.is_fortran else "C")


def _reconstruct(*_: Any) -> _StoredArray:
    """Stands for NumPy's function of that name, which makes an empty array that a state then fills."""
    return _StoredArray()


class _ArrayUnpickler(pickle.Unpickler):
    """Reads dicts, lists, numbers, strings and stored arrays; refuses every other name."""

    _stand_ins = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): _StoredArray,
        ("numpy", "dtype"): _StoredType,
    }

    def find_class(self, module_name: str, global_name: str) -> Any:
        """The stand-in for a name, where there is one."""
        if (module_name, global_name) not in self._stand_ins:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
        return self._stand_ins[module_name, global_name]


def read_batch(content: bytes, name: str) -> tuple[UInt8[np.ndarray, "n 32 32 3"], UInt8[np.ndarray, " n"]]:
    """Images and labels of one of the archive's pickles, without running what a pickle could ask to be run.

    Parameters
    ----------
    content
        The pickle.
    name
        The file, for the error's sentence.

    Returns
    -------
    tuple[numpy.ndarray, numpy.ndarray]
        ``(n, 32, 32, 3)`` images and ``(n,)`` labels.

    Raises
    ------
    InputError
        The pickle asks for a name beyond those of plain arrays, or does not hold a batch.
    """
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        images = batch[b"data"].decode().reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels = np.asarray(batch[b"labels"])
        if labels.shape != (len(images),) or labels.dtype.kind not in "ui" or labels.min() < 0 or labels.max() > 9:
            raise ValueError("its labels are not one class of ten for each image")
    # Damaged pickles raise almost anything from inside the unpickler.
    except Exception as error:
        raise InputError(
            f"{name} cannot be read ({error}), where a CIFAR-10 batch of plain arrays was expected: remove the "
            "archive, so that it is downloaded again"
        ) from None
    return np.ascontiguousarray(images), labels.astype(np.uint8)


def read_archive(path: Path) -> dict[str, np.ndarray]:
    """Training and test arrays from the archive; nothing is unpacked to disk.

    Parameters
    ----------
    path
        The ``.tar.gz``.

    Returns
    -------
    dict of numpy.ndarray
        ``x_train``, ``y_train``, ``x_test``, ``y_test``.

    Raises
    ------
    InputError
        The archive is damaged or a batch is missing.
    """
    parts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    wanted = _TRAIN_MEMBERS + _TEST_MEMBERS
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.name in wanted and member.isfile() and member.size <= _LARGEST_MEMBER:
                    file = archive.extractfile(member)
                    parts[member.name] = read_batch(file.read() if file else b"", f"{path}: {member.name}")
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be unpacked ({error}), where a whole .tar.gz was expected: remove it, so that it is downloaded again"
        ) from None
    missing = [name for name in wanted if name not in parts]
    if missing:
        raise InputError(
            f"{path} has no {missing[0]}, where CIFAR-10's five training batches and its test batch were expected: "
            "remove it, so that it is downloaded again"
        )
    return {
        "x_train": np.concatenate([parts[name][0] for name in _TRAIN_MEMBERS]),
        "y_train": np.concatenate([parts[name][1] for name in _TRAIN_MEMBERS]),
        "x_test": parts[_TEST_MEMBERS[0]][0],
        "y_test": parts[_TEST_MEMBERS[0]][1],
    }


def write_decoded(path: Path, arrays: dict[str, np.ndarray], archive_sha256: str) -> None:
    """Keep decoded arrays beside the archive, whole or not at all; where nothing can be written, go on without.

    Parameters
    ----------
    path
        Where to.
    arrays
        What to keep.
    archive_sha256
        Checksum of the archive that they come from.
    """
    if not path.parent.is_dir():
        return
    # What cannot be kept is decoded again.
    with contextlib.suppress(OSError), whole_file(path) as partial:
        np.savez(partial, archive_sha256=np.asarray(archive_sha256), **arrays)  # type: ignore[arg-type]


def read_decoded(path: Path, archive_sha256: str) -> dict[str, np.ndarray] | None:
    """Decoded arrays that were kept, or None where there are none, or damaged ones, or ones of another archive.

    Parameters
    ----------
    path
        Where they are kept.
    archive_sha256
        Checksum of the archive that they must come from.

    Returns
    -------
    dict[str, numpy.ndarray] | None
        ``x_train``, ``y_train``, ``x_test``, ``y_test``; the zip's own CRC has been checked for each.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if str(archive["archive_sha256"]) != archive_sha256:
                return None
            return {key: archive[key] for key in ("x_train", "y_train", "x_test", "y_test")}
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error):
        return None


def read() -> SourceImages:
    """Read CIFAR-10 from the cache, or download it into the cache.

    Returns
    -------
    SourceImages
        The image set.

    Raises
    ------
    InputError
        The cached archive is damaged, or it cannot be downloaded.
    """
    decoded = data_path() / _DECODED
    arrays = read_decoded(decoded, _ARCHIVE_SHA256)
    if arrays is None:
        arrays = read_archive(fetch(_ARCHIVE))
        write_decoded(decoded, arrays, _ARCHIVE_SHA256)
    return SourceImages(
        name="cifar10",
        class_names=CIFAR10_CLASSES,
        train=Split(arrays["x_train"], arrays["y_train"].astype(np.int32)),
        test=Split(arrays["x_test"], arrays["y_test"].astype(np.int32)),
        citation=NAMED_SET.citation,
        licence=NAMED_SET.licence,
        source=(SourceFile(_ARCHIVE.path, _ARCHIVE_SHA256),),
    )


def remote_files() -> tuple[RemoteFile, ...]:
    """The archive, where its decoded arrays are not kept already."""
    return () if (data_path() / _DECODED).is_file() else (_ARCHIVE,)


NAMED_SET = NamedSet(
    name="cifar10",
    n_train=50000,
    n_test=10000,
    shape=(32, 32, 3),
    n_classes=10,
    citation=CIFAR10_CITATION,
    licence="none stated; its authors ask to be cited",
    size_bytes=_ARCHIVE_BYTES,
    read=read,
    remote_files=remote_files,
)

__all__ = ["NAMED_SET", "read", "read_archive", "read_batch", "read_decoded", "remote_files", "write_decoded"]
