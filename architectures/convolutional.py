"""Convolutional nodes, and nodes that pool or normalise without weights."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures.activations import AMONG_UNITS, POOLINGS, normalise_length, pool
from architectures.convolution import convolve
from architectures.dense import added, kernel_init, pointwise
from architectures.node import Node, Params, make_node
from architectures.roles import BIAS, WEIGHT, Role
from bioplausible.foundation.errors import unknown_name

__all__ = ["convolutional", "normalising", "pooling"]

_ROLES = {"bias": Role(BIAS, units=(0,)), "kernel": Role(WEIGHT, units=(3,), fan_in=(0, 1, 2), edge=0, presynaptic=2)}


def convolutional(
    name: str,
    input_shape: tuple[int, int, int],
    n_channels: int,
    kernel_size: int = 3,
    stride: int = 1,
    activation: str = "relu",
    gain: float = 1.0,
    normalisation: str = "none",
    pooling: str = "none",
) -> Node:
    """Units that see a patch each; the weights are shared over positions.

    Parameters
    ----------
    name
        The node's name.
    input_shape
        (height, width, channels) of one example's input.
    n_channels
        Number of filters.
    kernel_size
        Side of the square patch.
    stride
        Step between patches; padding is SAME.
    activation
        One of `ACTIVATIONS`.
    gain
        Factor on the initial weights' standard deviation, beside what the activation function calls for.
    normalisation
        "none" or "length".
    pooling
        One of `POOLINGS`, after the activation function.

    Raises
    ------
    InputError
        Unknown activation function, normalisation or pooling, or a map too small to pool.
    """
    channels_in = input_shape[-1]

    def init(key: PRNGKeyArray) -> Params:
        module = nnx.Conv(
            channels_in,
            n_channels,
            (kernel_size, kernel_size),
            strides=(stride, stride),
            kernel_init=kernel_init(activation, gain),
            rngs=nnx.Rngs(params=key),
        )
        return nnx.to_pure_dict(nnx.state(module, nnx.Param))

    def synapse(params: Params, inputs: tuple[Array, ...]) -> Array:
        return convolve(inputs[0], params["kernel"], (stride, stride)) + params["bias"]

    unpooled = pointwise(activation)
    pointwise(activation, normalisation)  # says what is wrong with them

    def activate(state: Any, z: Array, skips: tuple[Array, ...]) -> tuple[Any, Array]:
        h = pool(unpooled(state, z, ())[1], pooling)
        return state, added(normalise_length(h) if normalisation == "length" else h, skips)

    return make_node(
        name,
        affine=True,
        input_shapes=(tuple(input_shape),),
        init=init,
        synapse=synapse,
        activate=activate,
        roles=_ROLES,
        unitwise=pooling == "none" and normalisation == "none" and activation not in AMONG_UNITS,
        takes_any_size=True,
    )


def _without_weights(name: str, input_shape: tuple[int, ...], function: Any) -> Node:
    def activate(state: Any, z: Any, skips: tuple[Array, ...]) -> tuple[Any, Array]:
        return state, added(function(skips[0]), skips[1:])

    return make_node(
        name,
        affine=True,
        input_shapes=(),
        init=lambda key: (),
        synapse=lambda params, inputs: (),
        activate=activate,
        roles=(),
        skip_shapes=(input_shape,),
    )


def pooling(name: str, input_shape: tuple[int, int, int], kind: str = "max") -> Node:
    """A node without weights that pools what its first skip edge brings.

    Parameters
    ----------
    name
        The node's name.
    input_shape
        (height, width, channels) of what is pooled.
    kind
        One of `POOLINGS` but "none": over windows of 2 by 2, or over the whole map.

    Raises
    ------
    InputError
        Unknown kind, or a map too small to pool.
    """
    if kind not in POOLINGS or kind == "none":
        raise unknown_name("pooling", kind, [each for each in POOLINGS if each != "none"])
    return _without_weights(name, input_shape, lambda h: pool(h, kind))


def normalising(name: str, input_shape: tuple[int, ...], kind: str = "length") -> Node:
    """A node without weights that normalises what its first skip edge brings, each example by itself.

    Parameters
    ----------
    name
        The node's name.
    input_shape
        Shape of what is normalised.
    kind
        "length": root mean square of one over the whole example. "layer": mean of zero and variance of one along the last axis,
        without gain or bias (Ba, Kiros and Hinton 2016, arXiv 1607.06450).

    Raises
    ------
    InputError
        Unknown kind.
    """
    kinds = {"length": normalise_length, "layer": _layer}
    if kind not in kinds:
        raise unknown_name("normalisation", kind, kinds)
    return _without_weights(name, input_shape, kinds[kind])


def _layer(h: Array) -> Array:
    centred = h - jnp.mean(h, axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.mean(jnp.square(centred), axis=-1, keepdims=True) + 1e-6)
