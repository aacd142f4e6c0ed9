"""Second views of images against scipy's interpolation and against what their options say; pairs in time are neighbours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from small_task import batch_of, network_of

import learning_rules
from learning_rules import Batch, InputError
from learning_rules.positive_pairs import ViewOptions, _resampled, positive_pairs, second_view

STILL = {"shift": 0.0, "zoom": 0.0, "flip": 0.0, "masked": 0.0}


def view_of(images, seed=0, **options):
    return np.asarray(jax.jit(lambda x: second_view(jax.random.key(seed), x, ViewOptions(**{**STILL, **options})))(images))


def test_images_are_resampled_as_scipy_does():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(6, 7, 9, 2))
    scale, shift = rng.uniform(0.7, 1.3, (2, 6)) * rng.choice([-1, 1], (2, 6)), rng.uniform(-0.3, 0.3, (2, 6))
    with jax.enable_x64(True):
        seen = np.asarray(_resampled(jnp.asarray(images), jnp.asarray(scale), jnp.asarray(shift)))
    for b, image in enumerate(images):
        centred = (np.arange(7) - 3, np.arange(9) - 4)
        axes = [3 + scale[0, b] * centred[0] + 7 * shift[0, b], 4 + scale[1, b] * centred[1] + 9 * shift[1, b]]
        places = np.stack(np.meshgrid(*axes, indexing="ij"))
        for channel in range(2):
            expected = ndimage.map_coordinates(image[..., channel], places, order=1, mode="nearest")
            np.testing.assert_allclose(seen[b, ..., channel], expected, atol=1e-12)


def test_views_differ_as_far_as_the_options_say():
    ramp = jnp.broadcast_to(jnp.arange(20.0)[None, :, None, None], (400, 20, 20, 1))
    across = jnp.swapaxes(ramp, 1, 2)
    for image, axis in ((ramp, 1), (across, 2)):
        middle = np.take(view_of(image, shift=0.2), 10, axis) - 10
        moved = middle.mean((1, 2))
        # Twenty places a side: shifts up to four, evenly.
        assert np.abs(moved).max() <= 4 + 1e-4 and np.ptp(moved) > 7 and abs(moved.mean()) < 0.4
        grown = view_of(image, zoom=0.2)
        slope = np.take(grown, 12, axis) - np.take(grown, 8, axis)
        assert slope.min() >= 0.8 * 4 - 1e-4 and slope.max() <= 1.2 * 4 + 1e-4 and np.ptp(slope) > 1.2
    mirrored = view_of(across, flip=0.3)
    is_mirrored = np.array([np.allclose(one, across[0, :, ::-1]) for one in mirrored])
    assert np.all(is_mirrored | [np.allclose(one, across[0]) for one in mirrored])
    assert abs(is_mirrored.mean() - 0.3) < 4 * np.sqrt(0.21 / 400)


def test_masking_silences_places_of_images_and_values_of_anything_else():
    hidden = view_of(jnp.ones((50, 10, 10, 3)), masked=0.2) == 0
    assert np.all(hidden.all(-1) == hidden.any(-1)) and abs(hidden.mean() - 0.2) < 4 * np.sqrt(0.16 / 5000)
    vectors = jnp.ones((50, 100))
    hidden = view_of(vectors, **{**STILL, "shift": 0.5, "masked": 0.2}) == 0
    assert abs(hidden.mean() - 0.2) < 4 * np.sqrt(0.16 / 5000)
    np.testing.assert_array_equal(view_of(vectors, shift=0.5, zoom=0.5, flip=1.0), vectors)


def test_pairs_in_time_are_neighbours_and_count_when_both_steps_do():
    network = network_of("elman")
    images, labels = batch_of(0, n=5)
    params = network.init(jax.random.key(0))
    mask = jnp.ones((8, 5)).at[3, 1].set(0)
    pairs = jax.jit(lambda key: positive_pairs(key, network, params, Batch(images, labels, mask), ViewOptions()))(jax.random.key(1))
    outputs = jax.jit(network.forward)(params, images)[:-1]
    for h, earlier, later in zip(outputs, pairs.earlier, pairs.later, strict=True):
        np.testing.assert_allclose(earlier, h[:-1], rtol=1e-6)
        np.testing.assert_allclose(later, h[1:], rtol=1e-6)
    expected = np.ones((7, 5))
    expected[2:4, 1] = 0
    np.testing.assert_array_equal(pairs.counts, expected)


@pytest.mark.parametrize("rule", ["latent_predictive", "clapp"])
@pytest.mark.parametrize("option", ["shift", "zoom", "masked", "flip"])
def test_mistakes_are_named(rule, option):
    with pytest.raises(InputError, match=f"{option}=1.5 was given, expected a number from 0 to"):
        learning_rules.build(rule, network_of("mlp"), **{option: 1.5})
