"""Corrections equal MNE's, and err as often as they say on simulated families of tests."""

import itertools

import jax
import numpy as np
import pytest
from mne.stats import fdr_correction
from scipy import stats
from scipy.stats import binomtest

import rsa
from bioplausible.foundation.errors import InputError
from rsa.multiple import false_discovery_rate, holm, max_statistic_p_values


@pytest.mark.parametrize(("method", "theirs"), [("bh", "indep"), ("by", "negcorr")])
def test_adjusted_p_values_equal_mne(method, theirs):
    p_values = np.random.default_rng(0).random((6, 7)) ** 3
    expected = fdr_correction(p_values, method=theirs)[1]
    np.testing.assert_allclose(false_discovery_rate(p_values, method), np.minimum(expected, 1), rtol=1e-14)


def test_tests_that_were_not_made_do_not_count():
    p_values = np.random.default_rng(1).random(20)
    with_holes = np.insert(p_values, [3, 9, 20], np.nan)
    adjusted = false_discovery_rate(with_holes)
    np.testing.assert_array_equal(np.isnan(adjusted), np.isnan(with_holes))
    np.testing.assert_array_equal(adjusted[~np.isnan(adjusted)], false_discovery_rate(p_values))
    assert np.isnan(false_discovery_rate(np.full((2, 2), np.nan))).all()


@pytest.mark.parametrize("method", ["bh", "by"])
def test_false_discoveries_are_as_few_as_promised(method):
    """A fifth of the tests has an effect; all share some noise, so they are related positively."""
    random = np.random.default_rng(2)
    effect = np.where(np.arange(40) < 8, 3.0, 0.0)
    z = effect + np.sqrt(0.3) * random.normal(size=(1000, 1)) + np.sqrt(0.7) * random.normal(size=(1000, 40))
    found = np.array([false_discovery_rate(stats.norm.sf(study), method) <= 0.1 for study in z])
    false = found[:, 8:].sum(axis=1) / np.maximum(found.sum(axis=1), 1)
    assert false.mean() < 0.1 * 0.8 + 3 * false.std() / np.sqrt(1000)
    assert found[:, :8].mean() > {"bh": 0.6, "by": 0.3}[method]


def test_holm_is_the_closed_test_of_bonferronis():
    """A claim holds if Bonferroni's test rejects every intersection of claims that it takes part in (Marcus et al. 1976)."""
    p_values = np.random.default_rng(5).random(8) ** 3
    families = [np.array(family) for size in range(1, 9) for family in itertools.combinations(range(8), size)]
    expected = [max(min(1, len(family) * p_values[family].min()) for family in families if test in family) for test in range(8)]
    np.testing.assert_allclose(holm(p_values), expected, rtol=1e-14)
    with_holes = np.insert(p_values, [2, 8], np.nan).reshape(2, 5)
    np.testing.assert_array_equal(holm(with_holes)[~np.isnan(with_holes)], holm(p_values))
    assert np.isnan(holm(with_holes)[np.isnan(with_holes)]).all()
    with pytest.raises(InputError, match="1.5 is no p-value"):
        holm(np.array([0.5, 1.5]))


def test_holm_lets_a_false_claim_pass_in_five_percent_of_families_however_related():
    random = np.random.default_rng(6)
    effect = np.where(np.arange(20) < 5, 4.0, 0.0)
    for shared in (0.0, 0.8):
        z = effect + np.sqrt(shared) * random.normal(size=(2000, 1)) + np.sqrt(1 - shared) * random.normal(size=(2000, 20))
        found = np.array([holm(stats.norm.sf(study)) < 0.05 for study in z])
        assert found[:, 5:].any(axis=1).mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
        assert found[:, :5].mean() > 0.8


def _family(random: np.random.Generator, n_draws: int, n_tests: int = 15) -> np.ndarray:
    """Related tests: the first row is the observed one, and exchangeable with the others."""
    return np.sqrt(0.6) * random.normal(size=(n_draws + 1, 1)) + np.sqrt(0.4) * random.normal(size=(n_draws + 1, n_tests))


def _by_hand(scores: np.ndarray, null: np.ndarray, step_down: bool) -> np.ndarray:
    p_values, last = np.empty(len(scores)), 0.0
    for test in np.argsort(-scores):
        rivals = scores <= scores[test] if step_down else np.full(len(scores), True)
        last = max(last, (1 + sum(row[rivals].max() >= scores[test] for row in null)) / (1 + len(null)))
        p_values[test] = last
    return p_values


@pytest.mark.parametrize("step_down", [False, True])
def test_max_statistic_equals_its_definition(step_down):
    random = np.random.default_rng(3)
    scores, *null = _family(random, 60)
    scores = scores + np.where(np.arange(15) < 3, 2.0, 0.0)
    p_values = max_statistic_p_values(scores, np.array(null), step_down)
    np.testing.assert_allclose(p_values, _by_hand(scores, np.array(null), step_down), rtol=1e-15)
    shaped = max_statistic_p_values(scores.reshape(3, 5), np.array(null).reshape(60, 3, 5), step_down)
    np.testing.assert_array_equal(shaped, p_values.reshape(3, 5))


@pytest.mark.parametrize("step_down", [False, True])
def test_a_single_false_finding_comes_in_five_percent_of_families(step_down):
    random = np.random.default_rng(4)
    smallest = []
    for _ in range(1000):
        scores, *null = _family(random, 99)
        smallest.append(max_statistic_p_values(scores, np.array(null), step_down).min())
    assert binomtest(int((np.array(smallest) <= 0.05).sum()), 1000, 0.05).pvalue > 0.01, np.mean(np.array(smallest) <= 0.05)


def test_the_error_holds_beside_true_effects_and_power_exceeds_bonferroni():
    random = np.random.default_rng(5)
    effect = np.where(np.arange(15) < 5, 3.0, 0.0)
    false, found = [], {"single": [], "down": [], "bonferroni": []}
    for _ in range(500):
        scores, *null = _family(random, 499)
        single, down = (max_statistic_p_values(scores + effect, np.array(null), step_down) for step_down in (False, True))
        assert (down <= single).all()
        alone = (1 + (np.array(null) >= scores + effect).sum(axis=0)) / 500
        false.append((down[5:] <= 0.05).any())
        for name, p_values in (("single", single), ("down", down), ("bonferroni", 15 * alone)):
            found[name].append((p_values[:5] <= 0.05).mean())
    assert binomtest(sum(false), 500, 0.05, alternative="greater").pvalue > 0.01, np.mean(false)
    power = {name: np.mean(shares) for name, shares in found.items()}
    assert power["down"] > power["single"] > power["bonferroni"] + 0.05 and power["single"] > 0.7, power


def test_the_null_of_an_evaluation_is_a_shared_null():
    random = np.random.default_rng(6)
    patterns = random.normal(size=(12, 20))
    models = rsa.rdm(np.stack([patterns, *random.normal(size=(3, 12, 20))]))
    subjects = rsa.rdm(patterns + random.normal(size=(2, 4, 12, 20)))  # two times
    evaluation = rsa.evaluate(jax.random.key(0), models, subjects, n_draws=199)
    p_values = max_statistic_p_values(evaluation.mean, np.moveaxis(evaluation.null, -2, 0))
    assert p_values.shape == (2, 4) and (p_values >= evaluation.p_value).all()
    assert (p_values[:, 0] < 0.05).all() and (p_values[:, 1:] > 0.05).all()


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (false_discovery_rate, (np.array([0.2, 1.5]),), "1.5 is no p-value"),
        (false_discovery_rate, (np.array([0.2]), "holm"), "unknown method 'holm'.*bh, by"),
        (max_statistic_p_values, (np.zeros(3), np.zeros((9, 4))), r"shape \(3,\) and the null \(9, 4\)"),
        (max_statistic_p_values, (np.zeros(3), np.zeros((0, 3))), "n_draws above zero"),
        (max_statistic_p_values, (np.array([0.0, np.nan]), np.zeros((9, 2))), "hold NaN"),
    ],
)
def test_mistakes_end_in_a_sentence(function, arguments, message):
    with pytest.raises(rsa.InputError, match=message):
        function(*arguments)
