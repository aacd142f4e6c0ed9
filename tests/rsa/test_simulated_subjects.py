"""Simulated subjects against what their distances must be on average, and their ceilings against other ways to work them out."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import pdist, squareform
from scipy.stats import pearsonr, spearmanr

import rsa
from rsa.precision import in_double_precision
from rsa.simulated_subjects import CeilingOutOfReach, Sampling, calibrated_share, loading, simulate

PLAIN = Sampling("correlation", "spearman", n_subjects=2, n_channels=100, n_runs=3, explained=1.0)
calibrate, simulated = in_double_precision(calibrated_share), in_double_precision(simulate)


def _patterns(seed: int, n_conditions: int = 14, n_units: int = 30) -> np.ndarray:
    """Rates of units whose gains differ, and conditions that drive them more or less."""
    random = np.random.default_rng(seed)
    gains = random.random((n_conditions, 1)) + 0.5
    return np.maximum(gains * (random.normal(size=(n_conditions, 4)) @ random.normal(size=(4, n_units)) + 1), 0)


def _gram(patterns: np.ndarray, measure: str) -> np.ndarray:
    """By hand: what is left of the patterns by the measure, at mean square length one."""
    if measure != "correlation":
        patterns = patterns - patterns.mean(axis=0)
    if measure.startswith("correlation"):
        patterns = patterns - patterns.mean(axis=1, keepdims=True)
    return patterns @ patterns.T / np.square(patterns).sum(axis=1).mean()


@pytest.mark.parametrize("measure", ["correlation", "correlation-centred", "euclidean", "mahalanobis", "crossnobis"])
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_distances_of_many_channels_are_those_of_the_layer_in_noise(measure, share):
    """Noise draws correlations towards zero by its share of a condition's variance, adds to squared distances, and to no others."""
    patterns = _patterns(0)
    sampling = PLAIN._replace(measure=measure, n_channels=60_000, n_subjects=1)
    rdms, _ = simulated(np.random.default_rng(1), loading(patterns, measure), share, sampling)
    gram = share * _gram(patterns, measure)
    noise = 0.0 if measure == "crossnobis" else 1 - share
    with_noise = gram + noise * np.eye(len(gram))
    length = np.diagonal(with_noise)
    if measure == "correlation-centred":  # the noise is centred too
        with_noise = gram + noise * (np.eye(len(gram)) - 1 / len(gram))
        length = np.diagonal(with_noise)
    expected = length[:, None] + length - 2 * with_noise
    if measure.startswith("correlation"):
        expected = 1 - with_noise / np.sqrt(np.outer(length, length))
    assert_allclose(rdms[0], squareform(expected, checks=False), atol=0.04)
    if share == 1:
        metric = "correlation" if measure.startswith("correlation") else "sqeuclidean"
        centred = patterns - patterns.mean(axis=0) if measure.endswith("centred") else patterns
        assert pearsonr(rdms[0], pdist(centred, metric)).statistic > 0.999


@pytest.mark.parametrize("measure", ["correlation", "euclidean"])
def test_an_rdm_is_as_good_as_the_patterns_that_it_is_of(measure):
    """Up to how strongly each condition drives the units, which a correlation does not hold."""
    patterns = _patterns(2)
    if measure == "correlation":
        patterns = patterns - patterns.mean(axis=1, keepdims=True)
        patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
    both = [loading(each, measure) for each in (patterns, rsa.network_rdm(patterns, measure))]
    assert_allclose(both[0] @ both[0].T, both[1] @ both[1].T, atol=1e-7)


def test_an_rdm_that_no_patterns_have_is_replaced_by_one_that_some_have():
    rdm = np.random.default_rng(0).random(91)
    for measure in ("correlation", "euclidean"):
        rows = loading(rdm, measure)
        assert np.square(rows).sum(axis=1).mean() == pytest.approx(1)
        metric = "correlation" if measure == "correlation" else "sqeuclidean"
        assert 0.5 < pearsonr(rdm, pdist(rows, "cosine" if metric == "correlation" else metric)).statistic < 0.999


@pytest.mark.parametrize("asked", [0.15, 0.5])
@pytest.mark.parametrize(("measure", "comparator"), [("correlation", "spearman"), ("crossnobis", "cosine")])
def test_subjects_have_the_ceiling_that_was_asked_for(measure, comparator, asked):
    """Of other channels and noise than those of the calibration, worked out by hand: each against the mean of the others."""
    rows = loading(_patterns(3, n_conditions=30), measure)
    sampling = PLAIN._replace(measure=measure, comparator=comparator, n_subjects=6)
    share = calibrate(np.random.default_rng(0), rows, asked, sampling, "it")
    found = []
    for study in range(25):
        rdms, _ = simulated(np.random.default_rng(100 + study), rows, share, sampling)
        for subject, rdm in enumerate(rdms):
            others = np.delete(rdms, subject, axis=0)
            if comparator == "spearman":
                ranks = np.argsort(np.argsort(others, axis=1), axis=1).mean(axis=0)
                found.append(spearmanr(ranks, rdm).statistic)
            else:
                best = (others / np.linalg.norm(others, axis=1, keepdims=True)).mean(axis=0)
                found.append(best @ rdm / np.linalg.norm(best) / np.linalg.norm(rdm))
    assert np.mean(found) == pytest.approx(asked, abs=0.03)


def test_one_subject_has_the_ceiling_that_its_split_halves_say():
    """Trials whose mean has the noise that was calibrated, in halves: the formula of Spearman and Brown gives what was asked."""
    rows = loading(_patterns(4, n_conditions=140), "correlation")  # more than it calibrates on
    sampling = PLAIN._replace(n_subjects=1, comparator="pearson")
    share = calibrate(np.random.default_rng(0), rows, 0.7, sampling, "it")
    random, found = np.random.default_rng(5), []
    for _ in range(4):
        signal = np.sqrt(share) * rows @ random.standard_normal((rows.shape[1], 100))
        trials = signal + np.sqrt(6 * (1 - share)) * random.standard_normal((6, *signal.shape))
        found.append(rsa.split_half_ceiling(jax.random.key(0), trials, comparator="pearson", n_splits=3).ceiling)
    assert np.mean(found) == pytest.approx(0.7, abs=0.03)


def test_what_is_not_explained_is_shared_by_subjects_and_no_layers():
    rows = loading(_patterns(5, n_conditions=40), "euclidean")
    sampling = PLAIN._replace(measure="euclidean", comparator="pearson", n_subjects=8)
    model = rsa.network_rdm(rows, "euclidean")
    scores = []
    for explained in (1.0, 0.3):
        some = sampling._replace(explained=explained)
        share = calibrate(np.random.default_rng(0), rows, 0.4, some, "it")
        studies = [simulated(np.random.default_rng(study), rows, share, some)[0] for study in range(12)]
        assert np.mean([rsa.noise_ceiling(each, "pearson").lower for each in studies]) == pytest.approx(0.4, abs=0.04)
        scores.append(np.mean([rsa.compare(model[None], each, "pearson").mean() for each in studies]))
    assert scores[1] < 0.6 * scores[0]


def test_ceilings_out_of_reach_are_refused():
    rows = loading(_patterns(6), "correlation")
    with pytest.raises(CeilingOutOfReach, match=r"0.99 was asked for.*of it have 0\.\d\d without any noise: give more n_channels"):
        calibrate(np.random.default_rng(0), rows, 0.99, PLAIN._replace(n_channels=10), "it")
    with pytest.raises(rsa.InputError, match=r"0.5 was asked for.*have 0\.9\d with noise alone: take a comparator that centres"):
        calibrate(np.random.default_rng(0), rows, 0.5, PLAIN._replace(comparator="cosine"), "it")
    assert calibrate(np.random.default_rng(0), rows, 0.0, PLAIN, "it") == 0
