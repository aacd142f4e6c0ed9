r"""Model recovery: how often the network that data came from would have won in a study like the one that was made.

For each of several candidates, studies are simulated whose subjects share the representation of one of its layers
(:mod:`rsa.simulated_subjects`), with as many stimuli and subjects as the study had, and as much noise as its noise ceiling tells
of. All candidates are then scored as the study scores them, and the winner is written down. A ranking of candidates is worth what
this says: near chance, 1 / n, data like these cannot tell which of them is right.

It is the best case. The truth is among the candidates, noise is white, and all that subjects share is one layer. Where the best
measured score is far below the ceiling, most of what subjects share is no candidate's: ``explained`` says how much is.

What is recovered is the rule, not the network: the seed that a study is made from is left out for all candidates alike, so that
each is the mean over the same other seeds. (A rule's network is more like another rule's that started from the same weights than
like its own from others, where learning moves little.)

References: Schütt et al. 2023, doi:10.7554/eLife.82566; Kriegeskorte and Diedrichsen 2016, doi:10.1098/rstb.2016.0278;
arXiv:2510.23321 (recovery under 80 % with flexible measures); Wilson 1927, doi:10.1080/01621459.1927.10502953 (intervals).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import stats

from bioplausible.foundation.errors import InputError, unknown_name
from rsa.candidates import Candidates, Networks, check_layers, condition_count_of, networks_of, some_conditions
from rsa.checks import find_comparator
from rsa.flexible import check_splits
from rsa.many_studies import best_layer_means, layer_means
from rsa.measures import measure_named
from rsa.pairs import condition_count
from rsa.precision import in_double_precision
from rsa.simulated_studies import BREAKING_TIES, Study, number_of, random_numbers, schedule, simulated_studies
from rsa.simulated_subjects import Sampling, ceilings, noise_free

__all__ = ["Recovery", "model_recovery", "recovery_by_conditions"]

BYTES_AT_ONCE = 2**28
"""Of simulated RDMs that are scored together."""
CHECKED_STUDIES = 20
"""Of each candidate, whose noise ceiling is worked out again."""
TIED = 1e-12


class Recovery(NamedTuple):
    """How often each candidate is recovered from data of its own.

    Attributes
    ----------
    names
        Of the candidates, in the order of all that follows.
    confusion
        Of the studies made from each candidate (rows), how many each one won (columns), (n, n).
    rates, rates_lower, rates_upper
        Share of each candidate's studies that it won itself, with Wilson intervals, (n,). With noise alone some candidates win more
        often than others, whichever data came from; only the mean over candidates is then `chance`.
    rate, lower, upper
        The same of all studies. Intervals are of how many were simulated, not of other seeds, layers or stimuli.
    chance
        1 / n.
    pairwise
        Share of each candidate's studies (rows) in which it scored above each other one (columns), ties as one half, (n, n): chance
        is .5, and the diagonal NaN.
    told_apart
        Share of the studies of either of two candidates in which the true one scored above the other, (n, n), symmetric: chance is
        .5, also where one of them scores higher whichever the data came from.
    scores
        Mean score of each candidate (columns) in the studies of each (rows), (n, n).
    ceiling
        The noise ceiling that was asked for.
    achieved
        Mean noise ceiling of some of each candidate's studies, (n,), whose noise the calibration had not seen.
    n_simulations
        Studies a candidate.
    """

    names: tuple[str, ...]
    confusion: np.ndarray
    rates: np.ndarray
    rates_lower: np.ndarray
    rates_upper: np.ndarray
    rate: float
    lower: float
    upper: float
    chance: float
    pairwise: np.ndarray
    told_apart: np.ndarray
    scores: np.ndarray
    ceiling: float
    achieved: np.ndarray
    n_simulations: int


def _check_options(
    ceiling: float, sampling: Sampling, n_simulations: int, generating_layer: str | int, scoring: str, confidence: float
) -> None:
    find_comparator(sampling.comparator)
    if measure_named(sampling.measure).distance == "poisson":
        raise InputError(
            f"measure '{sampling.measure}' is of counts, and simulated responses have Gaussian noise: use correlation, "
            "euclidean or crossnobis"
        )
    if not 0 <= ceiling < 1:
        raise InputError(
            f"ceiling={ceiling} was given: expected the measured noise ceiling, from 0 to below 1, as the lower bound of "
            "rsa.noise_ceiling or, of one subject, the ceiling of rsa.split_half_ceiling; below 0 there is nothing to recover"
        )
    counts = {"n_subjects": sampling.n_subjects, "n_simulations": n_simulations}
    counts |= {"n_channels": sampling.n_channels - 2, "n_runs": sampling.n_runs - 1}
    if min(counts.values()) < 1 or not 0 < sampling.explained <= 1 or not 0 < confidence < 1:
        raise InputError(
            f"n_subjects={sampling.n_subjects}, n_simulations={n_simulations}, n_channels={sampling.n_channels}, "
            f"n_runs={sampling.n_runs}, explained={sampling.explained}, confidence={confidence} were given: expected one subject "
            "and simulation or more, three channels, two runs, explained above 0 and at most 1, and a share between 0 and 1"
        )
    if isinstance(generating_layer, str) and generating_layer not in ("in turn", "drawn"):
        raise unknown_name("generating layer", generating_layer, ("in turn", "drawn"))
    if scoring not in ("best", "known"):
        raise unknown_name("way of scoring", scoring, ("best", "known"))


class _Scoring(NamedTuple):
    """How the study scores: key of folds, comparator, "best" or "known", and how stimuli and subjects are split."""

    key: jax.Array
    comparator: str
    scoring: str
    n_condition_folds: int
    n_subject_folds: int
    n_partitions: int


def _scores(scoring: _Scoring, networks: Networks, studies: Sequence[Study], rdms: np.ndarray) -> np.ndarray:
    """Mean score of every candidate over subjects and the seeds that data did not come from, (n_studies, n_candidates)."""
    n_candidates, n_seeds = len(networks.members), len(networks.members[0])
    if scoring.scoring == "known":
        found = layer_means(networks.rdms, rdms, scoring.comparator)
        layer = np.array([study.layer for study in studies])
        first = np.array([network[0] for seeds in networks.members for network in seeds])
        by_network = np.take_along_axis(found, first[None] + layer[:, None], axis=1)
    else:
        groups = [network for seeds in networks.members for network in seeds]
        by_network = best_layer_means(scoring.key, networks.rdms, groups, rdms, scoring.comparator, *scoring[3:])
    by_seed = by_network.reshape(len(studies), n_candidates, n_seeds)
    generating = np.array([study.seed for study in studies])
    others = np.arange(n_seeds) != generating[:, None]
    return np.asarray((by_seed * others[:, None]).sum(axis=2) / (n_seeds - 1))


def _all_scores(
    scoring: _Scoring,
    networks: Networks,
    simulated: Iterator[tuple[Study, np.ndarray, np.ndarray]],
    n_simulations: int,
    sampling: Sampling,
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n_candidates, n_simulations, n_candidates), and the noise ceiling of each candidate's studies (n_candidates,)."""
    n_candidates, n_pairs = len(networks.members), networks.rdms.shape[1]
    at_once = max(1, BYTES_AT_ONCE // (8 * n_pairs * sampling.n_subjects))
    scores = np.empty((n_candidates, n_simulations, n_candidates))
    achieved = np.full((n_candidates, n_simulations), np.nan)
    every = max(1, n_simulations // CHECKED_STUDIES)
    waiting: list[tuple[Study, np.ndarray]] = []

    def score() -> None:
        studies = [study for study, _ in waiting]
        found = _scores(scoring, networks, studies, np.stack([rdms for _, rdms in waiting]))
        for study, row in zip(studies, found, strict=True):
            scores[study.candidate, study.simulation] = row
        waiting.clear()

    n_seen = np.zeros(n_candidates, int)
    for study, rdms, signal in simulated:
        # One in so many of those of every layer, which follow each other.
        if n_seen[study.candidate] % every == 0:
            achieved[study.candidate, study.simulation] = ceilings(
                rdms[None], noise_free(signal[None], sampling), sampling.comparator
            )[0]
        n_seen[study.candidate] += 1
        waiting.append((study, rdms))
        if len(waiting) == at_once:
            score()
    if waiting:
        score()
    return scores, np.nanmean(achieved, axis=1)


def _winners(key: jax.Array, names: Sequence[str], scores: np.ndarray) -> np.ndarray:
    """Who won each study, (n_candidates, n_simulations); among those who are level, one at random."""
    level = scores >= scores.max(axis=2, keepdims=True) - TIED
    lots = np.stack([random_numbers(key, BREAKING_TIES, number_of(name)).random(scores.shape[1:]) for name in names])
    return np.where(level, lots, -1.0).argmax(axis=2)


def _interval(won: int, n: int, confidence: float) -> tuple[float, float]:
    found = stats.binomtest(won, n).proportion_ci(confidence, "wilson")
    return float(found.low), float(found.high)


def _summed_up(
    names: Sequence[str], scores: np.ndarray, winners: np.ndarray, ceiling: float, achieved: np.ndarray, confidence: float
) -> Recovery:
    n, n_simulations = winners.shape
    confusion = np.stack([np.bincount(row, minlength=n) for row in winners])
    own = np.diagonal(scores, axis1=0, axis2=2).T[:, :, None]
    pairwise = np.where(np.abs(own - scores) <= TIED, 0.5, own > scores).mean(axis=1)
    np.fill_diagonal(pairwise, np.nan)
    won = np.diagonal(confusion)
    each = np.array([_interval(int(count), n_simulations, confidence) for count in won])
    lower, upper = _interval(int(won.sum()), n * n_simulations, confidence)
    return Recovery(
        tuple(names), confusion, won / n_simulations, each[:, 0], each[:, 1], float(won.mean() / n_simulations), lower, upper,
        1 / n, pairwise, (pairwise + pairwise.T) / 2, scores.mean(axis=1), ceiling, achieved, n_simulations,
    )  # fmt: skip


@in_double_precision
def model_recovery(
    key: jax.Array,
    candidates: Candidates,
    ceiling: float,
    n_subjects: int,
    measure: str = "correlation",
    comparator: str = "spearman",
    n_simulations: int = 100,
    generating_layer: str | int = "in turn",
    scoring: str = "best",
    n_channels: int = 100,
    n_runs: int = 4,
    explained: float = 1.0,
    confidence: float = 0.95,
    n_condition_folds: int = 3,
    n_subject_folds: int = 2,
    n_partitions: int = 4,
) -> Recovery:
    """Simulate studies from each candidate, and count how often it wins its own.

    Parameters
    ----------
    key
        JAX random key. A candidate's studies depend on it and on the candidate's name, not on which others there are, nor in which
        order.
    candidates
        By name (of a learning rule), for each of at least two seeds, for each layer: patterns (n_conditions, n_units), not rotated
        by :func:`rsa.narrow`, or a condensed RDM (n_pairs,) of the measure. All have the same conditions and as many seeds; how
        many layers there are may differ between names. A reference model without seeds is given as often as the others have seeds.
    ceiling
        The measured noise ceiling, from 0 to below 1: the lower bound of :func:`rsa.noise_ceiling` with the same comparator, or, of
        one subject, the ceiling of :func:`rsa.split_half_ceiling` (the root of the reliability of its RDM).
    n_subjects
        How many the study had. One subject's ceiling is what its RDM without noise scores: that its channels are a sample of units
        is not in it, as it is in that of several.
    measure
        One of `rsa.MEASURES`, except Poisson's.
    comparator
        As in :func:`rsa.compare`. Kendall's is no inner product, and takes much longer than the others.
    n_simulations
        Studies a candidate. Seeds take turns.
    generating_layer
        Whose geometry subjects share: each layer ``"in turn"``, one ``"drawn"`` for each study, or always that of an index.
    scoring
        ``"best"``: each network's best layer, chosen on other stimuli and subjects than it is scored on, as
        :func:`rsa.evaluate_best_layers` does; all studies share its folds. ``"known"``: the layer that generated the data, of all
        candidates alike, over all pairs.
    n_channels
        Channels a subject. Each is a weighted sum of units, with weights of its own.
    n_runs
        Runs that crossnobis compares with each other.
    explained
        How much of the variance of what subjects share is the layer's; the rest is shared by them and unrelated to all candidates.
        Set it so that the diagonal of `scores` is near the best score that was measured.
    confidence
        Coverage of the intervals.
    n_condition_folds, n_subject_folds, n_partitions
        As in :func:`rsa.evaluate_best_layers`.

    Returns
    -------
    Recovery

    Raises
    ------
    InputError
        For fewer than two candidates or seeds, numbers of seeds, layers or conditions that do not fit, layers that answer all
        conditions alike, too few conditions to split, options out of range, and a ceiling that channels without noise do not reach.

    >>> random = np.random.default_rng(0)
    >>> shared = {name: random.normal(size=(16, 8)) for name in ("hebbian", "backprop")}
    >>> candidates = {
    ...     name: [[patterns + 0.3 * random.normal(size=patterns.shape)] for _ in range(2)] for name, patterns in shared.items()
    ... }
    >>> model_recovery(jax.random.key(0), candidates, ceiling=0.4, n_subjects=4, n_simulations=5).rate
    1.0
    """
    sampling = Sampling(measure, comparator, n_subjects, n_channels, n_runs, explained)
    _check_options(ceiling, sampling, n_simulations, generating_layer, scoring, confidence)
    given = list(candidates)
    names = sorted(given)
    networks = networks_of(names, candidates, measure, comparator)
    check_layers(names, networks, generating_layer, scoring)
    check_splits(condition_count(networks.rdms.shape[1]), max(n_subjects, 2), n_condition_folds, n_subject_folds)
    of_studies, of_folds = jax.random.split(key)
    studies = schedule(of_studies, names, networks, n_simulations, generating_layer)
    simulated = simulated_studies(of_studies, names, networks, studies, ceiling, sampling)
    scored = _Scoring(of_folds, comparator, scoring, n_condition_folds, n_subject_folds, n_partitions)
    scores, achieved = _all_scores(scored, networks, simulated, n_simulations, sampling)
    winners = _winners(of_studies, names, scores)
    # Everything above goes by the order of names, so that the order in which they are given changes nothing but that of the result.
    order = [names.index(name) for name in given]
    place = np.argsort(order)
    return _summed_up(given, scores[order][:, :, order], place[winners[order]], ceiling, achieved[order], confidence)


def recovery_by_conditions(
    key: jax.Array, candidates: Candidates, n_conditions: Sequence[int], ceiling: float, n_subjects: int, **options: Any
) -> list[Recovery]:
    """Recovery with fewer of the conditions: how many would do to tell the candidates apart.

    Conditions are drawn once, and those of a smaller number are among those of a larger. To ask about more conditions than a study
    had, give the networks' responses to more: the noise that a ceiling tells of does not depend on how many there are.

    Parameters
    ----------
    key
        JAX random key.
    candidates, ceiling, n_subjects, options
        As :func:`rsa.model_recovery` takes them.
    n_conditions
        How many, in each result.

    Returns
    -------
    list of Recovery
        One for each number.

    Raises
    ------
    InputError
        As :func:`rsa.model_recovery` does, and for more conditions than there are.
    """
    first = [layer for networks in candidates.values() for network in networks for layer in network][:1]
    available = condition_count_of(np.asarray(first[0]), "the first layer") if first else 0
    if not all(3 <= n <= available for n in n_conditions):
        raise InputError(
            f"n_conditions={list(n_conditions)} was given and the candidates have {available}: take some of them, or give "
            "responses to more"
        )
    order = np.asarray(jax.random.permutation(jax.random.fold_in(key, 1), available))
    return [
        model_recovery(key, some_conditions(candidates, np.sort(order[:n])), ceiling, n_subjects, **options) for n in n_conditions
    ]
