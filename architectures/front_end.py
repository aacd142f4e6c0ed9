r"""Fixed, label-free front ends: what stands between the image and the first trained block.

* `zca`: zero-phase whitening, :math:`x \mapsto C_\epsilon^{-1/2}(x - \mu)` with
  :math:`C_\epsilon = C + \epsilon \lambda_{\max} I`, from the training images' mean and covariance (Bell and Sejnowski 1997,
  doi:10.1016/S0042-6989(97)00121-1). Fitted, so it takes one image size.
* `zca_local`: the same within the patch around each pixel, seven by seven, which is a convolution: whitened images of any size,
  where the covariance of whole ones has no room (Coates and Ng 2012, doi:10.1007/978-3-642-35289-8_30, whiten patches so).
* `on_off`: a centre-surround filter (difference of two Gaussians, of equal integral, so that a flat image gives zero), then its
  positive and its negative part as two channels, as retinal ganglion cells report them (Rodieck 1965,
  doi:10.1016/0042-6989(65)90033-7). Nothing to fit: it takes any size.
* `zca_on_off`: whitening, then the positive and the negative part as two channels.

A front end never sees a label. Every rule can be given any of them, and every table names the one that was used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from architectures.convolution import convolve
from bioplausible.foundation.errors import InputError, unknown_name

__all__ = ["FRONT_ENDS", "FrontEnd", "fit_front_end", "no_front_end"]

# Centre and surround as a fraction of a small receptive field, in pixels; their ratio of 1.6 makes the difference of
# Gaussians approximate the Laplacian (Marr and Hildreth 1980, doi:10.1098/rspb.1980.0020).
_CENTRE_PIXELS, _SURROUND_PIXELS, _FILTER_SIDE = 0.8, 1.28, 7
_PATCH_SIDE = 7
_MOST_PATCHES = 100_000  # of 147 numbers each in colour: the covariance's entries are known to a third of a per cent
_MATRICES = 3  # covariance, eigenvectors and whitening matrix, in memory together


@dataclass(frozen=True)
class FrontEnd:
    """A fixed transform of images.

    Attributes:
        name: one of `FRONT_ENDS`.
        transform: (n, height, width, channels) -> (n, height, width, channels').
        channels_factor: channels' / channels.
        only_shape: the image shape that it was fitted to, None where it takes any.
    """

    name: str
    transform: Callable[[Array], Array]
    channels_factor: int = 1
    only_shape: tuple[int, ...] | None = None

    def __call__(self, inputs: Array) -> Array:
        """Encode inputs, images (n, height, width, channels) where there is anything to encode."""
        return self.transform(inputs)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one encoded image.

        Raises:
            InputError: if it was fitted to images of another shape.
        """
        if self.only_shape is not None and tuple(input_shape) != self.only_shape:
            raise InputError(
                f"the front end '{self.name}' was fitted to images of {self.only_shape} and given {tuple(input_shape)}: "
                "fit it to images of the size that the network gets"
            )
        return (*input_shape[:-1], input_shape[-1] * self.channels_factor)


def no_front_end() -> FrontEnd:
    """The identity."""
    return FrontEnd("none", lambda images: images)


def _split_signs(x: Array) -> Array:
    return jnp.concatenate([jax.nn.relu(x), jax.nn.relu(-x)], axis=-1)


def _filtered(images: Array, kernel: Array) -> Array:
    """Cross-correlation with a filter of odd side, of the same size as the images."""
    margin = kernel.shape[0] // 2
    if margin == 0:
        return convolve(images, kernel)
    # Reflected borders: with zeros outside, the frame of the image would be the strongest edge of all.
    padded = jnp.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    return convolve(padded, kernel)[:, margin:-margin, margin:-margin]


def _centre_surround(images: Array) -> Array:
    """Difference of Gaussians, each channel by itself."""
    offsets = np.arange(_FILTER_SIDE) - _FILTER_SIDE // 2
    squared_distance = offsets[:, None] ** 2 + offsets[None, :] ** 2
    centre, surround = (np.exp(-squared_distance / (2 * sigma**2)) for sigma in (_CENTRE_PIXELS, _SURROUND_PIXELS))
    kernel = centre / centre.sum() - surround / surround.sum()
    kernel = jnp.asarray(kernel / np.sqrt((kernel**2).sum()), images.dtype)[:, :, None, None]
    n, height, width, channels = images.shape
    one_channel = jnp.moveaxis(images, -1, 1).reshape(n * channels, height, width, 1)
    filtered = _filtered(one_channel, kernel)
    return jnp.moveaxis(filtered.reshape(n, channels, height, width), 1, -1)


def _check_room(shape: tuple[int, ...]) -> None:
    """Refuse a covariance that the machine's memory does not hold, before it is asked for."""
    n_inputs = int(np.prod(shape))
    needed = _MATRICES * 8 * n_inputs**2
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # elsewhere than on Linux and macOS
        return
    if needed > there:
        raise InputError(
            f"whitening images of {'x'.join(map(str, shape))} takes matrices of {n_inputs:,} x {n_inputs:,}, "
            f"{needed / 2**30:,.0f} GiB at the least, and this machine has {there / 2**30:,.0f}: use the front end "
            "'zca_local', which whitens patches, or 'on_off' or 'none', or smaller images"
        )


def _whitening(rows: Float[np.ndarray, "n d"], eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and covariance, and the symmetric inverse square root of what `eps` makes of it."""
    covariance = np.cov(rows, rowvar=False)
    eigenvalues, eigenvectors = np.linalg.eigh(np.atleast_2d(covariance))
    scale = 1 / np.sqrt(np.maximum(eigenvalues, 0) + eps * eigenvalues[-1])
    return rows.mean(0), np.atleast_2d(covariance), (eigenvectors * scale) @ eigenvectors.T


def _patches(images: Float[np.ndarray, "n height width channels"], side: int) -> Float[np.ndarray, "m d"]:
    """Patches at places drawn over all images, always the same ones: (side, side, channels) of each in one row."""
    n, height, width, channels = images.shape
    rng = np.random.default_rng(0)
    n_places = n * (height - side + 1) * (width - side + 1)
    drawn = np.arange(n_places) if n_places <= _MOST_PATCHES else rng.integers(n_places, size=_MOST_PATCHES)
    image, y, x = np.unravel_index(drawn, (n, height - side + 1, width - side + 1))
    windows = np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(1, 2))  # (n, y, x, channels, side, side)
    found = np.moveaxis(windows[image, y, x], 1, -1)
    return np.asarray(found, np.float64).reshape(len(drawn), side * side * channels)


def _zca_local(images: Float[np.ndarray, "n height width channels"], eps: float) -> Callable[[Array], Array]:
    side = min(_PATCH_SIDE, *images.shape[1:3])
    side -= 1 - side % 2  # a patch has a pixel in its middle
    channels = images.shape[3]
    mean, covariance, whiten = _whitening(_patches(images, side), eps)
    middle = whiten.reshape(side, side, channels, side, side, channels)[:, :, :, side // 2, side // 2]
    weights = middle.reshape(-1, channels)
    weights /= np.sqrt(np.trace(weights.T @ covariance @ weights) / channels)
    kernel, offset = weights.reshape(side, side, channels, channels).astype(np.float32), (mean @ weights).astype(np.float32)

    def transform(x: Array) -> Array:
        return _filtered(x, jnp.asarray(kernel, x.dtype)) - jnp.asarray(offset, x.dtype)

    return transform


def _zca(images: Float[np.ndarray, "n height width channels"], eps: float) -> Callable[[Array], Array]:
    _check_room(images.shape[1:])
    mean, covariance, whiten = _whitening(np.asarray(images, np.float64).reshape(len(images), -1), eps)
    # Unit variance on average, so that a network's initial weights meet the same input size with and without whitening.
    whiten /= np.sqrt(np.trace(whiten @ covariance @ whiten) / len(mean))
    matrix, offset = np.asarray(whiten, np.float32), np.asarray(mean, np.float32)

    def transform(x: Array) -> Array:
        centred = x.reshape(x.shape[0], -1) - jnp.asarray(offset, x.dtype)
        return (centred @ jnp.asarray(matrix, x.dtype)).reshape(x.shape)

    return transform


def _fit_none(images: np.ndarray, eps: float) -> FrontEnd:
    """Images as they are."""
    return no_front_end()


def _fit_zca(images: np.ndarray, eps: float) -> FrontEnd:
    """Zero-phase whitening by the training images' covariance; takes one image size."""
    return FrontEnd("zca", _zca(images, eps), 1, tuple(images.shape[1:]))


def _fit_zca_local(images: np.ndarray, eps: float) -> FrontEnd:
    """The same within the patch of seven by seven pixels around each pixel; takes images of any size."""
    return FrontEnd("zca_local", _zca_local(images, eps), 1)


def _fit_on_off(images: np.ndarray, eps: float) -> FrontEnd:
    """A centre-surround filter, its positive and its negative part as two channels, as retinal ganglion cells report them."""
    return FrontEnd("on_off", lambda x: _split_signs(_centre_surround(x)), 2)


def _fit_zca_on_off(images: np.ndarray, eps: float) -> FrontEnd:
    """Whitening, then the positive and the negative part as two channels."""
    whiten = _zca(images, eps)
    return FrontEnd("zca_on_off", lambda x: _split_signs(whiten(x)), 2, tuple(images.shape[1:]))


FRONT_ENDS: dict[str, Callable[[np.ndarray, float], FrontEnd]] = {
    "none": _fit_none,
    "zca": _fit_zca,
    "zca_local": _fit_zca_local,
    "on_off": _fit_on_off,
    "zca_on_off": _fit_zca_on_off,
}
"""Fixed, label-free front ends by name: what each fits to the training images."""


def fit_front_end(name: str, images: Float[np.ndarray, "n height width channels"], eps: float = 0.01) -> FrontEnd:
    """Fit a front end to normalised training images (and to nothing else).

    Args:
        name: one of `FRONT_ENDS`.
        images: the training split.
        eps: what whitening adds to every eigenvalue, as a fraction of the largest; larger smooths.

    Raises:
        InputError: unknown name, or too few images to estimate a covariance from.

    >>> images = np.random.default_rng(0).normal(size=(20, 4, 4, 1))
    >>> fit_front_end("on_off", images).output_shape((4, 4, 1))
    (4, 4, 2)
    """
    if name not in FRONT_ENDS:
        raise unknown_name("front end", name, FRONT_ENDS)
    if len(images) < 2:
        raise InputError(f"a front end was to be fitted to {len(images)} image(s), it needs at least 2")
    return FRONT_ENDS[name](images, eps)
