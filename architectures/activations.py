"""Activation functions, pooling and parameter-free normalisation: what a block does after its synapses."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

from bioplausible.foundation.errors import InputError, unknown_name

__all__ = ["ACTIVATIONS", "AMONG_UNITS", "POOLINGS", "GAIN_SQUARED", "activation_function", "normalise_length", "pool"]


def _power(h: Array, exponent: float) -> Array:
    """A power of what is not negative, whose slope at zero is zero and not infinite."""
    return jnp.where(h > 0, jnp.where(h > 0, h, 1.0) ** exponent, 0.0)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "gelu": jax.nn.gelu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "hard_sigmoid": lambda z: jnp.clip(z, 0, 1),
    "hard_tanh": lambda z: jnp.clip(z, -1, 1),
    "identity": lambda z: z,
    # What is above the mean of the units (Coates, Lee and Ng 2011), to the power of 0.7 (Journé et al. 2023, arXiv 2209.11883).
    "triangle": lambda z: _power(jax.nn.relu(z - jnp.mean(z, axis=-1, keepdims=True)), 0.7),
}
AMONG_UNITS = ("triangle",)
"""Activation functions in which what a unit does depends on the others at its place."""

# Variance of the initial weights times fan-in that keeps the signal's size: He et al. 2015 (arXiv 1502.01852) for
# rectifiers, LeCun et al. 1998 for the others.
GAIN_SQUARED = {name: 2.0 if name in ("relu", "leaky_relu", "gelu", "triangle") else 1.0 for name in ACTIVATIONS}

POOLINGS = ("none", "max", "mean", "global_mean")


def activation_function(name: str) -> Callable[[Array], Array]:
    """The activation function of that name.

    Raises:
        InputError: if there is none.
    """
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def normalise_length(h: Array) -> Array:
    """Scale each example to a root mean square of one. It sees one example at a time, never its neighbours in the batch."""
    axes = tuple(range(1, h.ndim))
    return h * lax.rsqrt(jnp.mean(jnp.square(h), axis=axes, keepdims=True) + 1e-6)


def pool(h: Array, pooling: str) -> Array:
    """Pool (n, height, width, c) over windows of 2 by 2, or over the whole map.

    Raises:
        InputError: if the kind of pooling is unknown or the map too small.
    """
    if pooling == "none":
        return h
    if pooling not in POOLINGS:
        raise unknown_name("pooling", pooling, POOLINGS)
    if pooling == "global_mean":
        return jnp.mean(h, axis=(1, 2), keepdims=True)
    n, height, width, channels = h.shape
    if height < 2 or width < 2:
        raise InputError(
            f"{pooling} pooling was asked of a map of {height}x{width}, it needs at least 2x2: use fewer strides or pooling='none'"
        )
    half_y, half_x = height // 2, width // 2
    windows = h[:, : 2 * half_y, : 2 * half_x].reshape(n, half_y, 2, half_x, 2, channels)
    return jnp.max(windows, axis=(2, 4)) if pooling == "max" else jnp.sum(windows, axis=(2, 4)) / math.prod((2, 2))
