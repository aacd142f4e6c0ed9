"""What is in a recording before any network is trained: ceilings, what simple models explain, and how recordings agree.

Correlations are Spearman's rho of mean RDMs, with ties averaged: a description, as publications give it. Scores that are tested,
and held against a ceiling, are those of `compare`.
"""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import spearmanr

import neurodata
import rsa
from bioplausible.foundation.progress import Progress
from experiments.comparing import large_enough, region_rdms
from experiments.recordings import load_recording
from neurodata import Recording

__all__ = ["describe_recordings"]

_DISTANCE = "correlation"


def _means(measured: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """RDM of every region, the mean over subjects (and times)."""
    return {name: rdms.reshape(-1, rdms.shape[-1]).mean(axis=0) for name, rdms in measured.items()}


def _ceiling_rows(recording: Recording, measured: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    rows = []
    for name, rdms in measured.items():
        if rdms.ndim == 3:
            # The time at which subjects agree most stands for a region that has many.
            bounds = max((rsa.noise_ceiling(each) for each in rdms), key=lambda ceiling: np.nan_to_num(ceiling.lower, nan=-1))
        else:
            bounds = rsa.noise_ceiling(rdms)
        rows.append(
            {
                "recording": recording.name,
                "region": name,
                "what": "noise ceiling, lower and upper",
                "value": float(bounds.lower),
                "upper": float(bounds.upper),
                "n_subjects": rdms.shape[-2],
            }
        )
    return rows


def _same_category(recording: Recording) -> dict[str, np.ndarray]:
    if recording.stimuli.categories is None:
        return {}
    return {"categories of the stimuli": rsa.to_condensed(1.0 - recording.stimuli.same_category())}


def _reference_rdms(recording: Recording) -> dict[str, np.ndarray]:
    if not recording.stimuli.has_pictures:
        return {}
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")
        return rsa.reference_rdms(large_enough(recording.stimuli.images), distance=_DISTANCE)


def describe_recordings(
    names: Sequence[str], progress: Progress | None = None, notes: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Describe recordings, and how those of the same number of stimuli agree.

    Parameters
    ----------
    names
        Named recordings or folders.
    progress
        Called with parts done, parts in all and a line to show.
    notes
        Where what each recording says of how it was read is put, by its name.

    Returns
    -------
    list of dict
        One row a fact: recording, region, what, value; upper and n_subjects of a noise ceiling. Two recordings' stimuli are brought
        into one order where they have the same names, and taken to be in one order where they are as many. Of a region with times,
        the ceiling is that of the time at which subjects agree most, and correlations are those of the mean over times.

    Raises
    ------
    InputError
        Unknown names, or recordings that cannot be read.
    """
    rows: list[dict[str, Any]] = []
    means: dict[str, dict[str, np.ndarray]] = {}
    references: dict[str, dict[str, np.ndarray]] = {}
    ids: dict[str, list[str]] = {}
    for index, name in enumerate(names):
        if progress is not None:
            progress(index, len(names), f"recording {name}")
        recording = load_recording(name, needs_pictures=False)
        if notes is not None and recording.notes:
            notes[recording.name] = recording.notes
        measured = region_rdms(recording, _DISTANCE)
        means[recording.name] = _means(measured)
        ids[recording.name] = [str(each) for each in recording.stimuli.ids]
        rows += _ceiling_rows(recording, measured)
        references[recording.name] = _reference_rdms(recording)
        models = {**references[recording.name], **_same_category(recording), **neurodata.references(name)}
        rows += [
            {"recording": recording.name, "region": region, "what": f"rho with {model}", "value": _rho(mean, rdm)}
            for region, mean in means[recording.name].items()
            for model, rdm in models.items()
            if np.ptp(rdm) > 0
        ]
        rows += [
            {"recording": recording.name, "region": first, "what": f"rho with {second}", "value": _rho(*pair)}
            for (first, second), pair in (
                ((a, b), (means[recording.name][a], means[recording.name][b])) for a, b in combinations(means[recording.name], 2)
            )
        ]
    for (first, regions), (second, others) in combinations(means.items(), 2):
        order = _common_order(ids[first], ids[second])
        back = _common_order(ids[second], ids[first])
        rows += [
            {
                "recording": first,
                "region": region,
                "what": f"rho with {other} of {second}",
                "value": _rho(mean, _in_order(rdm, order)),
            }
            for region, mean in regions.items()
            for other, rdm in others.items()
            if len(mean) == len(rdm)
        ]
        # The same objects on another ground are other images to pixels and filters.
        rows += [
            {
                "recording": one,
                "region": region,
                "what": f"rho with {model} of {another}'s images",
                "value": _rho(mean, _in_order(rdm, how)),
            }
            for one, another, how in ((first, second, order), (second, first, back))
            for region, mean in means[one].items()
            for model, rdm in references[another].items()
            if len(mean) == len(rdm) and np.ptp(rdm) > 0
        ]
    return rows


def _common_order(ids: Sequence[str], others: Sequence[str]) -> list[int] | None:
    """Where each stimulus stands among the others'; None where their names differ, and both are taken to be in one order."""
    return [others.index(each) for each in ids] if set(ids) == set(others) else None


def _in_order(rdm: np.ndarray, order: Sequence[int] | None) -> np.ndarray:
    return rdm if order is None else rsa.to_condensed(rsa.to_square(rdm)[np.ix_(order, order)])


def _rho(first: np.ndarray, second: np.ndarray) -> float:
    return float(spearmanr(first, second).statistic)
