"""Networks that run in time: recurrent ones, which read an image row by row, and spiking ones, which are shown it as a current."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from architectures.adaptation import adaptive_integrate_and_fire
from architectures.dense import dense
from architectures.dynamics import gated, leaky_activity, leaky_integrate_and_fire, leaky_rate
from architectures.front_end import FrontEnd
from architectures.network import Network, chain
from architectures.node import Node
from architectures.readings import make_reading
from bioplausible.foundation.errors import InputError, unknown_name

__all__ = ["RecurrentOptions", "SpikingOptions", "recurrent", "spiking"]

_UNITS = ("elman", "leaky_rate", "leaky_activity", "gated")
_SEQUENCE = "sequence"


@dataclass(frozen=True)
class RecurrentOptions:
    """Options of the recurrent network.

    Attributes
    ----------
    hidden
        Units of each hidden layer.
    units
        "elman", "leaky_rate" (a potential leaks, and its rate is passed on), "leaky_activity" (the rate leaks) or "gated".
    activation
        Of hidden units (gated ones have their own).
    leak
        Of leaky units, the fraction of the potential, or of the rate, that is kept at each step.
    reading
        How an image is read in time, one of `READINGS`; "sequence" where inputs are sequences already, (time, n, *input_shape).
    n_steps
        Steps that an image is shown for, where it is not read by rows.
    decision
        Whether the scores are the readout's at the "last" step, or their "mean" over steps.
    """

    hidden: tuple[int, ...] = (128,)
    units: str = "elman"
    activation: str = "tanh"
    leak: float = 0.8
    reading: str = "rows"
    n_steps: int = 20
    decision: str = "last"


@dataclass(frozen=True)
class SpikingOptions:
    """Options of the spiking network.

    Attributes
    ----------
    hidden
        Units of each hidden layer.
    leak
        Fraction of the potential that is kept at each step.
    threshold
        Potential above which a unit spikes.
    gain
        Factor on the initial weights.
    recurrent
        Whether hidden units see each other's spikes.
    adaptation
        What every spike adds to its unit's threshold; 0 for units that do not adapt.
    adaptation_leak
        Fraction of what spikes have added to the threshold that is kept at each step.
    reading
        How an image is read in time, one of `READINGS`; "sequence" where inputs are sequences already.
    n_steps
        Steps that an image is shown for.
    decision
        Whether the scores are the readout's at the "last" step, or their "mean" over steps.
    """

    hidden: tuple[int, ...] = (128,)
    leak: float = 0.9
    threshold: float = 1.0
    gain: float = 1.0
    recurrent: bool = False
    adaptation: float = 0.0
    adaptation_leak: float = 0.95
    reading: str = "current"
    n_steps: int = 20
    decision: str = "mean"


def _check(options: RecurrentOptions | SpikingOptions) -> None:
    if not options.hidden or min(options.hidden) < 1:
        raise InputError(f"hidden={options.hidden} was given: give at least one hidden layer, each of at least one unit")


def _reading(options: RecurrentOptions | SpikingOptions, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """The reading, and the shape of one step."""
    if options.reading == _SEQUENCE:
        return None, shape
    reading = make_reading(options.reading, options.n_steps)
    return reading, reading.step_shape(shape)


def recurrent(
    input_shape: tuple[int, ...], n_classes: int, options: RecurrentOptions, front_end: FrontEnd, **others: Any
) -> Network:
    """The nodes `hidden_0`, `hidden_1`, …, `output`, each hidden one with edges from itself.

    Raises
    ------
    InputError
        No hidden layer, or unknown units or reading.
    """
    _check(options)
    if options.units not in _UNITS:
        raise unknown_name("kind of recurrent units", options.units, _UNITS)
    reading, shape = _reading(options, front_end.output_shape(input_shape))
    nodes = []
    for index, width in enumerate(options.hidden):
        name = f"hidden_{index}"
        if options.units == "elman":
            nodes.append(dense(name, shape, width, options.activation, recurrent=True))
        elif options.units in ("leaky_rate", "leaky_activity"):
            leaky = leaky_rate if options.units == "leaky_rate" else leaky_activity
            nodes.append(leaky(name, shape, width, options.leak, options.activation, recurrent=True))
        else:
            nodes.append(gated(name, shape, width))
        shape = nodes[-1].output_shape
    nodes.append(dense("output", shape, n_classes, "identity"))
    return chain(
        nodes,
        name="recurrent",
        input_shape=input_shape,
        n_classes=n_classes,
        front_end=front_end,
        reading=reading,
        decision=options.decision,
        **others,
    )


def _spiking_units(name: str, shape: tuple[int, ...], width: int, options: SpikingOptions) -> Node:
    own = (options.leak, options.threshold)
    if options.adaptation:
        adapting = (options.adaptation, options.adaptation_leak, options.gain)
        return adaptive_integrate_and_fire(name, shape, width, *own, *adapting, recurrent=options.recurrent)
    return leaky_integrate_and_fire(name, shape, width, *own, options.gain, recurrent=options.recurrent)


def spiking(input_shape: tuple[int, ...], n_classes: int, options: SpikingOptions, front_end: FrontEnd, **others: Any) -> Network:
    """The nodes `hidden_0`, `hidden_1`, …, of leaky integrate-and-fire units, and `output`, whose potential leaks and never spikes.

    Raises
    ------
    InputError
        No hidden layer, an unknown reading, or a leak or threshold out of range.
    """
    _check(options)
    reading, shape = _reading(options, front_end.output_shape(input_shape))
    nodes = []
    for index, width in enumerate(options.hidden):
        name = f"hidden_{index}"
        nodes.append(_spiking_units(name, shape, width, options))
        shape = nodes[-1].output_shape
    nodes.append(leaky_rate("output", shape, n_classes, options.leak, "identity"))
    return chain(
        nodes,
        name="spiking",
        input_shape=input_shape,
        n_classes=n_classes,
        front_end=front_end,
        reading=reading,
        decision=options.decision,
        **others,
    )
