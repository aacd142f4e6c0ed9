"""What credit forward in time asks of a network: how its units remember, how errors are told, and when they are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from architectures import Network, Node
from learning_rules.objectives import Objective
from learning_rules.synapse_traces import shares_weights

__all__ = ["Direct", "Heard", "filters_traces", "leak_of", "leak_of_scores", "runs_twice", "why_no_traces"]


class Heard(NamedTuple):
    """What is known at one step where errors are told to nodes directly.

    Attributes
    ----------
    outputs
        What each node's unit did, (n, ...).
    filtered
        The same as the readout's memory weighs it: sums that leak as the readout does.
    error
        At the readout's output, (n, n_classes), of this step.
    mean_error
        Its mean over steps where an example has one target; else that of this step.
    at_scores
        The error at what the readout sums; where the readout leaks and the sequence runs twice, of all later steps too.
    targets
        Of the step, or of each example.
    weights
        Part that each of these has in the mean loss, (n,).
    """

    outputs: tuple[Array, ...]
    filtered: tuple[Array, ...]
    error: Array
    mean_error: Array
    at_scores: Array
    targets: Array
    weights: Array


class Direct(NamedTuple):
    """How nodes are told of errors that do not go down through weights.

    Attributes
    ----------
    told
        What was heard -> the error at each hidden node's output.
    beside
        What was heard -> a tree that is summed over steps: what feedback weights are asked for.
    as_readout
        Whether a unit is told what the readout's sum is blamed for, its memory included.
    """

    told: Callable[[Heard], Sequence[Array]]
    beside: Callable[[Heard], Any] = lambda heard: ()
    as_readout: bool = False


def leak_of(node: Node) -> float | None:
    """The constant leak of what a node remembers: 0 where it remembers nothing, None where its memory is of another kind."""
    return node.leak if node.has_state else 0.0


def leak_of_scores(readout: Node) -> float:
    """The leak of a readout whose outputs are a leaky sum of what it hears; 0 for any other."""
    if not leak_of(readout) or not readout.one_z:
        return 0.0
    with jax.ensure_compile_time_eval():
        z = jnp.asarray(np.random.default_rng(0).normal(size=(2, *readout.z_shape)), jnp.float32)
        outputs = [np.asarray(readout.activate(readout.init_state(2), c * z, ())[1]) for c in (1.0, -2.0)]
    return float(readout.leak or 0.0) if np.allclose(-2 * outputs[0], outputs[1], atol=1e-5) else 0.0


def runs_twice(network: Network, objective: Objective, direct: Direct | None) -> bool:
    """Whether an example's error is not known before its end, so that its sequence runs again."""
    if objective.per_step:
        return False
    waits = direct is not None and not direct.as_readout
    return waits or network.decision == "mean" or leak_of_scores(network.nodes[-1]) > 0


def filters_traces(network: Network, objective: Objective, direct: Direct | None) -> bool:
    """Whether what hidden synapses carry is to be summed as the readout sums."""
    through_readout = direct is None or direct.as_readout
    return through_readout and objective.per_step and leak_of_scores(network.nodes[-1]) > 0


def why_no_traces(network: Network, objective: Objective, direct: Direct | None = None) -> str:
    """Why credit cannot be carried forward in time in a network, "" where it can.

    Parameters
    ----------
    network
        The network.
    objective
        What it is asked to do.
    direct
        As `forward_credit` takes it.
    """
    if not network.temporal:
        return "it is run once for each image and has no time to carry traces over: leave temporal out"
    hidden_filter = filters_traces(network, objective, direct)
    for index, (node, edges) in enumerate(zip(network.nodes, network.edges, strict=True)):
        if any(edge.delay and edge.skip for edge in edges):
            return (
                f"'{node.name}' remembers over a delayed edge without weights, for which no synapse has a trace: use "
                "units without such an edge, or backpropagation through time"
            )
        if node.has_state and not node.affine:
            return (
                f"'{node.name}' remembers, and is not affine in its inputs, so that filtered inputs are no traces: use "
                "backpropagation through time"
            )
        per_synapse = leak_of(node) is None or (hidden_filter and index < len(network.nodes) - 1)
        if per_synapse and node.weighted and not (node.unitwise and node.one_z and not shares_weights(node)):
            return (
                f"synapses of '{node.name}' would each need a trace, and its units share weights or do not go by their own "
                "pre-activations alone: use dense units, or backpropagation through time"
            )
    return ""
