"""The control: random hidden layers that never learn, with a readout trained by the local delta rule.

What frozen random layers reach is printed beside what learning reaches: an accuracy without its control proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from architectures import Network
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedforward import feedforward_rule
from learning_rules.needs import Needs
from learning_rules.objectives import Objective, as_batch
from learning_rules.optimizers import adam
from learning_rules.readout import readout_step

__all__ = ["FAMILY", "UntrainedOptions", "untrained"]


@dataclass(frozen=True)
class UntrainedOptions:
    """Options of the untrained control.

    Attributes
    ----------
    loss
        Of the readout, one of `OBJECTIVES`.
    learning_rate
        Adam's, of the readout.
    """

    loss: str = "cross_entropy"
    # From Fashion-MNIST's validation images, ten epochs: a tenth of it, or three times as much, is up to a point worse.
    learning_rate: float = 1e-2


def untrained(network: Network, options: UntrainedOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the control for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.
    """

    def init(key: PRNGKeyArray) -> RuleState:
        return RuleState({"network": network.init(key)}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch, params = as_batch(batch), state.params["network"]
        step = readout_step(network, params[-1], network.trace(params, batch.inputs), batch, objective)
        return {"network": (*jax.tree.map(jnp.zeros_like, params[:-1]), step.updates)}, state, step.metrics

    return feedforward_rule(
        spec, network, options, init, assign_credit, lambda n_steps=None: adam(options.learning_rate, n_steps), objective
    )


_SPEC = RuleSpec(
    "untrained",
    "",
    "control: frozen random hidden layers, the readout trained by the local delta rule",
    "Widrow and Hoff 1960 (readout)",
    phases=1,
    frozen="hidden",
    trained_otherwise=(("network[-1]", "delta rule"),),
)

FAMILY = Family(UntrainedOptions, untrained, {"": Variant(_SPEC)}, needs=Needs(affine=False))
