r"""Known stages of visual processing, computed from images: what drives the regions of a simulated recording.

With luminance $L(x) \in [0, 1]$ at pixel x:

- pixel energy: $e(x) = (L(x) - \bar L)^2$, averaged over cells of a grid of at most 16 x 16;
- Gabor energy: $e_{f,\theta}(x) = \big|(g_{f,\theta} * (L - \bar L))(x)\big|^2$, with
  $g_{f,\theta}(x) \propto \exp(-\lVert x \rVert^2 / 2\sigma_f^2)\, \exp(2\pi i f\, u_\theta \cdot x)$, whose real and imaginary
  parts are the quadrature pair of simple cells that a complex cell squares and sums (Adelson and Bergen 1985,
  doi:10.1364/JOSAA.2.000284), then averaged over cells of a grid;
- category: one unit per category plus Gaussian scatter between the exemplars of one.

Frequencies f count cycles per image, on an image resampled to 64 x 64, so a stimulus and its enlargement drive the same
units; those at or above the Nyquist frequency of the given images are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64
from PIL import Image

from bioplausible.foundation.errors import InputError
from neurodata.stimuli import Stimuli

LUMINANCE_WEIGHTS = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709
PIXEL_GRID = 16
GABOR_SIZE = 64
GABOR_CYCLES_PER_IMAGE = (1.5, 3.0, 6.0, 12.0)
GABOR_ORIENTATIONS = 8
GABOR_GRID = 8
GABOR_CYCLES_PER_SIGMA = 0.56  # one octave at half amplitude, the median of simple cells in V1

Stage = Callable[[Stimuli], Float64[np.ndarray, "n_conditions n_features"]]


def _luminance(stimuli: Stimuli) -> np.ndarray:
    return stimuli.images.astype(np.float64) @ np.array(LUMINANCE_WEIGHTS) / 255.0


def _resample(planes: np.ndarray, height: int, width: int, method: Image.Resampling) -> np.ndarray:
    if planes.shape[1:] == (height, width):
        return planes
    resampled = [np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), method)) for plane in planes]
    return np.stack(resampled).astype(np.float64)


def _gabor_transfer(cycles_per_image: float, orientation: float, padded: int) -> np.ndarray:
    """Fourier transform of a complex Gabor on the padded grid: a Gaussian around its frequency, of peak one."""
    frequency = np.fft.fftfreq(padded) * GABOR_SIZE  # in cycles per image
    vertical, horizontal = np.meshgrid(frequency, frequency, indexing="ij")
    sigma = GABOR_CYCLES_PER_SIGMA / cycles_per_image  # in images
    distance = (vertical - cycles_per_image * np.sin(orientation)) ** 2 + (horizontal - cycles_per_image * np.cos(orientation)) ** 2
    return np.exp(-2.0 * (np.pi * sigma) ** 2 * distance)


def pixel_energy(stimuli: Stimuli) -> Float64[np.ndarray, "n_conditions n_features"]:
    """Square each pixel's deviation from its image's mean luminance and average over a grid of at most 16 x 16 cells."""
    luminance = _luminance(stimuli)
    energy = (luminance - luminance.mean(axis=(1, 2), keepdims=True)) ** 2
    height, width = (min(side, PIXEL_GRID) for side in energy.shape[1:])
    return _resample(energy, height, width, Image.Resampling.BOX).reshape(stimuli.n_conditions, -1)


def gabor_energy(stimuli: Stimuli) -> Float64[np.ndarray, "n_conditions n_features"]:
    """Compute the energy of quadrature pairs at eight orientations and up to four octaves, averaged over a grid."""
    nyquist = min(stimuli.images.shape[1:3]) / 2
    frequencies = [frequency for frequency in GABOR_CYCLES_PER_IMAGE if frequency < nyquist]
    if not frequencies:
        height, width = stimuli.images.shape[1:3]
        raise InputError(
            f"{stimuli.source}: images of {width} x {height} pixels are too small for Gabor filters of "
            f"{GABOR_CYCLES_PER_IMAGE[0]} cycles per image; expected at least 4 x 4 pixels"
        )
    luminance = _resample(_luminance(stimuli), GABOR_SIZE, GABOR_SIZE, Image.Resampling.BICUBIC)
    contrast = luminance - luminance.mean(axis=(1, 2), keepdims=True)
    padded = 2 * GABOR_SIZE  # zeros around the image, lest a filter at one edge sees the other
    spectrum = np.fft.fft2(contrast, s=(padded, padded))
    features = []
    for cycles_per_image in frequencies:
        cells = min(GABOR_GRID, 2 ** int(np.ceil(np.log2(2 * cycles_per_image))))
        side = GABOR_SIZE // cells
        for orientation in np.arange(GABOR_ORIENTATIONS) * np.pi / GABOR_ORIENTATIONS:
            response = np.fft.ifft2(spectrum * _gabor_transfer(cycles_per_image, orientation, padded))
            energy = np.abs(response[:, :GABOR_SIZE, :GABOR_SIZE]) ** 2
            pooled = energy.reshape(-1, cells, side, cells, side).mean(axis=(2, 4))
            features.append(pooled.reshape(stimuli.n_conditions, -1))
    return np.concatenate(features, axis=1)


def category(stimuli: Stimuli, scatter: float = 0.3, seed: int = 0) -> Float64[np.ndarray, "n_conditions n_categories"]:
    """Give each category a unit of its own and scatter its exemplars around it.

    Parameters
    ----------
    stimuli
        images with categories.
    scatter
        standard deviation of the exemplars in each unit, where a category's own unit is 1.
    seed
        fixes the scatter, which is the same for every simulated subject.

    Raises
    ------
    InputError
        when the stimuli have no categories or all have the same.
    """
    names, index = np.unique(stimuli.categories if stimuli.categories is not None else [], return_inverse=True)
    if len(names) < 2:
        raise InputError(
            f"{stimuli.source}: {len(names)} categories; a region driven by category needs at least two, give "
            "Stimuli(categories=...), one per image"
        )
    one_hot = np.eye(len(names))[index]
    return one_hot + scatter * np.random.default_rng(seed).standard_normal(one_hot.shape)


STAGES: Mapping[str, Stage] = MappingProxyType({"pixel_energy": pixel_energy, "gabor_energy": gabor_energy, "category": category})
"""Stages of vision that can drive a simulated region: functions from stimuli to features."""

__all__ = ["STAGES", "Stage", "category", "gabor_energy", "pixel_energy"]
