r"""Inner products of RDMs when the conditions of one are permuted: rows are gathered, and the rest is a product of matrices."""

import numpy as np
from jaxtyping import Float, Int

from rsa.compiled import compiled, in_threads
from rsa.pairs import to_square

# Permuted RDMs that are held at a time, in numbers.
NUMBERS_AT_ONCE = 2**23


@compiled
def _gather(square, permutation, condensed, diagonal):
    """Write a permuted matrix: what is above the diagonal row by row, and then the diagonal where there is room for it."""
    n, at = permutation.size, 0
    for i in range(n):
        row = square[permutation[i]]
        for j in range(i + 1, n):
            condensed[at] = row[permutation[j]]
            at += 1
    if diagonal:
        for i in range(n):
            condensed[at + i] = square[permutation[i], permutation[i]]


def permuted_products(
    models: Float[np.ndarray, "n_models n_pairs"],
    data: Float[np.ndarray, " n_pairs"],
    permutations: Int[np.ndarray, "n_draws n_conditions"],
    diagonals: tuple[Float[np.ndarray, "n_models n_conditions"], Float[np.ndarray, " n_conditions"]] | None = None,
) -> Float[np.ndarray, "n_draws n_models"]:
    """Sums over pairs of products of each model with permuted data.

    Parameters
    ----------
    models, data
        Condensed matrices.
    permutations
        Of the data's conditions: pair (i, j) of a model meets pair (permutation[i], permutation[j]).
    diagonals
        Of models and data, where they have any; their products are added once.

    Returns
    -------
    Shape (n_draws, n_models).
    """
    square = to_square(data)
    if diagonals is not None:
        models = np.concatenate([models, diagonals[0]], axis=1)
        np.fill_diagonal(square, diagonals[1])
    found = np.empty((len(permutations), len(models)))
    at_once = max(1, NUMBERS_AT_ONCE // models.shape[1])
    gathered = np.empty((min(at_once, len(permutations)), models.shape[1]))
    for start in range(0, len(permutations), at_once):
        some = np.ascontiguousarray(permutations[start : start + at_once], dtype=np.int64)

        def one(index: int, some: np.ndarray = some) -> None:
            _gather(square, some[index], gathered[index], diagonals is not None)

        in_threads(one, len(some))
        found[start : start + len(some)] = gathered[: len(some)] @ models.T
    return found


__all__ = ["permuted_products"]
