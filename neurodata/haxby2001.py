"""Ventral temporal cortex for eight categories of objects: six subjects, up to twelve runs each, block design.

Each run shows every category once, in a block of 24 s of its grey photographs. A category's pattern in a run is the mean of its
volumes, after quadratic drift is taken out and voxels are z-scored over the run (see :mod:`neurodata.fmri.blocks`). nilearn
downloads the files (``nilearn.datasets.fetch_haxby``), into "haxby2001" in the data folder.

A condition is a category, but a network is shown pictures: each category is represented by one of the exemplars that
subjects saw, at first the first. Scores say how the network's answers to these eight pictures relate to answers to
categories, and another exemplar gives another score: compare some.

Reference
---------
Haxby et al. (2001), Distributed and overlapping representations of faces and objects in ventral temporal cortex,
Science 293, 2425-2430. doi:10.1126/science.1063736
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.progress import Progress
from neurodata.cache import data_path, fetched_elsewhere
from neurodata.named import NamedRecording, check_subjects
from neurodata.recording import Recording
from neurodata.stimuli import Stimuli, natural_key

if TYPE_CHECKING:
    from neurodata.fmri.options import FmriOptions

CITATION = (
    "Haxby JV, Gobbini MI, Furey ML, Ishai A, Schouten JL, Pietrini P (2001). Distributed and overlapping representations of "
    "faces and objects in ventral temporal cortex. Science 293, 2425-2430. doi:10.1126/science.1063736"
)
LICENCE = "CC BY-SA 3.0 (the authors hold the copyright; distributed by PyMVPA)"
FOLDER = "haxby2001"
SUBJECTS = (1, 2, 3, 4, 5, 6)
REPETITION_TIME = 2.5  # seconds
ABOUT_BYTES = 1_800_000_000  # of all six subjects, about 300 MB each
# labels of volumes, and the folders of their photographs
CATEGORIES: Mapping[str, str] = {
    "bottle": "bottles",
    "cat": "cats",
    "chair": "chairs",
    "face": "faces",
    "house": "houses",
    "scissors": "scissors",
    "scrambledpix": "controls",
    "shoe": "shoes",
}
GREY = (128, 128, 128)


def _fetch(subjects: Sequence[int]) -> Any:
    """Let nilearn download what is not there."""
    from nilearn.datasets import fetch_haxby

    check_subjects("haxby2001", subjects, SUBJECTS)
    with fetched_elsewhere("haxby2001", data_path() / FOLDER):
        return fetch_haxby(data_dir=data_path(), subjects=list(subjects), fetch_stimuli=True, verbose=0)


def _photographs(tree: Any) -> Iterator[Path]:
    """Give all files of a category, however deep they lie."""
    if isinstance(tree, Mapping):
        for each in tree.values():
            yield from _photographs(each)
    else:
        yield from map(Path, tree)


def _read_exemplars(paths: Sequence[Path]) -> UInt8[np.ndarray, "n_images height width 3"]:
    """Read photographs, fitted whole into the size of the first on grey where theirs is another."""
    images: list[Image.Image] = []
    for path in paths:
        try:
            with Image.open(path) as file:
                image = file.convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"the image {path} cannot be read; expected a whole JPEG file, delete it to have it again") from error
        images.append(image if not images or image.size == images[0].size else ImageOps.pad(image, images[0].size, color=GREY))
    return np.stack([np.asarray(image, dtype=np.uint8) for image in images])


def _stimuli(trees: Mapping[str, Any], exemplar: int) -> Stimuli:
    paths = []
    for category, folder in CATEGORIES.items():
        found = sorted(_photographs(trees.get(folder, [])), key=lambda path: natural_key(path.name))
        if not 0 <= exemplar < len(found):
            raise InputError(
                f"haxby2001 has {len(found)} photographs of '{category}' in {data_path() / FOLDER / 'stimuli' / folder} and no "
                f"number {exemplar}; expected numbers from 0"
            )
        paths.append(found[exemplar])
    names = np.array(list(CATEGORIES))
    return Stimuli(_read_exemplars(paths), names, names, source=f"photograph {exemplar + 1} of each category of Haxby et al. 2001")


def load(
    progress: Progress | None = None,
    subjects: Sequence[int] = SUBJECTS,
    exemplar: int = 0,
    options: FmriOptions | None = None,
    selective: bool = False,
    cache: str | os.PathLike[str] | None = None,
) -> Recording:
    """Load region "VT" (ventral temporal cortex).

    Parameters
    ----------
    progress
        not called: the fetcher tells no one how far it is.
    subjects
        some of 1 to 6.
    exemplar
        which photograph stands for each category, in natural order of the files' names, from 0.
    options
        how patterns are estimated, by default as described above.
    selective
        also load "VT face" and "VT house", voxels that were chosen for their response to faces and to houses: what they
        say of faces and houses is circular.
    cache
        folder of finished models, by default :func:`neurodata.derived.default_folder`.

    Returns
    -------
    the recording.

    Raises
    ------
    InputError
        when files cannot be downloaded or read.
    """
    # nilearn takes a while to import, and the list of recordings needs none of it
    from neurodata.fmri.blocks import BLOCK_OPTIONS, block_runs
    from neurodata.fmri.estimation import patterns_and_notes

    files = _fetch(subjects)
    stimuli = _stimuli(files.stimuli, exemplar)
    names = [f"subject_{subject}" for subject in subjects]
    runs = []
    for name, bold, labels in zip(names, files.func, files.session_target, strict=True):
        runs += block_runs(bold, labels, name, REPETITION_TIME)
    masks = {"VT": files.mask_vt}
    if selective:
        masks |= {"VT face": files.mask_face, "VT house": files.mask_house}
    regions = {region: dict(zip(names, paths, strict=True)) for region, paths in masks.items()}
    chosen = replace(options or BLOCK_OPTIONS, conditions=tuple(CATEGORIES), repetition_time=REPETITION_TIME)
    patterns, notes = patterns_and_notes(runs, regions, chosen, cache)
    return Recording(
        name="haxby2001",
        stimuli=stimuli,
        modality="fmri",
        regions=patterns,
        citation=CITATION,
        licence=LICENCE,
        notes=" ".join(
            [
                "Conditions are categories, shown in blocks of many photographs; networks are shown one photograph of each.",
                *(f"{note}." for note in notes),
            ]
        ),
    )


def _is_fetched() -> bool:
    folder = data_path() / FOLDER
    wanted = [folder / f"subj{subject}" / name for subject in SUBJECTS for name in ("bold.nii.gz", "labels.txt", "mask4_vt.nii.gz")]
    return all(path.is_file() for path in [*wanted, folder / "stimuli" / "README"])


def _download(_: Progress | None) -> tuple[Path, ...]:
    return tuple(Path(path) for path in _fetch(SUBJECTS).func)


RECORDING = NamedRecording(
    name="haxby2001",
    load=load,
    modality="fmri",
    n_conditions=len(CATEGORIES),
    citation=CITATION,
    licence=LICENCE,
    fetched_bytes=ABOUT_BYTES,
    is_fetched=_is_fetched,
    fetch=_download,
)

__all__ = ["CATEGORIES", "RECORDING", "load"]
