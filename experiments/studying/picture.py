"""A study as pictures: how like the brain, in the order of how unlike backpropagation, and conclusions × conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from experiments.report.style import CEILING, CONTROL_COLOUR, LINE, empty_figure, figure_style, to_svg
from experiments.studying.conclusions import ABOVE, BELOW, PLACE
from experiments.studying.conditions import MAIN

__all__ = ["conclusions_picture", "picture"]

_ROW, _WIDTH, _NAMES = 0.27, 2.9, 3.6
_CELL, _LABELS = 0.26, 3.4


def picture(ranks: pd.DataFrame, distances: Mapping[tuple[str, str], float], plausible: Mapping[str, float], title: str) -> str:
    """Draw what every rule scores in every region, those nearest to backpropagation first.

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
        An SVG: a row a rule with its degrees from backpropagation, a column a region, a block a group of networks. A bar is the
        interval, a filled dot decided beside its control, whose score is the tick; lines are the best model that learned nothing
        and the noise ceiling.
    """
    main = ranks[(ranks["condition"] == MAIN) & (ranks["failure"] == "")]
    groups = list(dict.fromkeys(main["group"]))
    places = list(dict.fromkeys(zip(main["recording"], main["region"], strict=True)))
    rules = {group: _by_distance(main[(main["group"] == group) & (main["kind"] == "rule")], group, distances) for group in groups}
    heights = [_ROW * len(rules[group]) + 0.9 for group in groups]
    with figure_style():
        figure = empty_figure(_NAMES + _WIDTH * len(places), sum(heights) + 1.5)
        grid = figure.subplots(len(groups), len(places), squeeze=False, gridspec_kw={"height_ratios": heights}, sharex="col")
        colours = ScalarMappable(Normalize(0, 1), "viridis")
        for block, (row, group) in enumerate(zip(grid, groups, strict=True)):
            for axes, (recording, region) in zip(row, places, strict=True):
                here = main[(main["group"] == group) & (main["recording"] == recording) & (main["region"] == region)]
                _panel(axes, here, rules[group], plausible, colours)
                if block == 0:
                    axes.set_title(f"{region} ({recording})", pad=24, fontsize=10)
            names = [_with_degrees(name, distances.get((group, name), np.nan)) for name in rules[group]]
            row[0].set_yticks(range(len(names)), names, fontsize=8)
            for axes in row[1:]:
                axes.set_yticks([])
            row[0].annotate(
                group, (0, 1), xycoords="axes fraction", xytext=(-8, 8), textcoords="offset points", ha="right", fontsize=8
            )
        for axes in grid[-1]:
            axes.set_xlabel("similarity")
        label = "share of criteria of plausibility met; degrees from backpropagation stand behind the names"
        figure.colorbar(colours, ax=grid, label=label, location="bottom", shrink=0.4, aspect=40)
        figure.suptitle(title, x=0.01, ha="left")
        return to_svg(figure)


def _by_distance(rules: pd.DataFrame, group: str, distances: Mapping[tuple[str, str], float]) -> list[str]:
    """Names of rules, those nearest to backpropagation first; those of which it is not known last."""
    names = list(dict.fromkeys(rules["name"]))
    return sorted(names, key=lambda name: (np.isnan(each := distances.get((group, name), np.nan)), each))


def _with_degrees(name: str, degrees: float) -> str:
    return f"{name}  –" if np.isnan(degrees) else f"{name}  {degrees:.0f}°"


def _panel(axes: Axes, table: pd.DataFrame, names: Sequence[str], plausible: Mapping[str, float], colours: ScalarMappable) -> None:
    by_name = table.drop_duplicates("name").set_index("name")
    axes.axvline(0, color=LINE, linewidth=0.8, zorder=0)
    for place, name in enumerate(names):
        axes.axhline(place, color=LINE, linewidth=0.5, alpha=0.6, zorder=0)
        if name not in by_name.index:
            continue
        row, share = by_name.loc[name], plausible.get(name, np.nan)
        colour = CONTROL_COLOUR if np.isnan(share) else colours.cmap(share)
        axes.plot([row["lower"], row["upper"]], [place, place], color=colour, linewidth=1.6, alpha=0.75, zorder=2)
        axes.plot([row["control_score"]] * 2, [place - 0.3, place + 0.3], color=CONTROL_COLOUR, linewidth=1.6, zorder=1)
        decided = row["verdict"] in (ABOVE, BELOW)
        axes.plot(row["score"], place, "o", color=colour, markerfacecolor=colour if decided else "white", markersize=6, zorder=3)
    models = table[table["kind"] == "model"]
    lines = [(float(models["score"].max()), str(models.loc[models["score"].idxmax(), "name"]))] if len(models) else []
    if len(table) and not np.isnan(table["ceiling"].iloc[0]):
        lines.append((float(table["ceiling"].iloc[0]), "noise ceiling"))
    for level, (value, label) in enumerate(lines):
        axes.axvline(value, color=CEILING, linewidth=1.3, zorder=1)
        # On two levels: a model may reach the ceiling.
        at: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points"}
        axes.annotate(label, (value, 1), xytext=(0, 3 + 10 * level), ha="center", fontsize=7.5, annotation_clip=False, **at)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)


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
