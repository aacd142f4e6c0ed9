r"""Reference models: what the images alone explain, shown beside every score.

- ``pixels``: the image itself;
- ``luminance``: its mean luma, one number (ITU-R BT.601 weights);
- ``colour_layout``: mean CIELAB colour of eight by eight cells, what is left of an image without its detail (the idea of MPEG-7's
  descriptor of that name, Kasutani and Yamada 2001, doi:10.1109/ICIP.2001.959135; CIELAB of the sRGB standard, IEC 61966-2-1 and
  CIE 15, for light of D65); images without colours have none;
- ``gabor``: V1 complex cells, the root mean energy of quadrature pairs at four scales and eight orientations, in eight
  by eight cells of the image (Kay et al. 2008 for the idea of such a bank);
- ``hmax``: C1 of HMAX, the largest response of simple cells over places and neighbouring scales, at eight scales and four
  orientations. The layers above C1 match templates that are drawn or learned from images; a reference model should have no such
  choice, so there is no C2. Filters are those of :mod:`rsa.steerable`, in place of the paper's Gabors.

References: Kay et al. 2008, doi:10.1038/nature06713; Riesenhuber and Poggio 1999, doi:10.1038/14819; Serre et al. 2007,
doi:10.1109/TPAMI.2007.56.
"""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Real

from bioplausible.foundation.errors import InputError, unknown_name
from rsa.distances import MINIMUM_CONDITIONS
from rsa.measures import MEASURES, network_rdm
from rsa.pairs import Array
from rsa.steerable import steerable_responses

N_CELLS = 8
GABOR_SCALES, GABOR_ORIENTATIONS = 4, 8
HMAX_SCALES, HMAX_ORIENTATIONS = 8, 4

# Centre frequency of the finest scale in cycles per shortest side, where the image has enough pixels for it.
FINEST = 16.0

SHORTEST_SIDE = 16
LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])

# Linear sRGB to CIE XYZ (IEC 61966-2-1); the white of D65 is the sum of a row.
XYZ_OF_SRGB = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])

# Images filtered at a time: spectra and responses of more would not stay in the processor's cache.
IMAGES_AT_ONCE = 8

# Responses below this share of the brightest pixel are rounding: a blank image has none.
SILENT = 1e-12

# Patterns that differ by less than this share of the largest value differ by rounding.
EQUAL_TOLERANCE = 1e-9

Images = Real[Array, "n_images height width n_colours"]
Patterns = Float[np.ndarray, "n_images n_features"]


def _checked(images: Images) -> Float[np.ndarray, "n_images height width n_colours"]:
    """Images as float64; bytes become shares of 255."""
    values = np.asarray(images)
    if values.ndim != 4 or values.shape[-1] not in (1, 3) or 0 in values.shape:
        raise InputError(
            f"images have shape (n_images, height, width, 1 or 3), and these have {values.shape}: add the axis of colours "
            "with images[..., None], or put it last"
        )
    if values.dtype == np.uint8:
        return values / 255
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(f"images are bytes (uint8) or floating-point numbers, and these are {values.dtype}: convert them to float")
    if not np.isfinite(values).all():
        raise InputError("the images hold NaN or infinite values: read them again")
    return values.astype(np.float64)


def _grey(images: Images) -> Float[np.ndarray, "n_images height width"]:
    values = _checked(images)
    return values[..., 0] if values.shape[-1] == 1 else values @ LUMA_WEIGHTS


def _filterable(images: Images) -> Float[np.ndarray, "n_images height width"]:
    grey = _grey(images)
    if min(grey.shape[1:]) < SHORTEST_SIDE:
        raise InputError(
            f"images of {grey.shape[1]}x{grey.shape[2]} pixels are too small for a bank of filters: give at least "
            f"{SHORTEST_SIDE} pixels a side"
        )
    return grey


def centre_frequencies(shortest: int, n_scales: int, octaves: float) -> list[float]:
    """Centres from fine to coarse, in cycles per shortest side.

    >>> centre_frequencies(175, 4, 1.0)
    [16.0, 8.0, 4.0, 2.0]
    """
    finest = min(FINEST, shortest / 4)
    return [finest * 2 ** (-octaves * scale) for scale in range(n_scales)]


def _in_cells(responses: Float[np.ndarray, "n_images n_vertical n_horizontal"]) -> np.ndarray:
    """Cut responses into cells, (n_images, N_CELLS, samples, N_CELLS, samples)."""
    n_images, n_vertical, n_horizontal = responses.shape
    return responses.reshape(n_images, N_CELLS, n_vertical // N_CELLS, N_CELLS, n_horizontal // N_CELLS)


def _without_rounding(responses: np.ndarray, grey: np.ndarray) -> Patterns:
    flat, brightest = responses.reshape(len(grey), -1), np.abs(grey).max(axis=(1, 2))[:, None]
    return np.where(flat > SILENT * brightest, flat, 0)


def pixels(images: Images) -> Patterns:
    """The image itself, colours and all, in one row.

    Parameters
    ----------
    images
        Shape (n_images, height, width, 1 or 3), bytes or floats.

    Returns
    -------
    Shape (n_images, height * width * colours).
    """
    values = _checked(images)
    return values.reshape(len(values), -1)


def luminance(images: Images) -> Patterns:
    """Mean luma of each image.

    Parameters
    ----------
    images
        Shape (n_images, height, width, 1 or 3), bytes or floats.

    Returns
    -------
    Shape (n_images, 1).

    >>> luminance(np.ones((2, 4, 4, 1)))
    array([[1.], [1.]])
    """
    return _grey(images).mean(axis=(1, 2))[:, None]


def has_colours(images: Images) -> bool:
    """Whether any pixel differs in its three channels.

    >>> has_colours(np.ones((2, 4, 4, 3))), has_colours(np.eye(3).reshape(1, 3, 1, 3))
    (False, True)
    """
    values = np.asarray(images)
    return values.shape[-1] == 3 and bool((values != values[..., :1]).any())


def cielab(rgb: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
    """CIELAB coordinates of sRGB colours between 0 and 1: lightness 0 to 100, green to red, blue to yellow.

    >>> cielab(np.array([1.0, 0.0, 0.0])).round(1)
    array([53.2, 80.1, 67.2])
    """
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4)
    ratio = linear @ XYZ_OF_SRGB.T / XYZ_OF_SRGB.sum(axis=1)
    x, y, z = np.moveaxis(np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def colour_layout(images: Images) -> Patterns:
    """Mean CIELAB colour of eight by eight cells.

    Parameters
    ----------
    images
        Shape (n_images, height, width, 3), bytes, or floats between 0 and 1, at least 8 pixels a side.

    Returns
    -------
    Shape (n_images, 8 * 8 * 3): cells from above, cells from the left, lightness and the two opponent colours.

    Raises
    ------
    InputError
        For images without colours or too small.
    """
    values = _checked(images)
    if not has_colours(values):
        raise InputError("the images hold no colours, so that nothing but luminance has a layout: leave this model out")
    if min(values.shape[1:3]) < N_CELLS:
        raise InputError(f"images of {values.shape[1]}x{values.shape[2]} pixels are too small for {N_CELLS} cells a side")
    coordinates = cielab(values)
    for axis in (1, 2):
        edges = np.arange(N_CELLS + 1) * coordinates.shape[axis] // N_CELLS
        sums = np.add.reduceat(coordinates, edges[:-1], axis=axis)
        coordinates = sums / np.diff(edges).reshape([-1 if place == axis else 1 for place in range(4)])
    return coordinates.reshape(len(values), -1)


def gabor(images: Images) -> Patterns:
    """Root mean energy of quadrature pairs in each cell, scale and orientation.

    Parameters
    ----------
    images
        Shape (n_images, height, width, 1 or 3), bytes or floats, at least 16 pixels a side.

    Returns
    -------
    Shape (n_images, 4 * 8 * 8 * 8): scales from fine to coarse, orientations, cells from above, cells from the left.
    """
    grey = _filterable(images)
    centres = centre_frequencies(min(grey.shape[1:]), GABOR_SCALES, 1.0)
    patterns = np.empty((len(grey), GABOR_SCALES, GABOR_ORIENTATIONS, N_CELLS, N_CELLS))
    for start in range(0, len(grey), IMAGES_AT_ONCE):
        part = slice(start, start + IMAGES_AT_ONCE)
        for scale, orientation, response in steerable_responses(grey[part], centres, GABOR_ORIENTATIONS, N_CELLS):
            energy = np.square(response.real) + np.square(response.imag)
            patterns[part, scale, orientation] = np.sqrt(_in_cells(energy).mean(axis=(2, 4)))
    return _without_rounding(patterns, grey)


def hmax(images: Images) -> Patterns:
    """C1: largest simple-cell response over overlapping neighbourhoods and pairs of scales half an octave apart.

    Parameters
    ----------
    images
        Shape (n_images, height, width, 1 or 3), bytes or floats, at least 16 pixels a side.

    Returns
    -------
    Shape (n_images, 4 * 4 * 7 * 7): pairs of scales from fine to coarse, orientations, neighbourhoods.
    """
    grey = _filterable(images)
    centres = centre_frequencies(min(grey.shape[1:]), HMAX_SCALES, 0.5)
    cells = np.empty((len(grey), HMAX_SCALES, HMAX_ORIENTATIONS, N_CELLS, N_CELLS))
    for start in range(0, len(grey), IMAGES_AT_ONCE):
        part = slice(start, start + IMAGES_AT_ONCE)
        for scale, orientation, response in steerable_responses(grey[part], centres, HMAX_ORIENTATIONS, N_CELLS):
            cells[part, scale, orientation] = _in_cells(np.abs(response.real)).max(axis=(2, 4))
    over_scales = np.maximum(cells[:, ::2], cells[:, 1::2])
    over_rows = np.maximum(over_scales[..., :-1, :], over_scales[..., 1:, :])
    return _without_rounding(np.maximum(over_rows[..., :-1], over_rows[..., 1:]), grey)


REFERENCE_MODELS: dict[str, Callable[[Images], Patterns]] = {
    "pixels": pixels,
    "luminance": luminance,
    "colour_layout": colour_layout,
    "gabor": gabor,
    "hmax": hmax,
}
"""Models of the stimuli that learn nothing, by the name that `reference_rdms` takes: images -> patterns."""


def _reference_rdm(name: str, images: Images, measure: str) -> np.ndarray:
    try:
        patterns = REFERENCE_MODELS[name](images)
        if np.ptp(patterns, axis=0).max() <= EQUAL_TOLERANCE * np.abs(patterns).max():
            raise InputError(
                "it is the same for all images, which were equated for it, and a constant RDM has no score; leave this model out"
            )
        return network_rdm(patterns, "euclidean" if patterns.shape[1] == 1 else measure)
    except InputError as error:
        raise InputError(f"the reference model '{name}' has no RDM: {error}") from None


def reference_rdms(
    images: Images, names: Sequence[str] | None = None, distance: str = "correlation"
) -> dict[str, Float[np.ndarray, " n_pairs"]]:
    """RDMs of the reference models.

    Parameters
    ----------
    images
        The stimuli as the networks see them, shape (n_images, height, width, 1 or 3), bytes or floats.
    names
        Which of ``REFERENCE_MODELS``; by default all, less those without an RDM for these images, which a warning names.
    distance
        One of :data:`rsa.MEASURES`. Luminance has one channel, and always squared differences.

    Returns
    -------
    Condensed RDM, shape (n_pairs,), of each model.

    Raises
    ------
    InputError
        For an unknown model, images of another shape, and a model asked for by name that is the same for all images.

    >>> images = np.random.default_rng(0).random((4, 16, 16, 3))
    >>> {name: one.shape for name, one in reference_rdms(images, ["pixels", "luminance"]).items()}
    {'pixels': (6,), 'luminance': (6,)}
    """
    for name in names or ():
        if name not in REFERENCE_MODELS:
            raise unknown_name("reference model", name, REFERENCE_MODELS)
    if distance not in MEASURES:
        raise unknown_name("distance between images", distance, MEASURES)
    if len(_checked(images)) < MINIMUM_CONDITIONS:
        raise InputError(f"an RDM needs at least {MINIMUM_CONDITIONS} images, and {len(images)} were given: give more stimuli")
    found = {}
    for name in REFERENCE_MODELS if names is None else names:
        try:
            found[name] = _reference_rdm(name, images, distance)
        except InputError as error:
            if names is not None:
                raise
            warnings.warn(str(error), stacklevel=2)
    return found


__all__ = ["REFERENCE_MODELS", "cielab", "colour_layout", "gabor", "has_colours", "hmax", "luminance", "pixels", "reference_rdms"]
