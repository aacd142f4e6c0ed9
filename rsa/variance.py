r"""How far a score would move with other conditions: a variance that counts noise once.

An RDM score is a sum over *pairs* of conditions. Its variance over samples of n conditions has a part from single
conditions and a part from pairs, :math:`\sigma_1^2 + \sigma_2^2`. Resampling conditions multiplies pair (i, j) by
:math:`c_i c_j`, whose variance is 3 where it should be 1, and leaving one condition out counts each pair twice:

.. math::
    E[V_{bootstrap}] \approx \sigma_1^2 + 3\sigma_2^2, \qquad E[V_{jackknife}] \approx \sigma_1^2 + 2\sigma_2^2
    \quad\Rightarrow\quad V = 2 V_{jackknife} - V_{bootstrap} \approx \sigma_1^2 + \sigma_2^2

The factor of three is Owen's (2007) for samples crossed with themselves; Efron and Stein (1981) show the jackknife's
excess. V is kept within what the two parts allow: at least a third of the bootstrap's variance, at most the
jackknife's.

In simulations of one model and one subject with Pearson comparison, 95 % intervals so made missed 2 to 6 % of the time
for correlation distances (6 to 40 conditions, related or not), where the bootstrap's own variance missed 0 to 1 %,
and 3 to 9 % for Euclidean distances. Euclidean distances of patterns whose size varies several-fold between conditions
are too heavy-tailed for any of these variances: there up to 16 % were missed, and a correlation distance or a rank
comparator is the better choice. Under twenty conditions intervals tend to be too wide rather than too narrow.

References: Owen 2007, doi:10.1214/07-AOAS122; Efron and Stein 1981, doi:10.1214/aos/1176345462; Schütt et al. 2023,
doi:10.7554/eLife.82566 (the same excess with subjects and conditions drawn together).
"""

import warnings

import numpy as np
from jaxtyping import Float
from scipy import stats


def corrected_variance(
    draws: Float[np.ndarray, "n_draws ..."], jackknife: Float[np.ndarray, "n_conditions ..."]
) -> Float[np.ndarray, "..."]:
    """Combine bootstrap draws and leave-one-condition-out scores into one variance.

    Parameters
    ----------
    draws
        Scores in each bootstrap draw, NaN where a draw has none.
    jackknife
        Scores without each condition in turn.

    Returns
    -------
    Variance of each score. NaN where fewer than half of the draws (or fewer than two) have a score. Where leaving a
    condition out leaves a model without a score, the bootstrap's own variance, which is too large rather than too small.
    """
    scores = draws.shape[1:]
    if len(draws) < 2:
        return np.full(scores, np.nan)
    valid = np.isfinite(draws).sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        bootstrap = np.nanvar(draws, axis=0, ddof=1)
    n_conditions = len(jackknife)
    leave_one_out = (n_conditions - 1) / n_conditions * np.square(jackknife - jackknife.mean(axis=0)).sum(axis=0)
    combined = np.clip(2 * leave_one_out - bootstrap, bootstrap / 3, np.maximum(leave_one_out, bootstrap / 3))
    combined = np.where(np.isnan(leave_one_out), bootstrap, combined)
    return np.asarray(np.where(valid >= max(2, len(draws) / 2), combined, np.nan))


def t_interval(
    score: np.ndarray, standard_error: np.ndarray, n_conditions: int, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided interval from Student's t with one degree of freedom less than there are conditions."""
    half = stats.t.ppf((1 + confidence) / 2, n_conditions - 1) * standard_error
    return np.asarray(score - half), np.asarray(score + half)


def two_sided_p_value(difference: np.ndarray, standard_error: np.ndarray, n_conditions: int) -> np.ndarray:
    """Two-sided p-value of a difference against zero, from the same t distribution.

    No difference without any variance (a model with itself) has p-value one.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.abs(difference) / standard_error
    statistic = np.where((standard_error == 0) & (difference == 0), 0.0, statistic)
    return np.asarray(2 * stats.t.sf(statistic, n_conditions - 1))


def one_sided_permutation_p_value(score: np.ndarray, null: Float[np.ndarray, "n_draws ..."]) -> np.ndarray:
    """Share of permutations that score at least as high, the given labelling counted among them.

    Reference: Phipson and Smyth 2010, doi:10.2202/1544-6115.1585 (permutation p-values are never zero).
    """
    if len(null) == 0:
        return np.full(np.shape(score), np.nan)
    # A permutation that changes nothing must count as equal, though it was summed in another order.
    # One without a score, where pairs are missing, speaks for nothing: it counts against.
    as_high = (~(null < score - 1e-12)).sum(axis=0)
    return np.asarray((1 + as_high) / (1 + len(null)))


__all__ = ["corrected_variance", "one_sided_permutation_p_value", "t_interval", "two_sided_p_value"]
