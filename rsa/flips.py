r"""Is a score above zero in the population of subjects, anywhere among many places? Signs flip, the largest t judges.

Without an effect a subject's score is as likely to be above zero as below it, and so is the whole map of a subject at once, since
all its places flip together. With $t_v$ Student's t of the subjects' scores at place v,

.. math::
    p_v = \frac{1}{1 + D} \sum_{d=0}^{D} \Big[\max_{v'} t_{v'}^{(d)} \ge t_v\Big]

with flip 0 the scores as they are: the family-wise error is controlled over all places, whatever ties them to each other.

Subjects are all that is random here. Scores of a fixed model against subjects who saw the same stimuli have no such symmetry: they
share a geometry, which resembles an unrelated model by chance with one sign in all of them. What is found then holds for other
subjects and for these stimuli alone; :func:`rsa.searchlight_permutations` and :func:`rsa.permutation_null` permute conditions
instead.

Reference: Nichols and Holmes 2002, doi:10.1002/hbm.1058.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Real

from bioplausible.foundation.errors import InputError
from rsa.clusters import ENTRIES_AT_ONCE, draw_signs
from rsa.pairs import Array
from rsa.precision import in_double_precision

MINIMUM_SUBJECTS = 5  # of four, the 16 ways to flip leave no p-value below 0.05

# t-values that differ by less than this share were summed in another order.
ROUNDING = 1e-10


class SignFlips(NamedTuple):
    """Of every place the mean score, Student's t and the one-sided p-value, corrected over all.

    n_flips: how many there were, the scores as they are among them.
    """

    mean: np.ndarray
    t: np.ndarray
    p_value: np.ndarray
    n_flips: int


def student_t(scores: Real[Array, "n_subjects ..."]) -> np.ndarray:
    """Give Student's t of the subjects' scores against zero; 0 where all are 0.

    Parameters
    ----------
    scores
        Shape (n_subjects, ...), at least two subjects.

    Returns
    -------
    Shape (...).
    """
    values = np.asarray(scores, dtype=np.float64)
    mean = values.mean(axis=0)
    return _t(mean, np.square(values).mean(axis=0), len(values))


def _t(mean: np.ndarray, mean_square: np.ndarray, n_subjects: int) -> np.ndarray:
    variance = np.maximum(mean_square - np.square(mean), 0) / (n_subjects - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mean == 0, 0.0, mean / np.sqrt(variance))


@in_double_precision
def sign_flips(key: jax.Array, scores: Real[Array, "n_subjects ..."], n_draws: int = 1000) -> SignFlips:
    """Test at every place whether subjects' scores are above zero, and correct for all places by the largest t.

    Parameters
    ----------
    key
        JAX random key; the same key gives the same flips.
    scores
        Shape (n_subjects, ...): places, and models as well where their tests are one family.
    n_draws
        Random flips. Where all flips are no more than these and the scores' own, all are taken and the test is exact.

    Returns
    -------
    SignFlips
        In the shape of the places.

    Raises
    ------
    InputError
        For fewer than five subjects, no draws, and scores that are not finite.

    >>> scores = np.array([[0.0, 1.0], [0.1, 1.1], [-0.1, 0.9], [0.2, 1.2], [-0.2, 0.8]])
    >>> sign_flips(jax.random.key(0), scores).p_value
    array([0.8125 , 0.03125])
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim < 2 or values[0].size == 0 or not np.isfinite(values).all():
        raise InputError(
            f"the scores have shape {values.shape}, or hold NaN or infinite values: (n_subjects, ...) of finite ones is expected, "
            "leave out places without a score"
        )
    n_subjects = len(values)
    if n_subjects < MINIMUM_SUBJECTS:
        raise InputError(
            f"the signs of {n_subjects} subjects flip in {2**n_subjects} ways, too few for any p-value below 0.05: at least "
            f"{MINIMUM_SUBJECTS} subjects are needed"
        )
    if n_draws < 1:
        raise InputError(f"{n_draws} draws were asked for: give one or more, such as 1000")
    flat = values.reshape(n_subjects, -1)
    signs = draw_signs(key, n_subjects, n_draws)
    mean_square = np.square(flat).mean(axis=0)
    at_once = max(1, ENTRIES_AT_ONCE // flat.shape[1])
    largest = np.concatenate(
        [
            _t(signs[start : start + at_once] @ flat / n_subjects, mean_square, n_subjects).max(axis=1)
            for start in range(0, len(signs), at_once)
        ]
    )
    t = student_t(flat)
    below = np.searchsorted(np.sort(largest), t - ROUNDING * np.abs(t), side="left")
    p_value = (len(signs) - below) / len(signs)
    mean, t, p_value = (each.reshape(values.shape[1:]) for each in (flat.mean(axis=0), t, p_value))
    return SignFlips(mean, t, p_value, len(signs))


__all__ = ["MINIMUM_SUBJECTS", "SignFlips", "sign_flips", "student_t"]
