"""What is in a recording before any network is trained: ceilings, what simple models explain, and how recordings agree.

Noise ceilings and the scores of models beside them are on one scale, that of `compare`: means over subjects of Spearman's rho-a.
Correlations of mean RDMs are a description, as publications give it, and higher than any score.
"""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import stats
from scipy.stats import spearmanr

import neurodata
import rsa
from bioplausible.foundation.progress import Progress
from experiments import own_ceilings
from experiments.measured import in_order, large_enough, mean_rdm, region_rdms
from experiments.recordings import load_recording
from neurodata import Recording
from neurodata.recording import Region

__all__ = ["describe_recordings", "shared"]

_DISTANCE = "correlation"


def _means(measured: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """RDM of every region, the mean over subjects (and times)."""
    return {name: mean_rdm(rdms) for name, rdms in measured.items()}


class _Read(NamedTuple):
    """A recording, and what is taken from it once."""

    recording: Recording
    measured: dict[str, np.ndarray]
    means: dict[str, np.ndarray]
    references: dict[str, np.ndarray]
    models: dict[str, np.ndarray]

    @property
    def name(self) -> str:
        return self.recording.name

    @property
    def ids(self) -> list[str]:
        return [str(each) for each in self.recording.stimuli.ids]


def _read(name: str, select: Sequence[str]) -> _Read:
    recording = load_recording(name, needs_pictures=False, select=select)
    measured, references = region_rdms(recording, _DISTANCE), _reference_rdms(recording)
    models = {**references, **_same_category(recording), **neurodata.references(name)}
    varied = {model: rdm for model, rdm in models.items() if np.ptp(rdm) > 0}
    return _Read(recording, measured, _means(measured), references, varied)


def _summed_up(rdms: np.ndarray) -> np.ndarray:
    """RDMs of the subjects, (n_subjects, n_pairs): of a region in time those of the time at which they agree most."""
    if rdms.ndim == 2:
        return rdms
    return max(rdms, key=lambda each: np.nan_to_num(float(rsa.noise_ceiling(each).lower), nan=-1))


def shared(rdms: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """How alike each subject is to the mean of the others: an interval for the mean over subjects, by Student's t.

    Subjects share each other's means, so that it is somewhat too narrow; what holds nought holds it all the more.

    Parameters
    ----------
    rdms
        Condensed RDMs, (n_subjects, n_pairs).
    confidence
        Coverage.

    Returns
    -------
    tuple of float
        Lower and upper end; NaN with fewer than three subjects.
    """
    if len(rdms) < 3:
        return np.nan, np.nan
    alone = [float(rsa.noise_ceiling(np.stack([rdms[i], mean_rdm(np.delete(rdms, i, axis=0))])).lower) for i in range(len(rdms))]
    half = stats.t.ppf((1 + confidence) / 2, len(alone) - 1) * np.std(alone, ddof=1) / np.sqrt(len(alone))
    return float(np.mean(alone) - half), float(np.mean(alone) + half)


def _ceiling(region: Region, rdms: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Of several subjects the bounds that they set each other, of one what its trials leave a model; and the RDMs that it is of.

    Of a region in time it is that of the time at which subjects agree most, or at which the only one is most reliable.
    """
    halves = own_ceilings.split_halves(jax.random.key(0), region, _DISTANCE, "spearman")
    if isinstance(halves, list):
        best = int(np.argmax([each.ceiling for each in halves]))
        ends = {"lower_end": halves[best].lower, "upper_end": halves[best].upper}
        row = {"what": "noise ceiling, split halves of trials", "value": halves[best].ceiling, **ends, "n_subjects": 1}
        return row, rdms if rdms.ndim == 2 else rdms[best]
    subjects = _summed_up(rdms)
    bounds, (low, high) = rsa.noise_ceiling(subjects), shared(subjects)
    ceiling = {"value": float(bounds.lower), "upper": float(bounds.upper), "n_subjects": len(subjects)}
    return {"what": "noise ceiling, lower and upper", **ceiling, "interval": [low, high]}, subjects


def _own_rows(read: _Read) -> list[dict[str, Any]]:
    """Of every region its ceiling, on its scale what models score, and correlations of mean RDMs."""
    rows: list[dict[str, Any]] = []
    for region, rdms in read.measured.items():
        here = {"recording": read.name, "region": region}
        ceiling, subjects = _ceiling(read.recording.regions[region], rdms)
        rows.append({**here, **ceiling})
        scored = {model: float(rsa.compare(rdm[None], subjects, "spearman").mean()) for model, rdm in read.models.items()}
        rows += [{**here, "what": f"score of {model}", "value": value} for model, value in scored.items()]
        mean = read.means[region]
        rows += [{**here, "what": f"rho with {model}", "value": _rho(mean, rdm)} for model, rdm in read.models.items()]
    rows += [
        {
            "recording": read.name,
            "region": first,
            "what": f"rho with {second}",
            "value": _rho(read.means[first], read.means[second]),
        }
        for first, second in combinations(read.means, 2)
    ]
    return rows


def _rows_together(first: _Read, second: _Read) -> list[dict[str, Any]]:
    """How the regions of two recordings agree, and each with models of the other's images."""
    order, back = _common_order(first.ids, second.ids), _common_order(second.ids, first.ids)
    rows: list[dict[str, Any]] = [
        {
            "recording": first.name,
            "region": region,
            "what": f"rho with {other} of {second.name}",
            "value": _rho(mean, in_order(rdm, order)),
        }
        for region, mean in first.means.items()
        for other, rdm in second.means.items()
        if len(mean) == len(rdm)
    ]
    # The same objects on another ground are other images to pixels and filters.
    rows += [
        {
            "recording": one.name,
            "region": region,
            "what": f"rho with {model} of {another.name}'s images",
            "value": _rho(mean, in_order(rdm, how)),
        }
        for one, another, how in ((first, second, order), (second, first, back))
        for region, mean in one.means.items()
        for model, rdm in another.references.items()
        if len(mean) == len(rdm) and np.ptp(rdm) > 0
    ]
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
    names: Sequence[str],
    progress: Progress | None = None,
    notes: dict[str, str] | None = None,
    select: Sequence[str] = (),
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
    select
        Which raw files of folders, by the entities of their names: "task=objects", "res=2".

    Returns
    -------
    list of dict
        One row a fact: recording, region, what, value; of a noise ceiling also upper, n_subjects and the interval of its lower
        bound over subjects. Two recordings' stimuli are brought into one order where they have the same names, and taken to be in
        one order where they are as many. Of a region with times, ceiling and scores are those of the time at which subjects agree
        most, and correlations those of the mean over times.

    Raises
    ------
    InputError
        Unknown names, or recordings that cannot be read.
    """
    read = []
    for index, name in enumerate(names):
        if progress is not None:
            progress(index, len(names), f"recording {name}")
        read.append(_read(name, select))
    rows = []
    for each in read:
        own = _own_rows(each)
        rows += own
        if notes is not None:
            _take_notes(each, own, notes)
    return rows + [row for first, second in combinations(read, 2) for row in _rows_together(first, second)]


def _take_notes(read: _Read, rows: Sequence[dict[str, Any]], notes: dict[str, str]) -> None:
    """What the recording says of itself, and in which regions its subjects share next to nothing."""
    told = [read.recording.notes] if read.recording.notes else []
    alone = [row["region"] for row in rows if "interval" in row and row["interval"][0] <= 0 <= row["interval"][1]]
    if alone:
        told.append(
            f"subjects share next to nothing in {', '.join(alone)}: the interval of the noise ceiling's lower bound holds zero, so "
            "that no model can be told from another there"
        )
    unreliable = [row["region"] for row in rows if row.get("lower_end", np.inf) <= 0]
    if unreliable:
        told.append(
            f"halves of the only subject's trials share next to nothing in {', '.join(unreliable)}: the interval of the noise "
            "ceiling holds zero, so that no model can be told from another there"
        )
    if told:
        notes[read.name] = "; ".join(told)


def _common_order(ids: Sequence[str], others: Sequence[str]) -> list[int] | None:
    """Where each stimulus stands among the others'; None where their names differ, and both are taken to be in one order."""
    return [others.index(each) for each in ids] if set(ids) == set(others) else None


def _rho(first: np.ndarray, second: np.ndarray) -> float:
    return float(spearmanr(first, second).statistic)
