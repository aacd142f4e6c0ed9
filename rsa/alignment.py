r"""How alike two sets of patterns are up to a rotation: linear CKA, biased and not, and orthogonal Procrustes.

With X (n conditions, p units) and Y (n, q channels), columns centred, :math:`K = XX^\top` and :math:`L = YY^\top`:

.. math:: \mathrm{CKA} = \frac{\langle K, L \rangle}{\lVert K \rVert \lVert L \rVert} \text{ (biased)}, \qquad
          s = \frac{\lVert X^\top Y \rVert_*}{\lVert X \rVert \lVert Y \rVert} \text{ (Procrustes)}

:math:`\langle K, L \rangle` is HSIC but for a constant, and grows with p and q though X and Y share nothing. The unbiased
estimate (Song et al. 2012, the minibatch CKA of Nguyen et al. 2021) leaves out the diagonals; it is the inner product of the
U-centred matrices of Székely and Rizzo 2014,

.. math:: \tilde K_{ij} = K_{ij} - \frac{k_i + k_j}{n - 2} + \frac{k}{(n - 1)(n - 2)}, \quad i \neq j, \qquad \tilde K_{ii} = 0

with :math:`k_i` and k sums of rows and of all off the diagonal. Rows of :math:`\tilde K` sum to zero, so that the cosine of
:math:`\tilde K` and :math:`\tilde L` has mean zero whenever the conditions of one are exchangeable given the other; it may be
negative. The Procrustes similarity has no such correction: of noise it is far above zero, the more so the wider the patterns.

References: Kornblith et al. 2019, arXiv:1905.00414; Song et al. 2012, JMLR 13:1393; Nguyen, Raghu and Kornblith 2021,
arXiv:2010.15327; Székely and Rizzo 2014, doi:10.1214/14-AOS1255; Murphy, Zylberberg and Fyshe 2024, arXiv:2405.01012 (what the
bias does to comparisons with brains); Williams et al. 2021, arXiv:2110.14739 (Procrustes as a metric).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from bioplausible.foundation.errors import InputError

# A centred matrix whose length is below this share of what it was made of is rounding.
NOTHING_LEFT = 1e-12

Patterns = Float[np.ndarray, "n_conditions _"]
Gram = Float[np.ndarray, "n_conditions n_conditions"]
Scores = Float[np.ndarray, "n_models n_subjects"]


def centre(patterns: Patterns) -> Patterns:
    """Take each column's mean out.

    Parameters
    ----------
    patterns
        Shape (n_conditions, n_units).

    Returns
    -------
    Patterns of the same shape whose columns sum to zero.
    """
    return patterns - patterns.mean(axis=0)


def _of_unit_size(patterns: Patterns) -> Patterns:
    """Centre and scale, for no score depends on the scale and the squares of extreme values leave the range of numbers."""
    centred = centre(patterns)
    return centred / np.abs(centred).max()


def narrow(patterns: Patterns) -> Patterns:
    """Rotate wide patterns into as many columns as there are conditions; all inner products of rows stay.

    Parameters
    ----------
    patterns
        Shape (n_conditions, n_units).

    Returns
    -------
    Shape (n_conditions, at most n_conditions).

    >>> narrow(np.ones((2, 9))) @ narrow(np.ones((2, 9))).T
    array([[9., 9.],
           [9., 9.]])
    """
    if patterns.shape[1] <= patterns.shape[0]:
        return patterns
    # The triangle of X^T = QR keeps every digit, which the root of the Gram matrix would not.
    return np.asarray(np.linalg.qr(patterns.T, mode="r")).T


def double_centred(patterns: Patterns) -> Gram:
    """Gram matrix of centred patterns, whose rows and columns sum to zero, but for a factor.

    Parameters
    ----------
    patterns
        Shape (n_conditions, n_units), not all equal.

    Returns
    -------
    Shape (n_conditions, n_conditions).
    """
    centred = _of_unit_size(patterns)
    return centred @ centred.T


def u_centred(gram: Gram) -> Gram:
    """Leave the diagonal out, and centre what is left so that rows and columns still sum to zero.

    Parameters
    ----------
    gram
        Shape (n_conditions, n_conditions), at least three conditions.

    Returns
    -------
    A matrix of the same shape, zero on its diagonal.
    """
    n = len(gram)
    off_diagonal = gram - np.diag(np.diagonal(gram))
    rows = off_diagonal.sum(axis=1)
    found = off_diagonal - (rows[:, None] + rows) / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(found, 0)
    return found


def _directions(sets: Sequence[Patterns], kind: str, debiased: bool) -> Float[np.ndarray, "n_sets n_squared"]:
    """Centred Gram matrices at unit length, one a row."""
    found = []
    for index, patterns in enumerate(sets):
        gram = double_centred(patterns)
        # What shifts all patterns cancels in both ways to centre; taken out beforehand, it costs no digits.
        matrix = u_centred(gram) if debiased else gram
        length = np.linalg.norm(matrix)
        if length <= NOTHING_LEFT * np.linalg.norm(gram):
            raise InputError(
                f"all conditions of {kind} patterns {index + 1} are equally far apart, which leaves nothing for debiased CKA to "
                "compare: leave these patterns out, or use method='procrustes'"
            )
        found.append(matrix.ravel() / length)
    return np.stack(found)


def cka(models: Sequence[Patterns], data: Sequence[Patterns]) -> Scores:
    """Debiased linear CKA: zero on average for patterns that share nothing, and then negative as often as positive.

    Parameters
    ----------
    models, data
        For each model and each subject, patterns (n_conditions, n_units); widths may differ.

    Returns
    -------
    Scores, shape (n_models, n_subjects).

    Raises
    ------
    InputError
        For patterns whose conditions are all equally far apart.
    """
    return _directions(models, "model", True) @ _directions(data, "data", True).T


def cka_biased(models: Sequence[Patterns], data: Sequence[Patterns]) -> Scores:
    """Linear CKA as first published, between 0 and 1.

    Parameters
    ----------
    models, data
        For each model and each subject, patterns (n_conditions, n_units); widths may differ.

    Returns
    -------
    Scores, shape (n_models, n_subjects).

    Raises
    ------
    InputError
        For patterns whose conditions are all equally far apart.
    """
    return _directions(models, "model", False) @ _directions(data, "data", False).T


def procrustes(models: Sequence[Patterns], data: Sequence[Patterns]) -> Scores:
    """Correlation of patterns after the best rotation of one onto the other, between 0 and 1; widths may differ.

    Parameters
    ----------
    models, data
        For each model and each subject, patterns (n_conditions, n_units); widths may differ.

    Returns
    -------
    Scores, shape (n_models, n_subjects).
    """

    def shape(patterns: Patterns) -> Patterns:
        narrowed = narrow(_of_unit_size(patterns))
        return narrowed / np.linalg.norm(narrowed)

    shapes = [shape(patterns) for patterns in data]
    return np.array(
        [
            [np.linalg.svd(model.T @ subject, compute_uv=False).sum() for subject in shapes]
            for model in (shape(patterns) for patterns in models)
        ]
    )


__all__ = ["centre", "cka", "cka_biased", "double_centred", "narrow", "procrustes", "u_centred"]
