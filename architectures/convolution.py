"""Convolution in the form that the device runs fastest: one function chooses.

On a CPU, XLA's convolution inside `lax.scan` falls back to a path that is more than ten times slower than the same call outside.
There the input is cut into patches and multiplied with the kernel as one matrix product. The cut is done per phase of the stride:
taps that share an offset of whole strides are taken together, so that reading forward is a handful of contiguous copies and
its transpose (which carries errors back) a handful of contiguous additions. On GPU and TPU the native convolution is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

__all__ = ["convolve", "convolve_as_matrix_product", "convolve_natively", "inject"]


def _one_side(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Length of the output and padding before, under SAME padding."""
    n_out = -(-size // stride)
    return n_out, max((n_out - 1) * stride + kernel - size, 0) // 2


def convolve_as_matrix_product(
    images: Float[Array, "n height width c_in"],
    kernel: Float[Array, "kernel_height kernel_width c_in c_out"],
    strides: tuple[int, int],
) -> Float[Array, "n height_out width_out c_out"]:
    """SAME convolution (cross-correlation) as patches times one matrix."""
    n, height, width, c_in = images.shape
    kernel_height, kernel_width, _, c_out = kernel.shape
    stride_y, stride_x = strides
    height_out, before_y = _one_side(height, kernel_height, stride_y)
    width_out, before_x = _one_side(width, kernel_width, stride_x)
    n_y, n_x = -(-kernel_height // stride_y), -(-kernel_width // stride_x)
    blocks_y, blocks_x = height_out - 1 + n_y, width_out - 1 + n_x
    # The kernel may be narrower than the stride, so the last rows can be unused: they are cut rather than padded.
    pad_y = (before_y, blocks_y * stride_y - height - before_y)
    pad_x = (before_x, blocks_x * stride_x - width - before_x)
    padded = lax.pad(images, jnp.zeros((), images.dtype), ((0, 0, 0), (*pad_y, 0), (*pad_x, 0), (0, 0, 0)))
    phases = padded.reshape(n, blocks_y, stride_y, blocks_x, stride_x, c_in)

    patches, weights = [], []
    for y in range(n_y):
        for x in range(n_x):
            taps_y = min(stride_y, kernel_height - y * stride_y)
            taps_x = min(stride_x, kernel_width - x * stride_x)
            cut = phases[:, y : y + height_out, :taps_y, x : x + width_out, :taps_x]
            patches.append(cut.transpose(0, 1, 3, 2, 4, 5).reshape(n * height_out * width_out, taps_y * taps_x * c_in))
            part = kernel[
                y * stride_y : y * stride_y + taps_y,
                x * stride_x : x * stride_x + taps_x,
            ]
            weights.append(part.reshape(-1, c_out))
    product = jnp.concatenate(patches, axis=1) @ jnp.concatenate(weights, axis=0)
    return product.reshape(n, height_out, width_out, c_out)


def convolve_natively(
    images: Float[Array, "n height width c_in"],
    kernel: Float[Array, "kernel_height kernel_width c_in c_out"],
    strides: tuple[int, int],
) -> Float[Array, "n height_out width_out c_out"]:
    """SAME convolution by XLA's own operation."""
    return lax.conv_general_dilated(images, kernel, strides, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def convolve(
    images: Float[Array, "n height width c_in"],
    kernel: Float[Array, "kernel_height kernel_width c_in c_out"],
    strides: tuple[int, int] = (1, 1),
) -> Float[Array, "n height_out width_out c_out"]:
    """SAME convolution (cross-correlation, channels last) in the form that suits the default device."""
    if jax.default_backend() == "cpu":
        return convolve_as_matrix_product(images, kernel, strides)
    return convolve_natively(images, kernel, strides)


def inject(images: Array, kernel: Array, strides: Sequence[int], padding: str | Sequence[tuple[int, int]], **_: Any) -> Array:
    """`convolve` with the signature that `flax.nnx.Conv` asks of its `conv_general_dilated` argument."""
    stride_y, stride_x = strides
    return convolve(images, kernel, (int(stride_y), int(stride_x)))
