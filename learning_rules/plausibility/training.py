"""Short trainings with fixed budgets, for the criteria that ask how a rule behaves."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from learning_rules.contract import RuleState
from learning_rules.plausibility.subject import Subject

__all__ = ["SAMPLES", "accuracy", "long_training", "of_batch_size"]

SAMPLES = 2816


def accuracy(subject: Subject, state: RuleState) -> float:
    """On held-out images; scores that are not numbers are wrong."""
    predict = subject.once("predict", lambda of: jax.jit(of.rule.predict))
    scores = np.asarray(predict(state, jnp.asarray(subject.images.test)))
    right = (scores.argmax(axis=1) == subject.images.test_labels) & np.isfinite(scores).all(axis=1)
    return float(right.mean())


def of_batch_size(subject: Subject, batch_size: int) -> RuleState:
    """After as many samples whatever the batch's size."""
    state: RuleState = subject.once(f"trained in batches of {batch_size}", lambda of: of.train(batch_size, SAMPLES // batch_size))
    return state


def long_training(subject: Subject) -> RuleState:
    """A state that has learned the digits as well as this budget allows."""
    return subject.state
