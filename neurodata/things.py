"""Photographs of the THINGS database, which the recordings of THINGS-data were made with.

Their terms want to be read before they are used, so they are not downloaded from here: whoever has read them unpacks the
archive with the password that lies beside it, into "things" in the data folder.

Reference
---------
Hebart et al. (2019), THINGS: a database of 1,854 object concepts and more than 26,000 naturalistic object images,
PLoS ONE 14(10): e0223792. doi:10.1371/journal.pone.0223792
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from bioplausible.foundation.errors import InputError
from neurodata.cache import ENVIRONMENT_VARIABLE, data_path
from neurodata.stimuli import Stimuli

CITATION = (
    "Hebart MN, Contier O, Teichmann L, Rockter AH, Zheng CY, Kidder A, Corriveau A, Vaziri-Pashkam M, Baker CI (2023). "
    "THINGS-data, a multimodal collection of large-scale datasets for investigating object representations in human brain and "
    "behavior. eLife 12, e82580. doi:10.7554/eLife.82580"
)
LICENCE = "CC0, as THINGS-data's sets on OpenNeuro state; its photographs have terms of their own (https://osf.io/jum2f)"
FOLDER = "things/object_images"
SIDE = 256  # pixels; the photographs have 480 and more, and networks are shown fewer


def image_folder() -> Path:
    """Give the folder of photographs, one folder a concept.

    Raises
    ------
    InputError
        when it is not there, with where to get it.
    """
    folder = data_path() / FOLDER
    if not folder.is_dir():
        raise InputError(
            f"the photographs of THINGS are not at {folder}; read their terms at https://osf.io/jum2f, unpack images_THINGS.zip "
            f"from there into {folder.parent} with the password that lies beside it, or point {ENVIRONMENT_VARIABLE} at a folder "
            "that has them"
        )
    return folder


def has_images() -> bool:
    """Say whether the folder of photographs is there."""
    return (data_path() / FOLDER).is_dir()


def load_stimuli(names: Sequence[str], source: str) -> Stimuli:
    """Read photographs, cut to squares of 256 pixels.

    Parameters
    ----------
    names
        of files, "candelabra_14s.jpg" say; the concept is what goes before the last underscore.
    source
        in words.

    Raises
    ------
    InputError
        when one is missing or cannot be read.
    """
    folder = image_folder()
    images = []
    for name in names:
        path = folder / name.rpartition("_")[0] / name
        try:
            with Image.open(path) as file:
                square = ImageOps.fit(file.convert("RGB"), (SIDE, SIDE), Image.Resampling.LANCZOS)
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"the photograph {path} is missing or cannot be read; unpack images_THINGS.zip again") from error
        images.append(np.asarray(square, dtype=np.uint8))
    return Stimuli(np.stack(images), np.array([Path(name).stem for name in names]), source=source)


__all__ = ["CITATION", "LICENCE", "has_images", "image_folder", "load_stimuli"]
