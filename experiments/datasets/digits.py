"""The UCI handwritten digits that come in scikit-learn's wheel: 1,797 images of 8 x 8, the embedded default.

Each pixel counts the inked points in a 4 x 4 cell of a 32 x 32 bitmap, 0 to 16; here it becomes ``round(count * 255 /
16)``, so that 17 levels stay 17 levels and a white pixel is 255. scikit-learn gives no test split; a fixed, stratified
fifth is the test split, the same in every run.

Reference: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
doi:10.24432/C50P49.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterable
from importlib import resources
from typing import SupportsIndex

import numpy as np
from jaxtyping import Num, UInt8

from bioplausible.foundation.errors import InputError

from .contract import NamedSet, SourceFile, SourceImages, Split
from .splits import take_fraction

_N_IMAGES = 1797
_TEST_FRACTION = 0.2
_TEST_SEED = 0
_N_TEST = 359


def to_bytes(counts: Num[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Inked points of a cell, 0 to 16, as a pixel of 0 to 255.

    >>> to_bytes(np.array([0.0, 8.0, 16.0])).tolist()
    [0, 128, 255]
    """
    return np.round(np.asarray(counts) * (255 / 16)).astype(np.uint8)


def read(exclude_indices: Iterable[SupportsIndex] | None = None) -> SourceImages:
    """Read the digits and leave out those that serve as stimuli.

    Parameters
    ----------
    exclude_indices
        Indices into scikit-learn's order of 1,797 images; these images are in no split, and all others stay in the split that they
        would be in without it.

    Returns
    -------
    SourceImages
        The image set.

    Raises
    ------
    InputError
        An index is not one of an image, or nothing of a class is left.
    """
    excluded = sorted({operator.index(index) for index in exclude_indices}) if exclude_indices is not None else []
    if excluded and not 0 <= excluded[0] <= excluded[-1] < _N_IMAGES:
        bad = excluded[0] if excluded[0] < 0 else excluded[-1]
        raise InputError(
            f"digits: exclude_indices holds {bad}, where indices of 0 to {_N_IMAGES - 1} were expected: use scikit-learn's order"
        )
    from sklearn.datasets import load_digits  # which takes longer than whatever else is asked of an image set's name

    digits = load_digits()
    images = to_bytes(digits.images)[..., None]
    labels = digits.target.astype(np.int32)
    test, train = take_fraction(labels, 10, _TEST_FRACTION, _TEST_SEED, every_class=True, what="digits")
    test, train = np.setdiff1d(test, excluded), np.setdiff1d(train, excluded)
    if len(np.unique(labels[train])) < 10 or len(np.unique(labels[test])) < 10:
        raise InputError(
            f"digits: without the {len(excluded)} images of exclude_indices a class has no training or no test "
            "image, where ten classes were expected in both: exclude fewer"
        )
    file = resources.files("sklearn") / "datasets" / "data" / "digits.csv.gz"
    return SourceImages(
        name="digits",
        class_names=tuple(str(digit) for digit in range(10)),
        train=Split(images[train], labels[train]),
        test=Split(images[test], labels[test]),
        citation=NAMED_SET.citation,
        licence=NAMED_SET.licence,
        source=(SourceFile("sklearn/datasets/data/digits.csv.gz", hashlib.sha256(file.read_bytes()).hexdigest()),),
        notes=f"{len(excluded)} images that serve as stimuli were left out of every split" if excluded else "",
        excluded_indices=tuple(excluded),
    )


NAMED_SET = NamedSet(
    name="digits",
    n_train=_N_IMAGES - _N_TEST,
    n_test=_N_TEST,
    shape=(8, 8, 1),
    n_classes=10,
    citation="Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, doi:10.24432/C50P49",
    licence="CC BY 4.0 (UCI Machine Learning Repository)",
    size_bytes=57523,
    read=read,
)

__all__ = ["NAMED_SET", "read", "to_bytes"]
