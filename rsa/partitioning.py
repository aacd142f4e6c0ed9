r"""Variance partitioning: what each of two or three sets of RDMs explains of the data alone, and what they explain together.

With :math:`R^2_T` the share of variance that all RDMs of the sets T explain in one non-negative sum with a constant, the part that
exactly the sets S of all sets A have in common is

.. math:: v_S = \sum_{T \subseteq S} (-1)^{|T| + 1} R^2_{(A \setminus S) \cup T}

so that a set alone has what it adds to all others, and the parts sum to :math:`R^2_A`. A common part may be negative, where one set
takes out of another what hid its relation to the data.

Fitted and explained over the same pairs, R² grows with the number of RDMs of a set, on noise too. Cross-validated, the weights come
from other stimuli and other subjects (:mod:`rsa.flexible`), RDMs are in units of their mean and standard deviation over the fitted
pairs, and R² = 1 - SSE / SST is summed over folds. It is negative where a fit predicts worse than the mean: on noise, slightly so.

References: Mood 1971, doi:10.3102/00028312008002191; Lescroart, Stansbury and Gallant 2015, doi:10.3389/fncom.2015.00135; Groen et
al. 2018, doi:10.7554/eLife.32962 (of RDMs).
"""

from collections.abc import Mapping
from itertools import combinations

import jax
import numpy as np
from jaxtyping import Float, Real
from scipy.optimize import nnls

from bioplausible.foundation.errors import InputError
from rsa.checks import check_rdms, check_same_pairs, check_varies
from rsa.flexible import check_splits, check_varies_in_fold, splits
from rsa.pairs import Array, condition_count
from rsa.precision import in_double_precision

Names = tuple[str, ...]


def _standardised(rdms: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return (rdms - reference.mean(axis=1, keepdims=True)) / reference.std(axis=1, keepdims=True)


def _same_pairs(models: np.ndarray, data: np.ndarray) -> np.ndarray:
    """R² of each subject's own fit."""
    design, targets = _standardised(models, models).T, _standardised(data, data)
    return np.array([1 - nnls(design, target)[1] ** 2 / np.square(target).sum() for target in targets])


def _other_pairs(
    models: np.ndarray, data: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]
) -> np.ndarray:
    """R² of each subject by weights from other stimuli and subjects."""
    errors, totals = np.zeros(len(data)), np.zeros(len(data))
    for fitted, known, scored, new in folds:
        design, predictors = (_standardised(models[:, pairs], models[:, fitted]) for pairs in (fitted, scored))
        targets, observed = (_standardised(data[:, pairs], data[:, fitted]) for pairs in (fitted, scored))
        weights, _ = nnls(design.T, targets[known].mean(axis=0))
        errors[new] += np.square(observed[new] - weights @ predictors).sum(axis=1)
        totals[new] += np.square(observed[new]).sum(axis=1)
    return 1 - errors / totals


def _two_axes(rdms: object, kind: str) -> np.ndarray:
    values = check_rdms(rdms, kind)
    if values.ndim != 2:
        raise InputError(f"the {kind} RDMs have shape {values.shape}, but (n_rdms, n_pairs) is expected: take other axes in turn")
    return values


@in_double_precision
def partition_variance(
    model_rdms: Mapping[str, Real[Array, "..."]],
    data_rdms: Real[Array, "n_subjects n_pairs"],
    key: jax.Array | None = None,
    n_condition_folds: int = 3,
    n_subject_folds: int = 2,
) -> dict[Names, Float[np.ndarray, " n_subjects"]]:
    """Part the variance of each subject's RDM that sets of layers explain into what each explains alone and what they share.

    Parameters
    ----------
    model_rdms
        Name -> condensed RDMs of one set, shape (n_layers, n_pairs): the layers of a rule, say. Two or three sets.
    data_rdms
        Condensed RDMs, shape (n_subjects, n_pairs).
    key
        Draws folds of stimuli and subjects, so that what is explained was not fitted. Without a key each subject is fitted and
        explained over the same pairs.
    n_condition_folds, n_subject_folds
        As in :func:`rsa.best_layer`; with a key alone.

    Returns
    -------
    For every combination of names, the share of variance that just these explain in common, shape (n_subjects,). Shares add up to
    what all explain together.

    Raises
    ------
    InputError
        For one set or more than three, more layers than pairs, constant RDMs, too few stimuli or subjects to split, and as
        :func:`rsa.compare` does.

    >>> a, b = np.array([[1.0, 1, 1, -1, -1, -1]]), np.array([[1.0, -1, 0, 1, -1, 0]])
    >>> {"".join(names): abs(float(part[0].round(3))) for names, part in partition_variance({"a": a, "b": b}, a + b).items()}
    {'a': 0.6, 'b': 0.4, 'ab': 0.0}
    """
    names = tuple(model_rdms)
    if not 2 <= len(names) <= 3:
        raise InputError(f"{len(names)} sets of layers were given: variance is parted between two or three")
    data = _two_axes(data_rdms, "data")
    sets = {name: _two_axes(rdms, f"'{name}'") for name, rdms in model_rdms.items()}
    for rdms in sets.values():
        check_same_pairs(rdms, data)
    checked = [(data, "data"), *((rdms, f"'{name}'") for name, rdms in sets.items())]
    for rdms, kind in checked:
        check_varies(rdms, kind, "pearson")
    folds = []
    if key is not None:
        n_conditions = condition_count(data.shape[1])
        check_splits(n_conditions, len(data), n_condition_folds, n_subject_folds)
        folds = list(splits(key, n_conditions, len(data), n_condition_folds, n_subject_folds))
        for rdms, kind in checked:
            for fitted, _, scored, _ in folds:
                check_varies_in_fold(rdms[:, fitted], kind)
                if kind == "data":
                    check_varies_in_fold(rdms[:, scored], kind)
    n_layers = sum(len(rdms) for rdms in sets.values())
    fewest = min([int(fitted.sum()) for fitted, *_ in folds], default=data.shape[1])
    if n_layers > fewest - 2:
        raise InputError(
            f"{n_layers} layers in all cannot be weighted by {fewest} pairs: give at most {fewest - 2}, or more stimuli to fit on"
        )

    every = [chosen for size in range(1, len(names) + 1) for chosen in combinations(names, size)]
    explained: dict[Names, np.ndarray] = {(): np.zeros(len(data))}
    for chosen in every:
        models = np.concatenate([sets[name] for name in chosen])
        explained[chosen] = _other_pairs(models, data, folds) if folds else _same_pairs(models, data)
    parts: dict[Names, np.ndarray] = {}
    for chosen in every:
        rest = tuple(name for name in names if name not in chosen)
        # What all explain beyond the rest, less what smaller combinations explain of it alone.
        smaller = [part for inner, part in parts.items() if set(inner) < set(chosen)]
        parts[chosen] = explained[names] - explained[rest] - sum(smaller, np.zeros(len(data)))
    return parts


__all__ = ["partition_variance"]
