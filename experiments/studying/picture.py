"""A study as pictures: how like the brain over how unlike backpropagation, and conclusions × conditions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from experiments.report.style import CEILING, CONTROL_COLOUR, LINE, empty_figure, figure_style, to_svg
from experiments.studying.conclusions import ABOVE, BELOW, PLACE
from experiments.studying.conditions import MAIN

__all__ = ["conclusions_picture", "picture"]

_PANEL, _COLUMNS = (4.6, 3.7), 2
_CELL, _LABELS = 0.26, 3.4


def picture(ranks: pd.DataFrame, distances: Mapping[tuple[str, str], float], plausible: Mapping[str, float], title: str) -> str:
    """Draw scores over the distance from backpropagation.

    Parameters
    ----------
    ranks
        As `conclusions.corrected` gives them.
    distances
        Group and rule -> degrees between what the rule asks of hidden layers and the gradient, after training.
    plausible
        Rule -> share of the scorecard's criteria that it meets; NaN where it was not asked.
    title
        One line.

    Returns
    -------
    str
        An SVG: a panel a region and group; filled dots are decided beside their control, which is a line, as are the best model
        that learned nothing and the noise ceiling.
    """
    main = ranks[(ranks["condition"] == MAIN) & (ranks["failure"] == "")]
    panels = list(main.groupby(PLACE, sort=False))
    n_rows = -(-len(panels) // _COLUMNS)
    with figure_style():
        figure = empty_figure(_PANEL[0] * _COLUMNS, _PANEL[1] * n_rows + 0.9)
        axes = figure.subplots(n_rows, _COLUMNS, squeeze=False).ravel()
        colours = ScalarMappable(Normalize(0, 1), "viridis")
        for each, (place, table) in zip(axes, panels, strict=False):
            _panel(each, place, table, distances, plausible, colours)
        for each in axes[len(panels) :]:
            each.set_axis_off()
        figure.colorbar(colours, ax=axes, label="share of criteria of plausibility met", location="bottom", shrink=0.5, aspect=40)
        figure.suptitle(title, x=0.01, ha="left")
        return to_svg(figure)


def _panel(
    axes: Axes,
    place: tuple[str, str, str],
    table: pd.DataFrame,
    distances: Mapping[tuple[str, str], float],
    plausible: Mapping[str, float],
    colours: ScalarMappable,
) -> None:
    group, recording, region = place
    rules = table[table["kind"] == "rule"]
    for _, row in rules.iterrows():
        x, share = distances.get((group, row["name"]), np.nan), plausible.get(row["name"], np.nan)
        colour = "0.6" if np.isnan(share) else colours.cmap(share)
        decided = row["verdict"] in (ABOVE, BELOW)
        axes.plot([x, x], [row["lower"], row["upper"]], color=LINE, linewidth=1.0, zorder=1)
        axes.plot(x, row["score"], "o", color=colour, markerfacecolor=colour if decided else "white", markersize=6, zorder=3)
        axes.annotate(row["name"], (x, row["score"]), xytext=(5, 2), textcoords="offset points", fontsize=6.2, zorder=4)
    controls = table[table["kind"] == "control"]
    for _, row in controls.iterrows():
        axes.axhline(row["score"], color=CONTROL_COLOUR, linewidth=0.9, linestyle=":")
    models = table[table["kind"] == "model"]
    lines = [(models["score"].max(), f"{models.loc[models['score'].idxmax(), 'name']}")] if len(models) else []
    if not np.isnan(table["ceiling"].iloc[0]):
        lines.append((table["ceiling"].iloc[0], "noise ceiling"))
    for value, label in lines:
        axes.axhline(value, color=CEILING, linewidth=1.2)
        axes.annotate(label, (0.01, value), xycoords=("axes fraction", "data"), va="bottom", fontsize=7, color=CEILING)
    axes.set_xlim(-4, 112)
    axes.set_xlabel("degrees from backpropagation")
    axes.set_ylabel("similarity")
    axes.set_title(f"{region} ({recording})\n{group}")


def conclusions_picture(ranks: pd.DataFrame, title: str) -> str:
    """Draw differences from controls, rules by conditions.

    Parameters
    ----------
    ranks
        As `conclusions.corrected` gives them.
    title
        One line.

    Returns
    -------
    str
        An SVG: a panel a region and group, purple above and orange below the control, with a dot where that is decided.
    """
    rules = ranks[(ranks["kind"] == "rule") & (ranks["failure"] == "")]
    panels = list(rules.groupby(PLACE, sort=False))
    conditions = list(dict.fromkeys(ranks["condition"]))
    n_rules = [table["name"].nunique() for _, table in panels]
    with figure_style():
        heights = [count * _CELL + 0.7 for count in n_rules]
        figure = empty_figure(_LABELS + _CELL * len(conditions) * 1.15, sum(heights) + 1.9)
        axes = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        reach = float(np.nanmax(np.abs(rules["difference_from_control"].to_numpy(float))))
        for each, (place, table) in zip(axes, panels, strict=True):
            _cells(each, place, table, conditions, reach)
        for each in axes[:-1]:
            each.set_xticklabels([])
        colours = ScalarMappable(Normalize(-reach, reach), "PuOr")
        figure.colorbar(colours, ax=axes, label="score minus control's", location="bottom", shrink=0.5, aspect=40)
        figure.suptitle(title, x=0.01, ha="left")
        return to_svg(figure)


def _cells(axes: Axes, place: tuple[str, str, str], table: pd.DataFrame, conditions: list[str], reach: float) -> None:
    group, recording, region = place
    names = list(table[table["condition"] == MAIN]["name"])
    differences = table.pivot_table(index="name", columns="condition", values="difference_from_control", sort=False)
    differences = differences.reindex(index=names, columns=conditions)
    axes.imshow(differences.to_numpy(float), cmap="PuOr", vmin=-reach, vmax=reach, aspect="auto")
    decided = table[table["verdict"].isin([ABOVE, BELOW]) & table["name"].isin(names)]
    places = [(conditions.index(row["condition"]), names.index(row["name"])) for _, row in decided.iterrows()]
    if places:
        axes.plot(*zip(*places, strict=True), "o", color="black", markersize=3)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xticks(range(len(conditions)), conditions, rotation=60, ha="right", fontsize=7)
    axes.set_title(f"{region} ({recording}), {group}", fontsize=8.5)
