r"""Does a representation last? What is found at one time, looked for at every other.

Both answers are matrices of time by time, as in the generalisation of decoders over time (King and Dehaene 2014): a
code that lasts fills a square, a sequence of codes the diagonal alone. Neither is inflated by noise that lasts, because
what is compared never shares it:

- :func:`generalise_over_time` compares a subject's RDM at one time with the mean RDM of the *other subjects* at another:
  is the geometry the same? Its diagonal is the lower noise ceiling of each time.
- :func:`temporal_generalisation` multiplies differences of patterns in one *run* at one time with those in another run at
  another: are the patterns themselves the same? With X and Y the responses at times t and t' and P a precision matrix,

  .. math::
      d_{ij}(t, t') = \frac{1}{n_{channels}} \operatorname*{mean}_{r \ne r'}\;
          (x_{ir} - x_{jr})^T P\, (y_{ir'} - y_{jr'})

  At t = t' it is the squared crossnobis distance (Walther et al. 2016). It is signed and zero on average where there is
  nothing, and negative where a difference between conditions turns around.

A geometry may last while its patterns change, so the first can fill a square where the second does not.

References: King and Dehaene 2014, doi:10.1016/j.tics.2014.01.002; Walther et al. 2016,
doi:10.1016/j.neuroimage.2015.12.012.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Real

from bioplausible.foundation.errors import InputError
from rsa import comparators
from rsa.checks import check_rdms, check_varies, find_comparator
from rsa.comparison import compare
from rsa.pairs import Array
from rsa.precision import in_double_precision

# A precision matrix whose triangles differ by less than this share of its largest entry is symmetric.
SYMMETRY_TOLERANCE = 1e-8


@in_double_precision
def generalise_over_time(
    data_rdms: Real[Array, "n_times n_subjects n_pairs"], comparator: str = "spearman", average: bool = True
) -> Float[np.ndarray, "*subjects n_times n_times"]:
    """Compare each subject's RDM at each time with the other subjects' RDM at every time.

    Parameters
    ----------
    data_rdms
        Condensed RDMs, shape (n_times, n_subjects, n_pairs).
    comparator
        As in :func:`rsa.compare`.
    average
        Give the mean over subjects; else one matrix per subject, for :func:`rsa.cluster_sign_flips` and plots.

    Returns
    -------
    Scores, shape (n_times, n_times) or (n_subjects, n_times, n_times); rows are the others' time, columns the subject's
    own. The others' RDMs are averaged on the comparator's own scale, as for :func:`rsa.noise_ceiling`.

    Raises
    ------
    InputError
        For one subject, and as :func:`rsa.compare` does.

    >>> rdms = np.array([[[1.0, 2.0, 3.0]] * 2, [[3.0, 2.0, 1.0]] * 2])
    >>> generalise_over_time(rdms)
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    measure = find_comparator(comparator)
    data = check_rdms(data_rdms, "data")
    check_varies(data, "data", comparator)
    if data.ndim != 3 or data.shape[1] < 2:
        raise InputError(
            f"the data RDMs have shape {data.shape}, but (n_times, n_subjects, n_pairs) with at least two subjects is "
            "expected: one subject has no others to be compared with; rsa.temporal_generalisation takes its runs instead"
        )
    n_times, n_subjects, n_pairs = data.shape
    weights = jnp.ones(n_pairs) if measure.traceable else np.ones(n_pairs)
    pooled = np.stack([np.asarray(measure.pooled(comparators.prepare(measure, one), weights)) for one in data])
    total = pooled.sum(axis=1)
    scores = np.empty((n_subjects, n_times, n_times))
    for subject in range(n_subjects):
        others = (total - pooled[:, subject]) / (n_subjects - 1)
        scores[subject] = compare(others, data[:, subject], comparator)
    return scores.mean(axis=0) if average else scores


def temporal_generalisation(
    patterns: Real[Array, "*batch n_times n_runs n_conditions n_channels"],
    precision: Real[Array, "..."] | None = None,
    average: bool = True,
) -> Float[np.ndarray, "..."]:
    """Cross-validate distances of patterns over runs, between every two times.

    Parameters
    ----------
    patterns
        Responses, shape (..., n_times, n_runs, n_conditions, n_channels); leading axes are subjects.
    precision
        Inverse covariance of the noise, shape (..., n_channels, n_channels), which makes the distance a Mahalanobis
        distance; by default the identity.
    average
        Give the mean over pairs of conditions: how well conditions can be told apart at one time by what tells them apart at
        the other. Else every pair's distance.

    Returns
    -------
    Distances, shape (..., n_times, n_times), or (..., n_times, n_times, n_pairs). Symmetric in the two times, because each
    run is paired with every other both ways; not clipped at zero.

    Raises
    ------
    InputError
        For fewer than two runs or conditions, NaN or infinite values, and a precision that does not fit or is not symmetric.

    >>> stable = np.tile(np.array([[1.0], [-1.0]]), (3, 2, 1, 1))
    >>> temporal_generalisation(stable * np.array([1, 1, 0])[:, None, None, None])
    array([[4., 4., 0.],
           [4., 4., 0.],
           [0., 0., 0.]])
    """
    values = np.asarray(patterns)
    if values.ndim < 4 or values.shape[-3] < 2 or values.shape[-2] < 2:
        raise InputError(
            f"the patterns have shape {values.shape}, but (..., n_times, n_runs, n_conditions, n_channels) with at least two "
            "runs and two conditions is expected: a distance is cross-validated between runs"
        )
    if not np.isfinite(values).all():
        raise InputError("the patterns hold NaN or infinite values: leave out the channels, times or runs that were not measured")
    batch, n_channels = values.shape[:-4], values.shape[-1]
    weights = np.broadcast_to(_check_precision(precision, batch, n_channels), (*batch, n_channels, n_channels))
    one = _mean_distance if average else _every_distance
    results = [one(values[index].astype(np.float64), weights[index]) for index in np.ndindex(*batch)]
    return np.stack(results).reshape(*batch, *results[0].shape)


def _mean_distance(
    patterns: Float[np.ndarray, "n_times n_runs n_conditions n_channels"], precision: Float[np.ndarray, "n_channels n_channels"]
) -> Float[np.ndarray, "n_times n_times"]:
    """The mean over pairs is twice the covariance of conditions, so no pair is needed."""
    n_times, n_runs, n_conditions, n_channels = patterns.shape
    ours = patterns - patterns.mean(axis=2, keepdims=True)
    theirs = ours @ precision
    # Products of every run with every other: of the sums over runs, less those of each run with itself.
    products = ours.sum(axis=1).reshape(n_times, -1) @ theirs.sum(axis=1).reshape(n_times, -1).T
    for run in range(n_runs):
        products -= ours[:, run].reshape(n_times, -1) @ theirs[:, run].reshape(n_times, -1).T
    return 2 * products / ((n_conditions - 1) * n_runs * (n_runs - 1) * n_channels)


def _every_distance(
    patterns: Float[np.ndarray, "n_times n_runs n_conditions n_channels"], precision: Float[np.ndarray, "n_channels n_channels"]
) -> Float[np.ndarray, "n_times n_times n_pairs"]:
    n_times, n_runs, n_conditions, n_channels = patterns.shape
    first, second = np.triu_indices(n_conditions, 1)
    ours = patterns - patterns.mean(axis=2, keepdims=True)
    theirs = np.moveaxis(ours @ precision, -1, -2)
    distances = np.empty((n_times, n_times, len(first)))
    for time in range(n_times):
        products = ours[time].sum(axis=0) @ theirs.sum(axis=1) - (ours[time] @ theirs).sum(axis=1)
        own = np.diagonal(products, axis1=1, axis2=2)
        distances[time] = own[:, first] + own[:, second] - products[:, first, second] - products[:, second, first]
    return distances / (n_runs * (n_runs - 1) * n_channels)


def _check_precision(precision: object, batch: tuple[int, ...], n_channels: int) -> np.ndarray:
    if precision is None:
        return np.eye(n_channels)
    values = np.asarray(precision, dtype=np.float64)
    try:
        np.broadcast_to(values, (*batch, n_channels, n_channels))
        fits = values.ndim >= 2
    except ValueError:
        fits = False
    if not fits or values.shape[-2:] != (n_channels, n_channels):
        raise InputError(
            f"the precision has shape {values.shape}, but ({n_channels}, {n_channels}) is expected, for all or for each of {batch}"
        )
    if (
        not np.isfinite(values).all()
        or np.abs(values - np.swapaxes(values, -1, -2)).max() > SYMMETRY_TOLERANCE * np.abs(values).max()
    ):
        raise InputError("the precision is not symmetric, or holds NaN: give the inverse of a covariance matrix")
    return values


__all__ = ["generalise_over_time", "temporal_generalisation"]
