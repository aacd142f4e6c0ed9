"""Regions: which voxels or vertices of a subject's images belong to them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import nibabel
import numpy as np
import pandas as pd
from jaxtyping import Bool, Int
from nilearn.image import resample_to_img

from bioplausible.foundation.errors import InputError
from neurodata.fmri.images import READ_ERRORS, BoldImage, check_real, hemispheres, is_surface, load_nifti, unreadable
from neurodata.fmri.mask_values import label_of, mask_of, whole_numbers

AFFINE_TOLERANCE = 1e-3  # mm; files of one grid differ by the rounding of single precision


def same_grid(shape: Sequence[int], affine: Any, image: BoldImage) -> bool:
    """Say whether something lies on an image's grid."""
    if affine is None or image.affine is None:
        return (affine is None) == (image.affine is None) and tuple(shape) == image.shape
    return tuple(shape) == image.shape and np.allclose(affine, image.affine, atol=AFFINE_TOLERANCE)


def _is_atlas(source: Any) -> bool:
    return isinstance(source, tuple | list) and len(source) == 2 and isinstance(source[1], int | np.integer)


def _of_subject(source: Any, subject: str, region: str) -> Any:
    """Choose a subject's own source where there is one for each."""
    if not isinstance(source, Mapping):
        return source
    for name in (subject, f"sub-{subject}", subject.removeprefix("sub-")):
        if name in source:
            return source[name]
    raise InputError(
        f"region '{region}' has no mask for subject '{subject}' (it has them for {', '.join(map(str, source))}); expected "
        "one for each subject, or one for all"
    )


def _name_of(source: Any) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, tuple | list):
        return _name_of(source[0])
    return source.get_filename() or "an image in memory" if hasattr(source, "get_filename") else "an image in memory"


def _volume_values(source: Any, image: BoldImage, resample: bool) -> np.ndarray:
    """Read a mask or atlas on the grid of a BOLD image."""
    name = _name_of(source)
    mask = load_nifti(source) if isinstance(source, str | os.PathLike) else source
    if not hasattr(mask, "dataobj"):
        raise InputError(f"a mask is a {type(mask).__name__}; expected the path of a NIfTI file, or an image")
    check_real(mask, name)
    try:
        values = np.asanyarray(mask.dataobj)
    except READ_ERRORS as error:
        raise unreadable(name, error) from error
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise InputError(f"{name} has shape {values.shape}; expected a mask of three dimensions")
    values = whole_numbers(values)
    if same_grid(values.shape, mask.affine, image):
        return values
    if not resample:
        raise InputError(
            f"{name} has shape {values.shape} and another grid than {image.name} of shape {image.shape}; resample it, or "
            "set resample_masks ('fmri: {resample_masks: true}' in recording.yaml)"
        )
    target = nibabel.Nifti1Image(np.zeros(image.shape, dtype=np.int8), image.affine)
    moved = resample_to_img(
        nibabel.Nifti1Image(values, mask.affine), target, interpolation="nearest", force_resample=True, copy_header=True
    )
    # what a scaled file is written with must not come back
    return whole_numbers(np.asanyarray(moved.dataobj))


def _surface_values(source: Any, image: BoldImage) -> np.ndarray:
    if not is_surface(source):
        raise InputError(f"{_name_of(source)} is no pair of GIFTI files; {image.name} is on a surface, and so must its masks be")
    parts = hemispheres(source)
    shape = tuple(len(part) for part in parts)
    if shape != image.shape:
        raise InputError(
            f"{_name_of(source)} has {shape[0]} and {shape[1]} vertices and {image.name} {image.shape[0]} and "
            f"{image.shape[1]}; expected one surface, resample the mask"
        )
    several = next((part.shape[1] for part in parts if part.shape[1] > 1), None)
    if several is not None:
        raise InputError(f"{_name_of(source)} holds {several} maps; expected a mask of one, save the one that is meant by itself")
    return whole_numbers(np.concatenate([part[:, 0] for part in parts]))


def region_voxels(source: Any, region: str, subject: str, image: BoldImage, resample: bool = False) -> Int[np.ndarray, " n_voxels"]:
    """Find a region's voxels in one subject.

    Parameters
    ----------
    source
        a mask (path or image, of 0 and one other value), ``(atlas, label)``, or a mapping from subject to either.
    region, subject
        their names.
    image
        the subject's BOLD image.
    resample
        whether a mask of another grid is resampled, nearest neighbour.

    Returns
    -------
    positions in the flattened volume (C order) or among the vertices, ascending.

    Raises
    ------
    InputError
        for a mask that cannot be read, lies on another grid or selects nothing.
    """
    chosen = _of_subject(source, subject, region)
    label = None
    if _is_atlas(chosen):
        chosen, label = chosen
    values = _surface_values(chosen, image) if image.on_surface else _volume_values(chosen, image, resample)
    name = _name_of(chosen)
    inside = mask_of(values, name) if label is None else label_of(values, int(label), name)
    if not inside.any():
        what = "is empty" if label is None else f"has no voxel with the label {label}"
        raise InputError(f"{name} {what}, so region '{region}' selects no voxel; expected at least one, check the mask")
    return np.flatnonzero(inside)


def regions_from_atlas(image: Any, labels: Any) -> dict[str, tuple[Any, int]]:
    """Make a region of each label of an atlas, as nilearn's fetchers give them.

    Parameters
    ----------
    image
        path of a label image, the image, or a pair of GIFTI files.
    labels
        a table with columns "index" and "name" (nilearn's ``lut``), a mapping from name to label, or a list whose
        positions are the labels ("Background" first).

    Returns
    -------
    what :func:`neurodata.fmri.patterns` takes for regions.

    Raises
    ------
    InputError
        for a table without those columns, and a list whose first label is no background.

    >>> regions_from_atlas("atlas.nii.gz", ["Background", "V1", "V2"])
    {'V1': ('atlas.nii.gz', 1), 'V2': ('atlas.nii.gz', 2)}
    """
    if isinstance(labels, pd.DataFrame):
        missing = {"index", "name"} - set(labels.columns)
        if missing:
            raise InputError(f"the atlas's table has no column '{sorted(missing)[0]}'; expected columns 'index' and 'name'")
        pairs = zip(labels["name"].astype(str), labels["index"], strict=True)
    elif isinstance(labels, Mapping):
        pairs = zip(map(str, labels), labels.values(), strict=True)
    else:
        names = [each.decode() if isinstance(each, bytes) else str(each) for each in labels]
        if not names or names[0].lower() not in {"background", "unknown", "0"}:
            raise InputError(
                f"the atlas's list of labels begins with '{names[0] if names else ''}', so their numbers are not known; give "
                "a mapping from name to number, or the fetcher's 'lut'"
            )
        pairs = zip(names, range(len(names)), strict=True)
    return {name: (image, int(value)) for name, value in pairs if int(value) != 0}


def voxel_mask(dataset: Any) -> Bool[np.ndarray, "x y z"]:
    """Give the volume whose true voxels are the columns of a subject's patterns, in their order.

    This is what ``rsa.volume_neighbourhoods`` takes: its neighbourhoods then count these patterns' columns.

    Parameters
    ----------
    dataset
        one of a PatternSet's datasets from :func:`neurodata.fmri.patterns`.

    Returns
    -------
    the mask, of the shape of the images.
    """
    places = [np.asarray(dataset.channel_descriptors[axis]) for axis in ("i", "j", "k")]
    mask = np.zeros(dataset.descriptors["volume_shape"], dtype=bool)
    mask[tuple(places)] = True
    return mask


def places(voxels: Int[np.ndarray, " n_voxels"], image: BoldImage) -> dict[str, np.ndarray]:
    """Say where voxels are: indices i, j, k and mm x, y, z, or hemisphere and vertex."""
    if image.affine is None:
        left = voxels < image.shape[0]
        return {"hemisphere": np.where(left, "left", "right"), "vertex": np.where(left, voxels, voxels - image.shape[0])}
    indices = np.stack(np.unravel_index(voxels, image.shape))
    millimetres = image.affine[:3, :3] @ indices + image.affine[:3, 3:]
    return dict(zip("ijkxyz", [*indices, *millimetres], strict=True))


__all__ = ["places", "region_voxels", "regions_from_atlas", "same_grid", "voxel_mask"]
