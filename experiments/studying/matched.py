"""Networks at one accuracy: each after the epoch at which it was nearest to what all rules that learned can reach.

Representations of better networks are more alike, whatever trained them, so that a rule may seem more like the brain because it
has learned more. The accuracy is the lowest, over rules that read better than the untrained network, of what their own outputs
reach of the validation images after the last epoch, mean over seeds. A rule whose networks were never as near to it as `NEAR`
is named, and has no place at that accuracy. Liu, Yang and Cueva (arXiv 2506.06904) compare rules so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

__all__ = ["NEAR", "Matched", "matched"]

NEAR = 0.025
"""How far from the common accuracy a rule's networks may be, on average over seeds."""


class Matched(NamedTuple):
    """Epochs at one accuracy.

    Attributes
    ----------
    accuracy
        Of validation images; NaN where no rule learned.
    epochs
        Rule -> seed -> the epoch, of those near enough.
    reached
        Rule -> mean over seeds of the accuracy at those epochs, of all.
    """

    accuracy: float
    epochs: dict[str, dict[int, int]]
    reached: dict[str, float]


def matched(accuracies: Mapping[str, pd.DataFrame], control: str) -> Matched:
    """The epochs at which rules are compared at one accuracy.

    Parameters
    ----------
    accuracies
        Rule -> seed, epoch and validation_accuracy, one row an epoch of a network.
    control
        The rule that learns no hidden layer.
    """
    last = {rule: _by_seed(table).groupby("seed")["validation_accuracy"].last().mean() for rule, table in accuracies.items()}
    learned = [value for rule, value in last.items() if rule != control and value > last.get(control, 0.0)]
    if not learned:
        return Matched(np.nan, {}, {})
    accuracy = float(min(learned))
    epochs: dict[str, dict[int, int]] = {}
    reached: dict[str, float] = {}
    for rule, table in accuracies.items():
        if rule == control:
            continue
        nearest = {
            int(seed): rows.loc[(rows["validation_accuracy"] - accuracy).abs().idxmin()]
            for seed, rows in _by_seed(table).groupby("seed")
        }
        reached[rule] = float(np.mean([row["validation_accuracy"] for row in nearest.values()]))
        if abs(reached[rule] - accuracy) <= NEAR:
            epochs[rule] = {seed: int(row["epoch"]) for seed, row in nearest.items()}
    return Matched(accuracy, epochs, reached)


def _by_seed(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(["seed", "epoch"], ignore_index=True)
