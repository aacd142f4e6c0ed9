"""Early visual cortex for ten figures of black and white patches: one subject, twelve runs, block design.

Miyawaki et al. showed images of 10 x 10 patches, each a flickering checkerboard or grey: random ones in twenty runs, and five
geometric shapes and five letters in the twelve runs that are read here, in blocks of 12 s. Which figures a run shows differs, so
patterns are estimates against the run's rest (least squares, quadratic drift): means of z-scored volumes would have each run's own
mean of figures taken off. nilearn downloads the files (``nilearn.datasets.fetch_miyawaki2008``), into "miyawaki2008" in the data
folder.

Networks are shown the figures with checkerboards that stand still, of the published size and contrast.

Reference
---------
Miyawaki et al. (2008), Visual image reconstruction from human brain activity using a combination of multiscale local image
decoders, Neuron 60, 915-929. doi:10.1016/j.neuron.2008.11.004
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Int, UInt8

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.progress import Progress
from neurodata.cache import data_path, fetched_elsewhere
from neurodata.named import NamedRecording
from neurodata.recording import Recording
from neurodata.stimuli import Stimuli

if TYPE_CHECKING:
    from neurodata.fmri.options import FmriOptions

CITATION = (
    "Miyawaki Y, Uchida H, Yamashita O, Sato M, Morito Y, Tanabe HC, Sadato N, Kamitani Y (2008). Visual image reconstruction "
    "from human brain activity using a combination of multiscale local image decoders. Neuron 60, 915-929. "
    "doi:10.1016/j.neuron.2008.11.004"
)
LICENCE = "not stated by the source (NITRC), which asks for the citation"
FOLDER = "miyawaki2008"
ABOUT_BYTES = 153_000_000  # as nilearn states
REPETITION_TIME = 2.0  # seconds
N_FIGURES = 10
N_RUNS = 12
N_PATCHES = 10  # along a side
CHECKS, PIXELS = 4, 8  # 1.74 cycles a degree in a patch of 1.15 degrees are two cycles; pixels along a check
CONTRAST = 0.6
# masks of each region, both hemispheres
REGIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "V1": ("LHV1d", "LHV1v", "RHV1d", "RHV1v"),
        "V2": ("LHV2d", "LHV2v", "RHV2d", "RHV2v"),
        "V3": ("LHV3", "LHVP", "RHV3", "RHVP"),
        "V3A": ("LHV3A", "RHV3A"),
        "V4": ("LHV4v", "RHV4v"),
    }
)


def _fetch() -> Any:
    """Let nilearn download what is not there."""
    from nilearn.datasets import fetch_miyawaki2008

    with fetched_elsewhere("miyawaki2008", data_path() / FOLDER):
        return fetch_miyawaki2008(data_dir=data_path(), verbose=0)


def _figure_files(paths: Sequence[str]) -> list[Path]:
    return [Path(path) for path in paths if Path(path).name.startswith("data_figure_")]


def read_patches(path: Path) -> Int[np.ndarray, "n_volumes 100"]:
    """Read what each volume's moment showed: a hundred patches, column by column, -1 throughout for rest.

    Raises
    ------
    InputError
        for a file of another form.
    """
    try:
        patches = np.loadtxt(path, delimiter=",", dtype=np.int64, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); expected {N_PATCHES**2} numbers a volume, separated by commas"
        ) from error
    values = ", ".join(map(str, np.unique(patches)[:5]))
    if patches.shape[1] != N_PATCHES**2 or not np.isin(patches, (-1, 0, 1)).all():
        raise InputError(f"{path} has {patches.shape[1]} numbers a line ({values}, …); expected {N_PATCHES**2} of -1, 0 and 1")
    return patches


def draw_figure(figure: Bool[np.ndarray, "10 10"]) -> UInt8[np.ndarray, "320 320 3"]:
    """Draw a figure of checkerboards on grey."""
    check = np.indices((N_PATCHES * CHECKS, N_PATCHES * CHECKS)).sum(axis=0) % 2 * 2 - 1
    shown = np.kron(figure, np.ones((CHECKS, CHECKS), dtype=int))
    grey = np.round(127.5 * (1 + CONTRAST * check * shown)).astype(np.uint8)
    return np.repeat(np.kron(grey, np.ones((PIXELS, PIXELS), dtype=np.uint8))[:, :, None], 3, axis=2)


def _figures(runs: Sequence[np.ndarray]) -> dict[bytes, str]:
    """Name the figures in the order in which they first come."""
    found: dict[bytes, str] = {}
    for patches in runs:
        for row in patches:
            if (row == 1).any():
                found.setdefault((row == 1).tobytes(), f"figure_{len(found) + 1:02d}")
    return found


def _union(paths: Sequence[Path]) -> Any:
    """Join masks into one image."""
    import nibabel

    from neurodata.fmri.images import load_nifti

    images = [load_nifti(path) for path in paths]
    inside = np.logical_or.reduce([np.asanyarray(image.dataobj) != 0 for image in images])
    return nibabel.Nifti1Image(inside.astype(np.uint8), images[0].affine)


def load(
    progress: Progress | None = None,
    options: FmriOptions | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> Recording:
    """Load regions V1, V2, V3 (with VP), V3A and V4 (ventral).

    Parameters
    ----------
    progress
        not called: the fetcher tells no one how far it is.
    options
        how patterns are estimated, by default as described above.
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
    from neurodata.fmri.blocks import block_events
    from neurodata.fmri.estimation import patterns_and_notes
    from neurodata.fmri.images import open_bold
    from neurodata.fmri.options import FmriOptions, FmriRun

    files = _fetch()
    label_files = _figure_files(files.label)
    shown = [read_patches(path) for path in label_files]
    names = _figures(shown)
    runs = []
    for number, (bold, patches) in enumerate(zip(_figure_files(files.func), shown, strict=True), 1):
        n_volumes = open_bold(bold, os.fspath(bold)).n_volumes
        if n_volumes != len(patches):
            raise InputError(
                f"{label_files[number - 1]} labels {len(patches)} volumes and {bold} has {n_volumes}; expected as many"
            )
        labels = [names.get((row == 1).tobytes(), "rest") for row in patches]
        runs.append(FmriRun(bold, block_events(labels, REPETITION_TIME), subject="subject_1", run=str(number)))
    masks = {Path(path).name.removesuffix(".nii.gz"): Path(path) for path in files.mask_roi}
    regions = {region: _union([masks[name] for name in parts]) for region, parts in REGIONS.items()}
    chosen = replace(
        options or FmriOptions(drift="polynomial", drift_order=2),
        conditions=tuple(names.values()),
        repetition_time=REPETITION_TIME,
        allow_missing=True,
    )
    patterns, notes = patterns_and_notes(runs, regions, chosen, cache)
    images = [np.frombuffer(patches, dtype=bool).reshape(N_PATCHES, N_PATCHES, order="F") for patches in names]
    return Recording(
        name="miyawaki2008",
        stimuli=Stimuli(
            np.stack([draw_figure(image) for image in images]),
            np.array(list(names.values())),
            source="the ten figures of Miyawaki et al. 2008",
        ),
        modality="fmri",
        regions=patterns,
        citation=CITATION,
        licence=LICENCE,
        notes=" ".join(
            [
                f"One subject, so no noise ceiling over subjects; {len(names)} figures, so intervals are wide.",
                *([] if len(names) == N_FIGURES else [f"The publication has {N_FIGURES} figures."]),
                *(f"{note}." for note in notes),
            ]
        ),
    )


def _is_fetched() -> bool:
    folder = data_path() / FOLDER
    ends = {"func": ".nii.gz", "label": "_label.csv"}
    wanted = [f"{kind}/data_figure_run{run:02d}{end}" for kind, end in ends.items() for run in range(1, N_RUNS + 1)]
    wanted += [f"mask/{name}.nii.gz" for parts in REGIONS.values() for name in parts]
    return all((folder / name).is_file() for name in wanted)


def _download(_: Progress | None) -> tuple[Path, ...]:
    return tuple(_figure_files(_fetch().func))


RECORDING = NamedRecording(
    name="miyawaki2008",
    load=load,
    modality="fmri",
    n_conditions=N_FIGURES,
    citation=CITATION,
    licence=LICENCE,
    fetched_bytes=ABOUT_BYTES,
    is_fetched=_is_fetched,
    fetch=_download,
)

__all__ = ["RECORDING", "REGIONS", "draw_figure", "load", "read_patches"]
