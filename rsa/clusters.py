r"""Cluster permutation tests over time: is there an effect anywhere, when it may last for any while?

A time enters a cluster when its statistic passes a threshold; neighbours that do form one; a cluster's mass is the sum
of its statistics; and its p-value is the share of permuted data sets whose heaviest cluster is as heavy:

.. math::
    p_c = \frac{1}{1 + D} \sum_{d=0}^{D} \Big[\max_{c'} |m_{c'}^{(d)}| \ge |m_c|\Big], \qquad m_c = \sum_{t \in c} s_t

with draw 0 the data as they are. The family-wise error is controlled over all clusters. Two nulls, for two random factors:

- :func:`cluster_sign_flips`: subjects are random; s is Student's t of their scores, and their signs are flipped. What
  subjects who saw the same stimuli share with a model, by chance too, has one sign in all: it holds for these stimuli alone;
- :func:`cluster_permutations`: conditions are random, also with one subject; s is the score in standard deviations of
  its permutations, and a time's threshold is a quantile of them.

The p-value is the cluster's. It says nothing of a single time in it, and so not when an effect begins (Sassenhagen and
Draschkow 2019).

References: Maris and Oostenveld 2007, doi:10.1016/j.jneumeth.2007.03.024; Nichols and Holmes 2002,
doi:10.1002/hbm.1058; Sassenhagen and Draschkow 2019, doi:10.1111/psyp.13335.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, Real
from scipy import sparse, stats
from scipy.sparse.csgraph import connected_components

from bioplausible.foundation.errors import InputError
from rsa.pairs import Array
from rsa.precision import in_double_precision

# Entries of draws × tests whose clusters are found at once.
ENTRIES_AT_ONCE = 2**20

# Masses that differ by less than this share were summed in another order.
ROUNDING = 1e-10

Adjacency = sparse.sparray | sparse.spmatrix | np.ndarray | None


class Cluster(NamedTuple):
    """Times ``start`` to ``stop`` (excluded) when these follow each other; ``members`` are its tests in any case."""

    start: int
    stop: int
    mass: float
    p_value: float
    members: np.ndarray


class ClusterTest(NamedTuple):
    """Clusters in the order of their start, and what they were judged by.

    statistic: (n_times,), t or standard deviations of the null. lower, upper: (n_times,), thresholds of the statistic;
    lower is minus infinity in a one-sided test. heaviest: (n_draws + 1,), the heaviest cluster's absolute mass in each
    draw, the data's own first.
    """

    clusters: list[Cluster]
    statistic: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    heaviest: np.ndarray


@in_double_precision
def cluster_sign_flips(
    key: jax.Array,
    scores: Real[Array, "n_subjects n_times"],
    entry_level: float = 0.05,
    two_sided: bool = False,
    n_draws: int = 1000,
    adjacency: Adjacency = None,
) -> ClusterTest:
    """Test whether subjects' scores are above zero at some time, by flipping the signs of whole subjects.

    Parameters
    ----------
    key
        JAX random key; the same key gives the same flips.
    scores
        One score per subject and time, shape (n_subjects, n_times), whose distribution is symmetric about zero when there
        is no effect: scores of a model, or the difference of two (then ``two_sided``).
    entry_level
        p-value of the t test by which a time enters a cluster. It sets which effects are found best (high: long and weak,
        low: short and strong), not the error.
    two_sided
        Whether clusters below zero count as well. They are never joined with those above, and have negative mass.
    n_draws
        Random flips. When all flips are no more than these and the data, all are taken and the test is exact.
    adjacency
        Which tests are neighbours, sparse or dense, (n_times, n_times), for sensors or sensors × times on one
        axis; by default each time and the next.

    Returns
    -------
    ClusterTest

    Raises
    ------
    InputError
        For NaN, an adjacency that does not fit, and so few subjects that no p-value can be below 0.05: fewer
        than five, and fewer than six in a two-sided test.

    >>> scores = np.array([[0.0, 1.0, 2.0, 0.1]]) + 0.3 * np.sin(np.arange(32.0)).reshape(8, 4)
    >>> [(c.start, c.stop, c.p_value) for c in cluster_sign_flips(jax.random.key(0), scores).clusters]
    [(1, 3, 0.00390625)]
    """
    values = np.asarray(scores, dtype=np.float64)
    n_subjects, n_tests = _check(values, "scores", entry_level)
    least = 6 if two_sided else 5
    if n_subjects < least:
        raise InputError(
            f"the signs of {n_subjects} subjects flip in {2**n_subjects} ways, too few for any p-value below 0.05: "
            f"at least {least} subjects are needed, or rsa.cluster_permutations over conditions"
        )
    if n_draws < 1:
        raise InputError(f"{n_draws} draws were asked for: give one or more, such as 1000")
    signs = draw_signs(key, n_subjects, n_draws)
    mean = signs @ values / n_subjects
    variance = np.maximum(np.square(values).mean(axis=0) - np.square(mean), 0) / (n_subjects - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistics = np.where(mean == 0, 0.0, mean / np.sqrt(variance))
    upper = np.full(n_tests, stats.t.isf(entry_level / (1 + two_sided), n_subjects - 1))
    return _test(statistics, -upper if two_sided else np.full(n_tests, -np.inf), upper, _edges(adjacency, n_tests))


def cluster_permutations(
    observed: Real[Array, " n_times"],
    null: Real[Array, "n_draws n_null_times"],
    entry_level: float = 0.05,
    two_sided: bool = False,
    adjacency: Adjacency = None,
) -> ClusterTest:
    """Test whether a curve is above its permutations at some time.

    Parameters
    ----------
    observed
        A score at each time, shape (n_times,), such as ``evaluation.mean[:, model]`` of :func:`rsa.evaluate`.
    null
        The same under permutations of the conditions that are shared by all times, shape (n_draws, n_times), such as
        ``evaluation.null[:, :, model].T``.
    entry_level, two_sided, adjacency
        As in :func:`cluster_sign_flips`, with the quantile of a time's own permutations in place of the t test.

    Returns
    -------
    ClusterTest

    Raises
    ------
    InputError
        For NaN, shapes that do not fit, and fewer draws than the quantile needs.
    """
    curve, draws = np.asarray(observed, dtype=np.float64), np.asarray(null, dtype=np.float64)
    if draws.ndim != 2 or curve.shape != draws.shape[1:]:
        raise InputError(
            f"the observed curve has shape {curve.shape} and the null {draws.shape}: (n_times,) and (n_draws, n_times) are expected"
        )
    # The data are one more draw: only then are quantiles, spread and p-values the same whichever draw is the data's.
    pool = np.concatenate([curve[None], draws])
    n_pool, n_tests = _check(pool, "curve and null", entry_level)
    tail = entry_level / (1 + two_sided)
    if n_pool * tail < 1:
        raise InputError(
            f"{len(draws)} draws cannot tell a quantile of {tail:g}: at least {int(np.ceil(1 / tail)) - 1} are needed, and "
            "1000 are better"
        )
    spread = pool.std(axis=0)
    statistics = (pool - pool.mean(axis=0)) / np.where(spread > 0, spread, 1)
    upper = np.quantile(statistics, 1 - tail, axis=0)
    lower = np.quantile(statistics, tail, axis=0) if two_sided else np.full(n_tests, -np.inf)
    return _test(statistics, lower, upper, _edges(adjacency, n_tests))


def draw_signs(key: jax.Array, n_subjects: int, n_draws: int) -> Float[np.ndarray, "n_rows n_subjects"]:
    """Rows of plus and minus one, the first all plus; every such row when there are few."""
    if 2**n_subjects <= n_draws + 1:
        flipped = (np.arange(2**n_subjects)[:, None] >> np.arange(n_subjects)) & 1
    else:
        drawn = np.asarray(jax.random.bernoulli(key, 0.5, (n_draws, n_subjects)))
        flipped = np.concatenate([np.zeros((1, n_subjects)), drawn])
    return 1.0 - 2.0 * flipped


def _test(
    statistics: Float[np.ndarray, "n_rows n_tests"],
    lower: Float[np.ndarray, " n_tests"],
    upper: Float[np.ndarray, " n_tests"],
    edges: Int[np.ndarray, "2 n_edges"],
) -> ClusterTest:
    """Find the clusters of the first row and judge them by the heaviest of every row."""
    sides = [statistics > upper, statistics < lower] if np.isfinite(lower).all() else [statistics > upper]
    at_once = max(1, ENTRIES_AT_ONCE // statistics.shape[1])
    heaviest = np.zeros(len(statistics))
    for inside in sides:
        for start in range(0, len(statistics), at_once):
            rows = slice(start, start + at_once)
            _, masses = _clusters(statistics[rows], inside[rows], edges)
            heaviest[rows] = np.maximum(heaviest[rows], np.abs(masses).max(axis=1))
    clusters = []
    for inside in sides:
        labels, masses = (found[0] for found in _clusters(statistics[:1], inside[:1], edges))
        for label in np.unique(labels[inside[0]]):
            members = np.flatnonzero((labels == label) & inside[0])
            mass = float(masses[members[0]])
            p_value = float((heaviest >= abs(mass) * (1 - ROUNDING)).mean())
            clusters.append(Cluster(int(members[0]), int(members[-1]) + 1, mass, p_value, members))
    return ClusterTest(sorted(clusters, key=lambda cluster: cluster.start), statistics[0], lower, upper, heaviest)


def _clusters(
    statistics: Float[np.ndarray, "n_rows n_tests"],
    inside: Bool[np.ndarray, "n_rows n_tests"],
    edges: Int[np.ndarray, "2 n_edges"],
) -> tuple[Int[np.ndarray, "n_rows n_tests"], Float[np.ndarray, "n_rows n_tests"]]:
    """Label each entry by its cluster, and give it the cluster's mass (zero outside); all rows are one graph."""
    n_entries = statistics.size
    row, edge = np.nonzero(inside[:, edges[0]] & inside[:, edges[1]])
    ends = row * statistics.shape[1] + edges[:, edge]
    graph = sparse.coo_array((np.ones(len(row), dtype=bool), (ends[0], ends[1])), shape=(n_entries, n_entries))
    n_labels, labels = connected_components(graph, directed=False)
    masses = np.bincount(labels, weights=np.where(inside, statistics, 0.0).ravel(), minlength=n_labels)
    return labels.reshape(inside.shape), masses[labels].reshape(inside.shape)


def _edges(adjacency: Adjacency, n_tests: int) -> Int[np.ndarray, "2 n_edges"]:
    if adjacency is None:
        return np.stack([np.arange(n_tests - 1), np.arange(1, n_tests)])
    matrix = sparse.coo_array(adjacency)
    if matrix.shape != (n_tests, n_tests):
        raise InputError(
            f"the adjacency has shape {matrix.shape}, but ({n_tests}, {n_tests}) is expected: one row and column per test"
        )
    first, second = matrix.nonzero()
    different = first != second
    return np.stack([first[different], second[different]]).astype(np.int64)


def _check(values: np.ndarray, what: str, entry_level: float) -> tuple[int, int]:
    if values.ndim != 2 or values.shape[1] == 0:
        raise InputError(f"the {what} have shape {values.shape}, but two axes are expected, the last of them times")
    if not np.isfinite(values).all():
        raise InputError(f"the {what} hold NaN or infinite values: leave out times without a score")
    if not 0 < entry_level < 0.5:
        raise InputError(f"entry_level is {entry_level}, but a share between 0 and 0.5 is expected, such as 0.05")
    return values.shape[0], values.shape[1]


__all__ = ["Cluster", "ClusterTest", "cluster_permutations", "cluster_sign_flips"]
