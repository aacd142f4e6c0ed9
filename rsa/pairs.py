"""The condensed order of pairs: row by row through the upper triangle, as SciPy and rsatoolbox store RDMs.

An RDM over n conditions holds P = n (n - 1) / 2 dissimilarities, d(0,1), d(0,2), …, d(0,n-1), d(1,2), …
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Real

from bioplausible.foundation.errors import InputError

Array = np.ndarray | jax.Array

# Files hold RDMs in single precision and computed by others; what differs by less than this share of the largest
# dissimilarity is rounding.
SYMMETRY_TOLERANCE = 1e-5


def condition_count(n_pairs: int) -> int:
    """Say how many conditions an RDM of that many pairs has.

    Parameters
    ----------
    n_pairs
        Length of the condensed RDM.

    Returns
    -------
    n such that n (n - 1) / 2 is ``n_pairs``.

    Raises
    ------
    InputError
        When no whole number of conditions gives that many pairs.

    >>> condition_count(4186)
    92
    """
    n_conditions = int(round((1 + np.sqrt(1 + 8 * n_pairs)) / 2))
    if n_conditions < 2 or n_conditions * (n_conditions - 1) // 2 != n_pairs:
        raise InputError(
            f"a condensed RDM has n(n-1)/2 entries for n conditions and {n_pairs} is no such number: "
            "give the upper triangle without the diagonal, or pass square RDMs through rsa.to_condensed"
        )
    return n_conditions


def permuted_pairs(permutation: Int[jax.Array, " n_conditions"]) -> Int[jax.Array, " n_pairs"]:
    """Where each pair's entry comes from when the conditions of an RDM are permuted (traceable)."""
    n_conditions = permutation.shape[0]
    first, second = np.triu_indices(n_conditions, 1)
    low = jnp.minimum(permutation[first], permutation[second])
    high = jnp.maximum(permutation[first], permutation[second])
    return low * n_conditions - low * (low + 1) // 2 + high - low - 1


def to_square(condensed: Real[Array, "*batch n_pairs"]) -> Float[np.ndarray, "*batch n_conditions n_conditions"]:
    """Write condensed RDMs as symmetric matrices with a zero diagonal.

    Parameters
    ----------
    condensed
        Dissimilarities, shape (..., n_pairs).

    Returns
    -------
    Shape (..., n_conditions, n_conditions).

    Raises
    ------
    InputError
        When the number of pairs belongs to no number of conditions.

    >>> to_square(np.array([1.0, 2.0, 3.0]))
    array([[0., 1., 2.],
           [1., 0., 3.],
           [2., 3., 0.]])
    """
    values = np.asarray(condensed, dtype=np.float64)
    n_conditions = condition_count(values.shape[-1])
    first, second = np.triu_indices(n_conditions, 1)
    square = np.zeros((*values.shape[:-1], n_conditions, n_conditions))
    square[..., first, second] = values
    square[..., second, first] = values
    return square


def to_condensed(square: Real[Array, "*batch n_rows n_columns"]) -> Float[np.ndarray, "*batch n_pairs"]:
    """Take the upper triangle of square RDMs, after checking that they are RDMs.

    Parameters
    ----------
    square
        Dissimilarities, shape (..., n_conditions, n_conditions), symmetric; the diagonal is zero or NaN.

    Returns
    -------
    Shape (..., n_pairs). Where the two triangles differ by rounding, their mean.

    Raises
    ------
    InputError
        When the matrices are not square or not symmetric, the diagonal is neither zero nor NaN, or a dissimilarity
        is NaN or infinite.

    >>> to_condensed(np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]]))
    array([1., 2., 3.])
    """
    values = np.asarray(square, dtype=np.float64)
    n_rows, n_columns = values.shape[-2:]
    if n_rows != n_columns or n_rows < 2:
        raise InputError(
            f"a square RDM has as many rows as columns and at least two, but this has {n_rows} rows and {n_columns} "
            "columns: give (..., n_conditions, n_conditions)"
        )
    first, second = np.triu_indices(n_rows, 1)
    upper, lower = values[..., first, second], values[..., second, first]
    missing = np.argwhere(~(np.isfinite(upper) & np.isfinite(lower)))
    if len(missing):
        pair = missing[0][-1]
        raise InputError(
            f"the dissimilarity of conditions {first[pair] + 1} and {second[pair] + 1} is NaN or infinite{_which(missing[0])}: "
            "leave out conditions that were not measured"
        )
    scale = max(float(np.max(np.abs(upper), initial=0.0)), np.finfo(float).tiny)
    unequal = np.argwhere(np.abs(upper - lower) > SYMMETRY_TOLERANCE * scale)
    if len(unequal):
        pair = unequal[0][-1]
        raise InputError(
            f"the RDM is not symmetric{_which(unequal[0])}: rows {first[pair] + 1}, {second[pair] + 1} hold "
            f"{upper[tuple(unequal[0])]:g} above and {lower[tuple(unequal[0])]:g} below the diagonal; average the two "
            "if that is meant"
        )
    diagonal = np.diagonal(values, axis1=-2, axis2=-1)
    nonzero = np.argwhere(~np.isnan(diagonal) & (np.abs(diagonal) > SYMMETRY_TOLERANCE * scale))
    if len(nonzero):
        raise InputError(
            f"the diagonal of an RDM is zero (or NaN), but condition {nonzero[0][-1] + 1} has "
            f"{diagonal[tuple(nonzero[0])]:g} with itself{_which(nonzero[0])}: similarities must first be turned into "
            "dissimilarities"
        )
    return np.where(upper == lower, upper, (upper + lower) / 2)


def _which(index: np.ndarray) -> str:
    """Name the RDM of a batch that an error speaks of."""
    return f" in RDM {', '.join(str(i + 1) for i in index[:-1])}" if len(index) > 1 else ""


__all__ = ["Array", "condition_count", "permuted_pairs", "to_condensed", "to_square"]
