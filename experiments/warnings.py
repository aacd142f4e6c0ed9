"""Failures that an accuracy alone would hide, each by its name: divergence, collapse, silence, weights that do not move."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from learning_rules import RuleSpec

__all__ = ["warnings_of"]

# Weights that moved less are no learned representation, whatever the accuracy says.
_MIN_CHANGE = 0.01
_MAX_SILENT = 0.9
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
        losses = accuracy.loc[accuracy["seed"] == seed, "train_loss"]
        if not np.all(np.isfinite(losses)):
            epoch = int(accuracy.loc[losses.index[~np.isfinite(losses)][0], "epoch"])
            found.append(f"divergence: {where}: the loss is not finite from epoch {epoch} on")
        predicted = confusion[index].sum(axis=0) / max(confusion[index].sum(), 1)
        if predicted.max() > _COLLAPSE_FRACTION:
            found.append(
                f"collapse to one class: {where}: class {int(predicted.argmax())} is predicted for {predicted.max():.1%} of the "
                "test images"
            )
        nodes = networks[networks["seed"] == seed]
        for index, (_, node) in enumerate(nodes.iterrows()):
            is_last = index == len(nodes) - 1
            if node["silent"] > _MAX_SILENT:
                found.append(f"silence: {where}: {node['silent']:.0%} of the units of '{node['layer']}' answer no image")
            excused = node["layer"] in weightless or (spec.frozen == "hidden" and not is_last)
            changed = node["relative_weight_change"]
            if not excused and not np.isfinite(changed):
                found.append(f"divergence: {where}: weights of '{node['layer']}' are not finite at the end")
            elif not excused and not changed > _MIN_CHANGE:
                found.append(
                    f"weights that do not move: {where}: those of '{node['layer']}' changed by "
                    f"{node['relative_weight_change']:.2%}, so it represents its initial weights"
                )
    return found
