import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm
from scipy.spatial.distance import pdist

import rsa


@pytest.mark.parametrize("distance", sorted(rsa.DISTANCES))
def test_rdms_equal_rsatoolbox(distance):
    patterns = np.random.default_rng(0).normal(3, 2, size=(12, 40)).round(1)
    expected = calc_rdm(Dataset(patterns.copy()), method=distance).get_vectors()[0]
    np.testing.assert_allclose(rsa.rdm(patterns, distance), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("distance", "metric"), [("correlation", "correlation"), ("euclidean", "sqeuclidean")])
def test_rdms_equal_scipy(distance, metric):
    patterns = np.random.default_rng(1).normal(size=(9, 30))
    scale = 30 if distance == "euclidean" else 1
    np.testing.assert_allclose(rsa.rdm(patterns, distance), pdist(patterns, metric) / scale, rtol=0, atol=1e-12)


@pytest.mark.parametrize("distance", sorted(rsa.DISTANCES))
def test_a_batch_equals_a_loop(distance):
    patterns = np.random.default_rng(2).normal(size=(2, 3, 7, 11))
    batched = rsa.rdm(patterns, distance)
    assert batched.shape == (2, 3, 21)
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(batched[index], rsa.rdm(patterns[index], distance))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), distance=st.sampled_from(sorted(rsa.DISTANCES)))
def test_relabelling_conditions_relabels_the_rdm(seed, distance):
    random = np.random.default_rng(seed)
    patterns, permutation = random.normal(size=(6, 5)), random.permutation(6)
    square = rsa.to_square(rsa.rdm(patterns, distance))
    moved = rsa.to_square(rsa.rdm(patterns[permutation], distance))
    np.testing.assert_allclose(moved, square[np.ix_(permutation, permutation)], atol=1e-12)


def test_a_large_common_offset_costs_no_digits_of_euclidean_distances():
    patterns = np.random.default_rng(3).normal(size=(5, 20))
    np.testing.assert_allclose(rsa.rdm(patterns + 1e6, "euclidean"), pdist(patterns, "sqeuclidean") / 20, rtol=1e-8)


def test_single_precision_activations_are_compared_in_double_precision():
    patterns = np.random.default_rng(4).normal(size=(6, 50)).astype(np.float32)
    distances = rsa.rdm(jnp.asarray(patterns))
    assert distances.dtype == np.float64
    np.testing.assert_allclose(distances, pdist(patterns.astype(np.float64), "correlation"), atol=1e-14)
    assert jnp.ones(1).dtype == jnp.float32 and not jax.config.jax_enable_x64


def test_whole_numbers_are_patterns_too():
    images = np.random.default_rng(5).integers(0, 255, size=(4, 9), dtype=np.uint8)
    np.testing.assert_allclose(rsa.rdm(images), pdist(images.astype(float), "correlation"), atol=1e-13)


def test_one_channel_has_euclidean_distances():
    np.testing.assert_allclose(rsa.rdm(np.array([[0.0], [1.0], [3.0]]), "euclidean"), [1, 9, 4])


def _patterns(condition: int, value: float | None = None) -> np.ndarray:
    patterns = np.random.default_rng(6).normal(size=(2, 5, 4))
    patterns[1, condition] = 7.0
    if value is not None:
        patterns[1, condition, 2] = value
    return patterns


@pytest.mark.parametrize(
    ("patterns", "distance", "message"),
    [
        (_patterns(3), "correlation", "condition 3 is constant over its 4 .* in pattern set 1.*distance='euclidean'"),
        (_patterns(2, np.nan), "euclidean", "condition 2 holds NaN or infinite values in pattern set 1"),
        (_patterns(4, np.inf), "correlation", "condition 4 holds NaN"),
        (np.ones((2, 9)), "euclidean", "at least 3 conditions, and these patterns have 2"),
        (np.ones((3, 0)), "euclidean", "no channels"),
        (np.ones((3, 2)), "euclidian", "unknown distance 'euclidian': did you mean 'euclidean'"),
    ],
)
def test_unusable_patterns_are_refused(patterns, distance, message):
    with pytest.raises(rsa.InputError, match=message):
        rsa.rdm(patterns, distance)


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_single_pattern_is_refused():
    with pytest.raises(rsa.InputError, match=r"at least two axes.*shape \(5,\)"):
        rsa.rdm(np.arange(5.0))
