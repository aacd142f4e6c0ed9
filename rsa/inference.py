"""Evaluate models on subjects, with intervals and p-values over conditions.

Conditions are the random factor here: intervals say how scores would vary with another sample of stimuli, for these
subjects and these trained networks. All models, subjects and times share the same draws, so differences are paired.

Two questions get two methods:

- *Is the mean score above zero?* Conditions of the data are permuted, all subjects alike, which keeps every RDM an
  RDM (Mantel 1967; Kriegeskorte et al. 2008). The test is exact for a model unrelated to the data. Entries of an RDM
  are never permuted as if they were independent.
- *How large is a score, or a difference of models?* A t distribution on n_conditions - 1 degrees of freedom (as Schütt
  et al. 2023 use) around the score, with the variance of :mod:`rsa.variance`.

The cosine of two RDMs of positive distances is positive whether they are related or not: there the permutation test
remains right, but an interval that excludes zero says nothing.

References: Mantel 1967, Cancer Research 27:209; Kriegeskorte, Mur and Bandettini 2008,
doi:10.3389/neuro.06.004.2008; Schütt et al. 2023, doi:10.7554/eLife.82566.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Real

from bioplausible.foundation.errors import InputError
from rsa import missing
from rsa.bootstrap import bootstrap_counts, condition_permutations
from rsa.ceilings import NoiseCeiling, noise_ceiling
from rsa.checks import check_rdms, check_same_pairs, check_varies, find_comparator
from rsa.comparators import Comparator
from rsa.missing import Prepared, check_common
from rsa.pairs import Array, condition_count
from rsa.precision import in_double_precision
from rsa.variance import corrected_variance, one_sided_permutation_p_value, t_interval, two_sided_p_value

# Below this, a bootstrap draw often holds too few distinct conditions, and the t distribution too few degrees of freedom.
MINIMUM_CONDITIONS_FOR_DRAWS = 6
MINIMUM_DISTINCT_CONDITIONS = 3


class Evaluation(NamedTuple):
    """Scores of models on subjects; every array carries the data's leading axes (times) in front, where it has any.

    scores: (n_models, n_subjects). mean: (n_models,), over subjects.
    lower, upper: (n_models, n_subjects); mean_lower, mean_upper: (n_models,), confidence intervals over conditions.
    standard_error: (n_models,), of the mean.
    p_value: (n_models,), one-sided, of the mean against an unrelated model; at least 1 / (n_draws + 1).
    draws: (n_draws, n_models), the mean over subjects in each bootstrap draw, NaN where a draw has none.
    jackknife: (n_conditions, n_models), the mean without each condition.
    null: (n_draws, n_models), the mean under each permutation of the conditions.
    ceiling: noise ceiling of the subjects. comparator, confidence: as given.
    subject_draws: (n_draws, n_models, n_subjects), each subject's score in each draw; subject_jackknife: (n_conditions,
    n_models, n_subjects), without each condition. None unless asked for.
    """

    scores: np.ndarray
    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    mean_lower: np.ndarray
    mean_upper: np.ndarray
    standard_error: np.ndarray
    p_value: np.ndarray
    draws: np.ndarray
    jackknife: np.ndarray
    null: np.ndarray
    ceiling: NoiseCeiling
    comparator: str
    confidence: float
    subject_draws: np.ndarray | None = None
    subject_jackknife: np.ndarray | None = None


class Contrast(NamedTuple):
    """Paired difference of two models, or means of models, with interval and two-sided p-value.

    Numbers, or arrays of the evaluation's leading axes where it has any.
    """

    difference: np.ndarray | float
    lower: np.ndarray | float
    upper: np.ndarray | float
    standard_error: np.ndarray | float
    p_value: np.ndarray | float


class Aggregate(NamedTuple):
    """Mean scores of groups of models, (..., n_groups), with intervals and one-sided p-values against zero."""

    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    standard_error: np.ndarray
    p_value: np.ndarray


class Resampled(NamedTuple):
    """Scores under resampled conditions."""

    draws: np.ndarray  # (n_draws, n_models, n_subjects)
    jackknife: np.ndarray  # (n_conditions, n_models, n_subjects)
    null: np.ndarray  # (n_draws, n_models)


def _resample(
    measure: Comparator, models: Prepared, data: Prepared, data_rdms: np.ndarray, counts: np.ndarray, permutations: np.ndarray
) -> Resampled:
    draws = missing.draw_scores(measure, models, data, counts)
    # Too few distinct conditions tell no models apart.
    draws[(counts > 0).sum(axis=1) < MINIMUM_DISTINCT_CONDITIONS] = np.nan
    jackknife = missing.jackknife_scores(measure, models, data)
    return Resampled(draws, jackknife, missing.null_scores(measure, models, data, data_rdms, permutations))


def _evaluate_one(
    measure: Comparator,
    models: Prepared,
    data_rdms: np.ndarray,
    resamples: tuple[np.ndarray, np.ndarray] | None,
    comparator: str,
    confidence: float,
    keep_subjects: bool,
) -> Evaluation:
    """Evaluate the subjects of one time."""
    data = missing.prepare(measure, data_rdms)
    scores = missing.score(measure, models, data)
    if resamples is None:
        resampled = not_resampled(condition_count(data_rdms.shape[1]), *scores.shape)
    else:
        resampled = _resample(measure, models, data, data_rdms, *resamples)
    return summed_up(scores, resampled, noise_ceiling(data_rdms, comparator), comparator, confidence, keep_subjects)


def summed_up(
    scores: np.ndarray, resampled: Resampled, ceiling: NoiseCeiling, comparator: str, confidence: float, keep_subjects: bool
) -> Evaluation:
    """Intervals and p-values of scores (n_models, n_subjects), from what resampled conditions gave."""
    n_conditions = len(resampled.jackknife)
    standard_error = np.sqrt(corrected_variance(resampled.draws, resampled.jackknife))
    lower, upper = t_interval(scores, standard_error, n_conditions, confidence)
    mean, draws, jackknife = (x.mean(axis=-1) for x in (scores, resampled.draws, resampled.jackknife))
    standard_error_of_mean = np.sqrt(corrected_variance(draws, jackknife))
    mean_lower, mean_upper = t_interval(mean, standard_error_of_mean, n_conditions, confidence)
    return Evaluation(
        scores=scores,
        mean=mean,
        lower=lower,
        upper=upper,
        mean_lower=mean_lower,
        mean_upper=mean_upper,
        standard_error=standard_error_of_mean,
        p_value=one_sided_permutation_p_value(mean, resampled.null),
        draws=draws,
        jackknife=jackknife,
        null=resampled.null,
        ceiling=ceiling,
        comparator=comparator,
        confidence=confidence,
        subject_draws=resampled.draws if keep_subjects else None,
        subject_jackknife=resampled.jackknife if keep_subjects else None,
    )


def not_resampled(n_conditions: int, n_models: int, n_subjects: int) -> Resampled:
    """What there is without draws."""
    draws, jackknife = np.empty((0, n_models, n_subjects)), np.full((n_conditions, n_models, n_subjects), np.nan)
    return Resampled(draws, jackknife, np.empty((0, n_models)))


def check_enough_conditions(n_conditions: int) -> None:
    """Refuse to resample too few conditions."""
    if n_conditions < MINIMUM_CONDITIONS_FOR_DRAWS:
        raise InputError(
            f"{n_conditions} conditions are too few to resample, at least {MINIMUM_CONDITIONS_FOR_DRAWS} are "
            "needed: use n_draws=0 for scores without intervals"
        )


@in_double_precision
def evaluate(
    key: jax.Array,
    model_rdms: Real[Array, "n_models n_model_pairs"],
    data_rdms: Real[Array, "*times n_subjects n_pairs"],
    comparator: str = "spearman",
    n_draws: int = 1000,
    confidence: float = 0.95,
    keep_subjects: bool = False,
) -> Evaluation:
    """Score models against subjects, with intervals and p-values over conditions and the noise ceiling.

    Parameters
    ----------
    key
        JAX random key; the same key gives the same numbers to the bit, and the same draws for every call.
    model_rdms
        Condensed RDMs, shape (n_models, n_pairs).
    data_rdms
        Condensed RDMs, shape (n_subjects, n_pairs), or (n_times, n_subjects, n_pairs): leading axes are evaluated one
        after the other with the same draws. NaN in either is a pair that was not measured, and counts with weight nought: in
        scores, draws, permutations and ceilings alike.
    comparator
        As in :func:`rsa.compare`.
    n_draws
        Bootstrap draws, and as many permutations for the p-value. Zero gives scores and ceiling alone, with NaN for
        intervals and p-values.
    confidence
        Coverage of the intervals, between 0 and 1.
    keep_subjects
        Keep every subject's draws, which :func:`rsa.generalise_evaluation` needs; they take much memory where there are
        many times.

    Returns
    -------
    Evaluation
        See its fields. A draw with fewer than three distinct conditions, or on which an RDM is constant, has no score:
        it is NaN in ``draws`` and left out of the variance; where that happens to more than half of the draws there
        is no interval (NaN). A permutation that leaves a model and a subject without a score, where pairs are missing, counts as
        one that scores as high.

    Raises
    ------
    InputError
        As :func:`rsa.compare` does; and for fewer than six conditions with ``n_draws`` above zero, negative
        ``n_draws`` and a confidence that is no share.
    """
    measure = find_comparator(comparator)
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}, but a share between 0 and 1 is expected, such as 0.95")
    models, data = check_rdms(model_rdms, "model", missing=True), check_rdms(data_rdms, "data", missing=True)
    if models.ndim != 2:
        raise InputError(
            f"the model RDMs have shape {models.shape}, but evaluate takes (n_models, n_pairs): put layers and seeds on one axis"
        )
    check_same_pairs(models, data)
    if np.isnan(models).any() or np.isnan(data).any():
        for subjects in data.reshape(-1, *data.shape[-2:]):
            check_common(models, subjects, comparator)
    else:
        check_varies(models, "model", comparator)
        check_varies(data, "data", comparator)
    n_conditions = condition_count(models.shape[1])
    resamples = None
    if n_draws:
        check_enough_conditions(n_conditions)
        bootstrap_key, null_key = jax.random.split(key)
        resamples = (
            bootstrap_counts(bootstrap_key, n_draws, n_conditions),
            condition_permutations(null_key, n_draws, n_conditions),
        )
    prepared = missing.prepare(measure, models)
    if data.ndim == 2:
        return _evaluate_one(measure, prepared, data, resamples, comparator, confidence, keep_subjects)
    times = data.shape[:-2]
    each = [
        _evaluate_one(measure, prepared, one, resamples, comparator, confidence, keep_subjects)
        for one in data.reshape(-1, *data.shape[-2:])
    ]

    def stack(arrays: Sequence[np.ndarray | float]) -> np.ndarray:
        joined = np.stack([np.asarray(array) for array in arrays])
        return joined.reshape(*times, *joined.shape[1:])

    ceiling = NoiseCeiling(
        stack([one.ceiling.lower for one in each]), stack([one.ceiling.upper for one in each]), each[0].ceiling.withheld
    )
    fields = Evaluation._fields[: Evaluation._fields.index("ceiling")]
    arrays = {name: stack([getattr(one, name) for one in each]) for name in fields}
    if keep_subjects:
        arrays |= {name: stack([getattr(one, name) for one in each]) for name in ("subject_draws", "subject_jackknife")}
    return Evaluation(**arrays, ceiling=ceiling, comparator=comparator, confidence=confidence)


def _group_mean(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    return np.asarray(values[..., group].mean(axis=-1))


def _check_group(group: int | Sequence[int] | np.ndarray, n_models: int) -> np.ndarray:
    given = np.atleast_1d(np.asarray(group))
    if given.size == 0 or given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        raise InputError(f"{group!r} is no group of models: give an index or a list of indices")
    if (given < -n_models).any() or (given >= n_models).any():
        raise InputError(f"{group!r} names a model that is not there: the evaluation holds models 0 to {n_models - 1}")
    return given


def contrast(evaluation: Evaluation, a: int | Sequence[int] | np.ndarray, b: int | Sequence[int] | np.ndarray) -> Contrast:
    """Test whether model a (or the mean of the models a) scores differently from b, paired over draws.

    Parameters
    ----------
    evaluation
        From :func:`evaluate`.
    a, b
        Index of a model, or indices of models whose mean counts (seeds of one rule).

    Returns
    -------
    Contrast
        Of a minus b, with the leading axes of the evaluation, if any.

    Raises
    ------
    InputError
        When an index names no model.
    """
    groups = [_check_group(group, evaluation.mean.shape[-1]) for group in (a, b)]

    def difference_of(values: np.ndarray) -> np.ndarray:
        return np.asarray(_group_mean(values, groups[0]) - _group_mean(values, groups[1]))

    n_conditions = evaluation.jackknife.shape[-2]
    difference = difference_of(evaluation.mean)
    draws, jackknife = (np.moveaxis(difference_of(x), -1, 0) for x in (evaluation.draws, evaluation.jackknife))
    standard_error = np.asarray(np.sqrt(corrected_variance(draws, jackknife)))
    lower, upper = t_interval(difference, standard_error, n_conditions, evaluation.confidence)
    p_value = two_sided_p_value(difference, standard_error, n_conditions)
    fields = (difference, lower, upper, standard_error, p_value)
    return Contrast(*(field if field.ndim else float(field) for field in fields))


def aggregate(evaluation: Evaluation, groups: Sequence[int | Sequence[int] | np.ndarray]) -> Aggregate:
    """Average groups of models, such as the seeds of each rule, with intervals and p-values.

    Parameters
    ----------
    evaluation
        From :func:`evaluate`.
    groups
        Indices of the models of each group.

    Returns
    -------
    Aggregate
        Shape (..., n_groups) in each field. The p-value is one-sided, of the group's mean against unrelated models.

    Raises
    ------
    InputError
        When there is no group or an index names no model.
    """
    if len(groups) == 0:
        raise InputError("there is no group to average: give at least one list of model indices")
    indices = [_check_group(group, evaluation.mean.shape[-1]) for group in groups]

    def means_of(values: np.ndarray) -> np.ndarray:
        return np.stack([_group_mean(values, group) for group in indices], axis=-1)

    draws, jackknife, null = (means_of(x) for x in (evaluation.draws, evaluation.jackknife, evaluation.null))
    mean = means_of(evaluation.mean)
    standard_error = np.sqrt(corrected_variance(np.moveaxis(draws, -2, 0), np.moveaxis(jackknife, -2, 0)))
    lower, upper = t_interval(mean, standard_error, jackknife.shape[-2], evaluation.confidence)
    p_value = one_sided_permutation_p_value(mean, np.moveaxis(null, -2, 0))
    return Aggregate(mean, lower, upper, standard_error, p_value)


__all__ = ["Aggregate", "Contrast", "Evaluation", "aggregate", "contrast", "evaluate"]
