"""What an image set is: its splits, its normalisation, and where its pixels come from.

A network never sees a byte image, but ``x = (pixel / 255 - mean) / std``, where mean and standard deviation are those
of the training split's pixels, one pair per channel. The same numbers are used for validation, test and a recording's
stimuli.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from bioplausible.foundation.errors import InputError
from neurodata.cache import RemoteFile, data_path

from .pictures import Pictures, blocks_of


class SourceFile(NamedTuple):
    """One file that pixels or labels were read from."""

    path: str
    sha256: str


class Split(NamedTuple):
    """Images with their labels.

    Attributes
    ----------
    images
        ``(n, height, width, channels)``, uint8, 0 to 255; of a folder that does not fit into memory, in their files.
    labels
        ``(n,)``, int32, 0 to ``n_classes - 1``.
    """

    images: UInt8[np.ndarray, "n height width channels"] | Pictures
    labels: Int32[np.ndarray, " n"]


class Normalisation(NamedTuple):
    """Mean and standard deviation of the training split's pixels, per channel, on the scale 0 to 1.

    Attributes
    ----------
    mean
        ``(channels,)``, float32.
    std
        ``(channels,)``, float32, all positive.
    """

    mean: Float32[np.ndarray, " channels"]
    std: Float32[np.ndarray, " channels"]

    def apply(self, pixels: Any) -> Any:
        """Scale pixels as the network sees them, ``(pixels / 255 - mean) / std``.

        Parameters
        ----------
        pixels
            ``(..., channels)`` on the scale 0 to 255, of any dtype; a NumPy or a JAX array.

        Returns
        -------
        array
            Of the same kind and shape, float32.

        >>> Normalisation(np.float32([0.5]), np.float32([0.25])).apply(np.uint8([[255], [0]])).tolist()
        [[2.0], [-2.0]]
        """
        return (pixels.astype(np.float32) / np.float32(255) - self.mean) / self.std


@dataclasses.dataclass(frozen=True, eq=False)
class SourceImages:
    """An image set as its files give it, before a validation split is taken.

    Attributes
    ----------
    name
        What it is called in tables.
    class_names
        One for each label.
    train
        All its training images.
    test
        Its test images.
    citation
        Whom to cite.
    licence
        Under which terms.
    source
        The files that were read.
    notes
        What a reader of the results must know of the pixels; empty where there is nothing.
    excluded_indices
        Images that were left out of every split, by their index in the source.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    test: Split
    citation: str
    licence: str
    source: tuple[SourceFile, ...]
    notes: str = ""
    excluded_indices: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class NamedSet:
    """An image set that is known by name: the facts one can print without reading it, and how to read it.

    Attributes
    ----------
    name
        Its name.
    n_train
        How many images there are for training and validation.
    n_test
        How many there are in the test split.
    shape
        ``(height, width, channels)`` of one image.
    n_classes
        How many classes there are.
    citation
        Whom to cite.
    licence
        Under which terms.
    size_bytes
        Size of its files as downloaded or installed.
    read
        Reads it, downloading it if it must.
    remote_files
        The files that it reads from the cache folder, downloaded where they are missing; none where it is installed with a package.
    """

    name: str
    n_train: int
    n_test: int
    shape: tuple[int, int, int]
    n_classes: int
    citation: str
    licence: str
    size_bytes: int
    read: Callable[..., SourceImages]
    remote_files: Callable[[], tuple[RemoteFile, ...]] = tuple

    def describe(self) -> dict[str, Any]:
        """Facts to print, as plain values."""
        facts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del facts["read"], facts["remote_files"]
        return {**facts, "cached": self.is_cached()}

    def is_cached(self) -> bool:
        """Whether all its files are on this machine; what is in them is checked when they are read."""
        return all((data_path() / file.path).is_file() for file in self.remote_files())


class FileFormat(NamedTuple):
    """A layout of the user's own files.

    Attributes
    ----------
    kind
        What to call it in a message.
    accepts
        Whether a path looks like one.
    read
        Reads it.
    may_stay_in_files
        Whether it also takes what decides if images stay in their files.
    """

    kind: str
    accepts: Callable[[Path], bool]
    read: Callable[..., SourceImages]
    may_stay_in_files: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSet:
    """Images to train on, to choose on and to test on, with the normalisation that goes with them.

    Attributes
    ----------
    name
        What it is called in tables.
    class_names
        One for each label.
    citation
        Whom to cite.
    licence
        Under which terms.
    notes
        What a reader of the results must know of the pixels; empty where there is nothing.
    source
        The files that were read, with their sha256.
    train
        Images that change weights.
    validation
        Images that choose between epochs, taken from the source's training images and never from its test images.
    test
        Images that measure.
    normalisation
        Mean and standard deviation of the pixels of ``train``.
    validation_fraction
        Fraction of the source's training images that went to ``validation``.
    split_seed
        Seed that says which.
    n_train
        Size of ``train`` that was asked for; None for all there are.
    excluded_indices
        Images that were left out of every split, by their index in the source.
    """

    name: str
    class_names: tuple[str, ...]
    citation: str
    licence: str
    notes: str
    source: tuple[SourceFile, ...]
    train: Split
    validation: Split
    test: Split
    normalisation: Normalisation
    validation_fraction: float
    split_seed: int
    n_train: int | None
    excluded_indices: tuple[int, ...] = ()

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """``(height, width, channels)`` of one image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    def normalise(
        self, images: UInt8[np.ndarray, "*batch height width channels"] | Pictures
    ) -> Float32[np.ndarray, "*batch height width channels"]:
        """Images as the network sees them.

        Parameters
        ----------
        images
            ``(..., height, width, channels)``, uint8.

        Returns
        -------
        numpy.ndarray
            The same shape, float32, by the training split's mean and standard deviation.
        """
        return self.normalisation.apply(np.asarray(images))

    def to_record(self) -> dict[str, Any]:
        """What is stored with a run, as plain values that JSON and YAML can hold."""
        return {
            "name": self.name,
            "input_shape": list(self.input_shape),
            "n_classes": self.n_classes,
            "class_names": list(self.class_names),
            "source": [file._asdict() for file in self.source],
            "split": {
                "train": len(self.train.labels),
                "validation": len(self.validation.labels),
                "test": len(self.test.labels),
                "validation_fraction": self.validation_fraction,
                "split_seed": self.split_seed,
                "n_train": self.n_train,
                "excluded_indices": list(self.excluded_indices),
            },
            "normalisation": {"mean": self.normalisation.mean.tolist(), "std": self.normalisation.std.tolist()},
            "notes": self.notes,
            "citation": self.citation,
            "licence": self.licence,
        }


def training_normalisation(images: UInt8[np.ndarray, "n height width channels"] | Pictures, name: str) -> Normalisation:
    """Mean and standard deviation per channel, exact because they are taken from the histogram of the bytes.

    Parameters
    ----------
    images
        ``(n, height, width, channels)``, the training split alone.
    name
        The image set's name, for the error's sentence.

    Returns
    -------
    Normalisation
        Their normalisation.

    Raises
    ------
    InputError
        All pixels of a channel are equal, so that there is nothing to see.

    >>> training_normalisation(np.uint8([0, 255]).reshape(2, 1, 1, 1), "two").std.tolist()
    [0.5]
    """
    values = np.arange(256) / 255.0
    counts = np.zeros((images.shape[-1], 256), np.int64)
    for block in blocks_of(images):
        for channel, counted in enumerate(counts):
            counted += np.bincount(block[..., channel].ravel(), minlength=256)
    means, stds = [], []
    for channel, counted in enumerate(counts):
        weights = counted / math.prod(images.shape[:-1])
        mean = float(weights @ values)
        means.append(mean)
        stds.append(float(np.sqrt(weights @ (values - mean) ** 2)))
        if np.count_nonzero(weights) == 1:
            raise InputError(
                f"{name}: all training pixels of channel {channel} have the value {int(weights.argmax())}, where "
                "images that differ were expected: check how the pixels were written"
            )
    return Normalisation(np.asarray(means, np.float32), np.asarray(stds, np.float32))


__all__ = [
    "FileFormat",
    "ImageSet",
    "NamedSet",
    "Normalisation",
    "SourceFile",
    "SourceImages",
    "Split",
    "training_normalisation",
]
