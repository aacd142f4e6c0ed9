"""Noise ceilings of rank comparators in every bootstrap draw.

The best single RDM is the mean of the subjects' mid-ranks (Nili et al. 2014, doi:10.1371/journal.pcbi.1003553), which itself
has to be ranked: once for all subjects and once for each that is left out, in every draw. Pairs that a draw does not hold are
dropped first, which leaves two in five; draws are shared out among threads, since sorting needs no interpreter.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float, Int

from rsa.bootstrap import pair_weights


def weighted_ranks(values: Float[np.ndarray, "n_rdms n_pairs"], weights: Float[np.ndarray, " n_pairs"]) -> np.ndarray:
    """Mid-ranks of entries that count as often as their weights say, shape (n_rdms, n_pairs)."""
    order = np.argsort(values, axis=-1)
    ordered = np.take_along_axis(values, order, axis=-1)
    cumulated = np.cumsum(weights[order], axis=-1)
    new = np.ones(values.shape, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    # Of every run of ties: what has been counted before it, and with it.
    index = np.arange(values.shape[1])
    start = np.maximum.accumulate(np.where(new, index, 0), axis=-1)
    last = np.ones(values.shape, dtype=bool)
    last[:, :-1] = new[:, 1:]
    end = np.minimum.accumulate(np.where(last, index, values.shape[1])[:, ::-1], axis=-1)[:, ::-1]
    padded = np.concatenate([np.zeros((len(values), 1)), cumulated], axis=-1)
    ranked = (np.take_along_axis(padded, start, axis=-1) + np.take_along_axis(padded, end + 1, axis=-1) + 1) / 2
    found = np.empty_like(ranked)
    np.put_along_axis(found, order, ranked, axis=-1)
    return found


def _rho_a(ours: np.ndarray, theirs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rho-a of ranked RDMs, row by row."""
    total = weights.sum()
    middle = (total + 1) / 2
    inner = ((ours - middle) * (theirs - middle)) @ weights
    return np.asarray(inner / ((total**3 - total) / 12))


def _one_draw(comparator: str, data: np.ndarray, weights: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    held, present = weights > 0, drawn > 0
    if present.sum() < 2 or held.sum() < 2:
        return np.nan, np.nan
    weights, copies = weights[held], drawn[present, None].astype(np.float64)
    ranks = weighted_ranks(data[np.ix_(present, held)], weights)
    # Sums of half-integers are exact, and so are ties of the mean.
    counted = copies * ranks
    total = counted.sum(axis=0)
    pooled = weighted_ranks(np.concatenate([total[None], total - counted]), weights)
    lower = _rho_a(pooled[1:], ranks, weights).mean()
    return float(lower), float(_rho_a(pooled[:1], ranks, weights).mean())


def rank_ceilings(
    comparator: str,
    data: Float[np.ndarray, "n_subjects n_pairs"],
    counts: Int[np.ndarray, "n_condition_draws n_conditions"],
    drawn: Int[np.ndarray, "n_subject_draws n_subjects"],
) -> tuple[Float[np.ndarray, " n_draws"], Float[np.ndarray, " n_draws"]]:
    """Lower and upper noise ceiling of every draw; one row of counts, or of subjects, stands for all draws.

    NaN where a draw holds one subject alone.
    """
    n_draws = max(len(counts), len(drawn))

    def one(index: int) -> tuple[float, float]:
        weights = pair_weights(counts[min(index, len(counts) - 1)])
        return _one_draw(comparator, data, weights, drawn[min(index, len(drawn) - 1)])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bounds = np.array(list(pool.map(one, range(n_draws))))
    return bounds[:, 0], bounds[:, 1]


__all__ = ["rank_ceilings", "weighted_ranks"]
