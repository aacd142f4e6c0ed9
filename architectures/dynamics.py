r"""Nodes that remember: leaky rates and activities, leaky integrate-and-fire units, and gated units.

* leaky rate: :math:`v \leftarrow \kappa v + (1 - \kappa) z`, :math:`h = f(v)`;
* leaky activity: :math:`h \leftarrow \kappa h + (1 - \kappa) f(z)` (Murray 2019, doi:10.7554/eLife.43299);
* leaky integrate-and-fire: :math:`v \leftarrow \kappa v + z - \vartheta\, o`, :math:`o = [v > \vartheta]`, whose derivative is
  replaced by :math:`1 / (1 + s\,|v - \vartheta|)^2` (Zenke and Ganguli 2018, doi:10.1162/neco_a_01086);
* gated: the gated recurrent unit with the reset after the product (Cho et al. 2014, arXiv 1406.1078), so that weights enter nowhere
  but in its synapses: :math:`r = \sigma(r_x + r_h)`, :math:`u = \sigma(u_x + u_h)`, :math:`c = \tanh(c_x + r \odot c_h)`,
  :math:`h = u \odot h_{t-1} + (1 - u) \odot c`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import PRNGKeyArray

from architectures.activations import AMONG_UNITS, activation_function
from architectures.dense import added, dense_synapse, kernel_init
from architectures.edge import Edge
from architectures.node import Node, Params, Unit, make_node
from architectures.roles import BIAS, WEIGHT, Role
from bioplausible.foundation.errors import InputError

__all__ = ["check_leak", "gated", "leaky_activity", "leaky_integrate_and_fire", "leaky_rate", "spike", "spiking_units"]


def check_leak(name: str, leak: float) -> None:
    """Refuse a leak that is no fraction below one."""
    if not 0 <= leak < 1:
        raise InputError(f"leak={leak} was given to '{name}', the fraction kept at each step: give a number in [0, 1)")


def leaky_rate(
    name: str,
    input_shape: tuple[int, ...],
    n_units: int,
    leak: float = 0.8,
    activation: str = "tanh",
    gain: float = 1.0,
    *,
    recurrent: bool = False,
) -> Node:
    """Units whose potential follows its drive with a delay.

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
    activation
        One of `ACTIVATIONS`, from the potential to the rate.
    gain
        Factor on the initial weights' standard deviation.
    recurrent
        Whether units also see what all of them passed on one step ago.

    Raises
    ------
    InputError
        A leak outside [0, 1), or an unknown activation function.
    """
    check_leak(name, leak)
    function = activation_function(activation)
    shapes = (input_shape, (n_units,)) if recurrent else (input_shape,)
    draws = (kernel_init(activation, gain), nnx.initializers.orthogonal())
    init, synapse, roles = dense_synapse(shapes, n_units, draws[: len(shapes)])

    def activate(v: Array, z: Array, skips: tuple[Array, ...]) -> tuple[Array, Array]:
        v = leak * v + (1 - leak) * z
        return v, added(function(v), skips)

    return make_node(
        name,
        affine=True,
        input_shapes=shapes,
        init=init,
        synapse=synapse,
        activate=activate,
        roles=roles,
        init_state=lambda n, dtype=jnp.float32: jnp.zeros((n, n_units), dtype),
        recurrence=(Edge(name, delay=1),) if recurrent else (),
        unitwise=activation not in AMONG_UNITS,
        unit=Unit("leaky", leak) if activation == "identity" else None,
        leak=leak,
    )


def leaky_activity(
    name: str,
    input_shape: tuple[int, ...],
    n_units: int,
    leak: float = 0.8,
    activation: str = "tanh",
    gain: float = 1.0,
    *,
    recurrent: bool = False,
) -> Node:
    """Units whose rate follows what their drive calls for with a delay: what they pass on is all that they remember.

    Parameters
    ----------
    name
        The node's name.
    input_shape
        Shape of one example's input at one step; flattened.
    n_units
        Number of units.
    leak
        Fraction of the rate that is kept at each step: one less the step over the unit's time constant.
    activation
        One of `ACTIVATIONS`, from the drive to the rate that it calls for.
    gain
        Factor on the initial weights' standard deviation.
    recurrent
        Whether units also see what all of them passed on one step ago.

    Raises
    ------
    InputError
        A leak outside [0, 1), or an unknown activation function.

    References
    ----------
    Murray 2019, doi:10.7554/eLife.43299, equation 1.
    """
    check_leak(name, leak)
    function = activation_function(activation)
    shapes = (input_shape, (n_units,)) if recurrent else (input_shape,)
    draws = (kernel_init(activation, gain), nnx.initializers.orthogonal())
    init, synapse, roles = dense_synapse(shapes, n_units, draws[: len(shapes)])

    def activate(rate: Array, z: Array, skips: tuple[Array, ...]) -> tuple[Array, Array]:
        rate = leak * rate + (1 - leak) * function(z)
        return rate, added(rate, skips)

    return make_node(
        name,
        affine=True,
        input_shapes=shapes,
        init=init,
        synapse=synapse,
        activate=activate,
        roles=roles,
        init_state=lambda n, dtype=jnp.float32: jnp.zeros((n, n_units), dtype),
        recurrence=(Edge(name, delay=1),) if recurrent else (),
        unitwise=activation not in AMONG_UNITS,
    )


@jax.custom_jvp
def spike(above: float | Array, steepness: float | Array = 10.0) -> Array:
    """1 where a potential is above its threshold, else 0; its derivative is a fast sigmoid's.

    Parameters
    ----------
    above
        Potential minus threshold.
    steepness
        s of the surrogate derivative, per unit of the potential.

    >>> spike(jnp.array([-0.5, 0.5])).tolist(), jax.grad(spike)(0.0).item()
    ([0.0, 1.0], 1.0)
    """
    return jnp.where(above > 0, 1.0, 0.0).astype(jnp.result_type(above))


@spike.defjvp
def _(primals: Any, tangents: Any) -> Any:
    above, steepness = primals
    return spike(above, steepness), tangents[0] / jnp.square(1 + steepness * jnp.abs(above))


def _of_units(value: float | tuple[float, ...] | None) -> Any:
    """A number for all units as it is, so that it takes on their precision; one for each as an array."""
    return np.asarray(value) if isinstance(value, tuple) else value


def spiking_units(n_units: int, unit: Unit, steepness: float = 10.0) -> dict[str, Any]:
    """What leaky integrate-and-fire units do and remember: the attributes of a `Node` that are not its synapses.

    Parameters
    ----------
    n_units
        Number of units.
    unit
        Their leak, threshold and reset.
    steepness
        Of the surrogate derivative.
    """
    leak, threshold, reset_to = (_of_units(each) for each in (unit.leak, unit.threshold, unit.reset_to))

    def activate(state: tuple[Array, Array], z: Array, skips: tuple[Array, ...]) -> tuple[tuple[Array, Array], Array]:
        v, spiked = state
        # The reset is not differentiated, as is usual with surrogate derivatives (Zenke and Vogels 2021, doi:10.1162/neco_a_01367).
        fell = jax.lax.stop_gradient(spiked)
        after = leak * v + z - threshold * fell if reset_to is None else leak * jnp.where(fell > 0, reset_to, v) + z
        v = after.astype(z.dtype)
        spiked = spike(v - threshold, steepness).astype(z.dtype)
        return (v, spiked), added(spiked, skips)

    def init_state(n: int, dtype: DTypeLike = jnp.float32) -> tuple[Array, Array]:
        return jnp.zeros((n, n_units), dtype), jnp.zeros((n, n_units), dtype)

    # A potential that is set at a spike forgets what went before; and filtered inputs are one for all units.
    constant = reset_to is None and not isinstance(unit.leak, tuple)
    return {
        "activate": activate,
        "init_state": init_state,
        "unitwise": True,
        "unit": unit,
        "leak": unit.leak if constant else None,
    }


def leaky_integrate_and_fire(
    name: str,
    input_shape: tuple[int, ...],
    n_units: int,
    leak: float = 0.9,
    threshold: float = 1.0,
    gain: float = 1.0,
    steepness: float = 10.0,
    *,
    recurrent: bool = False,
) -> Node:
    """Units that integrate, spike, and lose the threshold's worth of potential in the step after.

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
        Potential above which a unit spikes.
    gain
        Factor on the initial weights' standard deviation.
    steepness
        Of the surrogate derivative.
    recurrent
        Whether units also see each other's spikes of one step ago.

    Raises
    ------
    InputError
        A leak outside [0, 1), or a threshold that is not positive.
    """
    check_leak(name, leak)
    if not threshold > 0:
        raise InputError(f"threshold={threshold} was given to '{name}', units would spike without a cause: give a positive number")
    shapes = (input_shape, (n_units,)) if recurrent else (input_shape,)
    draws = (kernel_init("relu", gain), kernel_init("tanh", 0.5 * gain))
    init, synapse, roles = dense_synapse(shapes, n_units, draws[: len(shapes)])

    return make_node(
        name,
        affine=True,
        input_shapes=shapes,
        init=init,
        synapse=synapse,
        roles=roles,
        recurrence=(Edge(name, delay=1),) if recurrent else (),
        **spiking_units(n_units, Unit("spiking", leak, threshold), steepness),
    )


def gated(name: str, input_shape: tuple[int, ...], n_units: int) -> Node:
    """Gated recurrent units.

    Parameters
    ----------
    name
        The node's name.
    input_shape
        Shape of one example's input at one step; flattened.
    n_units
        Number of units.
    """
    parts = ("reset", "update", "candidate")
    draw, draw_own = kernel_init("tanh", 1.0), nnx.initializers.orthogonal()
    size = 1
    for length in input_shape:
        size *= length

    def init(key: PRNGKeyArray) -> Params:
        keys = jax.random.split(key, 2 * len(parts))
        return {
            part: {
                "bias": jnp.zeros(n_units),
                "kernel": draw(keys[2 * index], (size, n_units), jnp.float32),
                "recurrent": draw_own(keys[2 * index + 1], (n_units, n_units), jnp.float32),
            }
            for index, part in enumerate(parts)
        }

    def synapse(params: Params, inputs: tuple[Array, ...]) -> dict[str, tuple[Array, Array]]:
        x, own = inputs
        x = x.reshape(x.shape[0], size)
        return {part: (x @ params[part]["kernel"] + params[part]["bias"], own @ params[part]["recurrent"]) for part in parts}

    def activate(state: Any, z: dict[str, tuple[Array, Array]], skips: tuple[Array, ...]) -> tuple[Any, Array]:
        before, *others = skips
        reset, update = (jax.nn.sigmoid(z[part][0] + z[part][1]) for part in ("reset", "update"))
        candidate = jnp.tanh(z["candidate"][0] + reset * z["candidate"][1])
        return state, added(update * before + (1 - update) * candidate, tuple(others))

    roles = {
        part: {
            "bias": Role(BIAS, units=(0,)),
            "kernel": Role(WEIGHT, units=(1,), fan_in=(0,), edge=0, presynaptic=0),
            "recurrent": Role(WEIGHT, units=(1,), fan_in=(0,), edge=1, presynaptic=0),
        }
        for part in parts
    }
    return make_node(
        name,
        affine=True,
        input_shapes=(input_shape, (n_units,)),
        init=init,
        synapse=synapse,
        activate=activate,
        roles=roles,
        skip_shapes=((n_units,),),
        recurrence=(Edge(name, delay=1), Edge(name, delay=1, skip=True)),
    )
