"""A lasting code fills a square, a sequence the diagonal, and noise nothing, even noise that lasts."""

import jax
import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm
from scipy import sparse, stats

import rsa
from rsa.temporal import generalise_over_time, temporal_generalisation

N_TIMES, N_CONDITIONS, N_CHANNELS = 5, 8, 12


def _codes(kind: str, random: np.random.Generator) -> np.ndarray:
    """Patterns (n_times, n_conditions, n_channels): one that lasts, a new one each time, or none."""
    n_codes = {"stable": 1, "sequence": N_TIMES, "none": 1}[kind]
    codes = random.normal(size=(n_codes, N_CONDITIONS, N_CHANNELS)) * (kind != "none")
    return np.broadcast_to(codes, (N_TIMES, N_CONDITIONS, N_CHANNELS))


def _lasting_noise(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Noise of runs or subjects, two thirds of whose variance stays the same over times."""
    lasting = random.normal(size=(1, *shape, N_CONDITIONS, N_CHANNELS))
    return (np.sqrt(2) * lasting + random.normal(size=(N_TIMES, *shape, N_CONDITIONS, N_CHANNELS))) / np.sqrt(3)


def test_the_diagonal_is_the_lower_noise_ceiling(tied_rdms, comparator):
    data = np.stack([tied_rdms(seed, 5, 7) for seed in range(3)])
    matrix = generalise_over_time(data, comparator)
    np.testing.assert_allclose(np.diagonal(matrix), rsa.noise_ceiling(data, comparator).lower, rtol=0, atol=1e-12)
    each = generalise_over_time(data, comparator, average=False)
    assert each.shape == (5, 3, 3)
    np.testing.assert_allclose(each.mean(axis=0), matrix, atol=1e-15)


def test_the_mean_of_the_others_is_what_a_subject_is_compared_with():
    data = rsa.rdm(np.random.default_rng(0).normal(size=(3, 4, 6, 9)))
    z = (data - data.mean(axis=-1, keepdims=True)) / data.std(axis=-1, keepdims=True)
    each = generalise_over_time(data, "pearson", average=False)
    for subject, train, test in np.ndindex(4, 3, 3):
        others = np.delete(z[train], subject, axis=0).mean(axis=0)
        assert each[subject, train, test] == pytest.approx(np.corrcoef(others, data[test, subject])[0, 1], abs=1e-12)


@pytest.mark.parametrize("kind", ["stable", "sequence", "none"])
def test_geometries_generalise_where_they_were_planted(kind):
    """Noise within a subject lasts; compared with itself it would fill the matrix."""
    random = np.random.default_rng(1)
    matrices, naive = [], []
    for _ in range(40):
        data = rsa.rdm(_codes(kind, random)[:, None] + _lasting_noise(random, 6))
        matrices.append(generalise_over_time(data, "pearson"))
        naive.append(np.mean([rsa.compare(data[:, s], data[:, s], "pearson") for s in range(6)], axis=0))
    mean, error = np.mean(matrices, axis=0), stats.sem(matrices, axis=0)
    diagonal = np.eye(N_TIMES, dtype=bool)
    planted = {"stable": diagonal | True, "sequence": diagonal, "none": diagonal & False}[kind]
    assert (mean[planted] > 0.3).all()
    assert (np.abs(mean[~planted]) < 3.5 * error[~planted]).all() and (error < 0.03).all()
    assert np.mean(naive, axis=0)[~diagonal].min() > 0.05


def _by_definition(patterns: np.ndarray, precision: np.ndarray) -> np.ndarray:
    n_times, n_runs, n_conditions, n_channels = patterns.shape
    pairs = list(zip(*np.triu_indices(n_conditions, 1), strict=True))
    distances = np.zeros((n_times, n_times, len(pairs)))
    for t, u, pair in np.ndindex(*distances.shape):
        i, j = pairs[pair]
        for r, s in np.ndindex(n_runs, n_runs):
            if r != s:
                first, second = patterns[t, r, i] - patterns[t, r, j], patterns[u, s, i] - patterns[u, s, j]
                distances[t, u, pair] += first @ precision @ second / (n_runs * (n_runs - 1) * n_channels)
    return distances


def _precision(random: np.random.Generator, n_channels: int) -> np.ndarray:
    noise = random.normal(size=(50, n_channels)) * np.linspace(0.5, 2, n_channels)
    return np.linalg.inv(np.cov(noise.T))


def test_distances_are_their_definition():
    random = np.random.default_rng(2)
    patterns, precision = random.normal(2, 1, size=(2, 3, 4, 5, 6)), _precision(random, 6)
    every = temporal_generalisation(patterns, precision, average=False)
    assert every.shape == (2, 3, 3, 10)
    for subject in range(2):
        np.testing.assert_allclose(every[subject], _by_definition(patterns[subject], precision), rtol=0, atol=1e-12)
    mean = temporal_generalisation(patterns, np.stack([precision, np.eye(6)]))
    np.testing.assert_allclose(mean[0], every[0].mean(axis=-1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(mean[1], temporal_generalisation(patterns[1]), rtol=0, atol=1e-12)
    np.testing.assert_allclose(mean, np.swapaxes(mean, -1, -2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("whitened", [False, True])
def test_the_diagonal_is_rsatoolbox_crossnobis(whitened):
    random = np.random.default_rng(3)
    patterns = random.normal(size=(3, 4, N_CONDITIONS, N_CHANNELS))
    precision = _precision(random, N_CHANNELS) if whitened else None
    ours = temporal_generalisation(patterns, precision, average=False)
    runs, conditions = np.divmod(np.arange(4 * N_CONDITIONS), N_CONDITIONS)
    for time in range(3):
        data = Dataset(patterns[time].reshape(-1, N_CHANNELS), obs_descriptors={"run": runs, "condition": conditions})
        expected = calc_rdm(data, method="crossnobis", descriptor="condition", cv_descriptor="run", noise=precision)
        np.testing.assert_allclose(ours[time, time], expected.dissimilarities[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["stable", "sequence", "none"])
def test_patterns_generalise_where_they_were_planted_without_bias(kind):
    """A planted code's own distance is the expectation; where none is planted it is zero, though noise of runs lasts."""
    random = np.random.default_rng(4)
    codes = _codes(kind, random)
    matrices = np.stack([temporal_generalisation(codes[:, None] + 2 * _lasting_noise(random, 4)) for _ in range(300)])
    truth = np.einsum("tic,uic->tu", *[codes - codes.mean(axis=1, keepdims=True)] * 2) * 2 / (N_CONDITIONS - 1) / N_CHANNELS
    z = (matrices.mean(axis=0) - truth) / stats.sem(matrices, axis=0)
    assert (np.abs(z) < 3.5).all(), z
    signal = {"stable": truth, "sequence": np.diagonal(truth), "none": np.ones(1)}[kind]
    assert signal.min() > 0.8 and (kind != "none" or (truth == 0).all())
    if kind == "sequence":
        assert np.abs(truth[~np.eye(N_TIMES, dtype=bool)]).max() < 0.5 * np.diagonal(truth).min()


def test_a_code_that_turns_around_is_negative():
    code = np.random.default_rng(5).normal(size=(N_CONDITIONS, N_CHANNELS))
    patterns = np.stack([code, -code])[:, None].repeat(2, axis=1)
    matrix = temporal_generalisation(patterns)
    np.testing.assert_allclose(matrix[0, 1], -matrix[0, 0])


def test_a_square_is_a_cluster_of_times_by_times():
    """Subjects' matrices go into the cluster test with a grid for adjacency."""
    random = np.random.default_rng(6)
    codes = _codes("stable", random) * (np.arange(N_TIMES) < 3)[:, None, None]
    subjects = np.stack([temporal_generalisation(codes[:, None] + _lasting_noise(random, 3)) for _ in range(8)])
    chain = sparse.diags([np.ones(N_TIMES - 1)] * 2, [-1, 1])
    grid = sparse.kron(chain, sparse.eye(N_TIMES)) + sparse.kron(sparse.eye(N_TIMES), chain)
    test = rsa.cluster_sign_flips(jax.random.key(0), subjects.reshape(8, -1), adjacency=grid)
    best = max(test.clusters, key=lambda cluster: cluster.mass)
    square = np.arange(25).reshape(5, 5)[:3, :3].ravel()
    assert best.p_value == 1 / 256 and set(square) <= set(best.members) and len(best.members) <= 12


PATTERNS = np.random.default_rng(7).normal(size=(3, 2, 4, 5))


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: generalise_over_time(np.random.default_rng(0).random((3, 1, 6))), "at least two subjects"),
        (lambda: generalise_over_time(np.random.default_rng(0).random((3, 6))), r"shape \(3, 6\)"),
        (lambda: generalise_over_time(np.ones((3, 2, 6))), "data RDM 0 of batch entry 0 is constant"),
        (lambda: generalise_over_time(np.random.default_rng(0).random((3, 2, 6)), "person"), "did you mean 'pearson'"),
        (lambda: temporal_generalisation(PATTERNS[:, :1]), r"shape \(3, 1, 4, 5\).*at least two runs"),
        (lambda: temporal_generalisation(PATTERNS[0]), r"shape \(2, 4, 5\)"),
        (lambda: temporal_generalisation(np.where(PATTERNS > 1, np.nan, PATTERNS)), "hold NaN"),
        (lambda: temporal_generalisation(PATTERNS, np.eye(4)), r"precision has shape \(4, 4\), but \(5, 5\)"),
        (lambda: temporal_generalisation(PATTERNS, np.ones(5)), r"precision has shape \(5,\)"),
        (lambda: temporal_generalisation(PATTERNS, np.triu(np.ones((5, 5)))), "not symmetric"),
    ],
)
def test_mistakes_end_in_a_sentence(call, message):
    with pytest.raises(rsa.InputError, match=message):
        call()
