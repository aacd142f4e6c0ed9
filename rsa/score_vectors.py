"""RDMs as vectors whose inner product is their score, so that many studies are scored by one product of matrices.

All comparators but tau-a are inner products of vectors, each made of one RDM. The mean score over subjects is then the inner
product with the sum of the subjects' vectors: of fifteen subjects in two folds two vectors are left to multiply.
"""

import numpy as np
from jaxtyping import Float

from rsa.flexible import as_vectors
from rsa.subset_ranks import midranks

__all__ = ["has_vectors", "rho_a_divisor", "score_vectors"]


def has_vectors(comparator: str) -> bool:
    """Whether scores of a comparator are inner products."""
    return comparator != "kendall"


def rho_a_divisor(n_pairs: int) -> float:
    """The inner product of so many ranks with themselves, from their mean."""
    return (float(n_pairs) ** 3 - n_pairs) / 12


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
        n_pairs = rdms.shape[1]
        return (midranks(rdms) - (n_pairs + 1) / 2) / np.sqrt(rho_a_divisor(n_pairs))
    vectors = as_vectors(rdms, comparator)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))
