"""What figures and words take from a comparison: names in order, ceilings, and the one time that a summary speaks of.

A recording with a time axis is summed up at its reference time: that at which its subjects agree most, the highest lower noise
ceiling. It is chosen from the recording alone, so that no network is favoured by the choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import rsa
from experiments.best_layers import BEST
from experiments.config import CONTROL
from experiments.results import Comparison

LEVEL = 0.05


class Ceiling(NamedTuple):
    """Noise ceiling of a region at one time; NaN where a bound is not given, and then `withheld` says why."""

    lower: float
    upper: float
    withheld: str
    n_subjects: int | None


class Standing(NamedTuple):
    """A rule's best layer in a region, and what came of it there.

    Attributes
    ----------
    rule
        The rule.
    layer
        The layer with its highest score.
    score
        Mean over seeds and subjects.
    lower, upper
        Interval of the score, NaN without one.
    difference
        Paired difference from the control in the same layer, NaN for the control itself.
    difference_lower, difference_upper
        Its interval, NaN without one.
    p_value, p_adjusted
        Of the difference, two-sided: by itself, and the false discovery rate over the table that is shown, best layers of all
        regions, each p-value first times `n_layers`.
    n_layers
        Among how many the layer was chosen where it is scored; 1 where it was chosen on other stimuli and subjects.
    beats
        Whether the difference is above zero at that rate; None where nothing was tested.
    """

    rule: str
    layer: str
    score: float
    lower: float
    upper: float
    difference: float
    difference_lower: float
    difference_upper: float
    p_value: float
    p_adjusted: float
    n_layers: int
    beats: bool | None


class OtherModel(NamedTuple):
    """A model that is no network, as it stands beside the rules in a region."""

    model: str
    score: float
    lower: float
    upper: float


def number(value: Any) -> float:
    """A number, NaN where there is none (None comes back from JSON for NaN)."""
    return math.nan if value is None else float(value)


def _in_order(names: Sequence[str], present: pd.Series) -> list[str]:
    found = list(dict.fromkeys(present.astype(str)))
    return [name for name in names if name in found] + [name for name in found if name not in names]


def rule_names(comparison: Comparison) -> list[str]:
    """Rules that were scored, in the order in which they were run."""
    return _in_order(list(comparison.rules), comparison.scores["rule"])


def layer_names(comparison: Comparison) -> list[str]:
    """Layers that were scored, from the images up."""
    layers = [str(row.get("layer", row.get("name"))) for row in comparison.architecture.get("layers", [])]
    return _in_order(layers, comparison.scores["layer"])


def region_names(comparison: Comparison) -> list[str]:
    """Regions, in the recording's order."""
    return _in_order(list(comparison.region_rdms), comparison.scores["region"])


def has_times(comparison: Comparison, region: str | None = None) -> bool:
    """Whether the recording, or one region, has a time axis."""
    scores = comparison.scores
    return bool((scores if region is None else scores[scores["region"] == region])["time"].notna().any())


def ceiling(comparison: Comparison, region: str, time: float | None = None) -> Ceiling:
    """The noise ceiling of a region, at one of its times if it has any."""
    for row in comparison.ceilings:
        at = number(row.get("time"))
        if row["region"] == region and (math.isnan(at) if time is None else np.isclose(at, time)):
            return Ceiling(number(row["lower"]), number(row["upper"]), row.get("withheld") or "", row.get("n_subjects"))
    return Ceiling(math.nan, math.nan, "no noise ceiling was computed", None)


def reference_time(comparison: Comparison, region: str) -> float | None:
    """The time in seconds that a summary of the region speaks of, None where it has no time axis."""
    if not has_times(comparison, region):
        return None
    times = np.array([number(row.get("time")) for row in comparison.ceilings if row["region"] == region])
    lower = np.array([number(row["lower"]) for row in comparison.ceilings if row["region"] == region])
    if np.isfinite(lower).any():
        return float(times[np.nanargmax(lower)])
    # One subject has no ceiling: the middle of the recording is as good as any time and owes nothing to the networks.
    every = np.sort(comparison.scores.loc[comparison.scores["region"] == region, "time"].dropna().unique())
    return float(every[len(every) // 2])


def at_reference_time(comparison: Comparison, frame: pd.DataFrame, region: str) -> pd.DataFrame:
    """Rows of a region, at its reference time if it has a time axis."""
    chosen = frame[frame["region"] == region]
    time = reference_time(comparison, region)
    return chosen[chosen["time"].isna()] if time is None else chosen[np.isclose(chosen["time"].astype(float), time)]


def from_reference(comparison: Comparison, reference: str = CONTROL) -> pd.DataFrame:
    """Differences from one of the networks that every rule is held against, of the main view."""
    differences = comparison.main.differences
    return differences[differences["reference"] == reference]


def failures(comparison: Comparison) -> dict[str, str]:
    """Rules that stand in no ranking, and why."""
    verdicts = comparison.verdicts
    if "failure" not in verdicts:
        return {}
    failed = verdicts[verdicts["failure"].notna()]
    return dict(zip(failed["rule"], failed["failure"], strict=True))


def best_rows(comparison: Comparison, scores: pd.DataFrame) -> dict[str, tuple[Any, int]]:
    """Of every rule that did not fail the row of its best layer, and among how many it was chosen where it is scored.

    Parameters
    ----------
    comparison
        Whose rules they are.
    scores
        Rows that stand for all seeds and subjects, of one region, view and time.
    """
    left_out, found = failures(comparison), {}
    for rule in rule_names(comparison):
        own = scores[(scores["rule"] == rule) & scores["score"].notna()]
        if own.empty or rule in left_out:
            continue
        # One that was chosen on other stimuli and subjects needs no choice here.
        own = own[own["layer"] == BEST] if (own["layer"] == BEST).any() else own
        found[rule] = own.loc[own["score"].idxmax()], len(own)
    return found


def corrected(p_values: Sequence[float], n_layers: Sequence[int]) -> list[float]:
    """P-values of best layers, corrected for the choice of each and over all of them.

    The layer with the highest score is one of n that could have been it: n times its p-value is right whatever layers have in
    common (Bonferroni). Of the table that these make, the false discovery rate (Benjamini and Hochberg 1995).

    Parameters
    ----------
    p_values
        Of differences, NaN where nothing was tested.
    n_layers
        Among how many each layer was chosen where it is scored.

    >>> corrected([0.01, 0.2], [2, 1])
    [0.04, 0.2]
    """
    chosen = np.minimum(1.0, np.asarray(p_values, float) * np.asarray(n_layers, float))
    return [float(each) for each in rsa.false_discovery_rate(chosen)]


def _best_layers(comparison: Comparison, region: str) -> list[Standing]:
    """Each rule's best layer in a region, before any correction."""
    scores = at_reference_time(comparison, comparison.aggregates(), region)
    differences = at_reference_time(comparison, from_reference(comparison), region)
    found = []
    for rule, (best, n_layers) in best_rows(comparison, scores).items():
        against = differences[(differences["rule"] == rule) & (differences["layer"] == best["layer"])]
        score, lower, upper = (number(best[name]) for name in ("score", "lower", "upper"))
        difference = low = high = p_value = math.nan
        if len(against):
            difference, low, high, p_value = (number(against.iloc[0][name]) for name in ("difference", "lower", "upper", "p_value"))
        known = score, lower, upper, difference, low, high, p_value, math.nan
        found.append(Standing(rule, str(best["layer"]), *known, n_layers, None))
    return found


def standings(comparison: Comparison, region: str) -> list[Standing]:
    """Each rule's best layer in a region, best rule first; rules that failed are not among them."""
    shown = {name: _best_layers(comparison, name) for name in region_names(comparison)}
    # What is marked is corrected over the table that is shown: all regions of it.
    every = [row for rows in shown.values() for row in rows]
    adjusted = iter(corrected([row.p_value for row in every], [row.n_layers for row in every]))
    of_region = {name: [row._replace(p_adjusted=next(adjusted)) for row in rows] for name, rows in shown.items()}
    rows = [
        row._replace(beats=None if math.isnan(row.p_adjusted) else row.difference > 0 and row.p_adjusted < LEVEL)
        for row in of_region.get(region, [])
    ]
    return sorted(rows, key=lambda row: -row.score)


def other_models(comparison: Comparison, region: str) -> list[OtherModel]:
    """Models that are no networks, as they score in a region, best first."""
    found = at_reference_time(comparison, comparison.main.reference_models, region)
    rows = [
        OtherModel(str(row["model"]), *(number(row[name]) for name in ("score", "lower", "upper"))) for _, row in found.iterrows()
    ]
    return sorted((row for row in rows if not math.isnan(row.score)), key=lambda row: -row.score)


def final_accuracy(comparison: Comparison) -> pd.DataFrame:
    """Test accuracy after the last epoch: mean, standard deviation over seeds and their number, one row a rule."""
    accuracy = comparison.accuracy
    last = accuracy[accuracy["epoch"] == accuracy.groupby("rule")["epoch"].transform("max")]
    table = last.groupby("rule", sort=False)["test_accuracy"].agg(["mean", "std", "count"])
    return table.reindex([rule for rule in rule_names(comparison) if rule in table.index])


def table_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table, its missing values as None."""
    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]


__all__ = [
    "LEVEL",
    "Ceiling",
    "OtherModel",
    "Standing",
    "at_reference_time",
    "best_rows",
    "ceiling",
    "corrected",
    "failures",
    "final_accuracy",
    "from_reference",
    "has_times",
    "layer_names",
    "number",
    "other_models",
    "reference_time",
    "region_names",
    "rule_names",
    "standings",
    "table_rows",
]
