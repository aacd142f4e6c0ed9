"""MNIST: 60,000 and 10,000 grey images of 28 x 28, handwritten digits.

One ``.npz`` of the Keras layout. Two files are accepted by their checksums: the one that Keras serves, and one whose
pixels were decoded from lossless PNG, which a note then says.

Reference: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998), Gradient-based learning applied to document
    recognition,
doi:10.1109/5.726791.
"""

from __future__ import annotations

import dataclasses

from neurodata.cache import RemoteFile, fetch

from . import keras_npz
from .contract import NamedSet, SourceFile, SourceImages

_SIZE_BYTES = 11490434
_FILE = RemoteFile(
    path="mnist/mnist.npz",
    url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    sha256=(
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
        "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64",
    ),
    size_bytes=_SIZE_BYTES,
)


def read() -> SourceImages:
    """Read MNIST from the cache, or download it into the cache.

    Returns
    -------
    SourceImages
        The image set.

    Raises
    ------
    InputError
        The cached file is damaged, or it cannot be downloaded.
    """
    images = keras_npz.read(fetch(_FILE))
    return dataclasses.replace(
        images,
        name="mnist",
        class_names=tuple(str(digit) for digit in range(10)),
        citation=NAMED_SET.citation,
        licence=NAMED_SET.licence,
        source=(SourceFile(_FILE.path, images.source[0].sha256),),
    )


NAMED_SET = NamedSet(
    name="mnist",
    n_train=60000,
    n_test=10000,
    shape=(28, 28, 1),
    n_classes=10,
    citation="LeCun, Bottou, Bengio and Haffner (1998), doi:10.1109/5.726791",
    licence="none stated by LeCun, Cortes and Burges",
    size_bytes=_SIZE_BYTES,
    read=read,
    remote_files=lambda: (_FILE,),
)

__all__ = ["NAMED_SET", "read"]
