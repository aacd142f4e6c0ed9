"""Networks that stand in no ranking: what they score is not what their rule makes of a network.

A network that diverged, predicts one class, answers nothing, never moved or reads worse than it did before it was trained may still
be more like a brain than its control by accident, and once was starred for it. It is scored and shown, and named instead of ranked.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from experiments.trained import Trained
from experiments.warnings import COLLAPSE, DIVERGENCE, MIN_CHANGE, SILENCE

__all__ = ["failure_of"]

_IN_WORDS = {DIVERGENCE: "diverged", COLLAPSE: "predicts one class", SILENCE: "has a layer that answers no image"}


def failure_of(trained: Trained, control: Trained | None, readouts: pd.DataFrame) -> str:
    """Why networks of a rule are kept out of rankings.

    Parameters
    ----------
    trained
        Of the rule, all its seeds.
    control
        The same networks untrained, None where there are none; nothing is said of the control itself.
    readouts
        As `experiments.judging.judge` gives them; where they hold nothing of the two, networks' own outputs are compared.

    Returns
    -------
    str
        "" where they are ranked.
    """
    if control is None or trained is control:
        return ""
    n_seeds = trained.config.n_seeds
    kinds = [warning.partition(":")[0] for warning in trained.warnings]
    for kind, words in _IN_WORDS.items():
        if kind in kinds:
            return f"{words} in at least one of {n_seeds} seeds" if n_seeds > 1 else words
    nodes = {node.name for node in trained.network.nodes[:-1] if node.weighted}
    moved = trained.networks[trained.networks["layer"].isin(nodes)].groupby("seed")["relative_weight_change"].max()
    if trained.rule.spec.frozen != "hidden" and len(moved) and (moved < MIN_CHANGE).any():
        return f"no hidden layer's weights moved by {MIN_CHANGE:.0%}"
    own, untrained = (_accuracies(each, readouts) for each in (trained, control))
    if len(own) == len(untrained) and (own < untrained).all():
        return f"reads worse than the untrained network in every seed ({own.mean():.1%} beside {untrained.mean():.1%})"
    return ""


def _accuracies(trained: Trained, readouts: pd.DataFrame) -> np.ndarray:
    """Test accuracy of every seed, by the one readout for all where there is one."""
    read = readouts[readouts["rule"] == trained.name].sort_values("seed")["test_accuracy"].to_numpy(float)
    return read if len(read) else trained.test_accuracy
