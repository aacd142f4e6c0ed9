"""The accuracy table as a picture: every rule's mean and spread, its floor, and the best control that it has to beat."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.config import CONTROL
from experiments.report.style import CEILING, CONTROL_COLOUR, LINE, RULE_COLOURS, empty_figure, figure_style, to_svg
from experiments.sweeping.summary import networks_of

__all__ = ["picture"]

_ROW_INCHES, _MARGIN_INCHES, _WIDTH_INCHES = 0.235, 1.1, 8.6
_TITLE_WIDTH = 48
# What lies further below the best is an arrow at the edge, with its figure beside it: it would squeeze all others together.
_SHOWN_RANGE = 0.12


def _shown(row: dict[str, Any]) -> tuple[float, float]:
    """What a verdict goes by, and its spread: the readout that is one for all, or else the network's own output."""
    prefix = "readout_" if "readout_mean" in row else ""
    return row[f"{prefix}mean"], row[f"{prefix}standard_deviation"]


def _label(row: dict[str, Any]) -> str:
    behind = "" if row["front_end"] == "none" else f" behind {row['front_end']}"
    batches = f", {row['batches']}" if row.get("batches") else ""
    options = json.loads(row.get("rule_options") or "{}")
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in options.items())
    return f"{row['rule']}{behind}{batches}" + (f"\n{told}" if told else "")


def _panel(axes: Axes, title: str, rows: list[dict[str, Any]]) -> None:
    blue, orange = RULE_COLOURS[0][0], RULE_COLOURS[1][0]
    best = float(np.nanmax([value for row in rows for value in (_shown(row)[0], row["mean"], row["control"], row["floor"])]))
    left = 100 * max(min(_shown(row)[0] for row in rows) - 0.01, best - _SHOWN_RANGE)
    for place, row in enumerate(rows):
        mean, deviation = (100 * value for value in _shown(row))
        is_control = row["rule"] == CONTROL
        colour = CONTROL_COLOUR if is_control else orange if row["beats_control"] is False else blue
        if not np.isnan(row["floor"]):
            of_floor = orange if row["reaches_floor"] is False else CEILING
            axes.plot([100 * row["floor"]] * 2, [place - 0.36, place + 0.36], color=of_floor, linewidth=2.2, zorder=1)
            if "readout_mean" in row:  # which a floor is none of
                own = max(100 * row["mean"], left)
                axes.plot(own, place, "o", color=colour, markerfacecolor="none", markersize=4, markeredgewidth=1.0, zorder=2)
        if not np.isnan(row["control"]):
            axes.plot([100 * row["control"], max(mean, left)], [place, place], color=LINE, linewidth=1.1, zorder=1)
        if mean < left:
            axes.plot(left, place, "<", color=colour, markersize=5)
        else:
            spread = 0.0 if np.isnan(deviation) else deviation
            axes.errorbar(mean, place, xerr=spread, fmt="s" if is_control else "o", color=colour, markersize=5, linewidth=1.4)
        axes.annotate(f"{mean:.1f}", (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8.5)
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left - 0.5, 100 * best + 0.7)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.set_title(textwrap.fill(title, _TITLE_WIDTH))
    axes.set_xlabel("test accuracy in percent")


def picture(summary: pd.DataFrame, title: str) -> str:
    """Draw the summary of a sweep.

    Parameters
    ----------
    summary
        `Sweep.summary` of a sweep that is no search.
    title
        One line.

    Returns
    -------
    str
        An SVG: one panel a network; dots are means with one standard deviation over seeds, squares the untrained control, thin
        lines lead from each rule's best control to it, bars mark floors, and rings, where dots are of the one readout, what the
        network's own output reaches of them. Arrows at the edge lie further to the left. An orange dot does not
        beat all controls, an orange bar is a floor that is missed.
    """
    labelled = summary.assign(network=networks_of(summary))
    panels = [(str(name), table.to_dict("records")) for name, table in labelled.groupby("network", sort=False)]
    with figure_style():
        lines = [1 + max(_label(row).count("\n") for row in rows) for _, rows in panels]
        heights = [len(rows) * n * _ROW_INCHES + _MARGIN_INCHES for n, (_, rows) in zip(lines, panels, strict=True)]
        figure = empty_figure(_WIDTH_INCHES, sum(heights))
        axes = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for each, (name, rows) in zip(axes, panels, strict=True):
            _panel(each, name, rows)
        # Over all of the figure's width: panels begin right of their labels.
        figure.suptitle(title, x=0.01, ha="left")
        return to_svg(figure)
