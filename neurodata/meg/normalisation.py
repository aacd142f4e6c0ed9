r"""Noise normalisation: sensors in units of their noise, by its standard deviation or by its whole covariance.

With residuals $e_{it}$ ($c$ channels) of trial i at time t from the mean of its condition, over $n$ trials of $k$ conditions,

$$ \Sigma = \frac{1}{T} \sum_t \frac{n}{n - k} \big[(1 - \lambda_t) S_t + \lambda_t \tfrac{\mathrm{tr} S_t}{c} I\big],
\qquad S_t = \frac{1}{n} \sum_i e_{it} e_{it}^\top, \qquad \tilde y = \Sigma^{-1/2} y $$

with the shrinkage $\lambda_t$ of Ledoit and Wolf (2004, doi:10.1016/S0047-259X(03)00096-4) at each time. Guggenmos, Sterzer and
Cichy found covariance over the whole epoch, taken at each time and averaged, the better choice beside the baseline's, and
multivariate normalisation far more reliable than univariate or none. They shrink each condition's estimate and average; here
the residuals of all conditions enter one estimate, since few trials of many conditions would leave little but the shrinkage.

Over the baseline (``baseline_covariance``) the shrinkage is chosen by the likelihood of trials that were left out.

A type of sensors is normalised by itself: magnetometers (T) and gradiometers (T/m) have no common unit to shrink towards.

Reference
---------
Guggenmos, Sterzer and Cichy (2018), Multivariate pattern analysis for MEG: a comparison of dissimilarity measures, NeuroImage
173, 434-447. doi:10.1016/j.neuroimage.2018.02.044
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int
from sklearn.covariance import empirical_covariance, ledoit_wolf, shrunk_covariance
from sklearn.model_selection import GroupKFold

from bioplausible.foundation.errors import InputError

# below this share of the largest, an eigenvalue is what projections have left of a direction that holds no data
RANK_TOLERANCE = 1e-10
SHRINKAGES = np.logspace(-2.5, 0.0, 11)
FOLDS = 5


def residuals(
    trials: Float64[np.ndarray, "n_trials n_channels n_times"], conditions: Int[np.ndarray, " n_trials"]
) -> tuple[Float64[np.ndarray, "n_trials n_channels n_times"], float]:
    """Take each condition's mean off its trials.

    Parameters
    ----------
    trials
        (n_trials, n_channels, n_times).
    conditions
        (n_trials,) index of each trial's condition.

    Returns
    -------
    residuals, and n / (n - k), which undoes what the means have taken from the variance.

    Raises
    ------
    InputError
        when no condition has two trials.
    """
    members = np.unique(conditions, return_inverse=True)[1]
    n_conditions = members.max() + 1
    if len(trials) <= n_conditions:
        raise InputError(
            f"{len(trials)} trials of {n_conditions} conditions leave nothing to estimate noise from; expected two trials of some "
            "condition, or take noise_covariance 'baseline' or noise_normalisation 'none'"
        )
    means = np.zeros((n_conditions, *trials.shape[1:]))
    np.add.at(means, members, trials)
    means /= np.bincount(members)[:, None, None]
    return trials - means[members], len(trials) / (len(trials) - n_conditions)


def epoch_covariance(
    trials: Float64[np.ndarray, "n_trials n_channels n_times"], conditions: Int[np.ndarray, " n_trials"]
) -> Float64[np.ndarray, "n_channels n_channels"]:
    """Estimate noise covariance at each time of the epoch, shrunk, and average over times.

    Raises
    ------
    InputError
        when no condition has two trials.
    """
    errors, correction = residuals(trials, conditions)
    scale = errors.std() or 1.0  # fields of 1e-13 T squared twice are far from one
    shrunk = [ledoit_wolf(errors[:, :, time] / scale, assume_centered=True)[0] for time in range(trials.shape[2])]
    return correction * scale**2 * np.mean(shrunk, axis=0)


def likeliest_shrinkage(samples: Float64[np.ndarray, "n_samples n_channels"], trials: Int[np.ndarray, " n_samples"]) -> float:
    """Choose the shrinkage under which the samples of left-out trials are most likely, Gaussian and of mean zero.

    All shrinkages of one covariance share its eigenvectors, so each fold costs one decomposition: scikit-learn's
    search over ShrunkCovariance, with the same result, inverts a matrix for each.

    Parameters
    ----------
    samples
        (n_samples, n_channels), centred.
    trials
        (n_samples,) the trial of each; samples of one trial are never on both sides.
    """
    scores = np.zeros(len(SHRINKAGES))
    for train, test in GroupKFold(min(len(np.unique(trials)), FOLDS)).split(samples, groups=trials):
        values, vectors = np.linalg.eigh(empirical_covariance(samples[train], assume_centered=True))
        found = ((samples[test] @ vectors) ** 2).mean(axis=0)
        expected = (1 - SHRINKAGES)[:, None] * values + SHRINKAGES[:, None] * values.mean()
        scores -= (np.log(expected) + found / expected).sum(axis=1)
    return float(SHRINKAGES[scores.argmax()])


def noise_variances(
    trials: Float64[np.ndarray, "n_trials n_channels n_times"], conditions: Int[np.ndarray, " n_trials"]
) -> Float64[np.ndarray, " n_channels"]:
    """Average each channel's variance around its conditions' means over the epoch, unbiased.

    Raises
    ------
    InputError
        when no condition has two trials.
    """
    errors, correction = residuals(trials, conditions)
    return correction * (errors**2).mean(axis=(0, 2))


def baseline_covariance(
    samples: Float64[np.ndarray, "n_trials n_channels n_times"],
) -> Float64[np.ndarray, "n_channels n_channels"]:
    """Estimate noise covariance over all samples of all baselines, each trial around its own mean, shrunk.

    The shrinkage of Ledoit and Wolf is right for independent samples, which neighbours in time are not: it would leave a
    covariance that fits the baseline too well, and whatever comes after would seem to rise. So the shrinkage is the one under
    which the baselines of trials that were left out are most likely, as in Engemann and Gramfort (2015,
    doi:10.1016/j.neuroimage.2014.12.040).

    Parameters
    ----------
    samples
        (n_trials, n_channels, n_times) of the baseline.

    Raises
    ------
    InputError
        for one trial, or a baseline of one sample.
    """
    n_trials, _, n_times = samples.shape
    if n_times < 2 or n_trials < 2:
        raise InputError(
            f"{n_trials} baselines of {n_times} samples are too few to estimate noise from; expected two of two or more, or "
            "noise_covariance 'epoch', or noise_normalisation 'none'"
        )
    centred = samples - samples.mean(axis=2, keepdims=True)
    scale = centred.std() or 1.0
    flat = np.moveaxis(centred, 1, -1).reshape(-1, samples.shape[1]) / scale
    shrinkage = likeliest_shrinkage(flat, np.repeat(np.arange(n_trials), n_times))
    covariance = shrunk_covariance(empirical_covariance(flat, assume_centered=True), shrinkage)
    return n_times / (n_times - 1) * scale**2 * covariance


def normaliser(
    covariance: Float64[np.ndarray, "n_channels n_channels"], normalisation: str
) -> Float64[np.ndarray, "n_channels n_channels"]:
    r"""Make the matrix that channels are multiplied with: $\Sigma^{-1/2}$, $\mathrm{diag}(\Sigma)^{-1/2}$, or the identity.

    >>> normaliser(np.diag([4.0, 16.0]), "multivariate")
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    if normalisation == "none":
        return np.eye(len(covariance))
    if normalisation == "univariate":
        variances = np.diag(covariance)
        alive = variances > RANK_TOLERANCE * variances.max()
        return np.diag(np.where(alive, 1 / np.sqrt(np.where(alive, variances, 1.0)), 0.0))
    values, vectors = np.linalg.eigh(covariance)
    alive = values > RANK_TOLERANCE * values.max()
    return (vectors[:, alive] / np.sqrt(values[alive])) @ vectors[:, alive].T


__all__ = ["baseline_covariance", "epoch_covariance", "likeliest_shrinkage", "noise_variances", "normaliser", "residuals"]
