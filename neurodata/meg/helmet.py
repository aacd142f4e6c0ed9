"""A helmet of 306 sensors like Neuromag's, built from geometry: no file of a real scanner is needed.

102 chips stand on a sphere around the head, at the places to which Vectorview's published layout (in MNE) flattens them: the
distance from the layout's centre becomes the angle from the vertex. Each chip has two planar gradiometers at a right angle
and a magnetometer, with the coils of MNE's coil definitions. A real helmet is no sphere and fits some heads better than
others; fields keep their physics, their exact shape is not a scanner's.
"""

from __future__ import annotations

import mne
import numpy as np
from jaxtyping import Float64
from mne.io.constants import FIFF
from mne.transforms import Transform, translation

HEAD_CENTRE = (0.0, 0.0, 0.04)  # m, in head coordinates
HEAD_RADIUS = 0.09
HELMET_RADIUS = 0.115
LARGEST_ANGLE = np.deg2rad(110)  # from the vertex
STIM_CHANNEL = "STI101"


def _chips() -> tuple[list[str], np.ndarray]:
    """Names of the chips, MEG011 and so on, and their directions from the head's centre, (102, 3)."""
    layout = mne.channels.read_layout("Vectorview-mag")
    flat = layout.pos[:, :2] - layout.pos[:, :2].mean(axis=0)
    angle = LARGEST_ANGLE * np.linalg.norm(flat, axis=1) / np.linalg.norm(flat, axis=1).max()
    around = np.arctan2(flat[:, 1], flat[:, 0])
    directions = np.stack([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)], axis=1)
    return [name.replace(" ", "")[:-1] for name in layout.names], directions


def helmet_info(sampling_rate: float) -> mne.Info:
    """Describe 204 gradiometers, 102 magnetometers and a stimulus channel.

    Parameters
    ----------
    sampling_rate
        in Hz.

    Returns
    -------
    an info whose channels have places and coils, so that MNE computes forward fields for them.

    >>> info = helmet_info(200.0)
    >>> [len(mne.pick_types(info, meg=kind)) for kind in ("grad", "mag")], info["ch_names"][:3], info["ch_names"][-1]
    ([204, 102], ['MEG0113', 'MEG0112', 'MEG0111'], 'STI101')
    """
    chips, directions = _chips()
    names = [f"{chip}{sensor}" for chip in chips for sensor in (3, 2, 1)]
    info = mne.create_info([*names, STIM_CHANNEL], sampling_rate, [*["grad", "grad", "mag"] * len(chips), "stim"])
    coils = (FIFF.FIFFV_COIL_VV_PLANAR_T1, FIFF.FIFFV_COIL_VV_PLANAR_T1, FIFF.FIFFV_COIL_VV_MAG_T3)
    with info._unlock():  # the only way to the coils of a made info
        for index, normal in enumerate(directions):
            one = np.cross(normal, [0.0, 1.0, 0.0])
            one /= np.linalg.norm(one)
            other = np.cross(normal, one)
            for sensor, (x_axis, y_axis) in enumerate(((one, other), (other, -one), (one, other))):
                channel = info["chs"][3 * index + sensor]
                channel["loc"] = np.concatenate([HELMET_RADIUS * normal, x_axis, y_axis, normal])
                channel["coil_type"] = coils[sensor]
                channel["coord_frame"] = FIFF.FIFFV_COORD_DEVICE
        info["dev_head_t"] = Transform("meg", "head", translation(*HEAD_CENTRE))
    return info


def dipole_fields(
    info: mne.Info, places: Float64[np.ndarray, "n_dipoles 3"], orientations: Float64[np.ndarray, "n_dipoles 3"]
) -> Float64[np.ndarray, "n_channels n_dipoles"]:
    """Compute the field of current dipoles in a spherical conductor (Sarvas 1987, doi:10.1088/0031-9155/32/1/004, by MNE).

    Parameters
    ----------
    info
        MEG channels with places; others are left out.
    places
        (n_dipoles, 3) metres from the head's centre.
    orientations
        (n_dipoles, 3) unit vectors.

    Returns
    -------
    (n_channels, n_dipoles), T or T/m for 1 A m.
    """
    meg = mne.pick_info(info, mne.pick_types(info, meg=True))
    sphere = mne.make_sphere_model(HEAD_CENTRE, HEAD_RADIUS, verbose="error")
    source_space = mne.setup_volume_source_space(
        pos={"rr": places + np.array(HEAD_CENTRE), "nn": orientations}, sphere=sphere, mindist=0.0, verbose="error"
    )
    forward = mne.make_forward_solution(
        meg, Transform("head", "mri"), source_space, sphere, meg=True, eeg=False, mindist=0.0, verbose="error"
    )
    free = forward["sol"]["data"].reshape(len(meg["ch_names"]), len(places), 3)
    return np.einsum("cdx,dx->cd", free, orientations)


__all__ = ["HEAD_CENTRE", "HEAD_RADIUS", "STIM_CHANNEL", "dipole_fields", "helmet_info"]
