r"""Weighted mid-ranks, sorted once.

Repeating entry p of a vector :math:`w_p` times gives all its copies the mid-rank

.. math::
    r_p = \sum_{q:\, x_q < x_p} w_q + \tfrac12\Big(1 + \sum_{q:\, x_q = x_p} w_q\Big)
        = \tfrac12\,(C_{start(p)} + C_{end(p)} + 1)

where C is the cumulative weight in sorted order and [start, end) is the run of entries tied with p. The order and the
runs do not depend on the weights: a thousand bootstrap draws need one sort and a thousand cumulative sums. With
integer weights the ranks are exact, because halves of integers are.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int


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
    n_values = values.shape[-1]
    order = jnp.argsort(values, axis=-1, stable=True)
    ordered = jnp.take_along_axis(values, order, axis=-1)
    position = jnp.broadcast_to(jnp.arange(n_values), values.shape)
    changes = ordered[..., 1:] != ordered[..., :-1]
    edge = jnp.ones((*values.shape[:-1], 1), dtype=bool)
    opens = jnp.concatenate([edge, changes], axis=-1)
    closes = jnp.concatenate([changes, edge], axis=-1)
    start = lax.cummax(jnp.where(opens, position, 0), axis=values.ndim - 1)
    end = lax.cummin(jnp.where(closes, position + 1, n_values), axis=values.ndim - 1, reverse=True)
    back = jnp.argsort(order, axis=-1)
    return Order(
        order.astype(jnp.int32),
        jnp.take_along_axis(start, back, axis=-1).astype(jnp.int32),
        jnp.take_along_axis(end, back, axis=-1).astype(jnp.int32),
    )


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
    cumulated = lax.associative_scan(jnp.add, weights[order.order], axis=-1)
    cumulated = jnp.concatenate([jnp.zeros((*cumulated.shape[:-1], 1)), cumulated], axis=-1)
    below = jnp.take_along_axis(cumulated, order.start, axis=-1)
    up_to = jnp.take_along_axis(cumulated, order.end, axis=-1)
    return (below + up_to + 1) / 2


__all__ = ["Order", "sort_once", "weighted_midranks"]
