r"""Models with something to fit: the best of several layers, and their weighted sum, scored where they were not fitted.

A layer that is chosen by its score, or weights that are fitted to the data, fit the noise too: of twenty layers that are noise the
best scores well above zero. Here stimuli and subjects are split into folds; what is chosen or fitted on one part is scored on the
other, on pairs whose stimuli are both new and on subjects who are new (Storrs et al. 2021, doi:10.1162/jocn_a_01755; Schütt et
al. 2023, doi:10.7554/eLife.82566). Pairs of one new and one old stimulus belong to neither part.

Weights are not negative: a sum of squared distances in layers that are put side by side and scaled is such a sum of their RDMs
(Khaligh-Razavi and Kriegeskorte 2014, doi:10.1371/journal.pcbi.1003915).
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Real
from scipy.optimize import nnls

from rsa.checks import check_rdms, check_same_pairs, check_varies, find_comparator
from rsa.comparison import compare
from rsa.errors import InputError
from rsa.pairs import Array, condition_count
from rsa.precision import in_double_precision

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


def _standardised(rdms: np.ndarray, comparator: str) -> np.ndarray:
    """RDMs on the scale on which subjects are averaged, for a least-squares fit."""
    centred = rdms if comparator.endswith("cosine") else rdms - rdms.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.linalg.norm(centred, axis=1, keepdims=True))


def _weigh(models: np.ndarray, data: np.ndarray, comparator: str) -> np.ndarray:
    target = _standardised(data, comparator).mean(axis=0)
    centred = models if comparator.endswith("cosine") else models - models.mean(axis=1, keepdims=True)
    return np.asarray(nnls(centred.T, target)[0])


def _folds(key: jax.Array, n: int, n_folds: int) -> list[Bool[np.ndarray, " n"]]:
    """Members of each fold, as equal in number as can be."""
    order = np.asarray(jax.random.permutation(key, n))
    fold = np.empty(n, dtype=np.int64)
    fold[order] = np.arange(n) % n_folds
    return [fold == index for index in range(n_folds)]


def _splits(
    key: jax.Array, n_conditions: int, n_subjects: int, n_condition_folds: int, n_subject_folds: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs and subjects to fit on, pairs and subjects to score."""
    first, second = np.triu_indices(n_conditions, 1)
    of_conditions, of_subjects = jax.random.split(key)
    for new in _folds(of_conditions, n_conditions, n_condition_folds):
        fitted, scored = ~new[first] & ~new[second], new[first] & new[second]
        for others in _folds(of_subjects, n_subjects, n_subject_folds):
            yield fitted, ~others, scored, others


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
    find_comparator(comparator)
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
    sums, weights = np.zeros(n_subjects), []
    for fitted, known, scored, new in _splits(key, n_conditions, n_subjects, n_condition_folds, n_subject_folds):
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

    The fit is by least squares to the mean of the subjects' standardised RDMs, whatever the comparator; what is scored by
    cosines is not centred.

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


@in_double_precision
def partition_variance(
    model_rdms: Mapping[str, Real[Array, "..."]], data_rdms: Real[Array, "n_subjects n_pairs"]
) -> dict[tuple[str, ...], Float[np.ndarray, " n_subjects"]]:
    """Part the variance of each subject's RDM that sets of layers explain into what each explains alone and what they share.

    Parameters
    ----------
    model_rdms
        Name -> condensed RDMs of one set, shape (n_layers, n_pairs): the layers of a rule, say. Two or three sets.
    data_rdms
        Condensed RDMs, shape (n_subjects, n_pairs).

    Returns
    -------
    For every combination of names, the share of variance that just these explain in common, shape (n_subjects,). Shares add up to
    what all explain together. They come from non-negative least squares on the data themselves: more layers explain more, and a
    share of what is common may be negative where one set hides another.

    Raises
    ------
    InputError
        For one set or more than three, and as :func:`rsa.compare` does.

    Reference: commonality analysis of RDMs, as in Groen et al. 2018, doi:10.7554/eLife.32962.
    """
    names = list(model_rdms)
    if not 2 <= len(names) <= 3:
        raise InputError(f"{len(names)} sets of layers were given: variance is parted between two or three")
    data = check_rdms(data_rdms, "data")
    sets = {name: check_rdms(rdms, f"'{name}'") for name, rdms in model_rdms.items()}
    for rdms in sets.values():
        check_same_pairs(rdms, data)
    centred = data - data.mean(axis=1, keepdims=True)
    total = np.square(centred).sum(axis=1)
    explained: dict[tuple[str, ...], np.ndarray] = {(): np.zeros(len(data))}
    for size in range(1, len(names) + 1):
        for chosen in combinations(names, size):
            columns = np.concatenate([sets[name] for name in chosen])
            columns = (columns - columns.mean(axis=1, keepdims=True)).T
            explained[chosen] = np.array(
                [1 - nnls(columns, each)[1] ** 2 / whole for each, whole in zip(centred, total, strict=True)]
            )
    every = tuple(names)
    parts: dict[tuple[str, ...], np.ndarray] = {}
    for size in range(1, len(names) + 1):
        for chosen in combinations(names, size):
            rest = tuple(name for name in names if name not in chosen)
            # What all explain beyond the rest, less what smaller combinations explain of it alone.
            beyond = explained[every] - explained[rest]
            inner = [parts[each] for k in range(1, size) for each in combinations(chosen, k)]
            parts[chosen] = beyond - sum(inner, np.zeros(len(data)))
    return parts


__all__ = ["FlexibleScore", "best_layer", "partition_variance", "weighted_layers"]
