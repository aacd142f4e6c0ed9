"""Changes of a node's weights that its synapses do not feel on anything that they were given.

A synapse is linear in its parameters, so that what a unit feels of a change of its weights is a matrix times the change, with
one row for each place, example, step and pass in which its inputs were shown. Changes in the null space of that matrix leave
every pre-activation as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from architectures import Node, Params, Role

__all__ = ["Weights", "change_of_size", "unfelt", "weights_of"]

_RELATIVE_SIZE = 0.5
_TOLERANCE = 1e-9


class Weights(NamedTuple):
    """One array of a node's weights, and what units feel of it.

    Attributes
    ----------
    leaf
        Number of the array among the leaves of the node's parameters.
    role
        Its role.
    felt
        (parameters, inputs) -> (weights of one unit, places and examples of all units): what units feel of each of their weights.
    """

    leaf: int
    role: Role
    felt: Callable[[Params, tuple[Array, ...]], Array]


def weights_of(node: Node, index: int, role: Role) -> Weights:
    """What units feel of one array of their weights.

    Parameters
    ----------
    node
        The node, which is linear in its parameters.
    index
        Number of the array among the leaves of its parameters.
    role
        The array's, a weight's.
    """

    def felt(params: Params, inputs: tuple[Array, ...]) -> Array:
        leaves, structure = jax.tree.flatten(params)
        shape = leaves[index].shape
        lengths = [shape[axis] for axis in role.fan_in]
        order = sorted(range(len(lengths)), key=lambda k: role.fan_in[k])
        apart = [shape[axis] if axis in role.fan_in else 1 for axis in range(len(shape))]

        def along(weight: Array) -> Array:
            # One weight of every unit at once: units sum theirs apart from each other.
            direction = jnp.broadcast_to(jnp.transpose(weight.reshape(lengths), order).reshape(apart), shape)
            tangent = [direction if k == index else jnp.zeros_like(leaf) for k, leaf in enumerate(leaves)]
            moved = jax.jvp(lambda p: node.synapse(p, inputs), (params,), (jax.tree.unflatten(structure, tangent),))[1]
            return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(moved)])

        return jax.vmap(along)(jnp.eye(math.prod(lengths), dtype=leaves[index].dtype))

    return Weights(index, role, jax.jit(felt))


def change_of_size(drawn: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A change in the direction drawn, of a size in proportion to that of the weights (or a little, where they are nothing).

    Parameters
    ----------
    drawn
        The direction.
    weights
        What is changed.
    """
    size = max(float(np.linalg.norm(weights)), 0.1 * weights.size**0.5)
    return np.asarray(drawn * (_RELATIVE_SIZE * size / max(float(np.linalg.norm(drawn)), 1e-300)))


def unfelt(
    weights: Weights, params: Params, shown: Sequence[tuple[np.ndarray, ...]], draw: np.random.Generator
) -> np.ndarray | None:
    """A change of one array of weights that no unit feels.

    Parameters
    ----------
    weights
        The array.
    params
        The node's parameters, in double precision.
    shown
        What arrived over each weighted edge, once for each evaluation.
    draw
        Of the change, which is drawn at random but for what would be felt.

    Returns
    -------
    Array or None
        The change, of the array's shape; None where what was shown spans every direction.
    """
    values, fan_in = np.asarray(jax.tree.leaves(params)[weights.leaf]), weights.role.fan_in
    inputs = tuple(jnp.asarray(np.concatenate(each)) for each in zip(*shown, strict=True))
    rows = np.asarray(weights.felt(params, inputs)).T
    # By the small side, and by singular values themselves rather than their squares.
    triangle = np.linalg.qr(rows[np.isfinite(rows).all(axis=1)], mode="r")
    _, sizes, directions = np.linalg.svd(triangle, full_matrices=True)
    free = directions[int(np.sum(sizes > _TOLERANCE * sizes[0])) if len(sizes) and sizes[0] > 0 else 0 :]
    if not len(free):
        return None
    units = [axis for axis in range(values.ndim) if axis not in fan_in]
    drawn = free.T @ draw.normal(size=(len(free), math.prod(values.shape[axis] for axis in units)))
    apart = drawn.reshape([values.shape[axis] for axis in (*fan_in, *units)])
    return change_of_size(np.transpose(apart, np.argsort((*fan_in, *units))), values)
