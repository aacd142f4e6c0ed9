r"""Backpropagation: the reference that every other rule is measured against.

.. math:: \Delta\theta \propto -\nabla_\theta \, \tfrac1n \sum_i \ell(s_i, y_i)

Rumelhart, Hinton and Williams 1986, doi:10.1038/323533a0; through time (Werbos 1990, doi:10.1109/5.58337) where the network runs in
time, unless the option `temporal` says otherwise (`learning_rules/temporal_credit.py`): one step deep, or by traces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import PRNGKeyArray

from architectures import Network
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedforward import feedforward_rule
from learning_rules.needs import Needs
from learning_rules.objectives import Objective, as_batch
from learning_rules.optimizers import adam
from learning_rules.signals import exact
from learning_rules.temporal_credit import THROUGH_TIME, check_temporal, temporal_gradient

__all__ = ["FAMILY", "BackpropOptions", "backprop"]


@dataclass(frozen=True)
class BackpropOptions:
    """Options of backpropagation.

    Attributes
    ----------
    loss
        One of `OBJECTIVES`: "cross_entropy", "squared_error", ….
    learning_rate
        Adam's, at the first step.
    weight_decay
        Decoupled, per unit of learning rate.
    temporal
        How an error is credited to what happened earlier: "through_time", "online" or "eligibility".
    """

    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.1  # as the feedback alignment family's, from the same search
    temporal: str = THROUGH_TIME

    unsaid: ClassVar = {"temporal": THROUGH_TIME}


def backprop(network: Network, options: BackpropOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        A temporal credit that there is not, or that the network does not have.
    """
    check_temporal(options, network, objective)

    def init(key: PRNGKeyArray) -> RuleState:
        return RuleState({"network": network.init(key)}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        metrics, gradient = temporal_gradient(
            network,
            objective,
            options.temporal,
            state.params["network"],
            as_batch(batch),
            lambda params: exact(network, params),
        )
        return {"network": gradient}, state, metrics

    def optimizer(n_steps: int | None = None) -> Any:
        return adam(options.learning_rate, n_steps, options.weight_decay)

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer, objective)


_SPEC = RuleSpec(
    "backprop",
    "",
    "reference: the gradient of the loss, carried back through the forward weights",
    "Rumelhart, Hinton and Williams 1986, doi:10.1038/323533a0",
)

FAMILY = Family(BackpropOptions, backprop, {"": Variant(_SPEC)}, needs=Needs(affine=False))
