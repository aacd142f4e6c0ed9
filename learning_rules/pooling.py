"""What a head sees of a node's output: feature maps averaged over a coarse grid of places, as one vector for each example."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

__all__ = ["pooled"]


def _averaging(size: int, cells: int) -> np.ndarray:
    """(size, cells): each cell averages the positions that it touches, so that any size goes into any number of cells."""
    edges = np.arange(cells + 1) * size / cells
    inside = np.zeros((size, cells))
    for cell in range(cells):
        first, last = int(np.floor(edges[cell])), int(np.ceil(edges[cell + 1]))
        inside[first:last, cell] = 1 / (last - first)
    return inside


def pooled(h: Float[Array, "n ..."], grid: int) -> Float[Array, "n n_features"]:
    """Every axis between examples and units averaged to at most `grid` cells, and flattened with the units.

    Parameters
    ----------
    h
        Outputs of a node, (n, ..., units).
    grid
        Cells per axis, at least 1.

    >>> pooled(jnp.arange(8.0).reshape(1, 4, 2), 2).tolist(), pooled(jnp.ones((1, 2)), 2).tolist()
    ([[1.0, 2.0, 5.0, 6.0]], [[1.0, 1.0]])
    """
    for axis in range(1, h.ndim - 1):
        size = h.shape[axis]
        if size > grid:
            cells = jnp.tensordot(h, jnp.asarray(_averaging(size, grid), h.dtype), axes=(axis, 0))
            h = jnp.moveaxis(cells, -1, axis)
    return h.reshape(h.shape[0], -1)
