"""Patterns of whole volumes, whose voxels keep their places: what searchlights are computed on, and where their maps go.

Regions are a part of it: masks/<region>.nii.gz say in which of them a place lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from jaxtyping import Bool, Float

from bioplausible.foundation.errors import InputError, unknown_name
from neurodata.entities import checked_selection
from neurodata.fmri.estimation import patterns_and_notes
from neurodata.fmri.folder import estimated, found_regions, is_fmri_folder, left_out, stated_runs
from neurodata.fmri.images import BoldImage, load_nifti, open_bold
from neurodata.fmri.options import File, FmriRun
from neurodata.fmri.regions import region_voxels, same_grid, voxel_mask
from neurodata.pattern_set import PatternSet
from neurodata.settings import read_settings
from neurodata.stimuli import Stimuli

LAYOUT = "expected sub-*/func/*_bold.nii.gz with *_events.tsv, and stimuli/ with the pictures that trial_type names"
PREPROCESSED, BRAIN = "desc-preproc_bold.", "desc-brain_mask."
_VOLUME = "volume"


@dataclass(frozen=True, eq=False)
class Volumes:
    """A folder's subjects, each with patterns of all voxels of a mask.

    Parameters
    ----------
    name
        of the recording.
    stimuli
        whose order the patterns' conditions have.
    patterns
        one dataset a subject, its channels the true voxels of the subject's mask.
    masks
        for each subject (x, y, z).
    affines
        for each subject (4, 4), from voxels to mm.
    regions
        for each region that the folder names and each subject (x, y, z).
    notes
        what a reader has to know.
    """

    name: str
    stimuli: Stimuli
    patterns: PatternSet
    masks: tuple[Bool[np.ndarray, "x y z"], ...]
    affines: tuple[Float[np.ndarray, "4 4"], ...]
    regions: Mapping[str, tuple[Bool[np.ndarray, "x y z"], ...]]
    notes: tuple[str, ...]

    @property
    def one_grid(self) -> bool:
        """Whether all subjects' voxels lie at the same places, as after normalisation to a template."""
        return all(
            mask.shape == self.masks[0].shape and np.allclose(affine, self.affines[0], atol=1e-3)
            for mask, affine in zip(self.masks, self.affines, strict=True)
        )


def load_volumes(
    folder: File, mask: str | None = None, select: Mapping[str, Any] | None = None, cache: File | None = None
) -> Volumes:
    """Estimate the patterns of whole volumes of a user's folder, in the layout of :mod:`neurodata.fmri.folder`.

    Parameters
    ----------
    folder
        with BOLD runs, events and stimuli; masks are not needed.
    mask
        a NIfTI file, or the name of a region of the folder. By default the brain masks beside fMRIPrep's images (of a
        subject's runs what they share), else the whole volume; voxels without a signal are left out in any case.
    select
        values by entity that images are chosen by.
    cache
        folder of finished models, by default ``neurodata.derived.default_folder()``.

    Returns
    -------
    the patterns with their places.

    Raises
    ------
    InputError
        for a folder without BOLD runs, images on a surface, a mask that is not there, and as :func:`neurodata.load` does.
    """
    root, settings, stimuli, fitted = _opened(folder)
    stated = dict(settings.get("fmri") or {})
    origin = f"{root / 'recording.yaml'}: 'select'"
    of_fmri = checked_selection(stated.pop("select", None), f"{origin} under 'fmri'")
    chosen = {**checked_selection(settings.get("select"), origin), **of_fmri, **checked_selection(select, "select")}
    runs, options, regions = stated_runs(root, stated, stimuli, chosen)
    if regions is None:
        regions = found_regions(root) if (root / "masks").is_dir() else {}
    firsts = {run.subject: open_bold(run.bold, run.name) for run in reversed(runs)}
    for image in firsts.values():
        if image.on_surface:
            raise InputError(f"{image.name} is on a surface; expected volumes, name their space under 'fmri' in recording.yaml")
    source, said = _mask_source(root, mask, regions, runs, firsts)
    found, notes = patterns_and_notes(runs, {_VOLUME: source}, options, cache)
    notes = (*notes, *left_out(root, runs, stated, chosen))
    datasets = found[_VOLUME].datasets
    images = [firsts[subject] for subject in found[_VOLUME].subjects]
    return Volumes(
        name=str(settings.get("name", root.resolve().name)),
        stimuli=stimuli,
        patterns=found[_VOLUME],
        masks=tuple(voxel_mask(dataset) for dataset in datasets),
        affines=tuple(np.asarray(image.affine, dtype=np.float64) for image in images),
        regions={
            name: tuple(
                _region_mask(where, name, subject, image, options.resample_masks)
                for subject, image in zip(found[_VOLUME].subjects, images, strict=True)
            )
            for name, where in regions.items()
        },
        notes=tuple(filter(None, (fitted, estimated(options), said, *(f"{note}." for note in notes)))),
    )


def volume_stimuli(folder: File) -> Stimuli:
    """Read the stimuli of a folder of BOLD runs alone: models that do not fit them are known before anything is estimated.

    Parameters
    ----------
    folder
        as for :func:`load_volumes`.

    Raises
    ------
    InputError
        for a folder without BOLD runs or stimuli.
    """
    return _opened(folder)[2]


def _opened(folder: File) -> tuple[Path, dict[str, Any], Stimuli, str]:
    root = Path(folder).expanduser()
    if not root.is_dir() or not is_fmri_folder(root):
        what = "holds no BOLD runs" if root.is_dir() else "is no folder"
        raise InputError(f"{root} {what}, whose voxels a map would need; {LAYOUT}")
    # the folder's layout is known by what reads recordings, which knows this package
    from neurodata.folder import read_stimuli

    settings = read_settings(root)
    return root, settings, *read_stimuli(root, settings)


def _region_mask(source: Any, region: str, subject: str, image: BoldImage, resample: bool) -> np.ndarray:
    inside = np.zeros(image.shape, dtype=bool)
    inside.flat[region_voxels(source, region, subject, image, resample)] = True
    return inside


def _mask_source(
    root: Path, mask: str | None, regions: Mapping[str, Any], runs: Sequence[FmriRun], firsts: Mapping[str, BoldImage]
) -> tuple[Any, str]:
    """Find what the searchlights' voxels are chosen by, and say it in a sentence."""
    if mask is not None:
        if mask in regions:
            return regions[mask], f"Searchlights within region '{mask}'."
        path = Path(mask).expanduser()
        path = path if path.is_file() else root / mask
        if not path.is_file():
            error = unknown_name("region", mask, regions or {"none": None})
            error.args = (f"{error}, or the path of a NIfTI file (there is none at {mask})",)
            raise error
        return path, f"Searchlights within {path.name}."
    brains = {subject: _brain_mask([run for run in runs if run.subject == subject], image) for subject, image in firsts.items()}
    if all(brain is not None for brain in brains.values()):
        return brains, "Searchlights within fMRIPrep's brain masks."
    whole = {subject: _image(np.ones(image.shape, dtype=bool), image) for subject, image in firsts.items()}
    return whole, "Searchlights in the whole volume: a mask of the brain would leave less to be tested."


def _brain_mask(runs: Sequence[FmriRun], image: BoldImage) -> Any:
    """Take what the brain masks of a subject's runs share, None where one is missing."""
    inside = np.ones(image.shape, dtype=bool)
    for run in runs:
        bold = Path(str(run.bold))
        beside = bold.with_name(bold.name.replace(PREPROCESSED, BRAIN))
        if PREPROCESSED not in bold.name or not beside.is_file():
            return None
        one = load_nifti(beside)
        if not same_grid(one.shape, one.affine, image):
            return None
        inside &= np.asanyarray(one.dataobj) > 0
    return _image(inside, image)


def _image(inside: np.ndarray, image: BoldImage) -> Any:
    return nibabel.Nifti1Image(inside.astype(np.uint8), image.affine)


__all__ = ["Volumes", "load_volumes", "volume_stimuli"]
