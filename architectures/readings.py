"""How a temporal network takes a static image: row by row, or encoded for a number of steps. Time is the leading axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from bioplausible.foundation.errors import InputError, unknown_name

__all__ = ["READINGS", "Reading", "make_reading", "spike_trains"]

READINGS = ("rows", "current", "rate", "latency")
"""How a still image becomes a sequence: its rows one after the other, a constant current, or spikes by rate or by latency."""


@dataclass(frozen=True)
class Reading:
    """A way of reading a static input in time.

    Attributes
    ----------
    name
        One of `READINGS`.
    transform
        (n, ...) -> (time, n, ...).
    step_shape
        Shape of one example -> shape of what it sends at one step.
    """

    name: str
    transform: Callable[[Array], Array]
    step_shape: Callable[[tuple[int, ...]], tuple[int, ...]]


def _rows(images: Array) -> Array:
    n, height = images.shape[:2]
    return jnp.moveaxis(images.reshape(n, height, -1), 1, 0)


def _row_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) < 2:
        raise InputError(f"inputs of shape {shape} have no rows to read: give images, or another reading of {', '.join(READINGS)}")
    return (math.prod(shape[1:]),)


def make_reading(name: str, n_steps: int = 20, gain: float = 0.2) -> Reading:
    """Make a reading.

    Parameters
    ----------
    name
        "rows": one row of the image a step, all its columns and channels at once. "current": the image itself at every step.
        "rate": evenly spaced spikes, whose rate is the pixel's value times the gain. "latency": one spike each, the earlier the
        larger the value. Spikes of negative pixels are negative: an afferent stands for a pair of an ON and an OFF cell.
    n_steps
        How long an image is shown; rows take as many steps as there are.
    gain
        Spikes a step for a pixel of one.

    Raises
    ------
    InputError
        Unknown name, or less than one step.

    >>> make_reading("rows").transform(jnp.zeros((5, 8, 6, 3))).shape
    (8, 5, 18)
    """
    if name not in READINGS:
        raise unknown_name("reading", name, READINGS)
    if n_steps < 1:
        raise InputError(f"n_steps={n_steps} was given, an image is shown for at least one step: try 20")
    if name == "rows":
        return Reading(name, _rows, _row_shape)
    if name == "current":
        return Reading(name, lambda x: jnp.broadcast_to(x, (n_steps, *x.shape)), lambda shape: shape)
    return Reading(name, lambda x: spike_trains(x, n_steps, gain, name), lambda shape: shape)


def spike_trains(
    x: Float[Array, "n ..."], n_steps: int, gain: float, coding: str = "rate", key: PRNGKeyArray | None = None
) -> Float[Array, "steps n ..."]:
    """Spikes of -1, 0 or 1.

    Parameters
    ----------
    x
        The input; an afferent's rate is min(gain |x|, 1) spikes a step.
    n_steps
        Length of the presentation.
    gain
        Rate for an input of one.
    coding
        "rate" spaces spikes evenly, "latency" gives each afferent one spike, the earlier the higher its rate.
    key
        Draws the phase of evenly spaced spikes; without it every afferent has a fixed phase of its own, and the same input gives
        the same spikes.

    Raises
    ------
    InputError
        Unknown coding.
    """
    rate = jnp.minimum(gain * jnp.abs(x), 1)
    steps = jnp.arange(n_steps, dtype=x.dtype).reshape(-1, *[1] * x.ndim)
    if coding == "latency":
        # The weakest would come last; below half a spike a presentation an afferent stays silent.
        time = jnp.round((1 - rate) * (n_steps - 1))
        return jnp.where((steps == time) & (rate * n_steps >= 0.5), jnp.sign(x), 0)
    if coding != "rate":
        raise InputError(f"coding='{coding}' was given, expected 'rate' or 'latency'")
    if key is None:
        # Multiples of the golden ratio fall evenly on the unit interval, neighbours far apart.
        index = jnp.arange(x[0].size, dtype=x.dtype).reshape(x.shape[1:])
        phase = jnp.broadcast_to(jnp.mod(index * 0.6180339887498949, 1), x.shape)
    else:
        phase = jax.random.uniform(key, x.shape, x.dtype)
    return jnp.sign(x) * (jnp.floor(rate * (steps + 1) + phase) - jnp.floor(rate * steps + phase))
