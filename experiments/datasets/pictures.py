"""Pictures that stay in their files until they are asked for: an array of bytes, as far as shapes and rows go.

Their sizes and channels are known from the files' heads, so that what differs is said before anything is decoded. Rows are decoded
by threads; Pillow lets go of Python's lock while it does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from bioplausible.foundation.errors import InputError
from neurodata.picture_files import read_picture

__all__ = ["Pictures", "blocks_of", "head_of", "subset_of"]

_BLOCK = 256
_TURNED = (5, 6, 7, 8)  # EXIF orientations of a camera that was held upright: height and width change places
_ORIENTATION = 0x0112
_GREY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N", "I")


@cache
def _decoders() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=min(32, os.cpu_count() or 1), thread_name_prefix="pictures")


def head_of(path: Path) -> tuple[int, int, int]:
    """Height, width and channels of a picture, from its file's head alone.

    Parameters
    ----------
    path
        Of the picture.

    Raises
    ------
    InputError
        A file that cannot be read as a picture.
    """
    try:
        with Image.open(path) as file:
            width, height = file.size
            channels = 1 if file.mode in _GREY else 3
            turned = file.getexif().get(_ORIENTATION) in _TURNED
    # Pillow raises SyntaxError, struct.error and more on damaged files; the reader of pixels says what is wrong
    except Exception:
        height, width, channels = read_picture(path).shape
        turned = False
    return (width, height, channels) if turned else (height, width, channels)


class Pictures:
    """Picture files of one size, in an order.

    Parameters
    ----------
    paths
        Of the files.
    shape
        ``(height, width, channels)`` of each; a grey picture fills three channels where there are three.

    Attributes
    ----------
    shape
        ``(n, height, width, channels)``.
    dtype
        Bytes.

    >>> Pictures([Path("a.png"), Path("b.png")], (4, 5, 3)).shape
    (2, 4, 5, 3)
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, paths: Sequence[Path], shape: tuple[int, int, int]) -> None:
        self._paths = np.array([str(path) for path in paths], dtype=object)
        self.shape = (len(self._paths), *shape)

    def __len__(self) -> int:
        return len(self._paths)

    def subset(self, rows: np.ndarray) -> Pictures:
        """Some of them, still in their files.

        Parameters
        ----------
        rows
            ``(m,)``, which.
        """
        return Pictures([Path(path) for path in self._paths[rows]], self.shape[1:])

    def __getitem__(self, rows: Any) -> UInt8[np.ndarray, "..."]:
        """Decode some: an index, a slice, or an array of indices of any shape."""
        chosen = self._paths[rows]
        if isinstance(chosen, str):
            return self._decode(chosen)
        paths = chosen.ravel()
        images = np.empty((len(paths), *self.shape[1:]), np.uint8)

        def into(place: int) -> None:
            images[place] = self._decode(paths[place])

        for _ in _decoders().map(into, range(len(paths))):
            pass
        return images.reshape(*chosen.shape, *self.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of them: whoever needs them at once has to have the memory."""
        return self[:] if dtype is None else self[:].astype(dtype)

    def _decode(self, path: str) -> np.ndarray:
        image = read_picture(Path(path))
        if image.shape[:2] != self.shape[1:3] or image.shape[2] not in (1, self.shape[3]):
            raise InputError(
                f"{path} has the shape {image.shape}, where {self.shape[1:]} was expected (height, width, channels): it "
                "has changed since it was looked at, or its head lies; save it anew"
            )
        return np.broadcast_to(image, self.shape[1:])


def subset_of(images: np.ndarray | Pictures, rows: np.ndarray) -> Any:
    """Some of the images, in memory where they are, in their files where they are not.

    Parameters
    ----------
    images
        An image set's.
    rows
        ``(m,)``, which.
    """
    return images.subset(rows) if isinstance(images, Pictures) else images[rows]


def blocks_of(images: np.ndarray | Pictures) -> Iterator[np.ndarray]:
    """All images in their order, some at a time.

    Parameters
    ----------
    images
        An image set's.

    Yields
    ------
    numpy.ndarray
        ``(m, height, width, channels)``; of images in memory all at once.
    """
    if not isinstance(images, Pictures):
        yield images
        return
    for start in range(0, len(images), _BLOCK):
        yield images[start : start + _BLOCK]
