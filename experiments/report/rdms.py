"""Pictures of representational dissimilarity matrices: regions above, the layers of each rule below.

A picture shows ranks, from the most alike pair of stimuli (0) to the least alike (100), because it is the order of
dissimilarities that regions and layers can share, not their units.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Real
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import rankdata

from experiments.report.stimuli import Ordering, picture_order, thumbnail
from experiments.report.style import empty_figure, figure_style
from experiments.report.views import layer_names, region_names, rule_names
from experiments.results import Comparison

COLOURS = "cividis"
MAX_PIXELS = 128


def ranked_picture(
    rdm: Real[np.ndarray, " n_pairs"], order: np.ndarray, max_pixels: int = MAX_PIXELS
) -> Float[np.ndarray, "side side"]:
    """An RDM as a square of percentile ranks, its stimuli reordered.

    Parameters
    ----------
    rdm
        Condensed, (n_pairs,).
    order
        (n_conditions,), index of the stimulus in each row.
    max_pixels
        A larger square is averaged down to that side.

    Returns
    -------
    numpy.ndarray
        Square of 0 to 100; the diagonal is NaN where the square was not averaged.

    >>> ranked_picture(np.array([1.0, 2.0, 3.0]), np.arange(3)).tolist()
    [[nan, 0.0, 50.0], [0.0, nan, 100.0], [50.0, 100.0, nan]]
    """
    n_conditions = len(order)
    # Pairs that were not measured stay white.
    ranks = (rankdata(rdm, nan_policy="omit") - 1) / max(np.isfinite(rdm).sum() - 1, 1) * 100
    square = np.full((n_conditions, n_conditions), np.nan)
    square[np.triu_indices(n_conditions, 1)] = ranks
    square = np.where(np.isnan(square), square.T, square)[np.ix_(order, order)]
    if n_conditions > max_pixels:
        np.fill_diagonal(square, 0)
        image = Image.fromarray(square.astype(np.float32))
        square = np.asarray(image.resize((max_pixels, max_pixels), Image.Resampling.BOX)).astype(float)
    return square


def _draw(axes: Axes, rdm: np.ndarray, ordering: Ordering) -> None:
    picture = ranked_picture(rdm, ordering.order)
    axes.imshow(
        picture, cmap=COLOURS, vmin=0, vmax=100, interpolation="none", extent=(0, len(ordering.order), len(ordering.order), 0)
    )
    for start in ordering.starts[1:]:
        axes.axhline(start, color="white", linewidth=0.6, alpha=0.7)
        axes.axvline(start, color="white", linewidth=0.6, alpha=0.7)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _label_categories(axes: Axes, comparison: Comparison, ordering: Ordering) -> None:
    """Write each category beside its rows, with its first stimulus."""
    edges = (*ordering.starts, len(ordering.order))
    for name, low, high in zip(ordering.categories, edges, edges[1:], strict=False):
        middle = (low + high) / 2
        side = len(ordering.order) * 0.075
        small = thumbnail(comparison.stimuli[ordering.order[low]], 40)
        axes.imshow(
            small, extent=(-side * 1.25, -side * 0.25, middle + side / 2, middle - side / 2), clip_on=False, interpolation="none"
        )
        axes.text(-side * 1.5, middle, name, ha="right", va="center", fontsize=8.5)
    axes.set_xlim(0, len(ordering.order))
    axes.set_ylim(len(ordering.order), 0)


def plot_rdms(comparison: Comparison) -> Figure:
    """Draw the RDMs of regions (mean over subjects) and of each rule's layers (mean over seeds).

    Parameters
    ----------
    comparison
        Its RDMs, stimuli and categories.

    Returns
    -------
    Figure
        A figure: one row of regions, then one row a rule and one column a layer. Thin lines part the categories.
    """
    ordering = picture_order(comparison)
    regions = [region for region in region_names(comparison) if region in comparison.region_rdms]
    layers = layer_names(comparison)
    rules = [rule for rule in rule_names(comparison) if any((rule, layer) in comparison.layer_rdms for layer in layers)]
    per_row = 3
    region_rows = math.ceil(len(regions) / per_row)
    with figure_style():
        figure = empty_figure(8.6, 2.7 * region_rows + 1.75 * len(rules) + 0.9)
        parts = figure.subfigures(2, 1, squeeze=False, height_ratios=[2.7 * region_rows + 0.3, 1.75 * len(rules) + 0.5])
        above, below = parts[:, 0]
        grid = above.subplots(region_rows, min(per_row, len(regions)), squeeze=False)
        for axes in grid.flat[len(regions) :]:
            axes.remove()
        shown = list(grid.flat[: len(regions)])
        for axes, region in zip(shown, regions, strict=True):
            _draw(axes, comparison.region_rdms[region], ordering)
            axes.set_title(region, pad=6)
        # More than a dozen names would run into each other.
        if 1 < len(ordering.categories) <= 12:
            _label_categories(shown[0], comparison, ordering)
        bar = above.colorbar(shown[0].images[0], ax=shown, shrink=0.75, aspect=18, pad=0.03)
        bar.outline.set_visible(False)
        bar.set_ticks([0, 50, 100], labels=["0  alike", "50", "100  unlike"])
        bar.set_label("percentile of dissimilarity")
        grid = below.subplots(len(rules), len(layers), squeeze=False)
        for row, rule in enumerate(rules):
            for column, layer in enumerate(layers):
                axes = grid[row, column]
                if (rule, layer) in comparison.layer_rdms:
                    _draw(axes, comparison.layer_rdms[rule, layer], ordering)
                else:
                    axes.set_axis_off()
                if row == 0:
                    axes.set_title(layer, fontsize=9.5, pad=5, loc="center")
            grid[row, 0].set_ylabel(
                rule.replace("/", "/\n"),
                rotation=0,
                ha="right",
                va="center",
                labelpad=8,
                fontweight="bold",
            )
    return figure


__all__ = ["COLOURS", "MAX_PIXELS", "plot_rdms", "ranked_picture"]
