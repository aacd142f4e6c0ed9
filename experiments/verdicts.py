"""Whether a rule beats its controls: paired over seeds, against all of them, and corrected for all rows of the table.

Rules and controls of one seed start from the same weights and see the same images, so their differences are paired. A rule beats
its controls if it beats each of them: the largest of the p-values is that of the whole claim, whichever control turned out the best
(an intersection-union test: Berger 1982, doi:10.1080/00401706.1982.10487790). Claims of one table are corrected by Holm's method.

The seeds stand for other draws of weights and orders, not for other images: all are trained and tested on one split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from experiments.controls import RANDOM_MAPS, WIDER_FEATURES
from rsa.multiple import holm

__all__ = ["FROZEN", "LEVEL", "against_controls", "against_wider", "beats", "judged", "keeps_maps", "of_images", "verdicts"]

FROZEN = "itself frozen"
_MAP = 3  # height, width, channels

LEVEL = 0.05
# Accuracies are counts over images: what differs by less differs in rounding.
_ROUNDING = 1e-9


def judged(runs: pd.DataFrame) -> pd.Series:
    """Accuracies by seed that a verdict goes by: of the readout that is one for all where there is one, else the network's own.

    Parameters
    ----------
    runs
        Rows of `Sweep.runs` of one rule.
    """
    name = "readout_accuracy" if "readout_accuracy" in runs and runs["readout_accuracy"].notna().all() else "test_accuracy"
    return runs.groupby("seed")[name].mean()


def keeps_maps(layers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any layer keeps places apart.

    Parameters
    ----------
    layers
        As `Network.describe` gives them.
    """
    return any(len(layer["output"]) == _MAP for layer in layers)


def of_images(controls: pd.DataFrame, has_maps: bool) -> dict[str, pd.Series]:
    """Controls that belong to no network, as `against_controls` takes them.

    Parameters
    ----------
    controls
        As `experiments.controls.control_accuracies` gives them, of one image set.
    has_maps
        Whether the network that is judged keeps maps. Random maps know that images have places, which one without is not told.

    Returns
    -------
    dict
        Name -> accuracies by seed. Wider random features are not among them (`against_wider`).
    """
    found = {}
    for name, rows in controls.groupby("control", sort=False):
        if name == WIDER_FEATURES or (name == RANDOM_MAPS and not has_maps):
            continue
        network = rows["network"].iloc[0]
        found[f"{name} ({network})" if network else str(name)] = rows.groupby("seed")["test_accuracy"].mean()
    return found


def _p_value(differences: np.ndarray) -> float:
    """One-sided, of a mean above nought."""
    mean, spread = differences.mean(), differences.std(ddof=1)
    if spread < _ROUNDING:
        return float(mean <= _ROUNDING)
    return float(stats.t.sf(mean / (spread / np.sqrt(len(differences))), len(differences) - 1))


def against_controls(runs: pd.DataFrame, controls: Mapping[str, pd.Series]) -> dict[str, Any]:
    """Hold a rule against its controls.

    Parameters
    ----------
    runs
        Rows of `Sweep.runs` of one rule.
    controls
        Name -> accuracies by seed.

    Returns
    -------
    dict
        `control` and `best_control`, mean and name of the best; `difference` from it, over seeds that both have; `p_value` of
        beating all, NaN where fewer than two seeds are shared with any.
    """
    if not controls:
        return {"control": np.nan, "best_control": "", "difference": np.nan, "p_value": np.nan}
    own = judged(runs)
    best = max(controls, key=lambda name: controls[name].mean())
    differences = {name: (own - accuracies).dropna().to_numpy() for name, accuracies in controls.items()}
    tested = all(len(each) > 1 for each in differences.values())
    return {
        "control": float(controls[best].mean()),
        "best_control": best,
        "difference": float(differences[best].mean()) if len(differences[best]) else np.nan,
        "p_value": max(map(_p_value, differences.values())) if tested else np.nan,
    }


def against_wider(runs: pd.DataFrame, controls: pd.DataFrame) -> float:
    """The p-value of beating wider random features as well: a choice of control that could overturn a verdict.

    Parameters
    ----------
    runs
        Rows of `Sweep.runs` of one rule.
    controls
        As `experiments.controls.control_accuracies` gives them, of the same images.

    Returns
    -------
    float
        NaN where there are none, or fewer than two seeds are shared.
    """
    wider = controls[controls["control"] == WIDER_FEATURES].groupby("seed")["test_accuracy"].mean()
    differences = (judged(runs) - wider).dropna().to_numpy()
    return _p_value(differences) if len(differences) > 1 else np.nan


def beats(p_adjusted: np.ndarray) -> list[bool | None]:
    """Whether claims hold; None where nothing could be tested.

    Parameters
    ----------
    p_adjusted
        ``(n_claims,)``, corrected.
    """
    return [None if np.isnan(p) else bool(p < LEVEL) for p in p_adjusted]


def verdicts(summary: pd.DataFrame) -> pd.DataFrame:
    """Add `p_adjusted` for all rows, and `beats_control`.

    Parameters
    ----------
    summary
        With `p_value`, one row a claim.
    """
    adjusted = holm(summary["p_value"].to_numpy())
    at = list(summary.columns).index("p_value") + 1
    with_p = summary.copy()
    with_p.insert(at, "p_adjusted", adjusted)
    with_p.insert(at + 1, "beats_control", pd.Series(beats(adjusted), dtype=object, index=summary.index))
    return with_p
