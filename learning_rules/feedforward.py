"""The common case: a rule whose network answers in one forward pass, at test as while it learns, and whose weights are free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optax
from jax import Array

from architectures import Network
from learning_rules.contract import LearningRule, RuleSpec, RuleState
from learning_rules.objectives import Objective

__all__ = ["feedforward_rule"]


def feedforward_rule(
    spec: RuleSpec,
    network: Network,
    options: Any,
    init: Callable[..., Any],
    assign_credit: Callable[..., Any],
    optimizer: Callable[..., optax.GradientTransformation],
    objective: Objective | None = None,
) -> LearningRule:
    """A rule that predicts and represents by `network.forward` and constrains nothing.

    Parameters
    ----------
    spec, network, options, init, assign_credit, optimizer, objective
        As `LearningRule` has them.
    """

    def predict(state: RuleState, inputs: Array) -> Array:
        readout = network.forward(state.params["network"], inputs)[-1]
        return network.scores(readout) if objective is None else objective.scores(readout)

    return LearningRule(
        spec=spec,
        network=network,
        options=options,
        init=init,
        assign_credit=assign_credit,
        constrain=lambda params: params,
        predict=predict,
        represent=lambda state, inputs: network.by_example(network.forward(state.params["network"], inputs)),
        optimizer=optimizer,
        objective=objective,
    )
