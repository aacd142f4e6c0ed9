"""What layers are held against: RDMs of a recording's regions, and of models of its stimuli that are no networks."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Sequence

import numpy as np

import rsa
from bioplausible.foundation.errors import InputError
from neurodata import PatternSet, Recording, Stimuli

__all__ = ["CATEGORY", "in_order", "large_enough", "mean_rdm", "reference_names", "reference_rdm", "reference_rdms", "region_rdms"]

CATEGORY = "category"
"""The model that two stimuli differ where their categories do: of labels, not of images."""

_MIN_PIXELS = 32


def region_rdms(recording: Recording, measure: str) -> dict[str, np.ndarray]:
    """Condensed RDMs of every region, (n_subjects, n_pairs) or (n_times, n_subjects, n_pairs); what comes as RDMs stays as it is.

    Parameters
    ----------
    recording
        Any.
    measure
        One of `rsa.MEASURES`.
    """
    found = {}
    by_run = rsa.measure_named(measure).across_runs
    for name, region in recording.regions.items():
        if isinstance(region, PatternSet):
            patterns = region.patterns_by_run() if by_run else region.patterns()
            rdms = np.stack([rsa.region_rdm(each, measure, by_run) for each in patterns])
        else:
            rdms = np.asarray(region.rdms())
        found[name] = np.moveaxis(rdms, 1, 0) if rdms.ndim == 3 else rdms
    return found


def mean_rdm(rdms: np.ndarray) -> np.ndarray:
    """Mean over subjects (and times) of condensed RDMs, each pair over those that have it; NaN where none has.

    Parameters
    ----------
    rdms
        (..., n_pairs), NaN where a pair was not measured.
    """
    flat = rdms.reshape(-1, rdms.shape[-1])
    n_known = np.isfinite(flat).sum(axis=0)
    return np.asarray(np.where(n_known > 0, np.nansum(flat, axis=0) / np.maximum(n_known, 1), np.nan))


def large_enough(images: np.ndarray) -> np.ndarray:
    """Images for filters, which need some pixels a wave; pixels that are repeated hold the same picture."""
    times = -(-_MIN_PIXELS // min(images.shape[1:3]))
    return images.repeat(times, axis=1).repeat(times, axis=2)


def reference_names(shown: Stimuli) -> tuple[str, ...]:
    """Models that are known by name and can be made of some stimuli.

    Parameters
    ----------
    shown
        Of a recording.
    """
    pictures = tuple(rsa.REFERENCE_MODELS) if shown.has_pictures else ()
    if shown.has_pictures and not rsa.has_colours(shown.images):
        pictures = tuple(each for each in pictures if each != "colour_layout")
    return pictures if shown.categories is None else (*pictures, CATEGORY)


def reference_rdm(name: str, shown: Stimuli, measure: str) -> np.ndarray:
    """Condensed RDM of a model that is no network.

    Parameters
    ----------
    name
        Of `rsa.REFERENCE_MODELS`, or "category".
    shown
        The stimuli.
    measure
        One of `rsa.MEASURES`.

    Raises
    ------
    InputError
        Where the model tells no stimuli apart, or the stimuli lack what it is made of.
    """
    if name == CATEGORY:
        rdm = rsa.to_condensed(1.0 - shown.same_category())
        if np.ptp(rdm) == 0:
            raise InputError("the stimuli are all of one category, or each of its own: the category model has no RDM")
        return np.asarray(rdm)
    if not shown.has_pictures:
        raise InputError(f"the pictures were not published: the reference model '{name}' has no RDM")
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")
        return rsa.reference_rdms(large_enough(shown.images), [name], measure)[name]


def reference_rdms(recording: Recording, names: Sequence[str], measure: str, warnings: list[str]) -> dict[str, np.ndarray]:
    """RDMs of models that are no networks; one that tells no stimuli apart is named instead."""
    found: dict[str, np.ndarray] = {}
    for name in names:
        try:
            found[name] = reference_rdm(name, recording.stimuli, measure)
        except InputError as error:
            warnings.append(f"no RDM: reference model '{name}': {error}")
    return found


def in_order(rdms: np.ndarray, order: Sequence[int] | None) -> np.ndarray:
    """Condensed RDMs, (..., n_pairs), of stimuli in another order, or of some of them; None leaves them as they are."""
    if order is None:
        return rdms
    first, second = np.triu_indices(len(order), 1)
    n = rsa.condition_count(rdms.shape[-1])
    square = np.zeros((n, n), int)
    square[np.triu_indices(n, 1)] = np.arange(rdms.shape[-1])
    places = (square + square.T)[np.asarray(order)[first], np.asarray(order)[second]]
    return rdms[..., places]
