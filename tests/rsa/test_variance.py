import numpy as np
import pytest
from scipy import stats

from rsa.variance import corrected_variance, one_sided_permutation_p_value, t_interval, two_sided_p_value


def _jackknife_with_variance(variance: float, n_conditions: int = 8) -> np.ndarray:
    values = np.linspace(-1, 1, n_conditions)
    scale = np.sqrt(variance / ((n_conditions - 1) / n_conditions * np.square(values).sum()))
    return (values * scale)[:, None]


def _draws_with_variance(variance: float) -> np.ndarray:
    values = np.linspace(-1, 1, 101)
    return (values * np.sqrt(variance / values.var(ddof=1)))[:, None]


@pytest.mark.parametrize(
    ("bootstrap", "jackknife", "expected"),
    [
        (1.0, 1.0, 1.0),  # single conditions alone: both are right
        (3.0, 2.0, 1.0),  # pairs alone: the bootstrap has three times the variance, the jackknife twice
        (3.0, 1.0, 1.0),  # below what the two parts allow: a third of the bootstrap's
        (1.0, 1.5, 1.5),  # above it: the jackknife's
    ],
)
def test_noise_is_counted_once(bootstrap, jackknife, expected):
    variance = corrected_variance(_draws_with_variance(bootstrap), _jackknife_with_variance(jackknife))
    np.testing.assert_allclose(variance, [expected], rtol=1e-12)


@pytest.mark.parametrize(("single", "bootstrap_excess"), [(0.0, 2.2), (1.0, 0.7)])
def test_variance_of_a_mean_over_pairs_is_near_the_truth(single, bootstrap_excess):
    """Pairs of a_i + a_j + noise have both parts; the truth is the variance over simulations."""
    random = np.random.default_rng(0)
    n, (first, second) = 20, np.triu_indices(20, 1)
    left = 1 - np.eye(n)
    corrected, bootstrap, means = [], [], []
    for _ in range(400):
        effects = single * random.normal(size=n)
        pairs = effects[first] + effects[second] + random.normal(size=len(first))
        counts = random.multinomial(n, np.full(n, 1 / n), size=200)
        weights = (c[:, first] * c[:, second] for c in (counts, left))
        draws, jackknife = ((w @ pairs / w.sum(axis=1))[:, None] for w in weights)
        corrected.append(corrected_variance(draws, jackknife)[0])
        bootstrap.append(draws.var(ddof=1))
        means.append(pairs.mean())
    truth = np.var(means)
    assert 0.85 < np.mean(corrected) / truth < 1.6
    assert np.mean(bootstrap) / truth > bootstrap_excess


def test_draws_without_a_score_are_left_out_until_they_are_the_most():
    draws, jackknife = _draws_with_variance(1.0), _jackknife_with_variance(1.0)
    some = np.concatenate([draws, np.full((100, 1), np.nan)])
    most = np.concatenate([draws, np.full((102, 1), np.nan)])
    np.testing.assert_allclose(corrected_variance(some, jackknife), [1.0])
    assert np.isnan(corrected_variance(most, jackknife)).all()
    assert np.isnan(corrected_variance(draws[:0], jackknife)).all()


def test_without_a_jackknife_the_bootstrap_stands_alone():
    jackknife = _jackknife_with_variance(1.0)
    jackknife[2] = np.nan
    np.testing.assert_allclose(corrected_variance(_draws_with_variance(3.0), jackknife), [3.0])


def test_interval_and_p_value_are_one_t_distribution():
    lower, upper = t_interval(np.array([0.4]), np.array([0.1]), 20, 0.9)
    assert upper - 0.4 == pytest.approx(0.1 * stats.t(19).ppf(0.95))
    assert two_sided_p_value(upper - 0.4, np.array([0.1]), 20) == pytest.approx(0.1)
    np.testing.assert_allclose(lower + upper, 0.8)


def test_a_model_does_not_differ_from_itself():
    assert two_sided_p_value(np.array(0.0), np.array(0.0), 20) == 1


def test_permutation_p_values_count_the_given_labelling():
    null = np.array([[0.1], [0.2], [0.3], [0.4]])
    assert one_sided_permutation_p_value(np.array([0.5]), null) == pytest.approx(1 / 5)
    assert one_sided_permutation_p_value(np.array([0.3 + 1e-15]), null) == pytest.approx(3 / 5)
    assert np.isnan(one_sided_permutation_p_value(np.array([0.5]), null[:0])).all()
