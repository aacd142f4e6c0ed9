"""CKA, debiased CKA and Procrustes: closed forms, definitions, invariances and what they make of noise."""

import tracemalloc

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.linalg import orthogonal_procrustes

import rsa
from rsa.representations import PATTERN_COMPARATORS

METHODS = sorted(PATTERN_COMPARATORS)
KEY = jax.random.key(3)


def _patterns(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def _related(seed: int, n_conditions: int = 18) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Models and subjects of many widths that share some of what they represent."""
    shared = _patterns(seed, n_conditions, 4)

    def make(seed, width, noise):
        return shared @ _patterns(seed, 4, width) + noise * _patterns(seed + 100, n_conditions, width)

    return [make(1, 7, 1), make(2, 60, 2), make(3, 3, 0.5)], [make(4, 5, 1), make(5, 40, 3)]


def _hsic(k: np.ndarray, m: np.ndarray) -> float:
    """The U-statistic as Song et al. 2012 print it, equation 5."""
    n, k, m = len(k), k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    return (np.trace(k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ m).sum()) / (n * (n - 3))


def test_biased_cka_equals_its_definitions():
    models, data = _related(0)
    ours = rsa.compare_patterns(models, data, "cka_biased")
    centring = np.eye(18) - 1 / 18
    for i, x in enumerate(models):
        for j, y in enumerate(data):
            k, m = centring @ x @ x.T @ centring, centring @ y @ y.T @ centring
            assert ours[i, j] == pytest.approx(np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m)), abs=1e-13)
            x0, y0 = x - x.mean(axis=0), y - y.mean(axis=0)
            # Kornblith et al. 2019 for features.
            lengths = np.linalg.norm(x0.T @ x0) * np.linalg.norm(y0.T @ y0)
            assert ours[i, j] == pytest.approx(np.linalg.norm(y0.T @ x0) ** 2 / lengths, abs=1e-13)
            whitened = rsa.compare(rsa.rdm(x, "euclidean")[None], rsa.rdm(y, "euclidean")[None], "whitened_cosine")
            assert ours[i, j] == pytest.approx(whitened[0, 0], abs=1e-12)


def test_biased_cka_of_single_units_is_their_squared_correlation():
    x, y = _patterns(0, 30, 1), _patterns(1, 30, 1)
    expected = stats.pearsonr(x[:, 0], y[:, 0]).statistic ** 2
    assert rsa.compare_patterns([x], [y], "cka_biased")[0, 0] == pytest.approx(expected, abs=1e-14)
    assert rsa.compare_patterns([x], [y], "procrustes")[0, 0] == pytest.approx(np.sqrt(expected), abs=1e-14)


def test_biased_cka_of_orthogonal_units_is_the_shared_variance():
    """With k of p and q equally strong orthogonal units in common, CKA is k / sqrt(p q)."""
    basis, _ = np.linalg.qr(np.column_stack([np.ones(20), _patterns(0, 20, 12)]))
    x, y = basis[:, 1:7], basis[:, 5:13]
    assert rsa.compare_patterns([x], [y], "cka_biased")[0, 0] == pytest.approx(2 / np.sqrt(6 * 8), abs=1e-13)
    assert rsa.compare_patterns([x], [y], "procrustes")[0, 0] == pytest.approx(2 / np.sqrt(6 * 8), abs=1e-13)


def test_debiased_cka_equals_the_u_statistic():
    models, data = _related(1)
    ours = rsa.compare_patterns(models, data)
    for i, k in enumerate([x @ x.T for x in models]):
        for j, m in enumerate([y @ y.T for y in data]):
            assert ours[i, j] == pytest.approx(_hsic(k, m) / np.sqrt(_hsic(k, k) * _hsic(m, m)), abs=1e-12)


def test_the_u_statistic_is_the_mean_over_all_quadruples():
    """HSIC's kernel over ordered quadruples of different conditions has no bias by construction."""
    from itertools import permutations

    x, y = _patterns(0, 6, 2), _patterns(1, 6, 3)
    grams = [x @ x.T, y @ y.T]

    def mean_product(a, b):
        return np.mean([a[i, j] * (b[i, j] + b[k, q] - 2 * b[i, k]) for i, j, k, q in permutations(range(6), 4)])

    k, m = grams
    expected = mean_product(k, m) / np.sqrt(mean_product(k, k) * mean_product(m, m))
    assert rsa.compare_patterns([x], [y])[0, 0] == pytest.approx(expected, abs=1e-12)


def test_debiased_cka_is_the_correlation_of_distances_less_what_conditions_explain():
    models, data = _related(2)
    first, second = np.triu_indices(18, 1)
    incidence = np.eye(18)[first] + np.eye(18)[second]

    def residual(patterns):
        distances = rsa.rdm(patterns, "euclidean")
        return distances - incidence @ np.linalg.lstsq(incidence, distances, rcond=None)[0]

    expected = [[np.corrcoef(residual(x), residual(y))[0, 1] for y in data] for x in models]
    np.testing.assert_allclose(rsa.compare_patterns(models, data), expected, atol=1e-12)


def test_procrustes_equals_scipy():
    models, data = _related(3)
    ours = rsa.compare_patterns(models, data, "procrustes")
    for i, x in enumerate(models):
        for j, y in enumerate(data):
            width = max(x.shape[1], y.shape[1])
            padded = [np.pad(p - p.mean(axis=0), [(0, 0), (0, width - p.shape[1])]) for p in (x, y)]
            one, other = (p / np.linalg.norm(p) for p in padded)
            rotation, scale = orthogonal_procrustes(one, other)
            assert ours[i, j] == pytest.approx(scale, abs=1e-12)
            # Of unit length, what the rotation leaves is 2 - 2 s.
            assert np.linalg.norm(one @ rotation - other) ** 2 == pytest.approx(2 - 2 * ours[i, j], abs=1e-12)


@pytest.mark.parametrize("method", ["procrustes", "cka_biased"])
def test_angles_are_a_metric(method):
    sets = [_patterns(seed, 12, width) for seed, width in enumerate((2, 5, 9, 30, 5, 3))]
    angles = rsa.angular_distance(rsa.compare_patterns(sets, sets, method))
    np.testing.assert_allclose(angles, angles.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(angles), 0, atol=1e-7)
    assert np.all(angles[:, None, :] <= angles[:, :, None] + angles[None, :, :] + 1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_rotation_scale_and_shift_do_not_matter(method):
    models, data = _related(4)
    expected = rsa.compare_patterns(models, data, method, KEY)
    moved = []
    for seed, patterns in enumerate(models):
        rotation = np.linalg.qr(_patterns(seed, patterns.shape[1], patterns.shape[1]))[0]
        moved.append(-1e3 * patterns @ rotation + 50 * _patterns(seed, patterns.shape[1]))
    np.testing.assert_allclose(rsa.compare_patterns(moved, data, method, KEY), expected, atol=1e-9)
    # Units that are silent add nothing.
    silent = [np.column_stack([patterns, np.full((18, 200), 3.0)]) for patterns in models]
    np.testing.assert_allclose(rsa.compare_patterns(silent, data, method, KEY), expected, atol=1e-9)
    scaled = rsa.compare_patterns([1e-200 * x for x in models], [1e200 * y for y in data], method, KEY)
    np.testing.assert_allclose(scaled, expected, atol=1e-9)
    order = np.random.default_rng(0).permutation(18)
    if method != "encoding":
        both = rsa.compare_patterns([x[order] for x in models], [y[order] for y in data], method)
        np.testing.assert_allclose(both, expected, atol=1e-12)
        np.testing.assert_allclose(rsa.compare_patterns(data, models, method).T, expected, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_scores_do_not_depend_on_the_company(method):
    models, data = _related(5)
    every = rsa.compare_patterns(models, data, method, KEY)
    assert every.shape == (3, 2) and every.dtype == np.float64
    alone = [[rsa.compare_patterns([x], [y], method, KEY)[0, 0] for y in data] for x in models]
    np.testing.assert_allclose(every, alone, atol=1e-12)
    stacked = np.stack([models[0], models[0] + 1])
    np.testing.assert_allclose(rsa.compare_patterns(stacked, data, method, KEY), every[[0, 0]], atol=1e-10)
    np.testing.assert_array_equal(rsa.compare_patterns(models, data, method, KEY), every)


@pytest.mark.parametrize("width", [10, 300])
def test_debiased_cka_of_noise_is_zero_on_average_and_the_others_are_not(width):
    """1,000 pairs of independent sets. Each score has mean zero given either of its sets, so that all are uncorrelated."""
    random = np.random.default_rng(6)
    # Correlated, skewed units: nothing is asked of noise but that conditions of one set are exchangeable.
    models = [np.exp(random.normal(size=(20, width)) @ random.normal(size=(width, width)) / width**0.5) for _ in range(40)]
    data = [random.normal(size=(20, width)) for _ in range(25)]
    scores = {method: rsa.compare_patterns(models, data, method).ravel() for method in ("cka", "cka_biased", "procrustes")}
    z = {method: found.mean() / stats.sem(found) for method, found in scores.items()}
    assert abs(z["cka"]) < 3
    assert 0.3 < (scores["cka"] < 0).mean() < 0.7
    # What is corrected: the others find much in noise, and more the wider it is.
    least = {10: 0.2, 300: 0.6}[width]
    assert min(z["cka_biased"], z["procrustes"]) > 50
    assert min(scores["cka_biased"].mean(), scores["procrustes"].mean()) > least


def test_the_planted_model_wins():
    shared = _patterns(8, 40, 6)
    subjects = [shared @ _patterns(seed, 6, 30) + 2 * _patterns(seed + 10, 40, 30) for seed in range(3)]
    models = [_patterns(20, 40, 500), shared @ _patterns(21, 6, 500) + _patterns(22, 40, 500)]
    for method in METHODS:
        scores = rsa.compare_patterns(models, subjects, method, KEY)
        assert np.all(scores[1] > scores[0] + 0.1), method


@pytest.mark.parametrize("method", METHODS)
def test_twenty_thousand_units_need_no_square_of_units(method):
    x, y = _patterns(9, 92, 20_000), _patterns(10, 92, 500)
    tracemalloc.start()
    rsa.compare_patterns([x], [y], method, KEY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * x.nbytes  # the square of units would be 217 times as large


ONE = _patterns(0, 12, 4)
GAP = ONE.copy()
GAP[3, 2] = np.nan


@pytest.mark.parametrize(
    ("models", "data", "options", "message"),
    [
        ([ONE], [ONE], {"method": "cka_debiased"}, "unknown method to compare patterns 'cka_debiased': did you mean 'cka_biased'"),
        ([], [ONE], {}, "no model patterns to compare"),
        (ONE, [ONE], {}, r"model patterns 1 have shape \(4,\).*put a single set in a list"),
        ([ONE], [ONE[:, :0]], {}, r"data patterns 1 have shape \(12, 0\)"),
        ([ONE], [ONE, GAP], {}, "data patterns 2 hold NaN or infinite values, the first in condition 4, unit 3"),
        ([ONE], [ONE, ONE[1:]], {}, "data patterns 2 have 11 conditions and model patterns 1 have 12"),
        ([ONE, ONE[1:]], [ONE], {}, "model patterns 2 have 11 conditions and model patterns 1 have 12"),
        ([ONE[:3]], [ONE[:3]], {}, "method='cka' needs at least 4 conditions, and these patterns have 3"),
        ([ONE[:2]], [ONE[:2]], {"method": "procrustes"}, "needs at least 3 conditions"),
        ([ONE, np.full((12, 3), 0.1)], [ONE], {}, "model patterns 2 are constant, the same for all conditions"),
        ([ONE], [np.tile(ONE[:1], (12, 1))], {"method": "procrustes"}, "data patterns 1 are constant"),
        ([ONE], [np.eye(12)], {}, "conditions of data patterns 1 are equally far apart"),
        ([ONE], [ONE], {"method": "encoding"}, "no key was given: give key=jax.random.key"),
        ([ONE], [ONE], {"method": "encoding", "key": KEY}, "12 conditions in 5 folds leave 2 in the smallest.*use n_folds=4"),
        ([ONE], [ONE], {"method": "encoding", "key": KEY, "n_folds": 1}, "n_folds=1 leaves nothing to train on"),
        (
            [ONE],
            [np.where(np.arange(4) == 2, 7.7, ONE)],
            {"method": "encoding", "key": KEY, "n_folds": 3},
            "channel 3 of data patterns 1 is the same for all 4 conditions of a fold",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_unusable_patterns_are_refused(models, data, options, message):
    with pytest.raises(rsa.InputError, match=message):
        rsa.compare_patterns(models, data, **options)


def test_equally_distant_conditions_keep_their_other_scores():
    assert rsa.compare_patterns([np.eye(6)], [np.eye(6)], "cka_biased")[0, 0] == pytest.approx(1)
