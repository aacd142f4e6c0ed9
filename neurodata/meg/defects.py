"""What sensors recorded that is no signal: stretches without numbers, sensors that were flat or at the end of their range.

A sensor that failed for longer than a moment is left out, since keeping it would cost epochs; of one that failed for a moment the
epochs are. Either is said.
"""

from __future__ import annotations

import mne
import numpy as np

MISSING = "BAD_NAN"
LONGEST_MISSING = 0.1  # of a recording without numbers in one sensor, beyond which the sensor is left out
LONGEST_RAILED = 0.5  # of a recording at a sensor's own highest or lowest value, beyond which it is flat or railed


def _is_dead(signal: np.ndarray) -> str | None:
    finite = np.isfinite(signal)
    if finite.mean() < 1 - LONGEST_MISSING:
        return "without numbers"
    there = signal[finite]
    at_an_end = max(np.mean(there == there.min()), np.mean(there == there.max()))
    return "flat or at an end of the range" if at_an_end > LONGEST_RAILED else None


def _left_out(names: list[str], reason: str, origin: object) -> str:
    counted = "1 sensor" if len(names) == 1 else f"{len(names)} sensors"
    return f"{origin}: {counted} {reason} {'was' if len(names) == 1 else 'were'} left out ({_listed(names)})"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def set_aside(raw: mne.io.BaseRaw, picks: np.ndarray, origin: object) -> list[str]:
    """Mark sensors that have no signal as bad, and stretches without numbers as bad segments; both in place.

    Numbers that are missing are bridged by a straight line, so that filters do not carry them any further.

    Parameters
    ----------
    raw
        in memory; changed.
    picks
        positions of the sensors that are used.
    origin
        the file, for the notes.

    Returns
    -------
    notes on what is left out.
    """
    dead: dict[str, list[str]] = {}
    missing = np.zeros(raw.n_times, dtype=bool)
    broken: list[str] = []
    for index in picks:
        signal = raw.get_data(picks=[index])[0]
        reason = _is_dead(signal)
        finite = np.isfinite(signal)
        if reason is not None:
            dead.setdefault(reason, []).append(raw.ch_names[index])
        if finite.all():
            continue
        if reason is None:
            broken.append(raw.ch_names[index])
            missing |= ~finite
        bridged = (
            np.interp(np.arange(len(signal)), np.flatnonzero(finite), signal[finite]) if finite.any() else np.zeros(len(signal))
        )
        raw._data[index] = bridged  # noqa: SLF001 MNE has no public way of writing into one sensor
    raw.info["bads"] = [*raw.info["bads"], *(name for names in dead.values() for name in names if name not in raw.info["bads"])]
    notes = [_left_out(names, reason, origin) for reason, names in dead.items()]
    if missing.any():
        edges = np.flatnonzero(np.diff(np.r_[False, missing, False].astype(int)))
        onsets, ends = edges[::2] / raw.info["sfreq"], edges[1::2] / raw.info["sfreq"]
        # annotations count from the first sample's time where the recording has a date, which keeps the two apart otherwise
        shift = raw.first_time if raw.annotations.orig_time is not None else 0.0
        raw.set_annotations(raw.annotations + mne.Annotations(onsets + shift, ends - onsets, MISSING, raw.annotations.orig_time))
        notes.append(
            f"{origin}: for {missing.sum() / raw.info['sfreq']:.3g} s sensors hold no numbers ({_listed(broken)}); epochs "
            "there were left out"
        )
    return notes


def set_aside_epochs(epochs: mne.BaseEpochs, picks: np.ndarray, origin: object) -> list[str]:
    """Leave out sensors that have no signal in saved epochs, and epochs in which numbers are missing; in place.

    Parameters
    ----------
    epochs
        in memory; changed.
    picks
        positions of the sensors that are used.
    origin
        the file, for the notes.

    Returns
    -------
    notes on what is left out.
    """
    data = epochs.get_data(picks=picks)
    missing = ~np.isfinite(data).all(axis=2)
    dead = [epochs.ch_names[index] for index, share in zip(picks, missing.mean(axis=0), strict=True) if share > LONGEST_MISSING]
    flat = [epochs.ch_names[index] for index, signal in zip(picks, np.moveaxis(data, 1, 0), strict=True) if np.ptp(signal) == 0]
    epochs.info["bads"] = [*epochs.info["bads"], *(name for name in (*dead, *flat) if name not in epochs.info["bads"])]
    alive = np.array([epochs.ch_names[index] not in dead for index in picks], dtype=bool)
    lost = np.flatnonzero(missing[:, alive].any(axis=1))
    notes = [_left_out(names, why, origin) for names, why in ((dead, "without numbers"), (flat, "that are flat")) if names]
    if len(lost):
        epochs.drop(lost, reason=MISSING, verbose="error")
        notes.append(f"{origin}: {len(lost)} epochs in which a sensor holds no number were left out")
    return notes


__all__ = ["LONGEST_MISSING", "LONGEST_RAILED", "MISSING", "set_aside", "set_aside_epochs"]
