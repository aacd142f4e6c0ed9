"""How an error is credited to what happened earlier: the option `temporal`, which rules share that send errors through a network.

=============== ====================================================================================== ===========================
`temporal`      what an error is credited to                                                           memory over the steps
=============== ====================================================================================== ===========================
`through_time`  all that led to it: back over delayed edges and through what units remember            grows
`online`        what led to it within the step, and what units themselves remember (`cut_time`)        grows, as computed here
`eligibility`   the same by traces that synapses carry forward in time (`forward_credit`)              does not grow
=============== ====================================================================================== ===========================

With one hidden layer and a readout that remembers nothing, `online` and `eligibility` ask for the same. With more they do not: an
error that reaches a unit by what a node above it remembers is of a step that has gone, and no trace tells of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import Array

from architectures import Network, Params
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import one_of
from learning_rules.forward_credit import forward_credit
from learning_rules.forward_needs import Direct, why_no_traces
from learning_rules.objectives import Batch, Objective
from learning_rules.signals import Crossings, cut_time

__all__ = ["ELIGIBILITY", "ONLINE", "TEMPORAL", "THROUGH_TIME", "check_temporal", "temporal_gradient"]

THROUGH_TIME, ONLINE, ELIGIBILITY = "through_time", "online", "eligibility"
TEMPORAL = (THROUGH_TIME, ONLINE, ELIGIBILITY)
"""What the option `temporal` takes."""


def check_temporal(options: Any, network: Network, objective: Objective, direct: Direct | None = None) -> None:
    """Check that a network can be credited as the option `temporal` says.

    Parameters
    ----------
    options
        Of a rule, with a field `temporal`.
    network, objective
        As the rule is built for.
    direct
        As `forward_credit` takes it.

    Raises
    ------
    InputError
        An unknown value, one that says nothing of a network without time, or traces that the network's units do not have.
    """
    one_of(options, "temporal", TEMPORAL)
    if options.temporal == THROUGH_TIME:
        return
    if not network.temporal:
        raise InputError(
            f"temporal={options.temporal} was given for '{network.name}', which is run once for each image and has no time to "
            "credit: leave it out, or use a network in time such as 'recurrent' or 'spiking'"
        )
    if options.temporal == ELIGIBILITY:
        reason = why_no_traces(network, objective, direct)
        if reason:
            raise InputError(f"temporal={ELIGIBILITY} was given for '{network.name}': {reason}")


def temporal_gradient(
    network: Network,
    objective: Objective,
    temporal: str,
    params: Sequence[Params],
    batch: Batch,
    synapses: Callable[[Any], Crossings],
) -> tuple[dict[str, Array], tuple[Params, ...]]:
    """The gradient of the objective, as far back in time as an option says.

    Parameters
    ----------
    network, objective
        What learns, and what it is asked to do.
    temporal
        One of `TEMPORAL`.
    params
        One tree per node.
    batch
        What is learned from.
    synapses
        params -> what stands around each node: `exact`, or `through` other weights.

    Returns
    -------
    metrics, gradient
        What the objective tells, and one tree per node.
    """
    if temporal == ELIGIBILITY:
        metrics, updates, _ = forward_credit(network, objective, params, batch, synapses(params))
        return metrics, updates

    def loss(params: Any) -> tuple[Array, Array]:
        crossings = synapses(params)
        crossings = cut_time(network, crossings) if temporal == ONLINE else crossings
        if objective.per_step:
            readout = network.trace(params, batch.inputs, crossings).outputs[-1]
        else:
            readout = network.readout(crossings, batch.inputs)
        return objective.loss(readout, batch), readout

    (_, readout), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    return objective.metrics(readout, batch), gradient
