"""One reader of picture files, for stimuli and for image sets alike: what a network is shown must not depend on a file's mode.

Sixteen bits of grey become eight (65,535 is white), a camera's note of how it was held is followed, palettes are looked up. What
would have to be guessed, such as fractions without a scale, is refused.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms, ImageOps

from bioplausible.foundation.errors import InputError
from neurodata.presence import check_content
from neurodata.spellings import PICTURE_ENDINGS

# pictures too, but in formats of which a page, a frame or a resolution would have to be chosen, or that not every machine reads
_OTHER_PICTURES = (
    ".heic",
    ".heif",
    ".avif",
    ".svg",
    ".eps",
    ".pdf",
    ".psd",
    ".jp2",
    ".jxl",
    ".tga",
    ".ppm",
    ".pgm",
    ".dng",
    ".cr2",
    ".nef",
)
_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_TWELVE_BITS = 4095
_GREY = ("1", "L")
_COLOUR = ("P", "RGB", "CMYK", "YCbCr", "LAB", "HSV")
_WITH_ALPHA = ("LA", "RGBA", "PA", "La", "RGBa")
FITS = ("pad", "crop", "stretch")

_OPENING = threading.Lock()


def picture_files(paths: Iterable[Path]) -> list[Path]:
    """Choose the picture files among some, passing over hidden ones and what is no picture.

    Parameters
    ----------
    paths
        such as all that a folder holds.

    Returns
    -------
    those with the ending of a picture that is read, in the order given.

    Raises
    ------
    InputError
        for a picture in a format that is not read, lest it be missed.

    >>> picture_files([Path("a.PNG"), Path("notes.txt"), Path(".b.png")])
    [PosixPath('a.PNG')]
    """
    there = [path for path in paths if not path.name.startswith(".")]
    for path in there:
        if path.suffix.lower() in _OTHER_PICTURES:
            raise InputError(
                f"{path} is a picture in a format that is not read; expected {', '.join(PICTURE_ENDINGS)}, save it as PNG"
            )
    return [path for path in there if path.suffix.lower() in PICTURE_ENDINGS]


class TooDark(InputError):
    """Sixteen bits of which the lower alone are used, unless other pictures of the set say that they are not."""


def has_bright_sixteen_bits(path: Path) -> bool:
    """Whether a picture has 16 bits and uses the upper ones: dark ones that were saved alike are dark.

    Parameters
    ----------
    path
        a picture; of one that cannot be read it is not known.
    """
    try:
        with Image.open(path) as file:
            grey = file.mode in _SIXTEEN_BITS
            deep = grey or any(";16" in str(tile[3]) for tile in getattr(file, "tile", ()))
            return deep and int(np.asarray(file).max()) > (_TWELVE_BITS if grey else _TWELVE_BITS // 256)
    except Exception:  # whatever Pillow's decoders raise; who reads it says so
        return False


def read_picture(
    path: Path, background: Sequence[int] | None = None, may_be_dark: bool = False
) -> UInt8[np.ndarray, "height width channels"]:
    """Read a picture as bytes, upright: one channel where its file is grey, else three.

    Parameters
    ----------
    path
        the file.
    background
        red, green and blue, 0 to 255, behind transparent pixels; None where those are refused.
    may_be_dark
        whether 16 bits of which none is above 4095 are taken as they are.

    Returns
    -------
    (height, width, 1 or 3), 0 to 255.

    Raises
    ------
    InputError
        for a file that is no whole picture, one of several frames, and pixels that have no scale of 0 to 255 or 65,535; also where
        none of 16 bits is above 4095, since what was saved so is brighter.
    """
    try:
        # Pictures are read by several threads, and what is done to warnings is done to those of all.
        with _OPENING, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(path)
        with opened as file:
            frames = getattr(file, "n_frames", 1)
            # Pillow keeps the upper eight of sixteen bits a colour, and does not say so in the mode
            deep = any(";16" in str(tile[3]) for tile in getattr(file, "tile", ()))
            image = ImageOps.exif_transpose(file)
            image.load()
    # Pillow's decoders raise SyntaxError, struct.error and more on damaged files
    except Exception as error:
        check_content(path)
        reason = " ".join(str(error).replace(str(path), "").replace("''", "").split()) or type(error).__name__
        raise InputError(
            f"the image {path} cannot be read as an image ({type(error).__name__}: {reason}): expected a whole picture file "
            "such as .png or .jpg, "
            "export or copy it again, or remove it"
        ) from None
    # what follows the first in a camera's or phone's JPEG is a preview or a map of brightness
    if frames > 1 and file.format != "MPO":
        raise InputError(f"the image {path} has {frames} frames or pages; expected one, save the one that was shown by itself")
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        image = _flattened(image, background, path)
    if image.mode in _SIXTEEN_BITS:
        return _eight_bits(np.asarray(image), path, may_be_dark)[..., None]
    if image.mode in _GREY:
        return np.asarray(image.convert("L"), np.uint8)[..., None]
    if image.mode in _COLOUR:
        colours = np.asarray(image.convert("RGB"), np.uint8)
        if deep and not may_be_dark and colours.max() <= _TWELVE_BITS // 256:
            raise _too_dark(path, int(colours.max()) * 256 + 255)
        return colours
    raise InputError(
        f"the image {path} has pixels of mode {image.mode}; expected 8 or 16 bits a channel, save it as an 8-bit image"
    )


def colour_profiles(paths: Iterable[Path]) -> str:
    """Say which pictures come with a colour profile other than sRGB, by which a screen may have shown other colours.

    Parameters
    ----------
    paths
        picture files.

    Returns
    -------
    a sentence with their number and the first of them; empty where there are none. Files that cannot be read have none.
    """
    found = [(path, name) for path in paths if (name := _profile(path)) is not None]
    if not found:
        return ""
    path, name = found[0]
    are = "picture has" if len(found) == 1 else "pictures have"
    return f"{len(found)} {are} a colour profile other than sRGB (such as {path.name}: {name}); values are taken as they stand."


def _profile(path: Path) -> str | None:
    try:
        with Image.open(path) as file:
            embedded = file.info.get("icc_profile")
        if not embedded:
            return None
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        name = " ".join(ImageCms.getProfileDescription(profile).split())
        is_usual = "srgb" in name.lower().replace(" ", "") or profile.profile.xcolor_space.strip() == "GRAY"
    except Exception:  # Pillow and Little CMS raise whatever a damaged file makes them
        return None
    return None if is_usual else name or "without a name"


def _flattened(image: Image.Image, background: Sequence[int] | None, path: Path) -> Image.Image:
    """Lay transparent pixels on a background; grey stays grey on a grey one."""
    is_grey = image.mode in {"LA", "La", *_GREY}
    with_alpha = image.convert("LA" if is_grey else "RGBA")
    if with_alpha.getchannel("A").getextrema() == (255, 255):
        return with_alpha.convert("L" if is_grey else "RGB")
    if background is None:
        raise InputError(
            f"{path} has transparent pixels, where opaque ones were expected: flatten it onto the background that you mean"
        )
    with_alpha = image.convert("RGBA")
    backdrop = Image.new("RGBA", with_alpha.size, (*background, 255))
    return Image.alpha_composite(backdrop, with_alpha).convert("RGB")


def _too_dark(path: Path, highest: int) -> TooDark:
    return TooDark(
        f"the image {path} has 16 bits a pixel and none above {highest}, which is almost black, as where 8, 10 or 12 bits were "
        "saved in 16; expected values up to 65535, save it as an 8-bit image"
    )


def _eight_bits(values: np.ndarray, path: Path, may_be_dark: bool) -> np.ndarray:
    whole = values.astype(np.int64)
    if whole.min() < 0 or whole.max() > 65535:
        raise InputError(
            f"the image {path} has pixels from {whole.min()} to {whole.max()}; expected 8 or 16 bits, 0 to 65535, save it as "
            "an 8-bit image"
        )
    if 0 < whole.max() <= _TWELVE_BITS and not may_be_dark:
        raise _too_dark(path, int(whole.max()))
    return ((whole + 128) // 257).astype(np.uint8)  # 65535 / 257 is 255, to the nearest


def fitted(
    picture: UInt8[np.ndarray, "height width channels"], size: tuple[int, int], fit: str, background: Sequence[int]
) -> UInt8[np.ndarray, "new_height new_width channels"]:
    """Bring a picture to a size in the way that was stated.

    Parameters
    ----------
    picture
        (height, width, channels), 0 to 255.
    size
        width and height in pixels.
    fit
        "pad" reduces what is larger, keeps what is smaller as it is, and fills up with the background; "crop" covers the size
        and cuts
        what stands over, alike on both sides; "stretch" changes proportions.
    background
        red, green and blue.

    Returns
    -------
    (height, width, channels); the picture itself where it has the size.
    """
    width, height = size
    there = picture.shape[1], picture.shape[0]
    if there == (width, height):
        return picture
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    if fit == "stretch":
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    elif fit == "crop":
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    else:
        if there[0] > width or there[1] > height:
            image = ImageOps.contain(image, (width, height), Image.Resampling.LANCZOS)
        colour = image.convert("RGB")
        padded = Image.new("RGB", (width, height), tuple(background))
        padded.paste(colour, ((width - colour.width) // 2, (height - colour.height) // 2))
        image = padded
    array = np.asarray(image, np.uint8)
    return array[..., None] if array.ndim == 2 else array


__all__ = ["FITS", "TooDark", "colour_profiles", "fitted", "has_bright_sixteen_bits", "picture_files", "read_picture"]
