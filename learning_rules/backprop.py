r"""Backpropagation: the reference that every other rule is measured against.

.. math:: \Delta\theta \propto -\nabla_\theta \, \tfrac1n \sum_i \ell(s_i, y_i)

Rumelhart, Hinton and Williams 1986, doi:10.1038/323533a0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import PRNGKeyArray

from architectures import Network
from learning_rules.contract import Batch, Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedforward import feedforward_rule
from learning_rules.losses import accuracy, loss_function
from learning_rules.optimizers import adam

__all__ = ["FAMILY", "BackpropOptions", "backprop"]


@dataclass(frozen=True)
class BackpropOptions:
    """Options of backpropagation.

    Attributes:
        loss: "cross_entropy" or "squared_error".
        learning_rate: Adam's, at the first step.
        weight_decay: decoupled, per unit of learning rate.
    """

    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.1  # as the feedback alignment family's, from the same search


def backprop(network: Network, options: BackpropOptions, spec: RuleSpec) -> LearningRule:
    """Build the rule for a network."""
    mean_loss = loss_function(options.loss)

    def init(key: PRNGKeyArray) -> RuleState:
        return RuleState({"network": network.init(key)}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Batch) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        images, labels = batch

        def objective(params: dict[str, Any]) -> tuple[jax.Array, jax.Array]:
            scores = network.forward(params["network"], images)[-1]
            return mean_loss(scores, labels), scores

        (loss, scores), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
        return gradients, state, {"loss": loss, "accuracy": accuracy(scores, labels)}

    return feedforward_rule(
        spec, network, options, init, assign_credit, lambda n_steps=None: adam(options.learning_rate, n_steps, options.weight_decay)
    )


_SPEC = RuleSpec(
    "backprop",
    "",
    "reference: the gradient of the loss, carried back through the forward weights",
    "Rumelhart, Hinton and Williams 1986, doi:10.1038/323533a0",
)

FAMILY = Family(BackpropOptions, backprop, {"": Variant(_SPEC)})
