"""Short trainings with fixed budgets, for the criteria that ask how a rule behaves."""

from __future__ import annotations

from typing import NamedTuple

from learning_rules.contract import RuleState
from learning_rules.plausibility.rule_under_test import LONG, RuleUnderTest

__all__ = ["ACCURACY", "MOST_STEPS", "UPDATES", "Reached", "of_batch_size", "to_common_accuracy"]

UPDATES = 704
"""Of each of two trainings that differ in the size of their batches."""
ACCURACY, MOST_STEPS = 0.8, 704
"""What every network is trained to before it is spoiled, and the steps in which it must get there."""
_STEPS = 4


def of_batch_size(test: RuleUnderTest, batch_size: int) -> RuleState:
    """The state after as many updates whatever the batch's size.

    Parameters
    ----------
    test
        The rule under test.
    batch_size
        Examples a step.
    """
    state: RuleState = test.once(f"trained in batches of {batch_size}", lambda of: of.train(batch_size, UPDATES))
    return state


class Reached(NamedTuple):
    """A training that was to reach an accuracy.

    Attributes
    ----------
    state
        When it did, or at the end.
    accuracy
        On held-out images, then.
    n_steps
        That it took.
    """

    state: RuleState
    accuracy: float
    n_steps: int


def to_common_accuracy(test: RuleUnderTest) -> Reached:
    """Train until a network tells as many held-out images right as every other does.

    Parameters
    ----------
    test
        The rule under test.
    """
    learner, n_steps, accuracy = test.learner(), 0, 0.0
    while accuracy < ACCURACY and n_steps < MOST_STEPS:
        learner = test.train_on(learner, LONG[0], n_steps, n_steps + _STEPS)
        n_steps += _STEPS
        accuracy = test.accuracy(learner.state)
    return Reached(learner.state, accuracy, n_steps)
