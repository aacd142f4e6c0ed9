"""What a unit's own synapses are, block by block: flax keeps postsynaptic units on the last axis of every parameter.

With that one convention, and the synapse's vector-Jacobian products, plasticity that is local to a unit (its decay, its norm, the
length of what it sees) is the same line for dense and for convolutional blocks, whose units see patches.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from architectures import Block, Params

__all__ = [
    "biases_only",
    "initial_norms",
    "mix_units",
    "per_unit",
    "presynaptic_length",
    "scale_units",
    "unit_norms",
    "weights_only",
]


def weights_only(params: Params) -> Params:
    """The same tree with its biases at zero."""
    return jax.tree.map(lambda leaf: leaf if leaf.ndim > 1 else jnp.zeros_like(leaf), params)


def biases_only(params: Params) -> Params:
    """The same tree with its weights at zero."""
    return jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if leaf.ndim > 1 else leaf, params)


def scale_units(params: Params, factor: Float[Array, " units"]) -> Params:
    """Each unit's parameters times its own factor."""
    return jax.tree.map(lambda leaf: leaf * factor, params)


def mix_units(params: Params, matrix: Float[Array, "units units"]) -> Params:
    """Unit j of the result is the sum over k of unit k's parameters times `matrix[k, j]`."""
    return jax.tree.map(lambda leaf: leaf @ matrix, params)


def unit_norms(params: Params) -> Float[Array, " units"]:
    """Length of each unit's vector of weights, biases left out."""
    squares = [jnp.sum(jnp.square(leaf), axis=tuple(range(leaf.ndim - 1))) for leaf in jax.tree.leaves(params) if leaf.ndim > 1]
    return jnp.sqrt(sum(squares[1:], start=squares[0]))


def initial_norms(block: Block) -> Float[Array, " units"]:
    """Norms that a block's units start with, from one fixed draw.

    A run's own draw would differ by the sampling of single weights alone; measuring it while it is drawn, the compiler fuses the
    two and changes the weights' last bits, and every rule starts at the same network to the bit.
    """
    with jax.ensure_compile_time_eval():
        return unit_norms(block.init(jax.random.key(0)))


def per_unit(signal: Float[Array, "n *positions units"]) -> Float[Array, " units"]:
    """Sum over examples and over the positions that share a unit's weights."""
    return jnp.sum(signal, axis=tuple(range(signal.ndim - 1)))


def presynaptic_length(block: Block, params: Params, x: Any, x_again: Any = None) -> Float[Array, "n *positions units"]:
    """Euclidean length of what each unit's synapses see, with the shape of the synapses' output.

    With a second signal it is the root of the scalar product of the two: a length in another metric.

    It is the synapse itself, given the squared input through one unit's weights of one: all units of a place see the same.
    """
    # The ones are taken from the weights: a product with a constant, inside a loop, is miscompiled by XLA for CPUs (jaxlib 0.10.2
    # answers NaN), and a length that is not a number would pass for one.
    one_unit = jax.tree.map(lambda leaf: jnp.isfinite(leaf[..., :1]).astype(leaf.dtype) * (leaf.ndim > 1), params)
    energy = block.synapse(one_unit, jax.tree.map(jnp.multiply, x, x if x_again is None else x_again))
    # A patch of exact zeros has no direction; its length is set far from zero so that it asks for nothing.
    length = jnp.where(energy > 0, jnp.sqrt(jnp.where(energy > 0, energy, 1.0)), 1.0)
    return jnp.broadcast_to(length, (*length.shape[:-1], block.synapse_shape[-1]))
