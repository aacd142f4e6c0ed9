"""From runs to time-resolved patterns: one subject at a time, one region for each type of sensors.

The costly part is a pure function of the content of a subject's files and of the options, :func:`subject_arrays`, and is
kept on disk (:mod:`neurodata.derived`): the same files are not read twice.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import mne
import numpy as np
from jaxtyping import Float64, Int
from rsatoolbox.data import TemporalDataset

from bioplausible.foundation.errors import InputError
from neurodata.derived import derived
from neurodata.meg.epochs import channel_names, epochs_and_notes
from neurodata.meg.fingerprints import code_version, common_folder, contents_of
from neurodata.meg.normalisation import baseline_covariance, epoch_covariance, noise_variances, normaliser
from neurodata.meg.options import REGIONS, TIME_DECIMALS, MegOptions, MegRun
from neurodata.pattern_set import PatternSet
from neurodata.stimuli import natural_key


class SubjectArrays(NamedTuple):
    """What one subject's runs come to.

    Parameters
    ----------
    measurements
        (n_observations, n_channels, n_times) by type of channel.
    channels
        names of the channels by type.
    conditions, runs
        names, one per observation.
    n_trials
        that entered each observation.
    times
        (n_times,) seconds.
    n_rejected
        epochs that were left out.
    notes
        on sensors and stretches that were left out.
    """

    measurements: dict[str, np.ndarray]
    channels: dict[str, list[str]]
    conditions: list[str]
    runs: list[str]
    n_trials: list[int]
    times: np.ndarray
    n_rejected: int
    notes: tuple[str, ...] = ()


def _common_channels(epochs: Sequence[mne.BaseEpochs], kind: str, runs: Sequence[MegRun]) -> list[str]:
    """Channels of a type that are good in every run."""
    names = [channel_names(each.info, kind) for each in epochs]
    common = [name for name in names[0] if all(name in others for others in names)]
    if not common:
        empty = next(run for run, others in zip(runs, names, strict=True) if not set(names[0]) & set(others))
        raise InputError(f"{empty.path} shares no good channel of type '{kind}' with {runs[0].path}; expected the same sensors")
    return common


def _dealt(codes: Int[np.ndarray, " n_trials"], n_groups: int, seed: int, names: Sequence[str], origin: object) -> np.ndarray:
    """Deal each condition's trials at random into groups of sizes that differ by one at most."""
    group = np.zeros(len(codes), dtype=int)
    for code, name in enumerate(names):
        members = np.flatnonzero(codes == code)
        if len(members) < n_groups:
            raise InputError(
                f"{origin}: condition '{name}' has {len(members)} clean trials for {n_groups} pseudo-trials; expected one each at "
                "least, ask for fewer pseudo_trials or reject less"
            )
        shuffled = np.random.default_rng([seed, code]).permutation(members)
        group[shuffled] = np.arange(len(members)) % n_groups
    return group


def _check_rates(epochs: Sequence[mne.BaseEpochs], runs: Sequence[MegRun], first: tuple[float, Path]) -> None:
    rate, path = first
    for each, run in zip(epochs, runs, strict=True):
        if each.info["sfreq"] != rate:
            raise InputError(
                f"{path} gives {rate:g} samples a second and {run.path} {each.info['sfreq']:g}; expected one sampling rate "
                "for all runs, resample them alike"
            )


def _covariance(data: np.ndarray, codes: np.ndarray, times: np.ndarray, options: MegOptions, origin: object) -> np.ndarray:
    try:
        if options.noise_normalisation == "none":
            return np.eye(data.shape[1])
        if options.noise_covariance == "baseline":
            assert options.baseline is not None, "options have refused it"
            start, stop = options.baseline
            inside = (times >= (times[0] if start is None else start)) & (times <= (times[-1] if stop is None else stop))
            return baseline_covariance(data[:, :, inside])
        if options.noise_normalisation == "univariate":
            return np.diag(noise_variances(data, codes))
        return epoch_covariance(data, codes)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from error


def subject_arrays(contents: tuple[str, ...], options: MegOptions, runs: tuple[MegRun, ...]) -> SubjectArrays:
    """Turn one subject's runs into patterns.

    Noise is estimated over all of the subject's clean trials; what is averaged later is whitened by it, so the unit of the
    result is the standard deviation of one trial's noise.

    Parameters
    ----------
    contents
        what :func:`neurodata.meg.fingerprints.contents_of` says of the runs; the result depends on ``runs`` through it alone.
    options
        see :class:`MegOptions`.
    runs
        where the files are.

    Raises
    ------
    InputError
        as :func:`neurodata.meg.epochs.make_epochs`, and for runs that do not go together.
    """
    epochs, event_ids, kinds, notes = zip(*(epochs_and_notes(run, options) for run in runs), strict=True)
    _check_rates(epochs, runs, (epochs[0].info["sfreq"], runs[0].path))
    for run, others in zip(runs, kinds, strict=True):
        if others != kinds[0]:
            raise InputError(
                f"{run.path} has channels of types {', '.join(others)} and {runs[0].path} of {', '.join(kinds[0])}; expected "
                "the same, state channel_types"
            )
    if options.event_id is not None:
        names = list(options.event_id)
    else:
        names = sorted({name for event_id in event_ids for name in event_id}, key=natural_key)
    codes, where = [], []
    for index, (each, event_id) in enumerate(zip(epochs, event_ids, strict=True)):
        code_of = {code: names.index(name) for name, code in event_id.items()}
        codes.append(np.array([code_of[code] for code in each.events[:, 2]], dtype=int))
        where.append(np.full(len(each), index))
    condition, run_of = np.concatenate(codes), np.concatenate(where)
    if options.pseudo_trials is None:
        group, labels = run_of, [run.run for run in runs]
        for index, name in ((index, name) for index in range(len(runs)) for name in range(len(names))):
            if not ((condition == name) & (run_of == index)).any():
                raise InputError(
                    f"{runs[index].path} has no clean trial of condition '{names[name]}'; expected every condition in every run, "
                    "reject less or state pseudo_trials, which deal the trials of all runs"
                )
    else:
        group = _dealt(condition, options.pseudo_trials, options.seed, names, f"subject '{runs[0].subject}' ({runs[0].path})")
        labels = [f"pseudo-trial {index + 1}" for index in range(options.pseudo_trials)]
    cells = [np.flatnonzero((group == index) & (condition == name)) for index in range(len(labels)) for name in range(len(names))]
    measurements, channels = {}, {}
    for kind in kinds[0]:
        channels[kind] = _common_channels(epochs, kind, runs)
        data = np.concatenate([each.get_data(picks=channels[kind]) for each in epochs])
        origin = f"{runs[0].path}, {REGIONS[kind]}"
        matrix = normaliser(_covariance(data, condition, epochs[0].times, options, origin), options.noise_normalisation)
        measurements[kind] = np.stack([matrix @ data[cell].mean(axis=0) for cell in cells])
    return SubjectArrays(
        measurements=measurements,
        channels=channels,
        conditions=names * len(labels),
        runs=[label for label in labels for _ in names],
        n_trials=[len(cell) for cell in cells],
        times=np.round(np.asarray(epochs[0].times, dtype=np.float64), TIME_DECIMALS),
        n_rejected=sum(entry not in ((), ("IGNORED",)) for each in epochs for entry in each.drop_log),
        notes=tuple(note for each in notes for note in each),
    )


def pattern_sets(subjects: Mapping[str, SubjectArrays], origin: str) -> dict[str, PatternSet]:
    """Wrap what subjects' runs came to: a PatternSet for each type of channel that all of them have.

    Raises
    ------
    InputError
        when no type is common to all subjects, or their conditions or times differ.
    """
    first = next(iter(subjects.values()))
    kinds = [kind for kind in first.measurements if all(kind in each.measurements for each in subjects.values())]
    if not kinds:
        raise InputError(f"{origin}: no type of channel is common to the subjects {', '.join(subjects)}; state channel_types")
    regions = {}
    for kind in kinds:
        datasets = [
            TemporalDataset(
                arrays.measurements[kind],
                {"subject": subject},
                {"condition": arrays.conditions, "run": arrays.runs, "n_trials": arrays.n_trials},
                {"channel": arrays.channels[kind]},
                {"time": arrays.times},
            )
            for subject, arrays in subjects.items()
        ]
        regions[REGIONS[kind]] = PatternSet(tuple(datasets), origin=f"{origin}, {REGIONS[kind]}")
    return regions


def prepare(runs: Sequence[MegRun], options: MegOptions) -> dict[str, SubjectArrays]:
    """Turn every subject's runs into patterns, subject by subject.

    Raises
    ------
    InputError
        as :func:`subject_arrays`; two runs of one name; sampling rates that differ.
    """
    if not runs:
        raise InputError("no runs were given; expected at least one MegRun with a FIF file")
    by_subject: dict[str, list[MegRun]] = {}
    for run in runs:
        others = by_subject.setdefault(run.subject, [])
        same = next((each for each in others if each.run == run.run), None)
        if same is not None:
            raise InputError(
                f"{same.path} and {run.path} are both run '{run.run}' of subject '{run.subject}'; give each its own name"
            )
        others.append(run)
    prepared: dict[str, SubjectArrays] = {}
    for subject, own in by_subject.items():
        contents = tuple(content for run in own for content in (f"run {run.run}", *contents_of(run)))
        order = tuple(options.event_id or ())  # observations come in this order, which a hash of a mapping leaves out
        root = common_folder(own)
        # of files on several drives nothing is kept, since what was opened has no common place
        remembered = subject_arrays if root is None else derived(subject_arrays, ignore=("runs",), files_under=root)
        prepared[subject] = remembered((*contents, *order, *code_version()), options, tuple(own))
    first_subject, first = next(iter(prepared.items()))
    for subject, arrays in prepared.items():
        if not np.array_equal(arrays.times, first.times):
            raise InputError(
                f"{by_subject[first_subject][0].path} has {len(first.times)} samples in an epoch and {by_subject[subject][0].path} "
                f"{len(arrays.times)}, at other times; expected one sampling rate for all subjects, resample them alike"
            )
    return prepared


def patterns(
    runs: Sequence[MegRun], options: MegOptions | None = None
) -> tuple[dict[str, PatternSet], Float64[np.ndarray, " n_times"]]:
    """Turn runs of raw data or epochs into time-resolved, noise-normalised patterns.

    Parameters
    ----------
    runs
        any number of subjects and runs.
    options
        see :class:`MegOptions`; None takes its defaults.

    Returns
    -------
    regions "magnetometers", "gradiometers" and "EEG", those present, whose observations are every condition of every run
    (or pseudo-trial), channels the sensors, in units of one trial's noise (physical units without normalisation); and
    (n_times,) seconds from the event.

    Raises
    ------
    InputError
        for whatever is wrong with a file, which is named.
    """
    chosen = options or MegOptions()
    prepared = prepare(runs, chosen)
    for note in (note for each in prepared.values() for note in each.notes):
        warnings.warn(note, stacklevel=2)
    return pattern_sets(prepared, "MEG"), next(iter(prepared.values())).times


__all__ = ["SubjectArrays", "pattern_sets", "patterns", "prepare", "subject_arrays"]
