"""Short trainings with fixed budgets, for the criteria that ask how a rule behaves: each from several starts."""

from __future__ import annotations

from typing import NamedTuple

from learning_rules.contract import RuleState
from learning_rules.plausibility.rule_under_test import LONG, RuleUnderTest

__all__ = [
    "ACCURACY",
    "HELD_BACK",
    "MOST_STEPS",
    "N_STARTS",
    "RATES",
    "UPDATES",
    "Reached",
    "Tuned",
    "of_batch_size",
    "to_common_accuracy",
]

N_STARTS = 3
"""Of every training: what one start says may be said otherwise by the next."""
UPDATES = 704
"""Of each of two trainings that differ in the size of their batches."""
RATES = (1.0, 0.25, 0.0625)
"""Of the rule's own, which was chosen for batches: for single examples the best on training images is taken."""
ACCURACY, MOST_STEPS = 0.8, 704
"""What every network is trained to before it is spoiled, and the steps in which it must get there."""
_STEPS = 4
# Held-out images that say when the accuracy is reached, and those that it is judged by.
_REACHED, HELD_BACK = slice(0, None, 2), slice(1, None, 2)


class Tuned(NamedTuple):
    """A training, of single examples at the best of several rates.

    Attributes
    ----------
    accuracy
        On held-out images.
    rate
        Of `RATES`.
    """

    accuracy: float
    rate: float


def of_batch_size(test: RuleUnderTest, batch_size: int) -> list[Tuned]:
    """What as many updates teach, whatever the batch's size; one entry a start.

    Parameters
    ----------
    test
        The rule under test.
    batch_size
        Examples a step.
    """
    found: list[Tuned] = test.once(f"trained in batches of {batch_size}", lambda of: _of_batch_size(of, batch_size))
    return found


def _of_batch_size(test: RuleUnderTest, batch_size: int) -> list[Tuned]:
    found = []
    for draw in range(N_STARTS):
        rates = RATES if batch_size == 1 else RATES[:1]
        states = {rate: test.train(batch_size, UPDATES, rate, draw) for rate in rates}
        best = max(states, key=lambda rate: test.accuracy(states[rate], of_training=True))
        found.append(Tuned(test.accuracy(states[best]), best))
    return found


class Reached(NamedTuple):
    """A training that was to reach an accuracy.

    Attributes
    ----------
    state
        When it did, or at the end.
    accuracy
        Then, on the held-out images that decide when to stop.
    n_steps
        That it took.
    """

    state: RuleState
    accuracy: float
    n_steps: int


def to_common_accuracy(test: RuleUnderTest, draw: int = 0) -> Reached:
    """Train until a network tells as many held-out images right as every other does, by half of them.

    Parameters
    ----------
    test
        The rule under test.
    draw
        Which start.
    """
    learner, n_steps, accuracy = test.learner(draw), 0, 0.0
    while accuracy < ACCURACY and n_steps < MOST_STEPS:
        learner = test.train_on(learner, LONG[0], n_steps, n_steps + _STEPS, draw=draw)
        n_steps += _STEPS
        accuracy = test.accuracy(learner.state, _REACHED)
    return Reached(learner.state, accuracy, n_steps)
