import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from rsa.precision import in_double_precision
from rsa.ranks import sort_once, weighted_midranks

_jitted_ranks = jax.jit(lambda values, weights: weighted_midranks(sort_once(values), weights))


@in_double_precision
def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.asarray(_jitted_ranks(jnp.asarray(values), jnp.asarray(weights)))


def test_ranks_without_weights_are_scipys():
    values = np.random.default_rng(0).integers(0, 20, size=(3, 4, 50)).astype(float)
    np.testing.assert_array_equal(_ranks(values, np.ones(50)), rankdata(values, axis=-1))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31), steps=st.sampled_from([1, 3, 1000]))
def test_a_weight_is_a_number_of_copies(seed, steps):
    random = np.random.default_rng(seed)
    values = random.integers(0, steps, size=30).astype(float)
    counts = random.integers(0, 4, size=30)
    ranks = _ranks(values, counts.astype(float))
    np.testing.assert_array_equal(np.repeat(ranks, counts), rankdata(np.repeat(values, counts)))


def test_many_blocks_of_cumulated_weights_are_exact():
    random = np.random.default_rng(1)
    values, counts = random.integers(0, 500, size=1000).astype(float), random.integers(0, 9, size=1000)
    ranks = _ranks(values, counts.astype(float))
    np.testing.assert_array_equal(np.repeat(ranks, counts), rankdata(np.repeat(values, counts)))


def test_zeros_of_either_sign_tie():
    np.testing.assert_array_equal(_ranks(np.array([0.0, -0.0, 1.0, -1.0]), np.ones(4)), [2.5, 2.5, 4, 1])
