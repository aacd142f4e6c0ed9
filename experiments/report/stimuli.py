"""The stimuli, small and in the order of the RDM pictures."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from matplotlib.figure import Figure
from PIL import Image

from experiments.report.style import empty_figure, figure_style
from experiments.results import Comparison

MAX_STIMULI = 160
_COLUMNS = 16
_SIDE = 44


class Ordering(NamedTuple):
    """Order of the stimuli in pictures.

    Attributes
    ----------
    order
        (n_conditions,), index of the stimulus at each place; by category where there are any.
    categories
        Their names in order; empty where there are none.
    starts
        Place at which each category begins.
    """

    order: Int[np.ndarray, " n_conditions"]
    categories: tuple[str, ...]
    starts: tuple[int, ...]


def picture_order(comparison: Comparison) -> Ordering:
    """Put stimuli of one category side by side, categories as they first appear and stimuli as they come."""
    n_conditions = len(comparison.stimuli)
    if comparison.categories is None:
        return Ordering(np.arange(n_conditions), (), ())
    names = tuple(dict.fromkeys(comparison.categories))
    rank = np.array([names.index(category) for category in comparison.categories])
    order = np.argsort(rank, kind="stable")
    return Ordering(order, names, tuple(np.searchsorted(rank[order], np.arange(len(names))).tolist()))


def thumbnail(image: UInt8[np.ndarray, "height width 3"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    """Fit an image into a white square; small pictures are enlarged by whole pixels, large ones averaged."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    filter_ = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
    ground = Image.new("RGB", (side, side), "white")
    ground.paste(Image.fromarray(image).resize(size, filter_), ((side - size[0]) // 2, (side - size[1]) // 2))
    return np.asarray(ground)


def plot_stimuli(comparison: Comparison) -> Figure:
    """Draw the stimuli in reading order, each category beginning a row.

    Parameters
    ----------
    comparison
        Its stimuli and categories; of more than 160, evenly spaced ones are shown.

    Returns
    -------
    Figure
        A figure with one panel a category, or one in all.
    """
    ordering = picture_order(comparison)
    every = np.arange(len(ordering.order))
    shown = every if len(every) <= MAX_STIMULI else np.unique(np.linspace(0, len(every) - 1, MAX_STIMULI).round().astype(int))
    edges = (*ordering.starts, len(every)) if ordering.categories else (0, len(every))
    groups = [ordering.order[shown[(shown >= low) & (shown < high)]] for low, high in zip(edges, edges[1:], strict=False)]
    titles = ordering.categories or ("",)
    columns = min(_COLUMNS, max(map(len, groups)))
    rows = [math.ceil(len(group) / columns) for group in groups]
    with figure_style():
        figure = empty_figure(7.6, sum(rows) * 7.4 / columns + 0.32 * len([title for title in titles if title]) + 0.1)
        grid = figure.subplots(len(groups), 1, squeeze=False, height_ratios=[max(each, 1) for each in rows])[:, 0]
        for axes, group, title, n_rows in zip(grid, groups, titles, rows, strict=True):
            # What no stimulus covers stays clear, so that a last, shorter row shows the page.
            mosaic = np.zeros((n_rows * _SIDE, columns * _SIDE, 4), np.uint8)
            for place, index in enumerate(group):
                top, left = place // columns * _SIDE, place % columns * _SIDE
                mosaic[top : top + _SIDE - 2, left : left + _SIDE - 2, :3] = thumbnail(comparison.stimuli[index], _SIDE - 2)
                mosaic[top : top + _SIDE - 2, left : left + _SIDE - 2, 3] = 255
            axes.imshow(mosaic, interpolation="none", aspect="equal")
            axes.set_anchor("W")
            axes.set_axis_off()
            axes.set_title(title, fontsize=9.5, fontweight="normal", pad=4)
            axes.title.set_in_layout(bool(title))
    return figure


__all__ = ["MAX_STIMULI", "Ordering", "picture_order", "plot_stimuli", "thumbnail"]
