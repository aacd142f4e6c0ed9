r"""Spikes: how an input becomes spikes, how leaky integrate-and-fire units answer, and the traces that spikes leave.

.. math:: v(t) = \kappa v(t-1) + I(t), \qquad \text{spike where } v \ge \vartheta, \text{ then } v = 0

Time is the leading axis of every train of spikes, (steps, n, ...). An input's sign is its spikes' sign: an afferent stands for a
pair of an ON and an OFF cell whose weights are each other's negative.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, PRNGKeyArray

from bioplausible.foundation.errors import InputError

__all__ = ["encode_spikes", "integrate_and_fire", "spike_trace"]


def encode_spikes(
    x: Float[Array, "n ..."], n_steps: int, gain: float, coding: str = "rate", key: PRNGKeyArray | None = None
) -> Float[Array, "steps n ..."]:
    """Spikes of -1, 0 or 1.

    Args:
        x: the encoded input; an afferent's rate is min(gain |x|, 1) spikes a step.
        n_steps: length of the presentation.
        gain: rate for an input of one.
        coding: "rate" spaces spikes evenly, "latency" gives each afferent one spike, the earlier the higher its rate.
        key: draws the phase of evenly spaced spikes; without it every afferent has a fixed phase of its own, and the same input
            gives the same spikes.

    Raises:
        InputError: unknown coding.
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


def integrate_and_fire(
    currents: Float[Array, "steps n *positions units"],
    threshold: Float[Array, " units"],
    leak: float,
    inhibition: float | None = None,
) -> Float[Array, "steps n *positions units"]:
    """Spikes (0 or 1) of leaky integrate-and-fire units.

    Args:
        currents: what the synapses deliver at each step.
        threshold: per unit; shared over positions as its weights are.
        leak: share of the potential that is kept from step to step.
        inhibition: lateral: of all units at one position that reach their threshold the one furthest above it spikes alone, and
            this share of every other's potential is lost. None leaves units to themselves.
    """

    def step(potential: Array, current: Array) -> tuple[Array, Array]:
        potential = leak * potential + current
        above = potential >= threshold
        if inhibition is not None:
            first = jnp.argmax(jnp.where(above, potential / threshold, -jnp.inf), axis=-1)
            anyone = jnp.any(above, axis=-1, keepdims=True)
            above = (jax.nn.one_hot(first, threshold.size) > 0) & anyone
            potential = jnp.where(anyone, (1 - inhibition) * potential, potential)
        return jnp.where(above, 0, potential), above.astype(potential.dtype)

    return lax.scan(step, jnp.zeros_like(currents[0]), currents)[1]


def spike_trace(spikes: Float[Array, "steps ..."], decay: float, delay: int = 0) -> Float[Array, "steps ..."]:
    """Each spike adds one, each step keeps `decay` of the sum; with a delay of one a spike is not in the trace of its own step."""

    def step(trace: Array, now: Array) -> tuple[Array, Array]:
        after = decay * trace + now
        return after, decay * trace if delay else after

    return lax.scan(step, jnp.zeros_like(spikes[0]), spikes)[1]
