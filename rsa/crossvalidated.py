r"""Cross-validated dissimilarities: unbiased by noise, because no noise meets itself.

With patterns :math:`x^a_i` of condition i in run a, whitened by the noise, the crossnobis distance is the mean over all
ordered pairs of different runs

.. math::
    d(i, j) = \frac{1}{n_{channels}} \frac{1}{R (R - 1)} \sum_{a \neq b} \langle x^a_i - x^a_j,\; x^b_i - x^b_j \rangle

which equals leaving one run out in turn. Its expectation is the true squared distance, so where conditions do not
differ it is negative about half of the time: it is signed, must stay so, and has no square root. The sum over pairs is that
of all runs less the runs with themselves, R + 1 products of matrices instead of R (R − 1).

With a precision for each run, a pair of runs is whitened by the inverse of their mean covariance, as in rsatoolbox.

References: Walther et al. 2016, doi:10.1016/j.neuroimage.2015.12.012; Diedrichsen et al. 2021,
doi:10.51628/001c.27664; Schütt et al. 2023, doi:10.7554/eLife.82566 (Poisson).
"""

from itertools import combinations
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Real

from bioplausible.foundation.errors import InputError
from rsa.distances import check_sizes, poisson_rates, refuse_negative
from rsa.noise import whitening_factor
from rsa.pairs import Array
from rsa.precision import in_double_precision
from rsa.tiles import Form, Prepare, condensed_rdms, slices


class _Runs(NamedTuple):
    """Checked patterns, (n_sets, n_runs, n_conditions, n_channels), and which were measured, or ``None`` for all."""

    patterns: np.ndarray
    measured: Bool[np.ndarray, "n_sets n_runs n_conditions"] | None
    batch: tuple[int, ...]
    lowest: np.ndarray


def _all_pairs_of_runs(left: jax.Array, right: jax.Array | None) -> Form:
    """Products of every two different runs: those of the sums, less those of each run with itself."""
    n_runs, _, n_channels = left.shape

    def with_sum(features: jax.Array) -> jax.Array:
        # What all conditions of a run share cancels in every difference; without it no digits are lost.
        centred = features - features.mean(axis=1, keepdims=True)
        return jnp.concatenate([centred.sum(axis=0, keepdims=True), centred])

    signs = jnp.concatenate([jnp.ones(1), -jnp.ones(n_runs)])
    divisor = n_runs * (n_runs - 1) * n_channels
    return Form(with_sum(left), None if right is None else with_sum(right), signs, None, divisor, -jnp.inf)


def _crossnobis(patterns: Float[jax.Array, "n_runs n_conditions n_channels"], *factor: jax.Array) -> Form:
    centred = patterns - patterns.mean(axis=1, keepdims=True)
    return _all_pairs_of_runs(centred @ factor[0] if factor else centred, None)


def _poisson(patterns: Float[jax.Array, "n_runs n_conditions n_channels"]) -> Form:
    rates = poisson_rates(patterns)
    return _all_pairs_of_runs(rates, jnp.log(rates))


def _two_runs(first: jax.Array, second: jax.Array, *factor: jax.Array) -> Form:
    """Products of one pair of runs, where the sum of all would not do: other noise, or conditions missing."""
    left, right = (run - run.mean(axis=0) for run in (first, second))
    if factor:
        left, right = left @ factor[0], right @ factor[0]
    return Form(left[None], right[None], jnp.ones(1), None, left.shape[-1], -jnp.inf)


def _two_runs_poisson(first: jax.Array, second: jax.Array) -> Form:
    """The same for rates and logarithms, each run taking both parts."""
    rates = poisson_rates(jnp.stack([first, second]))
    rates, logarithms = (values - values.mean(axis=1, keepdims=True) for values in (rates, jnp.log(rates)))
    return Form(rates, logarithms[::-1], jnp.ones(2), None, 2 * first.shape[-1], -jnp.inf)


def _which(index: np.ndarray) -> str:
    return f" in pattern set {', '.join(str(i + 1) for i in index)}" if len(index) else ""


def _checked(patterns: Real[Array, "..."]) -> _Runs:
    values = np.asarray(patterns)
    if values.ndim < 3:
        raise InputError(
            f"cross-validation needs runs, and these patterns have shape {values.shape}: give (..., n_runs, n_conditions, "
            "n_channels)"
        )
    check_sizes(values, "..., n_runs, n_conditions, n_channels")
    n_runs = values.shape[-3]
    if n_runs < 2:
        raise InputError(
            f"cross-validation compares runs with each other, and these patterns have {n_runs}: measure two or more, or use "
            "rsa.rdm with distance='mahalanobis', which noise biases upwards"
        )
    # Extremes carry NaN and infinities without an array as large as the patterns; fmax is NaN only where all are.
    highest, lowest = (extreme(axis=-1).astype(np.float64) for extreme in (values.max, values.min))
    measured = ~np.isnan(np.fmax.reduce(values, axis=-1))
    broken = np.argwhere(measured & ~(np.isfinite(highest) & np.isfinite(lowest)))
    if len(broken):
        raise InputError(
            f"the pattern of condition {broken[0][-1] + 1} in run {broken[0][-2] + 1} holds NaN or infinite values"
            f"{_which(broken[0][:-2])}: leave out those channels, or make the whole pattern NaN where it was not measured"
        )
    flat = values.reshape(-1, *values.shape[-3:])
    if measured.all():
        return _Runs(flat, None, values.shape[:-3], lowest)
    measured = measured.reshape(flat.shape[:-1])
    for index, present in enumerate(measured.astype(np.float64)):
        together = present.T @ present
        few = np.argwhere(together < 2)
        if len(few):
            first, second = sorted(few[0])
            which = _which(np.array(np.unravel_index(index, values.shape[:-3])))
            raise InputError(
                f"conditions {first + 1} and {second + 1} were measured together in {int(together[first, second])} run(s){which}, "
                "but cross-validation needs two: leave one of them out"
            )
    return _Runs(flat, measured, values.shape[:-3], lowest)


def _pair_factor(run_noise: np.ndarray, first: int, second: int) -> np.ndarray:
    """F with F F^T the inverse of the mean covariance of two runs."""
    covariances = np.linalg.inv(run_noise[:, first]) + np.linalg.inv(run_noise[:, second])
    precision = np.linalg.inv(covariances / 2)
    return np.linalg.cholesky((precision + np.swapaxes(precision, -1, -2)) / 2)


def _run_by_run(prepare: Prepare, runs: _Runs, factor: np.ndarray | None, run_noise: np.ndarray | None) -> np.ndarray:
    """Mean over the pairs of runs in which both conditions were measured."""
    n_sets, n_runs, n_conditions, n_channels = runs.patterns.shape
    n_pairs = n_conditions * (n_conditions - 1) // 2
    condensed = np.zeros((n_sets, n_pairs))
    first, second = np.triu_indices(n_conditions, 1)
    for part in slices(n_sets, n_runs * n_conditions * n_channels + 4 * n_pairs):
        patterns, counted = runs.patterns[part], np.zeros(condensed[part].shape)
        if runs.measured is not None:
            patterns = np.where(runs.measured[part][..., None], patterns, 0)
        for a, b in combinations(range(n_runs), 2):
            factors = [factor[part]] if factor is not None else []
            if run_noise is not None:
                factors = [_pair_factor(run_noise[part], a, b)]
            distances = condensed_rdms(prepare, n_conditions, patterns[:, a], patterns[:, b], *factors)
            if runs.measured is None:
                condensed[part] += distances
                counted += 1
            else:
                both = runs.measured[part][:, a] & runs.measured[part][:, b]
                pair = both[:, first] & both[:, second]
                condensed[part] += np.where(pair, distances, 0)
                counted += pair
        condensed[part] /= counted
    return condensed


@in_double_precision
def crossnobis(
    patterns: Real[Array, "*batch n_runs n_conditions n_channels"],
    noise: Real[Array, "*noise_batch n_rows n_columns"] | None = None,
    run_noise: Real[Array, "*run_noise_batch n_noise_runs n_rows n_columns"] | None = None,
) -> Float[np.ndarray, "*batch n_pairs"]:
    """Compute cross-validated squared Mahalanobis distances, signed, divided by the number of channels.

    Parameters
    ----------
    patterns
        Responses in each run, shape (..., n_runs, n_conditions, n_channels). A condition that a run did not show is NaN
        in all its channels; a pair of conditions is then averaged over the runs that showed both.
    noise
        Noise precision of all runs from :func:`rsa.noise_precision`, shape (n_channels, n_channels), or with leading
        axes that broadcast to those of the patterns. By default channels count alike, which is the cross-validated
        squared Euclidean distance.
    run_noise
        Instead, a precision for each run, shape (n_runs, n_channels, n_channels), leading axes as above.

    Returns
    -------
    Dissimilarities, shape (..., n_pairs). Where conditions do not differ their mean is zero and about half are negative;
    never take their square root, nor clip them.

    Raises
    ------
    InputError
        For one run, fewer than three conditions, single NaN or infinite values, conditions that fewer than two runs
        showed together, and noise that is no precision of these channels.

    >>> runs = np.array([[[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]], [[0.0, 2.0], [1.0, 0.0], [0.0, 1.0]]])
    >>> crossnobis(runs)
    array([ 1.5, -0.5,  1.5])
    """
    runs = _checked(patterns)
    n_runs, n_conditions, n_channels = runs.patterns.shape[1:]
    if noise is not None and run_noise is not None:
        raise InputError("both noise and run_noise were given: give one precision for all runs, or one for each, not both")
    factor = None if noise is None else whitening_factor(noise, runs.batch, n_channels)
    each = None
    if run_noise is not None:
        each = np.asarray(run_noise, dtype=np.float64)
        if each.ndim < 3 or each.shape[-3] != n_runs:
            raise InputError(
                f"run_noise has shape {each.shape}, but the patterns have {n_runs} runs: give (..., {n_runs}, {n_channels}, "
                f"{n_channels}), one precision for each run"
            )
        whitening_factor(each, (*runs.batch, n_runs), n_channels, "run_noise")
        each = np.broadcast_to(each, (*runs.batch, n_runs, n_channels, n_channels)).reshape(-1, n_runs, n_channels, n_channels)
    if each is None and runs.measured is None:
        condensed = condensed_rdms(_crossnobis, n_conditions, *([runs.patterns] if factor is None else [runs.patterns, factor]))
    else:
        condensed = _run_by_run(_two_runs, runs, factor, each)
    return condensed.reshape(*runs.batch, condensed.shape[-1])


@in_double_precision
def poisson_cv(patterns: Real[Array, "*batch n_runs n_conditions n_channels"]) -> Float[np.ndarray, "*batch n_pairs"]:
    """Compute the cross-validated symmetrised Kullback-Leibler divergence of Poisson variables, per channel.

    Rates are taken from one run and logarithms of rates from another, over all ordered pairs of runs. This is what
    rsatoolbox's 'poisson_cv' computes in each fold; version 0.3.2 returns its last fold alone, and here all are averaged.

    Parameters
    ----------
    patterns
        Counts or rates of zero and more, shape (..., n_runs, n_conditions, n_channels); missing conditions as in
        :func:`rsa.crossnobis`.

    Returns
    -------
    Dissimilarities, shape (..., n_pairs), signed.

    Raises
    ------
    InputError
        As :func:`rsa.crossnobis` does, and for negative values.
    """
    runs = _checked(patterns)
    refuse_negative(runs.lowest)
    if runs.measured is None:
        condensed = condensed_rdms(_poisson, runs.patterns.shape[-2], runs.patterns)
    else:
        condensed = _run_by_run(_two_runs_poisson, runs, None, None)
    return condensed.reshape(*runs.batch, condensed.shape[-1])


__all__ = ["crossnobis", "poisson_cv"]
