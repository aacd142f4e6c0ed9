r"""Models with something to fit: the best of several layers, and their weighted sum, scored where they were not fitted.

A layer that is chosen by its score, or weights that are fitted to the data, fit the noise too: of twenty layers that are noise the
best scores well above zero. Here stimuli and subjects are split into folds; what is chosen or fitted on one part is scored on the
other, on pairs whose stimuli are both new and on subjects who are new (Storrs et al. 2021, doi:10.1162/jocn_a_01755; Schütt et
al. 2023, doi:10.7554/eLife.82566). Pairs of one new and one old stimulus belong to neither part.

Weights are not negative: a sum of squared distances in layers that are put side by side and scaled is such a sum of their RDMs
(Khaligh-Razavi and Kriegeskorte 2014, doi:10.1371/journal.pcbi.1003915).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Real
from scipy.optimize import nnls

from bioplausible.foundation.errors import InputError
from rsa.checks import check_rdms, check_same_pairs, check_varies, find_comparator
from rsa.comparison import compare
from rsa.pairs import Array, condition_count, to_square
from rsa.precision import CONSTANT_TOLERANCE, in_double_precision

# A fold of fewer stimuli has too few pairs to rank.
MINIMUM_FOLD = 4


class FlexibleScore(NamedTuple):
    """What a fitted model scores where it was not fitted.

    scores: (n_subjects,), each the mean over folds of stimuli. mean: over subjects.
    weights: (n_folds, n_layers), what was fitted in each fold; one-hot where a layer was chosen. naive: what the same fit scores on
    the data that it was fitted to, for comparison alone.
    """

    scores: np.ndarray
    mean: float
    weights: np.ndarray
    naive: float


Fit = Callable[[np.ndarray, np.ndarray, str], np.ndarray]


def _choose(models: np.ndarray, data: np.ndarray, comparator: str) -> np.ndarray:
    best = int(np.argmax(compare(models, data, comparator).mean(axis=1)))
    return np.eye(len(models))[best]


def as_vectors(rdms: np.ndarray, comparator: str) -> np.ndarray:
    """RDMs as vectors whose cosine is the comparator's score, or for ranks Pearson's."""
    centred = rdms if comparator.endswith("cosine") else rdms - rdms.mean(axis=1, keepdims=True)
    if not comparator.startswith("whitened"):
        return centred
    square = to_square(centred)
    rows = square.mean(axis=1, keepdims=True)
    return np.asarray(square - rows - rows.swapaxes(1, 2) + rows.mean(axis=2, keepdims=True)).reshape(len(rdms), -1)


def _weigh(models: np.ndarray, data: np.ndarray, comparator: str) -> np.ndarray:
    subjects = as_vectors(data, comparator)
    target = (subjects / np.linalg.norm(subjects, axis=1, keepdims=True)).mean(axis=0)
    return np.asarray(nnls(as_vectors(models, comparator).T, target)[0])


def folds(key: jax.Array, n: int, n_folds: int) -> list[Bool[np.ndarray, " n"]]:
    """Members of each fold, as equal in number as can be.

    Parameters
    ----------
    key
        JAX random key.
    n, n_folds
        How many there are, and into how many folds they go.
    """
    order = np.asarray(jax.random.permutation(key, n))
    fold = np.empty(n, dtype=np.int64)
    fold[order] = np.arange(n) % n_folds
    return [fold == index for index in range(n_folds)]


def splits(
    key: jax.Array, n_conditions: int, n_subjects: int, n_condition_folds: int, n_subject_folds: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Masks of the pairs and subjects to fit on, and of the pairs and subjects to score, for each fold in turn.

    Parameters
    ----------
    key
        Draws the folds.
    n_conditions, n_subjects, n_condition_folds, n_subject_folds
        How many there are, and into how many folds they go.
    """
    first, second = np.triu_indices(n_conditions, 1)
    of_conditions, of_subjects = jax.random.split(key)
    for new in folds(of_conditions, n_conditions, n_condition_folds):
        fitted, scored = ~new[first] & ~new[second], new[first] & new[second]
        for others in folds(of_subjects, n_subjects, n_subject_folds):
            yield fitted, ~others, scored, others


def check_splits(n_conditions: int, n_subjects: int, n_condition_folds: int, n_subject_folds: int) -> None:
    """Refuse folds that stimuli or subjects are too few for."""
    if n_condition_folds < 2 or n_conditions // n_condition_folds < MINIMUM_FOLD:
        raise InputError(
            f"{n_conditions} stimuli in {n_condition_folds} folds were asked for: at least two folds of {MINIMUM_FOLD} stimuli are "
            f"needed, that is {2 * MINIMUM_FOLD} stimuli"
        )
    if not 2 <= n_subject_folds <= n_subjects:
        raise InputError(
            f"{n_subjects} subjects in {n_subject_folds} folds were asked for: at least two subjects are needed, and no more folds "
            "than subjects"
        )


def varies_in_fold(rdms: np.ndarray, centred: bool = True) -> Bool[np.ndarray, " n_rdms"]:
    """Which RDMs (n_rdms, n_pairs) have a score over the pairs of one fold: not constant, or if nothing is centred not zero."""
    largest = np.abs(rdms).max(axis=1)
    return np.asarray(np.ptp(rdms, axis=1) > CONSTANT_TOLERANCE * largest if centred else largest > 0)


def check_varies_in_fold(rdms: np.ndarray, kind: str, centred: bool = True) -> None:
    """Refuse RDMs (n_rdms, n_pairs) that have no score over the pairs of one fold: constant, or if nothing is centred zero."""
    flat = np.flatnonzero(~varies_in_fold(rdms, centred))
    if len(flat):
        raise InputError(
            f"{kind} RDM {flat[0]} is {'constant' if centred else 'zero'} over the {rdms.shape[1]} pairs of a fold: use fewer "
            "n_condition_folds or another key, or leave it out"
        )


def _predicted(weights: np.ndarray, models: np.ndarray, data: np.ndarray, comparator: str) -> np.ndarray:
    """Scores of a weighted sum with each subject; a sum that tells no stimuli apart scores zero."""
    prediction = (weights @ models)[None]
    if np.ptp(prediction) <= 1e-12 * np.abs(prediction).max(initial=0):
        return np.zeros(len(data))
    return np.asarray(compare(prediction, data, comparator)[0])


def _evaluate(
    fit: Fit,
    key: jax.Array,
    model_rdms: object,
    data_rdms: object,
    comparator: str,
    n_condition_folds: int,
    n_subject_folds: int,
) -> FlexibleScore:
    centred = find_comparator(comparator).centred
    models, data = check_rdms(model_rdms, "model"), check_rdms(data_rdms, "data")
    if models.ndim != 2 or data.ndim != 2:
        raise InputError(
            f"layers of shape {models.shape} and data of shape {data.shape} were given, expected (n_layers, n_pairs) and "
            "(n_subjects, n_pairs)"
        )
    check_same_pairs(models, data)
    check_varies(models, "model", comparator)
    check_varies(data, "data", comparator)
    n_conditions, n_subjects = condition_count(models.shape[1]), len(data)
    check_splits(n_conditions, n_subjects, n_condition_folds, n_subject_folds)
    sums, weights = np.zeros(n_subjects), []
    for fitted, known, scored, new in splits(key, n_conditions, n_subjects, n_condition_folds, n_subject_folds):
        for pairs in (fitted, scored):
            check_varies_in_fold(data[:, pairs], "data", centred)
        check_varies_in_fold(models[:, fitted], "model", centred)
        weights.append(fit(models[:, fitted], data[np.ix_(known, fitted)], comparator))
        sums[new] += _predicted(weights[-1], models[:, scored], data[np.ix_(new, scored)], comparator)
    scores = sums / n_condition_folds
    naive = _predicted(fit(models, data, comparator), models, data, comparator)
    return FlexibleScore(scores, float(scores.mean()), np.array(weights), float(naive.mean()))


@in_double_precision
def best_layer(
    key: jax.Array,
    model_rdms: Real[Array, "n_layers n_model_pairs"],
    data_rdms: Real[Array, "n_subjects n_pairs"],
    comparator: str = "spearman",
    n_condition_folds: int = 3,
    n_subject_folds: int = 2,
) -> FlexibleScore:
    """Score the best of several layers, chosen on other stimuli and other subjects than it is scored on.

    Parameters
    ----------
    key
        JAX random key of the folds.
    model_rdms
        Condensed RDMs of the layers, shape (n_layers, n_pairs).
    data_rdms
        Condensed RDMs, shape (n_subjects, n_pairs).
    comparator
        As in :func:`rsa.compare`.
    n_condition_folds, n_subject_folds
        Into how many parts stimuli and subjects are split.

    Returns
    -------
    FlexibleScore
        See its fields.

    Raises
    ------
    InputError
        As :func:`rsa.compare` does, and for too few stimuli or subjects to split.
    """
    return _evaluate(_choose, key, model_rdms, data_rdms, comparator, n_condition_folds, n_subject_folds)


@in_double_precision
def weighted_layers(
    key: jax.Array,
    model_rdms: Real[Array, "n_layers n_model_pairs"],
    data_rdms: Real[Array, "n_subjects n_pairs"],
    comparator: str = "pearson",
    n_condition_folds: int = 3,
    n_subject_folds: int = 2,
) -> FlexibleScore:
    """Score a non-negative sum of layers, fitted on other stimuli and other subjects than it is scored on.

    The fit is by least squares to the mean of the subjects' RDMs, each at unit length in the metric of the comparator. Up to scale
    no other weights have a higher mean score on what was fitted: a cone is nearest to a point where its cosine with it is largest.
    Ranks have no such sum, so for ``"spearman"`` and ``"kendall"`` the weights are those of ``"pearson"``.

    Parameters
    ----------
    key, model_rdms, data_rdms, comparator, n_condition_folds, n_subject_folds
        As in :func:`best_layer`.

    Returns
    -------
    FlexibleScore
        See its fields.

    Raises
    ------
    InputError
        As :func:`best_layer` does.
    """
    return _evaluate(_weigh, key, model_rdms, data_rdms, comparator, n_condition_folds, n_subject_folds)


__all__ = [
    "FlexibleScore",
    "as_vectors",
    "best_layer",
    "check_splits",
    "check_varies_in_fold",
    "folds",
    "splits",
    "varies_in_fold",
    "weighted_layers",
]
