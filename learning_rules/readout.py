r"""The readout that every rule without labels ends in: the network's last node, trained by the local delta rule.

.. math:: \Delta W \propto (t - \mathrm{softmax}(W h))\, h^\top

The error lives at the readout's own units and goes no further. Widrow and Hoff 1960; with a softmax it is the gradient of the
cross-entropy at one layer.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
from jax import Array

from architectures import Network, Params, Trace
from learning_rules.objectives import Batch, Objective
from learning_rules.signals import replay

__all__ = ["ReadoutStep", "readout_step"]


class ReadoutStep(NamedTuple):
    """What the delta rule asks of the readout, and how well it does.

    Attributes
    ----------
    updates
        Pseudo-gradients with the tree of the readout's parameters.
    outputs
        What the readout gave.
    metrics
        Loss and accuracy over the batch.
    """

    updates: Params
    outputs: Array
    metrics: dict[str, Array]


def readout_step(network: Network, params: Params, trace: Trace, batch: Batch, objective: Objective) -> ReadoutStep:
    """One step of the delta rule on the last node, given what it hears.

    Parameters
    ----------
    network
        The network.
    params
        Of its last node.
    trace
        Of a run, or of whatever the last node is to hear.
    batch
        Targets.
    objective
        What the readout is asked to do.
    """

    def loss(own: Params) -> tuple[Array, Array]:
        outputs = replay(network, len(network.nodes) - 1, own, trace)
        return objective.loss(outputs, batch), outputs

    (_, outputs), updates = jax.value_and_grad(loss, has_aux=True)(params)
    return ReadoutStep(updates, outputs, objective.metrics(outputs, batch))
