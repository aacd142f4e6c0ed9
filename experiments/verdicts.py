"""Whether a rule beats its controls: each of them, paired where weights are shared, and corrected for all rows of the table.

A rule and its own network untrained start from the same weights, so their differences are paired over seeds. Random features,
random maps and pixels share nothing with it but the number of a seed: which of their seeds stands beside which of the rule's is an
accident that a paired test would hang on, so these are two samples of their own (Welch 1947, doi:10.1093/biomet/34.1-2.28). A rule
beats its controls if it beats each of them: the largest of the p-values is that of the whole claim, whichever control turned out
the best (an intersection-union test: Berger 1982, doi:10.1080/00401706.1982.10487790). Claims of one table are corrected by Holm's
method.

The seeds stand for other draws of weights and orders, not for other images: all are trained and tested on one split.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from experiments.controls import EQUAL_FEATURES, RANDOM_MAPS, WIDER_FEATURES
from rsa.multiple import holm

__all__ = [
    "FROZEN",
    "LEVEL",
    "against_controls",
    "against_one",
    "beats",
    "corrected",
    "judged",
    "keeps_maps",
    "n_hidden_units",
    "of_images",
    "verdicts",
]

FROZEN = "itself frozen"
_MAP = 3  # height, width, channels

LEVEL = 0.05
# Accuracies are counts over images: what differs by less differs in rounding.
_ROUNDING = 1e-9
_FEWEST = 2


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


def n_hidden_units(layers: Sequence[Mapping[str, Any]]) -> int:
    """How many units there are before the last layer.

    Parameters
    ----------
    layers
        As `Network.describe` gives them.
    """
    return sum(math.prod(layer["output"]) for layer in layers[:-1])


def of_images(controls: pd.DataFrame, has_maps: bool, column: str = "test_accuracy") -> dict[str, pd.Series]:
    """Controls that belong to no network, as `against_controls` takes them.

    Parameters
    ----------
    controls
        As `experiments.controls.control_accuracies` gives them, of one image set.
    has_maps
        Whether the network that is judged keeps maps. Random maps know that images have places, which one without is not told.
    column
        What is asked of them.

    Returns
    -------
    dict
        Name -> accuracies by seed. Random features of other numbers are not among them (`against_one`).
    """
    found = {}
    for name, rows in controls.groupby("control", sort=False):
        if name in (WIDER_FEATURES, EQUAL_FEATURES) or (name == RANDOM_MAPS and not has_maps):
            continue
        network = rows["network"].iloc[0]
        found[f"{name} ({network})" if network else str(name)] = rows.groupby("seed")[column].first()
    return found


def _paired(own: pd.Series, control: pd.Series) -> float:
    """One-sided, of a mean difference above nought, over the seeds that both have."""
    differences = (own - control).dropna().to_numpy()
    if len(differences) < _FEWEST:
        return np.nan
    spread = differences.std(ddof=1)
    if spread < _ROUNDING:
        return _without_spread(differences.mean())
    return float(stats.t.sf(differences.mean() / (spread / np.sqrt(len(differences))), len(differences) - 1))


def _apart(own: pd.Series, control: pd.Series) -> float:
    """One-sided, of a mean above another of networks that share nothing with it, by Welch's test."""
    if min(len(own), len(control)) < _FEWEST:
        return np.nan
    variances = np.array([own.var(ddof=1) / len(own), control.var(ddof=1) / len(control)])
    difference, error = own.mean() - control.mean(), np.sqrt(variances.sum())
    if error < _ROUNDING:
        return _without_spread(difference)
    degrees = variances.sum() ** 2 / (variances[0] ** 2 / (len(own) - 1) + variances[1] ** 2 / (len(control) - 1))
    return float(stats.t.sf(difference / error, degrees))


def _without_spread(difference: float) -> float:
    """Seeds that all say the same tell nothing of how others would differ: a rule that is above is not tested."""
    return 1.0 if difference <= _ROUNDING else np.nan


def against_controls(runs: pd.DataFrame, matched: Mapping[str, pd.Series], others: Mapping[str, pd.Series]) -> dict[str, Any]:
    """Hold a rule against its controls.

    Parameters
    ----------
    runs
        Rows of `Sweep.runs` of one rule.
    matched
        Name -> accuracies by seed of networks that start from the rule's own weights: paired by seed.
    others
        The same of what shares no weights with it, as `of_images` gives them.

    Returns
    -------
    dict
        `control` and `best_control`, mean and name of the best; `difference` of means from it; `p_value` of beating all, NaN where
        one of them could not be tested: with fewer than two seeds, or where no seed differs from another.
    """
    controls = {**matched, **others}
    if not controls:
        return {"control": np.nan, "best_control": "", "difference": np.nan, "p_value": np.nan}
    own = judged(runs)
    best = max(controls, key=lambda name: controls[name].mean())
    difference = (own - controls[best]).mean() if best in matched else own.mean() - controls[best].mean()
    p_values = [_paired(own, each) for each in matched.values()] + [_apart(own, each) for each in others.values()]
    return {
        "control": float(controls[best].mean()),
        "best_control": best,
        "difference": float(difference),
        "p_value": _of_all(p_values),
    }


def _of_all(p_values: Sequence[float]) -> float:
    """The largest; one that a rule is not above is enough, whatever could not be tested."""
    known = [p for p in p_values if not np.isnan(p)]
    return max(known) if known and (len(known) == len(p_values) or max(known) > LEVEL) else np.nan


def against_one(runs: pd.DataFrame, controls: pd.DataFrame, control: str) -> float:
    """The p-value of beating one control that no verdict goes by: a choice that could overturn it.

    Parameters
    ----------
    runs
        Rows of `Sweep.runs` of one rule.
    controls
        As `experiments.controls` gives them, of the same images.
    control
        Its name.

    Returns
    -------
    float
        NaN where it is not there, or with fewer than two seeds.
    """
    return _apart(judged(runs), controls[controls["control"] == control].groupby("seed")["test_accuracy"].mean())


def beats(p_adjusted: np.ndarray) -> list[bool | None]:
    """Whether claims hold; None where nothing could be tested.

    Parameters
    ----------
    p_adjusted
        ``(n_claims,)``, corrected.
    """
    return [None if np.isnan(p) else bool(p < LEVEL) for p in p_adjusted]


def corrected(p_values: np.ndarray, to_come: int = 0) -> np.ndarray:
    """Holm's correction for a family of claims, of which some may not have been tried yet.

    Parameters
    ----------
    p_values
        ``(n_done,)``; NaN where nothing could be tested.
    to_come
        How many more claims the table will make. They count as if they will turn out to be nothing, so that a verdict that is given
        early may become a yes, and a yes stays one.
    """
    adjusted: np.ndarray = holm(np.concatenate([p_values, np.ones(to_come)]))[: len(p_values)]
    return adjusted


def verdicts(summary: pd.DataFrame, to_come: int = 0) -> pd.DataFrame:
    """Add `p_adjusted` for all rows, and `beats_control`.

    Parameters
    ----------
    summary
        With `p_value`, one row a claim.
    to_come
        As `corrected` takes it.
    """
    adjusted = corrected(summary["p_value"].to_numpy(), to_come)
    at = list(summary.columns).index("p_value") + 1
    with_p = summary.copy()
    with_p.insert(at, "p_adjusted", adjusted)
    with_p.insert(at + 1, "beats_control", pd.Series(beats(adjusted), dtype=object, index=summary.index))
    return with_p
