r"""The one way in which a network is shown a recording's images.

A stimulus of bytes becomes what the network's training images became, in four steps:

1. **Colour.** For a network of one channel, the luma of Recommendation ITU-R BT.601,

   .. math:: Y = 0.299\,R + 0.587\,G + 0.114\,B,

   computed on the stored (gamma-coded) values, as the grey training sets were; a grey stimulus keeps its values
   exactly. For a network of three channels, the colours as they are.
2. **Size.** The largest size of the stimulus's own proportions that fits the network's field, by a triangle filter
   whose width grows with the reduction (antialiasing). The filter has no negative lobes, so that no pixel leaves the
   range of its neighbours. A stimulus that has the right size already is not touched.
3. **Normalisation** by mean and standard deviation of the training split.
4. **Padding.** A stimulus of other proportions than the network's field is centred on the training set's mean colour,
   which is 0 after normalisation and drives no synapse; nothing is cropped or squeezed. Of an odd number of rows or
   columns the extra one is below or right.

Contrast is never inverted: a network trained on white digits on black sees dark objects on a white ground as they are.

Reference: ITU-R BT.601-7 (2011), section 2.5.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from bioplausible.foundation.errors import InputError
from experiments.datasets import Normalisation

_LUMA_THOUSANDTHS = np.array([299, 587, 114], np.int32)


def evaluation_shape(input_shape: tuple[int, ...], size: int | tuple[int, int] | None = None) -> tuple[int, int, int]:
    """Shape of one stimulus as the network gets it.

    Parameters
    ----------
    input_shape
        ``(height, width, channels)`` that the network was trained on.
    size
        Evaluation size in pixels, a number for a square or ``(height, width)``; None for the training size.

    Returns
    -------
    tuple[int, int, int]
        ``(height, width, channels)``.

    Raises
    ------
    InputError
        A size below one pixel, channels other than one or three, or a network that takes no images.

    >>> evaluation_shape((32, 32, 3), 64)
    (64, 64, 3)
    """
    if len(input_shape) != 3:
        raise InputError(
            f"a network of input shape {tuple(input_shape)} was given, where (height, width, channels) was expected: stimuli are "
            "images, so train it on some"
        )
    height, width = input_shape[:2] if size is None else (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise InputError(
            f"a stimulus size of {height}x{width} was given, where at least one pixel was expected: try the training size"
        )
    if input_shape[2] not in (1, 3):
        raise InputError(
            f"the network takes {input_shape[2]} channels, where 1 (luminance) or 3 (colour) was expected: train it "
            "on grey or colour images"
        )
    return height, width, input_shape[2]


def luminance(images: UInt8[np.ndarray, "n height width 3"]) -> Float32[np.ndarray, "n height width 1"]:
    """Luma of Rec. 601, on the scale 0 to 255; exact for grey images, because thousandths are summed before the division.

    >>> luminance(np.uint8([[[[7, 7, 7], [255, 0, 0]]]])).ravel().tolist()
    [7.0, 76.24500274658203]
    """
    return ((images @ _LUMA_THOUSANDTHS) / 1000).astype(np.float32)[..., None]


def present(
    stimuli_images: UInt8[np.ndarray, "n height width 3"],
    input_shape: tuple[int, ...],
    normalisation: Normalisation,
    size: int | tuple[int, int] | None = None,
) -> Float32[np.ndarray, "n network_height network_width channels"]:
    """Show stimuli to a network, as the head of this module says.

    Parameters
    ----------
    stimuli_images
        ``(n, height, width, 3)``, 0 to 255.
    input_shape
        ``(height, width, channels)`` that the network was trained on.
    normalisation
        That of the training split, of as many channels.
    size
        Evaluation size in pixels, a number for a square or ``(height, width)``; None for the training size.

    Returns
    -------
    numpy.ndarray
        ``(n, network_height, network_width, channels)``, the same bits for the same input on every machine of one Pillow version.

    Raises
    ------
    InputError
        No stimuli, a size below one pixel, or channels that do not fit.
    """
    height, width, channels = evaluation_shape(input_shape, size)
    if stimuli_images.size == 0:
        raise InputError(
            f"stimuli of shape {stimuli_images.shape} were given, where at least one image was expected: check the recording"
        )
    if len(normalisation.mean) != channels:
        raise InputError(
            f"the normalisation has {len(normalisation.mean)} channels and the network {channels}, where as many "
            "were expected: use that of the image set that the network was trained on"
        )
    pixels = luminance(stimuli_images) if channels == 1 else stimuli_images.astype(np.float32)
    fitted_height, fitted_width = _fit(pixels.shape[1:3], (height, width))
    top, left = (height - fitted_height) // 2, (width - fitted_width) // 2
    presented = np.zeros((len(pixels), height, width, channels), np.float32)
    for image, field in zip(pixels, presented, strict=True):
        field[top : top + fitted_height, left : left + fitted_width] = normalisation.apply(
            _resize(image, fitted_height, fitted_width)
        )
    return presented


def transform_record(input_shape: tuple[int, ...], size: int | tuple[int, int] | None = None) -> dict[str, Any]:
    """What is stored with a comparison about how its stimuli were shown, as plain values."""
    height, width, channels = evaluation_shape(input_shape, size)
    return {
        "evaluation_size": [height, width],
        "training_size": list(input_shape[:2]),
        "colour": "luma, Rec. 601" if channels == 1 else "RGB",
        "resize": "triangle filter with antialiasing (Pillow, bilinear)",
        "other_proportions": "centred on the training set's mean",
        "inverted": False,
    }


def _fit(stimulus_size: tuple[int, ...], field_size: tuple[int, int]) -> tuple[int, int]:
    """Largest height and width of the stimulus's proportions inside the field, to the nearest pixel."""
    (height, width), (field_height, field_width) = stimulus_size, field_size
    # Whole-number products: a stimulus of the field's own proportions must fill it to the pixel.
    if height * field_width >= width * field_height:
        return field_height, max(1, (2 * width * field_height + height) // (2 * height))
    return max(1, (2 * height * field_width + width) // (2 * width)), field_width


def _resize(
    image: Float32[np.ndarray, "height width channels"], height: int, width: int
) -> Float32[np.ndarray, "new_height new_width channels"]:
    """Resample one image channel by channel, in single precision and without rounding to bytes."""
    if image.shape[:2] == (height, width):
        return image
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize((width, height), Image.Resampling.BILINEAR))
        for plane in np.moveaxis(image, -1, 0)
    ]
    return np.stack(planes, axis=-1)


__all__ = ["evaluation_shape", "luminance", "present", "transform_record"]
