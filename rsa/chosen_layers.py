"""The best layer of each of several networks, chosen on other stimuli and subjects than it is scored on, with intervals.

In every fold the layer is chosen first, and what is left to chance is what it scores on stimuli and subjects that had no part in
the choice. These are drawn with replacement, as by :func:`rsa.evaluate`, so that a difference of two networks holds for other
stimuli too. (Scores of folds alone hold for these stimuli: of simulated studies of two networks that are alike, with four layers,
fifteen subjects and five seeds, 47 % had p < .05 without stimuli drawn.) One partition of the stimuli is a choice of its own:
scores are means over several, on the same draws. The variance is that of these choices of layers; how often another sample would
have led to other choices is not in it.

Storrs et al. 2021, doi:10.1162/jocn_a_01755; Schütt et al. 2023, doi:10.7554/eLife.82566.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Int, Real

from bioplausible.foundation.errors import InputError
from rsa import missing
from rsa.bootstrap import bootstrap_counts
from rsa.ceilings import NoiseCeiling
from rsa.checks import check_rdms, check_same_pairs, find_comparator
from rsa.comparators import Comparator
from rsa.flexible import check_splits, check_varies_in_fold, folds, varies_in_fold
from rsa.inference import (
    MINIMUM_CONDITIONS_FOR_DRAWS,
    MINIMUM_DISTINCT_CONDITIONS,
    Evaluation,
    Resampled,
    not_resampled,
    summed_up,
)
from rsa.pairs import Array, condition_count
from rsa.partial import partial_compare
from rsa.partial_inference import partial_draws
from rsa.precision import in_double_precision

__all__ = ["BestLayers", "Fold", "all_folds", "evaluate_best_layers", "known_subjects", "varying_layers"]


class BestLayers(NamedTuple):
    """Scores of each network's best layer.

    evaluation: its models are the networks; as :func:`rsa.evaluate` gives it, without a null distribution and a ceiling. chosen:
    for each network in how many of the folds each of its layers was chosen, (n_layers,).
    """

    evaluation: Evaluation
    chosen: list[np.ndarray]


class Fold(NamedTuple):
    """Stimuli that are scored, and the pairs that layers are chosen and scored on."""

    new: np.ndarray
    fitted: np.ndarray
    scored: np.ndarray


class _Held(NamedTuple):
    """What all folds share."""

    measure: Comparator
    comparator: str
    models: np.ndarray
    data: np.ndarray
    covariates: np.ndarray | None
    groups: list[list[int]]


def all_folds(
    key: jax.Array, n_conditions: int, n_subjects: int, n_condition_folds: int = 3, n_subject_folds: int = 2, n_partitions: int = 4
) -> Iterator[tuple[Fold, list[np.ndarray]]]:
    """Every fold of stimuli in every partition, with the folds of subjects (n_subjects,) of that partition."""
    first, second = np.triu_indices(n_conditions, 1)
    for each in jax.random.split(jax.random.split(key)[1], n_partitions):
        of_conditions, of_subjects = jax.random.split(each)
        people = folds(of_subjects, n_subjects, n_subject_folds) if n_subjects > 1 else [np.ones(1, bool)]
        for new in folds(of_conditions, n_conditions, n_condition_folds):
            yield Fold(np.flatnonzero(new), ~new[first] & ~new[second], new[first] & new[second]), people


def known_subjects(new: np.ndarray) -> np.ndarray:
    """Whom a layer is chosen by that is scored with the new ones: the others, or the only subject itself."""
    return np.flatnonzero(~new) if len(new) > 1 else np.array([0])


def varying_layers(fold: Fold, models: np.ndarray, groups: Sequence[Sequence[int]], centred: bool) -> Bool[np.ndarray, " n_models"]:
    """Layers that tell stimuli apart in both parts of a fold: the others cannot be chosen there; a network needs one."""
    there = varies_in_fold(models[:, fold.fitted], centred) & varies_in_fold(models[:, fold.scored], centred)
    for network, group in enumerate(groups):
        if not there[list(group)].any():
            raise InputError(
                f"all layers of network {network} are constant over the {int(fold.scored.sum())} pairs of a fold: leave the "
                "network out, or take fewer folds"
            )
    return there


def _scores(held: _Held, pairs: np.ndarray, models: np.ndarray, subjects: np.ndarray) -> np.ndarray:
    """Scores of some models with some subjects over some pairs."""
    ours, theirs = held.models[np.ix_(models, pairs)], held.data[np.ix_(subjects, pairs)]
    if held.covariates is not None:
        return np.asarray(partial_compare(ours, theirs, held.covariates[:, pairs], held.comparator))
    return missing.score(held.measure, missing.prepare(held.measure, ours), missing.prepare(held.measure, theirs))


def _choices(held: _Held, fold: Fold, known: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Of each network the layer that scores highest with the known subjects, by its index among all models."""
    models = np.flatnonzero(there)
    seen = np.full(len(held.models), -np.inf)
    seen[models] = _scores(held, fold.fitted, models, known).mean(axis=1)
    return np.array([group[int(np.argmax(seen[group]))] for group in held.groups])


def _resampled(held: _Held, fold: Fold, models: np.ndarray, counts: Int[np.ndarray, "n_draws n_new"]) -> tuple[np.ndarray, ...]:
    """Draws and jackknife of some models within a fold, (n_draws | n_new, n_models, n_subjects)."""
    ours, theirs = held.models[np.ix_(models, fold.scored)], held.data[:, fold.scored]
    if held.covariates is not None:
        return partial_draws(ours, theirs, held.covariates[:, fold.scored], held.comparator, counts)
    prepared, data = missing.prepare(held.measure, ours), missing.prepare(held.measure, theirs)
    draws = missing.draw_scores(held.measure, prepared, data, counts)
    draws[(counts > 0).sum(axis=1) < MINIMUM_DISTINCT_CONDITIONS] = np.nan
    return draws, missing.jackknife_scores(held.measure, prepared, data)


def _in_few_sizes(indices: np.ndarray, most: int) -> np.ndarray:
    """Indices with the last one repeated, so that folds that need about as many share what is compiled for that number."""
    power = 1 << (len(indices) - 1).bit_length()
    size = min(power * 3 // 4 if len(indices) <= power * 3 // 4 else power, most)
    return np.concatenate([indices, np.full(max(0, size - len(indices)), indices[-1])])


@in_double_precision
def evaluate_best_layers(
    key: jax.Array,
    model_rdms: Real[Array, "n_models n_model_pairs"],
    groups: Sequence[Sequence[int]],
    data_rdms: Real[Array, "n_subjects n_pairs"],
    comparator: str = "spearman",
    n_draws: int = 1000,
    confidence: float = 0.95,
    covariate_rdms: Real[Array, "n_covariates n_covariate_pairs"] | None = None,
    n_condition_folds: int = 3,
    n_subject_folds: int = 2,
    n_partitions: int = 4,
) -> BestLayers:
    """Score the best layer of each network, chosen on other stimuli and subjects than it is scored on.

    Parameters
    ----------
    key
        JAX random key of folds and draws; all networks share them.
    model_rdms
        Condensed RDMs of all layers of all networks, shape (n_models, n_pairs).
    groups
        For each network which of them are its layers.
    data_rdms
        Condensed RDMs, shape (n_subjects, n_pairs). A single subject's layers are chosen on its own responses to other stimuli.
    comparator
        As in :func:`rsa.compare`; with covariates "pearson" or "spearman".
    n_draws
        Bootstrap draws of the stimuli; zero gives scores alone.
    confidence
        Coverage of the intervals.
    covariate_rdms
        Taken out of layers and data, as by :func:`rsa.partial_compare`, where layers are chosen and where they are scored.
    n_condition_folds, n_subject_folds
        Into how many parts stimuli and subjects are split.
    n_partitions
        How often they are split anew; scores are means over all folds of all partitions.

    Returns
    -------
    BestLayers
        Whose evaluation has draws of single subjects, for :func:`rsa.generalise_evaluation`. Where folds are smaller than six
        stimuli it has none. Layers that are constant over the pairs of a fold are not chosen there.

    Raises
    ------
    InputError
        As :func:`rsa.compare` does, for too few stimuli or subjects to split, a network without layers, and one all of whose layers
        are constant in a fold.
    """
    if not groups or not all(len(group) for group in groups):
        raise InputError("there is a network without layers to choose from: give at least one index for each")
    models, data = check_rdms(model_rdms, "model"), check_rdms(data_rdms, "data")
    check_same_pairs(models, data)
    n_conditions, n_subjects = condition_count(models.shape[1]), len(data)
    check_splits(n_conditions, max(n_subjects, 2), n_condition_folds, n_subject_folds)
    covariates = None if covariate_rdms is None else check_rdms(covariate_rdms, "covariate")
    held = _Held(find_comparator(comparator), comparator, models, data, covariates, [list(group) for group in groups])
    if n_conditions // n_condition_folds < MINIMUM_CONDITIONS_FOR_DRAWS:
        n_draws = 0
    counts = bootstrap_counts(jax.random.split(key)[0], n_draws, n_conditions) if n_draws else np.empty((0, n_conditions), np.int64)
    scores = np.zeros((len(held.groups), n_subjects))
    # Summed up over folds: by how much a draw, and leaving a stimulus out, moves a score.
    moved, jackknife = np.zeros((n_draws, *scores.shape)), np.zeros((n_conditions, *scores.shape))
    n_moved = np.zeros(moved.shape, dtype=int)
    chosen = [np.zeros(len(group), int) for group in held.groups]
    share = 1 / (n_partitions * n_condition_folds)
    for fold, people in all_folds(key, n_conditions, n_subjects, n_condition_folds, n_subject_folds, n_partitions):
        for pairs in (fold.fitted, fold.scored):
            check_varies_in_fold(data[:, pairs], "data", held.measure.centred)
        there = varying_layers(fold, held.models, held.groups, held.measure.centred)
        # (n_networks, n_subjects): which layer stands for a network where a subject is scored.
        layers = np.empty(scores.shape, dtype=int)
        for new in people:
            found = _choices(held, fold, known_subjects(new), there)
            layers[:, new] = found[:, None]
            for count, group, best in zip(chosen, held.groups, found, strict=True):
                count[group.index(best)] += 1
        needed, place = np.unique(layers, return_inverse=True)
        needed = _in_few_sizes(needed, len(models))
        taken = (place.reshape(layers.shape), np.arange(n_subjects))
        within = _scores(held, fold.scored, needed, np.arange(n_subjects))[taken]
        scores += share * within
        if n_draws:
            drawn, left_out = _resampled(held, fold, needed, counts[:, fold.new])
            by = drawn[:, *taken] - within
            n_moved += np.isfinite(by)
            moved += np.nan_to_num(by)
            jackknife[fold.new] += share * (left_out[:, *taken] - within)
    none = NoiseCeiling(np.float64(np.nan), np.float64(np.nan), "scores of folds have no noise ceiling of their own")
    resampled = not_resampled(n_conditions, *scores.shape)
    if n_draws:
        # A draw that leaves a fold without a score is known from the others, if these are half of them at least.
        draws = np.where(2 * share * n_moved >= 1, scores + moved / np.maximum(n_moved, 1), np.nan)
        resampled = Resampled(draws, jackknife + scores, np.empty((0, len(scores))))
    return BestLayers(summed_up(scores, resampled, none, comparator, confidence, True), chosen)
