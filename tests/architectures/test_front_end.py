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
