r"""A simulated observer in a scanner: BIDS files whose truth is known.

Voxel v of a region, in one run, with $P$ what the stimuli evoke (as :mod:`neurodata.simulated` plants it):

$$ y_v(t) = b\,\big(100 + \textstyle\sum_c P_{cv}\,(h * u_c)(t) + d_v(t) + m(t)\,w_v + s_v(t) + \epsilon_v(t)\big) $$

with $u_c$ the condition's events, h Glover's haemodynamic response scaled to a peak of one for a single event, d a slow
drift, m six motion parameters and w what each does to the voxel, s spikes in single volumes, and $\epsilon$ first-order
autoregressive noise of variance one. ``signal_to_noise`` is the variance of $P$ over conditions and voxels: of peak
responses over the noise of one volume. Motion and spikes stand in the table of confounds. Voxels outside of all regions
have everything but the signal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from nilearn.glm.first_level import compute_regressor
from PIL import Image
from scipy.signal import lfilter

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import whole_folder
from bioplausible.foundation.yaml_files import to_yaml
from neurodata.simulated import CITATION, LICENCE, Driver, driver_features, evoked_patterns
from neurodata.stimuli import Stimuli

SHAPE = (12, 12, 8)
BOX = 4  # voxels along each side of a region
VOXEL_MM = 3.0
SCALE = 10.0  # units of the files for one standard deviation of noise
BASELINE = 100.0  # in standard deviations of noise
AUTOCORRELATION = 0.3
DRIFT = 2.0
MOTION = 0.5
SPIKE = 5.0
SPIKES_PER_RUN = 2
EVENT_SECONDS = 1.0
LEAD_SECONDS = 4.0
TAIL_SECONDS = 16.0
MOTION_NAMES = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
TASK = "objects"


@dataclass(frozen=True)
class _Protocol:
    """What is the same in every run."""

    conditions: tuple[str, ...]
    repeats: int
    interval: float
    repetition_time: float

    @property
    def n_volumes(self) -> int:
        seconds = LEAD_SECONDS + self.interval * self.repeats * len(self.conditions) + TAIL_SECONDS
        return int(np.ceil(seconds / self.repetition_time))

    @property
    def times(self) -> np.ndarray:
        return np.arange(self.n_volumes) * self.repetition_time


def _region_masks(names: Sequence[str]) -> dict[str, np.ndarray]:
    """Give each region a box of its own in the volume."""
    corners = [corner for corner in np.ndindex(*(side // BOX for side in SHAPE))]
    if len(names) > len(corners):
        raise InputError(f"{len(names)} regions in a simulated volume of {len(corners)} boxes; expected fewer")
    masks = {}
    for name, corner in zip(names, corners, strict=False):
        mask = np.zeros(SHAPE, dtype=bool)
        mask[tuple(slice(BOX * place, BOX * (place + 1)) for place in corner)] = True
        masks[name] = mask
    return masks


def _draw_events(protocol: _Protocol, generator: np.random.Generator) -> pd.DataFrame:
    orders = [generator.permutation(len(protocol.conditions)) for _ in range(protocol.repeats)]
    shown = np.concatenate(orders)
    onsets = LEAD_SECONDS + protocol.interval * np.arange(len(shown))
    labels = [protocol.conditions[index] for index in shown]
    return pd.DataFrame({"onset": onsets, "duration": EVENT_SECONDS, "trial_type": labels})


@cache
def _peak() -> float:
    """Give the height of the response to a single event."""
    single = np.array([[0.0], [EVENT_SECONDS], [1.0]])
    return float(compute_regressor(single, "glover", np.arange(0, 32, 0.1), oversampling=2)[0].max())


def _responses(events: pd.DataFrame, protocol: _Protocol) -> np.ndarray:
    """Convolve each condition's events, (n_volumes, n_conditions)."""
    columns = []
    for condition in protocol.conditions:
        onsets = events.loc[events["trial_type"] == condition, "onset"].to_numpy()
        triplet = np.stack([onsets, np.full(len(onsets), EVENT_SECONDS), np.ones(len(onsets))])
        columns.append(compute_regressor(triplet, "glover", protocol.times)[0][:, 0])
    return np.stack(columns, axis=1) / _peak()


def _draw_confounds(n_volumes: int, generator: np.random.Generator) -> pd.DataFrame:
    """Draw a head's slow walk, and the volumes in which it jumped."""
    walk = np.cumsum(generator.standard_normal((n_volumes, len(MOTION_NAMES))), axis=0)
    table = pd.DataFrame((walk - walk.mean(axis=0)) / walk.std(axis=0), columns=list(MOTION_NAMES))
    for number, volume in enumerate(np.sort(generator.choice(n_volumes, SPIKES_PER_RUN, replace=False))):
        table[f"motion_outlier{number:02d}"] = (np.arange(n_volumes) == volume).astype(float)
    return table


def _draw_noise(n_volumes: int, confounds: pd.DataFrame, generator: np.random.Generator) -> np.ndarray:
    """Draw everything but the signal, (n_volumes, n_voxels)."""
    n_voxels = int(np.prod(SHAPE))
    innovations = np.sqrt(1 - AUTOCORRELATION**2) * generator.standard_normal((n_volumes + 50, n_voxels))
    noise = lfilter([1.0], [1.0, -AUTOCORRELATION], innovations, axis=0)[50:]
    moment = np.linspace(0, 1, n_volumes)[:, None]
    slopes, waves = generator.standard_normal((2, 1, n_voxels))
    drift = DRIFT * (slopes * moment + waves * np.cos(np.pi * moment))
    weights = generator.standard_normal((confounds.shape[1], n_voxels))
    weights[: len(MOTION_NAMES)] *= MOTION
    weights[len(MOTION_NAMES) :] *= SPIKE
    return noise + drift + confounds.to_numpy() @ weights


def _write_run(place: Path, stem: str, series: np.ndarray, events: pd.DataFrame, confounds: pd.DataFrame, seconds: float) -> None:
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    volumes = np.round(SCALE * (BASELINE + series)).astype(np.int16).T.reshape(*SHAPE, len(series))
    image = nibabel.Nifti1Image(volumes, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((VOXEL_MM,) * 3 + (seconds,))
    image.to_filename(place / f"{stem}_bold.nii.gz")
    sidecar = {"TaskName": TASK, "RepetitionTime": seconds}
    (place / f"{stem}_bold.json").write_text(json.dumps(sidecar), encoding="utf-8")
    events.to_csv(place / f"{stem}_events.tsv", sep="\t", index=False)
    confounds.to_csv(place / f"{stem}_desc-confounds_timeseries.tsv", sep="\t", index=False)


def _write_surroundings(
    folder: Path, stimuli: Stimuli, masks: Mapping[str, np.ndarray], truth: Mapping[str, str], name: str, notes: str
) -> None:
    (folder / "stimuli").mkdir()
    (folder / "masks").mkdir()
    for identity, image in zip(stimuli.ids, stimuli.images, strict=True):
        Image.fromarray(image).save(folder / "stimuli" / f"{identity}.png")
    for region, mask in masks.items():
        affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
        nibabel.Nifti1Image(mask.astype(np.uint8), affine).to_filename(folder / "masks" / f"{region}.nii.gz")
    described = {"Name": name, "BIDSVersion": "1.10.0", "DatasetType": "raw", "License": LICENCE, "Authors": ["simulated"]}
    (folder / "dataset_description.json").write_text(json.dumps(described, indent=2), encoding="utf-8")
    settings = {"name": name, "modality": "simulated fmri", "citation": CITATION, "licence": LICENCE, "notes": notes,
                "truth": dict(truth), "stimuli": [f"{identity}.png" for identity in stimuli.ids]}  # fmt: skip
    if stimuli.categories is not None:
        settings["categories"] = [str(each) for each in stimuli.categories]
    text = to_yaml(settings)
    (folder / "recording.yaml").write_text(text, encoding="utf-8")


def _check(
    stimuli: Stimuli, drivers: Mapping[str, Driver], counts: Mapping[str, int], numbers: Mapping[str, float], name: str
) -> None:
    for option, count in counts.items():
        if count < 1:
            raise InputError(f"{option} is {count}; expected at least 1")
    for option, number in numbers.items():
        if not (np.isfinite(number) and (number > 0 or (number == 0 and option.endswith("noise")))):
            raise InputError(
                f"{option} is {number}; expected {'0 (none) or more' if option.endswith('noise') else 'seconds above 0'}"
            )
    if not drivers:
        raise InputError("no driver was given; expected a mapping from region to the name of a stage, or features")
    if "simulated" not in name:
        raise InputError(f"name is '{name}'; expected it to contain 'simulated', lest it be taken for a brain's")
    for given in (*drivers, *map(str, stimuli.ids)):
        if not given or "/" in given or "\\" in given or "\0" in given or given.startswith("."):
            raise InputError(f"the name '{given}' cannot be a file's; expected no slash, rename it")


def simulate_bold(
    folder: str | os.PathLike[str],
    stimuli: Stimuli,
    drivers: Mapping[str, Driver],
    n_subjects: int = 3,
    signal_to_noise: float = 1.0,
    seed: int = 0,
    *,
    idiosyncratic_to_noise: float = 0.0,
    n_runs: int = 4,
    repeats: int = 2,
    interval: float = 4.0,
    repetition_time: float = 2.0,
    name: str = "simulated bold",
) -> Path:
    """Write a simulated recording as BIDS files, with stimuli, masks and recording.yaml: all of it or nothing.

    Parameters
    ----------
    folder
        must not exist yet, or be empty.
    stimuli
        what the synthetic observers look at; their ids are the events' trial types.
    drivers
        for each region the name of a stage in ``neurodata.STAGES``, or features (n_conditions, ...).
    n_subjects, n_runs, repeats
        observers, runs of each, and how often a run shows every stimulus.
    signal_to_noise
        variance of peak responses that subjects share over that of one volume's noise; 0 plants nothing.
    seed
        repeats the files' content to the bit on one machine.
    idiosyncratic_to_noise
        variance of each subject's own signal over that of one volume's noise.
    interval, repetition_time
        seconds from stimulus to stimulus, and from volume to volume.
    name
        must contain "simulated".

    Returns
    -------
    the folder.

    Raises
    ------
    InputError
        for unknown stages, options out of range, and a folder that is used already or cannot be written.
    """
    counts = {"n_subjects": n_subjects, "n_runs": n_runs, "repeats": repeats}
    numbers = {"signal_to_noise": signal_to_noise, "idiosyncratic_to_noise": idiosyncratic_to_noise,
               "interval": interval, "repetition_time": repetition_time}  # fmt: skip
    _check(stimuli, drivers, counts, numbers, name)
    target = Path(folder).expanduser()
    protocol = _Protocol(tuple(str(each) for each in stimuli.ids), repeats, interval, repetition_time)
    masks = _region_masks(list(drivers))
    stages = {region: driver_features(region, driver, stimuli) for region, driver in drivers.items()}
    variances = (signal_to_noise, idiosyncratic_to_noise)
    with whole_folder(target) as partial:
        truth = {region: stage for region, (stage, _) in stages.items()}
        driven = "; ".join(f"{region} by {stage}" for region, stage in truth.items())
        notes = (
            f"Simulated: no brain was measured. Driven regions: {driven}. Variance of peak responses is {signal_to_noise:g} "
            f"times that of one volume's noise; {n_runs} runs, {n_subjects} subjects, seed {seed}; stimuli: {stimuli.source}."
        )
        _write_surroundings(partial, stimuli, masks, truth, name, notes)
        for subject in range(n_subjects):
            label = f"simulated{subject + 1:02d}"
            evoked = np.zeros((stimuli.n_conditions, *SHAPE))
            for index, (region, (_, features)) in enumerate(stages.items()):
                evoked[:, masks[region]] = evoked_patterns(features, (seed, index, subject), int(masks[region].sum()), variances)
            place = partial / f"sub-{label}" / "func"
            place.mkdir(parents=True)
            for run in range(n_runs):
                shown, moved, noise = (np.random.default_rng([seed, subject, run, part, 1]) for part in range(3))
                events = _draw_events(protocol, shown)
                confounds = _draw_confounds(protocol.n_volumes, moved)
                series = _responses(events, protocol) @ evoked.reshape(stimuli.n_conditions, -1)
                series += _draw_noise(protocol.n_volumes, confounds, noise)
                _write_run(place, f"sub-{label}_task-{TASK}_run-{run + 1}", series, events, confounds, repetition_time)
    return target


__all__ = ["simulate_bold"]
