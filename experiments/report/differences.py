"""What learning adds: each rule's paired difference from the untrained control, layer by region."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from experiments.config import CONTROL
from experiments.report.scores import COLUMNS, layer_axis, offsets, panel_title, panels, value_limits
from experiments.report.style import CONTROL_COLOUR, figure_style, horizontal_grid, rule_legend, rule_styles
from experiments.report.views import at_reference_time, from_reference, layer_names, region_names, rule_names
from experiments.results import Comparison


def plot_differences(comparison: Comparison, regions: Sequence[str] | None = None, *, legend: bool = True) -> Figure:
    """Draw differences from the untrained control by layer, one panel a region.

    Parameters
    ----------
    comparison
        What to draw.
    regions
        Which regions, None for all; the vertical scale is that of all in any case.
    legend
        Whether to name the rules above the panels.

    Returns
    -------
    Figure
        A figure. Bars are intervals; a point is filled where its interval excludes zero and hollow where it does not, or where
        there is none. A recording with a time axis is shown at the time at which its subjects agree most.
    """
    layers, every_region = layer_names(comparison), region_names(comparison)
    styles = rule_styles(rule_names(comparison))
    rules = [rule for rule in rule_names(comparison) if rule in set(from_reference(comparison)["rule"]) and rule != CONTROL]
    shifts = offsets(len(rules))
    shown = {
        region: at_reference_time(comparison, from_reference(comparison), region).set_index(["rule", "layer"])
        for region in every_region
    }
    extremes = [table[["difference", "lower", "upper"]].to_numpy(float) for table in shown.values()]
    chosen = list(every_region if regions is None else regions)
    with figure_style():
        figure, grid = panels(len(chosen), legend)
        for place, (axes, region) in enumerate(zip(grid, chosen, strict=True)):
            table = shown[region]
            horizontal_grid(axes)
            axes.axhline(0, color=CONTROL_COLOUR, linewidth=1.4)
            for rule, shift in zip(rules, shifts, strict=True):
                present = [index for index, layer in enumerate(layers) if (rule, layer) in table.index]
                if not present:
                    continue
                own = table.loc[[(rule, layers[index]) for index in present], ["difference", "lower", "upper"]].to_numpy(float)
                x, style = np.array(present) + shift, styles[rule]
                excludes_zero = (own[:, 1] > 0) | (own[:, 2] < 0)
                for solid in (True, False):
                    at = excludes_zero == solid
                    if not at.any():
                        continue
                    axes.vlines(x[at], own[at, 1], own[at, 2], color=style.colour, linewidth=1.8, alpha=1 if solid else 0.5)
                    axes.plot(
                        x[at],
                        own[at, 0],
                        style.marker,
                        color=style.colour,
                        markersize=6,
                        markerfacecolor=style.colour if solid else "none",
                        markeredgewidth=1.3,
                    )
            layer_axis(axes, layers)
            axes.set_ylim(*value_limits(*extremes))
            axes.set_title(panel_title(comparison, region))
            if place % COLUMNS == 0:
                axes.set_ylabel(f"score minus that of {CONTROL}")
        if legend:
            rule_legend(figure, rules)
    return figure


__all__ = ["plot_differences"]
