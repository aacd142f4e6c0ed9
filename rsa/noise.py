r"""How noisy channels are, and how their noise goes together: the precision matrix that whitens patterns.

With residuals x (n observations, mean taken out), :math:`S = \frac1n \sum x x^T` and f degrees of freedom:

- ``full``: :math:`nS/f`, the sample covariance;
- ``diag``: its diagonal alone;
- ``shrinkage_eye``: :math:`\frac nf \big(\lambda m I + (1 - \lambda) S\big)` with m the mean variance and λ that of Ledoit
  and Wolf 2004;
- ``shrinkage_diag``: the sample covariance with its correlations multiplied by 1 − λ, λ that of Schäfer and Strimmer 2005.

The precision is the inverse. Estimates and their degrees of freedom are those of rsatoolbox.

References: Ledoit and Wolf 2004, doi:10.1016/S0047-259X(03)00096-4; Schäfer and Strimmer 2005,
doi:10.2202/1544-6115.1175; Walther et al. 2016, doi:10.1016/j.neuroimage.2015.12.012 (why to whiten at all).
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Real

from bioplausible.foundation.errors import InputError, unknown_name
from rsa.pairs import Array
from rsa.precision import in_double_precision

# A precision that came through an inverse is symmetric up to this share of its largest entry.
SYMMETRY_TOLERANCE = 1e-6

_Residuals = Float[np.ndarray, "n_observations n_channels"]
_Covariance = Float[np.ndarray, "n_channels n_channels"]


def _full(residuals: _Residuals, degrees_of_freedom: float) -> _Covariance:
    """Sample covariance."""
    return residuals.T @ residuals / degrees_of_freedom


def _diagonal(residuals: _Residuals, degrees_of_freedom: float) -> _Covariance:
    """Variances alone."""
    return np.diag(np.square(residuals).sum(axis=0) / degrees_of_freedom)


def _shrunk_to_identity(residuals: _Residuals, degrees_of_freedom: float) -> _Covariance:
    """Ledoit and Wolf's mixture with a multiple of the identity."""
    n_observations, n_channels = residuals.shape
    covariance = residuals.T @ residuals / n_observations
    squares = np.square(residuals).T @ np.square(residuals) / n_observations
    target = np.trace(covariance) / n_channels * np.eye(n_channels)
    distance = np.square(covariance - target).sum()
    error = min(np.sum(squares - np.square(covariance)) / n_observations, distance)
    intensity = error / distance if distance > 0 else 1.0
    return (intensity * target + (1 - intensity) * covariance) * n_observations / degrees_of_freedom


def _shrunk_to_diagonal(residuals: _Residuals, degrees_of_freedom: float) -> _Covariance:
    """Schäfer and Strimmer's shrunken correlations."""
    n_observations, n_channels = residuals.shape
    scaled = residuals / np.sqrt(np.square(residuals).sum(axis=0) / degrees_of_freedom)
    correlations = scaled.T @ scaled / (n_observations - 1)
    squares = np.square(scaled).T @ np.square(scaled) / (n_observations - 1)
    between = ~np.eye(n_channels, dtype=bool)
    variance = n_observations / degrees_of_freedom**2 * (squares - np.square(correlations))
    scatter = np.square(correlations[between]).sum()
    intensity = np.clip(variance[between].sum() / scatter, 0, 1) if scatter > 0 else 1.0
    return _full(residuals, degrees_of_freedom) * np.where(between, 1 - intensity, 1)


ESTIMATORS: dict[str, Callable[[_Residuals, float], _Covariance]] = {
    "shrinkage_eye": _shrunk_to_identity,
    "shrinkage_diag": _shrunk_to_diagonal,
    "diag": _diagonal,
    "full": _full,
}


def _centred(residuals: np.ndarray, conditions: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Take out the mean, or each condition's, and count how many means that were."""
    if conditions is None:
        return residuals - residuals.mean(axis=-2, keepdims=True), 1
    names, which = np.unique(conditions, return_inverse=True)
    member = np.eye(len(names))[which]
    means = (member / member.sum(axis=0)).T @ residuals
    return residuals - member @ means, len(names)


def _which(index: tuple[int, ...]) -> str:
    return f" of set {', '.join(str(i + 1) for i in index)}" if index else ""


def _inverse(covariance: np.ndarray, method: str, residuals: np.ndarray, index: tuple[int, ...]) -> np.ndarray:
    n_observations, n_channels = residuals.shape
    silent = np.flatnonzero(np.diagonal(covariance) <= 0)
    if len(silent):
        raise InputError(
            f"channel {silent[0] + 1} has no noise at all in the residuals{_which(index)}, so its precision is infinite: "
            "leave the channel out"
        )
    spectrum = np.linalg.eigvalsh(covariance)
    if spectrum[0] <= spectrum[-1] * n_channels * np.finfo(float).eps:
        raise InputError(
            f"the covariance of {n_channels} channels estimated from {n_observations} residuals{_which(index)} by "
            f"'{method}' is singular and has no inverse: use method='shrinkage_eye' or 'diag', or give more residuals"
        )
    inverse = np.linalg.inv(covariance)
    return (inverse + inverse.T) / 2


@in_double_precision
def noise_precision(
    residuals: Real[Array, "*batch n_observations n_channels"],
    method: str = "shrinkage_eye",
    degrees_of_freedom: float | int | None = None,
    conditions: Sequence[object] | np.ndarray | None = None,
) -> Float[np.ndarray, "*batch n_channels n_channels"]:
    """Estimate the inverse covariance of the channels' noise.

    Parameters
    ----------
    residuals
        What a first-level model left unexplained, or repeated measurements (with ``conditions``), shape (...,
        n_observations, n_channels). Leading axes (runs, subjects) are estimated one by one.
    method
        ``"shrinkage_eye"``, ``"shrinkage_diag"``, ``"diag"`` or ``"full"``, see :mod:`rsa.noise`.
    degrees_of_freedom
        By default the number of observations less the means taken out (one, or one per condition). After a linear
        model, give the number of observations less its regressors.
    conditions
        One label per observation. The mean of each condition is then taken for its signal and the rest for noise.

    Returns
    -------
    Precision, shape (..., n_channels, n_channels), symmetric and positive definite.

    Raises
    ------
    InputError
        For an unknown method, fewer than two observations, NaN, channels without noise, one channel where there is
        nothing to shrink towards, and covariances without an inverse.

    >>> noise_precision(np.array([[1.0, 0.0], [-1.0, 2.0], [0.0, -2.0]]), "diag")
    array([[1.  , 0.  ],
           [0.  , 0.25]])
    """
    if method not in ESTIMATORS:
        raise unknown_name("noise estimate", method, ESTIMATORS)
    values = np.asarray(residuals, dtype=np.float64)
    if values.ndim < 2 or values.shape[-2] < 2 or values.shape[-1] == 0:
        raise InputError(
            f"the residuals have shape {values.shape}, but (..., n_observations, n_channels) with at least two "
            "observations and one channel are needed: give the residuals of all volumes or trials"
        )
    n_observations, n_channels = values.shape[-2:]
    if not np.isfinite(values).all():
        raise InputError("the residuals hold NaN or infinite values: leave out the channels or observations that were not measured")
    if n_channels == 1 and method.startswith("shrinkage"):
        raise InputError(f"one channel has no correlations to shrink, so '{method}' is undefined: use method='diag'")
    labels = None if conditions is None else np.asarray(conditions)
    if labels is not None and labels.shape != (n_observations,):
        raise InputError(f"{labels.size} condition labels were given for {n_observations} observations: give one label each")
    centred, n_means = _centred(values, labels)
    freedom = float(n_observations - n_means if degrees_of_freedom is None else degrees_of_freedom)
    if not freedom > 0:
        raise InputError(
            f"{n_observations} observations with {n_means} means taken out leave {freedom:g} degrees of freedom: "
            "measure conditions more than once, or give degrees_of_freedom above zero"
        )
    precision = np.empty((*values.shape[:-2], n_channels, n_channels))
    for index in np.ndindex(*values.shape[:-2]):
        one = centred[index]
        scale = np.abs(values[index]).max(axis=0)
        # What centring leaves of a constant channel is rounding, and no noise.
        one = np.where(np.abs(one).max(axis=0) > 1e-12 * scale, one, 0.0)
        silent = np.flatnonzero(~one.any(axis=0))
        if len(silent) and method != "shrinkage_eye":
            raise InputError(
                f"channel {silent[0] + 1} never varies in the residuals{_which(index)}, so its precision is infinite: "
                "leave the channel out"
            )
        precision[index] = _inverse(ESTIMATORS[method](one, freedom), method, one, index)
    return precision


def whitening_factor(
    noise: object, batch: tuple[int, ...], n_channels: int, argument: str = "noise"
) -> Float[np.ndarray, "n_sets n_channels n_channels"]:
    """Check noise precisions and give, for each set of a batch, F with F F^T the precision.

    Parameters
    ----------
    noise
        Precision, shape (n_channels, n_channels), or with leading axes that broadcast to ``batch``.
    batch
        Leading axes of the patterns.
    n_channels
        Channels of the patterns.
    argument
        What the caller calls it, for the error.
    """
    values = np.asarray(noise, dtype=np.float64)
    if values.ndim < 2 or values.shape[-2:] != (n_channels, n_channels):
        raise InputError(
            f"the precision {argument} has shape {values.shape}, but the patterns have {n_channels} channel(s): give "
            f"(..., {n_channels}, {n_channels}) as rsa.noise_precision returns it"
        )
    try:
        fits = np.broadcast_shapes(values.shape[:-2], batch) == batch
    except ValueError:
        fits = False
    if not fits:
        raise InputError(
            f"the leading axes {values.shape[:-2]} of {argument} do not broadcast to those of the patterns, {batch}: "
            "give one precision for all, or one for each set"
        )
    if not np.isfinite(values).all():
        raise InputError(f"the precision {argument} holds NaN or infinite values: estimate it with rsa.noise_precision")
    transposed = np.swapaxes(values, -1, -2)
    if (np.abs(values - transposed) > SYMMETRY_TOLERANCE * np.abs(values).max(axis=(-1, -2), keepdims=True)).any():
        raise InputError(f"the precision {argument} is not symmetric: give an inverse covariance, as rsa.noise_precision does")
    try:
        factor = np.linalg.cholesky((values + transposed) / 2)
    except np.linalg.LinAlgError:
        raise InputError(
            f"the precision {argument} is not positive definite, so distances could be negative: estimate it with "
            "rsa.noise_precision, whose shrinkage makes it so"
        ) from None
    return np.broadcast_to(factor, (*batch, n_channels, n_channels)).reshape(-1, n_channels, n_channels)


__all__ = ["ESTIMATORS", "noise_precision", "whitening_factor"]
