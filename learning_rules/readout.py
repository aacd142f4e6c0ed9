r"""The readout that every rule without labels ends in: the network's last block, trained by the local delta rule.

.. math:: \Delta W \propto (t - \mathrm{softmax}(W h))\, h^\top

The error lives at the readout's own units and goes no further. Widrow and Hoff 1960; with a softmax it is the gradient of the
cross-entropy at one layer.
"""

from __future__ import annotations

from typing import NamedTuple

from jax import Array
from jaxtyping import Float, Int

from architectures import Block, Network, Params
from learning_rules.losses import accuracy, loss_and_error
from learning_rules.signals import hebbian_product, local_derivative

__all__ = ["Readout", "delta_rule", "without_readout"]


class Readout(NamedTuple):
    """What the delta rule asks of the readout, and how well it does.

    Attributes:
        pseudo_gradient: with the tree of the block's parameters.
        loss: mean over the batch.
        accuracy: share of the batch.
    """

    pseudo_gradient: Params
    loss: Float[Array, ""]
    accuracy: Float[Array, ""]


def delta_rule(block: Block, params: Params, h: Array, labels: Int[Array, " n"], loss: str = "cross_entropy") -> Readout:
    """One step of the delta rule on the last block, whose input is `h` (n, ...)."""
    z = block.synapse(params, h)
    scores = block.activate(z)
    value, error = loss_and_error(loss, scores, labels)
    return Readout(hebbian_product(block, params, h, local_derivative(block, z, error)), value, accuracy(scores, labels))


def without_readout(network: Network) -> str:
    """Why a network has no readout of its own, "" where it has one."""
    if network.order[-1] in network.order[:-1]:
        return "its last block also stands inside the chain, so that no readout is left: give it an output block of its own"
    return ""
