"""Scores of the same networks in many studies at once: the means that :func:`rsa.evaluate_best_layers` gives for each alone.

What depends on the networks is worked out once a fold, not once a study, and every RDM of a study is sorted once for all folds.
"""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Bool, Float

from bioplausible.foundation.errors import InputError
from rsa import kendall
from rsa.chosen_layers import Fold, all_folds
from rsa.comparators import COMPARATORS
from rsa.flexible import varies_in_fold
from rsa.pairs import condition_count
from rsa.score_vectors import centred_ranks, has_vectors, score_vectors
from rsa.subset_ranks import Sorted, sorted_rdms, subset_midranks

__all__ = ["best_layer_means", "layer_means"]


def _sums(ours: np.ndarray, theirs: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Inner products with the sum of the vectors of each group of subjects, (n_studies, n_people, n_models)."""
    by_study = theirs.reshape(-1, people.shape[1], theirs.shape[1])
    return np.asarray((people.astype(np.float64) @ by_study) @ ours.T)


def _kendall_sums(models: np.ndarray, data: np.ndarray, people: np.ndarray) -> np.ndarray:
    """The same of tau-a, which is no inner product."""
    scores = kendall.score(kendall.prepare(models), kendall.prepare(data), np.ones(models.shape[1]))
    return np.asarray(people.astype(np.float64) @ scores.T.reshape(-1, people.shape[1], len(models)))


def _parts(
    fold: Fold, models: np.ndarray | Sorted, data: np.ndarray | Sorted, people: np.ndarray, comparator: str
) -> list[np.ndarray]:
    """Sums of scores over the subjects of each group, over the pairs that are fitted and those that are scored."""
    if isinstance(models, Sorted) and isinstance(data, Sorted):
        part = np.where(fold.fitted, 0, np.where(fold.scored, 1, 2))
        ours, theirs = (subset_midranks(each, part, 3) for each in (models, data))
        return [
            _sums(centred_ranks(ours[:, pairs]), centred_ranks(theirs[:, pairs]), people) for pairs in (fold.fitted, fold.scored)
        ]
    if has_vectors(comparator):
        return [
            _sums(score_vectors(models[:, pairs], comparator), score_vectors(data[:, pairs], comparator), people)
            for pairs in (fold.fitted, fold.scored)
        ]
    return [_kendall_sums(models[:, pairs], data[:, pairs], people) for pairs in (fold.fitted, fold.scored)]


def _varying(fold: Fold, models: np.ndarray, groups: Sequence[Sequence[int]], centred: bool) -> Bool[np.ndarray, " n_models"]:
    """Layers that can be chosen in a fold."""
    there = varies_in_fold(models[:, fold.fitted], centred) & varies_in_fold(models[:, fold.scored], centred)
    for network, group in enumerate(groups):
        if not there[list(group)].any():
            raise InputError(
                f"all layers of network {network} are constant over the {int(fold.scored.sum())} pairs of a fold: leave the "
                "network out, or take fewer folds"
            )
    return there


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
    flat = data_rdms.reshape(-1, n_pairs)
    ranked = comparator == "spearman"
    models, data = (sorted_rdms(model_rdms), sorted_rdms(flat)) if ranked else (model_rdms, flat)
    means = np.zeros((n_studies, len(groups)))
    share = 1 / (n_condition_folds * n_partitions * n_subjects)
    n_conditions = condition_count(n_pairs)
    for fold, folds in all_folds(key, n_conditions, n_subjects, n_condition_folds, n_subject_folds, n_partitions):
        there = _varying(fold, model_rdms, groups, COMPARATORS[comparator].centred)
        people = np.stack(folds)
        fitted, scored = _parts(fold, models, data, people, comparator)
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
    flat, everybody = data_rdms.reshape(-1, n_pairs), np.ones((1, n_subjects))
    if has_vectors(comparator):
        sums = _sums(score_vectors(model_rdms, comparator), score_vectors(flat, comparator), everybody)
    else:
        sums = _kendall_sums(model_rdms, flat, everybody)
    return np.asarray(sums[:, 0] / n_subjects)
