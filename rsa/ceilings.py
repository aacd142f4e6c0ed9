"""Noise ceilings: how well the best possible model could do, given that subjects differ.

The lower bound scores each subject against the mean of the others; the upper bound against the mean of all, the
subject included. RDMs are first put on the scale on which the comparator's best single RDM is their mean (Nili et al.
2014): mid-ranks for rho-a and tau-a, z-scores for Pearson, unit length for cosine. Nothing is clipped: a ceiling below
zero says that subjects do not share what is measured.

Reference: Nili et al. 2014, PLoS Computational Biology 10:e1003553, doi:10.1371/journal.pcbi.1003553.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Real

from rsa import comparators, missing
from rsa.checks import check_rdms, check_varies, check_weights, find_comparator
from rsa.comparators import Comparator
from rsa.grams import METRICS, root_mean_square
from rsa.pairs import Array
from rsa.precision import in_double_precision
from rsa.subset_ranks import midranks

MINIMUM_SUBJECTS_FOR_UPPER = 4
# In double precision, 32 MB.
ENTRIES_AT_ONCE = 2**22


class NoiseCeiling(NamedTuple):
    """Lower and upper bound, NaN where one cannot be given; ``withheld`` says why, and is empty otherwise.

    The bounds are numbers, or arrays of the data's leading axes where it has any.
    """

    lower: np.ndarray | float
    upper: np.ndarray | float
    withheld: str


@partial(jax.jit, static_argnums=0)
def _bounds(comparator: Comparator, rdms: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean score against the others' mean, and against everybody's."""
    n_subjects = rdms.shape[0]
    prepared = comparator.prepare(rdms)
    pooled = comparator.pooled(prepared, weights)
    total = pooled.sum(axis=0)

    def against(best: jax.Array, subject: jax.Array) -> jax.Array:
        own = jax.tree.map(lambda leaf: leaf[subject][None], prepared)
        return comparator.score(comparator.prepare(best[None]), own, weights)[0, 0]

    subjects = jnp.arange(n_subjects)
    lower = lax.map(lambda subject: against((total - pooled[subject]) / (n_subjects - 1), subject), subjects)
    everybody = comparator.prepare((total / n_subjects)[None])
    upper = comparator.score(everybody, prepared, weights)
    return lower.mean(), upper.mean()


def _bounds_by_hand(comparator: Comparator, rdms: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """The same for a comparator that JAX does not compile."""
    prepared = comparator.prepare(rdms)
    pooled = comparator.pooled(prepared, weights)
    total, n_subjects = pooled.sum(axis=0), len(rdms)
    best = comparator.prepare(np.concatenate([(total - pooled) / (n_subjects - 1), total[None] / n_subjects]))
    scores = comparator.score(best, prepared, weights)
    return float(np.diagonal(scores).mean()), float(scores[-1].mean())


def _bounds_of_ranks(rdms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both of every set (n_sets, n_subjects, n_pairs), of rho-a where every pair counts once, as exact as above.

    NumPy sorts ten times as fast as what JAX compiles.
    """
    n_sets, n_subjects, n_pairs = rdms.shape
    lower, upper = np.empty(n_sets), np.empty(n_sets)
    middle, divisor = (n_pairs + 1) / 2, (float(n_pairs) ** 3 - n_pairs) / 12
    at_once = max(1, ENTRIES_AT_ONCE // (n_subjects * n_pairs))
    for start in range(0, n_sets, at_once):
        own = midranks(rdms[start : start + at_once].reshape(-1, n_pairs)).reshape(-1, n_subjects, n_pairs)
        total = own.sum(axis=1, keepdims=True)
        best = np.concatenate([total - own, total], axis=1)
        best = midranks(best.reshape(-1, n_pairs)).reshape(best.shape) - middle
        own -= middle
        part = slice(start, start + len(own))
        lower[part] = np.einsum("bsp,bsp->bs", best[:, :-1], own).mean(axis=1) / divisor
        upper[part] = (own @ best[:, -1, :, None])[..., 0].mean(axis=1) / divisor
    return lower, upper


def _on_common_scale(measure: Comparator, comparator: str, rdm: np.ndarray, weights: np.ndarray, most_weight: float) -> np.ndarray:
    """One subject's RDM on the scale on which subjects are averaged, however many pairs it has; NaN where it has none."""
    known = ~np.isnan(rdm)
    filled = np.where(known, rdm, 0.0)
    if comparator in METRICS and not measure.weighs_pairs:
        mean, length = root_mean_square(filled, METRICS[comparator], known)
        return np.where(known, (filled - mean) / length, np.nan)
    counted = weights * known
    given = jnp.asarray(counted) if measure.traceable else counted
    pooled = np.asarray(measure.pooled(comparators.prepare(measure, filled[None]), given))[0]
    # Ranks go up to how many pairs there are, and entries of a vector of unit length are smaller the more there are. Ranks of
    # subjects with as many pairs stay as they are: sums of halves are exact, so that ties of their mean are real ties.
    share = most_weight / counted.sum()
    pooled = pooled / np.sqrt(share) if comparator in METRICS else (pooled - 0.5) * share + 0.5
    return np.where(known, pooled, np.nan)


def _bounds_of_measured(measure: Comparator, comparator: str, rdms: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Both bounds where pairs are missing: a mean is of those who have the pair. NaN where a subject shares none with others."""
    most_weight = float((~np.isnan(rdms) @ weights).max())
    scaled = np.stack([_on_common_scale(measure, comparator, rdm, weights, most_weight) for rdm in rdms])
    known = ~np.isnan(scaled)
    total, n_known = np.where(known, scaled, 0.0).sum(axis=0), known.sum(axis=0)

    def score(best: np.ndarray, count: np.ndarray, subject: int) -> float:
        mean = np.where(count > 0, best / np.maximum(count, 1), np.nan)
        if ((count > 0) & known[subject] & (weights > 0)).sum() < 2:
            return np.nan
        ours, own = (missing.prepare(measure, each[None]) for each in (mean, rdms[subject]))
        return float(missing.score(measure, ours, own, weights)[0, 0])

    lower = [score(total - np.where(known[each], scaled[each], 0.0), n_known - known[each], each) for each in range(len(rdms))]
    return float(np.mean(lower)), float(np.mean([score(total, n_known, each) for each in range(len(rdms))]))


@in_double_precision
def noise_ceiling(
    data_rdms: Real[Array, "*batch n_subjects n_pairs"],
    comparator: str = "spearman",
    weights: Real[Array, " n_weights"] | None = None,
) -> NoiseCeiling:
    """Bound what any model can reach, by leaving one subject out.

    Parameters
    ----------
    data_rdms
        Condensed RDMs, shape (..., n_subjects, n_pairs). NaN is a pair that was not measured: a mean is then of the subjects that
        have the pair, and each is scored on what it shares with them.
    comparator
        As in :func:`rsa.compare`.
    weights
        How often each pair counts, shape (n_pairs,); by default once.

    Returns
    -------
    NoiseCeiling
        With fewer than four subjects the upper bound is NaN, because a mean of so few follows each of them too
        closely; with one subject both are, and the lower one where a subject shares no pairs with the others.

    Raises
    ------
    InputError
        As :func:`rsa.compare` does.

    >>> noise_ceiling(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])).lower
    1.0
    """
    measure = find_comparator(comparator)
    data = check_rdms(data_rdms, "data", missing=True)
    holes = np.isnan(data)
    counts = np.ones(data.shape[-1]) if weights is None else check_weights(weights, data.shape[-1], comparator)
    if holes.any():
        for one in data.reshape(-1, 1, data.shape[-1]):
            missing.check_common(one, one, comparator, counts)
    else:
        check_varies(data, "data", comparator, counts)
    batch, n_subjects = data.shape[:-2], data.shape[-2]
    lower, upper = np.full(batch, np.nan), np.full(batch, np.nan)
    withheld = ""
    if n_subjects == 1:
        withheld = "one subject has no others to be compared with: both bounds need at least two subjects"
    else:
        together = comparator == "spearman" and not holes.any() and (counts == 1).all()
        if together:
            bounds = _bounds_of_ranks(data.reshape(-1, *data.shape[-2:]))
            lower, upper = (bound.reshape(batch) for bound in bounds)
        for index in () if together else np.ndindex(*batch):
            if holes[index].any():
                lower[index], upper[index] = _bounds_of_measured(measure, comparator, data[index], counts)
            elif measure.traceable:
                lower[index], upper[index] = _bounds(measure, jnp.asarray(data[index]), jnp.asarray(counts))
            else:
                lower[index], upper[index] = _bounds_by_hand(measure, data[index], counts)
        if np.isnan(lower).any() and holes.any():
            withheld = "lower bound: a subject has fewer than two pairs of conditions in common with all others; "
        if n_subjects < MINIMUM_SUBJECTS_FOR_UPPER:
            upper[...] = np.nan
            withheld += (
                f"upper bound: the mean of {n_subjects} subjects follows each of them too closely; "
                f"at least {MINIMUM_SUBJECTS_FOR_UPPER} subjects are needed"
            )
    withheld = withheld.removesuffix("; ")
    if not batch:
        return NoiseCeiling(float(lower), float(upper), withheld)
    return NoiseCeiling(lower, upper, withheld)


__all__ = ["NoiseCeiling", "noise_ceiling"]
