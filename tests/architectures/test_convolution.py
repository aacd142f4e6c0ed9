"""The matrix-product form of convolution against XLA's own, values and derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from architectures.convolution import convolve_as_matrix_product, convolve_natively


@settings(deadline=None, max_examples=15)
@given(
    height=st.integers(3, 12),
    width=st.integers(3, 12),
    kernel_height=st.integers(1, 5),
    kernel_width=st.integers(1, 5),
    stride_y=st.integers(1, 4),
    stride_x=st.integers(1, 4),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 4)),
)
def test_equals_the_native_convolution(height, width, kernel_height, kernel_width, stride_y, stride_x, channels):
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        images = jnp.asarray(rng.normal(size=(2, height, width, channels[0])))
        kernel = jnp.asarray(rng.normal(size=(kernel_height, kernel_width, *channels)))
        strides = (stride_y, stride_x)
        shape = jax.eval_shape(lambda x, k: convolve_natively(x, k, strides), images, kernel).shape
        cotangent = jnp.asarray(rng.normal(size=shape))

        @jax.jit
        def both(images, kernel, cotangent):
            ours, pull_ours = jax.vjp(lambda x, k: convolve_as_matrix_product(x, k, strides), images, kernel)
            native, pull_native = jax.vjp(lambda x, k: convolve_natively(x, k, strides), images, kernel)
            return (ours, *pull_ours(cotangent)), (native, *pull_native(cotangent))

        (ours, *pulled), (native, *pulled_natively) = both(images, kernel, cotangent)
        np.testing.assert_allclose(ours, native, atol=1e-12)
        for a, b in zip(pulled, pulled_natively, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-11)
