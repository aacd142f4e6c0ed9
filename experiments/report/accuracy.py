"""Test accuracy over training: mean over seeds, with one standard deviation as a band."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from experiments.report.style import TEXT, empty_figure, figure_style, horizontal_grid, rule_styles
from experiments.report.views import rule_names
from experiments.results import Comparison


def _spread(positions: np.ndarray, gap: float) -> np.ndarray:
    """Move label positions apart until neighbours are a gap from each other, each cluster staying about its mean."""
    order = np.argsort(positions, kind="stable")
    clusters: list[tuple[float, int]] = []  # centre, members
    for position in positions[order]:
        clusters.append((float(position), 1))
        while len(clusters) > 1:
            (low, n_low), (high, n_high) = clusters[-2:]
            if high - low >= gap * (n_low + n_high) / 2:
                break
            clusters[-2:] = [((low * n_low + high * n_high) / (n_low + n_high), n_low + n_high)]
    spread = np.concatenate([centre + gap * (np.arange(members) - (members - 1) / 2) for centre, members in clusters])
    moved = np.empty(len(positions))
    moved[order] = spread
    return moved


def plot_accuracy(comparison: Comparison) -> Figure:
    """Draw test accuracy by epoch, one line a rule, named at its end.

    Parameters
    ----------
    comparison
        Its `accuracy` table.

    Returns
    -------
    Figure
        A figure with one panel; the dashed line is chance, where the number of classes is known.
    """
    rules = [rule for rule in rule_names(comparison) if rule in set(comparison.accuracy["rule"])]
    styles = rule_styles(rule_names(comparison))
    with figure_style():
        figure = empty_figure(7.6, 3.7)
        axes = figure.add_subplot()
        horizontal_grid(axes)
        ends = []
        for rule in rules:
            of_rule = comparison.accuracy[comparison.accuracy["rule"] == rule]
            by_epoch = of_rule.groupby("epoch")["test_accuracy"].agg(["mean", "std"])
            epochs, mean = by_epoch.index.to_numpy(float), by_epoch["mean"].to_numpy(float)
            spread = by_epoch["std"].fillna(0).to_numpy(float)
            style = styles[rule]
            axes.fill_between(epochs, mean - spread, mean + spread, color=style.colour, alpha=0.16, linewidth=0)
            axes.plot(epochs, mean, color=style.colour, marker=style.marker if len(epochs) == 1 else None, label=rule)
            ends.append(mean[np.isfinite(mean)][-1] if np.isfinite(mean).any() else np.nan)
        last = float(comparison.accuracy["epoch"].max())
        n_classes = comparison.dataset.get("n_classes")
        low, high = axes.get_ylim()
        if n_classes:
            low = min(low, 1 / n_classes - 0.03)
            axes.axhline(1 / n_classes, color=TEXT, linewidth=0.9, linestyle=(0, (4, 4)))
            axes.annotate(
                "chance",
                (1, 1 / n_classes),
                xycoords=("axes fraction", "data"),
                xytext=(16, 0),
                textcoords="offset points",
                va="center",
            )
            ends.append(1 / n_classes)
        axes.set_ylim(max(low, -0.01), min(high, 1.01))
        bottom, top = axes.get_ylim()
        positions = _spread(np.nan_to_num(np.array(ends), nan=bottom), (top - bottom) * 0.066)
        for rule, position in zip(rules, positions, strict=False):
            # In the colour of all text, which can be read; the line's own stands before it.
            at: dict[str, Any] = {
                "xycoords": ("axes fraction", "data"),
                "textcoords": "offset points",
                "annotation_clip": False,
                "va": "center",
            }
            axes.annotate("■", (1, position), xytext=(6, 0), color=styles[rule].colour, fontsize=7, **at)
            axes.annotate(rule, (1, position), xytext=(16, 0), **at)
        first = float(comparison.accuracy["epoch"].min())
        margin = 0.5 if first == last else (last - first) * 0.01
        axes.set_xlim(first - margin, last + margin)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("epoch")
        axes.set_ylabel("test accuracy")
    return figure


__all__ = ["plot_accuracy"]
