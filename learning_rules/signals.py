"""The signals that rules are written in, each a vector-Jacobian product of a block: no rule asks what kind of layer it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
from jax import Array

from architectures import Block, Network, Params

__all__ = ["Sweep", "hebbian_product", "local_derivative", "project_back", "sweep"]


class Sweep(NamedTuple):
    """One pass from the encoded images to the scores, position by position.

    Attributes:
        inputs: presynaptic signals, what each position's synapses saw.
        synaptic: what its synapses delivered.
        activations: what it passed on; the last are the scores.
    """

    inputs: tuple[Array, ...]
    synaptic: tuple[Array, ...]
    activations: tuple[Array, ...]


def sweep(network: Network, params: Sequence[Params], x: Array) -> Sweep:
    """Run the chain on an encoded input (n, ...) and keep every signal."""
    inputs, synaptic, activations = [], [], []
    for block, block_params in zip(network.chain, network.unroll(params), strict=True):
        inputs.append(x)
        synaptic.append(block.synapse(block_params, x))
        x = block.activate(synaptic[-1])
        activations.append(x)
    return Sweep(tuple(inputs), tuple(synaptic), tuple(activations))


def hebbian_product(block: Block, params: Params, x: Array, post: Array) -> Params:
    """Presynaptic times postsynaptic signal, summed over the batch and over shared positions.

    Since a synapse is linear in its parameters, their values do not enter: `params` gives the shapes.
    """
    _, pull = jax.vjp(lambda p: block.synapse(p, x), params)
    return pull(post)[0]


def project_back(block: Block, params: Params, x: Array, error: Array) -> Array:
    """An error at the block's synapses, carried to its input through `params`, whichever weights these are.

    Since a synapse is affine in its input, the value of `x` does not enter: it gives the shape.
    """
    _, pull = jax.vjp(lambda value: block.synapse(params, value), x)
    return pull(error)[0]


def local_derivative(block: Block, z: Array, error: Array) -> Array:
    """An error at the block's output, times the derivative of its activation at `z`."""
    _, pull = jax.vjp(block.activate, z)
    return pull(error)[0]
