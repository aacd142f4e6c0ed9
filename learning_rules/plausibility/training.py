"""Short trainings with fixed budgets, for the criteria that ask how a rule behaves."""

from __future__ import annotations

from learning_rules.contract import RuleState
from learning_rules.plausibility.rule_under_test import RuleUnderTest

__all__ = ["SAMPLES", "of_batch_size"]

SAMPLES = 2816


def of_batch_size(test: RuleUnderTest, batch_size: int) -> RuleState:
    """The state after as many samples whatever the batch's size.

    Parameters
    ----------
    test
        The rule under test.
    batch_size
        Examples a step.
    """
    state: RuleState = test.once(f"trained in batches of {batch_size}", lambda of: of.train(batch_size, SAMPLES // batch_size))
    return state
