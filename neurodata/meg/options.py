"""What is asked of a pipeline from raw sensors to patterns, and the files that it is asked of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from bioplausible.foundation.errors import InputError, guesses, unknown_name

REGIONS: Mapping[str, str] = {"mag": "magnetometers", "grad": "gradiometers", "eeg": "EEG"}
NOISE_NORMALISATIONS = ("multivariate", "univariate", "none")
NOISE_COVARIANCES = ("epoch", "baseline")
# MNE's rule: a low-pass filter's slope has come down by then
SAMPLES_PER_CYCLE = 2.5
# FIF files keep seconds in single precision; times are rounded to what all of them agree on
TIME_DECIMALS = 7


@dataclass(frozen=True, eq=False)
class MegRun:
    """One run of one subject.

    Parameters
    ----------
    raw
        path to raw data in FIF (``*_meg.fif``, ``*_raw.fif``) or to epochs (``*_epo.fif``); in a tree with a
        dataset_description.json, whatever mne-bids reads.
    events
        None for the events.tsv of a BIDS tree, else the stimulus channel (epochs bring their own); or the path of a
        BIDS events.tsv, whose column "trial_type" names the conditions; or (n_events, 3) as MNE has them: sample,
        value before, code.
    subject, run
        names.
    missing_splits
        "raise" where a file names a next part that is not there; "ignore" where it was renamed and is whole.
    """

    raw: str | os.PathLike[str]
    events: str | os.PathLike[str] | Shaped[np.ndarray, "..."] | None = None
    subject: str = "01"
    run: str = "1"
    missing_splits: str = "raise"

    @property
    def path(self) -> Path:
        """The file of the data."""
        return Path(self.raw).expanduser()


@dataclass(frozen=True)
class MegOptions:
    """How epochs are cut, cleaned, normalised and averaged.

    Parameters
    ----------
    event_id
        the trigger of each condition; the stimulus channel holds trigger + ``event_offset``. None takes the names of an
        events.tsv or of epochs; of a bare stimulus channel, every trigger is a condition that is called by its number.
    event_offset
        1 where code 1 means trigger 0, as in the published recording of 92 objects.
    stim_channel
        its name; None finds it as MNE does.
    minimum_trigger_duration
        seconds; shorter pulses are transients of the trigger lines.
    tmin, tmax
        seconds from the event.
    baseline
        start and stop in seconds, None for the epoch's ends; None takes nothing off.
    l_freq, h_freq
        edges of the pass band in Hz, None for no filter; MNE's zero-phase FIR filter.
    reject
        largest allowed peak-to-peak amplitude for each channel type (mag in T, grad in T/m, eeg and eog in V).
    decimate
        keep every so manieth sample, which needs a low-pass filter.
    pseudo_trials
        number of groups into which a condition's trials are dealt at random, each averaged; None averages the
        trials of each condition and run.
    seed
        of the dealing.
    noise_normalisation
        "multivariate" whitens the sensors of a type together, "univariate" divides each by its noise, "none" leaves
        physical units. See :mod:`neurodata.meg.normalisation`.
    noise_covariance
        "epoch" estimates noise at each time of the epoch and averages, "baseline" takes all samples of the baseline.
    channel_types
        of "mag", "grad" and "eeg"; None for those that are there.

    Raises
    ------
    InputError
        for values that fit none of these.

    >>> MegOptions(tmin=-0.1, tmax=0.5, noise_normalisation="multivariat")
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: unknown noise_normalisation 'multivariat': did you mean 'multivariate'? ...
    """

    event_id: Mapping[str, int] | None = None
    event_offset: int = 0
    stim_channel: str | None = None
    minimum_trigger_duration: float = 0.0
    tmin: float = -0.2
    tmax: float = 0.8
    baseline: tuple[float | None, float | None] | None = (None, 0.0)
    l_freq: float | None = None
    h_freq: float | None = None
    reject: Mapping[str, float] | None = None
    decimate: int = 1
    pseudo_trials: int | None = None
    seed: int = 0
    noise_normalisation: str = "multivariate"
    noise_covariance: str = "epoch"
    channel_types: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.tmin < self.tmax:
            raise InputError(f"an epoch from tmin {self.tmin:g} to tmax {self.tmax:g} s; expected tmin before tmax")
        if self.baseline is not None:
            start = self.tmin if self.baseline[0] is None else self.baseline[0]
            stop = self.tmax if self.baseline[1] is None else self.baseline[1]
            if not self.tmin <= start < stop <= self.tmax:
                raise InputError(
                    f"the baseline from {start:g} to {stop:g} s is not within the epoch from {self.tmin:g} to {self.tmax:g} s; "
                    "expected a start before a stop inside it, or baseline None"
                )
        for option, count in (("decimate", self.decimate), ("pseudo_trials", self.pseudo_trials)):
            if count is not None and count < 1:
                raise InputError(f"{option} is {count}; expected a whole number of at least 1")
        for name, value, valid in (
            ("noise_normalisation", self.noise_normalisation, NOISE_NORMALISATIONS),
            ("noise_covariance", self.noise_covariance, NOISE_COVARIANCES),
            *(("channel type", each, tuple(REGIONS)) for each in self.channel_types or ()),
            *(("channel type in reject", each, (*REGIONS, "eog")) for each in self.reject or ()),
        ):
            if value not in valid:
                raise unknown_name(name, value, valid)
        if self.channel_types is not None and not self.channel_types:
            raise InputError("channel_types is empty; expected some of mag, grad and eeg, or None for those that are there")
        for kind, limit in (self.reject or {}).items():
            if not limit > 0:
                raise InputError(f"reject allows {limit:g} for '{kind}'; expected a positive peak-to-peak amplitude in SI units")
        if self.noise_covariance == "baseline" and self.baseline is None and self.noise_normalisation != "none":
            raise InputError("noise_covariance is 'baseline' but baseline is None; state a baseline, or take 'epoch'")


def _number(value: Any) -> Any:
    """YAML reads 4e-10, which has no point, as text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number_or_none(value: Any) -> bool:
    return value is None or _is_number(value)


_EXPECTED = {
    "event_id": (
        lambda value: value is None or (isinstance(value, dict) and all(map(_is_whole, value.values()))),
        "a mapping from stimulus to trigger",
    ),
    "event_offset": (_is_whole, "a whole number"),
    "stim_channel": (lambda value: value is None or isinstance(value, str), "the name of a channel"),
    "minimum_trigger_duration": (_is_number, "seconds"),
    "tmin": (_is_number, "seconds"),
    "tmax": (_is_number, "seconds"),
    "baseline": (
        lambda value: value is None or (isinstance(value, list | tuple) and len(value) == 2 and all(map(_number_or_none, value))),
        "[start, stop] in seconds, null for the epoch's ends",
    ),
    "l_freq": (_number_or_none, "Hz"),
    "h_freq": (_number_or_none, "Hz"),
    "reject": (
        lambda value: value is None or (isinstance(value, dict) and all(map(_is_number, map(_number, value.values())))),
        "a mapping from channel type to peak-to-peak amplitude",
    ),
    "decimate": (_is_whole, "a whole number"),
    "pseudo_trials": (lambda value: value is None or _is_whole(value), "a whole number"),
    "seed": (_is_whole, "a whole number"),
    "noise_normalisation": (lambda value: isinstance(value, str), ", ".join(NOISE_NORMALISATIONS)),
    "noise_covariance": (lambda value: isinstance(value, str), ", ".join(NOISE_COVARIANCES)),
    "channel_types": (
        lambda value: value is None or (isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)),
        f"a list of {', '.join(REGIONS)}",
    ),
}
_SECONDS_AND_HERTZ = {"tmin", "tmax", "l_freq", "h_freq", "minimum_trigger_duration"}
OPTION_NAMES = tuple(field.name for field in fields(MegOptions))


def options_from(stated: Mapping[str, Any], origin: str) -> MegOptions:
    """Read options from a mapping, such as the key "meg" of a recording.yaml.

    Parameters
    ----------
    stated
        values by the names of :class:`MegOptions`.
    origin
        the file that errors name.

    Raises
    ------
    InputError
        for unknown names (all of them, with guesses) and values of another kind.

    >>> options_from({"tmax": 0.5, "reject": {"grad": "4e-10"}}, "recording.yaml").reject
    {'grad': 4e-10}
    """
    unknown = [str(name) for name in stated if name not in OPTION_NAMES]
    if unknown:
        raise InputError(f"{origin}: 'meg' has unknown keys: {guesses(unknown, OPTION_NAMES)}")
    given: dict[str, Any] = {}
    for name, stated_value in stated.items():
        value = _number(stated_value) if name in _SECONDS_AND_HERTZ else stated_value
        is_right, expected = _EXPECTED[name]
        if not is_right(value):
            raise InputError(f"{origin}: '{name}' under 'meg' is {value!r}; expected {expected}")
        if name == "reject" and value is not None:
            value = {str(kind): float(_number(limit)) for kind, limit in value.items()}
        elif name == "event_id" and value is not None:
            value = {str(condition): trigger for condition, trigger in value.items()}
        elif name == "baseline" and value is not None:
            value = tuple(None if each is None else float(each) for each in value)
        elif isinstance(value, list):
            value = tuple(value)
        elif name in _SECONDS_AND_HERTZ and value is not None:
            value = float(value)
        given[name] = value
    try:
        return MegOptions(**given)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from error


__all__ = ["NOISE_COVARIANCES", "NOISE_NORMALISATIONS", "OPTION_NAMES", "REGIONS", "MegOptions", "MegRun", "options_from"]
