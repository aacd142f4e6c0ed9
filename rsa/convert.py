"""RDMs and patterns to and from rsatoolbox, whose containers and plots others use."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Real

from bioplausible.foundation.errors import InputError, unknown_name
from rsa.pairs import Array, condition_count

if TYPE_CHECKING:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import RDMs


def from_rsatoolbox(rdms: "RDMs") -> Float[np.ndarray, "n_rdms n_pairs"]:
    """Take the dissimilarities out of an rsatoolbox ``RDMs`` object.

    Parameters
    ----------
    rdms
        Any number of RDMs over the same conditions.

    Returns
    -------
    Condensed RDMs, shape (n_rdms, n_pairs), in the object's own order of conditions.

    Raises
    ------
    InputError
        When something other than rsatoolbox RDMs is given.
    """
    if not hasattr(rdms, "get_vectors"):
        raise InputError(
            f"rsatoolbox RDMs are expected and {type(rdms).__name__} was given: arrays need no conversion, and patterns "
            "become RDMs with rsa.rdm"
        )
    return np.array(rdms.get_vectors(), dtype=np.float64)


def to_rsatoolbox(
    array: Real[Array, "n_rdms n_pairs"],
    names: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    distance: str | None = None,
) -> "RDMs":
    """Wrap condensed RDMs as rsatoolbox ``RDMs``.

    Parameters
    ----------
    array
        Condensed RDMs, shape (n_rdms, n_pairs).
    names
        One name per RDM, kept as the descriptor ``name``.
    conditions
        One name per condition, kept as the descriptor ``condition``.
    distance
        What the dissimilarities are, kept as rsatoolbox's ``dissimilarity_measure``.

    Returns
    -------
    rsatoolbox.rdm.RDMs

    Raises
    ------
    InputError
        When the number of names or conditions does not fit the array.

    >>> to_rsatoolbox(np.array([[1.0, 2.0, 3.0]]), names=["pixels"]).n_cond
    3
    """
    from rsatoolbox.rdm import RDMs

    values = np.array(array, dtype=np.float64)
    if values.ndim != 2:
        raise InputError(f"the RDMs have shape {values.shape}, but rsatoolbox holds (n_rdms, n_pairs): put batch axes on one axis")
    n_conditions = condition_count(values.shape[1])
    for given, expected, what in ((names, len(values), "RDM"), (conditions, n_conditions, "condition")):
        if given is not None and len(given) != expected:
            raise InputError(f"{len(given)} names were given for {expected} {what}s: give one name per {what}")
    return RDMs(
        values,
        dissimilarity_measure=distance,
        rdm_descriptors=None if names is None else {"name": list(names)},
        pattern_descriptors=None if conditions is None else {"condition": list(conditions)},
    )


class DatasetPatterns(NamedTuple):
    """Patterns of a dataset, and what their axes are.

    patterns: (n_runs, n_conditions, n_channels), NaN where a run did not show a condition; without runs, (n_conditions,
    n_channels). conditions, runs: their names in that order, which is of first appearance; runs are empty without any.
    """

    patterns: Float[np.ndarray, "*runs n_conditions n_channels"]
    conditions: list[object]
    runs: list[object]


def dataset_to_rsatoolbox(
    patterns: Real[Array, "*runs n_conditions n_channels"],
    conditions: Sequence[object] | None = None,
    runs: Sequence[object] | None = None,
    channels: Sequence[object] | None = None,
) -> "Dataset":
    """Wrap patterns as an rsatoolbox ``Dataset``, one observation for each run and condition.

    Parameters
    ----------
    patterns
        Shape (n_runs, n_conditions, n_channels) or (n_conditions, n_channels). What is NaN in all channels was not
        measured, and is left out.
    conditions, runs, channels
        Names, kept as the descriptors ``condition``, ``run`` and ``channel``; by default numbers from zero.

    Returns
    -------
    rsatoolbox.data.Dataset
        ``calc_rdm(dataset, "crossnobis", "condition", cv_descriptor="run")`` is then :func:`rsa.crossnobis`, but with its
        conditions sorted by name, as ``calc_rdm`` always sorts them.

    Raises
    ------
    InputError
        When names do not fit the patterns, or patterns have other axes.

    >>> dataset_to_rsatoolbox(np.ones((2, 3, 4)), conditions=["cat", "dog", "eel"]).n_obs
    6
    """
    from rsatoolbox.data import Dataset

    values = np.array(patterns, dtype=np.float64)
    if values.ndim not in (2, 3):
        raise InputError(
            f"the patterns have shape {values.shape}, but a dataset holds ([n_runs,] n_conditions, n_channels): convert one "
            "subject at a time"
        )
    if values.ndim == 2 and runs is not None:
        raise InputError(
            f"names of runs were given for patterns without an axis of runs, of shape {values.shape}: give (n_runs, "
            "n_conditions, n_channels)"
        )
    n_runs, n_conditions, n_channels = (1, *values.shape)[-3:]
    names = {}
    for what, given, expected in (
        ("condition", conditions, n_conditions),
        ("run", runs, n_runs),
        ("channel", channels, n_channels),
    ):
        if given is not None and len(given) != expected:
            raise InputError(f"{len(given)} names were given for {expected} {what}s: give one name per {what}")
        names[what] = np.arange(expected) if given is None else np.asarray(given)
    flat = values.reshape(-1, n_channels)
    measured = ~np.isnan(flat).all(axis=1)
    observations = {"condition": np.tile(names["condition"], n_runs)[measured]}
    if values.ndim == 3:
        observations["run"] = np.repeat(names["run"], n_conditions)[measured]
    return Dataset(flat[measured], obs_descriptors=observations, channel_descriptors={"channel": names["channel"]})


def from_rsatoolbox_dataset(dataset: "Dataset", condition: str = "condition", run: str | None = None) -> DatasetPatterns:
    """Take patterns out of an rsatoolbox ``Dataset``, observations of the same condition averaged.

    Parameters
    ----------
    dataset
        Observations by channels.
    condition
        Observation descriptor that names the conditions.
    run
        Observation descriptor that names the runs; without it all observations of a condition are averaged.

    Returns
    -------
    DatasetPatterns
        ``patterns`` go into :func:`rsa.rdm`, or with runs into :func:`rsa.crossnobis`.

    Raises
    ------
    InputError
        When something other than a dataset is given, or it has no such descriptor.
    """
    if not hasattr(dataset, "obs_descriptors") or np.ndim(dataset.measurements) != 2:
        raise InputError(
            f"an rsatoolbox Dataset of observations by channels is expected and {type(dataset).__name__} was given: take "
            "one time of a TemporalDataset with subset_time and time_as_observations"
        )
    for name in (condition, run):
        if name is not None and name not in dataset.obs_descriptors:
            raise unknown_name("observation descriptor", name, dataset.obs_descriptors)
    measurements = np.asarray(dataset.measurements, dtype=np.float64)
    labels = np.asarray(dataset.obs_descriptors[condition])
    folds = np.zeros(len(labels), dtype=int) if run is None else np.asarray(dataset.obs_descriptors[run])
    conditions, runs = (list(dict.fromkeys(given.tolist())) for given in (labels, folds))
    patterns = np.full((len(runs), len(conditions), measurements.shape[1]), np.nan)
    for i, fold in enumerate(runs):
        for j, label in enumerate(conditions):
            chosen = (folds == fold) & (labels == label)
            if chosen.any():
                patterns[i, j] = measurements[chosen].mean(axis=0)
    return DatasetPatterns(patterns[0], conditions, []) if run is None else DatasetPatterns(patterns, conditions, runs)


__all__ = ["DatasetPatterns", "dataset_to_rsatoolbox", "from_rsatoolbox", "from_rsatoolbox_dataset", "to_rsatoolbox"]
