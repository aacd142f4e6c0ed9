r"""RDMs in the metric of their own estimation noise, for a covariance of conditions that is known.

Dissimilarities that are estimated from patterns with noise covariance :math:`\Sigma` over conditions covary as
:math:`V = (C \Sigma C^\top)^{\circ 2}`, C the contrasts of all pairs (Diedrichsen et al. 2021, doi:10.51628/001c.27664). With
:math:`V = L L^\top` the cosine of :math:`L^{-1} a` and :math:`L^{-1} b` is the whitened cosine of a and b.
"""

import numpy as np
from jaxtyping import Float, Real
from scipy import linalg

from bioplausible.foundation.errors import InputError
from rsa.pairs import Array, condition_count

# V has a row and a column a pair: 150 conditions make a matrix of a gigabyte.
MAX_CONDITIONS = 150


def whiten(
    rdms: Float[np.ndarray, "*batch n_pairs"], noise: Real[Array, "n_conditions ..."]
) -> Float[np.ndarray, "*batch n_pairs"]:
    """Bring RDMs to coordinates in which their estimation noise is equal and independent.

    Parameters
    ----------
    rdms
        Condensed RDMs, shape (..., n_pairs).
    noise
        Covariance of the conditions' pattern estimates, shape (n_conditions, n_conditions), or variances (n_conditions,).

    Returns
    -------
    Shape (..., n_pairs); these are no dissimilarities any more.

    Raises
    ------
    InputError
        When the covariance does not fit the RDMs, is not symmetric and positive definite, or conditions are too many.
    """
    n_conditions = condition_count(rdms.shape[-1])
    sigma = np.asarray(noise, dtype=np.float64)
    sigma = np.diag(sigma) if sigma.ndim == 1 else sigma
    if sigma.shape != (n_conditions, n_conditions):
        raise InputError(
            f"the noise covariance has shape {sigma.shape}, but {n_conditions} conditions need ({n_conditions}, {n_conditions}): "
            "give the covariance of the conditions' estimates, not of channels"
        )
    if n_conditions > MAX_CONDITIONS:
        raise InputError(
            f"{n_conditions} conditions make a covariance of {rdms.shape[-1]} pairs, too large to invert: leave the noise out for "
            "the default one, or use a comparator that is not whitened"
        )
    if not np.isfinite(sigma).all() or not np.allclose(sigma, sigma.T):
        raise InputError("the noise covariance is not symmetric or holds NaN or infinite values: give a covariance matrix")
    first, second = np.triu_indices(n_conditions, 1)
    contrast = sigma[first] - sigma[second]
    covariance = np.square(contrast[:, first] - contrast[:, second])
    try:
        factor = linalg.cholesky(covariance, lower=True)
    except linalg.LinAlgError:
        raise InputError(
            "the noise covariance leaves some difference of conditions without noise, and so nothing to whiten by: add a small "
            "multiple of the identity"
        ) from None
    flat = rdms.reshape(-1, rdms.shape[-1])
    return np.asarray(linalg.solve_triangular(factor, flat.T, lower=True).T).reshape(rdms.shape)


__all__ = ["whiten"]
