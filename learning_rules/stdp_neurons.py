r"""Spikes: how leaky integrate-and-fire units answer currents, and the traces that spikes leave.

.. math:: v(t) = \kappa v(t-1) + I(t), \qquad \text{spike where } v \ge \vartheta, \text{ then } v = 0

Time is the leading axis of every train of spikes, (steps, n, ...). An input's sign is its spikes' sign: an afferent stands for a
pair of an ON and an OFF cell whose weights are each other's negative.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

__all__ = ["integrate_and_fire", "spike_trace"]


def integrate_and_fire(
    currents: Float[Array, "steps n *positions units"],
    threshold: Float[Array, " units"],
    leak: float,
    inhibition: float | None = None,
) -> Float[Array, "steps n *positions units"]:
    """Spikes (0 or 1) of leaky integrate-and-fire units.

    Parameters
    ----------
    currents
        Pre-activations at each step.
    threshold
        Per unit; shared over positions as its weights are.
    leak
        Fraction of the potential that is kept from step to step, in [0, 1).
    inhibition
        Lateral: of all units at one position that reach their threshold the one furthest above it spikes alone, and this fraction
        of every other's potential is lost. None leaves units to themselves.
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
    """Each spike adds one, each step keeps `decay` of the sum; with a delay of one a spike is not in the trace of its own step.

    >>> spike_trace(jnp.array([1.0, 0.0, 0.0]), 0.5).tolist(), spike_trace(jnp.array([1.0, 0.0, 0.0]), 0.5, delay=1).tolist()
    ([1.0, 0.5, 0.25], [0.0, 0.5, 0.25])
    """

    def step(trace: Array, now: Array) -> tuple[Array, Array]:
        after = decay * trace + now
        return after, decay * trace if delay else after

    return lax.scan(step, jnp.zeros_like(spikes[0]), spikes)[1]
