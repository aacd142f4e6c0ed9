"""Partial comparison of models with subjects, with intervals over conditions.

The scores are those of :func:`rsa.partial_compare`, and intervals are made as :func:`rsa.evaluate` makes them: conditions are drawn
with replacement, pair (i, j) weighs c_i c_j in models, data and covariates alike, and the variance is corrected with scores that
leave one condition out.

There is no p-value of a score and no noise ceiling. Permuted conditions would break up what data and covariates share as well, and
a test of the rest needs more than a permutation (Anderson and Legendre 1999, doi:10.1080/00949659908811936); what a subject shares
with the others once covariates are taken out is no bound, since covariates are measured without their noise. An interval of one
score that excludes zero is no evidence of more than the covariates either (:mod:`rsa.partial` says why): read differences.
"""

import jax
import numpy as np
from jaxtyping import Real

from bioplausible.foundation.errors import InputError
from rsa.bootstrap import bootstrap_counts, leave_one_out_counts
from rsa.ceilings import NoiseCeiling
from rsa.inference import MINIMUM_DISTINCT_CONDITIONS, Evaluation, check_enough_conditions, not_resampled, summed_up
from rsa.pairs import Array, condition_count
from rsa.partial import partial_compare, partial_scores, sorted_entries
from rsa.precision import in_double_precision

__all__ = ["partial_draws", "partial_evaluate"]


@in_double_precision
def partial_evaluate(
    key: jax.Array,
    model_rdms: Real[Array, "n_models n_model_pairs"],
    data_rdms: Real[Array, "n_subjects n_pairs"],
    covariate_rdms: Real[Array, "n_covariates n_covariate_pairs"],
    comparator: str = "spearman",
    n_draws: int = 1000,
    confidence: float = 0.95,
    keep_subjects: bool = False,
) -> Evaluation:
    """Score models against subjects with covariates taken out of both, with intervals over conditions.

    Parameters
    ----------
    key
        JAX random key; the same key draws the same conditions as in :func:`rsa.evaluate`.
    model_rdms, data_rdms, covariate_rdms
        Condensed RDMs, as :func:`rsa.partial_compare` takes them.
    comparator
        ``"pearson"`` or ``"spearman"``.
    n_draws
        Bootstrap draws; zero gives scores alone.
    confidence
        Coverage of the intervals.
    keep_subjects
        As in :func:`rsa.evaluate`.

    Returns
    -------
    Evaluation
        With NaN for p-values and the ceiling, and no null distribution. A draw in which covariates explain an RDM entirely, or
        leave too few pairs, has no score.

    Raises
    ------
    InputError
        As :func:`rsa.partial_compare` does, and for fewer than six conditions with ``n_draws`` above zero.
    """
    scores = partial_compare(model_rdms, data_rdms, covariate_rdms, comparator)
    n_conditions = condition_count(np.asarray(data_rdms).shape[1])
    resampled = not_resampled(n_conditions, *scores.shape)
    if n_draws:
        check_enough_conditions(n_conditions)
        bootstrap_key, _ = jax.random.split(key)
        models, data, covariates = (np.asarray(each, np.float64) for each in (model_rdms, data_rdms, covariate_rdms))
        counts = bootstrap_counts(bootstrap_key, n_draws, n_conditions)
        draws, jackknife = partial_draws(models, data, covariates, comparator, counts)
        resampled = resampled._replace(draws=draws, jackknife=jackknife)
    none = NoiseCeiling(np.float64(np.nan), np.float64(np.nan), "once covariates are taken out there is no noise ceiling")
    return summed_up(scores, resampled, none, comparator, confidence, keep_subjects)


def partial_draws(
    model_rdms: np.ndarray, data_rdms: np.ndarray, covariate_rdms: np.ndarray, comparator: str, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores under each row of counts of conditions, and without each condition in turn.

    Parameters
    ----------
    model_rdms, data_rdms, covariate_rdms, comparator
        As in :func:`partial_evaluate`.
    counts
        How often each condition counts, (n_draws, n_conditions).

    Returns
    -------
    (n_draws, n_models, n_subjects) and (n_conditions, n_models, n_subjects); NaN where there is no score.
    """
    models, data, covariates = (sorted_entries(each, comparator) for each in (model_rdms, data_rdms, covariate_rdms))
    n_conditions = counts.shape[1]
    first, second = np.triu_indices(n_conditions, 1)

    def drawn(counted: np.ndarray) -> np.ndarray:
        weights = np.asarray(counted, np.float64)
        none = np.full((len(model_rdms), len(data_rdms)), np.nan)
        if (counted > 0).sum() < MINIMUM_DISTINCT_CONDITIONS:
            return none
        try:
            with np.errstate(invalid="ignore", divide="ignore"):
                return partial_scores(models, data, covariates, comparator, "partial", weights[first] * weights[second])
        except (InputError, np.linalg.LinAlgError):
            return none

    of_draws, without = (np.stack([drawn(each) for each in rows]) for rows in (counts, leave_one_out_counts(n_conditions)))
    return of_draws, without
