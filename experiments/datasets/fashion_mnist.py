"""Fashion-MNIST: 60,000 and 10,000 grey images of 28 x 28, ten kinds of clothing.

Read from the folder of Debian's package ``dataset-fashion-mnist`` where that is installed, else downloaded. Debian
compresses the files anew, so that only the decompressed IDX files are the same in both; their sha256 is what is checked
and what a run records.

IDX: two zero bytes, a type byte (8 for unsigned bytes), the number of axes, the length of each axis as a big-endian
    32-bit number,
then the values, last axis fastest.

Reference: H. Xiao, K. Rasul and R. Vollgraf (2017), Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
    Learning
Algorithms, arXiv:1708.07747.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from bioplausible.foundation.errors import InputError
from neurodata.cache import RemoteFile, fetch

from .contract import NamedSet, SourceFile, SourceImages, Split

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"


class _IdxFile(NamedTuple):
    name: str
    shape: tuple[int, ...]
    content_sha256: str
    gzip_sha256: str
    gzip_bytes: int

    @property
    def remote(self) -> RemoteFile:
        return RemoteFile(
            path=f"fashion_mnist/{self.name}.gz",
            url=f"{_URL}{self.name}.gz",
            sha256=(self.gzip_sha256,),
            size_bytes=self.gzip_bytes,
        )


# The compressed files' md5, which the authors publish, are 8d4fb7e6c68d591d4c3dfef9ec88bf0d, 25c81989df183df01b3e8a0aad5dffbe,
# bef4ecab320f06d8554ea6380940ec79 and bb300cfdad3c16e7a12a480ee83cd310, in this order.
_FILES = (
    _IdxFile(
        "train-images-idx3-ubyte",
        (60000, 28, 28),
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        26421880,
    ),
    _IdxFile(
        "train-labels-idx1-ubyte",
        (60000,),
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        29515,
    ),
    _IdxFile(
        "t10k-images-idx3-ubyte",
        (10000, 28, 28),
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        4422102,
    ),
    _IdxFile(
        "t10k-labels-idx1-ubyte",
        (10000,),
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        5148,
    ),
)


def _installed(file: _IdxFile) -> Path:
    return DEBIAN_FOLDER / f"{file.name}.gz"


def decompress(path: Path) -> bytes:
    """What a gzip file holds.

    Raises
    ------
    InputError
        The file cannot be read or is not whole.
    """
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be decompressed ({error}), where a whole gzip file was expected: remove it, or install "
            "the package that it belongs to again"
        ) from None


def parse_idx(content: bytes, shape: tuple[int, ...], name: str) -> UInt8[np.ndarray, "..."]:
    """The array that an IDX file of unsigned bytes holds.

    Parameters
    ----------
    content
        The file, decompressed.
    shape
        The shape that its header must state.
    name
        The file, for the error's sentence.

    Returns
    -------
    numpy.ndarray
        An array of that shape.

    Raises
    ------
    InputError
        Magic number, shape or length are not those of such a file.

    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]), (2,), "labels").tolist()
    [7, 9]
    """
    header = bytes([0, 0, 8, len(shape)]) + b"".join(length.to_bytes(4, "big") for length in shape)
    if content[: len(header)] != header or len(content) != len(header) + int(np.prod(shape)):
        raise InputError(
            f"{name} starts with {content[: len(header)].hex()} and has {len(content)} bytes, where an IDX file of "
            f"unsigned bytes of shape {shape} was expected: fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def locate(file: _IdxFile) -> Path:
    """Debian's copy where its package is installed, else the cached or downloaded one."""
    return _installed(file) if _installed(file).is_file() else fetch(file.remote)


def read() -> SourceImages:
    """Read Fashion-MNIST from Debian's folder, the cache or its authors' server.

    Returns
    -------
    SourceImages
        The image set.

    Raises
    ------
    InputError
        A file is damaged or is not Fashion-MNIST's, or cannot be downloaded.
    """
    arrays, source = [], []
    for file in _FILES:
        path = locate(file)
        content = decompress(path)
        sha256 = hashlib.sha256(content).hexdigest()
        array = parse_idx(content, file.shape, str(path))
        if sha256 != file.content_sha256:
            raise InputError(
                f"{path}: the decompressed content has sha256 {sha256[:12]}…, where Fashion-MNIST's "
                f"{file.content_sha256[:12]}… was expected: remove it, or install the package that it belongs to "
                "again"
            )
        arrays.append(array)
        source.append(SourceFile(file.name, sha256))
    train_images, train_labels, test_images, test_labels = arrays
    return SourceImages(
        name="fashion_mnist",
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        train=Split(train_images[..., None], train_labels.astype(np.int32)),
        test=Split(test_images[..., None], test_labels.astype(np.int32)),
        citation=NAMED_SET.citation,
        licence=NAMED_SET.licence,
        source=tuple(source),
    )


def remote_files() -> tuple[RemoteFile, ...]:
    """Files that Debian's package has not installed."""
    return tuple(file.remote for file in _FILES if not _installed(file).is_file())


NAMED_SET = NamedSet(
    name="fashion_mnist",
    n_train=60000,
    n_test=10000,
    shape=(28, 28, 1),
    n_classes=10,
    citation="Xiao, Rasul and Vollgraf (2017), Fashion-MNIST, arXiv:1708.07747",
    licence="MIT (Zalando SE)",
    size_bytes=sum(file.gzip_bytes for file in _FILES),
    read=read,
    remote_files=remote_files,
)

__all__ = ["DEBIAN_FOLDER", "NAMED_SET", "decompress", "locate", "parse_idx", "read", "remote_files"]
