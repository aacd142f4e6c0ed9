"""The control: a random body that never learns, with a readout trained by the local delta rule.

What a frozen random body reaches is printed beside what learning reaches: an accuracy without its control proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from architectures import Network
from learning_rules.contract import Batch, Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedforward import feedforward_rule
from learning_rules.optimizers import adam
from learning_rules.readout import delta_rule

__all__ = ["FAMILY", "UntrainedOptions", "untrained"]


@dataclass(frozen=True)
class UntrainedOptions:
    """Options of the untrained control.

    Attributes:
        loss: of the readout, "cross_entropy" or "squared_error".
        learning_rate: Adam's, of the readout.
    """

    loss: str = "cross_entropy"
    # From Fashion-MNIST's validation images, ten epochs: a tenth of it, or three times as much, is up to a point worse.
    learning_rate: float = 1e-2


def untrained(network: Network, options: UntrainedOptions, spec: RuleSpec) -> LearningRule:
    """Build the control for a network."""

    def init(key: PRNGKeyArray) -> RuleState:
        return RuleState({"network": network.init(key)}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Batch) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        images, labels = batch
        params = network.unroll(state.params["network"])
        x = network.encode(images)
        for block, block_params in zip(network.chain[:-1], params[:-1], strict=True):
            x = block.apply(block_params, x)
        step = delta_rule(network.chain[-1], params[-1], x, labels, options.loss)
        asked = network.tie((*jax.tree.map(jnp.zeros_like, params[:-1]), step.pseudo_gradient))
        return {"network": asked}, state, {"loss": step.loss, "accuracy": step.accuracy}

    return feedforward_rule(spec, network, options, init, assign_credit, lambda n_steps=None: adam(options.learning_rate, n_steps))


_SPEC = RuleSpec(
    "untrained",
    "",
    "control: a frozen random body, its last block trained by the local delta rule",
    "Widrow and Hoff 1960 (readout)",
    phases=1,
    frozen="body",
    trained_otherwise=(("network[-1]", "delta rule"),),
)

FAMILY = Family(UntrainedOptions, untrained, {"": Variant(_SPEC)})
