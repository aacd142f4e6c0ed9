"""Cluster tests equal MNE's on every sign flip, and err as often as they say on smooth noise."""

import jax
import numpy as np
import pytest
from mne.stats import permutation_cluster_1samp_test
from scipy import sparse, stats
from scipy.ndimage import gaussian_filter1d
from scipy.stats import binomtest

import rsa
from rsa import clusters as module
from rsa.clusters import cluster_permutations, cluster_sign_flips

N_TIMES = 40


def _smooth(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Noise of unit variance whose times are related, as those of MEG are."""
    noise = gaussian_filter1d(random.normal(size=shape), 2, axis=-1, mode="wrap")
    return noise / np.sqrt(1 / (2 * np.sqrt(np.pi) * 2))


def _window(strength: float) -> np.ndarray:
    return np.where((np.arange(N_TIMES) >= 15) & (np.arange(N_TIMES) < 25), strength, 0.0)


def _judge(scores: np.ndarray, two_sided: bool, n_permutations: int, adjacency: sparse.spmatrix | None = None):
    n_subjects = len(scores)
    threshold = stats.t.isf(0.05 / (1 + two_sided), n_subjects - 1)
    return permutation_cluster_1samp_test(
        scores,
        threshold=threshold,
        n_permutations=n_permutations,
        tail=0 if two_sided else 1,
        adjacency=adjacency,
        out_type="indices",
        rng=0,
        verbose="error",
    )


def _same(ours: module.ClusterTest, theirs) -> None:
    statistic, found, *_ = theirs
    np.testing.assert_allclose(ours.statistic, statistic, rtol=1e-10)
    order = np.argsort([members[0].min() for members in found])
    assert len(ours.clusters) == len(found) > 0
    for cluster, position in zip(ours.clusters, order, strict=True):
        members = np.sort(found[position][0])
        np.testing.assert_array_equal(cluster.members, members)
        assert (cluster.start, cluster.stop) == (members[0], members[-1] + 1)
        assert cluster.mass == pytest.approx(statistic[members].sum(), rel=1e-10)


def _same_p_values(ours: module.ClusterTest, theirs, two_sided: bool) -> None:
    _, found, p_values, null = theirs
    heaviest = ours.heaviest.copy()
    if not two_sided:
        # In a one-sided exact test MNE 1.13 counts the data as they are twice, and never flips all subjects.
        heaviest[-1] = heaviest[0]
        np.testing.assert_allclose(np.sort(heaviest), np.sort(null), rtol=1e-10)
    for cluster, position in zip(ours.clusters, np.argsort([members[0].min() for members in found]), strict=True):
        assert cluster.p_value == pytest.approx(p_values[position], abs=1e-12 if two_sided else 1 / len(heaviest) + 1e-12)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_every_sign_flip_gives_the_clusters_masses_and_p_values_of_mne(seed, two_sided):
    random = np.random.default_rng(seed)
    scores = _smooth(random, 9, N_TIMES) + _window(0.9) - np.roll(_window(0.9), 15)
    ours = cluster_sign_flips(jax.random.key(0), scores, two_sided=two_sided, n_draws=1000)
    assert len(ours.heaviest) == 2**9
    theirs = _judge(scores, two_sided, 2**9)
    _same(ours, theirs)
    _same_p_values(ours, theirs, two_sided)


def test_random_sign_flips_are_near_mne():
    scores = _smooth(np.random.default_rng(3), 16, N_TIMES) + _window(0.4)
    ours = cluster_sign_flips(jax.random.key(0), scores, n_draws=4000)
    assert len(ours.heaviest) == 4001
    theirs = _judge(scores, False, 4000)
    _same(ours, theirs)
    np.testing.assert_allclose([cluster.p_value for cluster in ours.clusters], theirs[2], atol=0.02)
    again = cluster_sign_flips(jax.random.key(0), scores, n_draws=4000)
    np.testing.assert_array_equal(ours.heaviest, again.heaviest)


def test_neighbours_may_be_given_by_an_adjacency():
    """Two rows of sensors side by side over time: a grid."""
    n_sensors, n_times = 4, 10
    chain = [sparse.diags([np.ones(n - 1), np.ones(n - 1)], [-1, 1]) for n in (n_sensors, n_times)]
    grid = sparse.kron(chain[0], sparse.eye(n_times)) + sparse.kron(sparse.eye(n_sensors), chain[1])
    random = np.random.default_rng(4)
    effect = np.zeros((n_sensors, n_times))
    effect[1:3, 3:6] = 0.8
    scores = (random.normal(size=(8, n_sensors, n_times)) + effect).reshape(8, -1)
    ours = cluster_sign_flips(jax.random.key(0), scores, adjacency=grid)
    theirs = _judge(scores, False, 2**8, grid.tocoo())
    _same(ours, theirs)
    _same_p_values(ours, theirs, two_sided=False)
    dense = cluster_sign_flips(jax.random.key(0), scores, adjacency=grid.toarray())
    np.testing.assert_array_equal(dense.heaviest, ours.heaviest)


def test_rows_found_in_parts_are_rows_found_at_once(monkeypatch):
    scores = _smooth(np.random.default_rng(5), 8, N_TIMES)
    whole = cluster_sign_flips(jax.random.key(0), scores, two_sided=True)
    monkeypatch.setattr(module, "ENTRIES_AT_ONCE", 7 * N_TIMES)
    np.testing.assert_array_equal(cluster_sign_flips(jax.random.key(0), scores, two_sided=True).heaviest, whole.heaviest)


def _heaviest_by_hand(curve: np.ndarray, upper: np.ndarray) -> float:
    heaviest = mass = 0.0
    for value, threshold in zip(curve, upper, strict=True):
        mass = mass + value if value > threshold else 0.0
        heaviest = max(heaviest, mass)
    return heaviest


def test_permutations_equal_their_definition():
    random = np.random.default_rng(6)
    observed, null = 0.3 + 0.01 * (_smooth(random, N_TIMES) + _window(3.0)), 0.3 + 0.01 * _smooth(random, 99, N_TIMES)
    ours = cluster_permutations(observed, null)
    pool = np.concatenate([observed[None], null])
    z = (pool - pool.mean(axis=0)) / pool.std(axis=0)
    upper = np.quantile(z, 0.95, axis=0)
    np.testing.assert_allclose(ours.upper, upper)
    expected = [_heaviest_by_hand(row, upper) for row in z]
    np.testing.assert_allclose(ours.heaviest, expected, rtol=1e-10)
    best = max(ours.clusters, key=lambda cluster: cluster.mass)
    assert best.mass == pytest.approx(expected[0]) and best.p_value == pytest.approx(
        np.mean(np.array(expected) >= best.mass - 1e-9)
    )
    assert best.p_value <= 0.02 and 12 <= best.start < best.stop <= 28


def test_both_sides_are_each_others_mirror():
    random = np.random.default_rng(7)
    observed, null = _smooth(random, N_TIMES) + _window(2.0), _smooth(random, 199, N_TIMES)
    above, below = (cluster_permutations(sign * observed, sign * null, two_sided=True) for sign in (1, -1))
    assert [(c.start, c.stop, round(c.mass, 9), c.p_value) for c in above.clusters] == [
        (c.start, c.stop, round(-c.mass, 9), c.p_value) for c in below.clusters
    ]


@pytest.mark.parametrize(
    ("entry_level", "two_sided"),
    [(0.05, True), *(pytest.param(*case, marks=pytest.mark.thorough) for case in [(0.05, False), (0.01, False), (0.01, True)])],
)
def test_smooth_noise_has_a_cluster_in_five_percent_of_studies(entry_level, two_sided):
    random = np.random.default_rng(8)
    flips, permutations = [], []
    for number in range(500):
        noise = _smooth(random, 12, N_TIMES)
        flips.append(cluster_sign_flips(jax.random.key(number), noise, entry_level, two_sided, n_draws=199))
        curves = _smooth(random, 200, N_TIMES)
        permutations.append(cluster_permutations(curves[0], curves[1:], entry_level, two_sided))
    for tests in (flips, permutations):
        false = sum(any(cluster.p_value <= 0.05 for cluster in test.clusters) for test in tests)
        assert binomtest(false, 500, 0.05).pvalue > 0.01, false / 500


def test_a_planted_window_is_found():
    random = np.random.default_rng(9)
    found = {"flips": [], "permutations": []}
    for number in range(100):
        flips = cluster_sign_flips(jax.random.key(number), _smooth(random, 12, N_TIMES) + _window(1.0), n_draws=199)
        permutations = cluster_permutations(_smooth(random, N_TIMES) + _window(3.0), _smooth(random, 199, N_TIMES))
        for name, test in (("flips", flips), ("permutations", permutations)):
            found[name].append(any(c.p_value <= 0.05 and c.start < 25 and c.stop > 15 for c in test.clusters))
    assert all(np.mean(hits) > 0.8 for hits in found.values()), {name: np.mean(hits) for name, hits in found.items()}


def test_an_evaluation_over_times_has_what_is_needed():
    """A model that holds in the middle of five times is found there, with one subject."""
    random = np.random.default_rng(11)
    patterns = random.normal(size=(12, 20))
    related = np.array([0, 1, 1, 1, 0])[:, None, None, None]
    data = rsa.rdm(related * patterns + random.normal(size=(5, 1, 12, 20)))
    evaluation = rsa.evaluate(jax.random.key(1), rsa.rdm(patterns)[None], data, n_draws=199)
    (cluster,) = cluster_permutations(evaluation.mean[:, 0], evaluation.null[:, :, 0].T).clusters
    assert (cluster.start, cluster.stop) == (1, 4) and cluster.p_value <= 0.01


def test_times_without_any_spread_enter_no_cluster():
    scores = _smooth(np.random.default_rng(11), 8, N_TIMES)
    scores[:, :10] = 0.0
    assert (cluster_sign_flips(jax.random.key(0), scores).statistic[:10] == 0).all()
    assert (cluster_permutations(scores[0], np.repeat(scores, 4, axis=0)).statistic[:10] == 0).all()
    sure = np.ones((6, 3))
    (cluster,) = cluster_sign_flips(jax.random.key(0), sure).clusters
    assert cluster.p_value == 1 / 64 and cluster.stop == 3


SCORES = np.random.default_rng(12).normal(size=(8, 5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda key: cluster_sign_flips(key, SCORES[:4]), "4 subjects flip in 16 ways.*at least 5"),
        (lambda key: cluster_sign_flips(key, SCORES[:5], two_sided=True), "5 subjects flip in 32 ways.*at least 6"),
        (lambda key: cluster_sign_flips(key, np.where(SCORES > 1, np.nan, SCORES)), "scores hold NaN"),
        (lambda key: cluster_sign_flips(key, SCORES, entry_level=0.5), "entry_level is 0.5"),
        (lambda key: cluster_sign_flips(key, SCORES, n_draws=0), "0 draws"),
        (lambda key: cluster_sign_flips(key, SCORES, adjacency=np.eye(4)), r"shape \(4, 4\), but \(5, 5\)"),
        (lambda key: cluster_permutations(SCORES[0], SCORES), "8 draws cannot tell a quantile of 0.05: at least 19"),
        (lambda key: cluster_permutations(SCORES[0, :4], SCORES), r"\(4,\) and the null \(8, 5\)"),
    ],
)
def test_mistakes_end_in_a_sentence(call, message):
    with pytest.raises(rsa.InputError, match=message):
        call(jax.random.key(0))
