"""Human early visual cortex and inferior temporal cortex for 92 objects: 15 subjects, 3T fMRI.

The objects and their order are those of Kriegeskorte et al. 2008 (on white here, on grey there), so the published
categories of that study hold row by row: four blocks of animate objects, then natural and artificial ones. The RDMs are
1 - Pearson correlation between voxel patterns, as released for the Algonauts 2019 challenge (training set A).

Reference
---------
Cichy, Pantazis and Oliva (2014), Resolving human object recognition in space and time, Nature Neuroscience 17, 455-462.
doi:10.1038/nn.3635
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files as package_files
from pathlib import Path

import numpy as np

from bioplausible.foundation.progress import Progress
from neurodata.cache import RemoteFile, fetch_all
from neurodata.kriegeskorte92 import model_rdms
from neurodata.named import NamedRecording
from neurodata.rdm_set import RdmSet
from neurodata.recording import Recording
from neurodata.stimuli import Stimuli, read_images

N_CONDITIONS = 92
SOURCE = "https://raw.githubusercontent.com/cvai-roig-lab/Net2Brain/7616b6b7a496d744074130e754007f651a203ac7/notebooks/input_data/"
CITATION = (
    "Cichy RM, Pantazis D, Oliva A (2014). Resolving human object recognition in space and time. Nature Neuroscience 17, "
    "455-462. doi:10.1038/nn.3635"
)
LICENCE = "not stated by the source, which asks for the citation"
CATEGORY_BLOCKS = (
    ("human bodypart", 12),
    ("human face", 12),
    ("nonhuman bodypart", 12),
    ("nonhuman face", 12),
    ("natural inanimate", 23),
    ("artificial inanimate", 21),
)
RDM_BYTES = 1_015_948


def _rdm_file(region: str, sha256: str) -> RemoteFile:
    folder = SOURCE + "brain_data/92images/"
    # the repository has called the file both ways; the checksum says which content is meant
    urls = (f"{folder}fmri_{region}_RDMs.npz", f"{folder}cichy2014_fmri_{region}_RDMs.npz")
    return RemoteFile(f"cichy92/cichy2014_fmri_{region}_RDMs.npz", urls, sha256, RDM_BYTES)


RDM_FILES = {
    "EVC": _rdm_file("EVC", "c73de20f9cb2229f1796085e79c153f63a4287b8bf7faaf7531571b1898d3f8b"),
    "IT": _rdm_file("IT", "ecf104457ae841d2a2bf503fb0dc16c6387e32d0cd74fb5217ca4ef859a805dd"),
}


@cache
def image_files() -> tuple[RemoteFile, ...]:
    """Name the images, with their checksums and sizes.

    Returns
    -------
    92 files in the order of the stimuli.
    """
    table = package_files("neurodata").joinpath("cichy92_images.tsv").read_text(encoding="ascii")
    rows = [line.split("\t") for line in table.splitlines()]
    folder = SOURCE + "stimuli_data/92images/"
    return tuple(RemoteFile(f"cichy92/images/{name}", folder + name, sha256, int(size_bytes)) for sha256, size_bytes, name in rows)


def _read_region(path: Path, stimuli: Stimuli) -> RdmSet:
    with np.load(path, allow_pickle=False) as content:
        dissimilarities = content["Net_RDM"]
    return RdmSet.from_array(
        dissimilarities,
        conditions=[str(identity) for identity in stimuli.ids],
        measure="correlation",
        origin=str(path),
    )


def load_stimuli(progress: Progress | None = None) -> Stimuli:
    """Load the 92 objects on white, with the categories published for them.

    Parameters
    ----------
    progress
        called with bytes so far, bytes in all and a line to show while files are downloaded.

    Returns
    -------
    92 images with ids and categories.

    Raises
    ------
    InputError
        when a file cannot be downloaded or written.
    """
    paths = fetch_all(image_files(), progress=progress)
    return Stimuli(
        images=read_images(paths),
        ids=np.array([path.stem for path in paths]),
        categories=np.repeat([name for name, _ in CATEGORY_BLOCKS], [count for _, count in CATEGORY_BLOCKS]),
        source="the 92 objects of Cichy et al. 2014",
    )


def load(progress: Progress | None = None) -> Recording:
    """Load regions "EVC" (early visual cortex) and "IT" of 15 subjects.

    Parameters
    ----------
    progress
        called with bytes so far, bytes in all and a line to show while files are downloaded.

    Returns
    -------
    the recording, RDMs of both regions.

    Raises
    ------
    InputError
        when a file cannot be downloaded or written.
    """
    paths = fetch_all((*image_files(), *RDM_FILES.values()), progress=progress)  # all at once, for one progress bar
    stimuli = load_stimuli()
    return Recording(
        name="cichy92",
        stimuli=stimuli,
        modality="fmri",
        regions={region: _read_region(path, stimuli) for region, path in zip(RDM_FILES, paths[N_CONDITIONS:], strict=True)},
        citation=CITATION,
        licence=LICENCE,
        notes=(
            "RDMs are 1 - Pearson correlation between voxel patterns, one for each subject; categories are those that "
            "Kriegeskorte et al. 2008 published for the same objects in the same order."
        ),
    )


RECORDING = NamedRecording(
    name="cichy92",
    load=load,
    modality="fmri",
    n_conditions=N_CONDITIONS,
    citation=CITATION,
    licence=LICENCE,
    files=(*RDM_FILES.values(), *image_files()),
    references=model_rdms,
)

__all__ = ["CATEGORY_BLOCKS", "RECORDING", "image_files", "load", "load_stimuli"]
