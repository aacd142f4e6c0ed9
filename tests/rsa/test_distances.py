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
from rsa import tiles


def _options(distance: str, n_channels: int) -> dict[str, np.ndarray]:
    """What each distance needs beside patterns."""
    if distance != "mahalanobis":
        return {}
    return {"noise": rsa.noise_precision(np.random.default_rng(99).normal(size=(2 * n_channels, n_channels)))}


@pytest.mark.parametrize("distance", sorted(rsa.DISTANCES))
def test_rdms_equal_rsatoolbox(distance):
    patterns = np.abs(np.random.default_rng(0).normal(3, 2, size=(12, 40)).round(1))
    options = _options(distance, 40)
    expected = calc_rdm(Dataset(patterns.copy()), method=distance, **options).get_vectors()[0]
    np.testing.assert_allclose(rsa.rdm(patterns, distance, **options), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("distance", "metric"), [("correlation", "correlation"), ("euclidean", "sqeuclidean")])
def test_rdms_equal_scipy(distance, metric):
    patterns = np.random.default_rng(1).normal(size=(9, 30))
    scale = 30 if distance == "euclidean" else 1
    np.testing.assert_allclose(rsa.rdm(patterns, distance), pdist(patterns, metric) / scale, rtol=0, atol=1e-12)


@pytest.mark.parametrize("distance", sorted(rsa.DISTANCES))
def test_a_batch_equals_a_loop(distance):
    patterns, options = np.random.default_rng(2).random((2, 3, 7, 11)), _options(distance, 11)
    batched = rsa.rdm(patterns, distance, **options)
    assert batched.shape == (2, 3, 21)
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(batched[index], rsa.rdm(patterns[index], distance, **options))


@pytest.mark.parametrize("distance", sorted(rsa.DISTANCES))
@pytest.mark.parametrize("entries", [1, 17, 150])
def test_tiles_change_nothing(distance, entries, monkeypatch):
    patterns, options = np.random.default_rng(20).random((5, 11, 6)), _options(distance, 6)
    whole = rsa.rdm(patterns, distance, **options)
    monkeypatch.setattr(tiles, "TILE_ENTRIES", entries)
    np.testing.assert_allclose(rsa.rdm(patterns, distance, **options), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("distance", sorted(rsa.DISTANCES))
def test_conditions_too_many_for_a_tile(distance):
    # The square RDM has more entries than a tile.
    patterns, options = np.random.default_rng(21).random((2100, 4)), _options(distance, 4)
    assert 2100**2 > tiles.TILE_ENTRIES
    distances, chosen = rsa.rdm(patterns, distance, **options), [0, 700, 1500, 2098, 2099]
    some = rsa.to_square(distances)[np.ix_(chosen, chosen)]
    np.testing.assert_allclose(rsa.to_condensed(some), rsa.rdm(patterns[chosen], distance, **options), rtol=0, atol=1e-12)


def test_noise_of_each_set_broadcasts():
    patterns = np.random.default_rng(22).normal(size=(2, 3, 5, 4))
    noise = rsa.noise_precision(np.random.default_rng(23).normal(size=(3, 20, 4)))
    distances = rsa.rdm(patterns, "mahalanobis", noise)
    np.testing.assert_allclose(distances[1, 2], rsa.rdm(patterns[1, 2], "mahalanobis", noise[2]), rtol=1e-13)
    np.testing.assert_allclose(distances[0, 1], pdist(patterns[0, 1], "mahalanobis", VI=noise[1]) ** 2 / 4, rtol=1e-10)


def test_scales_and_rotations():
    random = np.random.default_rng(24)
    patterns, noise = random.normal(size=(6, 5)), _options("mahalanobis", 5)["noise"]
    mixing = random.normal(size=(5, 5))
    unmixing = np.linalg.inv(mixing)
    # Whitened distances do not depend on how channels are mixed, if their noise is mixed alike.
    mixed = rsa.rdm(patterns @ mixing, "mahalanobis", unmixing @ noise @ unmixing.T)
    np.testing.assert_allclose(mixed, rsa.rdm(patterns, "mahalanobis", noise), rtol=1e-9)
    rotation = np.linalg.qr(mixing)[0]
    np.testing.assert_allclose(rsa.rdm(2 * patterns @ rotation, "euclidean"), 4 * rsa.rdm(patterns, "euclidean"), rtol=1e-12)
    np.testing.assert_allclose(rsa.rdm(2 * patterns + 3), rsa.rdm(patterns), atol=1e-13)
    np.testing.assert_allclose(rsa.rdm(patterns, "mahalanobis", np.eye(5)), rsa.rdm(patterns, "euclidean"), atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), distance=st.sampled_from(sorted(rsa.DISTANCES)))
def test_permuting_conditions_permutes_the_rdm(seed, distance):
    random = np.random.default_rng(seed)
    patterns, permutation, options = random.random((6, 5)), random.permutation(6), _options(distance, 5)
    square = rsa.to_square(rsa.rdm(patterns, distance, **options))
    moved = rsa.to_square(rsa.rdm(patterns[permutation], distance, **options))
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
        patterns = np.abs(patterns)
        patterns[1, condition, 2] = value
    return patterns


@pytest.mark.parametrize(
    ("patterns", "distance", "message"),
    [
        (_patterns(3), "correlation", "condition 4 is constant over its 4 .* in pattern set 2.*distance='euclidean'"),
        (_patterns(2, np.nan), "euclidean", "condition 3 holds NaN or infinite values in pattern set 2"),
        (_patterns(4, np.inf), "correlation", "condition 5 holds NaN"),
        (np.ones((2, 9)), "euclidean", "at least 3 conditions, and these patterns have 2"),
        (np.ones((3, 0)), "euclidean", "no channels"),
        (_patterns(2, -1.5), "poisson", "condition 3 goes down to -1.5 in pattern set 2.*counts"),
        (_patterns(3), "mahalanobis", r"distance='mahalanobis' needs the noise precision.*rsa.noise_precision"),
        (np.ones((3, 2)), "euclidian", "unknown distance 'euclidian': did you mean 'euclidean'"),
    ],
)
def test_unusable_patterns_are_refused(patterns, distance, message):
    with pytest.raises(rsa.InputError, match=message):
        rsa.rdm(patterns, distance)


def test_noise_that_no_distance_asks_for_is_refused():
    with pytest.raises(rsa.InputError, match="distance='correlation' makes no use of noise"):
        rsa.rdm(_patterns(3)[0], noise=np.eye(4))


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_single_pattern_is_refused():
    with pytest.raises(rsa.InputError, match=r"at least two axes.*shape \(5,\)"):
        rsa.rdm(np.arange(5.0))
