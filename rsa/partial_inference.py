"""Partial comparison of models with subjects, with intervals over conditions.

The scores are those of :func:`rsa.partial_compare`, and intervals are made as :func:`rsa.evaluate` makes them: conditions are drawn
with replacement, pair (i, j) weighs c_i c_j in models, data and covariates alike, and the variance is corrected with scores that
leave one condition out.

There is no p-value of a score and no noise ceiling. Permuted conditions would break up what data and covariates share as well, and
a test of the rest needs more than a permutation (Anderson and Legendre 1999, doi:10.1080/00949659908811936); what a subject shares
with the others once covariates are taken out is no bound, since covariates are measured without their noise.
"""

import jax
import numpy as np
from jaxtyping import Real

from bioplausible.foundation.errors import InputError
from rsa.bootstrap import bootstrap_counts, leave_one_out_counts
from rsa.ceilings import NoiseCeiling
from rsa.inference import MINIMUM_CONDITIONS_FOR_DRAWS, MINIMUM_DISTINCT_CONDITIONS, Evaluation
from rsa.pairs import Array, condition_count
from rsa.partial import partial_compare, partial_scores, sorted_entries
from rsa.precision import in_double_precision
from rsa.variance import corrected_variance, t_interval

__all__ = ["partial_evaluate"]


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
    draws, jackknife = np.empty((0, *scores.shape)), np.full((n_conditions, *scores.shape), np.nan)
    if n_draws:
        if n_conditions < MINIMUM_CONDITIONS_FOR_DRAWS:
            raise InputError(
                f"{n_conditions} conditions are too few to resample, at least {MINIMUM_CONDITIONS_FOR_DRAWS} are "
                "needed: use n_draws=0 for scores without intervals"
            )
        models, data, covariates = (
            sorted_entries(np.asarray(each, np.float64), comparator) for each in (model_rdms, data_rdms, covariate_rdms)
        )
        first, second = np.triu_indices(n_conditions, 1)

        def drawn(counts: np.ndarray) -> np.ndarray:
            weights = np.asarray(counts, np.float64)
            if (counts > 0).sum() < MINIMUM_DISTINCT_CONDITIONS:
                return np.full(scores.shape, np.nan)
            try:
                with np.errstate(invalid="ignore", divide="ignore"):
                    return partial_scores(models, data, covariates, comparator, "partial", weights[first] * weights[second])
            except (InputError, np.linalg.LinAlgError):
                return np.full(scores.shape, np.nan)

        bootstrap_key, _ = jax.random.split(key)
        draws = np.stack([drawn(counts) for counts in bootstrap_counts(bootstrap_key, n_draws, n_conditions)])
        jackknife = np.stack([drawn(counts) for counts in leave_one_out_counts(n_conditions)])
    lower, upper = t_interval(scores, np.sqrt(corrected_variance(draws, jackknife)), n_conditions, confidence)
    mean, mean_draws, mean_jackknife = (each.mean(axis=-1) for each in (scores, draws, jackknife))
    standard_error = np.sqrt(corrected_variance(mean_draws, mean_jackknife))
    mean_lower, mean_upper = t_interval(mean, standard_error, n_conditions, confidence)
    return Evaluation(
        scores=scores,
        mean=mean,
        lower=lower,
        upper=upper,
        mean_lower=mean_lower,
        mean_upper=mean_upper,
        standard_error=standard_error,
        p_value=np.full(mean.shape, np.nan),
        draws=mean_draws,
        jackknife=mean_jackknife,
        null=np.empty((0, len(mean))),
        ceiling=NoiseCeiling(np.float64(np.nan), np.float64(np.nan), "once covariates are taken out there is no noise ceiling"),
        comparator=comparator,
        confidence=confidence,
        subject_draws=draws if keep_subjects else None,
        subject_jackknife=jackknife if keep_subjects else None,
    )
