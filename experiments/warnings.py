"""Failures that an accuracy alone would hide, each by its name: divergence, collapse, silence, weights that do not move."""

from __future__ import annotations

import numpy as np
import pandas as pd

from learning_rules import RuleSpec

__all__ = ["warnings_of"]

# Weights that moved less are no learned representation, whatever the accuracy says.
_LEAST_CHANGE = 0.01
_MOST_SILENT = 0.9
_COLLAPSE_SHARE = 0.98


def warnings_of(
    rule: str, spec: RuleSpec, accuracy: pd.DataFrame, networks: pd.DataFrame, confusion: np.ndarray, seeds: list[int]
) -> list[str]:
    """One sentence a failure.

    Args:
        rule: its name in the tables.
        spec: what it declares.
        accuracy: `Trained.accuracy`.
        networks: `Trained.networks`.
        confusion: counts on the test images, (n_seeds, true class, predicted class).
        seeds: the networks' seeds.
    """
    found = []
    for index, seed in enumerate(seeds):
        where = f"{rule}, seed {seed}"
        losses = accuracy.loc[accuracy["seed"] == seed, "train_loss"]
        if not np.all(np.isfinite(losses)):
            epoch = int(accuracy.loc[losses.index[~np.isfinite(losses)][0], "epoch"])
            found.append(f"divergence: {where}: the loss is not finite from epoch {epoch} on")
        predicted = confusion[index].sum(axis=0) / max(confusion[index].sum(), 1)
        if predicted.max() > _COLLAPSE_SHARE:
            found.append(
                f"collapse to one class: {where}: class {int(predicted.argmax())} is predicted for {predicted.max():.1%} of the "
                "test images"
            )
        blocks = networks[networks["seed"] == seed]
        for position, (_, block) in enumerate(blocks.iterrows()):
            is_last = position == len(blocks) - 1
            if block["silent"] > _MOST_SILENT:
                found.append(f"silence: {where}: {block['silent']:.0%} of the units of '{block['layer']}' answer no image")
            declared = spec.frozen == "body" and not is_last
            if not declared and not block["relative_weight_change"] > _LEAST_CHANGE:
                found.append(
                    f"weights that do not move: {where}: those of '{block['layer']}' changed by "
                    f"{block['relative_weight_change']:.2%}, so it represents its initial weights"
                )
    return found
