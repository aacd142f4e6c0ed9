"""RDMs to and from rsatoolbox, whose containers and plots others use."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Real

from rsa.errors import InputError
from rsa.pairs import Array, condition_count

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


def from_rsatoolbox(rdms: "RDMs") -> Float[np.ndarray, "n_rdms n_pairs"]:
    """Take the dissimilarities out of an rsatoolbox ``RDMs`` object.

    Parameters
    ----------
    rdms
        Any number of RDMs over the same conditions.

    Returns
    -------
    Condensed RDMs, shape (n_rdms, n_pairs), in the object's own order of conditions.

    Raises
    ------
    InputError
        When something other than rsatoolbox RDMs is given.
    """
    if not hasattr(rdms, "get_vectors"):
        raise InputError(
            f"rsatoolbox RDMs are expected and {type(rdms).__name__} was given: arrays need no conversion, and patterns "
            "become RDMs with rsa.rdm"
        )
    return np.array(rdms.get_vectors(), dtype=np.float64)


def to_rsatoolbox(
    array: Real[Array, "n_rdms n_pairs"],
    names: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    distance: str | None = None,
) -> "RDMs":
    """Wrap condensed RDMs as rsatoolbox ``RDMs``.

    Parameters
    ----------
    array
        Condensed RDMs, shape (n_rdms, n_pairs).
    names
        One name per RDM, kept as the descriptor ``name``.
    conditions
        One name per condition, kept as the descriptor ``condition``.
    distance
        What the dissimilarities are, kept as rsatoolbox's ``dissimilarity_measure``.

    Returns
    -------
    rsatoolbox.rdm.RDMs

    Raises
    ------
    InputError
        When the number of names or conditions does not fit the array.

    >>> to_rsatoolbox(np.array([[1.0, 2.0, 3.0]]), names=["pixels"]).n_cond
    3
    """
    from rsatoolbox.rdm import RDMs

    values = np.array(array, dtype=np.float64)
    if values.ndim != 2:
        raise InputError(f"the RDMs have shape {values.shape}, but rsatoolbox holds (n_rdms, n_pairs): put batch axes on one axis")
    n_conditions = condition_count(values.shape[1])
    for given, expected, what in ((names, len(values), "RDM"), (conditions, n_conditions, "condition")):
        if given is not None and len(given) != expected:
            raise InputError(f"{len(given)} names were given for {expected} {what}s: give one name per {what}")
    return RDMs(
        values,
        dissimilarity_measure=distance,
        rdm_descriptors=None if names is None else {"name": list(names)},
        pattern_descriptors=None if conditions is None else {"condition": list(conditions)},
    )


__all__ = ["from_rsatoolbox", "to_rsatoolbox"]
