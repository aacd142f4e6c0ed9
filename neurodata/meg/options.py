"""What is asked of a pipeline from raw sensors to patterns, and the files that it is asked of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.options import at_least, check_keys, make_options, one_of

REGIONS: Mapping[str, str] = {"mag": "magnetometers", "grad": "gradiometers", "eeg": "EEG"}
NOISE_NORMALISATIONS = ("multivariate", "univariate", "none")
NOISE_COVARIANCES = ("epoch", "baseline")
# MNE's rule: a low-pass filter's slope has come down by then
SAMPLES_PER_CYCLE = 2.5
_LATEST = 60.0  # seconds from an event, beyond which milliseconds were meant
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
        physical units. See ``neurodata/meg/normalisation.py``.
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
        if max(abs(self.tmin), abs(self.tmax)) > _LATEST:
            raise InputError(
                f"an epoch from tmin {self.tmin:g} to tmax {self.tmax:g} s; expected seconds, at most {_LATEST:g} "
                f"({self.tmax:g} ms are {self.tmax / 1000:g} s)"
            )
        if self.baseline is not None:
            start = self.tmin if self.baseline[0] is None else self.baseline[0]
            stop = self.tmax if self.baseline[1] is None else self.baseline[1]
            if not self.tmin <= start < stop <= self.tmax:
                raise InputError(
                    f"the baseline from {start:g} to {stop:g} s is not within the epoch from {self.tmin:g} to {self.tmax:g} s; "
                    "expected a start before a stop inside it, or baseline None"
                )
        at_least(self, 1, "decimate", "pseudo_trials")
        one_of(self, "noise_normalisation", NOISE_NORMALISATIONS)
        one_of(self, "noise_covariance", NOISE_COVARIANCES)
        for name, value, valid in (
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


_EXPECTED = {
    "event_id": "a mapping from stimulus to trigger",
    "event_offset": "a whole number",
    "stim_channel": "the name of a channel",
    "minimum_trigger_duration": "seconds",
    "tmin": "seconds",
    "tmax": "seconds",
    "baseline": "[start, stop] in seconds, null for the epoch's ends",
    "l_freq": "Hz",
    "h_freq": "Hz",
    "reject": "a mapping from channel type to peak-to-peak amplitude",
    "decimate": "a whole number",
    "pseudo_trials": "a whole number",
    "seed": "a whole number",
    "noise_normalisation": ", ".join(NOISE_NORMALISATIONS),
    "noise_covariance": ", ".join(NOISE_COVARIANCES),
    "channel_types": f"a list of {', '.join(REGIONS)}",
}
OPTION_NAMES = tuple(field.name for field in fields(MegOptions))


def options_from(stated: Mapping[str, Any], origin: str) -> MegOptions:
    """Read options from a mapping, such as the key "meg" of a recording.yaml.

    Parameters
    ----------
    stated
        values by the names of :class:`MegOptions`.
    origin
        the file that errors name.

    Returns
    -------
    the options.

    Raises
    ------
    InputError
        for unknown names (all of them, with guesses) and values of another kind.

    >>> options_from({"tmax": 0.5, "reject": {"grad": 4e-10}}, "recording.yaml").reject
    {'grad': 4e-10}
    """
    check_keys(stated, OPTION_NAMES, f"{origin}: 'meg'")
    given = dict(stated)
    if isinstance(given.get("event_id"), Mapping):
        # To YAML, conditions that are called by numbers are numbers.
        given["event_id"] = {str(condition): trigger for condition, trigger in given["event_id"].items()}
    try:
        return make_options(MegOptions, given, "'meg'", expected=_EXPECTED)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from error


__all__ = ["NOISE_COVARIANCES", "NOISE_NORMALISATIONS", "OPTION_NAMES", "REGIONS", "MegOptions", "MegRun", "options_from"]
