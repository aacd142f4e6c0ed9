r"""Networks that stand in no ranking: what they score is not what their rule makes of a network.

A network that diverged, predicts one class, has a layer that answers nothing, never moved or reads worse than it did before it was
trained may still be more like a brain than its control by accident, and once was starred for it. It is scored and shown, and named
instead of ranked.

To read worse takes evidence: half of all networks that read exactly as well as untrained ones are below them, and a tenth of rules
in every one of three seeds. With d the difference of a seed's test accuracy and the untrained one's, and n seeds, a rule is left
out where

.. math:: \bar d < - 2 \sqrt{\frac{p (1 - p) + q (1 - q)}{T} + \frac{s_d^2}{n}}

with p and q the mean accuracies of the two (one right and one wrong image added to each, so that none is without error) and T the
test images. All seeds read the same images, whose error more seeds do not make less. Of rules that read 90 % of 360 images as
untrained networks do, this leaves out 2.1 % with one seed, 0.1 % with two and fewer with three or five; where seeds' accuracies
differ by 2 % as well, 11, 1.7, 0.5 and 0.1 %: one seed says nothing of others.

Silence is a warning (`experiments.warnings`) and by itself no failure: a layer most of whose units answer no image is a small
layer, and a network with one may read as well as any. It is left out where a layer's units are silent altogether, so that it has no
geometry, or where it reads worse as well, and is then named as the likely reason.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from experiments.trained import Trained
from experiments.warnings import COLLAPSE, DIVERGENCE, MAX_SILENT, MIN_CHANGE

__all__ = ["failure_of"]

_IN_WORDS = {DIVERGENCE: "diverged", COLLAPSE: "predicts one class"}
_STANDARD_ERRORS = 2


def failure_of(trained: Trained, control: Trained | None, readouts: pd.DataFrame) -> str:
    """Why networks of a rule are kept out of rankings.

    Parameters
    ----------
    trained
        Of the rule, all its seeds.
    control
        The same networks untrained, None where there are none; nothing is said of the control itself.
    readouts
        As `experiments.judging.judge` gives them, accuracies on all test images; where they hold nothing of the two, networks' own
        outputs are compared.

    Returns
    -------
    str
        "" where they are ranked.
    """
    if control is None or trained is control:
        return ""
    n_seeds, n_images = trained.config.n_seeds, len(trained.images.test.labels)
    kinds = [warning.partition(":")[0] for warning in trained.warnings]
    for kind, words in _IN_WORDS.items():
        if kind in kinds:
            return f"{words}{_in_some(n_seeds)}"
    nodes = {node.name for node in trained.network.nodes[:-1] if node.weighted}
    moved = trained.networks[trained.networks["layer"].isin(nodes)].groupby("seed")["relative_weight_change"].max()
    silent = trained.networks["silent"].max()
    if silent == 1:
        return f"has a layer that answers no image{_in_some(n_seeds)}"
    if trained.rule.spec.frozen != "hidden" and len(moved) and (moved < MIN_CHANGE).any():
        return f"no hidden layer's weights moved by {MIN_CHANGE:.0%}"
    own, untrained = (_accuracies(each, readouts) for each in (trained, control))
    if len(own) != len(untrained) or not _is_worse(own, untrained, n_images):
        return ""
    worse = (
        f"reads worse than the untrained network by more than its error ({own.mean():.1%} beside {untrained.mean():.1%} of "
        f"{n_images} test images)"
    )
    if silent > MAX_SILENT:
        return f"{worse}, and over {MAX_SILENT:.0%} of a layer's units answer no image{_in_some(n_seeds)}"
    return worse


def _in_some(n_seeds: int) -> str:
    return f" in at least one of {n_seeds} seeds" if n_seeds > 1 else ""


def _is_worse(own: np.ndarray, untrained: np.ndarray, n_images: int) -> bool:
    """Whether accuracies, paired over seeds, are below the untrained ones' by more than test images and seeds explain."""
    shares = [(each.mean() * n_images + 1) / (n_images + 2) for each in (own, untrained)]
    variance = sum(share * (1 - share) for share in shares) / n_images
    if len(own) > 1:
        variance += np.var(own - untrained, ddof=1) / len(own)
    return bool((own - untrained).mean() < -_STANDARD_ERRORS * np.sqrt(variance))


def _accuracies(trained: Trained, readouts: pd.DataFrame) -> np.ndarray:
    """Test accuracy of every seed, by the one readout for all where there is one."""
    read = readouts[readouts["rule"] == trained.name].sort_values("seed")["test_accuracy"].to_numpy(float)
    return read if len(read) else trained.test_accuracy
