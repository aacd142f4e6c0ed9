"""From a name or a path to images that are split and can be normalised."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, SupportsIndex

from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.progress import Progress
from neurodata.cache import fetch_all

from .contract import ImageSet, SourceImages, Split, training_normalisation
from .pictures import subset_of
from .registry import FILE_FORMATS, NAMED_SETS
from .splits import take_fraction, take_subset


def names() -> tuple[str, ...]:
    """Image sets that are known by name."""
    return tuple(NAMED_SETS)


def describe(name: str) -> dict[str, Any]:
    """Facts about a named image set, without reading or downloading it.

    Parameters
    ----------
    name
        One of ``names()``.

    Returns
    -------
    dict
        ``name, n_train, n_test, shape, n_classes, citation, licence, size_bytes, cached``; ``n_train`` counts the images that
        training and validation share.

    Raises
    ------
    InputError
        The name is unknown.

    >>> describe("digits")["shape"]
    (8, 8, 1)
    """
    if name not in NAMED_SETS:
        raise unknown_name("image set", name, NAMED_SETS)
    return NAMED_SETS[name].describe()


def fetch(name: str, progress: Progress | None = None) -> tuple[Path, ...]:
    """Download what a named image set still lacks, so that it can be read without a network.

    Parameters
    ----------
    name
        One of ``names()``.
    progress
        Called with bytes so far, bytes in all and a line to show while something is downloaded.

    Returns
    -------
    tuple[Path, ...]
        The files in the cache folder; none for a set that is installed with a package.

    Raises
    ------
    InputError
        The name is unknown, or a file cannot be downloaded or written.

    >>> fetch("digits")
    ()
    """
    if name not in NAMED_SETS:
        raise unknown_name("image set", name, NAMED_SETS)
    return fetch_all(NAMED_SETS[name].remote_files(), progress=progress)


def load(
    name: str | os.PathLike[str],
    *,
    validation_fraction: float = 1 / 12,
    split_seed: int = 0,
    n_train: int | None = None,
    exclude_indices: Iterable[SupportsIndex] | None = None,
    in_files: Callable[[int], bool] | None = None,
) -> ImageSet:
    """Load an image set.

    Parameters
    ----------
    name
        One of ``names()``, or the path of an ``.npz`` of the Keras layout, or of a folder of class folders. A name goes before a
        path of the same spelling; ``./name`` means the path.
    validation_fraction
        Fraction of the source's training images that become the validation split; the test split is never touched.
    split_seed
        Which of them, stratified by class, and which ones ``n_train`` keeps.
    n_train
        Train on a stratified subset of this size; the validation and test splits stay whole, and a smaller subset is nearly always
        part of a larger one.
    exclude_indices
        For ``digits`` alone, images to leave out of every split, by their index in scikit-learn's order.
    in_files
        Of how many bytes all images of a folder take, whether they stay in their files until they are asked for
        (`experiments.datasets.pictures`); by default they never do.

    Returns
    -------
    ImageSet
        The image set.

    Raises
    ------
    InputError
        The name or the path cannot be used; one sentence says why.

    >>> images = load("digits", n_train=100)
    >>> len(images.train.labels), len(images.validation.labels), len(images.test.labels), images.input_shape
    (100, 120, 359, (8, 8, 1))
    """
    if not 0 < validation_fraction < 1:
        raise InputError(
            f"validation_fraction={validation_fraction} was given, where a fraction between 0 and 1 was expected: "
            "1/12 is the default"
        )
    if split_seed < 0:
        raise InputError(f"split_seed={split_seed} was given, where a whole number from 0 was expected: 0 is the default")
    source = _read(name, exclude_indices, in_files)
    n_classes = len(source.class_names)
    validation, rest = take_fraction(
        source.train.labels,
        n_classes,
        validation_fraction,
        split_seed,
        every_class=False,
        what=f"{source.name}: validation split",
    )
    train_labels = source.train.labels[rest]
    if n_train is not None:
        rest = rest[take_subset(train_labels, n_classes, n_train, split_seed, source.name)]
    train = Split(subset_of(source.train.images, rest), source.train.labels[rest])
    return ImageSet(
        name=source.name,
        class_names=source.class_names,
        citation=source.citation,
        licence=source.licence,
        notes=source.notes,
        source=source.source,
        train=train,
        validation=Split(subset_of(source.train.images, validation), source.train.labels[validation]),
        test=source.test,
        normalisation=training_normalisation(train.images, source.name),
        validation_fraction=float(validation_fraction),
        split_seed=split_seed,
        n_train=n_train,
        excluded_indices=source.excluded_indices,
    )


def _read(
    name: str | os.PathLike[str],
    exclude_indices: Iterable[SupportsIndex] | None,
    in_files: Callable[[int], bool] | None,
) -> SourceImages:
    """Read a named set or a user's files."""
    given = os.fspath(name)
    if exclude_indices is not None and given != "digits":
        raise InputError(
            f"exclude_indices was given for '{given}', where it is understood for 'digits' alone: leave it out, or train on digits"
        )
    if exclude_indices is not None:
        return NAMED_SETS["digits"].read(exclude_indices)
    if isinstance(name, str) and given in NAMED_SETS:
        return NAMED_SETS[given].read()
    path = Path(given).expanduser()
    for file_format in FILE_FORMATS.values():
        if file_format.accepts(path):
            return file_format.read(path, in_files) if file_format.may_stay_in_files else file_format.read(path)
    check_name(name)
    raise InputError(f"{path} is not an image set that can be read, where {_kinds()} was expected: convert it to one of them")


def _kinds() -> str:
    return " or ".join(file_format.kind for file_format in FILE_FORMATS.values())


def check_name(name: str | os.PathLike[str]) -> None:
    """Check that there is something of a name, without reading it.

    Parameters
    ----------
    name
        One of ``names()``, or a path.

    Raises
    ------
    InputError
        There is no image set of that name, and nothing at that path.
    """
    given = os.fspath(name)
    path = Path(given).expanduser()
    if path.exists() or (isinstance(name, str) and given in NAMED_SETS):
        return
    if isinstance(name, os.PathLike) or os.sep in given or path.suffix:
        raise InputError(f"{path} does not exist, where {_kinds()} was expected: check the path")
    raise InputError(f"{unknown_name('image set', given, NAMED_SETS)}, or the path of {_kinds()}")


__all__ = ["check_name", "describe", "fetch", "load", "names"]
