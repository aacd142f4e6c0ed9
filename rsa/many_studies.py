"""Scores of the same networks in many studies at once: the means that :func:`rsa.evaluate_best_layers` gives for each alone.

What depends on the networks is worked out once a fold, not once a study, and every RDM of a study is sorted once for all folds.
"""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float

from rsa import kendall
from rsa.chosen_layers import Fold, all_folds, varying_layers
from rsa.comparators import COMPARATORS
from rsa.pairs import condition_count
from rsa.score_vectors import has_vectors, rho_a_divisor, score_vectors
from rsa.subset_ranks import Sorted, sorted_rdms, subset_midranks

__all__ = ["best_layer_means", "layer_means"]


def _summed(vectors: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Sums of vectors (n_studies x n_subjects, length) over each group of subjects, (n_studies x n_groups, length)."""
    by_study = vectors.reshape(-1, people.shape[1], vectors.shape[1])
    return np.stack([by_study[:, group].sum(axis=1) for group in people.astype(bool)], axis=1).reshape(-1, vectors.shape[1])


def _kendall_sums(models: np.ndarray, data: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Sums of tau-a, which is no inner product, (n_studies x n_groups, n_models)."""
    scores = kendall.score(kendall.prepare(models), kendall.prepare(data), np.ones(models.shape[1]))
    return _summed(np.ascontiguousarray(scores.T), people)


def _sums(models: np.ndarray, data: np.ndarray, people: np.ndarray, comparator: str) -> np.ndarray:
    """Sums of scores over the subjects of each group, (n_studies x n_groups, n_models)."""
    if not has_vectors(comparator):
        return _kendall_sums(models, data, people)
    return np.asarray(_summed(score_vectors(data, comparator), people) @ score_vectors(models, comparator).T)


def _rho_a_sums(models: np.ndarray, sums: np.ndarray, n_summed: np.ndarray) -> np.ndarray:
    """Sums of rho-a, of models' ranks with sums of so many subjects' ranks. What is centred on one side is so in the product."""
    n_pairs = models.shape[1]
    centred = sums - n_summed[:, None] * ((n_pairs + 1) / 2)
    return np.asarray(centred @ models.T / rho_a_divisor(n_pairs))


def _ranked_sums(fold: Fold, models: Sorted, data: Sorted, people: np.ndarray) -> list[np.ndarray]:
    """The same of rho-a over the pairs that are fitted and those that are scored, from one walk through the sorted entries."""
    n_groups, n_subjects = people.shape
    study = np.arange(len(data.order) // n_subjects)
    group = (study[:, None] * n_groups + people.argmax(axis=0)).ravel()
    n_summed = np.tile(people.sum(axis=1).astype(np.float64), len(study))
    subsets = [np.flatnonzero(pairs) for pairs in (fold.fitted, fold.scored)]
    ours, theirs = subset_midranks(models, subsets), subset_midranks(data, subsets, group)
    return [_rho_a_sums(ranks, sums, n_summed) for ranks, sums in zip(ours, theirs, strict=True)]


def best_layer_means(
    key: jax.Array,
    model_rdms: Float[np.ndarray, "n_models n_pairs"],
    groups: Sequence[Sequence[int]],
    data_rdms: Float[np.ndarray, "n_studies n_subjects n_pairs"],
    comparator: str,
    n_condition_folds: int,
    n_subject_folds: int,
    n_partitions: int,
) -> Float[np.ndarray, "n_studies n_networks"]:
    """Mean score over subjects of each network's best layer, chosen where it is not scored, in each study.

    Parameters
    ----------
    key, model_rdms, groups, comparator, n_condition_folds, n_subject_folds, n_partitions
        As :func:`rsa.evaluate_best_layers` takes them; all studies share the folds.
    data_rdms
        Condensed RDMs, (n_studies, n_subjects, n_pairs), none of them constant.

    Raises
    ------
    InputError
        For a network all of whose layers are constant in a fold.
    """
    n_studies, n_subjects, n_pairs = data_rdms.shape
    data = data_rdms.reshape(-1, n_pairs)
    ranked = [sorted_rdms(each) for each in (model_rdms, data)] if comparator == "spearman" else []
    means = np.zeros((n_studies, len(groups)))
    share = 1 / (n_condition_folds * n_partitions * n_subjects)
    n_conditions = condition_count(n_pairs)
    for fold, folds in all_folds(key, n_conditions, n_subjects, n_condition_folds, n_subject_folds, n_partitions):
        there = varying_layers(fold, model_rdms, groups, COMPARATORS[comparator].centred)
        people = np.stack(folds)
        if ranked:
            sums = _ranked_sums(fold, ranked[0], ranked[1], people)
        else:
            sums = [_sums(model_rdms[:, pairs], data[:, pairs], people, comparator) for pairs in (fold.fitted, fold.scored)]
        fitted, scored = (each.reshape(n_studies, len(people), -1) for each in sums)
        # Chosen by the other subjects; the only one has none.
        n_known = (n_subjects - people.sum(axis=1)) if n_subjects > 1 else np.ones(1)
        known = (fitted.sum(axis=1, keepdims=True) - fitted if n_subjects > 1 else fitted) / n_known[:, None]
        known[:, :, ~there] = -np.inf
        for network, group in enumerate(groups):
            layers = np.asarray(group)
            best = layers[known[:, :, layers].argmax(axis=2)]
            means[:, network] += share * np.take_along_axis(scored, best[:, :, None], axis=2).sum(axis=(1, 2))
    return means


def layer_means(
    model_rdms: Float[np.ndarray, "n_models n_pairs"],
    data_rdms: Float[np.ndarray, "n_studies n_subjects n_pairs"],
    comparator: str,
) -> Float[np.ndarray, "n_studies n_models"]:
    """Mean score over subjects of every model over all pairs, in each study.

    Parameters
    ----------
    model_rdms
        Condensed RDMs, (n_models, n_pairs).
    data_rdms
        Condensed RDMs, (n_studies, n_subjects, n_pairs).
    comparator
        One of :data:`rsa.COMPARATORS`.
    """
    n_subjects, n_pairs = data_rdms.shape[1:]
    return _sums(model_rdms, data_rdms.reshape(-1, n_pairs), np.ones((1, n_subjects)), comparator) / n_subjects
