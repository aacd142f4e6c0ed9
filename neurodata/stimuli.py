"""The images that a recording's subjects saw, and reading them from files.

A stimulus set is one array, so all of its images have one size; greyscale files become three equal channels and
transparent ones are laid on a stated background colour.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, Shaped, UInt8

from bioplausible.foundation.errors import InputError
from neurodata.picture_files import TooDark, fitted, has_bright_sixteen_bits, read_picture

MINIMUM_CONDITIONS = 3  # two conditions make one dissimilarity, and one number cannot be correlated with anything


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which digits count as numbers: image_2 goes before image_10.

    >>> sorted(["image_10", "image_2"], key=natural_key)
    ['image_2', 'image_10']
    """
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts] + [(2, 0, name)]


def read_images(
    paths: Sequence[Path],
    background: tuple[int, int, int] = (128, 128, 128),
    size: tuple[int, int] | None = None,
    fit: str = "pad",
) -> UInt8[np.ndarray, "n_images height width 3"]:
    """Read image files into one array.

    Parameters
    ----------
    paths
        image files, in the order of the result's rows.
    background
        red, green and blue, 0 to 255, behind transparent pixels and around padded images.
    size
        width and height in pixels that all are brought to, or None where all have one.
    fit
        how: one of :data:`neurodata.picture_files.FITS`.

    Returns
    -------
    (n_images, height, width, 3), 0 to 255.

    Raises
    ------
    InputError
        when there are none, when one is corrupt, or when two differ in size (both are named) and none is stated.
    """
    if not paths:
        raise InputError("no image files were given: expected at least three PNG or JPEG files")
    images = _read_alike(paths, background)
    if size is not None:
        images = [fitted(image, size, fit, background) for image in images]
    for path, image in zip(paths, images, strict=True):
        if image.shape[:2] != images[0].shape[:2]:
            (height, width), (other_height, other_width) = images[0].shape[:2], image.shape[:2]
            largest = max(max(each.shape[:2]) for each in images)
            raise InputError(
                f"the images differ in size: {paths[0]} is {width} x {height} pixels and {path} is "
                f"{other_width} x {other_height}; expected one size for all stimuli, resize or pad them alike, or state "
                f"'stimuli: {{size: {largest}, fit: pad}}' in recording.yaml"
            )
    return np.stack([np.broadcast_to(image, (*image.shape[:2], 3)) for image in images])


def _read_alike(paths: Sequence[Path], background: tuple[int, int, int]) -> list[np.ndarray]:
    """Read pictures of one set: those of 16 bits that are dark are dark where another of them is bright."""
    dark_is_right = False
    images = []
    for path in paths:
        try:
            images.append(read_picture(path, background, dark_is_right))
        except TooDark:
            if not any(has_bright_sixteen_bits(other) for other in paths):
                raise
            dark_is_right = True
            images.append(read_picture(path, background, dark_is_right))
    return images


@dataclass(frozen=True, eq=False)
class Stimuli:
    """Images shown during a recording; row i of every RDM and pattern belongs to image i.

    Parameters
    ----------
    images
        (n_conditions, height, width, 3), 0 to 255.
    ids
        (n_conditions,) one distinct name per image.
    categories
        (n_conditions,) one category name per image, or None where none are known.
    source
        where the images come from, in words (also the start of error messages).
    source_indices
        (n_conditions,) positions in the set that the images were taken from, or None; whoever trains
        on that set keeps these out of the training images.
    has_pictures
        False where the pictures are not published and the images only stand in their places: no network can be shown these.

    Raises
    ------
    InputError
        for arrays of another shape or type, repeated ids, or fewer than three images.

    >>> stimuli = Stimuli(np.zeros((3, 8, 8, 3), np.uint8), np.array(["a", "b", "c"]))
    >>> stimuli.n_conditions
    3
    """

    # shapes are left open here: a user's array of another shape meets the sentences below, not a type checker's
    images: Shaped[np.ndarray, "..."]
    ids: Shaped[np.ndarray, "..."]
    categories: Shaped[np.ndarray, "..."] | None = None
    source: str = "the stimuli"
    source_indices: Int[np.ndarray, "..."] | None = None
    has_pictures: bool = True

    def __post_init__(self) -> None:
        images = np.asarray(self.images)
        if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
            raise InputError(
                f"{self.source}: images have shape {images.shape} and type {images.dtype}; "
                "expected (n_conditions, height, width, 3) of uint8, repeat grey images over three channels"
            )
        n_conditions = len(images)
        if n_conditions < MINIMUM_CONDITIONS:
            raise InputError(
                f"{self.source}: {n_conditions} images are too few; a comparison of representations needs at least "
                f"{MINIMUM_CONDITIONS} conditions, and some dozens to say anything"
            )
        object.__setattr__(self, "images", images)
        for field in ("ids", "categories", "source_indices"):
            value = getattr(self, field)
            if value is None:
                continue
            value = np.asarray(value) if field == "source_indices" else np.asarray(value, dtype=np.str_)
            if value.shape != (n_conditions,):
                raise InputError(
                    f"{self.source}: {field} has shape {value.shape} for {n_conditions} images; "
                    f"expected one entry per image, ({n_conditions},)"
                )
            object.__setattr__(self, field, value)
        names, counts = np.unique(self.ids, return_counts=True)
        if counts.max() > 1:
            raise InputError(
                f"{self.source}: the id '{names[counts.argmax()]}' is used {counts.max()} times; "
                "expected a distinct id per image, rename the repeated ones"
            )

    @property
    def n_conditions(self) -> int:
        """Number of images."""
        return len(self.images)

    def same_category(self) -> Bool[np.ndarray, "n_conditions n_conditions"]:
        """Say for each pair of images whether they share a category.

        Returns
        -------
        (n_conditions, n_conditions), True on the diagonal.

        Raises
        ------
        InputError
            when the categories are not known.
        """
        if self.categories is None:
            raise InputError(f"{self.source}: no categories are known; give Stimuli(categories=...), one per image")
        return self.categories[:, None] == self.categories[None, :]


__all__ = ["MINIMUM_CONDITIONS", "Stimuli", "natural_key", "read_images"]
