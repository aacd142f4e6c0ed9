"""Front ends: what each does to images, and that none needs a label."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import architectures
from architectures import FRONT_ENDS, InputError, fit_front_end


def correlated_images(n=400, side=6, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    rough = rng.normal(size=(n, side + 2, side + 2, channels))
    return sum(rough[:, i : i + side, j : j + side] for i in range(3) for j in range(3)) / 3 + 0.5


@pytest.mark.parametrize("name", sorted(FRONT_ENDS))
@pytest.mark.parametrize("channels", [1, 3])
def test_output_shape_is_the_declared_one(name, channels):
    images = correlated_images(channels=channels)
    front_end = fit_front_end(name, images)
    assert front_end(jnp.asarray(images[:3])).shape == (3, *front_end.output_shape(images.shape[1:]))


def test_whitening_whitens():
    images = correlated_images(n=3000)
    with jax.enable_x64(True):
        white = np.asarray(fit_front_end("zca", images, eps=1e-9)(jnp.asarray(images))).reshape(len(images), -1)
    covariance = np.cov(white, rowvar=False)
    np.testing.assert_allclose(covariance, np.eye(len(covariance)), atol=2e-3)
    assert abs(white.mean()) < 1e-4


def test_local_whitening_is_whitening_of_patches_and_whitens_what_is_white_within_them():
    """Each pixel is the middle of its patch whitened, computed here patch by patch; images of one patch are whitened as a whole."""
    images = correlated_images(n=300, side=9, channels=2)
    front_end = fit_front_end("zca_local", images, eps=0.1)
    patches = np.stack([images[:, y : y + 7, x : x + 7].reshape(300, -1) for y in range(3) for x in range(3)], axis=1)
    values, vectors = np.linalg.eigh(np.cov(patches.reshape(-1, 98), rowvar=False))
    inverse_root = vectors @ np.diag((values + 0.1 * values.max()) ** -0.5) @ vectors.T
    middle = ((patches - patches.mean((0, 1))) @ inverse_root).reshape(300, 9, 7, 7, 2)[:, :, 3, 3]
    expected = middle / np.sqrt(middle.reshape(-1, 2).var(0, ddof=1).mean())
    with jax.enable_x64(True):
        found = np.asarray(front_end(jnp.asarray(images)))[:, 3:6, 3:6].reshape(300, 9, 2)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert front_end.output_shape((224, 200, 2)) == (224, 200, 2)

    smooth = correlated_images(n=2000, side=20)
    with jax.enable_x64(True):
        white = np.asarray(fit_front_end("zca_local", smooth, eps=1e-6)(jnp.asarray(smooth)))[:, 4:-4, 4:-4, 0]
    beside = [np.corrcoef(each[:, 1:].ravel(), each[:, :-1].ravel())[0, 1] for each in (smooth[..., 0], white)]
    assert beside[0] > 0.6 and abs(beside[1]) < 0.15


def test_images_smaller_than_a_patch_are_whitened_by_smaller_patches():
    for side in (1, 2, 4):
        images = np.random.default_rng(0).normal(size=(50, side, side, 3))
        assert fit_front_end("zca_local", images)(jnp.asarray(images)).shape == images.shape


def test_on_off_is_blind_to_a_flat_image_and_splits_signs():
    images = correlated_images()
    front_end = fit_front_end("on_off", images)
    assert float(jnp.abs(front_end(jnp.full((1, 6, 6, 1), 3.0))).max()) < 1e-5
    on, off = jnp.split(front_end(jnp.asarray(images)), 2, axis=-1)
    assert float(on.min()) >= 0 and float(off.min()) >= 0
    assert float((on * off).max()) == 0
    spot = jnp.zeros((1, 9, 9, 1)).at[0, 4, 4, 0].set(1.0)
    on, off = jnp.split(front_end(spot), 2, axis=-1)
    assert float(on[0, 4, 4, 0]) > 0 and float(off[0, 4, 1, 0]) > 0


def test_on_off_takes_any_size_and_whitening_one_size():
    images = correlated_images()
    assert fit_front_end("on_off", images).output_shape((20, 30, 1)) == (20, 30, 2)
    with pytest.raises(InputError, match="fitted to images of \\(6, 6, 1\\)"):
        fit_front_end("zca", images).output_shape((20, 30, 1))


def test_encoding_once_equals_encoding_always():
    images = correlated_images()
    for name in FRONT_ENDS:
        network = architectures.build("cnn", input_shape=(6, 6, 1), n_classes=3, front_end=fit_front_end(name, images))
        params = network.init(jax.random.key(0))
        x = jnp.asarray(images[:4], jnp.float32)
        always, once = network.forward(params, x), network.core.forward(params, network.encode(x))
        for a, b in zip(always, once, strict=True):
            np.testing.assert_array_equal(a, b)
        assert network.options["front_end"] == name


def test_whitening_that_no_memory_holds_is_refused_before_it_is_asked_for():
    flat = np.broadcast_to(np.float32(0), (2, 3000, 3000, 3))  # takes no memory itself
    with pytest.raises(
        InputError, match=r"whitening images of 3000x3000x3 takes matrices of 27,000,000 x 27,000,000, [\d,]+ GiB at the"
    ):
        fit_front_end("zca", flat)


def test_mistakes_are_named():
    with pytest.raises(InputError, match="did you mean 'zca'"):
        fit_front_end("zcaa", correlated_images())
    with pytest.raises(InputError, match="at least 2"):
        fit_front_end("zca", correlated_images(n=1))
