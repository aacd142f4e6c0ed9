"""Questions asked of RDMs and weights before anything is compiled, so that mistakes end in one sentence."""

import numpy as np

from bioplausible.foundation.errors import InputError, unknown_name
from rsa.comparators import COMPARATORS, Comparator
from rsa.pairs import condition_count
from rsa.precision import CONSTANT_TOLERANCE


def find_comparator(name: str) -> Comparator:
    """Look a comparator up, or say which there are.

    Parameters
    ----------
    name
        One of :data:`rsa.COMPARATORS`.

    Returns
    -------
    The comparator.

    Raises
    ------
    InputError
        For an unknown name; the nearest is guessed.
    """
    if name not in COMPARATORS:
        raise unknown_name("comparator", name, COMPARATORS)
    return COMPARATORS[name]


def _name(kind: str, index: np.ndarray) -> str:
    batch = f" of batch entry {', '.join(str(i) for i in index[:-1])}" if len(index) > 1 else ""
    return f"{kind} RDM {index[-1]}{batch}"


def check_rdms(rdms: object, kind: str, missing: bool = False) -> np.ndarray:
    """Take condensed RDMs (..., n_rdms, n_pairs) as float64, refusing what no comparator can use.

    Parameters
    ----------
    rdms
        Condensed RDMs, shape (..., n_rdms, n_pairs).
    kind
        What they are in an error, "model" or "data".
    missing
        Whether NaN stands for pairs that were not measured, rather than for a mistake.

    Returns
    -------
    The same numbers in double precision.

    Raises
    ------
    InputError
        For another shape, no RDM, fewer than three conditions, infinite dissimilarities, and NaN unless they may be missing.
    """
    values = np.asarray(rdms, dtype=np.float64)
    if values.ndim < 2:
        raise InputError(
            f"the {kind} RDMs have shape {values.shape}, but (..., n_rdms, n_pairs) is expected: "
            "add an axis with rdms[None] for a single RDM"
        )
    if values.shape[-2] == 0:
        raise InputError(f"there is no {kind} RDM to compare: give at least one")
    if condition_count(values.shape[-1]) < 3:
        raise InputError(f"the {kind} RDMs have two conditions, that is one dissimilarity: at least 3 are needed")
    broken = np.argwhere(~np.isfinite(values).all(axis=-1))
    if len(broken) and not missing:
        raise InputError(
            f"{_name(kind, broken[0])} holds NaN or infinite dissimilarities: leave out conditions that were not measured"
        )
    infinite = np.argwhere(np.isinf(values).any(axis=-1))
    if len(infinite):
        raise InputError(
            f"{_name(kind, infinite[0])} holds infinite dissimilarities: give NaN for pairs of conditions that were not measured"
        )
    return values


def check_varies(
    values: np.ndarray, kind: str, comparator: str, weights: np.ndarray | None = None, names: np.ndarray | None = None
) -> None:
    """Refuse RDMs that have no score: constant ones, or for cosine those of zeros.

    Parameters
    ----------
    values
        Condensed RDMs, shape (..., n_rdms, n_pairs).
    kind
        What they are in an error, "model" or "data".
    comparator
        One of :data:`rsa.COMPARATORS`.
    weights
        Weight of each pair, shape (n_pairs,); those of weight zero do not count.
    names
        Indices under which errors name them, by default their places, shape (n_rdms,).

    Raises
    ------
    InputError
        For the first that has no score.
    """
    counted = values if weights is None else values[..., weights > 0]
    largest = np.abs(counted).max(axis=-1)
    if COMPARATORS[comparator].centred:
        flat = np.argwhere(counted.max(axis=-1) - counted.min(axis=-1) <= CONSTANT_TOLERANCE * largest)
        what = "constant, all its dissimilarities are equal"
    else:
        flat = np.argwhere(largest == 0)
        what = "zero everywhere"
    if len(flat):
        index = flat[0] if names is None else np.append(flat[0][:-1], names[flat[0][-1]])
        raise InputError(
            f"{_name(kind, index)} is {what}, so it has no {comparator} score: leave it out, or look why all "
            "conditions evoke the same response there"
        )


def check_same_pairs(models: np.ndarray, data: np.ndarray) -> None:
    """Refuse models and data over different numbers of conditions.

    Parameters
    ----------
    models, data
        Condensed RDMs, shape (..., n_pairs).

    Raises
    ------
    InputError
        When the numbers of pairs differ.
    """
    ours, theirs = models.shape[-1], data.shape[-1]
    if ours != theirs:
        raise InputError(
            f"the models' RDMs have {condition_count(ours)} conditions ({ours} pairs) and the data's "
            f"{condition_count(theirs)} ({theirs} pairs): both must show the same conditions in the same order"
        )


def check_weights(weights: object, n_pairs: int, comparator: str) -> np.ndarray:
    """Take pair weights (..., n_pairs) as float64, refusing negative ones and those that leave nothing to compare.

    Parameters
    ----------
    weights
        Shape (..., n_pairs).
    n_pairs
        How many there should be.
    comparator
        One of :data:`rsa.COMPARATORS`; some do not weigh pairs.

    Returns
    -------
    The same numbers in double precision.

    Raises
    ------
    InputError
        For a comparator without weights, another shape, negative or infinite weights, and those that leave fewer than two pairs.
    """
    if not COMPARATORS[comparator].weighs_pairs:
        raise InputError(
            f"weights of pairs were given for {comparator}, whose metric depends on how many patterns there are: leave them "
            "out, or resample conditions with rsa.evaluate or rsa.generalise"
        )
    values = np.asarray(weights, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] != n_pairs:
        raise InputError(
            f"the weights have shape {values.shape}, but one per pair is expected, that is (..., {n_pairs}): "
            "rsa.pair_weights makes them from counts of conditions"
        )
    if not np.isfinite(values).all() or (values < 0).any():
        raise InputError("the weights hold negative, NaN or infinite values: give counts of zero or more")
    if ((values > 0).sum(axis=-1) < 2).any() or (values.sum(axis=-1) <= 1).any():
        raise InputError("fewer than two pairs have a weight above zero, and so nothing varies: weigh more pairs")
    return values


__all__ = ["check_rdms", "check_same_pairs", "check_varies", "check_weights", "find_comparator"]
