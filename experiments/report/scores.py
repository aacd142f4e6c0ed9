"""Scores, layer by region: each rule's mean with its interval over stimuli, and the noise ceiling as a band."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.report.style import (
    CEILING,
    CONTROL_COLOUR,
    TEXT,
    empty_figure,
    figure_style,
    horizontal_grid,
    rule_legend,
    rule_styles,
)
from experiments.report.views import at_reference_time, ceiling, layer_names, reference_time, region_names, rule_names
from experiments.results import Comparison

COMPARATOR_LABELS = {
    "spearman": "Spearman correlation of RDMs (rho-a)",
    "pearson": "Pearson correlation of RDMs",
    "kendall": "Kendall correlation of RDMs (tau-a)",
    "cosine": "cosine similarity of RDMs",
    "whitened_pearson": "whitened Pearson correlation of RDMs",
    "whitened_cosine": "whitened cosine similarity of RDMs",
    "cka": "debiased linear CKA of patterns",
    "cka_biased": "linear CKA of patterns",
    "procrustes": "Procrustes similarity of patterns",
    "encoding": "held-out correlation of ridge encoding",
}
# The share of a layer's column that its rules spread over.
_SPREAD = 0.62
COLUMNS = 2


def score_label(comparison: Comparison) -> str:
    """Name the score for an axis."""
    comparator = comparison.view[1]
    return COMPARATOR_LABELS.get(comparator, comparator)


def panel_title(comparison: Comparison, region: str) -> str:
    """The region, and the time where it has one."""
    time = reference_time(comparison, region)
    return region if time is None else f"{region}, {time * 1000:.0f} ms after onset"


def offsets(n_rules: int) -> np.ndarray:
    """Where the rules stand about the middle of a layer's column, (n_rules,)."""
    return (np.arange(n_rules) - (n_rules - 1) / 2) * _SPREAD / max(n_rules, 4)


def layer_axis(axes: Axes, layers: Sequence[str]) -> None:
    """One column a layer, from the images up."""
    axes.set_xlim(-0.5, len(layers) - 0.5)
    slanted = max(map(len, layers)) * len(layers) > 55
    axes.set_xticks(range(len(layers)), layers, rotation=35 if slanted else 0, ha="right" if slanted else "center")


def panels(n_panels: int, legend: bool) -> tuple[Figure, list[Axes]]:
    """A figure with one panel a region, two in a row, sharing the vertical scale."""
    columns = min(COLUMNS, n_panels)
    rows = math.ceil(n_panels / columns)
    figure = empty_figure(5.4 * columns, 3.7 * rows + (0.5 if legend else 0))
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[n_panels:]:
        axes.remove()
    return figure, list(grid.flat[:n_panels])


def value_limits(*values: np.ndarray) -> tuple[float, float]:
    """Limits that hold zero and every finite value, with a margin."""
    joined = np.concatenate([np.asarray(each, float).ravel() for each in values])
    finite = np.append(joined[np.isfinite(joined)], 0.0)
    margin = max(float(np.ptp(finite)), 0.02) * 0.07
    return float(finite.min()) - margin, float(finite.max()) + margin


def draw_ceiling(axes: Axes, lower: float, upper: float) -> None:
    """Shade the noise ceiling, or draw its lower bound alone where the upper is withheld."""
    if math.isnan(lower):
        return
    if math.isnan(upper):
        axes.axhline(lower, color=CEILING, linewidth=1.6)
    else:
        axes.axhspan(lower, upper, color=CEILING, alpha=0.35, linewidth=0)
    withheld = math.isnan(upper)
    axes.annotate(
        "noise ceiling (lower bound)" if withheld else "noise ceiling",
        (0, lower if withheld else upper),
        xycoords=("axes fraction", "data"),
        xytext=(4, 3 if withheld else -3),
        textcoords="offset points",
        # Inside the band, at its far edge: scores come from below.
        va="bottom" if withheld else "top",
        size=8.5,
    )


def draw_reference_models(axes: Axes, scores: dict[str, float], limits: tuple[float, float]) -> None:
    """A dashed line for each reference model, named at the right edge; names that would overlap are moved apart."""
    least = 0.055 * (limits[1] - limits[0])
    place = -math.inf
    for name, score in sorted(scores.items(), key=lambda pair: pair[1]):
        axes.axhline(score, color=CONTROL_COLOUR, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0.5)
        place = max(score, place + least)
        axes.annotate(name, (1.01, place), xycoords=("axes fraction", "data"), va="center", size=8.5, color=CONTROL_COLOUR)


def plot_scores(comparison: Comparison, regions: Sequence[str] | None = None, *, legend: bool = True) -> Figure:
    """Draw scores by layer, one panel a region.

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
        A figure. Points are means over seeds and subjects, bars their intervals, faint dots single seeds, dashed lines models that
        are no networks. A recording with a time axis is shown at the time at which its subjects agree most.
    """
    rules, layers, every_region = rule_names(comparison), layer_names(comparison), region_names(comparison)
    styles, shifts = rule_styles(rules), offsets(len(rules))
    aggregates = comparison.aggregates()
    singles = comparison.main.scores[comparison.main.scores["seed"].notna()]
    shown = {
        region: (
            at_reference_time(comparison, aggregates, region).set_index(["rule", "layer"]),
            at_reference_time(comparison, singles, region).groupby(["rule", "layer", "seed"])["score"].mean(),
            ceiling(comparison, region, reference_time(comparison, region)),
        )
        for region in every_region
    }
    extremes = [
        np.concatenate(
            [table[["score", "lower", "upper"]].to_numpy(float).ravel(), seeds.to_numpy(float), [bounds.lower, bounds.upper]]
        )
        for table, seeds, bounds in shown.values()
    ] + [comparison.main.reference_models["score"].to_numpy(float)]
    chosen = list(every_region if regions is None else regions)
    with figure_style():
        figure, grid = panels(len(chosen), legend)
        for place, (axes, region) in enumerate(zip(grid, chosen, strict=True)):
            table, seeds, bounds = shown[region]
            horizontal_grid(axes)
            draw_ceiling(axes, bounds.lower, bounds.upper)
            axes.axhline(0, color=TEXT, linewidth=0.9)
            for rule, shift in zip(rules, shifts, strict=True):
                present = [index for index, layer in enumerate(layers) if (rule, layer) in table.index]
                if not present:
                    continue
                own = table.loc[[(rule, layers[index]) for index in present]]
                x, style = np.array(present) + shift, styles[rule]
                axes.plot(x, own["score"], color=style.colour, linewidth=1, alpha=0.35)
                axes.vlines(x, own["lower"].astype(float), own["upper"].astype(float), color=style.colour, linewidth=1.8)
                for position, index in zip(x, present, strict=True):
                    each = seeds.loc[rule, layers[index]] if (rule, layers[index]) in seeds.index else []
                    axes.plot(
                        np.full(len(each), position), each, ".", color=style.colour, markersize=4, alpha=0.4, markeredgewidth=0
                    )
                axes.plot(x, own["score"], style.marker, color=style.colour, markersize=5.5, markeredgewidth=0, label=rule)
            layer_axis(axes, layers)
            limits = value_limits(*extremes)
            axes.set_ylim(*limits)
            beside = at_reference_time(comparison, comparison.main.reference_models, region)
            draw_reference_models(axes, dict(zip(beside["model"], beside["score"].astype(float), strict=True)), limits)
            axes.set_title(panel_title(comparison, region))
            if place % COLUMNS == 0:
                axes.set_ylabel(score_label(comparison))
        if legend:
            rule_legend(figure, rules)
    return figure


__all__ = [
    "COLUMNS",
    "COMPARATOR_LABELS",
    "draw_ceiling",
    "layer_axis",
    "offsets",
    "panel_title",
    "panels",
    "plot_scores",
    "score_label",
    "value_limits",
]
