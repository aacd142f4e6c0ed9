r"""How well the best model could do in one subject, from the reliability of its own repeats.

Where there is no other subject to hold one against, its trials are split into two halves at random, and the RDMs of the halves are
compared. Their correlation :math:`r` is that of half the data; Spearman and Brown's formula gives that of all,
:math:`R = kr / (1 + (k - 1) r)` with :math:`k` how many times as many trials a condition has as a half of it (2 where they are
even). A model that is the noise-free RDM itself would correlate with the measured one by :math:`\sqrt{R}`, which is the ceiling.

It holds for what the same subject would show again, not for other subjects, and as far as noise adds to dissimilarities as the
formula supposes: independent between halves, and with a variance that falls as one over the number of trials. Squared distances
hold noise times noise too, which falls faster: the ceiling is then somewhat low where noise is strong.

References: Spearman 1910, doi:10.1111/j.2044-8295.1910.tb00206.x; Brown 1910, doi:10.1111/j.2044-8295.1910.tb00207.x;
Lage-Castellanos et al. 2019, doi:10.1371/journal.pcbi.1006397 (ceilings from reliability).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Real
from scipy import stats

from bioplausible.foundation.errors import InputError, unknown_name
from rsa import missing
from rsa.checks import find_comparator
from rsa.measures import measure_named, network_rdm, region_rdm
from rsa.precision import in_double_precision

CORRELATIONS = ("spearman", "pearson", "whitened_pearson")
"""Comparators that the formula is for."""
MINIMUM_CONDITIONS = 6
MOST_GROUPS = 20


class SplitHalves(NamedTuple):
    """Reliability of one subject's RDM, and what it leaves a model.

    Attributes
    ----------
    half
        Mean correlation of the RDMs of two halves.
    ceiling
        What the noise-free RDM would score with that of all trials; below zero, as a sign, where halves correlate below zero.
    lower, upper
        Interval of the ceiling, for other stimuli.
    """

    half: float
    ceiling: float
    lower: float
    upper: float


def _halves(key: jax.Array, trials: np.ndarray, by_run: bool) -> tuple[np.ndarray, np.ndarray]:
    """Two halves of every condition's trials: (n_trials // 2, n_conditions, n_channels) where runs stay together, else means."""
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint64))
    if by_run:
        order = random.permutation(len(trials))
        size = len(trials) // 2
        return trials[order[:size]], trials[order[size : 2 * size]]
    there = np.isfinite(trials).all(axis=-1)
    # Trials that are there come first, in an order of chance, each condition by itself.
    order = np.argsort(np.where(there, random.random(there.shape), 2.0), axis=0)
    shuffled = np.take_along_axis(trials, order[..., None], axis=0)
    sizes = there.sum(axis=0) // 2
    place = np.arange(len(trials))[:, None]
    means = [
        np.where(members[..., None], shuffled, 0.0).sum(axis=0) / sizes[:, None]
        for members in (place < sizes, (place >= sizes) & (place < 2 * sizes))
    ]
    return means[0], means[1]


def _ceiling(half: np.ndarray, times: float) -> np.ndarray:
    whole = times * half / (1 + (times - 1) * half)
    return np.asarray(np.sign(whole) * np.sqrt(np.abs(whole)))


@in_double_precision
def split_half_ceiling(
    key: jax.Array,
    trials: Real[np.ndarray, "n_trials n_conditions n_channels"],
    measure: str = "correlation",
    comparator: str = "spearman",
    n_splits: int = 20,
    confidence: float = 0.95,
) -> SplitHalves:
    """Bound what any model can reach in one subject, by splitting its trials.

    Parameters
    ----------
    key
        JAX random key of the splits.
    trials
        Patterns, shape (n_trials, n_conditions, n_channels), at least two of each condition. NaN in all channels is a trial that a
        condition does not have: conditions may have been shown more or less often.
    measure
        One of `rsa.MEASURES`. One that takes runs apart needs at least four trials, each with every condition, and splits by trial.
    comparator
        A correlation: "spearman", "pearson" or "whitened_pearson".
    n_splits
        Random splits, whose correlations are averaged.
    confidence
        Coverage of the interval, which is a jackknife's over up to twenty groups of conditions (Student's t).

    Returns
    -------
    SplitHalves
        Half-data reliability, ceiling and interval.

    Raises
    ------
    InputError
        For a comparator that is no correlation, too few conditions or trials, and as `rsa.rdm` does.

    >>> shared = np.random.default_rng(0).normal(size=(12, 30))
    >>> trials = np.stack([shared + 0.01 * np.random.default_rng(seed).normal(size=shared.shape) for seed in range(1, 5)])
    >>> round(split_half_ceiling(jax.random.key(0), trials).ceiling, 2)
    1.0
    """
    apart = measure_named(measure).across_runs
    if comparator not in CORRELATIONS:
        raise unknown_name("comparator of split halves", comparator, CORRELATIONS)
    if trials.ndim != 3 or trials.shape[1] < MINIMUM_CONDITIONS or n_splits < 1 or not 0 < confidence < 1:
        raise InputError(
            f"trials of shape {trials.shape}, n_splits={n_splits}, confidence={confidence} were given: expected (n_trials, "
            f"n_conditions, n_channels) with at least {MINIMUM_CONDITIONS} conditions, one split or more and a share"
        )
    n_conditions = trials.shape[1]
    counts = np.isfinite(trials).all(axis=-1).sum(axis=0)
    if apart and (counts < max(len(trials), 4)).any():
        raise InputError(
            f"measure '{measure}' compares runs with each other, and halves of {len(trials)} trials, some without a condition, "
            "have too few: at least four are needed, each with every condition; use correlation or euclidean"
        )
    if counts.min() < 2:
        raise InputError(f"condition {int(counts.argmin())} has {counts.min()} trials: two are needed to split them")
    n_groups = min(n_conditions // 2, MOST_GROUPS)
    # Groups of conditions that the jackknife leaves out, spread over the order that stimuli have; and at last all of them.
    kept = (np.arange(n_conditions) % n_groups != np.arange(n_groups + 1)[:, None]).astype(np.int64)
    halves, compared = np.zeros(n_groups + 1), find_comparator(comparator)
    for split in range(n_splits):
        both = _halves(jax.random.fold_in(key, split), np.asarray(trials, np.float64), apart)
        ours, theirs = (region_rdm(each, measure, by_run=True) if apart else network_rdm(each, measure) for each in both)
        first, second = (missing.prepare(compared, each[None]) for each in (ours, theirs))
        halves = halves + missing.draw_scores(compared, first, second, kept)[:, 0, 0] / n_splits
    without, half = halves[:-1], halves[-1]
    spread = np.sqrt((n_groups - 1) / n_groups * np.sum((without - without.mean()) ** 2))
    reach = stats.t.ppf((1 + confidence) / 2, n_groups - 1) * spread
    # The root is steep near zero: what is symmetrical is the halves' correlation.
    ends = _ceiling(np.clip([half, half - reach, half + reach], -1, 1), float(np.mean(counts / (counts // 2))))
    return SplitHalves(float(half), *(float(each) for each in ends))


__all__ = ["CORRELATIONS", "SplitHalves", "split_half_ceiling"]
