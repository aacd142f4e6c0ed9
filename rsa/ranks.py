r"""Weighted mid-ranks, sorted once.

Repeating entry p of a vector :math:`w_p` times gives all its copies the mid-rank

.. math::
    r_p = \sum_{q:\, x_q < x_p} w_q + \tfrac12\Big(1 + \sum_{q:\, x_q = x_p} w_q\Big)
        = \tfrac12\,(C_{start(p)} + C_{end(p)} + 1)

where C is the cumulative weight in sorted order and [start, end) is the run of entries tied with p. The order and the
runs do not depend on the weights: a thousand bootstrap draws need one sort and a thousand cumulative sums. With
integer weights the ranks are exact, because halves of integers are.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int

BLOCK = 64


class Order(NamedTuple):
    """What ranks need to know of the values, whatever the weights.

    order: which entry stands at each sorted position. start, end: for each entry, the sorted positions between which
    everything is tied with it (end excluded).
    """

    order: Int[jax.Array, "*batch n_pairs"]
    start: Int[jax.Array, "*batch n_pairs"]
    end: Int[jax.Array, "*batch n_pairs"]


def sort_once(values: Float[jax.Array, "*batch n_pairs"]) -> Order:
    """Sort along the last axis and find the runs of ties (traceable)."""
    order = jnp.argsort(values, axis=-1, stable=True)
    ordered = jnp.take_along_axis(values, order, axis=-1)
    flat = (ordered.reshape(-1, values.shape[-1]), values.reshape(-1, values.shape[-1]))
    start, end = (jax.vmap(partial(jnp.searchsorted, side=side))(*flat).reshape(values.shape) for side in ("left", "right"))
    return Order(*(positions.astype(jnp.int32) for positions in (order, start, end)))


def _cumulated(values: jax.Array) -> jax.Array:
    """Sums before each position and after the last, along the last axis, as two small triangular matrix products.

    An associative scan is as fast but takes seven times as long to compile; both are exact for whole numbers.
    """
    length = values.shape[-1]
    n_blocks = -(-length // BLOCK)
    padded = jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, n_blocks * BLOCK - length)])
    blocks = padded.reshape(*values.shape[:-1], n_blocks, BLOCK)
    multiply = partial(jnp.matmul, precision=lax.Precision.HIGHEST)
    within = multiply(blocks, jnp.triu(jnp.ones((BLOCK, BLOCK), values.dtype)))
    before = multiply(within[..., -1], jnp.triu(jnp.ones((n_blocks, n_blocks), values.dtype), 1))
    sums = (within + before[..., None]).reshape(*values.shape[:-1], n_blocks * BLOCK)[..., :length]
    return jnp.concatenate([jnp.zeros((*values.shape[:-1], 1), values.dtype), sums], axis=-1)


def weighted_midranks(order: Order, weights: Float[jax.Array, " n_pairs"]) -> Float[jax.Array, "*batch n_pairs"]:
    """Rank entries that count as often as their weights say (traceable).

    Parameters
    ----------
    order
        From :func:`sort_once`, shape (..., n_pairs) in each part.
    weights
        Non-negative counts, shape (n_pairs,), shared by the batch.

    Returns
    -------
    Mid-ranks from 1 to the sum of the weights, shape (..., n_pairs).
    """
    cumulated = _cumulated(weights[order.order])
    below = jnp.take_along_axis(cumulated, order.start, axis=-1)
    up_to = jnp.take_along_axis(cumulated, order.end, axis=-1)
    return (below + up_to + 1) / 2


__all__ = ["Order", "sort_once", "weighted_midranks"]
