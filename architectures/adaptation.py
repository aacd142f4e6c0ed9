r"""Units that spike and tire of it: their threshold rises with every spike and falls back slowly.

.. math:: v_t = \kappa v_{t-1} + z_t - \vartheta\, o_{t-1}, \qquad a_t = \rho\, a_{t-1} + o_{t-1}, \qquad
   o_t = [v_t > \vartheta + \beta a_t]

(Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, equations 6, 8 and 9). The reset is not differentiated; what a spike does to
the threshold is, with the surrogate derivative of `spike`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from architectures.dense import added, dense_synapse, kernel_init
from architectures.dynamics import check_leak, spike
from architectures.edge import Edge
from architectures.node import Node, make_node
from bioplausible.foundation.errors import InputError

__all__ = ["adaptive_integrate_and_fire"]


def adaptive_integrate_and_fire(
    name: str,
    input_shape: tuple[int, ...],
    n_units: int,
    leak: float = 0.9,
    threshold: float = 1.0,
    adaptation: float = 0.2,
    adaptation_leak: float = 0.95,
    gain: float = 1.0,
    steepness: float = 10.0,
    *,
    recurrent: bool = False,
) -> Node:
    """Units that integrate, spike, lose the threshold's worth of potential in the step after, and then need more of it.

    Parameters
    ----------
    name
        The node's name.
    input_shape
        Shape of one example's input at one step; flattened.
    n_units
        Number of units.
    leak
        Fraction of the potential that is kept at each step.
    threshold
        Potential above which a unit that has long been silent spikes.
    adaptation
        What every spike adds to the threshold, at least 0.
    adaptation_leak
        Fraction of what spikes have added that is kept at each step.
    gain
        Factor on the initial weights' standard deviation.
    steepness
        Of the surrogate derivative.
    recurrent
        Whether units also see each other's spikes of one step ago.

    Raises
    ------
    InputError
        A leak outside [0, 1), a threshold that is not positive, or an adaptation below 0.
    """
    check_leak(name, leak)
    check_leak(name, adaptation_leak)
    if not threshold > 0:
        raise InputError(f"threshold={threshold} was given to '{name}', units would spike without a cause: give a positive number")
    if not adaptation >= 0:
        raise InputError(
            f"adaptation={adaptation} was given to '{name}', spikes would call for spikes: give 0 or a positive number"
        )
    shapes = (input_shape, (n_units,)) if recurrent else (input_shape,)
    draws = (kernel_init("relu", gain), kernel_init("tanh", 0.5 * gain))
    init, synapse, roles = dense_synapse(shapes, n_units, draws[: len(shapes)])

    def spikes(v: Array, a: Array) -> Array:
        return spike(v - threshold - adaptation * a, steepness)

    def activate(state: tuple[Array, Array], z: Array, skips: tuple[Array, ...]) -> tuple[tuple[Array, Array], Array]:
        v, a = state
        # Whether it has spiked follows from what it remembers: two numbers a unit, and two traces a synapse.
        spiked = spikes(v, a)
        v = leak * v + z - threshold * jax.lax.stop_gradient(spiked)
        a = adaptation_leak * a + spiked
        return (v, a), added(spikes(v, a), skips)

    def init_state(n: int, dtype: DTypeLike = jnp.float32) -> tuple[Array, Array]:
        return jnp.zeros((n, n_units), dtype), jnp.zeros((n, n_units), dtype)

    return make_node(
        name,
        affine=True,
        input_shapes=shapes,
        init=init,
        synapse=synapse,
        activate=activate,
        roles=roles,
        init_state=init_state,
        recurrence=(Edge(name, delay=1),) if recurrent else (),
        unitwise=True,
    )
