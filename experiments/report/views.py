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
from experiments.config import CONTROL
from experiments.plain_scores import BEST
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
        regions.
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


def _best_layers(comparison: Comparison, region: str) -> list[Standing]:
    """Each rule's best layer in a region, before any correction."""
    scores = at_reference_time(comparison, comparison.aggregates(), region)
    differences = at_reference_time(comparison, from_reference(comparison), region)
    left_out, found = failures(comparison), []
    for rule in rule_names(comparison):
        own = scores[(scores["rule"] == rule) & scores["score"].notna()]
        if own.empty or rule in left_out:
            continue
        # One that was chosen on other stimuli and subjects needs no choice here.
        own = own[own["layer"] == BEST] if (own["layer"] == BEST).any() else own
        best = own.loc[own["score"].idxmax()]
        against = differences[(differences["rule"] == rule) & (differences["layer"] == best["layer"])]
        score, lower, upper = (number(best[name]) for name in ("score", "lower", "upper"))
        difference = low = high = p_value = math.nan
        if len(against):
            difference, low, high, p_value = (number(against.iloc[0][name]) for name in ("difference", "lower", "upper", "p_value"))
        found.append(Standing(rule, str(best["layer"]), score, lower, upper, difference, low, high, p_value, math.nan, None))
    return found


def standings(comparison: Comparison, region: str) -> list[Standing]:
    """Each rule's best layer in a region, best rule first; rules that failed are not among them."""
    shown = {name: _best_layers(comparison, name) for name in region_names(comparison)}
    # What is marked is corrected over the table that is shown: all regions of it.
    p_values = np.array([row.p_value for rows in shown.values() for row in rows])
    adjusted = iter(rsa.false_discovery_rate(p_values))
    corrected = {name: [row._replace(p_adjusted=float(next(adjusted))) for row in rows] for name, rows in shown.items()}
    rows = [
        row._replace(beats=None if math.isnan(row.p_adjusted) else row.difference > 0 and row.p_adjusted < LEVEL)
        for row in corrected.get(region, [])
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
    "ceiling",
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
