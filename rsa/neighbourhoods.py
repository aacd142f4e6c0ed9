"""Which voxels or vertices belong together around each centre of a searchlight.

Spheres in a volume come from :func:`volume_neighbourhoods`; patches of a surface as lists, or as the sparse matrix of
who is whose neighbour.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy import sparse

from bioplausible.foundation.errors import InputError
from rsa.pairs import Array


class Neighbourhoods(NamedTuple):
    """Which voxels lie around each centre, by their columns in the patterns.

    centres: (n_centres,). members: for each centre the columns of its voxels, in ascending order.
    """

    centres: Int[np.ndarray, " n_centres"]
    members: list[np.ndarray]


NeighbourLists: TypeAlias = Neighbourhoods | Sequence[np.ndarray | Sequence[int]] | np.ndarray | sparse.sparray | sparse.spmatrix


def volume_neighbourhoods(mask: Shaped[Array, "x y z"], radius: float | int, minimum_fraction: float | int = 1.0) -> Neighbourhoods:
    """Find the voxels within a sphere around each voxel of a mask.

    Parameters
    ----------
    mask
        Voxels of the brain, shape (x, y, z). Columns count its true voxels: patterns are ``volume[..., mask]``.
    radius
        In voxels; those nearer than it belong to the sphere, as rsatoolbox counts them.
    minimum_fraction
        A centre is kept when at least this share of its sphere lies in the mask; what lies outside of the mask is then
        left out of it. The part of a sphere beyond the volume's border does not count, in rsatoolbox neither.

    Returns
    -------
    Neighbourhoods
        ``np.flatnonzero(mask)[centres]`` are rsatoolbox's centres, and so for members with its ``truncate_at_boundary``.

    Raises
    ------
    InputError
        For a mask that is not three-dimensional or empty, a radius that is not above zero, or no share.

    >>> volume_neighbourhoods(np.ones((3, 3, 3), bool), radius=1.1).members[0]
    array([0, 1, 3, 9])
    """
    inside = np.asarray(mask).astype(bool)
    if inside.ndim != 3 or not inside.any():
        raise InputError(
            f"the mask has shape {inside.shape} and {inside.sum()} voxels: a volume (x, y, z) with at least one is expected"
        )
    if not radius > 0 or not 0 <= minimum_fraction <= 1:
        raise InputError(
            f"radius {radius} and minimum_fraction {minimum_fraction} were given: a radius above zero, in voxels, and a share "
            "from 0 to 1 are expected"
        )
    reach = int(np.ceil(radius))
    grid = np.indices((2 * reach + 1,) * 3).reshape(3, -1).T - reach
    sphere = grid[np.sqrt(np.square(grid).sum(axis=1)) < radius]
    # Minus one is a voxel out of the mask, minus two is beyond the volume.
    columns = np.full(inside.shape, -1)
    columns[inside] = np.arange(inside.sum())
    columns = np.pad(columns, reach, constant_values=-2)
    steps = np.ravel_multi_index(tuple((sphere + reach).T), columns.shape) - np.ravel_multi_index((reach,) * 3, columns.shape)
    flat, starts = columns.ravel(), np.flatnonzero(columns >= 0)
    centres, members = [], []
    for first in range(0, len(starts), 4096):
        around = flat[starts[first : first + 4096, None] + steps]
        share = (around >= 0).sum(axis=1) / (around >= -1).sum(axis=1)
        kept = np.flatnonzero(share >= minimum_fraction)
        centres.append(first + kept)
        members += [row[row >= 0] for row in around[kept]]
    return Neighbourhoods(np.concatenate(centres), members)


def score_map(
    values: Float[np.ndarray, "n_centres ..."], neighbourhoods: Neighbourhoods, mask: Shaped[Array, "x y z"]
) -> Float[np.ndarray, "x y z ..."]:
    """Put what was computed at the centres back into the volume, NaN elsewhere.

    Parameters
    ----------
    values
        One row per centre, shape (n_centres, ...).
    neighbourhoods, mask
        What :func:`volume_neighbourhoods` returned, and was given.

    Returns
    -------
    Shape (x, y, z, ...).
    """
    inside = np.asarray(mask).astype(bool)
    volume = np.full((*inside.shape, *values.shape[1:]), np.nan)
    volume.reshape(-1, *values.shape[1:])[np.flatnonzero(inside)[neighbourhoods.centres]] = values
    return volume


def check_members(neighbourhoods: NeighbourLists, n_voxels: int) -> list[np.ndarray]:
    """Take neighbourhoods in any of their forms as arrays of columns, refusing empty ones and columns that are not there."""
    if isinstance(neighbourhoods, Neighbourhoods):
        members = neighbourhoods.members
    elif sparse.issparse(neighbourhoods):
        rows = sparse.csr_array(neighbourhoods)
        members = np.split(rows.indices, rows.indptr[1:-1])
    else:
        members = [np.asarray(columns, dtype=np.int64) for columns in neighbourhoods]
    if not members:
        raise InputError("there is no neighbourhood: lower minimum_fraction or the radius, or give at least one list of voxels")
    for centre, columns in enumerate(members):
        if len(columns) == 0 or columns.min() < 0 or columns.max() >= n_voxels:
            raise InputError(
                f"neighbourhood {centre} is empty or names a voxel that is not there: give columns of the patterns, 0 to "
                f"{n_voxels - 1}, which count the voxels of the mask"
            )
    return members


__all__ = ["NeighbourLists", "Neighbourhoods", "check_members", "score_map", "volume_neighbourhoods"]
