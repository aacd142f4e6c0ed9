"""RDMs as vectors whose inner product is their score, so that many studies are scored by one product of matrices.

All comparators but tau-a are inner products of vectors, each made of one RDM. The mean score over subjects is then the inner
product with the sum of the subjects' vectors: of fifteen subjects in two folds two vectors are left to multiply.
"""

import numpy as np
from jaxtyping import Float

from rsa.flexible import as_vectors
from rsa.subset_ranks import midranks

__all__ = ["centred_ranks", "has_vectors", "score_vectors"]


def has_vectors(comparator: str) -> bool:
    """Whether scores of a comparator are inner products."""
    return comparator != "kendall"


def centred_ranks(
    ranks: Float[np.ndarray, "n_rdms n_pairs"], n_summed: Float[np.ndarray, " n_rdms"] | float = 1.0
) -> Float[np.ndarray, "n_rdms n_pairs"]:
    """Vectors whose inner product is rho-a, of mid-ranks, or their sum, of sums of so many RDMs' mid-ranks."""
    n_pairs = ranks.shape[1]
    middle = np.atleast_1d(n_summed)[:, None] * (n_pairs + 1) / 2
    return np.asarray((ranks - middle) / np.sqrt((float(n_pairs) ** 3 - n_pairs) / 12))


def score_vectors(rdms: Float[np.ndarray, "n_rdms n_pairs"], comparator: str) -> Float[np.ndarray, "n_rdms length"]:
    """Vectors whose inner product is the score.

    Parameters
    ----------
    rdms
        Condensed RDMs, (n_rdms, n_pairs). One that is constant gives zeros, where the comparator leaves it without a score.
    comparator
        One of :data:`rsa.COMPARATORS` but "kendall".
    """
    if comparator == "spearman":
        return centred_ranks(midranks(rdms))
    vectors = as_vectors(rdms, comparator)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))
