"""The common case: a rule whose network answers in one forward pass, at test as while it learns, and whose weights are free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optax

from architectures import Network
from learning_rules.contract import LearningRule, RuleSpec

__all__ = ["feedforward_rule"]


def feedforward_rule(
    spec: RuleSpec,
    network: Network,
    options: Any,
    init: Callable[..., Any],
    assign_credit: Callable[..., Any],
    optimizer: Callable[..., optax.GradientTransformation],
) -> LearningRule:
    """A rule that predicts and represents by `network.forward` and constrains nothing."""
    return LearningRule(
        spec=spec,
        network=network,
        options=options,
        init=init,
        assign_credit=assign_credit,
        constrain=lambda params: params,
        predict=lambda state, images: network.forward(state.params["network"], images)[-1],
        represent=lambda state, images: network.forward(state.params["network"], images),
        optimizer=optimizer,
    )
