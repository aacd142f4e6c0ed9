"""Resampling conditions: counts for the bootstrap, weights for pairs, permutations for the null.

Drawing conditions with replacement and computing RDMs again would meet each condition with its own copy, at distance
zero, which any model predicts. rsatoolbox leaves those pairs out; so does the weight c_i c_j, which is defined for
i ≠ j alone.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from bioplausible.foundation.errors import InputError
from rsa.pairs import Array, condition_count
from rsa.precision import in_double_precision


@in_double_precision
def bootstrap_counts(key: jax.Array, n_draws: int, n_conditions: int) -> Int[np.ndarray, "n_draws n_conditions"]:
    """Draw conditions with replacement and count how often each was drawn.

    Parameters
    ----------
    key
        JAX random key; the same key gives the same draws.
    n_draws
        Number of bootstrap samples.
    n_conditions
        Number of conditions, and of draws within a sample.

    Returns
    -------
    Counts, shape (n_draws, n_conditions); each row sums to n_conditions.

    >>> bootstrap_counts(jax.random.key(0), 4, 10).sum(axis=1)
    array([10, 10, 10, 10])
    """
    _check_sizes(n_draws, n_conditions)
    drawn = jax.random.randint(key, (n_draws, n_conditions), 0, n_conditions, dtype=jnp.int32)
    counts = np.zeros((n_draws, n_conditions), dtype=np.int64)
    np.add.at(counts, (np.arange(n_draws)[:, None], np.asarray(drawn)), 1)
    return counts


@in_double_precision
def condition_permutations(key: jax.Array, n_draws: int, n_conditions: int) -> Int[np.ndarray, "n_draws n_conditions"]:
    """Draw random permutations of the conditions, one a row.

    Parameters
    ----------
    key
        JAX random key; the same key gives the same permutations.
    n_draws
        Number of permutations.
    n_conditions
        Number of conditions.

    Returns
    -------
    Permutations of 0 to n_conditions - 1, shape (n_draws, n_conditions).

    Raises
    ------
    InputError
        For a negative number of draws, or fewer than two conditions.
    """
    _check_sizes(n_draws, n_conditions)
    # Sorting random numbers of one dtype keeps the permutations independent of the caller's precision.
    shuffled = jax.random.uniform(key, (n_draws, n_conditions), dtype=jnp.float32)
    return np.argsort(np.asarray(shuffled), axis=1, kind="stable")


def pair_weights(counts: Int[Array, "*batch n_conditions"]) -> Float[np.ndarray, "*batch n_pairs"]:
    """Turn counts of conditions into weights of pairs, c_i c_j in condensed order.

    Parameters
    ----------
    counts
        How often each condition was drawn, shape (..., n_conditions).

    Returns
    -------
    Weights, shape (..., n_pairs).

    >>> pair_weights(np.array([2, 0, 1]))
    array([0., 2., 0.])
    """
    values = np.asarray(counts, dtype=np.float64)
    first, second = np.triu_indices(values.shape[-1], 1)
    return values[..., first] * values[..., second]


def leave_one_out_counts(n_conditions: int) -> Int[np.ndarray, "n_conditions n_conditions"]:
    """Every condition once but one: the jackknife's samples.

    Parameters
    ----------
    n_conditions
        Number of conditions, and of samples.

    Returns
    -------
    Counts, shape (n_conditions, n_conditions), zero on the diagonal.
    """
    return 1 - np.eye(n_conditions, dtype=np.int64)


def _check_sizes(n_draws: int, n_conditions: int) -> None:
    if n_draws < 0:
        raise InputError(f"{n_draws} draws were asked for: give zero (no resampling) or more")
    condition_count(n_conditions * (n_conditions - 1) // 2)


__all__ = ["bootstrap_counts", "condition_permutations", "leave_one_out_counts", "pair_weights"]
