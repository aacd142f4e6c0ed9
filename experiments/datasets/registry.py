"""Which image sets are known by name, and which layouts of a user's files are understood: one line each."""

from __future__ import annotations

from . import cifar10, cifar10_jpeg, class_folders, digits, fashion_mnist, fsdd, keras_npz, mnist, working_memory
from .contract import FileFormat, NamedSet

NAMED_SETS: dict[str, NamedSet] = {
    "digits": digits.NAMED_SET,
    "fashion_mnist": fashion_mnist.NAMED_SET,
    "mnist": mnist.NAMED_SET,
    "cifar10": cifar10.NAMED_SET,
    "cifar10_jpeg": cifar10_jpeg.NAMED_SET,
    **fsdd.NAMED_SETS,
    **working_memory.NAMED_SETS,
}

FILE_FORMATS: dict[str, FileFormat] = {
    "keras_npz": keras_npz.FORMAT,
    "class_folders": class_folders.FORMAT,
}

__all__ = ["FILE_FORMATS", "NAMED_SETS"]
