"""What unrelated models score: the null of a mean score by permuted conditions, for tests that need more than one p-value of it.

References: Mantel 1967, Cancer Research 27:209; Kriegeskorte, Mur and Bandettini 2008, doi:10.3389/neuro.06.004.2008.
"""

import jax
import numpy as np
from jaxtyping import Float, Real

from bioplausible.foundation.errors import InputError
from rsa import missing
from rsa.bootstrap import condition_permutations
from rsa.checks import check_rdms, check_same_pairs, check_varies, find_comparator
from rsa.inference import check_enough_conditions
from rsa.missing import check_common
from rsa.pairs import Array, condition_count
from rsa.precision import in_double_precision


@in_double_precision
def permutation_null(
    key: jax.Array,
    model_rdms: Real[Array, "n_models n_model_pairs"],
    data_rdms: Real[Array, "n_subjects n_pairs"],
    comparator: str = "spearman",
    n_draws: int = 1000,
) -> Float[np.ndarray, "n_draws n_models"]:
    """Mean scores over subjects under permutations of the data's conditions, all subjects alike: what an unrelated model scores.

    The null of :func:`rsa.evaluate` without its intervals. Every model meets the same permutations, so that times that are given as
    models keep in each of them what ties them to each other, as :func:`rsa.cluster_permutations` needs.

    Parameters
    ----------
    key
        JAX random key; the same key gives the same permutations.
    model_rdms, data_rdms, comparator
        As in :func:`rsa.evaluate`, for one time of the data.
    n_draws
        Permutations, one or more.

    Returns
    -------
    Shape (n_draws, n_models). NaN where missing pairs leave a permutation without a score.

    Raises
    ------
    InputError
        As :func:`rsa.compare` does; and for fewer than six conditions, and no draws.
    """
    measure = find_comparator(comparator)
    models, data = check_rdms(model_rdms, "model", missing=True), check_rdms(data_rdms, "data", missing=True)
    if models.ndim != 2 or data.ndim != 2 or n_draws < 1:
        raise InputError(
            f"model RDMs of shape {models.shape}, data of shape {data.shape} and n_draws={n_draws} were given, expected (n_models, "
            "n_pairs), (n_subjects, n_pairs) and at least one draw"
        )
    check_same_pairs(models, data)
    if np.isnan(models).any() or np.isnan(data).any():
        check_common(models, data, comparator)
    else:
        check_varies(models, "model", comparator)
        check_varies(data, "data", comparator)
    n_conditions = condition_count(models.shape[1])
    check_enough_conditions(n_conditions)
    permutations = condition_permutations(key, n_draws, n_conditions)
    return missing.null_scores(measure, missing.prepare(measure, models), missing.prepare(measure, data), data, permutations)


__all__ = ["permutation_null"]
