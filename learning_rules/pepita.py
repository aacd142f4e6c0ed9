r"""PEPITA: the error modulates the input, and what changes in a second forward pass teaches every block.

With :math:`h_0 = x` and :math:`h_k = a_k(S_{\theta_k}(h_{k-1}))`, the error :math:`e = \partial \ell / \partial h_L` at the
scores and a fixed random matrix :math:`F` from the scores to the input, a second pass starts at

.. math:: \tilde h_0 = x + F e, \qquad \tilde h_k = a_k(S_{\theta_k}(\tilde h_{k-1})),

and weights follow the Hebbian product of what their synapses saw in the second pass and how much more the block did in the first:

.. math::
    \Delta\theta_k \propto -(h_k - \tilde h_k)\, \tilde h_{k-1}^\top \quad (k < L), \qquad
    \Delta\theta_L \propto -e\, \tilde h_{L-1}^\top .

Nothing travels backwards and no block waits for another's answer to an error. For a small modulation
:math:`h_k - \tilde h_k = -\partial_x h_k\, F e`, so that the first block learns by feedback alignment whose feedback weights
:math:`-W_1 F` adapt while it learns (Srinivasan et al. 2023, arXiv 2302.05440).

Dellaferrera and Kreiman 2022, arXiv 2201.11665.

Departures: Adam instead of momentum, and no dropout. Where a block's activation changes the shape of what its synapses deliver
(pooling), the difference is carried to the synapses by the activation's own derivative in the first pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from architectures import Block, InputError, Network
from learning_rules.contract import Batch, Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedforward import feedforward_rule
from learning_rules.losses import accuracy, loss_and_error, loss_function
from learning_rules.optimizers import adam
from learning_rules.signals import hebbian_product, local_derivative, sweep

__all__ = ["FAMILY", "PepitaOptions", "pepita"]


@dataclass(frozen=True)
class PepitaOptions:
    """Options of PEPITA.

    Attributes:
        loss: "cross_entropy" or "squared_error".
        learning_rate: Adam's, at the first step.
        weight_decay: decoupled, per unit of learning rate.
        modulation: length of what an error of unit length adds to the input, on average.
    """

    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    modulation: float = 1.0


def _draw_projection(key: PRNGKeyArray, network: Network, modulation: float) -> Float[Array, "n_classes height width channels"]:
    """F, from the scores to the input as the first block sees it."""
    shape = network.chain[0].input_shape
    n_inputs = 1
    for length in shape:
        n_inputs *= length
    return modulation * jax.random.normal(key, (network.n_classes, *shape)) / jnp.sqrt(n_inputs)


def _at_synapses(block: Block, z: Array, difference: Array) -> Array:
    """A difference between activations as a signal at the synapses that they come from."""
    return difference if difference.shape == z.shape else local_derivative(block, z, difference)


def _relative_size(difference: Array, h: Array) -> Float[Array, ""]:
    return jnp.sqrt(jnp.sum(jnp.square(difference)) / jnp.maximum(jnp.sum(jnp.square(h)), 1e-12))


def pepita(network: Network, options: PepitaOptions, spec: RuleSpec) -> LearningRule:
    """Build the rule for a network.

    Raises:
        InputError: a modulation that is not positive.
    """
    if not options.modulation > 0:
        raise InputError(f"modulation={options.modulation} was given, it must be positive: without it no block but the last learns")

    def init(key: PRNGKeyArray) -> RuleState:
        projection = _draw_projection(jax.random.fold_in(key, 1), network, options.modulation)
        return RuleState({"network": network.init(key)}, {"projection": projection})

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Batch) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        images, labels = batch
        x, params = network.encode(images), state.params["network"]
        first = sweep(network, params, x)
        scores = first.activations[-1]
        loss, error = loss_and_error(options.loss, scores, labels)
        # The derivative is that of the batch's mean; each example's input is modulated by its own error, whatever the batch.
        modulated = sweep(network, params, x + len(labels) * jnp.tensordot(error, state.carry["projection"], axes=1))

        differences = [h - h_modulated for h, h_modulated in zip(first.activations, modulated.activations, strict=True)]
        hidden = zip(network.chain[:-1], first.synaptic[:-1], differences[:-1], strict=True)
        signals = [_at_synapses(block, z, difference) / len(labels) for block, z, difference in hidden]
        signals.append(local_derivative(network.chain[-1], first.synaptic[-1], error))
        asked = [
            hebbian_product(block, w, h_below, signal)
            for block, w, h_below, signal in zip(network.chain, network.unroll(params), modulated.inputs, signals, strict=True)
        ]
        info = {
            "loss": loss,
            "accuracy": accuracy(scores, labels),
            # Below `loss` once the modulation points where the loss falls, which is what makes its differences teach.
            "modulated_loss": loss_function(options.loss)(modulated.activations[-1], labels),
            "relative_difference": tuple(
                _relative_size(difference, h) for difference, h in zip(differences, first.activations, strict=True)
            ),
        }
        return {"network": network.tie(asked)}, state, info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        return adam(options.learning_rate, n_steps, options.weight_decay)

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer)


FAMILY = Family(
    PepitaOptions,
    pepita,
    {
        "": Variant(
            RuleSpec(
                "pepita",
                "",
                "the error modulates the input, and the change in a second forward pass teaches every block",
                "Dellaferrera and Kreiman 2022, arXiv 2201.11665",
            )
        )
    },
)
