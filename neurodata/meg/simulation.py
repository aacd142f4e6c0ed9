r"""A simulated observer that writes raw MEG: FIF files of 306 sensors, in a BIDS tree, with the stimuli beside them.

Each source is a patch of current dipoles that is driven by a known stage of processing, within a known window. With z-scored
features $F_r$ ($n \times p$) of the stage that drives source r, the moments of subject s's dipoles and the recorded field are

$$ M_{rs} = a_{rs} \big(F_r A_{rs} / \sqrt{p} + \sqrt{\sigma_I^2 / \sigma_S^2}\; G_{rs}\big), \qquad
x_s(t) = \sum_r w_r(t)\, L_{rs} M_{rs}[i] + L_b b_s(t) + e_s(t) $$

- $L$: lead fields of dipoles in a spherical conductor (MNE), on the helmet of :mod:`neurodata.meg.helmet`;
- $A$, $G$: standard normal mixing into the dipoles, and what is idiosyncratic to a subject, the same in each trial;
- $a_{rs}$: such that the first term's variance over conditions, averaged over gradiometers, is ``signal_to_noise`` times that of
  one trial's noise;
- $b$: 100 dipoles all over the head with autoregressive courses, the spatially correlated noise that normalisation removes; $e$:
  white noise of each sensor. ``brain_to_sensor_noise`` is the ratio of their variances over gradiometers;
- blinks: now and then two frontal dipoles give a field far beyond all that, which rejection has to find.

The stimulus channel holds trigger + 1, where trigger 0 is the first stimulus, as in the published recording of 92 objects.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import mne
import numpy as np
from scipy.signal import lfilter

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import whole_folder
from neurodata.meg.helmet import dipole_fields, helmet_info
from neurodata.meg.simulated_tree import write_rest, write_run
from neurodata.simulated import Driver, default_windows, driver_features
from neurodata.stimuli import Stimuli

# white noise of a Neuromag sensor, per root of a hertz of bandwidth
SENSOR_NOISE = {"grad": 3e-13, "mag": 3e-15}
N_BACKGROUND, BACKGROUND_MEMORY_SECONDS = 100, 0.05
DIPOLES_PER_SOURCE, PATCH_ANGLE, SOURCE_DEPTHS = 60, np.deg2rad(60), (0.05, 0.075)
# occipital, right and left temporal, parietal; more sources go through them again
PATCH_CENTRES = np.array([[0.0, -1.0, 0.3], [0.9, -0.3, 0.1], [-0.9, -0.3, 0.1], [0.0, -0.4, 1.0]])
BLINK_SECONDS, BLINK_PEAK = 0.2, 2e-9  # T/m at the gradiometer that sees most of it
PULSE_SECONDS = 0.02
REST_SECONDS = 1.0


def _patch(generator: np.random.Generator, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw places and tangential orientations of one source's dipoles; radial ones are silent in a sphere."""
    centre = PATCH_CENTRES[index % len(PATCH_CENTRES)]
    directions = generator.standard_normal((200 * DIPOLES_PER_SOURCE, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    near = directions @ centre > np.cos(PATCH_ANGLE) * np.linalg.norm(centre)
    chosen = directions[near][:DIPOLES_PER_SOURCE]
    return chosen * generator.uniform(*SOURCE_DEPTHS, (len(chosen), 1)), _tangential(chosen, generator)


def _tangential(directions: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    across = np.cross(directions, generator.standard_normal(directions.shape))
    return across / np.linalg.norm(across, axis=1, keepdims=True)


def _noise(generators: tuple[np.random.Generator, ...], info: mne.Info, n_samples: int, ratio: float) -> np.ndarray:
    """Draw noise of sensors and of the brain behind them, (n_channels, n_samples)."""
    anatomy, background, sensors = generators
    kinds = np.array(info.get_channel_types(picks="meg"))
    bandwidth = info["sfreq"] / 2
    white = np.where(kinds == "grad", SENSOR_NOISE["grad"], SENSOR_NOISE["mag"]) * np.sqrt(bandwidth)
    noise = white[:, None] * sensors.standard_normal((len(kinds), n_samples))
    directions = anatomy.standard_normal((N_BACKGROUND, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    fields = dipole_fields(info, directions * anatomy.uniform(0.02, 0.07, (N_BACKGROUND, 1)), _tangential(directions, anatomy))
    memory = np.exp(-1 / (BACKGROUND_MEMORY_SECONDS * info["sfreq"]))
    courses = lfilter([np.sqrt(1 - memory**2)], [1, -memory], background.standard_normal((N_BACKGROUND, n_samples)), axis=1)
    grad = kinds == "grad"
    scale = np.sqrt(ratio * white[grad][0] ** 2 / (fields[grad] ** 2).sum(axis=1).mean())
    return noise + scale * fields @ courses


def _evoked(
    features: np.ndarray, info: mne.Info, seeds: tuple[int, int, int], signal: float, idiosyncratic: float, noise_variance: float
) -> np.ndarray:
    """Compute one source's field for each condition, (n_conditions, n_channels)."""
    anatomy, mixing, own = (np.random.default_rng([*seeds, part]) for part in range(3))
    places, orientations = _patch(anatomy, seeds[1])
    fields = dipole_fields(info, places, orientations)
    grad = np.array(info.get_channel_types(picks="meg")) == "grad"

    def scaled(moments: np.ndarray, ratio: float) -> np.ndarray:
        evoked = (moments - moments.mean(axis=0)) @ fields.T
        return evoked * np.sqrt(ratio * noise_variance / evoked[:, grad].var(axis=0).mean())

    shared = scaled(features @ mixing.standard_normal((features.shape[1], len(places))), signal)
    return shared + scaled(own.standard_normal((len(features), len(places))), idiosyncratic)


def _order(generator: np.random.Generator, n_conditions: int, n_repeats: int) -> np.ndarray:
    """Show every stimulus once before any is shown again."""
    return np.concatenate([generator.permutation(n_conditions) for _ in range(n_repeats)])


def _blink_trials(generator: np.random.Generator, order: np.ndarray, fraction: float) -> np.ndarray:
    """Choose trials of distinct conditions that are shown again, so that no condition is lost."""
    values, counts = np.unique(order, return_counts=True)
    candidates = generator.permutation(values[counts > 1])[: round(fraction * len(order))]
    return np.array([generator.choice(np.flatnonzero(order == value)) for value in candidates], dtype=int)


def _add_blinks(data: np.ndarray, info: mne.Info, starts: np.ndarray) -> None:
    length = round(BLINK_SECONDS * info["sfreq"])
    eyes = np.array([[0.03, 0.07, 0.0], [-0.03, 0.07, 0.0]])
    across = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    field = dipole_fields(info, eyes, across).sum(axis=1)
    grad = np.array(info.get_channel_types(picks="meg")) == "grad"
    shape = BLINK_PEAK / np.abs(field[grad]).max() * field[:, None] * np.hanning(length)
    for start in starts:
        data[:, start : start + length] += shape[:, : max(0, data.shape[1] - start)]


def simulate_raw(
    folder: str | os.PathLike[str],
    stimuli: Stimuli,
    drivers: Mapping[str, Driver],
    n_subjects: int = 2,
    signal_to_noise: float = 0.2,
    seed: int = 0,
    *,
    idiosyncratic_to_noise: float = 0.02,
    brain_to_sensor_noise: float = 4.0,
    n_runs: int = 2,
    n_repeats: int = 6,
    sampling_rate: float = 200.0,
    onset_asynchrony: float = 0.7,
    jitter: float = 0.1,
    drive_windows: Mapping[str, tuple[float, float]] | None = None,
    blink_fraction: float = 0.03,
    name: str = "simulated meg",
) -> Path:
    """Write a simulated MEG recording as a folder of raw FIF files.

    Parameters
    ----------
    folder
        must not exist yet, or be empty; gets ``sub-simulatedNN/meg/*_meg.fif`` with BIDS sidecars, ``stimuli/*.png`` and
        recording.yaml with the truth.
    stimuli
        what the synthetic observers look at.
    drivers
        for each source the name of a stage in ``neurodata.STAGES``, or features (n_conditions, ...).
    n_subjects
        number of synthetic observers; those of a smaller number are the first of a larger.
    signal_to_noise
        variance over conditions of what subjects share over that of one trial's noise, averaged over gradiometers, in a
        source's window; 0 plants nothing.
    seed
        repeats the data to the bit on one machine (FIF files bear the time of their writing).
    idiosyncratic_to_noise
        the same ratio for each subject's own geometry.
    brain_to_sensor_noise
        variance of spatially correlated over that of white noise, averaged over gradiometers.
    n_runs, n_repeats
        files of a subject, and how often each stimulus is shown in all of them.
    sampling_rate
        in Hz.
    onset_asynchrony, jitter
        seconds between onsets, and the width of what is added to each at random.
    drive_windows
        start and stop in seconds of each source's drive; by default 150 ms each, one after the other from 50 ms on.
    blink_fraction
        of trials that hold a blink.
    name
        must contain "simulated".

    Returns
    -------
    the folder.

    Raises
    ------
    InputError
        for unknown stages, features that do not fit the stimuli, options out of range, and a folder in use.
    """
    target = Path(folder).expanduser()
    if "simulated" not in name:
        raise InputError(f"name is '{name}'; expected it to contain 'simulated', lest it be taken for a brain's")
    if min(n_subjects, n_runs) < 1 or n_repeats < n_runs or n_repeats % n_runs:
        raise InputError(
            f"{n_subjects} subjects, {n_repeats} repeats in {n_runs} runs; expected at least one of each, as many repeats a run"
        )
    ratios = {"signal_to_noise": signal_to_noise, "idiosyncratic_to_noise": idiosyncratic_to_noise,
              "brain_to_sensor_noise": brain_to_sensor_noise, "blink_fraction": blink_fraction, "jitter": jitter}  # fmt: skip
    for option, ratio in ratios.items():
        if not (np.isfinite(ratio) and ratio >= 0):
            raise InputError(f"{option} is {ratio}; expected 0 (none) or more")
    if not drivers:
        raise InputError("no drivers were given; expected a stage or features for at least one source")
    if drive_windows is not None and set(drive_windows) != set(drivers):
        raise InputError(
            f"drive_windows for {', '.join(drive_windows) or 'no source'}; expected one for each of {', '.join(drivers)}"
        )
    samples = np.arange(round(onset_asynchrony * sampling_rate))
    windows = drive_windows or default_windows(list(drivers), samples / sampling_rate)
    features = {source: driver_features(source, driver, stimuli) for source, driver in drivers.items()}
    ids = [str(identity) for identity in stimuli.ids]
    info = helmet_info(sampling_rate)
    noise_variance = SENSOR_NOISE["grad"] ** 2 * sampling_rate / 2 * (1 + brain_to_sensor_noise)
    with whole_folder(target) as partial:
        for subject in range(n_subjects):
            response = np.zeros((len(ids), 306, len(samples)))
            for index, (source, (_, values)) in enumerate(features.items()):
                start, stop = windows[source]
                inside = (samples / sampling_rate >= start) & (samples / sampling_rate < stop)
                evoked = _evoked(values, info, (seed, index, subject), signal_to_noise, idiosyncratic_to_noise, noise_variance)
                response += evoked[:, :, None] * inside
            for run in range(n_runs):
                timing, blinks = (np.random.default_rng([seed, len(features), subject, run, part]) for part in range(2))
                order = _order(timing, len(ids), n_repeats // n_runs)
                gaps = onset_asynchrony + jitter * timing.random(len(order))
                onsets = np.round((REST_SECONDS + np.cumsum(gaps) - gaps[0]) * sampling_rate).astype(int)
                n_samples = int(onsets[-1]) + len(samples) + round(REST_SECONDS * sampling_rate)
                # the background's places are the subject's, its courses the run's
                seeds = ([seed, len(features), subject, n_runs, 2], *([seed, len(features), subject, run, part] for part in (3, 4)))
                generators = tuple(np.random.default_rng(each) for each in seeds)
                data = _noise(generators, info, n_samples, brain_to_sensor_noise)
                pulse = np.zeros(n_samples)
                for onset, condition in zip(onsets, order, strict=True):
                    data[:, onset : onset + len(samples)] += response[condition]
                    pulse[onset : onset + max(2, round(PULSE_SECONDS * sampling_rate))] = condition + 1
                _add_blinks(data, info, onsets[_blink_trials(blinks, order, blink_fraction)])
                events = np.stack([onsets, np.zeros_like(onsets), order + 1], axis=1)
                write_run(partial, f"simulated{subject + 1:02d}", run + 1, np.vstack([data, pulse]), info, events, ids)
        truth = {source: stage for source, (stage, _) in features.items()}
        write_rest(partial, name, stimuli, ids, truth, windows, signal_to_noise, seed)
    return target


__all__ = ["simulate_raw"]
