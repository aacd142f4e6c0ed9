"""Where a result comes from: the day and the command of the run, and checksums of the data that went into it."""

from __future__ import annotations

import datetime
import hashlib
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from experiments import datasets
from neurodata import PatternSet, Recording

__all__ = ["checksum_of_images", "checksum_of_recording", "describe_origin"]


def describe_origin() -> dict[str, str]:
    """The minute, in UTC, and the command, as a shell takes it; "" for the command where it was Python that asked."""
    now = datetime.datetime.now(datetime.UTC)
    name = Path(sys.argv[0]).name
    # `python -m bioplausible` has the path of the module there.
    asked = name in ("bioplausible", "bioplausible.exe") or sys.argv[0].endswith("bioplausible/__main__.py")
    return {"date": now.strftime("%Y-%m-%d %H:%M UTC"), "command": shlex.join(["bioplausible", *sys.argv[1:]]) if asked else ""}


def _checksum(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for each in arrays:
        array = np.ascontiguousarray(each)
        digest.update(f"{array.dtype.str} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def checksum_of_recording(recording: Recording) -> str:
    """SHA-256 of a recording's stimuli and of what was measured, in the order of its regions and subjects.

    Parameters
    ----------
    recording
        As it was compared: chosen subjects, conditions and regions alone.
    """

    def arrays() -> Iterable[np.ndarray]:
        yield from recording.stimuli.images
        for region in recording.regions.values():
            if isinstance(region, PatternSet):
                yield from (np.asarray(each.measurements) for each in region.datasets)
            else:
                yield np.asarray(region.toolbox.dissimilarities)

    return _checksum(arrays())


def checksum_of_images(images: datasets.ImageSet) -> str | None:
    """SHA-256 of the images and labels that networks are trained on and tested by; None of images that stay in their files.

    Parameters
    ----------
    images
        As they were read.
    """
    splits = (images.train, images.validation, images.test)
    if not all(isinstance(split.images, np.ndarray) for split in splits):
        return None
    return _checksum(np.asarray(each) for split in splits for each in split)
