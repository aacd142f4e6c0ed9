import jax
import numpy as np
import pytest

import rsa
from rsa.bootstrap import condition_permutations, leave_one_out_counts


def test_counts_are_those_of_drawing_with_replacement():
    counts = rsa.bootstrap_counts(jax.random.key(0), 4000, 10)
    assert counts.dtype == np.int64 and (counts.sum(axis=1) == 10).all()
    # Binomial(10, 1/10): mean 1, variance 0.9; five standard errors of 40,000 counts.
    assert counts.mean(axis=0) == pytest.approx(1, abs=5 * np.sqrt(0.9 / 4000))
    assert counts.var() == pytest.approx(0.9, abs=0.05)


def test_one_key_is_one_sample():
    draws = [rsa.bootstrap_counts(jax.random.key(seed), 20, 9) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


def test_old_style_keys_give_the_same_draws():
    np.testing.assert_array_equal(rsa.bootstrap_counts(jax.random.PRNGKey(3), 5, 7), rsa.bootstrap_counts(jax.random.key(3), 5, 7))


def test_draws_do_not_depend_on_the_callers_precision():
    key = jax.random.key(4)
    with jax.enable_x64(True):
        wide = rsa.bootstrap_counts(key, 5, 30), condition_permutations(key, 5, 30)
    np.testing.assert_array_equal(wide[0], rsa.bootstrap_counts(key, 5, 30))
    np.testing.assert_array_equal(wide[1], condition_permutations(key, 5, 30))


def test_weights_count_the_pairs_of_a_resampled_rdm(resampled):
    counts = np.array([2, 0, 1, 3])
    repeated = resampled(np.arange(1.0, 7.0)[None], counts).get_vectors()[0]
    weights = rsa.pair_weights(counts)
    values, copies = np.unique(repeated[~np.isnan(repeated)], return_counts=True)
    np.testing.assert_array_equal(weights[weights > 0], copies)
    np.testing.assert_array_equal(np.arange(1.0, 7.0)[weights > 0], values)


def test_weights_of_a_batch():
    counts = rsa.bootstrap_counts(jax.random.key(5), 6, 5).reshape(2, 3, 5)
    np.testing.assert_array_equal(rsa.pair_weights(counts)[1, 2], rsa.pair_weights(counts[1, 2]))


def test_permutations_hold_every_condition_once():
    permutations = condition_permutations(jax.random.key(6), 3000, 4)
    np.testing.assert_array_equal(np.sort(permutations, axis=1), np.tile(np.arange(4), (3000, 1)))
    _, frequency = np.unique(permutations, axis=0, return_counts=True)
    assert len(frequency) == 24 and frequency == pytest.approx(125, abs=5 * np.sqrt(125))


def test_the_jackknife_leaves_each_condition_out_once():
    np.testing.assert_array_equal(leave_one_out_counts(3), [[0, 1, 1], [1, 0, 1], [1, 1, 0]])


def test_nonsense_sizes_are_refused():
    with pytest.raises(rsa.InputError, match="-1 draws were asked for"):
        rsa.bootstrap_counts(jax.random.key(0), -1, 5)
    with pytest.raises(rsa.InputError, match="0 is no such number"):
        rsa.bootstrap_counts(jax.random.key(0), 3, 1)
