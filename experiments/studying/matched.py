"""Networks at one accuracy: each after the epoch at which it was nearest to what all rules that learned can reach.

Representations of better networks are more alike, whatever trained them, so that a rule may seem more like the brain because it
has learned more. The accuracy is the lowest, over rules that read better than the untrained network by more than `NEAR`, of what
their own outputs reach of the validation images after the last epoch, mean over seeds. A rule whose networks were never as near to
it as `NEAR` is named, and has no place at that accuracy. Liu, Yang and Cueva (arXiv 2506.06904) compare rules so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

__all__ = ["NEAR", "Matched", "matched"]

NEAR = 0.025
"""How far from the common accuracy a rule's networks may be, on average over seeds, and how far above untrained ones it begins."""


class Matched(NamedTuple):
    """Epochs at one accuracy.

    Attributes
    ----------
    accuracy
        Of validation images; NaN where no rule learned.
    epochs
        Rule -> seed -> the epoch, of those near enough.
    reached, on_test
        Rule -> mean over seeds of the accuracy at those epochs, of validation images and of test images, of all.
    """

    accuracy: float
    epochs: dict[str, dict[int, int]]
    reached: dict[str, float]
    on_test: dict[str, float]


def matched(accuracies: Mapping[str, pd.DataFrame], untrained: Mapping[str, float]) -> Matched:
    """The epochs at which rules are compared at one accuracy.

    Parameters
    ----------
    accuracies
        Rule, but for the control -> seed, epoch, validation_accuracy and test_accuracy, one row an epoch of a network.
    untrained
        Rule -> validation accuracy of the untrained network behind its front end, mean over seeds.
    """
    tables = {rule: table.sort_values(["seed", "epoch"], ignore_index=True) for rule, table in accuracies.items()}
    last = {rule: table.groupby("seed")["validation_accuracy"].last().mean() for rule, table in tables.items()}
    learned = [value for rule, value in last.items() if value > untrained[rule] + NEAR]
    if not learned:
        return Matched(np.nan, {}, {}, {})
    accuracy = float(min(learned))
    chosen = {rule: _nearest(table, accuracy) for rule, table in tables.items()}
    reached = {rule: float(rows["validation_accuracy"].mean()) for rule, rows in chosen.items()}
    on_test = {rule: float(rows["test_accuracy"].mean()) for rule, rows in chosen.items()}
    epochs = {
        rule: {int(seed): int(epoch) for seed, epoch in zip(rows["seed"], rows["epoch"], strict=True)}
        for rule, rows in chosen.items()
        if abs(reached[rule] - accuracy) <= NEAR
    }
    return Matched(accuracy, epochs, reached, on_test)


def _nearest(table: pd.DataFrame, accuracy: float) -> pd.DataFrame:
    """One row a seed: the epoch whose mean is nearest, or of each seed its own nearest, whichever mean is nearer."""
    means = table.groupby("epoch")["validation_accuracy"].mean()
    together = table[table["epoch"] == (means - accuracy).abs().idxmin()]
    apart = table.loc[[(rows["validation_accuracy"] - accuracy).abs().idxmin() for _, rows in table.groupby("seed")]]
    return min((together, apart), key=lambda rows: abs(rows["validation_accuracy"].mean() - accuracy))
