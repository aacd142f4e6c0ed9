import numpy as np
import pytest
import rsatoolbox
from scipy.spatial.distance import pdist

import rsa
from bioplausible.foundation.errors import InputError

RNG = np.random.default_rng(0)
N_RUNS, N_CONDITIONS, N_CHANNELS = 4, 6, 8


def test_of_networks_they_are_scipys_distances():
    patterns = RNG.standard_normal((N_CONDITIONS, N_CHANNELS)) + 5 * RNG.standard_normal(N_CHANNELS)
    centred = patterns - patterns.mean(0)
    right = {
        "correlation": pdist(patterns, "correlation"),
        "correlation-centred": pdist(centred, "correlation"),
        "euclidean": pdist(patterns, "sqeuclidean") / N_CHANNELS,
        "crossnobis": pdist(patterns, "sqeuclidean") / N_CHANNELS,
        "mahalanobis": pdist(patterns, "sqeuclidean") / N_CHANNELS,
    }
    for name, expected in right.items():
        np.testing.assert_allclose(rsa.network_rdm(patterns, name), expected, rtol=1e-9)
    assert np.corrcoef(right["correlation"], right["correlation-centred"])[0, 1] < 0.9
    assert set(rsa.MEASURES) == {*right, "poisson", "poisson_cv"}


@pytest.mark.parametrize("measure", ["correlation", "correlation-centred", "euclidean"])
def test_of_regions_they_are_of_the_mean_over_runs(measure):
    by_run = RNG.standard_normal((N_RUNS, 2, N_CONDITIONS, N_CHANNELS))  # at two times
    found = rsa.region_rdm(by_run, measure, by_run=True)
    np.testing.assert_allclose(found, rsa.network_rdm(by_run.mean(0), measure))
    np.testing.assert_array_equal(found, rsa.region_rdm(by_run.mean(0), measure))


def test_crossnobis_is_rsatoolboxs_with_the_noise_between_runs():
    correlated = np.linalg.cholesky(np.cov(RNG.standard_normal((N_CHANNELS, 20))))
    by_run = (
        RNG.standard_normal((N_CONDITIONS, N_CHANNELS)) + RNG.standard_normal((N_RUNS, N_CONDITIONS, N_CHANNELS)) @ correlated.T
    )
    named = {"condition": [*range(N_CONDITIONS)] * N_RUNS, "run": np.repeat(np.arange(N_RUNS), N_CONDITIONS)}
    dataset = rsatoolbox.data.Dataset(by_run.reshape(-1, N_CHANNELS), obs_descriptors=named)
    freedom = (N_RUNS - 1) * N_CONDITIONS  # by itself rsatoolbox counts other means
    precision = rsatoolbox.data.noise.prec_from_measurements(dataset, "condition", dof=freedom, method="shrinkage_eye")
    theirs = rsatoolbox.rdm.calc_rdm(dataset, "crossnobis", descriptor="condition", noise=precision, cv_descriptor="run")
    np.testing.assert_allclose(rsa.region_rdm(by_run, "crossnobis", by_run=True), theirs.dissimilarities[0], rtol=1e-6)


def test_mahalanobis_is_rsatoolboxs_of_the_mean_with_the_noise_between_runs():
    by_run = RNG.standard_normal((N_CONDITIONS, N_CHANNELS)) + RNG.standard_normal((N_RUNS, N_CONDITIONS, N_CHANNELS))
    every = rsatoolbox.data.Dataset(by_run.reshape(-1, N_CHANNELS), obs_descriptors={"condition": [*range(N_CONDITIONS)] * N_RUNS})
    freedom = (N_RUNS - 1) * N_CONDITIONS
    precision = rsatoolbox.data.noise.prec_from_measurements(every, "condition", dof=freedom, method="shrinkage_eye")
    mean = rsatoolbox.data.Dataset(by_run.mean(0), obs_descriptors={"condition": [*range(N_CONDITIONS)]})
    theirs = rsatoolbox.rdm.calc_rdm(mean, "mahalanobis", noise=precision)
    np.testing.assert_allclose(rsa.region_rdm(by_run, "mahalanobis", by_run=True), theirs.dissimilarities[0], rtol=1e-6)
    with pytest.raises(InputError, match="compares runs with each other, and there is one"):
        rsa.region_rdm(by_run[0], "mahalanobis")


def test_poisson_cv_is_cross_validated_over_runs_and_plain_of_networks():
    rates = RNG.gamma(4.0, size=(N_CONDITIONS, N_CHANNELS))
    counts = RNG.poisson(rates, size=(N_RUNS, N_CONDITIONS, N_CHANNELS)).astype(float)
    np.testing.assert_array_equal(rsa.region_rdm(counts, "poisson_cv", by_run=True), rsa.poisson_cv(counts))
    np.testing.assert_array_equal(rsa.network_rdm(rates, "poisson_cv"), rsa.network_rdm(rates, "poisson"))
    same = RNG.poisson(np.broadcast_to(rates[:1], (60, N_RUNS, N_CONDITIONS, N_CHANNELS))).astype(float)
    crossed = np.stack([rsa.region_rdm(each, "poisson_cv", by_run=True) for each in same]).mean(axis=1)
    assert abs(crossed.mean()) < 4 * crossed.std() / np.sqrt(len(same))


def test_noise_alone_has_no_crossnobis_distance_but_a_euclidean_one():
    noise = RNG.standard_normal((40, N_RUNS, N_CONDITIONS, N_CHANNELS))
    crossed = np.stack([rsa.region_rdm(each, "crossnobis", by_run=True) for each in noise])
    plain = np.stack([rsa.region_rdm(each, "euclidean", by_run=True) for each in noise])
    assert abs(crossed.mean()) < 3 * crossed.mean(axis=1).std() / np.sqrt(len(noise)) < 0.1 < plain.mean()


def test_times_are_taken_apart_with_one_noise_for_all():
    by_run = RNG.standard_normal((N_RUNS, 3, N_CONDITIONS, N_CHANNELS))
    found = rsa.region_rdm(by_run, "crossnobis", by_run=True)
    residuals = (by_run - by_run.mean(0)).reshape(-1, N_CHANNELS)
    freedom = (N_RUNS - 1) * 3 * N_CONDITIONS
    precision = rsa.noise_precision(residuals, degrees_of_freedom=freedom)
    for time in range(3):
        np.testing.assert_allclose(found[time], rsa.crossnobis(by_run[:, time], precision), rtol=1e-6)


def test_what_cannot_be_measured_is_said():
    with pytest.raises(InputError, match="unknown measure 'crosnobis': did you mean 'crossnobis'"):
        rsa.network_rdm(np.eye(4), "crosnobis")
    for patterns, by_run in ((RNG.random((4, 5)), False), (RNG.random((1, 4, 5)), True)):
        with pytest.raises(InputError, match="compares runs with each other, and there is one"):
            rsa.region_rdm(patterns, "crossnobis", by_run)
