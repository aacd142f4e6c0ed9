"""What is known of files that look like an image set of another name: recognised by their bytes, never by their names.

A file that is not what a reader would take it for gets a row here, and the note is carried into every record and table.
"""

from __future__ import annotations

from typing import NamedTuple

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_CITATION = "Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images, University of Toronto"


class KnownFile(NamedTuple):
    """Facts that a file does not state itself.

    Attributes
    ----------
    notes
        What a reader of the results must know of its pixels.
    class_names
        One for each label.
    citation
        Whom to cite.
    licence
        Under which terms.
    """

    notes: str
    class_names: tuple[str, ...]
    citation: str
    licence: str


BY_SHA256: dict[str, KnownFile] = {
    "18fbea07c2c15db5afbc23adb3c565aabb2f2c8df8961c6a7f3f1031038a32ee": KnownFile(
        notes="decoded from lossy JPEG; not the original CIFAR-10 pixels",
        class_names=CIFAR10_CLASSES,
        citation=CIFAR10_CITATION,
        licence="none stated",
    ),
    "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64": KnownFile(
        notes="MNIST's pixels decoded from lossless PNG; not the bytes of the Keras file",
        class_names=tuple(str(digit) for digit in range(10)),
        citation="LeCun, Bottou, Bengio and Haffner (1998), doi:10.1109/5.726791",
        licence="LeCun, Cortes and Burges; none stated",
    ),
}

__all__ = ["BY_SHA256", "CIFAR10_CITATION", "CIFAR10_CLASSES", "KnownFile"]
