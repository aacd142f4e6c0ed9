r"""A synthetic observer whose regions are driven by known stages, so that a comparison's answer can be checked.

With z-scored features $F_r$ ($n \times p$) of the stage that drives region r, subject s, run k and time t, patterns over
n conditions and c channels are

$$ Y_{rskt} = w_r(t)\,\big(\sigma_S\, F_r A_{rs} / \sqrt{p} + \sigma_I\, G_{rs}\big) + E_{rskt} $$

- $A_{rs}$ ($p \times c$), standard normal: each subject's own mixing of the shared features into its channels. Random
  projections keep distances in expectation, so subjects share a geometry and no channel;
- $G_{rs}$ ($n \times c$), standard normal: what is idiosyncratic to a subject, the same in every run;
- $E$, standard normal: measurement noise, new in every run and at every time;
- $w_r(t) \in \{0, 1\}$: the region's drive, on inside a known window (always on in a recording without times).

$\sigma_S^2$ is ``signal_to_noise`` and $\sigma_I^2$ is ``idiosyncratic_to_noise``: ratios of variances to the noise of one
run. The first term is scaled for its variance over conditions and channels to be $\sigma_S^2$ in every subject. Averaging
over runs divides the noise's variance by their number. Every draw has a generator of its own, seeded by (seed, region,
subject, part), so that asking for more subjects leaves the first ones as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped

from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.progress import Progress
from neurodata.named import NamedRecording
from neurodata.pattern_set import PatternSet
from neurodata.recording import Recording
from neurodata.stages import STAGES
from neurodata.stimuli import Stimuli

Driver = str | Shaped[np.ndarray, "n_conditions ..."]

EXEMPLARS_PER_DIGIT, MOST_EXEMPLARS = 6, 100
DIGITS_SEED = 92
DEFAULT_DRIVERS = {
    "early (simulated)": "gabor_energy",
    "pixel (simulated)": "pixel_energy",
    "category (simulated)": "category",
}
FIRST_ONSET_SECONDS = 0.05
WINDOW_SECONDS = 0.15
CITATION = "simulated by bioplausible: no brain was measured, there is nothing to cite"
LICENCE = "MIT (made by bioplausible); digits: UCI optical recognition of handwritten digits, CC BY 4.0"


def driver_features(region: str, driver: Any, stimuli: Stimuli) -> tuple[str, np.ndarray]:
    """Name the stage and give its z-scored features; constant features, which carry nothing, are dropped."""
    if isinstance(driver, str):
        if driver not in STAGES:
            raise unknown_name("stage", driver, STAGES)
        name, values = driver, STAGES[driver](stimuli)
    else:
        name, values = "given features", np.asarray(driver)
    if values.ndim < 2 or len(values) != stimuli.n_conditions or values.dtype.kind not in "fiub":
        raise InputError(
            f"the driver of region '{region}' has shape {values.shape} and type {values.dtype}; expected the name of a "
            f"stage ({', '.join(STAGES)}) or numbers of shape ({stimuli.n_conditions}, ...), one row per stimulus"
        )
    values = values.reshape(len(values), -1).astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"the driver of region '{region}' has NaN or infinite features; expected finite numbers")
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    varying = spread > 1e-9 * max(float(np.abs(values).max()), np.finfo(float).tiny)
    if not varying.any():
        raise InputError(
            f"the driver of region '{region}' is the same for all {len(values)} stimuli; expected features that "
            "tell them apart, choose another stage or other stimuli"
        )
    return name, centred[:, varying] / spread[varying]


def default_windows(regions: Sequence[str], times: np.ndarray) -> dict[str, tuple[float, float]]:
    """Drive the regions one after the other."""
    onsets = [FIRST_ONSET_SECONDS + index * WINDOW_SECONDS for index in range(len(regions))]
    windows = {region: (onset, onset + WINDOW_SECONDS) for region, onset in zip(regions, onsets, strict=True)}
    for region, (start, stop) in windows.items():
        if not ((times >= start) & (times < stop)).any():
            raise InputError(
                f"no time falls into the default window of region '{region}', {start:g} to {stop:g} s, in times from "
                f"{times[0]:g} to {times[-1]:g} s; state drive_windows, start and stop in seconds for each region"
            )
    return windows


def evoked_patterns(
    features: np.ndarray, seeds: tuple[int, int, int], n_channels: int, variances: tuple[float, float]
) -> Float64[np.ndarray, "n_conditions n_channels"]:
    """Draw what stimuli evoke in one subject without noise: variances of the shared signal and of the subject's own."""
    mixing, idiosyncratic = (np.random.default_rng([*seeds, part]) for part in range(2))
    shared = features @ mixing.standard_normal((features.shape[1], n_channels))
    shared *= np.sqrt(variances[0] / shared.var())
    return shared + np.sqrt(variances[1]) * idiosyncratic.standard_normal((len(features), n_channels))


def _subject_patterns(
    features: np.ndarray,
    envelope: np.ndarray,
    seeds: tuple[int, int, int],
    n_channels: int,
    n_runs: int,
    variances: tuple[float, float],
) -> np.ndarray:
    """Draw one subject's patterns, (n_runs, n_conditions, n_channels, n_times)."""
    noise = np.random.default_rng([*seeds, 2])
    evoked = evoked_patterns(features, seeds, n_channels, variances)[:, :, None] * envelope
    return evoked + noise.standard_normal((n_runs, *evoked.shape))


def _check_options(n_subjects: int, n_channels: int, n_runs: int, ratios: Mapping[str, float], modality: str) -> None:
    for option, count in {"n_subjects": n_subjects, "n_channels": n_channels, "n_runs": n_runs}.items():
        if count < 1:
            raise InputError(f"{option} is {count}; expected at least 1")
    for option, ratio in ratios.items():
        if not (np.isfinite(ratio) and ratio >= 0):
            raise InputError(f"{option} is {ratio}; expected a ratio of variances, 0 (none) or more")
    if not modality.startswith("simulated"):
        raise InputError(f"modality is '{modality}'; expected it to begin with 'simulated', such as 'simulated fmri'")


def default_stimuli(digits: Sequence[int] = tuple(range(10)), n_exemplars: int = EXEMPLARS_PER_DIGIT) -> Stimuli:
    """Take exemplars of digits from scikit-learn's digits, six of each by default.

    The indices into ``sklearn.datasets.load_digits()`` are drawn without replacement, digit by digit, by
    ``numpy.random.default_rng(92)``, sorted within a digit, and kept in ``source_indices``: whoever trains on the digits
    leaves these images out.

    Parameters
    ----------
    digits
        which of 0 to 9, each once.
    n_exemplars
        of each, 1 to 100.

    Returns
    -------
    stimuli of 8 x 8 pixels, grey in three equal channels, values 0 to 16 scaled to 0 to 255; 60 by default.

    Raises
    ------
    InputError
        for digits that there are not, or named twice, and other numbers of exemplars.
    """
    from sklearn.datasets import load_digits

    named = list(digits)
    if not named or len(set(named)) != len(named) or not set(named) <= set(range(10)):
        raise InputError(f"digits={named} was given; expected one or more of 0 to 9, each once")
    if not 1 <= n_exemplars <= MOST_EXEMPLARS:
        raise InputError(f"n_exemplars={n_exemplars} was given; expected 1 to {MOST_EXEMPLARS} of each digit")
    images, labels = load_digits(return_X_y=True)
    generator = np.random.default_rng(DIGITS_SEED)
    chosen = [np.sort(generator.choice(np.flatnonzero(labels == digit), n_exemplars, replace=False)) for digit in named]
    indices = np.concatenate(chosen)
    grey = np.round(images[indices].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return Stimuli(
        images=np.repeat(grey[..., None], 3, axis=-1),
        ids=np.array([f"digit_{labels[index]}_{index:04d}" for index in indices]),
        categories=labels[indices].astype(str),
        source="scikit-learn digits",
        source_indices=indices,
    )


def simulate(
    stimuli: Stimuli,
    drivers: Mapping[str, Driver],
    n_subjects: int = 12,
    signal_to_noise: float = 0.2,
    seed: int = 0,
    *,
    idiosyncratic_to_noise: float = 0.1,
    n_channels: int = 64,
    n_runs: int = 4,
    modality: str | None = None,
    times: Float64[np.ndarray, " n_times"] | None = None,
    drive_windows: Mapping[str, tuple[float, float]] | None = None,
    name: str = "simulated",
) -> Recording:
    """Simulate a recording whose truth is known.

    Parameters
    ----------
    stimuli
        what the synthetic observers look at.
    drivers
        for each region the name of a stage in ``neurodata.STAGES``, or features (n_conditions, ...).
    n_subjects
        number of synthetic observers.
    signal_to_noise
        variance of the signal that subjects share over that of one run's noise; 0 plants nothing.
    seed
        repeats the recording to the bit on one machine.
    idiosyncratic_to_noise
        variance of each subject's own signal over that of one run's noise.
    n_channels
        voxels or sensors of each subject's region.
    n_runs
        repeats of every condition, kept apart in the patterns.
    modality
        begins with "simulated"; by default "simulated fmri", or "simulated meg" with times.
    times
        (n_times,) seconds, ascending, for a recording with a time axis.
    drive_windows
        start and stop in seconds of each region's drive, start included; by default 150 ms each, one region
        after the other from 50 ms on. A region's signal is the same throughout its window and absent outside it.
    name
        must contain "simulated".

    Returns
    -------
    a recording with a PatternSet per region, ``truth`` and, with times, ``drive_windows``.

    Raises
    ------
    InputError
        for unknown stages, features that do not fit the stimuli, and options out of range.

    >>> recording = simulate(default_stimuli(), {"early": "pixel_energy"}, n_subjects=3)
    >>> recording.simulated, recording.truth["early"], recording.regions["early"].patterns()[0].shape
    (True, 'pixel_energy', (60, 64))
    """
    modality = modality or ("simulated fmri" if times is None else "simulated meg")
    ratios = {"signal_to_noise": signal_to_noise, "idiosyncratic_to_noise": idiosyncratic_to_noise}
    _check_options(n_subjects, n_channels, n_runs, ratios, modality)
    if "simulated" not in name:
        raise InputError(f"name is '{name}'; expected it to contain 'simulated', lest it be taken for a brain's")
    if drive_windows is not None and (times is None or set(drive_windows) != set(drivers)):
        raise InputError(
            f"drive_windows for {', '.join(drive_windows) or 'no region'}; expected times, and a window for each of "
            f"{', '.join(drivers)}"
        )
    windows: Mapping[str, tuple[float, float]] = {}
    if times is not None:
        windows = drive_windows or default_windows(list(drivers), times)
    subjects = [f"simulated_{index + 1:02d}" for index in range(n_subjects)]
    conditions = [str(identity) for identity in stimuli.ids]
    regions, truth = {}, {}
    for region_index, (region, driver) in enumerate(drivers.items()):
        truth[region], features = driver_features(region, driver, stimuli)
        envelope = np.ones(1)
        if times is not None:
            start, stop = windows[region]
            envelope = ((times >= start) & (times < stop)).astype(np.float64)
        patterns = []
        for subject_index in range(n_subjects):
            runs = _subject_patterns(
                features,
                envelope,
                (seed, region_index, subject_index),
                n_channels,
                n_runs,
                (signal_to_noise, idiosyncratic_to_noise),
            )
            observations = runs.reshape(n_runs * stimuli.n_conditions, *runs.shape[2:])
            patterns.append(observations[..., 0] if times is None else observations)
        regions[region] = PatternSet.from_arrays(
            patterns,
            subjects=subjects,
            conditions=conditions * n_runs,
            runs=[f"run_{run + 1:02d}" for run in range(n_runs) for _ in conditions],
            times=times,
            origin=f"{name}, region '{region}'",
        )
    driven = "; ".join(f"{region} by {stage}" for region, stage in truth.items())
    return Recording(
        name=name,
        stimuli=stimuli,
        modality=modality,
        regions=regions,
        times=times,
        citation=CITATION,
        licence=LICENCE,
        notes=(
            f"Simulated: no brain was measured. Driven regions: {driven}. Variance of the shared signal is "
            f"{signal_to_noise:g} and of each subject's own signal {idiosyncratic_to_noise:g} times that of one run's "
            f"noise; {n_runs} runs, {n_channels} channels, {n_subjects} subjects, seed {seed}; stimuli: {stimuli.source}."
        ),
        truth=truth,
        drive_windows=windows,
    )


def load(progress: Progress | None = None) -> Recording:
    """Simulate the embedded default: twelve observers of 60 digits, nothing to download.

    Parameters
    ----------
    progress
        not called: nothing is downloaded.

    Returns
    -------
    the recording.
    """
    return simulate(default_stimuli(), DEFAULT_DRIVERS)


RECORDING = NamedRecording(
    name="simulated",
    load=load,
    modality="simulated fmri",
    n_conditions=10 * EXEMPLARS_PER_DIGIT,
    citation=CITATION,
    licence=LICENCE,
)

__all__ = ["RECORDING", "default_stimuli", "default_windows", "driver_features", "evoked_patterns", "load", "simulate"]
