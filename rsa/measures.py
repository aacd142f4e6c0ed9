r"""Measures: how networks' patterns become RDMs, how a region's become theirs, and what that needs.

Two sides of a comparison need the same geometry, not the same estimator: noise makes squared distances of measured patterns too
large, and those of networks, which have none, not. `crossnobis` therefore takes cross-validated, noise-normalised distances of a
region that was measured in several runs, whose expectation noise leaves alone, and squared Euclidean distances of a network.
`mahalanobis` weighs channels by the same noise and is not cross-validated, so that noise adds to every distance; `poisson_cv`
cross-validates the divergence of rates of spikes.

`-centred` takes every unit's mean over the stimuli out first. Units of networks answer most images alike, and what they share makes
all patterns correlate; whether a conclusion holds without it is a question of its own.

References: Walther et al. 2016, doi:10.1016/j.neuroimage.2015.12.012; Diedrichsen and Kriegeskorte 2017,
doi:10.1371/journal.pcbi.1005508.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real

from bioplausible.foundation.errors import InputError, unknown_name
from rsa.crossvalidated import crossnobis, poisson_cv
from rsa.distances import rdm
from rsa.noise import noise_precision

__all__ = ["MEASURES", "Measure", "measure_named", "network_rdm", "region_rdm"]


class Measure(NamedTuple):
    """One measure.

    Attributes
    ----------
    summary
        What it is, for a reader.
    distance
        Between the patterns of networks, and of regions that are not taken apart by runs, as `rsa.rdm` names it.
    centred
        Whether every unit's mean over the stimuli is taken out first.
    across_runs
        Whether a region's runs are taken apart: to cross-validate, or to tell noise from signal.
    """

    summary: str
    distance: str
    centred: bool = False
    across_runs: bool = False


MEASURES: dict[str, Measure] = {
    "correlation": Measure("1 minus the Pearson correlation of two stimuli's patterns", "correlation"),
    "correlation-centred": Measure(
        "1 minus the Pearson correlation of two stimuli's patterns, each unit's mean over the stimuli taken out",
        "correlation",
        True,
    ),
    "euclidean": Measure("the squared Euclidean distance between two stimuli's patterns", "euclidean"),
    "crossnobis": Measure(
        "the squared distance between two stimuli's patterns: of regions cross-validated over runs and in units of noise, of "
        "networks Euclidean",
        "euclidean",
        across_runs=True,
    ),
    "mahalanobis": Measure(
        "the squared distance between two stimuli's patterns: of regions in units of the noise between runs, of networks Euclidean",
        "euclidean",
        across_runs=True,
    ),
    "poisson": Measure("the symmetrised Kullback-Leibler divergence of two stimuli's rates", "poisson"),
    "poisson_cv": Measure(
        "the symmetrised Kullback-Leibler divergence of two stimuli's rates, of regions cross-validated over runs",
        "poisson",
        across_runs=True,
    ),
}
"""Measures by name; correlations are unchanged by a pattern's scale, distances by what all units of a region share."""


def measure_named(name: str) -> Measure:
    """A measure.

    Parameters
    ----------
    name
        One of `MEASURES`.

    Raises
    ------
    InputError
        There is none of that name.

    >>> measure_named("crossnobis").distance
    'euclidean'
    """
    if name not in MEASURES:
        raise unknown_name("measure", name, MEASURES)
    return MEASURES[name]


def network_rdm(
    patterns: Real[np.ndarray, "*batch n_conditions n_units"], measure: str = "correlation"
) -> Float[np.ndarray, "*batch n_pairs"]:
    """RDMs of patterns without noise.

    Parameters
    ----------
    patterns
        Activity of every unit for every stimulus, shape (..., n_conditions, n_units).
    measure
        One of `MEASURES`.

    Returns
    -------
    Dissimilarities, shape (..., n_pairs).

    Raises
    ------
    InputError
        For an unknown measure, and as `rsa.rdm` does.

    >>> network_rdm(np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]]), "crossnobis").round(6)
    array([1. , 2.5, 2.5])
    """
    found = measure_named(measure)
    return rdm(_centred(patterns) if found.centred else patterns, found.distance)


def region_rdm(
    patterns: Real[np.ndarray, "..."], measure: str = "correlation", by_run: bool = False
) -> Float[np.ndarray, "*batch n_pairs"]:
    """RDMs of one subject's measured patterns.

    Parameters
    ----------
    patterns
        Responses of every channel, shape (..., n_conditions, n_channels); by run, (n_runs, ..., n_conditions, n_channels).
    measure
        One of `MEASURES`.
    by_run
        Whether the first axis is that of runs: they are kept apart by measures that cross-validate, else averaged.

    Returns
    -------
    Dissimilarities, shape (..., n_pairs); cross-validated ones are signed.

    Raises
    ------
    InputError
        For an unknown measure, one that needs runs where there are fewer than two, and as `rsa.rdm` and `rsa.crossnobis` do.
    """
    found = measure_named(measure)
    if not found.across_runs:
        mean = patterns.mean(axis=0) if by_run else patterns
        return network_rdm(mean, measure)
    if not by_run or len(patterns) < 2:
        raise InputError(f"measure '{measure}' compares runs with each other, and there is one: use euclidean, or data with runs")
    if measure == "poisson_cv":
        return poisson_cv(np.moveaxis(patterns, 0, -3))
    n_runs, *_, n_channels = patterns.shape
    # What differs between runs of the same condition, at the same time, is noise.
    conditions = np.tile(np.arange(np.prod(patterns.shape[1:-1], dtype=int)), n_runs)
    method = "diag" if n_channels == 1 else "shrinkage_eye"
    precision = noise_precision(patterns.reshape(-1, n_channels), method, conditions=conditions)
    if measure == "mahalanobis":
        return rdm(patterns.mean(axis=0), "mahalanobis", precision)
    return crossnobis(np.moveaxis(patterns, 0, -3), precision)


def _centred(patterns: np.ndarray) -> np.ndarray:
    values = np.asarray(patterns, np.float64)
    return values - values.mean(axis=-2, keepdims=True)
