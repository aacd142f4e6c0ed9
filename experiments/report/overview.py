"""The comparison in one figure: accuracy, plausibility and brain similarity of every rule, one row a rule."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.config import CONTROL
from experiments.report.style import CEILING, HOLLOW, LINE, TEXT, empty_figure, figure_style, rule_styles
from experiments.report.views import final_accuracy, region_names, rule_names
from experiments.report.wording import region_finding
from experiments.results import Comparison
from learning_rules import plausibility

_ROW = 0.36
_VERDICT_COLOURS = {"meets": "#0a8f4f", "partly": "#b97d00", "fails": "#c4500a", "not applicable": TEXT}
# A full disc meets, a ring fails, and what lies between is filled by half: the mark says it without its colour.
_FILL = {"meets": "full", "partly": "left", "fails": "none"}


def _rows(axes: Axes, n_rules: int) -> None:
    axes.set_ylim(n_rules - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    for place in range(n_rules):
        axes.axhline(place, color=LINE, linewidth=0.6, zorder=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)


def _accuracy(axes: Axes, comparison: Comparison, rules: list[str]) -> None:
    reached, styles = final_accuracy(comparison), rule_styles(rules)
    for place, rule in enumerate(rules):
        if rule not in reached.index:
            continue
        row = reached.loc[rule]
        spread = 0.0 if math.isnan(row["std"]) else row["std"]
        axes.hlines(place, 100 * (row["mean"] - spread), 100 * (row["mean"] + spread), color=styles[rule].colour, linewidth=2)
        axes.plot(100 * row["mean"], place, styles[rule].marker, color=styles[rule].colour, markersize=6)
    axes.set_title("accuracy")
    axes.set_xlabel("test images right (%)")


def _plausibility(axes: Axes, comparison: Comparison, rules: list[str]) -> None:
    cards = comparison.scorecards
    criteria = [name for name in plausibility.CRITERIA if any(name in card for card in cards.values())]
    for place, rule in enumerate(rules):
        for column, criterion in enumerate(criteria):
            entry = cards.get(rule, {}).get(criterion)
            if entry is None or entry["verdict"] not in _FILL:
                axes.annotate("–", (column, place), ha="center", va="center", color=TEXT)
                continue
            colour = _VERDICT_COLOURS[entry["verdict"]]
            axes.plot(
                column,
                place,
                "o",
                fillstyle=_FILL[entry["verdict"]],
                color=colour,
                markerfacecoloralt="none",
                markersize=9,
                markeredgewidth=1.5,
            )
    axes.set_xlim(-0.6, len(criteria) - 0.4)
    axes.set_xticks(range(len(criteria)), criteria, rotation=40, ha="right")
    axes.tick_params(axis="x", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_title("plausibility")


def _similarity(axes: Axes, comparison: Comparison, rules: list[str], region: str) -> None:
    finding, styles = region_finding(comparison, region), rule_styles(rules)
    if not math.isnan(finding.ceiling.lower):
        upper = finding.ceiling.upper
        if math.isnan(upper):
            axes.axvline(finding.ceiling.lower, color=CEILING, linewidth=1.6)
        else:
            axes.axvspan(finding.ceiling.lower, upper, color=CEILING, alpha=0.35, linewidth=0)
    axes.axvline(0, color=TEXT, linewidth=0.9)
    for standing in finding.standings:
        if standing.rule not in rules:
            continue
        place, style = rules.index(standing.rule), styles[standing.rule]
        if not math.isnan(standing.lower):
            axes.hlines(place, standing.lower, standing.upper, color=style.colour, linewidth=2)
        filled = standing.beats or standing.rule == CONTROL
        axes.plot(
            standing.score,
            place,
            style.marker,
            color=style.colour,
            markersize=6,
            markerfacecolor=style.colour if filled else HOLLOW,
            markeredgewidth=1.4,
        )
    # A line of its own for what stands in brackets: panels are narrow.
    axes.set_title(region.replace(" (", "\n("))
    axes.set_xlabel("score of the best layer")


def plot_overview(comparison: Comparison) -> Figure:
    """Draw accuracy, plausibility and brain similarity side by side, one row a rule.

    Parameters
    ----------
    comparison
        Its accuracy, scorecards and scores; without scorecards that panel is left out.

    Returns
    -------
    Figure
        A figure. Of plausibility, a full disc says that a criterion is met, half a disc partly, a ring not. Of similarity, points
        are best layers with their intervals, hollow where the rule does not beat its untrained control, before the noise ceiling.
    """
    rules, regions = rule_names(comparison), region_names(comparison)
    n_criteria = len({name for card in comparison.scorecards.values() for name in card})
    widths = [2.2, *([0.33 * n_criteria + 0.3] if n_criteria else []), *[2.3] * len(regions)]
    with figure_style():
        figure = empty_figure(1.6 + sum(widths), _ROW * len(rules) + (2.3 if n_criteria else 1.1))
        grid = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
        for axes in grid:
            _rows(axes, len(rules))
            axes.set_yticks(range(len(rules)), rules if axes is grid[0] else [])
        _accuracy(grid[0], comparison, rules)
        if n_criteria:
            _plausibility(grid[1], comparison, rules)
        for axes, region in zip(grid[len(widths) - len(regions) :], regions, strict=True):
            _similarity(axes, comparison, rules, region)
    return figure


__all__ = ["plot_overview"]
