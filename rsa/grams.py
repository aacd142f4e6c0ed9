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
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rsa.bootstrap import pair_weights
from rsa.pairs import to_square

# Products of RDMs and of weights that are held at a time, in numbers.
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


def _tiles(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, max(size, 1)):
        yield slice(start, start + max(size, 1))


def _plain(rdms: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted inner products of every two RDMs in every draw, (n_draws, n_rdms, n_rdms)."""
    n_rdms, n_pairs = rdms.shape
    first, second = np.triu_indices(n_rdms)
    found = np.empty((len(first), len(weights)))
    for part in _tiles(len(first), NUMBERS_AT_ONCE // n_pairs):
        found[part] = (rdms[first[part]] * rdms[second[part]]) @ weights.T
    grams = np.empty((len(weights), n_rdms, n_rdms))
    grams[:, first, second] = found.T
    grams[:, second, first] = found.T
    return grams


def _whitening(rdms: np.ndarray, counts: np.ndarray, means: np.ndarray | None) -> np.ndarray:
    """What whitening takes from every inner product, (n_draws, n_rdms, n_rdms)."""
    n_draws, n_conditions = counts.shape
    square = to_square(rdms).reshape(-1, n_conditions)
    n_drawn = counts.sum(axis=1)
    # (n_draws, n_rdms, n_conditions); a centred RDM is less by its mean wherever there is a pair.
    sums = (square @ counts.T).T.reshape(n_draws, len(rdms), n_conditions)
    if means is not None:
        sums = sums - means[:, :, None] * (n_drawn[:, None] - counts)[:, None, :]
    system = np.broadcast_to(counts[:, None, :], (n_draws, n_conditions, n_conditions)).copy()
    index = np.arange(n_conditions)
    system[:, index, index] += 2 + n_drawn[:, None] - 2 * counts
    # Conditions that were not drawn have no equation; any solvable one stands in for theirs.
    absent = counts == 0
    sums = np.where(absent[:, None, :], 0, sums)
    system = np.where(absent[:, :, None], np.eye(n_conditions), system)
    solved = np.linalg.solve(system, sums.transpose(0, 2, 1))
    return np.asarray((sums * counts[:, None, :]) @ solved)


def grams(
    rdms: Float[np.ndarray, "n_rdms n_pairs"], counts: Int[np.ndarray, "n_draws n_conditions"], metric: Metric
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

    Returns
    -------
    Shape (n_draws, n_rdms, n_rdms); divided by the root of the diagonal they are the comparator's scores.
    """
    # What scale and offset an RDM has makes no difference to centred ones; without them fewer digits cancel.
    offset = rdms.mean(axis=1, keepdims=True) if metric.centred else 0.0
    values = rdms - offset
    values = values / np.maximum(np.abs(values).max(axis=1, keepdims=True), np.finfo(float).tiny)
    counted = np.asarray(counts, dtype=np.float64)
    found = np.empty((len(counts), len(rdms), len(rdms)))
    for part in _tiles(len(counts), NUMBERS_AT_ONCE // rdms.shape[1]):
        weights = pair_weights(counts[part])
        inner = _plain(values, weights)
        means = None
        if metric.centred:
            sums, total = weights @ values.T, weights.sum(axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                means = sums / total[:, None]
            if not metric.whitened:
                inner -= sums[:, :, None] * means[:, None, :]
        if metric.whitened:
            if means is not None:
                # Centred by the weighted mean: a - m w-everywhere.
                inner -= total[:, None, None] * means[:, :, None] * means[:, None, :]
            inner = (inner - _whitening(values, counted[part], means)) / 2
        found[part] = inner
    return found


def normalise(
    inner: Float[np.ndarray, "n_draws n_rdms n_rdms"], mean_square: Float[np.ndarray, "*draws n_rdms"] | float = 1.0
) -> Float[np.ndarray, "n_draws n_rdms n_rdms"]:
    """Cosines from inner products; NaN where nothing but rounding is left of an RDM."""
    square = np.einsum("nii->ni", inner)
    length = np.sqrt(np.where(square > VARIANCE_TOLERANCE * mean_square, square, np.nan))
    return np.asarray(inner / length[:, :, None] / length[:, None, :])


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


__all__ = ["METRICS", "Metric", "ceilings_of_draws", "grams", "normalise"]
