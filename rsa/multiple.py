r"""Corrections for many tests at once: the false discovery rate, Holm's, and the maximum over a shared null.

Two promises that a report can make of a family of m tests:

- *Among the findings, few are false*: the false discovery rate. With sorted p-values, adjusted
  :math:`\tilde p_{(i)} = \min_{j \ge i} \frac{m}{j} c_m\, p_{(j)}`; :math:`c_m = 1` (Benjamini and Hochberg 1995) for
  tests that are independent or related positively, as models on the same stimuli mostly are;
  :math:`c_m = \sum_{i \le m} 1/i` (Benjamini and Yekutieli 2001) for any relation.
- *Not one finding is false*, but in five of a hundred studies: the family-wise error. When every test was scored
  under the same permutations of the conditions, the largest of their scores in each permutation is the null of the
  largest score. Related tests cost less than with Bonferroni's division, because nothing is assumed about how they are related.
  Where there are only p-values, Holm's :math:`\tilde p_{(i)} = \max_{j \le i} (m - j + 1)\, p_{(j)}` keeps the same promise
  whatever the relation.

References: Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x; Benjamini and Yekutieli 2001,
doi:10.1214/aos/1013699998; Holm 1979, Scandinavian Journal of Statistics 6:65; Westfall and Young 1993, Resampling-Based Multiple
Testing, Wiley; Nichols and Holmes 2002, doi:10.1002/hbm.1058.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, Real
from scipy import stats

from bioplausible.foundation.errors import InputError, unknown_name
from rsa.pairs import Array

# A permutation that changes nothing must count as equal, though it was summed in another order.
ROUNDING = 1e-12


def false_discovery_rate(p_values: Real[Array, "*tests"], method: Literal["bh", "by"] | str = "bh") -> Float[np.ndarray, "*tests"]:
    """Adjust p-values so that those below q hold a share of q false discoveries, on average.

    Parameters
    ----------
    p_values
        Of one family, any shape: all that a table or figure shows. NaN are tests that were not made: they stay NaN and
        do not count.
    method
        ``"bh"`` for independent or positively related tests, ``"by"`` for any.

    Returns
    -------
    Adjusted p-values in the same shape.

    Raises
    ------
    InputError
        For values that are not between 0 and 1, and an unknown method.

    >>> false_discovery_rate(np.array([0.01, 0.04, 0.03, np.nan]))
    array([0.03, 0.04, 0.04, nan])
    """
    if method not in ("bh", "by"):
        raise unknown_name("method", method, ("bh", "by"))
    values, made = _checked(p_values)
    adjusted = np.full(values.shape, np.nan)
    if made.any():
        adjusted[made] = stats.false_discovery_control(values[made], method=method)
    return adjusted


def holm(p_values: Real[Array, "*tests"]) -> Float[np.ndarray, "*tests"]:
    """Adjust p-values so that in five of a hundred families any of those below .05 is false, however the tests are related.

    Parameters
    ----------
    p_values
        Of one family, any shape: all that a table shows. NaN are tests that were not made: they stay NaN and do not count.

    Returns
    -------
    Adjusted p-values in the same shape.

    Raises
    ------
    InputError
        For values that are not between 0 and 1.

    >>> holm(np.array([0.01, 0.04, 0.03, np.nan]))
    array([0.03, 0.06, 0.06,  nan])
    """
    values, made = _checked(p_values)
    adjusted, tests = np.full(values.shape, np.nan), values[made]
    order = np.argsort(tests, kind="stable")
    in_turn = np.empty(len(tests))
    in_turn[order] = np.minimum(np.maximum.accumulate(np.arange(len(tests), 0, -1) * tests[order]), 1)
    adjusted[made] = in_turn
    return adjusted


def _checked(p_values: Real[Array, "*tests"]) -> tuple[np.ndarray, np.ndarray]:
    """P-values, and which of them there are."""
    values = np.asarray(p_values, dtype=np.float64)
    made = ~np.isnan(values)
    outside = values[made & ~((values >= 0) & (values <= 1))]
    if len(outside):
        raise InputError(f"{outside[0]:g} is no p-value: values between 0 and 1 are expected, or NaN for tests that were not made")
    return values, made


def max_statistic_p_values(
    scores: Real[Array, "*tests"], null: Real[Array, "n_draws ..."], step_down: bool = False
) -> Float[np.ndarray, "*tests"]:
    """Correct one-sided p-values for the family-wise error by the largest score of each draw.

    Scores of very different spread should be divided by their null's standard deviation first (observed score and null
    alike): the widest test otherwise sets the bar for all.

    Parameters
    ----------
    scores
        Observed scores of one family, any shape.
    null
        The same scores under shared permutations, shape (n_draws, ...): row d is one permutation for all tests, as in
        ``null`` of :func:`rsa.evaluate` (with times: ``np.moveaxis(evaluation.null, -2, 0)``). For a two-sided test give
        absolute values of both.
    step_down
        Compare each score with the largest of those not above it (Westfall and Young's step-down maxT): never
        less powerful, and as strict where the tests' joint null does not depend on which of them are truly null.

    Returns
    -------
    Corrected p-values in the shape of the scores; at least 1 / (n_draws + 1).

    Raises
    ------
    InputError
        For shapes that do not fit, NaN, and a null without draws.

    >>> null = np.array([[0.1, 0.3], [0.0, -0.2], [0.2, 0.1]])
    >>> max_statistic_p_values(np.array([0.4, 0.25]), null)
    array([0.25, 0.5 ])
    """
    observed, draws = np.asarray(scores, dtype=np.float64), np.asarray(null, dtype=np.float64)
    if draws.shape[1:] != observed.shape or len(draws) == 0 or observed.size == 0:
        raise InputError(
            f"the scores have shape {observed.shape} and the null {draws.shape}: (n_draws, ...) is expected, one score of "
            "every test in each draw, as rsa.evaluate gives them with n_draws above zero"
        )
    if not (np.isfinite(observed).all() and np.isfinite(draws).all()):
        raise InputError("the scores or their null hold NaN or infinite values: leave tests without a score out of the family")
    flat, draws = observed.ravel(), draws.reshape(len(draws), -1)
    order = np.argsort(-flat, kind="stable")
    if step_down:
        largest = np.maximum.accumulate(draws[:, order[::-1]], axis=1)[:, ::-1]
    else:
        largest = draws.max(axis=1, keepdims=True)
    as_high = (largest >= flat[order] - ROUNDING).sum(axis=0)
    p_values = np.empty(flat.size)
    # A test cannot be surer than one that scores higher.
    p_values[order] = np.maximum.accumulate((1 + as_high) / (1 + len(draws)))
    return p_values.reshape(observed.shape)


__all__ = ["false_discovery_rate", "holm", "max_statistic_p_values"]
