r"""Inner products of RDMs in every bootstrap draw at once, and what follows from them: scores and noise ceilings.

Pearson, cosine and their whitened forms are cosines in some inner product of RDMs. A draw that holds condition i
:math:`c_i` times weights pair (i, j) by :math:`w_{ij} = c_i c_j`, so that

.. math:: \Gamma_{ab} = \sum_p w_p a_p b_p - \frac{(\sum_p w_p a_p)(\sum_p w_p b_p)}{\sum_p w_p}

(the second term where RDMs are centred) for all models and subjects and all draws is *one* matrix product, of the products
:math:`a_p b_p` with the weights. Everything else, and the ceilings above all, is then arithmetic on matrices as small as the
number of RDMs: with :math:`G` the part of the subjects, at unit diagonal, and subjects drawn :math:`s` times, the mean of all is
:math:`\sqrt{s^\top G s}` long.

*Whitened.* Estimated dissimilarities of conditions with equal, independent noise covary as
:math:`V = 2I + B B^\top` (times a constant), B the incidence of pairs and conditions (Diedrichsen et al. 2021,
doi:10.51628/001c.27664). Resampled conditions are as many patterns as were drawn, and copies of one are tied, so that Woodbury's
identity leaves a system of one equation a condition: with :math:`u_i = \sum_j c_j a_{ij}`,

.. math:: a^\top V^{-1} b = \tfrac12 \Big( \sum_p w_p a_p b_p - \sum_i c_i\, u^a_i\, y^b_i \Big), \qquad
          (2 + n - 2 c_i)\, y_i + \sum_j c_j y_j = u^b_i

Of complete RDMs that is a diagonal and a product of two vectors, and solved in closed form. Where pairs are missing, with
:math:`m_{ij}` zero for these, :math:`(2 + \sum_j c_j m_{ij})\, y_i + \sum_j c_j m_{ij} y_j = u^b_i` is solved as it stands, one
system a draw.

Weights of half a million pairs in a thousand draws are four gigabytes: they are made row by row of the RDM, and forgotten.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rsa.bootstrap import leave_one_out_counts
from rsa.pairs import condition_count, to_square

# Weights of pairs, or products of RDMs, that are held at a time, in numbers.
NUMBERS_AT_ONCE = 2**24
VARIANCE_TOLERANCE = 1e-12


class Metric(NamedTuple):
    """An inner product of RDMs: of centred ones or not, whitened or not."""

    centred: bool
    whitened: bool


METRICS = {
    "pearson": Metric(centred=True, whitened=False),
    "cosine": Metric(centred=False, whitened=False),
    "whitened_pearson": Metric(centred=True, whitened=True),
    "whitened_cosine": Metric(centred=False, whitened=True),
}


class Products(NamedTuple):
    """Inner products in every draw.

    inner: (n_draws, n_products), of pairs of RDMs. square: (n_draws, n_rdms), of each with itself, NaN where only rounding is left.
    """

    inner: Float[np.ndarray, "n_draws n_products"]
    square: Float[np.ndarray, "n_draws n_rdms"]


def _tiles(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, max(size, 1)):
        yield slice(start, min(start + max(size, 1), n))


def _rows_at_a_time(n_conditions: int, numbers_per_pair: int) -> Iterator[tuple[int, int, slice]]:
    """Rows of an RDM from and to, and the condensed pairs in them."""
    ends = np.cumsum(np.arange(n_conditions - 1, 0, -1))
    row = 0
    while row < n_conditions - 1:
        begin = int(ends[row - 1]) if row else 0
        last = max(int(np.searchsorted(ends, begin + NUMBERS_AT_ONCE // numbers_per_pair, side="right")), row + 1)
        yield row, last, slice(begin, int(ends[last - 1]))
        row = last


def _weighted_sums(
    rdms: np.ndarray, first: np.ndarray, second: np.ndarray, alone: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted sums of products of RDMs, (n_products, n_draws), and of single vectors of pairs, (n_alone, n_draws)."""
    n_draws, n_conditions = counts.shape
    of_conditions = np.ascontiguousarray(counts.T)
    found, of_alone = np.zeros((len(first), n_draws)), np.zeros((len(alone), n_draws))
    for start, stop, pairs in _rows_at_a_time(n_conditions, max(n_draws, len(first))):
        weights, at = np.empty((pairs.stop - pairs.start, n_draws)), 0
        for row in range(start, stop):
            after = n_conditions - 1 - row
            np.multiply(of_conditions[row + 1 :], of_conditions[row], out=weights[at : at + after])
            at += after
        some = rdms[:, pairs]
        found += (some[first] * some[second]) @ weights
        if len(alone):
            of_alone += alone[:, pairs] @ weights
    return found, of_alone


def _sums_without_each(rdms: np.ndarray, first: np.ndarray, second: np.ndarray, alone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same sums where each condition in turn is left out: all but those of the row of that condition."""

    def without(vector: np.ndarray) -> np.ndarray:
        return np.asarray(vector.sum() - to_square(vector).sum(axis=1))

    n_conditions = condition_count(rdms.shape[1])
    found = np.empty((len(first), n_conditions))
    for index, (one, other) in enumerate(zip(first, second, strict=True)):
        found[index] = without(rdms[one] * rdms[other])
    return found, np.array([without(vector) for vector in alone]).reshape(len(alone), n_conditions)


def _whitening(square: np.ndarray, counts: np.ndarray, means: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    """What whitening takes from inner products, (n_draws, n_rdms, n_rdms); `known` is zero for missing pairs, or None."""
    n_draws, n_conditions = counts.shape
    n_rdms = len(square)
    sums = (square.reshape(-1, n_conditions) @ counts.T).T.reshape(n_draws, n_rdms, n_conditions)
    n_drawn = counts.sum(axis=1, keepdims=True)
    # How many pairs each condition is in; a centred RDM is less by its mean in all of them.
    degree = n_drawn - counts if known is None else counts @ known
    # Conditions that were not drawn have no equation.
    sums = np.where((counts > 0)[:, None, :], sums - means[:, :, None] * degree[:, None, :], 0)
    if known is not None:
        system = known[None] * counts[:, None, :]
        index = np.arange(n_conditions)
        system[:, index, index] = 2 + degree
        solved = np.linalg.solve(system, sums.transpose(0, 2, 1))
        return np.asarray((sums * counts[:, None, :]) @ solved)
    diagonal = 2 + n_drawn - 2 * counts
    # At most one condition makes up so much of a draw that nothing is left of its equation but the sum of all.
    singular = (diagonal == 0) & (counts > 0)
    shift = (sums * singular[:, None, :]).sum(axis=2)
    shares = np.where(singular, 0, counts / np.where(diagonal == 0, 1, diagonal))
    weighted = np.where(counts > 0, 1, 0)[:, None, :] * (sums - shift[:, :, None])
    inner = (weighted * shares[:, None, :]) @ weighted.transpose(0, 2, 1)
    total = (weighted * shares[:, None, :]).sum(axis=2)
    per_draw = np.where(singular.any(axis=1), 0, 1 / (1 + shares.sum(axis=1)))[:, None, None]
    return np.asarray(inner - total[:, :, None] * total[:, None, :] * per_draw + shift[:, :, None] * shift[:, None, :])


def products(
    rdms: Float[np.ndarray, "n_rdms n_pairs"],
    first: Int[np.ndarray, " n_products"],
    second: Int[np.ndarray, " n_products"],
    counts: Int[np.ndarray, "n_draws n_conditions"] | None,
    metric: Metric,
    measured: Bool[np.ndarray, " n_pairs"] | None = None,
) -> Products:
    """Inner products of some RDMs under every draw of conditions.

    Parameters
    ----------
    rdms
        Condensed RDMs.
    first, second
        Which RDMs are multiplied.
    counts
        How often each condition was drawn; None for draws that leave each condition out in turn.
    metric
        One of ``METRICS``.
    measured
        Which pairs count; all by default.

    Returns
    -------
    Products
        See its fields.
    """
    n_rdms, n_pairs = rdms.shape
    kept = np.ones(n_pairs, dtype=bool) if measured is None else measured
    # What scale and offset an RDM has makes no difference to centred ones; without them fewer digits cancel.
    offset = rdms[:, kept].mean(axis=1, keepdims=True) if metric.centred else 0.0
    values = np.where(kept, rdms - offset, 0.0)
    values = values / np.maximum(np.abs(values).max(axis=1, keepdims=True), np.finfo(float).tiny)
    counted = np.asarray(leave_one_out_counts(condition_count(n_pairs)) if counts is None else counts, dtype=np.float64)
    every = np.arange(n_rdms)
    complete = bool(kept.all())
    alone = values if metric.centred else values[:0]
    alone = alone if complete else np.concatenate([alone, kept[None].astype(np.float64)])
    rows, columns = np.append(first, every), np.append(second, every)
    if counts is None:
        sums, of_alone = _sums_without_each(values, rows, columns, alone)
    else:
        sums, of_alone = _weighted_sums(values, rows, columns, alone, counted)
    sums, raw = sums.T.copy(), sums[len(first) :].T
    total = (counted.sum(axis=1) ** 2 - np.square(counted).sum(axis=1)) / 2 if complete else of_alone[-1]
    means = np.zeros((len(counted), n_rdms))
    if metric.centred:
        with np.errstate(invalid="ignore", divide="ignore"):
            means = of_alone[:n_rdms].T / total[:, None]
        sums -= total[:, None] * means[:, rows] * means[:, columns]
    if metric.whitened:
        square = to_square(values)
        known = None if complete else to_square(kept.astype(np.float64))
        n_conditions = counted.shape[1]
        numbers = n_conditions * (n_rdms + (0 if complete else n_conditions))
        for part in _tiles(len(counted), NUMBERS_AT_ONCE // numbers):
            taken = _whitening(square, counted[part], np.nan_to_num(means[part]), known)
            sums[part] = (sums[part] - taken[:, rows, columns]) / 2
    own = sums[:, len(first) :]
    return Products(sums[:, : len(first)], np.where(own > VARIANCE_TOLERANCE * raw, own, np.nan))


def grams(
    rdms: Float[np.ndarray, "n_rdms n_pairs"],
    counts: Int[np.ndarray, "n_draws n_conditions"],
    metric: Metric,
    measured: Bool[np.ndarray, " n_pairs"] | None = None,
) -> Float[np.ndarray, "n_draws n_rdms n_rdms"]:
    """Inner products of every two RDMs under every draw of conditions.

    Parameters
    ----------
    rdms
        Condensed RDMs.
    counts
        How often each condition was drawn.
    metric
        One of ``METRICS``.
    measured
        Which pairs count; all by default.

    Returns
    -------
    Shape (n_draws, n_rdms, n_rdms), with NaN on the diagonal where only rounding is left of an RDM; divided by the root of the
    diagonal they are the comparator's scores.
    """
    first, second = np.triu_indices(len(rdms), 1)
    found = products(rdms, first, second, counts, metric, measured)
    inner = np.empty((len(counts), len(rdms), len(rdms)))
    inner[:, first, second] = inner[:, second, first] = found.inner
    index = np.arange(len(rdms))
    inner[:, index, index] = found.square
    return inner


def normalise(inner: Float[np.ndarray, "n_draws n_rdms n_rdms"]) -> Float[np.ndarray, "n_draws n_rdms n_rdms"]:
    """Cosines from inner products; NaN where nothing but rounding is left of an RDM."""
    length = np.sqrt(np.einsum("nii->ni", inner))
    return np.asarray(inner / length[:, :, None] / length[:, None, :])


def draw_scores(
    models: Float[np.ndarray, "n_models n_pairs"],
    data: Float[np.ndarray, "n_data n_pairs"],
    counts: Int[np.ndarray, "n_draws n_conditions"] | None,
    metric: Metric,
    measured: Bool[np.ndarray, " n_pairs"] | None = None,
) -> Float[np.ndarray, "n_draws n_models n_data"]:
    """Cosines of every model with every subject in every draw of conditions, or, with None, without each condition in turn."""
    n_models, n_data = len(models), len(data)
    first, second = (index.ravel() for index in np.indices((n_models, n_data)))
    found = products(np.concatenate([models, data]), first, n_models + second, counts, metric, measured)
    length = np.sqrt(found.square)
    inner = found.inner.reshape(-1, n_models, n_data)
    return np.asarray(inner / length[:, :n_models, None] / length[:, None, n_models:])


def root_mean_square(
    rdm: Float[np.ndarray, " n_pairs"], metric: Metric, measured: Bool[np.ndarray, " n_pairs"]
) -> tuple[float, float]:
    """Mean of an RDM, and its length in a metric for each pair that was measured: what brings RDMs to one scale."""
    mean = float(rdm[measured].mean()) if metric.centred else 0.0
    largest = float(np.abs(rdm[measured] - mean).max())
    none, once = np.empty(0, dtype=np.int64), np.ones((1, condition_count(len(rdm))), dtype=np.int64)
    square = products(rdm[None], none, none, once, metric, measured).square[0, 0]
    return mean, largest * float(np.sqrt(square / measured.sum()))


def ceilings_of_draws(
    subjects: Float[np.ndarray, "n_draws n_subjects n_subjects"], drawn: Int[np.ndarray, "n_draws n_subjects"]
) -> tuple[Float[np.ndarray, " n_draws"], Float[np.ndarray, " n_draws"]]:
    """Lower and upper noise ceiling of every draw of subjects, from the subjects' cosines in it.

    Copies of a subject are left out together, and each subject that was drawn counts once, as rsatoolbox has it.
    """
    counted = drawn.astype(np.float64)
    with_all = np.einsum("nst,nt->ns", subjects, counted)  # each subject with the sum of all
    square = np.einsum("ns,ns->n", with_all, counted)[:, None]
    with_others = with_all - counted
    others = square - 2 * counted * with_all + counted**2
    present = drawn > 0
    n_present = present.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        lower = np.where(present, with_others / np.sqrt(np.maximum(others, 0)), 0).sum(axis=1) / n_present
        upper = np.where(present, with_all / np.sqrt(square), 0).sum(axis=1) / n_present
    alone = n_present < 2  # nobody is left to be compared with
    return np.where(alone, np.nan, lower), np.where(alone, np.nan, upper)


__all__ = [
    "METRICS",
    "Metric",
    "Products",
    "ceilings_of_draws",
    "draw_scores",
    "grams",
    "normalise",
    "products",
    "root_mean_square",
]
