"""A map of RDMs: each region and each layer of every rule is a point, and points lie near each other where RDMs are alike.

Distances are one minus Spearman's correlation of two RDMs, laid out on a plane by classical scaling (Torgerson 1952,
doi:10.1007/BF02288916), which has one answer for the same RDMs. How much of the distances a plane can hold is said beside it: the
share of the squared distances' variance that the two axes carry, and Kruskal's stress (1964, doi:10.1007/BF02289565).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from scipy.stats import rankdata

from experiments.report.style import HOLLOW, TEXT, empty_figure, figure_style, rule_styles
from experiments.report.views import layer_names, region_names, rule_names
from experiments.results import Comparison

__all__ = ["Plane", "plane_of", "plot_second_order", "rdm_distances"]

_FEWEST = 3


class Plane(NamedTuple):
    """Where points lie, and how well a plane holds their distances.

    Attributes
    ----------
    places
        (n_points, 2).
    share
        Of the sum of all positive eigenvalues that of the two largest, 0 to 1.
    stress
        Kruskal's first, 0 where distances on the plane are those that were given.
    """

    places: Float[np.ndarray, "n_points 2"]
    share: float
    stress: float


def rdm_distances(rdms: Sequence[np.ndarray]) -> Float[np.ndarray, "n_points n_points"]:
    """One minus Spearman's correlation between every two RDMs, over the pairs of stimuli that both have.

    Parameters
    ----------
    rdms
        Condensed, each (n_pairs,), NaN where a pair was not measured.

    Returns
    -------
    numpy.ndarray
        (n_points, n_points), 0 to 2, 0 on the diagonal; 1 where a correlation is not defined.

    >>> rdm_distances([np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 9.0]), np.array([3.0, 2.0, 1.0])]).round(6).tolist()
    [[0.0, 0.0, 2.0], [0.0, 0.0, 2.0], [2.0, 2.0, 0.0]]
    """
    found = np.zeros((len(rdms), len(rdms)))
    for i, one in enumerate(rdms):
        for j, other in enumerate(rdms[:i]):
            both = np.isfinite(one) & np.isfinite(other)
            ranks = [rankdata(each[both]) - (both.sum() + 1) / 2 for each in (one, other)]
            lengths = np.sqrt(ranks[0] @ ranks[0] * (ranks[1] @ ranks[1]))
            found[i, j] = found[j, i] = 1 - (ranks[0] @ ranks[1] / lengths if lengths > 0 else 0.0)
    return found


def plane_of(distances: Float[np.ndarray, "n_points n_points"]) -> Plane:
    """Lay points out on a plane by classical scaling.

    Parameters
    ----------
    distances
        (n_points, n_points), symmetric.

    >>> square = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    >>> plane = plane_of(np.linalg.norm(square[:, None] - square, axis=-1))
    >>> round(plane.share, 6), round(plane.stress, 6)
    (1.0, 0.0)
    """
    n = len(distances)
    centre = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-centre @ np.square(distances) @ centre / 2)
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order]
    # A vector's sign is nobody's choice: its largest entry is positive.
    vectors = vectors * np.sign(vectors[np.argmax(np.abs(vectors), axis=0), np.arange(n)])
    places = vectors[:, :2] * np.sqrt(np.clip(values[:2], 0, None))
    positive = values[values > 0].sum()
    upper = np.triu_indices(n, 1)
    on_plane = np.linalg.norm(places[:, None] - places, axis=-1)[upper]
    given = distances[upper]
    total = float(np.sum(given**2))
    stress = float(np.sqrt(np.sum((given - on_plane) ** 2) / total)) if total else 0.0
    return Plane(places, float(np.clip(values[:2], 0, None).sum() / positive) if positive else 1.0, stress)


def plot_second_order(comparison: Comparison) -> Figure | None:
    """Draw the map of all RDMs: regions, and of every rule the layers from the images up, joined by a line.

    Parameters
    ----------
    comparison
        Its RDMs.

    Returns
    -------
    Figure or None
        None under three RDMs, between which there is nothing to see.
    """
    regions = [region for region in region_names(comparison) if region in comparison.region_rdms]
    rules, layers = rule_names(comparison), layer_names(comparison)
    points: list[tuple[str, str]] = [(rule, layer) for rule in rules for layer in layers if (rule, layer) in comparison.layer_rdms]
    rdms = [comparison.region_rdms[region] for region in regions] + [comparison.layer_rdms[point] for point in points]
    if len(rdms) < _FEWEST:
        return None
    plane = plane_of(rdm_distances(rdms))
    of_regions, of_layers = plane.places[: len(regions)], dict(zip(points, plane.places[len(regions) :], strict=True))
    styles = rule_styles(rules)
    with figure_style():
        figure = empty_figure(7.6, 5.4)
        axes = figure.add_subplot()
        for rule in rules:
            own = np.array([of_layers[rule, layer] for layer in layers if (rule, layer) in of_layers])
            if not len(own):
                continue
            style = styles[rule]
            axes.plot(*own.T, color=style.colour, linewidth=1.1, alpha=0.8)
            sizes = np.linspace(3.5, 8, len(own)) if len(own) > 1 else [6.0]
            for place, size in zip(own, sizes, strict=True):
                axes.plot(*place, style.marker, color=style.colour, markersize=size, markeredgecolor=HOLLOW, markeredgewidth=0.6)
        for region, place in zip(regions, of_regions, strict=True):
            axes.plot(*place, "*", color=TEXT, markersize=15, markeredgecolor=HOLLOW, markeredgewidth=0.8)
            axes.annotate(region, place, xytext=(9, 0), textcoords="offset points", va="center", fontweight="bold")
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(True)
        axes.margins(0.12)
        axes.set_title(
            f"{plane.share:.0%} of the distances' variance on this plane, stress {plane.stress:.2f}", fontweight="normal"
        )
    return figure
