"""Whether what learning adds is found in every view: by every measure, comparator and size of stimuli that was asked for.

A rule's difference from its untrained control, in the layer in which it scored best by the main view, is looked up in each of the
others. Where the signs turn there is no conclusion about the rule, but one about the measure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

import rsa
from experiments.config import CONTROL
from experiments.report.views import LEVEL, at_reference_time, number, region_names, standings
from experiments.results import VIEW_COLUMNS, Comparison

ABOVE, BELOW, UNDECIDED, ABSENT = "above", "below", "undecided", "not scored"


class Seen(NamedTuple):
    """A rule's difference from its control in one view.

    Attributes
    ----------
    difference, lower, upper
        NaN where there is none.
    verdict
        `ABOVE` or `BELOW` its control at the false discovery rate over the whole table, `UNDECIDED`, or `ABSENT`.
    """

    difference: float
    lower: float
    upper: float
    verdict: str


class Conclusion(NamedTuple):
    """One rule in one region, in every view.

    Attributes
    ----------
    region, rule, layer
        Where; the layer is the rule's best by the main view.
    views
        View -> what is seen there, the main one first.
    holds
        "holds" where every view says the same and all have decided, "turns" where one says above and another below, "undecided"
        otherwise.
    """

    region: str
    rule: str
    layer: str
    views: dict[str, Seen]
    holds: str


def _ways(comparison: Comparison) -> list[tuple[Any, ...]]:
    """Views of the differences, the main one first."""
    table = comparison.differences[list(VIEW_COLUMNS)].drop_duplicates()
    found = [tuple(None if pd.isna(each) else each for each in row) for row in table.itertuples(index=False)]
    main = comparison.view
    return [main, *(way for way in found if way != main)]


def view_names(comparison: Comparison) -> list[str]:
    """What each view is called: by what tells it from the others.

    Parameters
    ----------
    comparison
        Any.
    """
    ways = _ways(comparison)
    return [_name(way, ways) for way in ways]


def _name(way: tuple[Any, ...], ways: Sequence[tuple[Any, ...]]) -> str:
    measure, comparator, size = way
    main = ways[0]
    parts = [] if measure is None else [measure]
    if measure is None or len({each[1] for each in ways if each[0] is not None}) > 1:
        parts.append(comparator)
    if size != main[2] or len({each[2] for each in ways}) > 1:
        parts.append(f"{size} px")
    return ", ".join(parts)


def conclusions(comparison: Comparison) -> list[Conclusion]:
    """What holds in every view, one row a rule and region.

    Parameters
    ----------
    comparison
        Any.

    Returns
    -------
    list of Conclusion
        Of every ranked rule but the control, in the order of the ranking.
    """
    ways = _ways(comparison)
    names = [_name(way, ways) for way in ways]
    places = [
        (region, standing.rule, standing.layer)
        for region in region_names(comparison)
        for standing in standings(comparison, region)
        if standing.rule != CONTROL
    ]
    table = comparison.differences[comparison.differences["reference"] == CONTROL]
    tables = {region: at_reference_time(comparison, table, region) for region in dict.fromkeys(place[0] for place in places)}
    found = [[_looked_up(tables[region], rule, layer, way) for way in ways] for region, rule, layer in places]
    adjusted = iter(rsa.false_discovery_rate(_p_values(found)))
    rows = []
    for place, looked_up in zip(places, found, strict=True):
        seen = [_seen(row, float(next(adjusted))) for row in looked_up]
        rows.append(Conclusion(*place, dict(zip(names, seen, strict=True)), _holds([each.verdict for each in seen])))
    return rows


def _looked_up(table: pd.DataFrame, rule: str, layer: str, way: tuple[Any, ...]) -> dict[str, float]:
    """The difference of one rule's layer in one view, NaN where there is none."""
    rows = table[(table["rule"] == rule) & (table["layer"] == layer)]
    for name, value in zip(VIEW_COLUMNS, way, strict=True):
        rows = rows[rows[name].isna() if value is None else (rows[name] == value).fillna(False).astype(bool)]
    names = ("difference", "lower", "upper", "p_value")
    return {name: number(rows.iloc[0][name]) if len(rows) else math.nan for name in names}


def _p_values(found: Sequence[Sequence[dict[str, float]]]) -> Any:
    return pd.Series([row["p_value"] for rows in found for row in rows], dtype=float).to_numpy()


def _seen(row: dict[str, float], p_adjusted: float) -> Seen:
    bounds = row["difference"], row["lower"], row["upper"]
    if math.isnan(row["difference"]):
        return Seen(*bounds, ABSENT)
    # Where there are too few draws for a p-value nothing is decided; NaN is below no level.
    decided = p_adjusted < LEVEL
    return Seen(*bounds, UNDECIDED if not decided else ABOVE if row["difference"] > 0 else BELOW)


def _holds(verdicts: Sequence[str]) -> str:
    """In a word."""
    said = {each for each in verdicts if each != ABSENT}
    if {ABOVE, BELOW} <= said:
        return "turns"
    return "holds" if len(said) == 1 and UNDECIDED not in said else "undecided"


__all__ = ["ABOVE", "ABSENT", "BELOW", "UNDECIDED", "Conclusion", "Seen", "conclusions", "view_names"]
