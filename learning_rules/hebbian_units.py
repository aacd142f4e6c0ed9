"""What a unit's own synapses are: its weights over all edges of its node make one vector, as the roles of the parameters tell.

Plasticity that is local to a unit (its decay, its norm, the length of what it sees) is then the same line for dense nodes, for
convolutional ones, whose units see patches, and for recurrent ones, whose units see each other too. Signals have all axes that tell
units apart as one, the last; the others are events: examples, steps, and positions that share weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from architectures import WEIGHT, Node, Params, Role
from architectures.roles import map_roles, role_leaves

__all__ = [
    "EUCLIDEAN",
    "has_weights",
    "in_metric",
    "initial_norms",
    "map_weights",
    "mix_units",
    "per_unit",
    "presynaptic_length",
    "scale_units",
    "unit_norms",
    "units_last",
]


def has_weights(node: Node) -> bool:
    """Whether a node has anything that Hebbian plasticity changes; pooling, normalisation and plain gains have not."""
    return any(role.kind == WEIGHT for role in role_leaves(node.roles))


def map_weights(node: Node, params: Params, function: Callable[[Array], Array]) -> Params:
    """Apply a function to every array of weights.

    Parameters
    ----------
    node
        The node.
    params
        A tree of the shapes of its parameters.
    function
        (..., units), where units lie on one axis, -> the same shape.

    Returns
    -------
    tree
        Of the same structure, with biases and gains at zero.
    """

    def at(role: Role, leaf: Array) -> Array:
        if role.kind != WEIGHT:
            return jnp.zeros_like(leaf)
        last = range(-len(role.units), 0)
        moved = jnp.moveaxis(leaf, role.units, last)
        flat = moved.reshape(*moved.shape[: last[0]], -1)
        return jnp.moveaxis(function(flat).reshape(moved.shape), last, role.units)

    return map_roles(at, node.roles, params)


EUCLIDEAN = 2
"""The exponent of the metric in which the answer of a unit is a scalar product with its weights."""


def in_metric(node: Node, params: Params, exponent: float) -> Params:
    """Weights as an answer in another metric takes them, sign(w) |w|^(p - 1); biases and gains at zero.

    Parameters
    ----------
    node
        The node.
    params
        Its parameters.
    exponent
        p, at least 1; 2 leaves weights as they are.
    """
    return map_weights(node, params, lambda leaf: jnp.sign(leaf) * jnp.abs(leaf) ** (exponent - 1))


def scale_units(node: Node, params: Params, factor: Float[Array, " units"]) -> Params:
    """Each unit's weights times its own factor; biases and gains at zero."""
    return map_weights(node, params, lambda leaf: leaf * factor)


def mix_units(node: Node, params: Params, matrix: Float[Array, "units units"]) -> Params:
    """Unit j of the result is the sum over k of unit k's weights times `matrix[k, j]`; biases and gains at zero."""
    return map_weights(node, params, lambda leaf: leaf @ matrix)


def unit_norms(node: Node, params: Params) -> Float[Array, " units"]:
    """Length of each unit's vector of weights, over all edges.

    >>> import architectures
    >>> node = architectures.dense("units", (3,), 2, recurrent=True)
    >>> unit_norms(node, {"bias": jnp.ones(2), "kernel": jnp.ones((3, 2)), "kernel_1": jnp.zeros((2, 2)).at[0].set(1)}).tolist()
    [2.0, 2.0]
    """
    squares: list[Array] = []

    def measure(leaf: Array) -> Array:
        squares.append(jnp.sum(jnp.square(leaf), axis=tuple(range(leaf.ndim - 1))))
        return leaf

    map_weights(node, params, measure)
    return jnp.sqrt(sum(squares[1:], start=squares[0]))


def initial_norms(node: Node) -> Float[Array, " units"]:
    """Norms that a node's units start with, from one fixed draw.

    A run's own draw would differ by the sampling of single weights alone; measuring it while it is drawn, the compiler fuses the
    two and changes the weights' last bits, and every rule starts at the same network to the bit.
    """
    with jax.ensure_compile_time_eval():
        return unit_norms(node, node.init(jax.random.key(0)))


def units_last(node: Node, z: Array) -> Float[Array, "*events units"]:
    """Pre-activations (or spikes, or what else has their shape) with all axes that tell a node's units apart as one, the last."""
    n_axes = next(len(role.units) for role in role_leaves(node.roles) if role.kind == WEIGHT)
    return z.reshape(*z.shape[:-n_axes], -1)


def per_unit(signal: Float[Array, "*events units"]) -> Float[Array, " units"]:
    """Sum over examples, steps, and positions that share a unit's weights."""
    return jnp.sum(signal, axis=tuple(range(signal.ndim - 1)))


def presynaptic_length(
    node: Node, params: Params, inputs: Sequence[Array], again: Sequence[Array] | None = None
) -> Float[Array, "n *positions units_or_1"]:
    """Euclidean length of what each unit's synapses see, over all edges.

    It is the synapse itself, given the squared inputs through weights of one; of one unit, where all units of a place see the same.

    Parameters
    ----------
    node
        The node.
    params
        Its parameters.
    inputs
        What arrives over each weighted edge, (n, ...).
    again
        Second signals of the same shapes: the result is then the root of their scalar products with the first, a length in another
        metric.
    """
    squared = tuple(x * y for x, y in zip(inputs, inputs if again is None else again, strict=True))

    def first(role: Role, leaf: Array) -> Array:
        return leaf[tuple(slice(1) if axis in role.units else slice(None) for axis in range(leaf.ndim))]

    seen_through = map_roles(first, node.roles, params)
    try:
        jax.eval_shape(node.synapse, seen_through, squared)
    except (TypeError, ValueError):
        # One unit alone does not fit where each sees inputs of its own, as in a grouped convolution.
        seen_through = params
    # The ones are taken from the weights: a product with a constant, inside a loop, is miscompiled by XLA for CPUs (jaxlib 0.10.2
    # answers NaN), and a length that is not a number would pass for one.
    ones = map_weights(node, seen_through, lambda leaf: jnp.isfinite(leaf).astype(leaf.dtype))
    energy = units_last(node, node.synapse(ones, squared))
    # A patch of exact zeros has no direction; its length is set far from zero so that it asks for nothing.
    return jnp.where(energy > 0, jnp.sqrt(jnp.where(energy > 0, energy, 1.0)), 1.0)
