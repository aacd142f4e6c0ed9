"""Two learning steps in turn: a rule may keep for the next step what it must not use in this one.

Or for the one after that. Steps may go before that are the first over again, with the same batch and the same draws: what a rule
holds back for as many steps has arrived by then, and its synapses have been shown nothing that the first step did not show them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from learning_rules.contract import LearningRule, RuleState

__all__ = ["two_steps"]


def two_steps(rule: LearningRule, before: int = 0) -> Callable[[Any, Any, Any, Array], tuple[dict[str, Any], Any]]:
    """(params, carry, batch, key) -> what a rule asks for in either of two steps, stacked, and the last carry.

    Between them its own optimiser moves what it owns beside the network, whose weights stay: it may carry there what the rule must
    not read.

    Parameters
    ----------
    rule
        The rule.
    before
        How many times the first step is made before.
    """
    optimizer = rule.optimizer()

    def run(params: Any, carry: Any, batch: Any, key: Array) -> tuple[dict[str, Any], Any]:
        def step(so_far: Any, key: Array) -> tuple[Any, Any]:
            owned, carry, kept = so_far
            now = {**params, **owned}
            found, after, _ = rule.assign_credit(key, RuleState(now, carry), batch)
            changes, kept = optimizer.update(found, kept, now)
            moved = rule.constrain(optax.apply_updates(now, changes))
            return ({name: moved[name] for name in owned}, after.carry, kept), found

        owned = {name: part for name, part in params.items() if name != "network"}
        # A loop of two, which compiles in half the time.
        keys = jax.random.split(key, 2)[jnp.array([0] * before + [0, 1])]
        (_, last, _), found = jax.lax.scan(step, (owned, carry, optimizer.init(params)), keys)
        return jax.tree.map(lambda leaf: leaf[-2:], found), last

    return run
