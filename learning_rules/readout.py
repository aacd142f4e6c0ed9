r"""The readout that every rule without labels ends in: the network's last node, trained by the local delta rule.

.. math:: \Delta W \propto (t - \mathrm{softmax}(W h))\, h^\top

The error lives at the readout's own units and goes no further. Widrow and Hoff 1960; with a softmax it is the gradient of the
cross-entropy at one layer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
from jax import Array
from jaxtyping import Float, Int

from architectures import Block, Network, Params, Trace
from learning_rules.losses import accuracy, loss_and_error
from learning_rules.objectives import Batch, Objective
from learning_rules.signals import hebbian_product, local_derivative, replay

__all__ = ["Readout", "ReadoutStep", "delta_rule", "readout_step", "without_readout"]


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


# Of rules that still walk a chain; to be deleted with the last of them.


class Readout(NamedTuple):
    """What the delta rule asks of the readout, and how well it does."""

    pseudo_gradient: Params
    loss: Float[Array, ""]
    accuracy: Float[Array, ""]


def delta_rule(block: Block, params: Params, h: Array, labels: Int[Array, " n"], loss: str = "cross_entropy") -> Readout:
    """One step of the delta rule on the last block, whose input is `h` (n, ...)."""
    z = block.synapse(params, h)
    scores = block.activate(z)
    value, error = loss_and_error(loss, scores, labels)
    return Readout(hebbian_product(block, params, h, local_derivative(block, z, error)), value, accuracy(scores, labels))


def without_readout(network: Any) -> str:
    """Why a network has no readout of its own, "" where it has one."""
    return ""
