"""Compare model RDMs with data RDMs, eagerly and with checked input; see :mod:`rsa.comparators` for the measures."""

import numpy as np
from jaxtyping import Float, Real

from bioplausible.foundation.errors import InputError
from rsa import comparators, missing
from rsa.checks import check_rdms, check_same_pairs, check_varies, check_weights, find_comparator
from rsa.missing import check_common
from rsa.pairs import Array
from rsa.precision import in_double_precision
from rsa.whitening import whiten

# Subjects × times that are compared in one call; more are taken in turns so that memory stays bounded.
RDMS_AT_ONCE = 256


@in_double_precision
def compare(
    model_rdms: Real[Array, "*model_batch n_models n_model_pairs"],
    data_rdms: Real[Array, "*data_batch n_subjects n_pairs"],
    comparator: str = "spearman",
    weights: Real[Array, "*weight_batch n_weights"] | None = None,
    noise: Real[Array, "n_conditions ..."] | None = None,
) -> Float[np.ndarray, "*batch n_models n_subjects"]:
    """Score every model RDM against every subject's RDM.

    Parameters
    ----------
    model_rdms
        Condensed RDMs, shape (..., n_models, n_pairs).
    data_rdms
        Condensed RDMs, shape (..., n_subjects, n_pairs). Leading axes of models, data and weights broadcast. NaN in either is a
        pair that was not measured: a score is of the pairs that its model and its subject both have.
    comparator
        ``"pearson"``, ``"spearman"`` (rho-a), ``"kendall"`` (tau-a), ``"cosine"``, ``"whitened_pearson"`` or
        ``"whitened_cosine"``.
    weights
        How often each pair counts, shape (..., n_pairs), zero or more; by default every pair counts once. A whole
        number does exactly what repeating the pair does.
    noise
        Of whitened comparators: covariance of the conditions' pattern estimates, shape (n_conditions, n_conditions), or
        their variances (n_conditions,); by default equal and independent noise.

    Returns
    -------
    Scores, shape (..., n_models, n_subjects).

    Raises
    ------
    InputError
        For an unknown comparator, shapes that do not fit, infinite dissimilarities, negative weights, missing pairs beside a given
        noise, and RDMs that have no score because they are constant (cosine: zero) or have fewer than two pairs in common.

    >>> model = np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    >>> compare(model, np.array([[1.0, 2.0, 3.0, 4.0, 6.0, 5.0]]), "kendall").round(4)
    array([[0.8667]])
    """
    measure = find_comparator(comparator)
    models, data = check_rdms(model_rdms, "model", missing=True), check_rdms(data_rdms, "data", missing=True)
    check_same_pairs(models, data)
    holes = bool(np.isnan(models).any() or np.isnan(data).any())
    if noise is not None:
        if holes:
            raise InputError(
                "a noise covariance was given beside RDMs with missing pairs (NaN): leave the noise out for the default one, which "
                "whitens the pairs that are there, or leave out conditions that were not measured"
            )
        return _compare_in_noise(models, data, comparator, noise)
    counts = np.ones(models.shape[-1]) if weights is None else check_weights(weights, models.shape[-1], comparator)
    for values, kind in () if holes else ((models, "model"), (data, "data")):
        if counts.ndim == 1:
            check_varies(values, kind, comparator, counts)
        else:
            for one in counts.reshape(-1, counts.shape[-1]):
                check_varies(values, kind, comparator, one)
    try:
        batch = np.broadcast_shapes(models.shape[:-2], data.shape[:-2], counts.shape[:-1])
    except ValueError:
        raise InputError(
            f"the leading axes of models {models.shape[:-2]}, data {data.shape[:-2]} and weights {counts.shape[:-1]} "
            "do not broadcast: make them equal or one"
        ) from None

    if not holes and models.ndim == 2 and counts.ndim == 1:
        # Times of one study share the models: they are more subjects, and need no further preparation.
        prepared = comparators.prepare(measure, models)
        flat = data.reshape(-1, data.shape[-1])
        scores = [
            comparators.score(measure, prepared, comparators.prepare(measure, part), counts)
            for part in (flat[i : i + RDMS_AT_ONCE] for i in range(0, len(flat), RDMS_AT_ONCE))
        ]
        joined = np.concatenate([np.asarray(score) for score in scores], axis=1)
        return np.moveaxis(joined.reshape(len(models), *data.shape[:-1]), 0, -2)

    models = np.broadcast_to(models, (*batch, *models.shape[-2:]))
    data = np.broadcast_to(data, (*batch, *data.shape[-2:]))
    counts = np.broadcast_to(counts, (*batch, counts.shape[-1]))
    scores_of_batch = np.empty((*batch, models.shape[-2], data.shape[-2]))
    for index in np.ndindex(*batch):
        if holes:
            check_common(models[index], data[index], comparator, counts[index])
        prepared_models, prepared_data = missing.prepare(measure, models[index]), missing.prepare(measure, data[index])
        scores_of_batch[index] = missing.score(measure, prepared_models, prepared_data, counts[index])
    return scores_of_batch


def _compare_in_noise(models: np.ndarray, data: np.ndarray, comparator: str, noise: object) -> np.ndarray:
    """Whitened scores for a noise covariance that is given."""
    if not comparator.startswith("whitened_"):
        raise InputError(f"a noise covariance was given for {comparator}: it belongs to whitened_pearson and whitened_cosine")
    for values, kind in ((models, "model"), (data, "data")):
        check_varies(values, kind, comparator)
    if comparator == "whitened_pearson":
        models, data = (rdms - rdms.mean(axis=-1, keepdims=True) for rdms in (models, data))
    covariance = np.asarray(noise, dtype=np.float64)
    return np.asarray(compare(whiten(models, covariance), whiten(data, covariance), "cosine"))


__all__ = ["compare"]
