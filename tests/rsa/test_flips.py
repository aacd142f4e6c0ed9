"""Largest-t tests equal MNE's on every flip, and err as often as they say."""

import jax
import numpy as np
import pytest
from mne.stats import permutation_t_test
from scipy import stats
from scipy.stats import binomtest

import rsa
from rsa import flips as module


def test_all_flips_are_mnes_test_of_the_largest_t():
    scores = np.random.default_rng(0).normal(size=(8, 40)) + np.where(np.arange(40) < 5, 1.0, 0.0)
    # MNE takes the largest absolute value: that of the scores and of their negatives.
    found = rsa.sign_flips(jax.random.key(0), np.stack([scores, -scores], axis=1), n_draws=255)
    t, p_value, _ = permutation_t_test(scores, n_permutations="all", tail=0, verbose="error")
    assert found.n_flips == 256
    np.testing.assert_allclose(found.t, [t, -t], rtol=1e-10)
    np.testing.assert_allclose(found.p_value.min(axis=0), p_value, atol=1 / 128)  # and it leaves one of the flips out
    assert p_value.min() < 0.2 and np.median(p_value) > 0.5


def test_p_values_are_the_count_of_heavier_flips_written_out():
    scores = np.random.default_rng(1).normal(size=(5, 3, 2)) + 0.4
    found = rsa.sign_flips(jax.random.key(0), scores)
    signs = np.array(np.meshgrid(*[[1, -1]] * 5)).reshape(5, -1).T
    largest = [stats.ttest_1samp(scores * sign[:, None, None], 0, axis=0).statistic.max() for sign in signs]
    observed = stats.ttest_1samp(scores, 0, axis=0).statistic
    expected = [[np.mean([each >= value - 1e-9 for each in largest]) for value in row] for row in observed]
    np.testing.assert_allclose(found.p_value, expected)


def test_blocks_of_places_change_nothing(monkeypatch):
    scores = np.random.default_rng(2).normal(size=(12, 50))
    whole = rsa.sign_flips(jax.random.key(3), scores, n_draws=200)
    monkeypatch.setattr(module, "ENTRIES_AT_ONCE", 130)
    for ours, theirs in zip(rsa.sign_flips(jax.random.key(3), scores, n_draws=200), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_the_family_wise_error_is_the_nominal_one():
    random = np.random.default_rng(4)
    found = [rsa.sign_flips(jax.random.key(n), random.normal(size=(8, 20)), n_draws=255) for n in range(300)]
    hits = sum(each.p_value.min() <= 0.05 for each in found)
    assert binomtest(hits, 300, 0.05).pvalue > 0.001


@pytest.mark.parametrize(
    ("scores", "n_draws", "part"),
    [
        (np.ones((4, 3)), 10, "5 subjects are needed"),
        (np.ones((6, 3)), 0, "0 draws"),
        (np.full((6, 3), np.nan), 10, "NaN"),
        (np.ones((6, 0)), 10, "shape"),
    ],
)
def test_mistakes_are_said(scores, n_draws, part):
    with pytest.raises(rsa.InputError, match=part):
        rsa.sign_flips(jax.random.key(0), scores, n_draws)
