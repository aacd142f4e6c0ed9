"""Scores against the size at which networks saw the stimuli: one row of panels a layer, one column a region."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from experiments.report.scores import score_label, value_limits
from experiments.report.style import TEXT, empty_figure, figure_style, horizontal_grid, rule_legend, rule_styles
from experiments.report.views import at_reference_time, layer_names, region_names, rule_names
from experiments.results import Comparison


def by_size(comparison: Comparison) -> pd.DataFrame:
    """Aggregates of the main measure and comparator at every size, empty where there is one size alone."""
    further = comparison.further_aggregates()
    others = further[(further["measure"] == comparison.view[0]) & (further["comparator"] == comparison.view[1])]
    return pd.concat([comparison.aggregates(), others], ignore_index=True) if len(others) else others


def plot_sizes(comparison: Comparison, regions: Sequence[str] | None = None, *, legend: bool = True) -> Figure:
    """Draw scores against the stimuli's size.

    Parameters
    ----------
    comparison
        Of several sizes of stimuli.
    regions
        Which regions, None for all; the vertical scale is that of all in any case.
    legend
        Whether to name the rules above the panels.

    Returns
    -------
    Figure
        A figure, empty of lines where there was one size alone. Points are means over seeds and subjects, bars their intervals; a
        recording with a time axis is shown at the time at which its subjects agree most.
    """
    table, rules = by_size(comparison), rule_names(comparison)
    styles = rule_styles(rules)
    layers = [layer for layer in layer_names(comparison) if table.loc[table["layer"] == layer, "size"].nunique() > 1]
    chosen = list(region_names(comparison) if regions is None else regions)
    limits = value_limits(table[["score", "lower", "upper"]].to_numpy(float))
    with figure_style():
        figure = empty_figure(5.4 * len(chosen), 1.9 * max(len(layers), 1) + 0.8 + (0.5 if legend else 0))
        grid = figure.subplots(max(len(layers), 1), len(chosen), squeeze=False, sharex=True, sharey=True)
        for column, region in enumerate(chosen):
            here = at_reference_time(comparison, table, region)
            grid[0, column].set_title(region)
            for row, layer in enumerate(layers):
                axes = grid[row, column]
                horizontal_grid(axes)
                axes.axhline(0, color=TEXT, linewidth=0.9)
                for place, rule in enumerate(rules):
                    own = here[(here["rule"] == rule) & (here["layer"] == layer)].sort_values("size")
                    # Apart by a hair, so that intervals of several rules can be told from each other.
                    sizes, style = own["size"].to_numpy(float) * 1.015 ** (place - (len(rules) - 1) / 2), styles[rule]
                    axes.vlines(sizes, own["lower"].astype(float), own["upper"].astype(float), color=style.colour, linewidth=1.4)
                    axes.plot(sizes, own["score"], style.marker, linestyle="-", color=style.colour, markersize=4.5, linewidth=1.2)
                axes.set_xscale("log")
                axes.set_xticks(sorted(set(here["size"].astype(int))), sorted(set(here["size"].astype(int))))
                axes.minorticks_off()
                axes.set_ylim(*limits)
                axes.annotate(layer, (1, 1), xycoords="axes fraction", ha="right", va="top", fontweight="bold")
        for axes in grid[-1]:
            axes.set_xlabel("size of the stimuli (pixels)")
        figure.supylabel(score_label(comparison), fontsize=9.5)
        if legend:
            rule_legend(figure, rules)
    return figure


__all__ = ["by_size", "plot_sizes"]
