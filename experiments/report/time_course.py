"""Scores over time: one row of panels a layer, one column a region, the noise ceiling behind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.report.scores import score_label, value_limits
from experiments.report.style import CEILING, TEXT, empty_figure, figure_style, horizontal_grid, rule_legend, rule_styles
from experiments.report.views import LEVEL, has_times, layer_names, number, region_names, rule_names
from experiments.results import Comparison


def _mark_clusters(axes: Axes, comparison: Comparison, rules: Sequence[str], region: str, layer: str) -> None:
    """Draw a bar under the lines for every stretch of time in which a rule's scores are above chance."""
    if comparison.clusters.empty:
        return
    found = comparison.clusters
    found = found[(found["region"] == region) & (found["layer"] == layer) & (found["p_value"] < LEVEL)]
    low, high = axes.get_ylim()
    apart = (high - low) * 0.045
    marked = [rule for rule in rules if rule in set(found["rule"])]
    styles = rule_styles(rules)
    for place, rule in enumerate(marked):
        of_rule = found[found["rule"] == rule]
        at = low - apart * (place + 0.2)
        axes.hlines([at] * len(of_rule), of_rule["start"] * 1000, of_rule["stop"] * 1000, color=styles[rule].colour, linewidth=3)
    axes.set_ylim(low - apart * (len(marked) + 0.3 if marked else 0), high)


def plot_scores_over_time(comparison: Comparison, regions: Sequence[str] | None = None, *, legend: bool = True) -> Figure:
    """Draw scores against time from stimulus onset.

    Parameters
    ----------
    comparison
        Of a recording with a time axis.
    regions
        Which regions, None for all that have times; the vertical scale is that of all in any case.
    legend
        Whether to name the rules above the panels.

    Returns
    -------
    Figure
        A figure. Lines are means over seeds and subjects, bands their intervals over stimuli; the grey band is the noise ceiling, a
        grey line its lower bound where the upper is withheld. The vertical line is stimulus onset.
    """
    rules, layers = rule_names(comparison), layer_names(comparison)
    styles = rule_styles(rules)
    timed = [region for region in region_names(comparison) if has_times(comparison, region)]
    chosen = [region for region in (timed if regions is None else regions) if region in timed]
    table = comparison.aggregates()
    table = table[table["region"].isin(timed) & table["time"].notna()]
    bounds = {
        region: np.array(
            sorted(
                [number(row["time"]), number(row["lower"]), number(row["upper"])]
                for row in comparison.ceilings
                if row["region"] == region
            )
        )
        for region in timed
    }
    limits = value_limits(table[["score", "lower", "upper"]].to_numpy(float), *(each[:, 1:] for each in bounds.values()))
    with figure_style():
        figure = empty_figure(5.4 * max(len(chosen), 1), 1.9 * len(layers) + 0.8 + (0.5 if legend else 0))
        grid = figure.subplots(len(layers), max(len(chosen), 1), squeeze=False, sharex="col", sharey=True)
        for column, region in enumerate(chosen):
            for row, layer in enumerate(layers):
                axes = grid[row, column]
                horizontal_grid(axes)
                milliseconds, lower, upper = bounds[region][:, 0] * 1000, bounds[region][:, 1], bounds[region][:, 2]
                if np.isfinite(upper).any():
                    axes.fill_between(milliseconds, lower, upper, color=CEILING, alpha=0.35, linewidth=0)
                else:
                    axes.plot(milliseconds, lower, color=CEILING, linewidth=1.6)
                axes.axhline(0, color=TEXT, linewidth=0.9)
                if milliseconds.min() < 0 < milliseconds.max():
                    axes.axvline(0, color=TEXT, linewidth=0.9, linestyle=(0, (2, 3)))
                for rule in rules:
                    own = table[(table["rule"] == rule) & (table["layer"] == layer) & (table["region"] == region)].sort_values(
                        "time"
                    )
                    times, style = own["time"].to_numpy(float) * 1000, styles[rule]
                    low, high = own["lower"].to_numpy(float), own["upper"].to_numpy(float)
                    axes.fill_between(times, low, high, color=style.colour, alpha=0.14, linewidth=0)
                    axes.plot(times, own["score"].to_numpy(float), color=style.colour, linewidth=1.6, label=rule)
                axes.set_xlim(milliseconds.min(), milliseconds.max())
                axes.set_ylim(*limits)
                _mark_clusters(axes, comparison, rules, region, layer)
                axes.annotate(layer, (1, 1), xycoords="axes fraction", ha="right", va="top", fontweight="bold")
                if row == 0:
                    axes.set_title(region)
        for axes in grid[-1]:
            axes.set_xlabel("time from stimulus onset (ms)")
        figure.supylabel(score_label(comparison), fontsize=9.5)
        if legend:
            rule_legend(figure, rules)
    return figure


__all__ = ["plot_scores_over_time"]
