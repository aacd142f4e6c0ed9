"""A comparison as it stands in a notebook: what was found in one sentence, and the ranking in every region."""

from __future__ import annotations

import math

from bioplausible.foundation.html_tables import html_table
from experiments.report.views import OtherModel, Standing, final_accuracy, region_names
from experiments.report.wording import (
    MISSING,
    RegionFinding,
    decimal,
    failures_sentence,
    interval,
    percent,
    region_finding,
    signed,
    summary,
)
from experiments.results import Comparison

__all__ = ["comparison_html"]

_COLUMNS = ("model", "test %", "best layer", "score", "minus untrained", "above its control?")
_VERDICTS = {True: "yes", False: "no", None: MISSING}


def _heading(finding: RegionFinding) -> str:
    bounds = finding.ceiling
    time = "" if finding.milliseconds is None else f" at {finding.milliseconds:.0f} ms"
    if math.isnan(bounds.lower):
        return f"{finding.region}{time}: no noise ceiling"
    upper = "withheld" if math.isnan(bounds.upper) else decimal(bounds.upper)
    return f"{finding.region}{time}: noise ceiling {decimal(bounds.lower)} to {upper}"


def _with_interval(value: str, lower: float, upper: float) -> str:
    return value if math.isnan(lower) else f"{value} {interval(lower, upper)}"


def _cells(row: Standing | OtherModel, reached: dict[str, float]) -> tuple[str, ...]:
    score = _with_interval(decimal(row.score), row.lower, row.upper)
    if isinstance(row, OtherModel):
        return row.model, "", "no network", score, "", ""
    accuracy = percent(reached.get(row.rule, math.nan))
    if math.isnan(row.difference):
        return row.rule, accuracy, row.layer, score, MISSING, ""
    difference = _with_interval(signed(row.difference), row.difference_lower, row.difference_upper)
    return row.rule, accuracy, row.layer, score, difference, _VERDICTS[row.beats]


def comparison_html(comparison: Comparison) -> str:
    """Lay the comparison out for a notebook.

    Parameters
    ----------
    comparison
        What was found.

    Returns
    -------
    str
        HTML without style or script: the summary, and a table with reference models among the networks.
    """
    name = str(comparison.recording.get("name", "recording"))
    simulated = "simulated recording, no brain was measured" if comparison.recording.get("simulated") else "recording"
    reached = final_accuracy(comparison)["mean"].to_dict()
    rows: list[tuple[str, ...]] = []
    for region in region_names(comparison):
        finding = region_finding(comparison, region)
        rows += [(_heading(finding),), *(_cells(row, reached) for row in finding.ranked)]
    notes = [summary(comparison)]
    if failed := failures_sentence(comparison):
        notes.append(f"Not ranked: {failed}.")
    notes.append("Above its control: in the same layer, at a false discovery rate of 5 % over this table.")
    return html_table(f"{name} ({simulated})", _COLUMNS, rows, notes)
