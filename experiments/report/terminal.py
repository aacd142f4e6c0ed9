"""The comparison as a table for a terminal of 100 columns."""

from __future__ import annotations

import math

from rich import box
from rich.table import Table
from rich.text import Text

from experiments.config import CONTROL
from experiments.report.views import OtherModel, final_accuracy, region_names
from experiments.report.wording import (
    MISSING,
    RegionFinding,
    control_name,
    control_verdict,
    decimal,
    degrees,
    failures_sentence,
    interval,
    percent,
    region_finding,
    signed,
)
from experiments.results import Comparison


def _region_line(finding: RegionFinding) -> Text:
    line = Text(finding.region, style="bold")
    if finding.milliseconds is not None:
        line.append(f" {finding.milliseconds:.0f} ms", style="bold")
    return line


def _ceiling_line(finding: RegionFinding) -> Text:
    bounds = finding.ceiling
    if math.isnan(bounds.lower):
        return Text("none", style="dim")
    upper = "withheld" if math.isnan(bounds.upper) else decimal(bounds.upper)
    return Text(f"{decimal(bounds.lower)} to {upper}", style="dim")


def terminal_table(comparison: Comparison) -> Table:
    """Lay the comparison out for a terminal: each rule's accuracy, its best layer in each region, and what learning adds.

    Parameters
    ----------
    comparison
        What was found.

    Returns
    -------
    Table
        A table whose first line in each region is its noise ceiling; a star marks a rule that beats its untrained control.
    """
    simulated = bool(comparison.recording.get("simulated"))
    title = Text(str(comparison.recording.get("name", "recording")), style="bold")
    if simulated:
        title = Text("Simulated recording: no brain was measured", style="bold reverse")
    accuracy = final_accuracy(comparison)
    table = Table(
        title=title,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
        collapse_padding=True,
        padding=(0, 1),
    )
    table.add_column("rule", overflow="fold", max_width=32)
    table.add_column("test %", justify="right", no_wrap=True)
    table.add_column("best layer", overflow="fold", max_width=14)
    table.add_column("score", justify="right")
    table.add_column(f"minus {CONTROL}", justify="right")
    for region in region_names(comparison):
        finding = region_finding(comparison, region)
        table.add_row(_region_line(finding), "", Text("ceiling", style="dim"), _ceiling_line(finding), "")
        for row in finding.ranked:
            if isinstance(row, OtherModel):
                known = "" if math.isnan(row.lower) else f" {interval(row.lower, row.upper)}"
                cells = (f" {row.model}", "", "no network", f"{decimal(row.score)}{known}", "")
                table.add_row(*(Text(cell, style="dim") for cell in cells))
                continue
            reached = accuracy["mean"].get(row.rule, math.nan)
            score = decimal(row.score)
            if not math.isnan(row.lower):
                score += f" {interval(row.lower, row.upper)}"
            difference = MISSING if math.isnan(row.difference) else signed(row.difference)
            if not math.isnan(row.difference_lower):
                difference += f" {interval(row.difference_lower, row.difference_upper)}"
            table.add_row(
                Text(f" {row.rule}"),
                percent(reached),
                Text(row.layer),
                score,
                Text(f"{difference} *" if row.beats else f"{difference}  ", style="bold" if row.beats else ""),
            )
        table.add_section()
    caption = (
        "* beats its untrained control in the same layer (false discovery rate of 5 % over this table, corrected for the choice "
        "of layers)"
    )
    if failed := failures_sentence(comparison):
        caption += f"\nnot ranked: {failed}"
    table.caption = Text(caption)
    return table


def controls_table(comparison: Comparison) -> Table | None:
    """Lay out for a terminal what each rule reaches beside its best control, and how far it is from backpropagation.

    Parameters
    ----------
    comparison
        What was found.

    Returns
    -------
    Table or None
        None where there are no verdicts.
    """
    if comparison.verdicts.empty:
        return None
    table = Table(
        title=Text("Against controls and backpropagation", style="bold"),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
        padding=(0, 1),
    )
    table.add_column("rule", overflow="fold", max_width=32)
    read = len(comparison.controls) > 0
    for name in ("readout %", "best control %", "above all?") if read else ():
        table.add_column(name, overflow="fold")
    table.add_column("degrees")
    table.add_column("RDMs", justify="right")
    for row in comparison.verdicts.to_dict("records"):
        accuracy = (percent(row["readout_mean"]), control_name(row), control_verdict(row)) if read else ()
        table.add_row(row["rule"], *accuracy, degrees(row), decimal(row["rdm_correlation"], 2))
    between = comparison.verdicts["rdm_correlation_between_seeds"].iloc[0]
    caption = "degrees from backpropagation at the start, after a tenth and at the end (of one draw, where a rule draws noise); "
    caption += "RDMs: correlation with its own"
    if not math.isnan(between):
        caption += f", {decimal(between, 2)} between its seeds"
    table.caption = Text(caption)
    return table


__all__ = ["controls_table", "terminal_table"]
