"""Arrays that a file gave, made into images and labels of one kind, or refused in one sentence.

Rule for the scale of pixels, decided over training and test images together, because one image can be dark:

- bytes and other whole-number dtypes are taken as 0 to 255, and refused where nothing exceeds 1 (a mask, or a scale of
0 to 1);
- floats that do not exceed 1 are taken as 0 to 1 and rounded to the nearest of 256 levels;
- floats that exceed 1 are taken as 0 to 255 where all are whole numbers;
- everything else (below 0, above 255, fractions above 1, NaN) is refused, because no guess would be safe.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int32, UInt8

from bioplausible.foundation.errors import InputError

_ADVICE = "save them as uint8, 0 to 255"


def byte_images(
    train: Any, test: Any, what: str
) -> tuple[UInt8[np.ndarray, "n_train h w c"], UInt8[np.ndarray, "n_test h w c"], str]:
    """Training and test images as bytes with a channel axis.

    Parameters
    ----------
    train
        Array ``(n, height, width)`` or ``(n, height, width, 1 or 3)``.
    test
        The same, of the same image shape.
    what
        The file's name, for the error's sentence.

    Returns
    -------
    tuple[numpy.ndarray, numpy.ndarray, str]
        Training images, test images, and a note where rounding to bytes changed pixels (else empty).

    Raises
    ------
    InputError
        The shape or the scale is not as described at the head of this module.
    """
    arrays = [_with_channels(np.asarray(train), "x_train", what), _with_channels(np.asarray(test), "x_test", what)]
    if arrays[0].shape[1:] != arrays[1].shape[1:]:
        raise InputError(
            f"{what}: training images are {_size(arrays[0])} and test images {_size(arrays[1])}, where one shape was "
            "expected: resize one of them"
        )
    for array, key in zip(arrays, ("x_train", "x_test"), strict=True):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(
                f"{what}: {key} has {np.count_nonzero(~np.isfinite(array))} pixels that are NaN or infinite, where "
                f"finite numbers were expected: {_ADVICE}"
            )
    lowest = min(float(array.min()) for array in arrays)
    highest = max(float(array.max()) for array in arrays)
    all_whole = all(array.dtype.kind in "ui" for array in arrays)
    if lowest < 0 or highest > 255:
        raise InputError(f"{what}: pixels run from {lowest:.6g} to {highest:.6g}, where 0 to 1 or 0 to 255 was expected: {_ADVICE}")
    if highest <= 1 and all_whole:
        raise InputError(
            f"{what}: whole-number pixels do not exceed {highest:.0f}, where 0 to 255 was expected: multiply them by 255"
        )
    if highest <= 1:
        scaled = [np.round(array.astype(np.float64) * 255) for array in arrays]
        worst = max(float(np.abs(new / 255 - array).max()) for new, array in zip(scaled, arrays, strict=True))
        note = "pixels given as fractions were rounded to 8 bits" if worst > 1e-6 else ""
        return scaled[0].astype(np.uint8), scaled[1].astype(np.uint8), note
    if not all(array.dtype.kind in "ui" or np.array_equal(array, np.round(array)) for array in arrays):
        raise InputError(
            f"{what}: pixels are fractions that reach {highest:.6g}, where fractions of 0 to 1 or whole numbers of 0 "
            f"to 255 were expected: {_ADVICE}"
        )
    return arrays[0].astype(np.uint8), arrays[1].astype(np.uint8), ""


def class_labels(labels: Any, n_images: int, key: str, what: str) -> Int32[np.ndarray, " n"]:
    """Labels as int32, one for each image.

    Parameters
    ----------
    labels
        Array ``(n,)`` or ``(n, 1)`` of whole numbers from 0.
    n_images
        How many images they belong to.
    key
        What the array is called in the file.
    what
        The file's name, for the error's sentence.

    Returns
    -------
    numpy.ndarray
        ``(n,)``.

    Raises
    ------
    InputError
        Wrong shape, not whole numbers, negative, or not as many as images.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(
            f"{what}: {key} has shape {labels.shape}, where one label an image, (n,) or (n, 1), was expected: for "
            "one-hot labels take the argmax"
        )
    if labels.dtype.kind not in "ui":
        raise InputError(
            f"{what}: {key} has dtype {labels.dtype}, where whole-number labels from 0 were expected: convert them to int32"
        )
    if len(labels) != n_images:
        raise InputError(
            f"{what}: {key} has {len(labels)} labels for {n_images} images, where one label an image was expected: "
            "check how the arrays were cut"
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest > np.iinfo(np.int32).max:
        raise InputError(
            f"{what}: {key} holds the label {lowest if lowest < 0 else highest}, where classes were expected to be "
            "numbered from 0 without gaps: renumber them"
        )
    return labels.astype(np.int32)


def count_classes(train_labels: Int32[np.ndarray, " n_train"], test_labels: Int32[np.ndarray, " n_test"], what: str) -> int:
    """How many classes the training labels have, once it is sure that every label means something.

    Parameters
    ----------
    train_labels
        ``(n_train,)``.
    test_labels
        ``(n_test,)``.
    what
        The file's name, for the error's sentence.

    Returns
    -------
    int
        The number of classes: one more than the highest training label.

    Raises
    ------
    InputError
        There is one class only, the numbering has gaps, or a test label is beyond the training labels.
    """
    present = np.unique(train_labels)
    if len(present) < 2:
        raise InputError(
            f"{what}: all training labels are {present[0]}, where at least two classes were expected: add another class"
        )
    n_classes = int(present[-1]) + 1
    if len(present) < n_classes:
        missing = int(np.argmax(present != np.arange(len(present))))
        raise InputError(
            f"{what}: training labels reach {n_classes - 1} but none is {missing}, where classes were expected to be "
            "numbered from 0 without gaps: renumber them"
        )
    if test_labels.max() >= n_classes:
        raise InputError(
            f"{what}: y_test holds the label {test_labels.max()}, where 0 to {n_classes - 1}, the range of y_train, "
            "was expected: use the same classes in both"
        )
    return n_classes


def _with_channels(images: np.ndarray, key: str, what: str) -> np.ndarray:
    if images.dtype.kind not in "uif":
        raise InputError(f"{what}: {key} has dtype {images.dtype}, where numbers were expected: {_ADVICE}")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        hint = "move the channel axis last" if images.ndim == 4 and images.shape[1] in (1, 3) else "reshape the array"
        raise InputError(
            f"{what}: {key} has shape {images.shape}, where (n, height, width) or (n, height, width, 1 or 3) was expected: {hint}"
        )
    if images.size == 0:
        raise InputError(f"{what}: {key} has shape {images.shape}, where at least one image was expected: check how it was saved")
    return images


def _size(images: np.ndarray) -> str:
    return "x".join(str(length) for length in images.shape[1:])


__all__ = ["byte_images", "class_labels", "count_classes"]
