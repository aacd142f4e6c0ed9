r"""Representational dissimilarity matrices from activity patterns.

.. math::
    d_{corr}(i, j) = 1 - \mathrm{Pearson}(x_i, x_j), \qquad
    d_{euc}(i, j) = \frac{1}{n_{channels}} \sum_c (x_{ic} - x_{jc})^2

.. math::
    d_{mahal}(i, j) = \frac{1}{n_{channels}} (x_i - x_j)^T \Sigma^{-1} (x_i - x_j), \qquad
    d_{poisson}(i, j) = \frac{1}{n_{channels}} \sum_c (\mu_{ic} - \mu_{jc}) (\log \mu_{ic} - \log \mu_{jc})

with noise precision :math:`\Sigma^{-1}` and rates :math:`\mu = (x + 0.1) / 1.1`, counts drawn a little towards one so
that silent channels keep a logarithm. The last is the symmetrised Kullback-Leibler divergence of Poisson variables.
Cross-validated distances are in :mod:`rsa.crossvalidated`.

References: Kriegeskorte, Mur and Bandettini 2008, doi:10.3389/neuro.06.004.2008; Nili et al. 2014,
doi:10.1371/journal.pcbi.1003553; Walther et al. 2016, doi:10.1016/j.neuroimage.2015.12.012; Schütt et al. 2023,
doi:10.7554/eLife.82566.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Real

from bioplausible.foundation.errors import InputError, unknown_name
from rsa.noise import whitening_factor
from rsa.pairs import Array
from rsa.precision import CONSTANT_TOLERANCE, in_double_precision
from rsa.tiles import Form, Prepare, condensed_rdms

MINIMUM_CONDITIONS = 3

# rsatoolbox's prior for Poisson rates: one count a channel, weighted as a tenth of an observation.
PRIOR_RATE = 1.0
PRIOR_WEIGHT = 0.1

ONE_PART = np.ones(1)


def _correlation_distance(patterns: Float[jax.Array, "n_conditions n_channels"]) -> Form:
    """One minus the Pearson correlation of every two patterns."""
    centred = patterns - patterns.mean(axis=1, keepdims=True)
    unit = centred / jnp.linalg.norm(centred, axis=1, keepdims=True)
    return Form(unit[None], None, jnp.asarray(ONE_PART), jnp.ones(len(unit)), 2.0, -jnp.inf)


def _squared_euclidean_distance(patterns: Float[jax.Array, "n_conditions n_channels"]) -> Form:
    """Squared distance of every two patterns, divided by the number of channels."""
    # The mean pattern cancels in every difference; taking it out first keeps the products small, and the digits.
    centred = patterns - patterns.mean(axis=0)
    return Form(centred[None], None, jnp.asarray(ONE_PART), None, patterns.shape[1], 0.0)


def _squared_mahalanobis_distance(
    patterns: Float[jax.Array, "n_conditions n_channels"], factor: Float[jax.Array, "n_channels n_channels"]
) -> Form:
    """The same between whitened patterns."""
    return _squared_euclidean_distance((patterns - patterns.mean(axis=0)) @ factor)


def poisson_rates(counts: Float[jax.Array, "..."]) -> Float[jax.Array, "..."]:
    """Rates that counts speak for, drawn towards the prior."""
    return (counts + PRIOR_RATE * PRIOR_WEIGHT) / (1 + PRIOR_WEIGHT)


def _poisson_distance(patterns: Float[jax.Array, "n_conditions n_channels"]) -> Form:
    """Symmetrised Kullback-Leibler divergence of Poisson variables, divided by the number of channels."""
    rates = poisson_rates(patterns)
    logarithms = jnp.log(rates)
    centred = rates - rates.mean(axis=0), logarithms - logarithms.mean(axis=0)
    return Form(centred[0][None], centred[1][None], jnp.asarray(ONE_PART), None, patterns.shape[1], 0.0)


DISTANCES: dict[str, Prepare] = {
    "correlation": _correlation_distance,
    "euclidean": _squared_euclidean_distance,
    "mahalanobis": _squared_mahalanobis_distance,
    "poisson": _poisson_distance,
}
"""Distances between patterns by the name that `rdm` takes."""

WHITENED = ("mahalanobis",)


def check_sizes(patterns: np.ndarray, shape: str) -> None:
    """Refuse too few conditions and no channels, in patterns that end in (n_conditions, n_channels)."""
    n_conditions, n_channels = patterns.shape[-2:]
    if n_conditions < MINIMUM_CONDITIONS:
        raise InputError(
            f"an RDM needs at least {MINIMUM_CONDITIONS} conditions, and these patterns have {n_conditions}: give "
            f"({shape}), conditions before channels"
        )
    if n_channels == 0:
        raise InputError(f"the patterns have no channels: give ({shape}) with at least one channel")


def _check_patterns(patterns: np.ndarray, distance: str) -> None:
    check_sizes(patterns, "..., n_conditions, n_channels")
    n_channels = patterns.shape[-1]
    # NaN and infinities pass into the extremes, which need no array as large as the patterns.
    highest, lowest = (extreme(axis=-1).astype(np.float64) for extreme in (patterns.max, patterns.min))
    not_finite = np.argwhere(~(np.isfinite(highest) & np.isfinite(lowest)))
    if len(not_finite):
        raise InputError(
            f"the pattern of condition {not_finite[0][-1] + 1} holds NaN or infinite values{_which(not_finite[0])}: "
            "leave out the channels or conditions that were not measured"
        )
    if distance == "correlation":
        constant = np.argwhere(highest - lowest <= CONSTANT_TOLERANCE * np.maximum(np.abs(highest), np.abs(lowest)))
        if len(constant):
            raise InputError(
                f"the pattern of condition {constant[0][-1] + 1} is constant over its {n_channels} channel(s)"
                f"{_which(constant[0])}, so its correlation with others is undefined: use distance='euclidean' or "
                "leave the condition out"
            )
    if distance == "poisson":
        refuse_negative(lowest)


def refuse_negative(lowest: Float[np.ndarray, "*batch n_conditions"]) -> None:
    """Refuse negative counts, given the lowest of each pattern."""
    negative = np.argwhere(lowest < 0)
    if len(negative):
        raise InputError(
            f"the pattern of condition {negative[0][-1] + 1} goes down to {lowest[tuple(negative[0])]:g}{_which(negative[0])}, "
            "but Poisson distances are between counts or rates of zero and more: use distance='euclidean' for others"
        )


def _which(index: np.ndarray) -> str:
    # counted from one, as rows are in files
    return f" in pattern set {', '.join(str(i + 1) for i in index[:-1])}" if len(index) > 1 else ""


@in_double_precision
def rdm(
    patterns: Real[Array, "*batch n_conditions n_channels"],
    distance: str = "correlation",
    noise: Real[Array, "*noise_batch n_rows n_columns"] | None = None,
) -> Float[np.ndarray, "*batch n_pairs"]:
    """Compute representational dissimilarity matrices in condensed form.

    Parameters
    ----------
    patterns
        Responses of each channel (voxel, sensor, unit) to each condition, shape (..., n_conditions, n_channels); any
        leading axes are batches (subjects, regions, layers, times).
    distance
        ``"correlation"``: one minus Pearson correlation. ``"euclidean"``: the *squared* Euclidean distance divided
        by the number of channels, the quantity that rsatoolbox calls 'euclidean'. ``"mahalanobis"``: the same between
        patterns whitened by ``noise``. ``"poisson"``: symmetrised Kullback-Leibler divergence of counts or rates,
        divided by the number of channels.
    noise
        Mahalanobis only: noise precision from :func:`rsa.noise_precision`, shape (n_channels, n_channels), or with
        leading axes that broadcast to those of the patterns.

    Returns
    -------
    Dissimilarities, shape (..., n_pairs): upper triangle, row by row, as SciPy and rsatoolbox order it.

    Raises
    ------
    InputError
        For an unknown distance, fewer than three conditions, NaN or infinite values, (correlation) a condition whose
        pattern is constant, (poisson) negative values, and (mahalanobis) noise that is no precision of these channels.

    >>> rdm(np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]]), "euclidean").round(6)
    array([1. , 0.5, 2.5])
    """
    if distance not in DISTANCES:
        raise unknown_name("distance", distance, DISTANCES)
    values = np.asarray(patterns)
    if values.ndim < 2:
        raise InputError(
            f"patterns have at least two axes, conditions and channels, and these have shape {values.shape}: "
            "give (..., n_conditions, n_channels)"
        )
    if distance in WHITENED and noise is None:
        raise InputError(
            f"distance='{distance}' needs the noise precision of the channels: give noise=rsa.noise_precision(residuals), or "
            "use distance='euclidean'"
        )
    if distance not in WHITENED and noise is not None:
        raise InputError(
            f"distance='{distance}' makes no use of noise: use distance='mahalanobis', or rsa.crossnobis where there are runs"
        )
    _check_patterns(values, distance)
    flat = values.reshape(-1, *values.shape[-2:])
    arrays = [flat] if noise is None else [flat, whitening_factor(noise, values.shape[:-2], values.shape[-1])]
    condensed = condensed_rdms(DISTANCES[distance], values.shape[-2], *arrays)
    return condensed.reshape(*values.shape[:-2], condensed.shape[-1])


__all__ = ["DISTANCES", "check_sizes", "poisson_rates", "rdm", "refuse_negative"]
