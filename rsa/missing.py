"""Pairs of conditions that were not measured: NaN in an RDM, and weight nought in every score in which it takes part.

Partial designs and arrangements of some objects at a time leave RDMs with holes. Two RDMs are compared over the pairs that both
have; draws of conditions weigh these alone, and a permutation takes the holes with it. RDMs with the same holes are worked out
together, so that complete ones, and designs that all subjects share, cost what they cost without any.

rsatoolbox compares RDMs with the same holes, to the same numbers, and refuses others.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from bioplausible.foundation.errors import InputError
from rsa import comparators
from rsa.checks import check_varies
from rsa.comparators import Comparator
from rsa.pairs import condition_count


class Group(NamedTuple):
    """Models and subjects, by index, whose RDMs have the same pairs in common, and which; None where that is all."""

    models: Int[np.ndarray, " n_models"]
    data: Int[np.ndarray, " n_data"]
    measured: Bool[np.ndarray, " n_pairs"] | None


class Prepared(NamedTuple):
    """RDMs as a comparator prepares them, nought where a pair is missing, and which pairs are not: None where RDMs are complete."""

    rdms: Any
    measured: Bool[np.ndarray, "n_rdms n_pairs"] | None
    n_rdms: int
    n_pairs: int


def prepare(measure: Comparator, rdms: Float[np.ndarray, "n_rdms n_pairs"]) -> Prepared:
    """Prepare RDMs with missing pairs, or without."""
    n_rdms, n_pairs = rdms.shape
    missing = np.isnan(rdms)
    if not missing.any():
        return Prepared(comparators.prepare(measure, rdms), None, n_rdms, n_pairs)
    return Prepared(comparators.prepare(measure, np.where(missing, 0.0, rdms)), ~missing, n_rdms, n_pairs)


def _alike(prepared: Prepared) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Indices of RDMs with the same holes, and the pairs that they have."""
    if prepared.measured is None:
        return [(np.arange(prepared.n_rdms), None)]
    found: dict[bytes, list[int]] = {}
    for index, row in enumerate(prepared.measured):
        found.setdefault(np.packbits(row).tobytes(), []).append(index)
    return [(np.array(each), prepared.measured[each[0]]) for each in found.values()]


def groups(models: Prepared, data: Prepared) -> Iterator[Group]:
    """Models and subjects with the same pairs in common."""
    for of_models, ours in _alike(models):
        for of_data, theirs in _alike(data):
            common = theirs if ours is None else ours if theirs is None else ours & theirs
            yield Group(of_models, of_data, None if common is None or common.all() else common)


def check_common(
    models: Float[np.ndarray, "n_models n_pairs"],
    data: Float[np.ndarray, "n_data n_pairs"],
    comparator: str,
    weights: Float[np.ndarray, " n_pairs"] | None = None,
) -> None:
    """Refuse RDMs that have no score because too few pairs are left that both have, or because one is constant on them.

    Parameters
    ----------
    models, data
        Condensed RDMs with NaN where a pair is missing.
    comparator
        One of :data:`rsa.COMPARATORS`.
    weights
        Of pairs; those of weight zero do not count.

    Raises
    ------
    InputError
        For the first two RDMs that have no score.
    """
    named: list[tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray | None]]]] = []
    for rdms in (models, data):
        missing = np.isnan(rdms)
        named.append((rdms, _alike(Prepared(None, ~missing if missing.any() else None, *rdms.shape))))
    (ours, of_models), (theirs, of_data) = named
    counted = np.ones(models.shape[1]) if weights is None else weights
    for indices, known in of_models:
        for others, known_too in of_data:
            common = counted * (1 if known is None else known) * (1 if known_too is None else known_too)
            if (common > 0).sum() < 2:
                raise InputError(
                    f"model RDM {indices[0]} and data RDM {others[0]} have {int((common > 0).sum())} pairs of conditions in common "
                    "that were measured in both, and at least two are needed: leave one of them out"
                )
            check_varies(ours[indices], "model", comparator, common, names=indices)
            check_varies(theirs[others], "data", comparator, common, names=others)


def _taken(prepared: Prepared, indices: np.ndarray) -> Any:
    """Some of the prepared RDMs."""
    if len(indices) == prepared.n_rdms:
        return prepared.rdms
    return jax.tree.map(lambda leaf: leaf[indices], prepared.rdms)


def _over_common(measure: Comparator, models: Any, data: Any, weights: np.ndarray, measured: np.ndarray | None) -> np.ndarray:
    """Scores over the pairs that were measured."""
    if measured is None:
        return np.asarray(comparators.score(measure, models, data, weights))
    if measure.weighs_pairs:
        return np.asarray(comparators.score(measure, models, data, weights * measured))
    once = np.ones((1, condition_count(len(measured))), dtype=np.int64)
    return comparators.draw_scores(measure, models, data, once, measured)[0]


def score(
    measure: Comparator, models: Prepared, data: Prepared, weights: Float[np.ndarray, " n_pairs"] | None = None
) -> Float[np.ndarray, "n_models n_data"]:
    """Scores of every model with every subject, each over the pairs that both have."""
    scores = np.empty((models.n_rdms, data.n_rdms))
    counted = np.ones(models.n_pairs) if weights is None else weights
    for group in groups(models, data):
        ours, theirs = _taken(models, group.models), _taken(data, group.data)
        scores[np.ix_(group.models, group.data)] = _over_common(measure, ours, theirs, counted, group.measured)
    return scores


def draw_scores(
    measure: Comparator, models: Prepared, data: Prepared, counts: Int[np.ndarray, "n_draws n_conditions"]
) -> Float[np.ndarray, "n_draws n_models n_data"]:
    """Scores under each row of counts of conditions."""
    scores = np.empty((len(counts), models.n_rdms, data.n_rdms))
    for group in groups(models, data):
        ours, theirs = _taken(models, group.models), _taken(data, group.data)
        found = comparators.draw_scores(measure, ours, theirs, counts, group.measured)
        scores[:, group.models[:, None], group.data] = found
    return scores


def jackknife_scores(measure: Comparator, models: Prepared, data: Prepared) -> Float[np.ndarray, "n_conditions n_models n_data"]:
    """Scores without each condition in turn."""
    n_conditions = condition_count(models.n_pairs)
    scores = np.empty((n_conditions, models.n_rdms, data.n_rdms))
    for group in groups(models, data):
        ours, theirs = _taken(models, group.models), _taken(data, group.data)
        found = comparators.jackknife_scores(measure, ours, theirs, n_conditions, group.measured)
        scores[:, group.models[:, None], group.data] = found
    return scores


def null_scores(
    measure: Comparator,
    models: Prepared,
    data: Prepared,
    data_rdms: Float[np.ndarray, "n_data n_pairs"],
    permutations: Int[np.ndarray, "n_draws n_conditions"],
) -> Float[np.ndarray, "n_draws n_models"]:
    """Mean scores over subjects when the data's conditions are permuted, and the missing pairs with them.

    Two RDMs then have other pairs in common in every permutation, so that there is no shortcut: each is scored by itself. NaN
    where a permutation leaves a model and a subject without a score.
    """
    if models.measured is None and data.measured is None:
        return comparators.null_scores(measure, models.rdms, data.rdms, permutations)
    n_conditions = permutations.shape[1]
    first, second = np.triu_indices(n_conditions, 1)
    number = np.zeros((n_conditions, n_conditions), dtype=np.int64)
    number[first, second] = number[second, first] = np.arange(len(first))
    means = np.empty((len(permutations), models.n_rdms))
    ones = np.ones(models.n_pairs)
    for draw, permutation in enumerate(permutations):
        moved = prepare(measure, data_rdms[:, number[permutation[first], permutation[second]]])
        scores = np.full((models.n_rdms, data.n_rdms), np.nan)
        for group in groups(models, moved):
            if group.measured is None or group.measured.sum() > 1:
                ours, theirs = _taken(models, group.models), _taken(moved, group.data)
                scores[np.ix_(group.models, group.data)] = _over_common(measure, ours, theirs, ones, group.measured)
        means[draw] = scores.mean(axis=1)
    return means


__all__ = [
    "Group",
    "Prepared",
    "check_common",
    "draw_scores",
    "groups",
    "jackknife_scores",
    "null_scores",
    "prepare",
    "score",
]
