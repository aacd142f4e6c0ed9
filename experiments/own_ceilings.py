"""Noise ceilings where there is one subject: what its own trials, split into halves, leave a model."""

from __future__ import annotations

import jax
import numpy as np

import rsa
from bioplausible.foundation.errors import InputError
from neurodata import PatternSet
from neurodata.recording import Region

__all__ = ["own_ceilings", "split_halves"]


def split_halves(
    key: jax.Array, region: Region, measure: str, comparator: str, confidence: float = 0.95
) -> list[rsa.SplitHalves] | str:
    """Reliability of the only subject's RDM.

    Parameters
    ----------
    key
        Of the splits.
    region
        Of a recording.
    measure
        One of `rsa.MEASURES`.
    comparator
        Between RDMs.
    confidence
        Coverage of the interval.

    Returns
    -------
    list of rsa.SplitHalves or str
        One a time, or a single one; a sentence where there are other subjects to hold this one against, or no trials to split.
    """
    if len(region.subjects) != 1:
        return "there are other subjects"
    if not isinstance(region, PatternSet):
        return "the only subject comes as RDMs, which have no trials"
    (trials,) = region.trials()
    at_times = trials[None] if trials.ndim == 3 else np.moveaxis(trials, 1, 0)
    try:
        return [rsa.split_half_ceiling(key, each, measure, comparator, confidence=confidence) for each in at_times]
    except InputError as error:
        return str(error)


def own_ceilings(
    key: jax.Array, region: Region, measure: str, comparator: str, confidence: float = 0.95
) -> list[rsa.NoiseCeiling] | None:
    """The interval of the only subject's ceiling as the bounds that tables and pictures hold.

    Parameters
    ----------
    key, region, measure, comparator, confidence
        As `split_halves` takes them.

    Returns
    -------
    list of rsa.NoiseCeiling or None
        One a time, or a single one; NaN with a reason where there is none. None where there are other subjects.
    """
    if len(region.subjects) != 1:
        return None
    found = split_halves(key, region, measure, comparator, confidence)
    if isinstance(found, str):
        n_times = 1 if region.times is None else len(region.times)
        return [rsa.NoiseCeiling(np.nan, np.nan, f"one subject has no others to be compared with, and {found}")] * n_times
    how = (
        f"the noise ceiling is the {100 * confidence:.0f} % interval of what the only subject's trials leave a model, split into "
        "halves (Spearman and Brown): for other stimuli, not for other subjects"
    )
    return [rsa.NoiseCeiling(each.lower, each.upper, how) for each in found]
