"""Patterns from saved averages: what is left of many published recordings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import mne
import numpy as np
from jaxtyping import Float64
from rsatoolbox.data import TemporalDataset

from bioplausible.foundation.errors import InputError, unknown_name
from neurodata.meg.epochs import channel_names, check_decimation, types_of
from neurodata.meg.normalisation import baseline_covariance, normaliser
from neurodata.meg.options import NOISE_NORMALISATIONS, REGIONS, TIME_DECIMALS
from neurodata.meg.reading import read_whole
from neurodata.pattern_set import PatternSet


def _read(path: Path, conditions: Mapping[str, str] | None) -> dict[str, mne.Evoked]:
    """Averages by the name of their condition."""
    found = read_whole(
        lambda: mne.read_evokeds(path, proj=True, verbose="warning"), path, "a whole FIF file of averages (*-ave.fif)"
    )
    by_comment = {str(each.comment): each for each in found}
    if len(by_comment) < len(found):
        raise InputError(f"{path} has two averages of one name; expected a distinct comment for each condition, rename them")
    if conditions is None:
        return by_comment
    for comment in conditions:
        if comment not in by_comment:
            raise InputError(f"{path}: {unknown_name('condition', comment, by_comment)}")
    return {name: by_comment[comment] for comment, name in conditions.items()}


def _given_covariance(path: Path, names: list[str]) -> np.ndarray:
    covariance = read_whole(
        lambda: mne.read_cov(path, verbose="warning"), path, "a whole FIF file of a noise covariance (*-cov.fif)"
    )
    missing = [name for name in names if name not in covariance.ch_names]
    if missing:
        raise InputError(
            f"{path} has no noise covariance of {missing[0]} and {len(missing) - 1} other channels; expected all of them"
        )
    matrix = np.diag(covariance.data) if covariance["diag"] else covariance.data
    rows = [covariance.ch_names.index(name) for name in names]
    return np.asarray(matrix, dtype=np.float64)[np.ix_(rows, rows)]


def from_evoked(
    paths: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]],
    *,
    conditions: Mapping[str, str] | None = None,
    noise_covariance: str | os.PathLike[str] | None = None,
    baseline: tuple[float | None, float | None] = (None, 0.0),
    noise_normalisation: str = "multivariate",
    channel_types: tuple[str, ...] | None = None,
    h_freq: float | None = None,
    decimate: int = 1,
) -> tuple[dict[str, PatternSet], Float64[np.ndarray, " n_times"]]:
    """Read patterns from averages that MNE has saved, several conditions to a file.

    Parameters
    ----------
    paths
        one file of averages, or one for each subject's name.
    conditions
        the condition's name by the comment of its average; None takes all, by their comments.
    noise_covariance
        a saved noise covariance of single trials, for all subjects; None estimates noise from the averages' baseline,
        scaled to one trial by the number of trials averaged. A baseline of few averages has fewer independent samples than
        there are sensors: it then seems quieter than it was, and what follows seems to begin with a step at its end.
    baseline
        start and stop in seconds, None for the ends; its mean is taken off.
    noise_normalisation
        "multivariate", "univariate" or "none".
    channel_types
        of "mag", "grad" and "eeg"; None for those that are there.
    h_freq
        edge of a low-pass filter in Hz, or None.
    decimate
        keep every so manieth sample, which needs a low-pass filter.

    Returns
    -------
    regions "magnetometers", "gradiometers" and "EEG", those present, with one observation a condition; and (n_times,)
    seconds.

    Raises
    ------
    InputError
        for files that cannot be read, conditions that are not there, a baseline outside the average, aliasing.
    """
    if noise_normalisation not in NOISE_NORMALISATIONS:
        raise unknown_name("noise_normalisation", noise_normalisation, NOISE_NORMALISATIONS)
    files = dict(paths) if isinstance(paths, Mapping) else {"subject_01": paths}
    datasets: dict[str, list[TemporalDataset]] = {}
    for subject, given in files.items():
        path = Path(given).expanduser()
        averages = _read(path, conditions)
        first = next(iter(averages.values()))
        for name, each in averages.items():
            if not np.array_equal(each.times, first.times) or each.ch_names != first.ch_names:
                raise InputError(
                    f"{path}: the average '{name}' has other times or channels than the first; expected the same for all"
                )
        half_sample = 0.5 / first.info["sfreq"]
        start, stop = (edge if bound is None else bound for bound, edge in zip(baseline, (first.tmin, first.tmax), strict=True))
        if not first.tmin - half_sample <= start < stop <= first.tmax + half_sample:
            raise InputError(
                f"{path}: the baseline from {start:g} to {stop:g} s is not within the averages from {first.tmin:g} to "
                f"{first.tmax:g} s; expected a start before a stop inside them"
            )
        for each in averages.values():
            if h_freq is not None:
                each.filter(None, h_freq, verbose="error")
            check_decimation(each.info, decimate, path)
            each.apply_baseline((max(start, each.tmin), min(stop, each.tmax)), verbose="error")
        times = first.times
        inside = (times >= start - half_sample) & (times <= stop + half_sample)
        bad = {name for each in averages.values() for name in each.info["bads"]}
        for kind in types_of(first.info, channel_types, path):
            names = [name for name in channel_names(first.info, kind) if name not in bad]
            data = np.stack([each.get_data(picks=names) for each in averages.values()]).astype(np.float64)
            if noise_normalisation == "none":
                covariance = np.eye(len(names))
            elif noise_covariance is not None:
                covariance = _given_covariance(Path(noise_covariance).expanduser(), names)
            else:
                trials = np.array([max(each.nave, 1) for each in averages.values()])
                covariance = baseline_covariance(data[:, :, inside] * np.sqrt(trials)[:, None, None])
            datasets.setdefault(kind, []).append(
                TemporalDataset(
                    (normaliser(covariance, noise_normalisation) @ data)[:, :, ::decimate],
                    {"subject": subject},
                    {
                        "condition": list(averages),
                        "run": ["1"] * len(averages),
                        "n_trials": [int(e.nave) for e in averages.values()],
                    },
                    {"channel": names},
                    {"time": np.round(np.asarray(times[::decimate], dtype=np.float64), TIME_DECIMALS)},
                )
            )
    everywhere = {kind: found for kind, found in datasets.items() if len(found) == len(files)}
    if not everywhere:
        raise InputError(f"no type of channel is common to the files of {', '.join(files)}; state channel_types")
    regions = {
        REGIONS[kind]: PatternSet(tuple(found), origin=f"{', '.join(map(str, files.values()))}, {REGIONS[kind]}")
        for kind, found in everywhere.items()
    }
    times = next(iter(regions.values())).times
    assert times is not None
    return regions, times


__all__ = ["from_evoked"]
