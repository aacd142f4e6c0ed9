"""What a first-level analysis is given: the files of one run, and how they are modelled."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import lazy_loader

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import at_least, fraction, one_of, positive

pd = lazy_loader.load("pandas")

File: TypeAlias = str | os.PathLike[str]

MODELS = ("lsa", "lss", "block")
OUTPUTS = ("t", "beta")
# 'fir' and 'none' of nilearn are left out: a finite impulse response gives a condition several patterns
HAEMODYNAMIC_MODELS = tuple(
    f"{name}{more}" for name in ("spm", "glover") for more in ("", " + derivative", " + derivative + dispersion")
)
DRIFT_MODELS = ("cosine", "polynomial", "none")
# higher orders are clustered by nilearn over all voxels of a call, so that one region's result would depend on another's
NOISE_MODELS = ("ar1", "ols")
STANDARDISATIONS = ("none", "zscore_sample", "psc")


@dataclass(frozen=True, eq=False)
class FmriRun:
    """The files of one run of one subject.

    Parameters
    ----------
    bold
        a 4D NIfTI file; or a pair (left, right) of GIFTI files; or a ``nilearn.surface.SurfaceImage``.
    events
        a tab-separated file with onset and duration in seconds and trial_type, or a table of them.
    confounds
        a tab-separated file with one row a volume, or a table of which every column is used; None for none.
    subject
        whose run it is.
    run
        its name, another for each run of a subject.
    volumes
        first volume and the one behind the last, where the file holds several runs; times count from the first.
    sidecar
        the JSON file that states RepetitionTime, or several, of which a later one goes before; by default the one beside the NIfTI
        file that has its name.
    """

    bold: Any
    events: Any
    confounds: Any = None
    subject: str = "01"
    run: str = "1"
    volumes: tuple[int, int] | None = None
    sidecar: File | Sequence[File] | None = None

    @property
    def name(self) -> str:
        """What errors call it."""
        if isinstance(self.bold, str | os.PathLike):
            return os.fspath(self.bold)
        if isinstance(self.bold, tuple | list) and self.bold:
            return os.fspath(self.bold[0])
        return f"run '{self.run}' of '{self.subject}'"

    @property
    def events_name(self) -> str:
        """What errors call its events."""
        return f"the events of {self.name}" if isinstance(self.events, pd.DataFrame) else os.fspath(self.events)


@dataclass(frozen=True)
class FmriOptions:
    """How patterns are estimated from runs.

    Parameters
    ----------
    model
        "lsa", least squares all: one regressor a condition and run; "lss", least squares separate: one model a trial,
        with one regressor for it and one for all other trials (Mumford et al. 2012); "block": the mean of the volumes
        under each condition, without a haemodynamic model.
    output
        of "lsa" and "lss": "t", the estimate over its standard error, or "beta".
    hrf
        a haemodynamic response of nilearn: "spm" or "glover", with " + derivative" and " + dispersion".
    drift
        "cosine", "polynomial" or "none".
    high_pass
        cut-off of the cosine drift in Hz; a condition that comes once in a long run needs a low one (a note says so).
    drift_order
        order of the polynomial drift.
    noise_model
        "ar1" or "ols".
    standardize
        each voxel's time course in a run: "none", "zscore_sample" or "psc" (per cent of its mean).
    smoothing_mm
        full width at half maximum of a Gaussian in mm; None for none.
    confounds
        names of columns to take out, in which * and ? stand for any characters; () for none. By default those that
        describe motion (six parameters, outlying and non-steady volumes) of a file, and every column of a table.
    repetition_time
        seconds from volume to volume. By default from the sidecar or the NIfTI header; where stated it is checked.
    slice_time_reference
        moment of a volume that its time stands for, as a share of the repetition time; by default from the sidecar's
        StartTime, else 0.
    conditions
        which trial types become patterns, in this order; others are modelled and left out. By default all, in natural order.
    condition_column
        column of the events that names the conditions; of "stim_file" the file's name without ending counts.
    single_trials
        one pattern a trial instead of their mean, of "lss" alone.
    allow_missing
        whether a run may lack some of the conditions.
    resample_masks
        whether masks of another grid are resampled to the run's, nearest neighbour.
    block_delay
        of "block": seconds by which volumes are taken later than the events, for the haemodynamic lag.

    Raises
    ------
    InputError
        for an unknown name or a value out of range.

    References
    ----------
    Mumford et al. 2012, doi:10.1016/j.neuroimage.2011.08.076
    """

    model: str = "lsa"
    output: str = "t"
    hrf: str = "glover"
    drift: str = "cosine"
    high_pass: float | int = 0.01
    drift_order: int = 1
    noise_model: str = "ar1"
    standardize: str = "none"
    smoothing_mm: float | int | None = None
    confounds: Sequence[str] | None = None
    repetition_time: float | int | None = None
    slice_time_reference: float | int | None = None
    conditions: Sequence[str] | None = None
    condition_column: str = "trial_type"
    single_trials: bool = False
    allow_missing: bool = False
    resample_masks: bool = False
    block_delay: float | int = 0.0

    def __post_init__(self) -> None:
        named = {
            "model": MODELS,
            "output": OUTPUTS,
            "hrf": HAEMODYNAMIC_MODELS,
            "drift": DRIFT_MODELS,
            "noise_model": NOISE_MODELS,
            "standardize": STANDARDISATIONS,
        }
        for option, valid in named.items():
            one_of(self, option, valid)
        positive(self, "high_pass", "smoothing_mm", "repetition_time")
        if self.drift == "cosine" and self.high_pass > 1:
            raise InputError(
                f"high_pass is {self.high_pass:g} Hz; expected Hz, at most 1 (a period of {self.high_pass:g} s is "
                f"{1 / self.high_pass:.4g} Hz)"
            )
        at_least(self, 0, "drift_order")
        fraction(self, "slice_time_reference")
        if self.single_trials and self.model != "lss":
            raise InputError(f"single_trials with model '{self.model}'; single trials have estimates of their own with 'lss' alone")
        for option in ("confounds", "conditions"):
            value = getattr(self, option)
            if isinstance(value, str):
                raise InputError(f"{option} is '{value}'; expected several names, such as ['{value}']")
            object.__setattr__(self, option, None if value is None else tuple(str(each) for each in value))


__all__ = [
    "DRIFT_MODELS",
    "HAEMODYNAMIC_MODELS",
    "MODELS",
    "NOISE_MODELS",
    "OUTPUTS",
    "STANDARDISATIONS",
    "File",
    "FmriOptions",
    "FmriRun",
]
