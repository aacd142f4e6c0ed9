"""BOLD images: what they are from their headers, and their voxels' time courses, of which never all are in memory.

Volumes are read some at a time, and of each only the voxels that are asked for are kept. Images on a surface are a pair
of GIFTI files or a SurfaceImage; their vertices count left hemisphere first.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import nibabel
import numpy as np
from jaxtyping import Float32, Int
from nibabel.filebasedimages import ImageFileError
from nilearn.image import smooth_img
from nilearn.surface import SurfaceImage, load_surf_data

from bioplausible.foundation.errors import InputError
from neurodata.cache import file_sha256
from neurodata.presence import check_content

BLOCK_BYTES = 64_000_000  # of volumes in memory at once
READ_ERRORS = (OSError, ValueError, EOFError, zlib.error, gzip.BadGzipFile, ImageFileError)
SECONDS_PER_UNIT = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}


@dataclass(frozen=True, eq=False)
class BoldImage:
    """What the header of a BOLD image says.

    Parameters
    ----------
    name
        what errors call it.
    source
        path of a NIfTI file, or the arrays or paths of two hemispheres.
    shape
        (x, y, z) voxels, or (left, right) vertices.
    affine
        (4, 4) from voxels to mm, or None on a surface.
    n_volumes
        number of volumes.
    seconds
        repetition time that the header states with its unit, or None.
    """

    name: str
    source: Any
    shape: tuple[int, ...]
    affine: np.ndarray | None
    n_volumes: int
    seconds: float | None = None

    @property
    def on_surface(self) -> bool:
        """Whether it has vertices rather than voxels."""
        return self.affine is None


def unreadable(path: Any, error: Exception) -> InputError:
    """Say that an image file is broken."""
    reason = (str(error).splitlines() or [type(error).__name__])[0] or type(error).__name__
    return InputError(f"{path} cannot be read ({reason}): expected a whole NIfTI or GIFTI file; it may be truncated, copy it again")


def load_nifti(path: Any) -> Any:
    """Open a NIfTI file, reading no more than its header."""
    check_content(path)
    if not Path(path).is_file():
        raise InputError(f"{path} is not there; expected a NIfTI file, check the path")
    try:
        return nibabel.load(path)
    except READ_ERRORS as error:
        raise unreadable(path, error) from error


def check_real(image: Any, name: object) -> None:
    """Refuse values of which only a part would be read: complex numbers, whose phase would be dropped, and colours."""
    kind = np.dtype(image.dataobj.dtype if hasattr(image.dataobj, "dtype") else image.get_data_dtype())
    if kind.kind not in "biuf":
        what = "complex numbers" if kind.kind == "c" else "colours" if kind.names else f"values of type {kind.name}"
        raise InputError(
            f"{name} holds {what}; expected one real number a voxel, save the part that is meant (a magnitude, say) alone"
        )


def _unit_of_time(image: Any) -> str:
    try:
        return str(image.header.get_xyzt_units()[1])
    except (KeyError, AttributeError):  # a code that NIfTI does not know, a format without units
        return "unknown"


def _hemisphere(path: Any) -> np.ndarray:
    """Read one GIFTI file, (n_vertices, n_volumes)."""
    check_content(path)
    if not Path(path).is_file():
        raise InputError(f"{path} is not there; expected a GIFTI file, check the path")
    try:
        values = np.asarray(load_surf_data(os.fspath(path)), dtype=np.float32)
    except (*READ_ERRORS, SyntaxError) as error:
        raise unreadable(path, error) from error
    return values[:, None] if values.ndim == 1 else values


def hemispheres(source: Any) -> list[np.ndarray]:
    """Read both hemispheres, (n_vertices, n_volumes) each, left first."""
    if isinstance(source, SurfaceImage):
        parts = [np.asarray(source.data.parts[side], dtype=np.float32) for side in ("left", "right")]
        return [part[:, None] if part.ndim == 1 else part for part in parts]
    return [_hemisphere(path) for path in source]


def is_surface(source: Any) -> bool:
    """Whether something given is an image on a surface: a SurfaceImage, or a pair of files."""
    paths = isinstance(source, tuple | list) and len(source) == 2 and all(isinstance(each, str | os.PathLike) for each in source)
    return isinstance(source, SurfaceImage) or paths


def open_bold(bold: Any, name: str) -> BoldImage:
    """Read the header of a BOLD image.

    Raises
    ------
    InputError
        for a file that is not there, cannot be read, or has no time axis.
    """
    if is_surface(bold):
        parts = hemispheres(bold)
        if parts[0].shape[1] != parts[1].shape[1]:
            raise InputError(
                f"{name}: the hemispheres have {parts[0].shape[1]} and {parts[1].shape[1]} volumes; expected as many, the same run"
            )
        return BoldImage(name, bold, (len(parts[0]), len(parts[1])), None, parts[0].shape[1])
    if not isinstance(bold, str | os.PathLike):
        raise InputError(f"{name} is a {type(bold).__name__}; expected the path of a NIfTI file, two of GIFTI, or a SurfaceImage")
    image = load_nifti(bold)
    if len(image.shape) != 4:
        raise InputError(f"{bold} has shape {image.shape}; expected a 4D NIfTI file of BOLD volumes, (x, y, z, volumes)")
    check_real(image, bold)
    unit = _unit_of_time(image)
    zoom = float(image.header.get_zooms()[3])
    seconds = zoom * SECONDS_PER_UNIT[unit] if unit in SECONDS_PER_UNIT and zoom > 0 else None
    return BoldImage(name, Path(bold), tuple(image.shape[:3]), np.asarray(image.affine), int(image.shape[3]), seconds)


def content(image: BoldImage) -> tuple[str, ...]:
    """Checksums that tell an image's content from any other."""
    if isinstance(image.source, SurfaceImage):
        return tuple(joblib.hash(part) for part in hemispheres(image.source))
    paths: Sequence[Any] = image.source if image.on_surface else [image.source]
    return tuple(file_sha256(Path(path)) for path in paths)


def read_series(
    image: BoldImage, voxels: Int[np.ndarray, " n_voxels"], smoothing_mm: float | int | None = None
) -> Float32[np.ndarray, "n_volumes n_voxels"]:
    """Read the time courses of some voxels.

    Parameters
    ----------
    image
        what :func:`open_bold` returned.
    voxels
        positions in the flattened volume (C order) or among the vertices, ascending.
    smoothing_mm
        full width at half maximum of a Gaussian in mm, applied before voxels are taken.

    Raises
    ------
    InputError
        for a file that breaks off, and for smoothing on a surface.
    """
    if image.on_surface:
        if smoothing_mm is not None:
            raise InputError(f"{image.name}: smoothing_mm on a surface is not offered; smooth the files beforehand")
        return np.concatenate(hemispheres(image.source))[voxels].T.copy()
    fortran = np.ravel_multi_index(np.unravel_index(voxels, image.shape), image.shape, order="F")
    series = np.empty((image.n_volumes, len(voxels)), dtype=np.float32)
    step = max(1, BLOCK_BYTES // (8 * int(np.prod(image.shape))))
    try:
        # the file stays open, lest a compressed one be unpacked from its start for each block
        opened: Any = nibabel.load(image.source, keep_file_open=True)
        for first in range(0, image.n_volumes, step):
            block = np.asanyarray(opened.dataobj[..., first : first + step])
            if smoothing_mm is not None:
                smoothed = smooth_img(nibabel.Nifti1Image(block.astype(np.float32), image.affine), smoothing_mm)
                block = np.asanyarray(smoothed.dataobj)
            flat = np.asfortranarray(block).reshape(-1, block.shape[3], order="F")
            series[first : first + step] = flat[fortran].T
    except READ_ERRORS as error:
        raise unreadable(image.source, error) from error
    return series


__all__ = [
    "BoldImage",
    "check_real",
    "content",
    "hemispheres",
    "is_surface",
    "load_nifti",
    "open_bold",
    "read_series",
    "unreadable",
]
