r"""Representational dissimilarity matrices from activity patterns.

.. math::
    d_{corr}(i, j) = 1 - \mathrm{Pearson}(x_i, x_j), \qquad
    d_{euc}(i, j) = \frac{1}{n_{channels}} \sum_c (x_{ic} - x_{jc})^2

References: Kriegeskorte, Mur and Bandettini 2008, doi:10.3389/neuro.06.004.2008; Nili et al. 2014,
doi:10.1371/journal.pcbi.1003553.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Real

from rsa.errors import InputError, unknown_name
from rsa.pairs import Array
from rsa.precision import in_double_precision

MINIMUM_CONDITIONS = 3

# A pattern whose values differ by less than this share of the largest is constant up to rounding.
CONSTANT_TOLERANCE = 1e-12


def _correlation_distance(
    patterns: Float[jax.Array, "n_conditions n_channels"],
) -> Float[jax.Array, "n_conditions n_conditions"]:
    """One minus the Pearson correlation of every two patterns."""
    centred = patterns - patterns.mean(axis=1, keepdims=True)
    unit = centred / jnp.linalg.norm(centred, axis=1, keepdims=True)
    return 1 - jnp.matmul(unit, unit.T, precision=lax.Precision.HIGHEST)


def _squared_euclidean_distance(
    patterns: Float[jax.Array, "n_conditions n_channels"],
) -> Float[jax.Array, "n_conditions n_conditions"]:
    """Squared distance of every two patterns, divided by the number of channels."""
    # The mean pattern cancels in every difference; taking it out first keeps the products small, and the digits.
    centred = patterns - patterns.mean(axis=0)
    products = jnp.matmul(centred, centred.T, precision=lax.Precision.HIGHEST)
    squares = jnp.diagonal(products)
    return jnp.maximum(squares[:, None] + squares[None, :] - 2 * products, 0) / patterns.shape[1]


DISTANCES: dict[str, Callable[[jax.Array], jax.Array]] = {
    "correlation": _correlation_distance,
    "euclidean": _squared_euclidean_distance,
}


@partial(jax.jit, static_argnames="distance")
def _condensed_rdms(patterns: jax.Array, distance: str) -> jax.Array:
    upper = np.triu_indices(patterns.shape[1], 1)
    # One set of patterns is widened to 64 bits at a time: the batch itself stays as small as it came.
    return lax.map(lambda one: DISTANCES[distance](one.astype(jnp.float64))[upper], patterns)


def _check_patterns(patterns: np.ndarray, distance: str) -> None:
    n_conditions, n_channels = patterns.shape[-2:]
    if n_conditions < MINIMUM_CONDITIONS:
        raise InputError(
            f"an RDM needs at least {MINIMUM_CONDITIONS} conditions, and these patterns have {n_conditions}: give "
            "(..., n_conditions, n_channels), conditions first"
        )
    if n_channels == 0:
        raise InputError("the patterns have no channels: give (..., n_conditions, n_channels) with at least one channel")
    not_finite = np.argwhere(~np.isfinite(patterns).all(axis=-1))
    if len(not_finite):
        raise InputError(
            f"the pattern of condition {not_finite[0][-1]} holds NaN or infinite values{_which(not_finite[0])}: "
            "leave out the channels or conditions that were not measured"
        )
    if distance == "correlation":
        spread = patterns.max(axis=-1) - patterns.min(axis=-1)
        constant = np.argwhere(spread <= CONSTANT_TOLERANCE * np.abs(patterns).max(axis=-1))
        if len(constant):
            raise InputError(
                f"the pattern of condition {constant[0][-1]} is constant over its {n_channels} channel(s)"
                f"{_which(constant[0])}, so its correlation with others is undefined: use distance='euclidean' or "
                "leave the condition out"
            )


def _which(index: np.ndarray) -> str:
    return f" in pattern set {', '.join(str(i) for i in index[:-1])}" if len(index) > 1 else ""


@in_double_precision
def rdm(
    patterns: Real[Array, "*batch n_conditions n_channels"], distance: str = "correlation"
) -> Float[np.ndarray, "*batch n_pairs"]:
    """Compute representational dissimilarity matrices in condensed form.

    Parameters
    ----------
    patterns
        Responses of each channel (voxel, sensor, unit) to each condition, shape (..., n_conditions, n_channels); any
        leading axes are batches (subjects, regions, layers, times).
    distance
        ``"correlation"``: one minus Pearson correlation. ``"euclidean"``: the *squared* Euclidean distance divided
        by the number of channels, the quantity that rsatoolbox calls 'euclidean'.

    Returns
    -------
    Dissimilarities, shape (..., n_pairs): upper triangle, row by row, as SciPy and rsatoolbox order it.

    Raises
    ------
    InputError
        For an unknown distance, fewer than three conditions, NaN or infinite values, and (correlation) a condition
        whose pattern is constant.

    >>> rdm(np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]]), "euclidean").round(6)
    array([1. , 0.5, 2.5])
    """
    if distance not in DISTANCES:
        raise unknown_name("distance", distance, DISTANCES)
    values = np.asarray(patterns)
    if values.ndim < 2:
        raise InputError(
            f"patterns have at least two axes, conditions and channels, and these have shape {values.shape}: "
            "give (..., n_conditions, n_channels)"
        )
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float64)
    _check_patterns(values, distance)
    flat = values.reshape(-1, *values.shape[-2:])
    n_conditions = values.shape[-2]
    condensed = np.asarray(_condensed_rdms(flat, distance))
    return condensed.reshape(*values.shape[:-2], n_conditions * (n_conditions - 1) // 2)


__all__ = ["DISTANCES", "rdm"]
