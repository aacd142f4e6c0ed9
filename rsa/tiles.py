r"""Every distance is one product of matrices, taken in tiles so that memory stays bounded.

All of the package's distances have the form

.. math::
    d_{ij} = \frac1D \Big( s_{ii} + s_{jj} - s_{ij} - s_{ji} \Big), \qquad
    s_{ij} = \sum_k \sigma_k \langle l_{ki}, r_{kj} \rangle

with features l and r of each condition, in parts k that come with a sign. Small sets of patterns (searchlights, times)
are taken many at a time; a set of thousands of conditions is taken in stripes of rows. Nothing larger than a tile is
held beside the patterns of one set and the condensed result.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

# Entries of a tile in double precision: 32 MB.
TILE_ENTRIES = 2**22


class Form(NamedTuple):
    """What a distance needs to know of one set of patterns.

    left, right: features, shape (n_parts, n_conditions, n_channels); ``None`` for right means the same as left.
    signs: of the parts, shape (n_parts,). own: :math:`s_{ii}`, shape (n_conditions,), or ``None`` to have it computed.
    divisor: D. floor: no dissimilarity is below it, which is -inf for signed ones.
    """

    left: Float[jax.Array, "n_parts n_conditions n_channels"]
    right: Float[jax.Array, "n_parts n_conditions n_channels"] | None
    signs: Float[jax.Array, " n_parts"]
    own: Float[jax.Array, " n_conditions"] | None
    divisor: Float[jax.Array, ""] | float
    floor: Float[jax.Array, ""] | float


Prepare = Callable[..., Form]


def _rows_times_all(rows: jax.Array, everything: jax.Array, signs: jax.Array) -> jax.Array:
    """Signed sum over parts of the products of some rows with all conditions, one part in memory at a time."""

    def add(total: jax.Array, part: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        sign, one, other = part
        return total + sign * jnp.matmul(one, other.T, precision=lax.Precision.HIGHEST), None

    start = jnp.zeros((rows.shape[1], everything.shape[1]), rows.dtype)
    return lax.scan(add, start, (signs, rows, everything))[0]


def _square(form: Form) -> jax.Array:
    """All dissimilarities of one set, (n_conditions, n_conditions)."""
    if form.right is None:
        products = _rows_times_all(form.left, form.left, form.signs)
        crossed = 2 * products
    else:
        products = _rows_times_all(form.left, form.right, form.signs)
        crossed = products + products.T
    own = jnp.diagonal(products) if form.own is None else form.own
    return jnp.maximum(own[:, None] + own[None, :] - crossed, form.floor) / form.divisor


@partial(jax.jit, static_argnums=0)
def _small_sets(prepare: Prepare, upper: jax.Array, sets: tuple[jax.Array, ...]) -> jax.Array:
    # One set is widened to 64 bits at a time: the batch itself stays as small as it came.
    def one(arrays: tuple[jax.Array, ...]) -> jax.Array:
        return _square(prepare(*(array.astype(jnp.float64) for array in arrays))).reshape(-1)[upper]

    return lax.map(one, sets)


@partial(jax.jit, static_argnums=0)
def _prepared(prepare: Prepare, one: tuple[jax.Array, ...]) -> tuple[Form, jax.Array]:
    """The form of one set, and s_ii for all its conditions."""
    form = prepare(*(array.astype(jnp.float64) for array in one))
    right = form.left if form.right is None else form.right
    own = jnp.einsum("k,kic,kic->i", form.signs, form.left, right) if form.own is None else form.own
    return form, own


@partial(jax.jit, static_argnames="n_rows")
def _stripe(form: Form, own: jax.Array, start: jax.Array, n_rows: int) -> jax.Array:
    """Dissimilarities of some rows with all conditions, (n_rows, n_conditions)."""
    rows = partial(lax.dynamic_slice_in_dim, start_index=start, slice_size=n_rows)
    right = form.left if form.right is None else form.right
    crossed = _rows_times_all(rows(form.left, axis=1), right, form.signs)
    if form.right is None:
        crossed = 2 * crossed
    else:
        crossed = crossed + _rows_times_all(rows(form.right, axis=1), form.left, form.signs)
    return jnp.maximum(rows(own, axis=0)[:, None] + own[None, :] - crossed, form.floor) / form.divisor


def _large_set(prepare: Prepare, one: tuple[jax.Array, ...], n_conditions: int, condensed: np.ndarray) -> None:
    """Fill in the condensed RDM of a set whose square RDM is larger than a tile."""
    form, own = _prepared(prepare, one)
    n_rows = max(1, min(n_conditions, TILE_ENTRIES // n_conditions))
    ends = np.cumsum(np.arange(n_conditions - 1, -1, -1))
    for first in range(0, n_conditions, n_rows):
        # The last stripe is as wide as the others, and so begins within the one before.
        start = min(first, n_conditions - n_rows)
        stripe = np.asarray(_stripe(form, own, jnp.asarray(start), n_rows))
        for row in range(first, min(first + n_rows, n_conditions)):
            condensed[ends[row] - (n_conditions - 1 - row) : ends[row]] = stripe[row - start, row + 1 :]


def slices(n_sets: int, entries_per_set: int) -> Iterator[slice]:
    """Cut a batch so that what is held of it at once is about a tile, and at least one set."""
    at_once = max(1, TILE_ENTRIES // max(1, entries_per_set))
    return (slice(start, min(start + at_once, n_sets)) for start in range(0, n_sets, at_once))


def condensed_rdms(prepare: Prepare, n_conditions: int, *arrays: np.ndarray) -> Float[np.ndarray, "n_sets n_pairs"]:
    """Compute condensed RDMs of a batch of sets.

    Parameters
    ----------
    prepare
        Traceable, hashable: the arrays of one set in double precision → :class:`Form`.
    n_conditions
        Conditions of each set.
    arrays
        What ``prepare`` takes, each with a leading axis of sets; views made by broadcasting stay views.

    Returns
    -------
    Shape (n_sets, n_pairs).
    """
    n_sets = len(arrays[0])
    condensed = np.empty((n_sets, n_conditions * (n_conditions - 1) // 2))
    if n_conditions**2 > TILE_ENTRIES:
        for index in range(n_sets):
            _large_set(prepare, tuple(jnp.asarray(array[index]) for array in arrays), n_conditions, condensed[index])
        return condensed
    first, second = np.triu_indices(n_conditions, 1)
    upper = jnp.asarray(first * n_conditions + second)
    entries = n_conditions**2 + sum(int(np.prod(array.shape[1:])) for array in arrays)
    for part in slices(n_sets, entries):
        condensed[part] = _small_sets(prepare, upper, tuple(jnp.asarray(array[part]) for array in arrays))
    return condensed


__all__ = ["Form", "Prepare", "condensed_rdms", "slices"]
