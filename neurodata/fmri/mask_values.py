"""Masks and atlases as programs write them: whole numbers that went through scaling or resampling, and what only looks like them.

A mask stored as integers with a slope comes back as 0.9999999998, one that went through a spline as 1e-15 where nothing was; both
are told from whole numbers by far less than any real value differs. What remains between (a soft rim, per cent, probabilities)
has no answer without a threshold, and whether it counts must not depend on the grid that it is resampled to; so it is refused.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Shaped

from bioplausible.foundation.errors import InputError

TOLERANCE = 1e-4  # from a whole number, as a share of it: single precision and slopes err by 1e-7, partial volumes by 1e-2
LARGEST_TOLERANCE = 1e-2  # of labels in the thousands, whose halves would be whole else


def whole_numbers(values: Shaped[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """Round what misses a whole number by storage alone, and take what is not finite for 0.

    >>> whole_numbers(np.array([0.9999999998, 1e-15, np.nan, 0.6])).tolist()
    [1.0, 0.0, 0.0, 0.6]
    """
    exact = np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    nearest = np.round(exact)
    tolerance = np.minimum(TOLERANCE * np.maximum(np.abs(nearest), 1.0), LARGEST_TOLERANCE)
    return np.where(np.abs(exact - nearest) <= tolerance, nearest, exact)


def mask_of(values: Float64[np.ndarray, "..."], name: str) -> Bool[np.ndarray, "..."]:
    """Tell a mask's voxels or vertices.

    Parameters
    ----------
    values
        what :func:`whole_numbers` made of them.
    name
        of the file, for errors.

    Returns
    -------
    True where the mask's one value stands that is not 0.

    Raises
    ------
    InputError
        for more than one such value.

    >>> mask_of(np.array([0.0, 1.0, 0.0]), "V1.nii.gz").tolist()
    [False, True, False]
    """
    inside = np.unique(values[values != 0])
    if len(inside) > 1 or (inside < 0).any():
        if (inside == np.round(inside)).all() and (inside > 0).all() and (values == 0).any():
            shown = ", ".join(f"{value:g}" for value in inside[:4]) + (", …" if len(inside) > 4 else "")
            raise InputError(
                f"{name} has the values {shown} beside 0; expected a mask of 0 and 1: threshold it, or of an atlas state "
                "{image: path, label: number} as a region under 'fmri' in recording.yaml"
            )
        lowest, highest = values.min() + 0.0, values.max() + 0.0  # no -0
        raise InputError(
            f"{name} has {len(np.unique(values))} values from {lowest:g} to {highest:g}; expected a mask of 0 and 1, threshold it"
        )
    return values != 0


def label_of(values: Float64[np.ndarray, "..."], label: int, name: str) -> Bool[np.ndarray, "..."]:
    """Tell an atlas's voxels or vertices of one label.

    Parameters
    ----------
    values
        what :func:`whole_numbers` made of them.
    label
        the number.
    name
        of the file, for errors.

    Raises
    ------
    InputError
        for values that are no whole numbers.
    """
    broken = values != np.round(values)
    if broken.any():
        raise InputError(
            f"{name} has {int(broken.sum())} values that are no whole numbers, such as {values[broken][0]:g}; expected an atlas of "
            "labels, resample it by nearest neighbours or threshold a map of probabilities"
        )
    return values == label


__all__ = ["TOLERANCE", "label_of", "mask_of", "whole_numbers"]
