r"""Measured response patterns of one region: subjects by conditions by channels (by times).

A channel is a voxel, a sensor or a cell; subjects differ in how many they have, so each subject keeps an rsatoolbox
dataset of its own. Its rows are observations, each with the name of its condition and, where a condition was measured
more than once, of its run: cross-validated distances need the runs apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lazy_loader
import numpy as np
from jaxtyping import Float64, Shaped

from bioplausible.foundation.errors import InputError
from neurodata.stimuli import MINIMUM_CONDITIONS

# It loads what it draws with and learns from too, which takes longer than most of what is asked here.
rsatoolbox = lazy_loader.load("rsatoolbox")


def _labels(dataset: rsatoolbox.data.Dataset, name: str) -> list[str]:
    return [str(label) for label in dataset.obs_descriptors[name]]


def _dataset_times(dataset: rsatoolbox.data.Dataset) -> np.ndarray | None:
    if not isinstance(dataset, rsatoolbox.data.TemporalDataset):
        return None
    return np.asarray(dataset.time_descriptors["time"], dtype=np.float64)


def _same_times(times: np.ndarray | None, others: np.ndarray | None) -> bool:
    if times is None or others is None:
        return times is None and others is None
    return np.array_equal(times, others)


def _complete(dataset: rsatoolbox.data.Dataset, index: int, condition: str, origin: str) -> rsatoolbox.data.Dataset:
    """Copy a dataset with the descriptors that we rely on: subject, condition, run."""
    if condition not in dataset.obs_descriptors:
        raise InputError(
            f"{origin}: a dataset without the observation descriptor '{condition}' (it has "
            f"{', '.join(dataset.obs_descriptors) or 'none'}); name the one that holds the conditions"
        )
    measurements = np.asarray(dataset.measurements, dtype=np.float64)
    if not np.isfinite(measurements).all():
        n_broken = int((~np.isfinite(measurements)).sum())
        raise InputError(
            f"{origin}: {n_broken} of {measurements.size} measurements of subject {index + 1} are NaN or infinite; "
            "expected finite responses, leave out the channels that were not measured"
        )
    observations = dict(dataset.obs_descriptors)
    conditions = _labels(dataset, condition)
    observations["condition"] = conditions
    if "run" in observations:
        observations["run"] = _labels(dataset, "run")
    else:
        observations["run"] = [str(conditions[:row].count(name) + 1) for row, name in enumerate(conditions)]
    described = {**dataset.descriptors}
    described["subject"] = str(described.get("subject", f"subject_{index + 1:02d}"))
    times = _dataset_times(dataset)
    if times is None:
        return rsatoolbox.data.Dataset(measurements, described, observations, dict(dataset.channel_descriptors))
    return rsatoolbox.data.TemporalDataset(
        measurements, described, observations, dict(dataset.channel_descriptors), {"time": times}
    )


def _cells(dataset: rsatoolbox.data.Dataset) -> tuple[list[str], dict[tuple[str, str], list[int]]]:
    """Names of runs in order, and of every run and condition the rows that hold it."""
    rows = _labels(dataset, "run")
    cell: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(rows, _labels(dataset, "condition"), strict=True)):
        cell.setdefault(key, []).append(row)
    return list(dict.fromkeys(rows)), cell


@dataclass(frozen=True, eq=False)
class PatternSet:
    """Response patterns of one region, for each subject.

    Parameters
    ----------
    datasets
        one ``rsatoolbox.data.Dataset`` or ``TemporalDataset`` a subject, measurements
        (n_observations, n_channels[, n_times]); descriptor "subject", observation descriptors "condition" and "run".
    origin
        the file or variable that errors name.
    condition
        the observation descriptor that names the conditions.

    Raises
    ------
    InputError
        for NaN, fewer than three conditions, or subjects whose conditions or times differ.

    >>> patterns = PatternSet.from_arrays([np.zeros((5, 20)), np.ones((5, 30))])
    >>> patterns.n_channels, [each.shape for each in patterns.patterns()]
    ((20, 30), [(5, 20), (5, 30)])
    """

    datasets: tuple[rsatoolbox.data.Dataset, ...]
    origin: str = "patterns"
    condition: str = "condition"

    def __post_init__(self) -> None:
        if not self.datasets:
            raise InputError(f"{self.origin}: no subject's patterns; expected at least one dataset")
        complete = tuple(_complete(dataset, index, self.condition, self.origin) for index, dataset in enumerate(self.datasets))
        object.__setattr__(self, "datasets", complete)
        object.__setattr__(self, "condition", "condition")
        if self.n_conditions < MINIMUM_CONDITIONS:
            raise InputError(f"{self.origin}: patterns of {self.n_conditions} conditions; expected at least {MINIMUM_CONDITIONS}")
        if len(set(self.subjects)) < len(self.subjects):
            raise InputError(f"{self.origin}: two datasets have the same subject; expected one dataset per subject")
        for subject, dataset in zip(self.subjects, complete, strict=True):
            differing = set(self.conditions) ^ set(_labels(dataset, "condition"))
            if differing:
                raise InputError(
                    f"{self.origin}: the condition '{sorted(differing)[0]}' is not in the patterns of both "
                    f"'{self.subjects[0]}' and '{subject}'; expected the same conditions for every subject"
                )
            times = _dataset_times(dataset)
            if not _same_times(times, self.times):
                raise InputError(
                    f"{self.origin}: the times of '{self.subjects[0]}' and '{subject}' differ; expected one time axis "
                    "for every subject, resample the recordings alike"
                )

    @classmethod
    def from_arrays(
        cls,
        measurements: Sequence[Shaped[np.ndarray, "..."]] | Shaped[np.ndarray, "..."],
        *,
        subjects: Sequence[str] | None = None,
        conditions: Sequence[str] | None = None,
        runs: Sequence[str] | None = None,
        times: Shaped[np.ndarray, " n_times"] | None = None,
        origin: str = "patterns",
    ) -> PatternSet:
        """Wrap arrays, one a subject.

        Parameters
        ----------
        measurements
            for each subject (n_observations, n_channels) or (n_observations, n_channels, n_times).
        subjects
            n_subjects names, by default "subject_01" and so on.
        conditions
            n_observations names, by default every observation is a condition of its own.
        runs
            n_observations names, by default a condition's repeats are numbered.
        times
            (n_times,) seconds; needed when there is an axis of times.
        origin
            the file or variable that errors name.

        Returns
        -------
        the patterns, one dataset a subject.

        Raises
        ------
        InputError
            for shapes or numbers that do not fit together, and as the class does.
        """
        names = [f"subject_{index + 1:02d}" for index in range(len(measurements))] if subjects is None else subjects
        if len(names) != len(measurements):
            raise InputError(f"{origin}: patterns of {len(measurements)} subjects but {len(names)} names of subjects")
        datasets = []
        for name, given in zip(names, measurements, strict=True):
            array = np.asarray(given)
            if array.ndim not in {2, 3} or 0 in array.shape or array.dtype.kind not in "fiu":
                raise InputError(
                    f"{origin}: patterns of '{name}' of shape {array.shape} and type {array.dtype}; expected real "
                    "numbers, (n_conditions, n_channels) or (n_conditions, n_channels, n_times)"
                )
            labels = list(conditions) if conditions is not None else [f"condition_{i + 1:03d}" for i in range(len(array))]
            if len(labels) != len(array):
                raise InputError(
                    f"{origin}: patterns of '{name}' have {len(array)} rows for {len(labels)} stimuli; expected one "
                    "row per stimulus, in the stimuli's order"
                )
            observations = {"condition": labels}
            if runs is not None:
                if len(runs) != len(array):
                    raise InputError(f"{origin}: patterns of '{name}' have {len(array)} rows but {len(runs)} runs")
                observations["run"] = list(runs)
            described = {"subject": str(name)}
            if array.ndim == 2:
                datasets.append(rsatoolbox.data.Dataset(array, described, observations))
                continue
            if times is None or len(times) != array.shape[2]:
                raise InputError(
                    f"{origin}: patterns of '{name}' at {array.shape[2]} times but "
                    f"{0 if times is None else len(times)} times in seconds; expected as many, state them as times"
                )
            clock = {"time": np.asarray(times, dtype=np.float64)}
            datasets.append(rsatoolbox.data.TemporalDataset(array, described, observations, time_descriptors=clock))
        return cls(tuple(datasets), origin)

    @classmethod
    def from_rsatoolbox(
        cls, datasets: Sequence[rsatoolbox.data.Dataset], condition: str = "condition", origin: str = "patterns"
    ) -> PatternSet:
        """Wrap rsatoolbox datasets, one a subject.

        Parameters
        ----------
        datasets
            one a subject, ``Dataset`` or ``TemporalDataset``.
        condition
            the observation descriptor that names the conditions.
        origin
            the file or variable that errors name.

        Returns
        -------
        the patterns.

        Raises
        ------
        InputError
            as the class.
        """
        return cls(tuple(datasets), origin, condition)

    def to_rsatoolbox(self) -> list[rsatoolbox.data.Dataset]:
        """Copy into rsatoolbox datasets, one a subject.

        Returns
        -------
        copies, which may be changed.
        """
        return [dataset.copy() for dataset in self.datasets]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of the subjects."""
        return tuple(str(dataset.descriptors["subject"]) for dataset in self.datasets)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions, in the order in which the first subject's observations name them."""
        return tuple(dict.fromkeys(_labels(self.datasets[0], "condition")))

    @property
    def n_conditions(self) -> int:
        """Number of conditions."""
        return len(self.conditions)

    @property
    def n_channels(self) -> tuple[int, ...]:
        """Number of channels of each subject."""
        return tuple(int(dataset.n_channel) for dataset in self.datasets)

    @property
    def times(self) -> Float64[np.ndarray, " n_times"] | None:
        """Times in seconds, or None."""
        return _dataset_times(self.datasets[0])

    def _row_groups(self, dataset: rsatoolbox.data.Dataset) -> list[np.ndarray]:
        labels = np.array(_labels(dataset, "condition"))
        return [np.flatnonzero(labels == condition) for condition in self.conditions]

    def patterns(self) -> list[Float64[np.ndarray, "*n_times n_conditions n_channels"]]:
        """Average over each condition's repeats.

        Returns
        -------
        one array a subject, (n_conditions, n_channels), or (n_times, n_conditions, n_channels) where there are times;
        conditions in the order of :attr:`conditions`.
        """
        averages = []
        for dataset in self.datasets:
            rows = [dataset.measurements[group].mean(axis=0) for group in self._row_groups(dataset)]
            mean = np.stack(rows)
            averages.append(mean if mean.ndim == 2 else np.moveaxis(mean, -1, 0))
        return averages

    def trials(self) -> list[Float64[np.ndarray, "n_trials *n_times n_conditions n_channels"]]:
        """Keep every observation apart, whatever run it is of.

        Returns
        -------
        one array a subject, (n_trials, n_conditions, n_channels), or (n_trials, n_times, n_conditions, n_channels), with room for
        the condition that was measured most often; NaN at the end where another was less often.
        """
        found = []
        for dataset in self.datasets:
            groups = self._row_groups(dataset)
            shape = (max(map(len, groups)), len(groups), *dataset.measurements.shape[1:])
            padded = np.full(shape, np.nan)
            for place, rows in enumerate(groups):
                padded[: len(rows), place] = dataset.measurements[rows]
            found.append(padded if padded.ndim == 3 else np.moveaxis(padded, -1, 1))
        return found

    def has_runs(self) -> bool:
        """Whether all subjects were measured in two runs or more, each with every condition once: what cross-validation needs."""
        for dataset in self.datasets:
            runs, cell = _cells(dataset)
            keys = [(run, condition) for run in runs for condition in self.conditions]
            if len(runs) < 2 or any(len(cell.get(key, ())) != 1 for key in keys):
                return False
        return True

    def patterns_by_run(self) -> list[Float64[np.ndarray, "n_runs *n_times n_conditions n_channels"]]:
        """Keep runs apart.

        Returns
        -------
        one array a subject, (n_runs, n_conditions, n_channels), or (n_runs, n_times, n_conditions, n_channels).

        Raises
        ------
        InputError
            when a condition is not measured exactly once in each run of a subject.
        """
        by_run = []
        for subject, dataset in zip(self.subjects, self.datasets, strict=True):
            runs, cell = _cells(dataset)
            for key in ((run, condition) for run in runs for condition in self.conditions):
                if len(cell.get(key, ())) != 1:
                    raise InputError(
                        f"{self.origin}: condition '{key[1]}' is measured {len(cell.get(key, ()))} times in run "
                        f"'{key[0]}' of '{subject}'; runs can be kept apart only where each has every condition once, "
                        "use patterns() for the average"
                    )
            order = [cell[run, condition][0] for run in runs for condition in self.conditions]
            rows = dataset.measurements[order]
            rows = rows.reshape(len(runs), self.n_conditions, *rows.shape[1:])
            by_run.append(rows if rows.ndim == 3 else np.moveaxis(rows, -1, 1))
        return by_run


__all__ = ["PatternSet"]
