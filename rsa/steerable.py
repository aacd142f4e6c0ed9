r"""A bank of steerable filters in quadrature, by FFT: what simple and complex cells of V1 are made of.

With radial frequency :math:`\nu` and direction :math:`\theta`, the filter at centre frequency :math:`\nu_s` and orientation
:math:`\theta_k = k \pi / n` is

.. math::
    A_{sk} = 2 \cos\!\Big(\tfrac\pi2 \log_2 \tfrac{\nu}{\nu_s}\Big) \cos^{\,n-1}(\theta - \theta_k)
    \quad\text{where}\quad |\log_2 (\nu / \nu_s)| < 1,\; \cos(\theta - \theta_k) > 0

and zero elsewhere. Taking one half of the frequencies makes the response complex: its real and imaginary part are those
of an even and an odd filter, a quadrature pair, and its squared size is the motionless case of Adelson and Bergen's
energy. A grating of amplitude a that fits a filter has a response of size a, whatever its phase. Filters never see the
mean. Each ends at twice its frequency, so its response is computed on a grid no finer than it needs.

Images are continued by their mirror image, so that no edge arises where left meets right.

References: Adelson and Bergen 1985, doi:10.1364/JOSAA.2.000284; Simoncelli and Freeman 1995, doi:10.1109/ICIP.1995.537667.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft


def _harmonics(centre: float, length: int, shortest: int, n_cells: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Harmonics of a mirrored axis that a filter sees, their frequency per shortest side, and the response's samples."""
    last = int(np.ceil(2 * centre * 2 * length / shortest)) - 1
    # A squared response has twice its bandwidth; twice the cells, because half of the mirrored axis is the image.
    n_samples = 2 * n_cells * int(np.ceil(4 * last / (2 * n_cells)))
    harmonics = np.arange(-last, last + 1)
    return harmonics, harmonics * shortest / (2 * length), n_samples


def _filter(vertical: np.ndarray, horizontal: np.ndarray, centre: float, orientation: int, n_orientations: int) -> np.ndarray:
    """Gain at each pair of frequencies."""
    radius = np.hypot(vertical[:, None], horizontal[None, :])
    octaves = np.log2(np.where(radius > 0, radius, np.inf) / centre)
    radial = np.where(np.abs(octaves) < 1, np.cos(np.pi / 2 * np.clip(octaves, -1, 1)), 0)
    direction = np.arctan2(vertical[:, None], horizontal[None, :])
    angular = np.maximum(np.cos(direction - np.pi * orientation / n_orientations), 0) ** (n_orientations - 1)
    return 2 * radial * angular


def steerable_responses(
    images: Float[np.ndarray, "n_images height width"], centres: list[float], n_orientations: int, n_cells: int
) -> Iterator[tuple[int, int, Complex[np.ndarray, "n_images n_vertical n_horizontal"]]]:
    """Filter images with every scale and orientation.

    Parameters
    ----------
    images
        Grey images, shape (n_images, height, width).
    centres
        Centre frequency of each scale, in cycles per shortest side, at most a quarter of its pixels.
    n_orientations
        Orientation k sees what varies along the direction k · 180° / n, from the horizontal axis towards the lower end
        of the vertical one; 0 is vertical stripes.
    n_cells
        The samples of a response are a multiple of it along each axis, so that they pool evenly into so many cells.

    Yields
    ------
    Scale, orientation, and complex responses over the image, as coarsely sampled as the scale allows.
    """
    height, width = images.shape[1:]
    mirrored = np.pad(images, [(0, 0), (0, height), (0, width)], mode="symmetric")
    spectrum = fft.fft2(mirrored) / (4 * height * width)
    for scale, centre in enumerate(centres):
        rows, vertical, n_vertical = _harmonics(centre, height, min(height, width), n_cells)
        columns, horizontal, n_horizontal = _harmonics(centre, width, min(height, width), n_cells)
        seen = spectrum[:, rows[:, None], columns[None, :]]
        # Samples lie in the middle of their share of the image, so that an image and its mirror image are treated alike.
        shift_down, shift_right = height / n_vertical - 0.5, width / n_horizontal - 0.5
        seen = seen * np.exp(1j * np.pi * (rows[:, None] * shift_down / height + columns[None, :] * shift_right / width))
        for orientation in range(n_orientations):
            coarse = np.zeros((len(images), n_vertical, n_horizontal), dtype=complex)
            gain = _filter(vertical, horizontal, centre, orientation, n_orientations)
            coarse[:, rows[:, None] % n_vertical, columns[None, :] % n_horizontal] = seen * gain
            response = fft.ifft2(coarse, norm="forward", overwrite_x=True)
            yield scale, orientation, response[:, : n_vertical // 2, : n_horizontal // 2]


__all__ = ["steerable_responses"]
