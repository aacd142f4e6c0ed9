"""From one run's raw data to clean epochs: filter, cut, reject, keep fewer samples.

Filters act on the continuous recording, before epochs are cut, and decimation comes last, after the low-pass filter that it
needs: what lies above half of the new sampling rate would otherwise fold back as if it were slow.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

import mne
import numpy as np

from bioplausible.foundation.errors import InputError
from neurodata.meg.defects import set_aside, set_aside_epochs
from neurodata.meg.options import REGIONS, SAMPLES_PER_CYCLE, MegOptions, MegRun
from neurodata.meg.reading import conditions_of, is_epochs_file, keep_bad_segments, read_epochs, read_events, read_raw

Read: TypeAlias = tuple[mne.BaseEpochs, dict[str, int], tuple[str, ...], list[str]]


def _pick(info: mne.Info, kind: str, exclude: str | tuple[str, ...] = "bads") -> np.ndarray:
    picked = {"eeg": {"meg": False, "eeg": True}, "eog": {"meg": False, "eog": True}}.get(kind, {"meg": kind})
    return mne.pick_types(info, **picked, exclude=exclude)


def types_of(info: mne.Info, wanted: tuple[str, ...] | None, origin: object) -> tuple[str, ...]:
    """Name the types of sensors that a file has and that are wanted.

    Raises
    ------
    InputError
        when a wanted type is not there, or none is.
    """
    there = tuple(kind for kind in REGIONS if len(_pick(info, kind)))
    absent = [kind for kind in wanted or () if kind not in there]
    if absent or not there:
        raise InputError(
            f"{origin} has no good channel of type '{absent[0] if absent else 'mag, grad or eeg'}' (it has "
            f"{', '.join(there) or 'none of these'}); expected MEG or EEG sensors, correct channel_types or the bad channels"
        )
    return there if wanted is None else wanted


def channel_names(info: mne.Info, kind: str) -> list[str]:
    """Name the good channels of a type."""
    return [info["ch_names"][index] for index in _pick(info, kind)]


def check_decimation(info: mne.Info, decimate: int, origin: object) -> None:
    """Refuse to keep every so manieth sample of what is not low-passed enough.

    Raises
    ------
    InputError
        when the new sampling rate is under 2.5 times the low-pass frequency.
    """
    rate = info["sfreq"] / decimate
    if decimate > 1 and rate < SAMPLES_PER_CYCLE * info["lowpass"]:
        raise InputError(
            f"{origin}: every {decimate}th sample of {info['sfreq']:g} Hz is {rate:g} Hz, which aliases signals up to the low-pass "
            f"of {info['lowpass']:g} Hz; expected h_freq of at most {rate / SAMPLES_PER_CYCLE:g} Hz, or a smaller decimate"
        )


def _check_band(info: mne.Info, options: MegOptions, origin: object) -> None:
    nyquist = info["sfreq"] / 2
    for name, edge in (("l_freq", options.l_freq), ("h_freq", options.h_freq)):
        if edge is not None and not 0 < edge < nyquist:
            raise InputError(f"{origin}: {name} is {edge:g} Hz; expected more than 0 and less than {nyquist:g} Hz, half the rate")


def _reject(epochs: mne.BaseEpochs, options: MegOptions, origin: object) -> None:
    """Drop epochs whose peak-to-peak amplitude exceeds a limit, and say so where none is left."""
    limits = dict(options.reject or {})
    for kind in limits:
        if not len(_pick(epochs.info, kind)):
            raise InputError(f"{origin} has no channel of type '{kind}', which reject has a limit for; leave it out of reject")
    n_before = len(epochs)
    epochs.drop_bad(reject=limits or None, verbose="error")
    if len(epochs):
        return
    type_of = {name: kind for kind in (*REGIONS, "eog") for name in channel_names(epochs.info, kind)}
    blamed = Counter(kind for entry in epochs.drop_log for kind in {type_of[name] for name in entry if name in type_of})
    if blamed:
        kind, count = blamed.most_common(1)[0]
        reason = f"'{kind}' exceeds its limit of {limits[kind]:g} peak to peak in {count}; raise it, or look at the data"
    else:
        marks = Counter(mark for entry in epochs.drop_log for mark in entry if mark not in {"IGNORED"})
        reason = (
            f"{', '.join(f'{mark} ({count})' for mark, count in marks.most_common(3)) or 'no event in the data'}; expected epochs "
            "inside the recording (onsets are seconds from its first sample) and outside segments that are marked bad"
        )
    raise InputError(f"{origin}: all {max(n_before, len(epochs.drop_log))} epochs are rejected: {reason}")


def _sensors(info: mne.Info) -> np.ndarray:
    return np.unique(np.concatenate([_pick(info, kind) for kind in REGIONS]))


def _epochs_from_raw(run: MegRun, options: MegOptions) -> Read:
    raw, table, notes = read_raw(run.path, run.missing_splits)
    notes += set_aside(raw, _sensors(raw.info), run.path)
    kinds = types_of(raw.info, options.channel_types, run.path)
    events, event_id, left_out = read_events(run, raw, table, options)
    notes += left_out
    keep_bad_segments(raw, event_id)
    picks = np.unique(np.concatenate([_pick(raw.info, kind) for kind in (*kinds, *(options.reject or {}))]))
    _check_band(raw.info, options, run.path)
    # what is not used is not filtered, and MNE notes the new low-pass where all that it holds is filtered
    raw.pick(picks, exclude=())
    if options.l_freq is not None or options.h_freq is not None:
        raw.filter(options.l_freq, options.h_freq, verbose="error")
    check_decimation(raw.info, options.decimate, run.path)
    epochs = mne.Epochs(
        raw,
        events,
        event_id,
        options.tmin,
        options.tmax,
        baseline=options.baseline,
        picks=np.arange(len(picks)),
        proj=True,
        preload=True,
        on_missing="ignore",
        event_repeated="drop",
        verbose="error",
    )
    return epochs, event_id, kinds, notes


def _epochs_from_file(run: MegRun, options: MegOptions) -> Read:
    epochs = read_epochs(run.path)
    notes = set_aside_epochs(epochs, _sensors(epochs.info), run.path)
    kinds = types_of(epochs.info, options.channel_types, run.path)
    codes = epochs.events[:, 2]
    only_numbers = all(name == str(code) for name, code in epochs.event_id.items())
    event_id = conditions_of(codes, None if only_numbers else epochs.event_id, options, run.path)
    half_sample = 0.5 / epochs.info["sfreq"]
    if options.tmin < epochs.tmin - half_sample or options.tmax > epochs.tmax + half_sample:
        raise InputError(
            f"{run.path} has epochs from {epochs.tmin:g} to {epochs.tmax:g} s, which do not reach from tmin {options.tmin:g} to "
            f"tmax {options.tmax:g} s; narrow tmin and tmax"
        )
    if options.l_freq is not None:
        raise InputError(f"{run.path} has epochs, too short for a high-pass filter; filter the raw data, or leave l_freq out")
    _check_band(epochs.info, options, run.path)
    epochs = epochs[np.isin(codes, list(event_id.values()))]
    if options.h_freq is not None:
        epochs.filter(None, options.h_freq, verbose="error")
    check_decimation(epochs.info, options.decimate, run.path)
    epochs.crop(options.tmin, options.tmax)
    epochs.apply_baseline(options.baseline, verbose="error")
    return epochs, event_id, kinds, notes


def epochs_and_notes(run: MegRun, options: MegOptions) -> Read:
    """Do what :func:`make_epochs` does, and say what sensors and stretches were left out.

    Parameters
    ----------
    run, options
        as for :func:`make_epochs`.

    Returns
    -------
    what :func:`make_epochs` returns, and the notes.

    Raises
    ------
    InputError
        as :func:`make_epochs`.
    """
    read = _epochs_from_file if is_epochs_file(run.path) else _epochs_from_raw
    epochs, event_id, kinds, notes = read(run, options)
    _reject(epochs, options, run.path)
    if options.decimate > 1:  # last, so that baseline and rejection have seen every sample
        epochs.decimate(options.decimate, verbose="error")
    return epochs, event_id, kinds, notes


def make_epochs(run: MegRun, options: MegOptions) -> tuple[mne.BaseEpochs, dict[str, int], tuple[str, ...]]:
    """Read one run and cut it into clean epochs.

    Parameters
    ----------
    run
        raw data and its events, or epochs.
    options
        see :class:`MegOptions`.

    Returns
    -------
    epochs in memory, the code of each condition, and the types of channels to keep apart.

    Raises
    ------
    InputError
        for files that cannot be read, events that are not there, epochs that are all rejected, decimation that aliases.
    """
    return epochs_and_notes(run, options)[:3]


__all__ = ["channel_names", "check_decimation", "epochs_and_notes", "make_epochs", "types_of"]
