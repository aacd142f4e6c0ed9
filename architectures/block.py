r"""A block: synapses, then activation, apart from each other.

.. math:: z = S_\theta(x), \qquad h = a(z)

`synapse` is the only place where weights enter. It is affine in its input and linear in its parameters, so that everything that
a learning rule needs is one of its vector-Jacobian products: the Hebbian product of pre- and postsynaptic signals (with respect
to the parameters), an error carried back through any weights of the same shape (with respect to the input), or the inverse
map's shape. No rule ever asks what kind of layer a block has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import PRNGKeyArray, PyTree

from architectures.activations import GAIN_SQUARED, activation_function, normalise_length, pool
from architectures.convolution import inject
from architectures.errors import InputError

__all__ = ["Block", "Params", "convolutional_block", "dense_block", "readout_block"]

Params = PyTree


@dataclass(frozen=True)
class Block:
    """One step of a network's chain, as pure functions.

    Attributes:
        name: the layer's name in every table.
        input_shape: shape of one example's input.
        synapse_shape: shape of one example's `z`.
        output_shape: shape of one example's `h`.
        fan_in: number of inputs that one unit sums.
        init: key -> parameters, a dict with "kernel" and "bias".
        synapse: (parameters, x of shape (n, *input_shape)) -> z of shape (n, *synapse_shape).
        activate: z -> h of shape (n, *output_shape).
        takes_any_size: whether height and width of the input may differ from `input_shape`.
    """

    name: str
    input_shape: tuple[int, ...]
    synapse_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    fan_in: int
    init: Callable[[PRNGKeyArray], Params]
    synapse: Callable[[Params, Any], Array]
    activate: Callable[[Array], Array]
    takes_any_size: bool

    def apply(self, params: Params, x: Array) -> Array:
        """Synapse and activation in turn."""
        return self.activate(self.synapse(params, x))

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an input of this shape (of one example) goes in."""
        if self.takes_any_size:
            return len(shape) == 3 and shape[-1] == self.input_shape[-1]
        return shape == self.input_shape


def _make_block(
    name: str,
    module_of: Callable[[nnx.Rngs], nnx.Module],
    prepare: Callable[[Array], Array],
    activate: Callable[[Array], Array],
    input_shape: tuple[int, ...],
    fan_in: int,
    takes_any_size: bool,
) -> Block:
    """Turn a flax module into pure functions of its parameters."""
    graph, _ = nnx.split(nnx.eval_shape(lambda: module_of(nnx.Rngs(params=jax.random.key(0)))))

    def init(key: PRNGKeyArray) -> Params:
        return nnx.to_pure_dict(nnx.state(module_of(nnx.Rngs(params=key)), nnx.Param))

    def synapse(params: Params, x: Array) -> Array:
        return nnx.merge(graph, params)(prepare(x))

    example = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)
    z = jax.eval_shape(lambda x: synapse(init(jax.random.key(0)), x), example)
    h = jax.eval_shape(activate, z)
    return Block(name, input_shape, z.shape[1:], h.shape[1:], fan_in, init, synapse, activate, takes_any_size)


def _activation(activation: str, normalisation: str, pooling: str = "none") -> Callable[[Array], Array]:
    function = activation_function(activation)
    if normalisation not in ("none", "length"):
        raise InputError(f"normalisation '{normalisation}' was given, expected 'none' or 'length' (root mean square of one)")

    def activate(z: Array) -> Array:
        h = pool(function(z), pooling)
        return normalise_length(h) if normalisation == "length" else h

    return activate


def _kernel_init(activation: str, gain: float) -> nnx.Initializer:
    activation_function(activation)
    return nnx.initializers.variance_scaling(gain**2 * GAIN_SQUARED[activation], "fan_in", "truncated_normal")


def dense_block(
    name: str,
    input_shape: tuple[int, ...],
    n_units: int,
    activation: str = "relu",
    gain: float = 1.0,
    normalisation: str = "none",
) -> Block:
    """Every unit sees the whole input, flattened.

    Args:
        name: the layer's name.
        input_shape: shape of one example's input; anything is flattened.
        n_units: number of units.
        activation: one of `ACTIVATIONS`.
        gain: factor on the initial weights' standard deviation, beside what the activation function calls for.
        normalisation: "none" or "length".
    """
    fan_in = 1
    for length in input_shape:
        fan_in *= length
    return _make_block(
        name,
        lambda rngs: nnx.Linear(fan_in, n_units, kernel_init=_kernel_init(activation, gain), rngs=rngs),
        lambda x: x.reshape(x.shape[0], fan_in),
        _activation(activation, normalisation),
        input_shape,
        fan_in,
        takes_any_size=False,
    )


def readout_block(name: str, input_shape: tuple[int, ...], n_classes: int) -> Block:
    """A linear classifier of whatever it sees: what a rule reads a block of any kind out with.

    Args:
        name: the layer's name.
        input_shape: shape of one example's input; anything is flattened.
        n_classes: number of classes.
    """
    return dense_block(name, input_shape, n_classes, "identity")


def convolutional_block(
    name: str,
    input_shape: tuple[int, int, int],
    n_channels: int,
    kernel_size: int = 3,
    stride: int = 1,
    activation: str = "relu",
    gain: float = 1.0,
    normalisation: str = "none",
    pooling: str = "none",
) -> Block:
    """Every unit sees a patch; the weights are shared over positions.

    Args:
        name: the layer's name.
        input_shape: (height, width, channels) of one example's input.
        n_channels: number of filters.
        kernel_size: side of the square patch.
        stride: step between patches; padding is SAME.
        activation: one of `ACTIVATIONS`.
        gain: factor on the initial weights' standard deviation, beside what the activation function calls for.
        normalisation: "none" or "length".
        pooling: one of `POOLINGS`, after the activation function.
    """
    channels_in = input_shape[-1]

    def module(rngs: nnx.Rngs) -> nnx.Module:
        return nnx.Conv(
            channels_in,
            n_channels,
            (kernel_size, kernel_size),
            strides=(stride, stride),
            padding="SAME",
            kernel_init=_kernel_init(activation, gain),
            conv_general_dilated=inject,
            rngs=rngs,
        )

    fan_in = kernel_size * kernel_size * channels_in
    activate = _activation(activation, normalisation, pooling)
    return _make_block(name, module, lambda x: x, activate, input_shape, fan_in, takes_any_size=True)
