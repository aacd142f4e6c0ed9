"""The learning step, written once: what training, benchmarks, the scorecard and tests all take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import optax
from jaxtyping import PRNGKeyArray

from learning_rules.contract import LearningRule, RuleState

__all__ = ["Learner", "make_step", "start"]


class Learner(NamedTuple):
    """One network under way; with a leading axis in every leaf, several.

    Attributes
    ----------
    state
        Of the rule.
    optimizer_state
        Of its optimiser.
    """

    state: RuleState
    optimizer_state: Any


Step = Callable[[Learner, PRNGKeyArray, Any], tuple[Learner, Mapping[str, Any]]]


def start(rule: LearningRule, optimizer: optax.GradientTransformation, key: PRNGKeyArray) -> Learner:
    """Where learning starts.

    Parameters
    ----------
    rule, optimizer
        As `make_step` takes them.
    key
        Of the initial weights and all else that the rule draws at its start.
    """
    state = rule.init(key)
    return Learner(state, optimizer.init(state.params))


def make_step(rule: LearningRule, optimizer: optax.GradientTransformation) -> Step:
    """The learning step of a rule under an optimiser.

    Parameters
    ----------
    rule
        Any rule of the contract.
    optimizer
        `rule.optimizer()`, say.

    Returns
    -------
    function
        (learner, key, batch) -> (learner, info): credit is assigned, the optimiser turns it into changes, and the rule's own
        constraint follows.

    >>> import architectures, jax, learning_rules
    >>> network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10, hidden=(16,))
    >>> rule = learning_rules.build("backprop", network)
    >>> learner = start(rule, rule.optimizer(), jax.random.key(0))
    >>> batch = jax.numpy.ones((4, 8, 8, 1)), jax.numpy.arange(4)
    >>> learner, info = jax.jit(make_step(rule, rule.optimizer()))(learner, jax.random.key(1), batch)
    >>> sorted(info)
    ['accuracy', 'loss']
    """

    def step(learner: Learner, key: PRNGKeyArray, batch: Any) -> tuple[Learner, Mapping[str, Any]]:
        updates, state, info = rule.assign_credit(key, learner.state, batch)
        changes, optimizer_state = optimizer.update(updates, learner.optimizer_state, state.params)
        params = rule.constrain(optax.apply_updates(state.params, changes))
        return Learner(RuleState(params, state.carry), optimizer_state), info

    return step
