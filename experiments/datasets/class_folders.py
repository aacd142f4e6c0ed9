"""A user's own image set as a folder of class folders.

Either the user's own test split::

    birds/train/<class>/*.png|jpg        birds/test/<class>/*.png|jpg

or one folder for each class, of which a fixed, stratified fifth becomes the test split::

    birds/<class>/*.png|jpg

All images have one size. Where every image is grey the set has one channel, else three. Files are read as the stimuli of a
recording are (`neurodata.picture_files`), but for transparent ones, which are refused. Files whose names begin with a dot are
passed over.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from bioplausible.foundation.errors import InputError
from neurodata.picture_files import picture_files
from neurodata.presence import files_in
from neurodata.spellings import composed

from .contract import FileFormat, SourceFile, SourceImages, Split
from .pictures import Pictures, head_of, subset_of
from .splits import take_fraction

_SPLITS = ("train", "test")
_TEST_FRACTION = 0.2
_TEST_SEED = 0


def read(folder: Path, in_files: Callable[[int], bool] | None = None) -> SourceImages:
    """Read a folder of class folders.

    Parameters
    ----------
    folder
        The folder.
    in_files
        Of how many bytes all images take, whether they stay in their files until they are asked for; by default they do not.

    Returns
    -------
    SourceImages
        The image set, called after the folder.

    Raises
    ------
    InputError
        There is no image or one class only, an image cannot be read or has another size, or the folders are not as at the head of
        this module.
    """
    splits = {path.name.lower(): path for path in _folders_in(folder) if path.name.lower() in _SPLITS}
    has_own_split = len(splits) == len(_SPLITS)
    if splits and not has_own_split:
        (present,) = splits
        absent = next(name for name in _SPLITS if name != present)
        raise InputError(
            f"{folder} has a folder '{present}' but no '{absent}', where both or class folders alone were expected: add '{absent}'"
        )
    files = _image_files(splits["train"] if has_own_split else folder)
    class_names = tuple(sorted(files))
    test_files = _image_files(splits["test"]) if has_own_split else {}
    left_out = _left_out(folder, splits)
    if left_out:
        warnings.warn(f"{folder}: {left_out}", stacklevel=2)
    unknown = sorted(set(test_files) - set(class_names))
    if unknown:
        raise InputError(
            f"{folder}: the test class '{unknown[0]}' has no folder in train, where the same classes were expected "
            "in both: rename it or add its training images"
        )
    if len(class_names) < 2:
        raise InputError(
            f"{folder}: '{class_names[0]}' is the only class folder, where at least two were expected: put each "
            "class into a folder of its own"
        )
    train_paths, train_labels = _flatten(files, class_names)
    test_paths, test_labels = _flatten(test_files, class_names)
    images = _read_images(train_paths + test_paths, in_files)
    if has_own_split:
        rows = np.arange(len(images))
        train = Split(subset_of(images, rows[: len(train_paths)]), train_labels)
        test = Split(subset_of(images, rows[len(train_paths) :]), test_labels)
    else:
        held_out, kept = take_fraction(
            train_labels, len(class_names), _TEST_FRACTION, _TEST_SEED, every_class=True, what=f"{folder}: test split"
        )
        train = Split(subset_of(images, kept), train_labels[kept])
        test = Split(subset_of(images, held_out), train_labels[held_out])
    return SourceImages(
        name=folder.resolve().name,
        class_names=class_names,
        train=train,
        test=test,
        citation="none stated",
        licence="none stated",
        source=(SourceFile(str(folder), _folder_sha256(folder, train_paths + test_paths)),),
        notes="; ".join(
            filter(None, ("" if has_own_split else "test split: a fixed stratified fifth of the folder's images", left_out))
        ),
    )


def _folders_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _left_out(folder: Path, splits: Mapping[str, Path]) -> str:
    """Say what the layout passes over: further splits, pictures beside class folders, pictures in folders within them."""
    others = [path.name for path in _folders_in(folder) if path not in splits.values()] if splits else []
    places = [*splits.values()] or [folder]
    loose = [path for place in dict.fromkeys((folder, *places)) for path in picture_files(files_in(place))]
    within = [deeper for place in places for each in _folders_in(place) for deeper in _folders_in(each)]
    nested = [path for each in within for path in picture_files(each.rglob("*"))]
    said = [f"folders beside train and test left out: {', '.join(others)}"] if others else []
    said += [f"{_counted(loose)} outside class folders left out, such as {loose[0]}"] if loose else []
    said += [f"{_counted(nested)} in folders within class folders left out, such as {nested[0]}"] if nested else []
    return "; ".join(said)


def _counted(paths: list[Path]) -> str:
    return f"{len(paths)} picture{'' if len(paths) == 1 else 's'}"


def _image_files(folder: Path) -> dict[str, list[Path]]:
    """Image files by class, in the order of their names."""
    files: dict[str, list[Path]] = {}
    for class_folder in _folders_in(folder):
        images = sorted(picture_files(files_in(class_folder)))
        if not images:
            raise InputError(
                f"{class_folder} holds no image, where .png or .jpg files were expected: add its images or remove the folder"
            )
        # macOS may have written the same name in train in other code points than in test
        name = composed(class_folder.name)
        if name in files:
            raise InputError(
                f"{folder} holds two folders '{name}', whose names differ in code points alone: rename one or join them"
            )
        files[name] = images
    if not files:
        raise InputError(
            f"{folder} holds no class folder, where <class>/*.png or .jpg was expected: make one folder for each class"
        )
    return files


def _flatten(files: dict[str, list[Path]], class_names: tuple[str, ...]) -> tuple[list[Path], np.ndarray]:
    paths = [path for name in sorted(files) for path in files[name]]
    labels = [class_names.index(name) for name in sorted(files) for _ in files[name]]
    return paths, np.asarray(labels, np.int32)


def _read_images(
    paths: list[Path], in_files: Callable[[int], bool] | None
) -> UInt8[np.ndarray, "n height width channels"] | Pictures:
    """All images in one size, grey where all of them are grey: in one array, or in their files where they are too many."""
    shapes = [head_of(path) for path in paths]
    for path, shape in zip(paths, shapes, strict=True):
        if shape[:2] != shapes[0][:2]:
            raise InputError(
                f"{path} is {shape[0]}x{shape[1]} and {paths[0]} is "
                f"{shapes[0][0]}x{shapes[0][1]} (height x width), where images of one size were "
                "expected: resize them"
            )
    pictures = Pictures(paths, (*shapes[0][:2], max(shape[2] for shape in shapes)))
    return pictures if in_files is not None and in_files(math.prod(pictures.shape)) else np.asarray(pictures)


def _folder_sha256(folder: Path, paths: list[Path]) -> str:
    """Sha256 over the sha256 and relative path of every image file, in the order of the paths."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{content}  {path.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()


FORMAT = FileFormat("a folder of class folders", lambda path: path.is_dir(), read, may_stay_in_files=True)

__all__ = ["FORMAT", "read"]
