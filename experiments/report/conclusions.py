"""Whether what learning adds is found in every view: by every measure, comparator and size of stimuli that was asked for.

A rule's difference from its untrained control, in the layer in which it scored best by the main view, is looked up in each of the
others. Where the signs turn there is no conclusion about the rule, but one about the measure. Which rule scores best, each by its
best layer there, is asked of every view too.

Every view is corrected over its own table, as the main one is, so that one finding is not significant in one place of a report and
not in another; that all views decide alike is asked of all of them, which needs no further correction. Measures of patterns (CKA,
Procrustes, encoding) have p-values for these stimuli alone: they are shown, and decide nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from experiments.best_layers import BEST
from experiments.config import CONTROL
from experiments.report.views import LEVEL, at_reference_time, best_rows, corrected, number, region_names, standings
from experiments.results import VIEW_COLUMNS, Comparison

ABOVE, BELOW, UNDECIDED, ABSENT = "above", "below", "undecided", "not scored"
UNTESTED = "not tested for other stimuli"


class Seen(NamedTuple):
    """A rule's difference from its control in one view.

    Attributes
    ----------
    difference, lower, upper
        NaN where there is none.
    verdict
        `ABOVE` or `BELOW` its control at the false discovery rate over the view's table, `UNDECIDED`, `UNTESTED`, or `ABSENT`.
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
        "holds" where every view that tests says the same and all have decided, "turns" where one says above and another below,
        "undecided" otherwise, "" where no view has a test.
    """

    region: str
    rule: str
    layer: str
    views: dict[str, Seen]
    holds: str

    @property
    def tested(self) -> list[str]:
        """Views that can decide."""
        return [name for name, seen in self.views.items() if seen.verdict in (ABOVE, BELOW, UNDECIDED)]


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
    plain, beyond, models = comparator.partition(" beyond ")
    if measure is None or len({each[1].partition(" beyond ")[0] for each in ways if each[0] is not None}) > 1:
        parts.append(comparator)
    elif beyond:
        parts[-1] += f"{beyond}{models}"
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
        (region, standing)
        for region in region_names(comparison)
        for standing in standings(comparison, region)
        if standing.rule != CONTROL
    ]
    table = comparison.differences[comparison.differences["reference"] == CONTROL]
    tables = {region: at_reference_time(comparison, table, region) for region in dict.fromkeys(place[0] for place in places)}
    fixed = {region: _best_rows_of(comparison, region, ways[0], False) for region in tables}
    n_layers = [standing.n_layers for _, standing in places]
    seen: dict[str, list[Seen]] = {}
    for name, way in zip(names, ways, strict=True):
        rows = []
        for region, standing in places:
            found = _looked_up(tables[region], standing.rule, standing.layer, way)
            if standing.layer == BEST and math.isnan(found["difference"]) and standing.rule in fixed[region]:
                # Where no layer is chosen elsewhere, that which is best by the main view is looked up.
                found = _looked_up(tables[region], standing.rule, str(fixed[region][standing.rule][0]["layer"]), way)
            rows.append(found)
        adjusted = corrected([row["p_value"] for row in rows], n_layers)
        seen[name] = [_seen(row, p_adjusted, way) for row, p_adjusted in zip(rows, adjusted, strict=True)]
    conclusion = []
    for index, (region, standing) in enumerate(places):
        views = {name: seen[name][index] for name in names}
        verdicts = [each.verdict for each in views.values()]
        conclusion.append(Conclusion(region, standing.rule, standing.layer, views, _holds(verdicts)))
    return conclusion


def leaders(comparison: Comparison, region: str) -> dict[str, str]:
    """Which rule scores best in a region in each view, by its best layer there; views that scored nothing are left out.

    Parameters
    ----------
    comparison
        Any.
    region
        One of its regions.

    Returns
    -------
    dict of str to str
        View, as `view_names` has it, -> rule, the control among them.
    """
    ways = _ways(comparison)
    found = {}
    for way in ways:
        rows = _best_rows_of(comparison, region, way, True)
        if rows:
            found[_name(way, ways)] = max(rows, key=lambda rule: rows[rule][0]["score"])
    return found


def _best_rows_of(comparison: Comparison, region: str, way: tuple[Any, ...], chosen: bool) -> dict[str, tuple[Any, int]]:
    """Rows of best layers in one view; `chosen` takes those that were chosen on other stimuli where there are any."""
    scores = comparison.scores
    together = _of_view(scores[scores["seed"].isna() & scores["subject"].isna()], way)
    if not chosen:
        together = together[together["layer"] != BEST]
    return best_rows(comparison, at_reference_time(comparison, together, region))


def _of_view(table: pd.DataFrame, way: tuple[Any, ...]) -> pd.DataFrame:
    for name, value in zip(VIEW_COLUMNS, way, strict=True):
        table = table[table[name].isna() if value is None else (table[name] == value).fillna(False).astype(bool)]
    return table


def _looked_up(table: pd.DataFrame, rule: str, layer: str, way: tuple[Any, ...]) -> dict[str, float]:
    """The difference of one rule's layer in one view, NaN where there is none."""
    rows = _of_view(table[(table["rule"] == rule) & (table["layer"] == layer)], way)
    names = ("difference", "lower", "upper", "p_value")
    return {name: number(rows.iloc[0][name]) if len(rows) else math.nan for name in names}


def _seen(row: dict[str, float], p_adjusted: float, way: tuple[Any, ...]) -> Seen:
    bounds = row["difference"], row["lower"], row["upper"]
    if math.isnan(row["difference"]):
        return Seen(*bounds, ABSENT)
    if way[0] is None:
        return Seen(*bounds, UNTESTED)
    # Where there are too few draws for a p-value nothing is decided; NaN is below no level.
    decided = p_adjusted < LEVEL
    return Seen(*bounds, UNDECIDED if not decided else ABOVE if row["difference"] > 0 else BELOW)


def _holds(verdicts: Sequence[str]) -> str:
    """In a word."""
    said = {each for each in verdicts if each not in (ABSENT, UNTESTED)}
    if {ABOVE, BELOW} <= said:
        return "turns"
    if not said:
        return ""
    return "holds" if len(said) == 1 and UNDECIDED not in said else "undecided"


__all__ = ["ABOVE", "ABSENT", "BELOW", "UNDECIDED", "UNTESTED", "Conclusion", "Seen", "conclusions", "leaders", "view_names"]
