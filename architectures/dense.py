"""Dense nodes: every unit sees all of what arrives, or all of each token."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures.activations import AMONG_UNITS, GAIN_SQUARED, activation_function, normalise_length
from architectures.edge import Edge
from architectures.node import Node, Params, Unit, check_shape, make_node
from architectures.roles import BIAS, WEIGHT, Role
from bioplausible.foundation.errors import InputError

__all__ = ["added", "dense", "dense_synapse", "kernel_init", "pointwise", "readout"]

DENSE_ROLES = {"bias": Role(BIAS, units=(0,)), "kernel": Role(WEIGHT, units=(1,), fan_in=(0,), edge=0, presynaptic=0)}


def kernel_init(activation: str, gain: float) -> nnx.Initializer:
    """Initial weights that keep the size of the signal through an activation function."""
    activation_function(activation)
    return nnx.initializers.variance_scaling(gain**2 * GAIN_SQUARED[activation], "fan_in", "truncated_normal")


def added(h: Array, skips: Sequence[Array]) -> Array:
    """What a unit does plus what comes over its skip edges."""
    for skip in skips:
        h = h + skip
    return h


def pointwise(activation: str, normalisation: str = "none") -> Callable[[Any, Array, tuple[Array, ...]], tuple[Any, Array]]:
    """An `activate` of units without memory: activation function, normalisation, then skips.

    Raises
    ------
    InputError
        Unknown activation function or normalisation.
    """
    function = activation_function(activation)
    if normalisation not in ("none", "length"):
        raise InputError(f"normalisation '{normalisation}' was given, expected 'none' or 'length' (root mean square of one)")

    def activate(state: Any, z: Array, skips: tuple[Array, ...]) -> tuple[Any, Array]:
        h = function(z)
        return state, added(normalise_length(h) if normalisation == "length" else h, skips)

    return activate


def dense_synapse(
    input_shapes: tuple[tuple[int, ...], ...],
    n_units: int,
    init_of_edge: tuple[nnx.Initializer, ...],
    tokens: bool = False,
) -> tuple[Callable[[PRNGKeyArray], Params], Callable[[Params, tuple[Array, ...]], Array], Any]:
    """Dense weights for each of several edges and one bias.

    Parameters
    ----------
    input_shapes
        Shape of what each edge brings.
    n_units
        Number of units.
    init_of_edge
        An initialiser for each edge's weights.
    tokens
        Whether the weights are shared over all axes but the last, rather than seeing everything flattened.

    Returns
    -------
    init, synapse, roles
        As `Node` has them. Parameters are "bias", "kernel" (fan-in, units), and "kernel_1", … for further edges.
    """
    for shape in input_shapes:
        check_shape(shape, "what a node hears")
    if isinstance(n_units, bool) or not isinstance(n_units, Integral) or n_units < 1:
        raise InputError(f"n_units={n_units!r} was given, expected a whole number of units, at least 1")
    sizes = [shape[-1] if tokens else math.prod(shape) for shape in input_shapes]
    names = ["kernel", *(f"kernel_{index}" for index in range(1, len(sizes)))]

    def init(key: PRNGKeyArray) -> Params:
        if len(sizes) == 1:
            # Through flax, whose draws every network of this kind has started from.
            module = nnx.Linear(sizes[0], n_units, kernel_init=init_of_edge[0], rngs=nnx.Rngs(params=key))
            return nnx.to_pure_dict(nnx.state(module, nnx.Param))
        keys = jax.random.split(key, len(sizes))
        drawn = {
            name: draw(k, (size, n_units), jnp.float32)
            for name, draw, k, size in zip(names, init_of_edge, keys, sizes, strict=True)
        }
        return {"bias": jnp.zeros(n_units), **drawn}

    def synapse(params: Params, inputs: tuple[Array, ...]) -> Array:
        total: Any = None
        for name, x, size in zip(names, inputs, sizes, strict=True):
            product = (x if tokens else x.reshape(x.shape[0], size)) @ params[name]
            total = product if total is None else total + product
        return total + params["bias"]

    roles = {"bias": Role(BIAS, units=(0,))}
    for edge, name in enumerate(names):
        roles[name] = Role(WEIGHT, units=(1,), fan_in=(0,), edge=edge, presynaptic=0)
    return init, synapse, roles


def dense(
    name: str,
    input_shape: tuple[int, ...],
    n_units: int,
    activation: str = "relu",
    gain: float = 1.0,
    normalisation: str = "none",
    *,
    tokens: bool = False,
    recurrent: bool = False,
) -> Node:
    """Units that see the whole input, flattened, or the whole of each token.

    Parameters
    ----------
    name
        The node's name.
    input_shape
        Shape of one example's input.
    n_units
        Number of units.
    activation
        One of `ACTIVATIONS`.
    gain
        Factor on the initial weights' standard deviation, beside what the activation function calls for.
    normalisation
        "none" or "length".
    tokens
        Whether weights are shared over all axes but the last.
    recurrent
        Whether units also see what all of them passed on one step ago (Elman 1990, doi:10.1207/s15516709cog1402_1).

    Raises
    ------
    InputError
        Unknown activation function or normalisation.
    """
    output_shape = (*input_shape[:-1], n_units) if tokens else (n_units,)
    shapes = (input_shape, output_shape) if recurrent else (input_shape,)
    draws = (kernel_init(activation, gain), nnx.initializers.orthogonal())
    init, synapse, roles = dense_synapse(shapes, n_units, draws[: len(shapes)], tokens)
    return make_node(
        name,
        affine=True,
        input_shapes=shapes,
        init=init,
        synapse=synapse,
        activate=pointwise(activation, normalisation),
        roles=roles,
        recurrence=(Edge(name, delay=1),) if recurrent else (),
        unitwise=normalisation == "none" and activation not in AMONG_UNITS,
        unit=Unit("linear") if (activation, normalisation, tokens) == ("identity", "none", False) else None,
    )


def readout(name: str, input_shape: tuple[int, ...], n_classes: int) -> Node:
    """A linear classifier of whatever it sees, flattened.

    Parameters
    ----------
    name
        The node's name.
    input_shape
        Shape of one example's input.
    n_classes
        Number of classes.
    """
    return dense(name, input_shape, n_classes, "identity")
