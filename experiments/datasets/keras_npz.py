"""A user's own image set in one ``.npz`` of the Keras layout.

==============================================  ======================================================================
key                                             array
==============================================  ======================================================================
``x_train``, ``x_test``                         ``(n, height, width)`` or ``(n, height, width, 1 or 3)``; scale: see ``checks.py``
``y_train``, ``y_test``                         ``(n,)`` or ``(n, 1)``, whole numbers from 0 without gaps
``class_names`` (may be missing)                ``(n_classes,)`` strings
``note``, ``source``, ``citation``, ``licence`` strings, carried into every record (each may be missing)
==============================================  ======================================================================

The file is read without unpickling anything.
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np

from bioplausible.foundation.errors import InputError
from neurodata.cache import file_sha256
from neurodata.presence import check_content

from .checks import byte_images, class_labels, count_classes
from .contract import FileFormat, SourceFile, SourceImages, Split
from .known_files import BY_SHA256

_REQUIRED = ("x_train", "y_train", "x_test", "y_test")
_TEXTS = ("note", "source", "citation", "licence", "class_names")


def read(path: Path) -> SourceImages:
    """Read an ``.npz`` of the Keras layout.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    SourceImages
        The image set, called after the file.

    Raises
    ------
    InputError
        The file is damaged, lacks an array, or holds arrays that are not images with labels.
    """
    what = str(path)
    arrays = _load_arrays(path)
    missing = [key for key in _REQUIRED if key not in arrays]
    if missing:
        raise InputError(
            f"{what} has no {', '.join(missing)} (found: {', '.join(sorted(arrays)) or 'nothing'}), where x_train, "
            "y_train, x_test and y_test were expected: save the arrays under these names"
        )
    train_images, test_images, scale_note = byte_images(arrays["x_train"], arrays["x_test"], what)
    train_labels = class_labels(arrays["y_train"], len(train_images), "y_train", what)
    test_labels = class_labels(arrays["y_test"], len(test_images), "y_test", what)
    n_classes = count_classes(train_labels, test_labels, what)
    sha256 = file_sha256(path)
    known = BY_SHA256.get(sha256)
    texts = {key: " ".join(np.atleast_1d(arrays[key]).tolist()) for key in _TEXTS[:-1] if key in arrays}
    unused = sorted(set(arrays) - {*_REQUIRED, *_TEXTS})
    left_out = f"arrays that are not read: {', '.join(unused)}" if unused else ""
    if left_out:
        warnings.warn(f"{what}: {left_out}", stacklevel=2)
    notes = [known.notes if known else "", texts.get("note", ""), texts.get("source", ""), scale_note, left_out]
    return SourceImages(
        name=path.stem,
        class_names=known.class_names if known else _class_names(arrays.get("class_names"), n_classes, what),
        train=Split(train_images, train_labels),
        test=Split(test_images, test_labels),
        citation=known.citation if known else texts.get("citation", "none stated"),
        licence=known.licence if known else texts.get("licence", "none stated"),
        source=(SourceFile(what, sha256),),
        notes="; ".join(note for note in notes if note),
    )


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    key = "the archive"
    try:
        with np.load(path, allow_pickle=False) as archive:
            for key in archive.files:
                if key in _REQUIRED + _TEXTS:
                    arrays[key] = archive[key]
                else:
                    arrays[key] = np.empty(0)
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
        MemoryError,  # of a header that says too much
        OverflowError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        check_content(path)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} cannot be read at {key} ({reason.rstrip('.')}), where a whole .npz of plain arrays was "
            "expected: copy or save the file again"
        ) from None
    for key in _TEXTS:
        if key in arrays and arrays[key].dtype.kind != "U":
            raise InputError(f"{path}: {key} has dtype {arrays[key].dtype}, where text was expected: save it as strings")
    return arrays


def _class_names(names: np.ndarray | None, n_classes: int, what: str) -> tuple[str, ...]:
    if names is None:
        return tuple(str(label) for label in range(n_classes))
    if names.shape != (n_classes,) or len(set(names.tolist())) < n_classes:
        raise InputError(
            f"{what}: class_names has shape {names.shape}, where {n_classes} different names were expected, one for "
            "each label of y_train: name every class once"
        )
    return tuple(str(name) for name in names)


FORMAT = FileFormat(
    kind="an .npz of the Keras layout",
    accepts=lambda path: path.is_file() and path.suffix.lower() == ".npz",
    read=read,
)

__all__ = ["FORMAT", "read"]
