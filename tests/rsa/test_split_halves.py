"""Ceilings of one subject, against what the noise-free RDM really scores where it is known."""

import jax
import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr, spearmanr

import rsa

RNG = np.random.default_rng


def _trials(seed: int, noise: float, n_trials: int = 8, n_conditions: int = 60, n_channels: int = 40):
    """Noise-free patterns, of which stimuli differ in a few dimensions, and trials of them."""
    random = RNG(seed)
    signal = random.normal(size=(n_conditions, 4)) @ random.normal(size=(4, n_channels)) / 2
    return signal, signal + noise * random.normal(size=(n_trials, n_conditions, n_channels))


@pytest.mark.parametrize(
    ("measure", "comparator", "metric", "correlation", "bias"),
    [
        ("correlation", "spearman", "correlation", spearmanr, 0.01),
        # Squared distances hold noise times noise, which falls faster than the formula supposes.
        ("crossnobis", "pearson", "sqeuclidean", pearsonr, 0.02),
    ],
)
def test_the_ceiling_is_what_the_noise_free_rdm_scores(measure, comparator, metric, correlation, bias):
    """On average over simulated subjects, whose RDMs without noise are known."""
    ceilings, truths, inside = [], [], []
    for seed in range(8):
        signal, trials = _trials(seed, noise=1.5)
        found = rsa.split_half_ceiling(jax.random.key(seed), trials, measure, comparator, n_splits=4)
        measured = rsa.region_rdm(trials, measure, by_run=True)
        truths.append(correlation(pdist(signal, metric), measured).statistic)
        ceilings.append(found.ceiling)
        inside.append(found.lower < truths[-1] < found.upper)
    assert 0.9 < np.mean(truths) < 0.98
    assert np.mean(ceilings) == pytest.approx(np.mean(truths), abs=bias)
    assert sum(inside) >= 6


def test_the_ceiling_is_the_formula_of_the_halves():
    """Two trials of each of four runs: what halves of runs score is scipy's, and the rest a formula of it."""
    _, trials = _trials(1, noise=2.0, n_trials=4)
    found = rsa.split_half_ceiling(jax.random.key(0), trials, "mahalanobis", "pearson", n_splits=30)
    splits = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    halves = [
        pearsonr(*(rsa.region_rdm(trials[list(half)], "mahalanobis", by_run=True) for half in split)).statistic for split in splits
    ]
    assert min(halves) <= found.half <= max(halves)
    assert found.ceiling == pytest.approx(np.sqrt(2 * found.half / (1 + found.half)), abs=1e-9)


def test_trials_that_are_not_there_do_not_count():
    """Conditions that were shown six to ten times: their ceiling lies between those of six and of ten trials of all."""
    _, trials = _trials(3, noise=3.0, n_trials=10)
    uneven = trials.copy()
    for condition, count in enumerate(RNG(0).integers(6, 11, trials.shape[1])):
        uneven[count:, condition] = np.nan
    few, some, many = (
        rsa.split_half_ceiling(jax.random.key(0), each, comparator="pearson").ceiling for each in (trials[:6], uneven, trials)
    )
    assert few < some < many


def test_noise_alone_leaves_no_ceiling():
    found = [
        rsa.split_half_ceiling(jax.random.key(seed), RNG(seed).normal(size=(6, 40, 30)), comparator="pearson", n_splits=3)
        for seed in range(8)
    ]
    assert abs(np.mean([each.half for each in found])) < 0.03
    assert sum(each.lower <= 0 <= each.upper for each in found) >= 6


def test_the_same_key_splits_alike():
    _, trials = _trials(5, noise=2.0)
    assert rsa.split_half_ceiling(jax.random.key(1), trials) == rsa.split_half_ceiling(jax.random.key(1), trials)
    assert rsa.split_half_ceiling(jax.random.key(1), trials) != rsa.split_half_ceiling(jax.random.key(2), trials)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda x: x, {"comparator": "kendall"}, "unknown comparator of split halves 'kendall'"),
        (lambda x: x[:, :5], {}, r"\(8, 5, 40\).*at least 6 conditions"),
        (lambda x: x[:1], {}, "condition 0 has 1 trials: two are needed"),
        (lambda x: x[:3], {"measure": "crossnobis"}, "'crossnobis' compares runs.*halves of 3 trials.*at least four"),
        (lambda x: x, {"n_splits": 0}, "n_splits=0"),
        (lambda x: x, {"measure": "cosine"}, "unknown measure 'cosine'"),
    ],
)
def test_what_cannot_be_split_is_refused(change, options, message):
    with pytest.raises(rsa.InputError, match=message):
        rsa.split_half_ceiling(jax.random.key(0), change(_trials(0, 1.0)[1]), **options)


def test_whitened_correlations_have_a_ceiling_too():
    """Near that of Pearson's, which they are but for the weights of pairs."""
    _, trials = _trials(2, noise=1.5)
    both = [
        rsa.split_half_ceiling(jax.random.key(0), trials, "euclidean", each, n_splits=2) for each in ("pearson", "whitened_pearson")
    ]
    assert both[0].ceiling == pytest.approx(both[1].ceiling, abs=0.05) and both[0] != both[1]
    assert both[1].lower < both[1].ceiling < both[1].upper
