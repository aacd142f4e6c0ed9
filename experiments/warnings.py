"""Failures that an accuracy alone would hide, each by its name: divergence, collapse, silence, weights that do not move."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from learning_rules import RuleSpec

__all__ = ["COLLAPSE", "DIVERGENCE", "MAX_SILENT", "MIN_CHANGE", "SILENCE", "warnings_of"]

DIVERGENCE, COLLAPSE, SILENCE = "divergence", "collapse to one class", "silence"
"""What sentences begin with, where a network has failed."""

# Weights that moved less are no learned representation, whatever the accuracy says.
MIN_CHANGE = 0.01
# Share of a layer's units that answer none of the images: a sparse code, with other units for other images, has few such.
MAX_SILENT = 0.9
_COLLAPSE_FRACTION = 0.98


def warnings_of(
    rule: str,
    spec: RuleSpec,
    accuracy: pd.DataFrame,
    networks: pd.DataFrame,
    confusion: np.ndarray,
    seeds: Sequence[int],
    weightless: Collection[str] = (),
) -> list[str]:
    """One sentence a failure.

    Parameters
    ----------
    rule
        Its name in the tables.
    spec
        What it declares.
    accuracy
        `Trained.accuracy`.
    networks
        `Trained.networks`.
    confusion
        Counts on the test images, (n_seeds, true class, predicted class).
    seeds
        The networks' seeds.
    weightless
        Layers that have no weights to move.
    """
    found = []
    for index, seed in enumerate(seeds):
        where = f"{rule}, seed {seed}"
        nodes = networks[networks["seed"] == seed]
        is_excused = [
            layer in weightless or (spec.frozen == "hidden" and place < len(nodes) - 1)
            for place, layer in enumerate(nodes["layer"])
        ]
        losses = accuracy.loc[accuracy["seed"] == seed, "train_loss"]
        diverged = _divergence(where, losses, accuracy, nodes, is_excused)
        if diverged:
            # Units that answer nothing and one class for all are what a network without numbers looks like, and say no more of it.
            found += diverged
            continue
        predicted = confusion[index].sum(axis=0) / max(confusion[index].sum(), 1)
        if predicted.max() > _COLLAPSE_FRACTION:
            found.append(
                f"{COLLAPSE}: {where}: class {int(predicted.argmax())} is predicted for {predicted.max():.1%} of the test images"
            )
        for excused, (_, node) in zip(is_excused, nodes.iterrows(), strict=True):
            if node["silent"] > MAX_SILENT:
                found.append(f"{SILENCE}: {where}: {node['silent']:.0%} of the units of '{node['layer']}' answer no image")
            if not excused and not node["relative_weight_change"] > MIN_CHANGE:
                found.append(
                    f"weights that do not move: {where}: those of '{node['layer']}' changed by "
                    f"{node['relative_weight_change']:.2%}, so it represents its initial weights"
                )
    return found


def _divergence(
    where: str, losses: pd.Series, accuracy: pd.DataFrame, nodes: pd.DataFrame, is_excused: Sequence[bool]
) -> list[str]:
    """Say from which epoch the loss is not finite, or of a network whose loss is, which layers' weights are not."""
    broken = losses.index[~np.isfinite(losses)]
    if len(broken):
        return [f"{DIVERGENCE}: {where}: the loss is not finite from epoch {int(accuracy.loc[broken[0], 'epoch'])} on"]
    return [
        f"{DIVERGENCE}: {where}: weights of '{node['layer']}' are not finite at the end"
        for excused, (_, node) in zip(is_excused, nodes.iterrows(), strict=True)
        if not excused and not np.isfinite(node["relative_weight_change"])
    ]
