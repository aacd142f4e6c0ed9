r"""Partial and semi-partial comparison: what models and data share beyond what covariate RDMs explain.

With weights :math:`w_p` of pairs, every RDM is regressed on a constant and the covariates by weighted least squares, and e are what
remains, in the inner product :math:`\langle a, b \rangle = \sum_p w_p a_p b_p`:

.. math:: r_{partial} = \frac{\langle e_m, e_d \rangle}{\lVert e_m \rVert \lVert e_d \rVert}, \qquad
          r_{semipartial} = \frac{\langle e_m, d \rangle}{\lVert e_m \rVert \lVert d - \bar d \rVert}

The semi-partial form takes the covariates out of the model alone; its square is the share of the data's variance that the model
adds to the covariates, and so it compares models whose data are the same. For one covariate c the two are

.. math:: r_{md \cdot c} = \frac{r_{md} - r_{mc} r_{dc}}{\sqrt{(1 - r_{mc}^2)(1 - r_{dc}^2)}}, \qquad
          r_{d(m \cdot c)} = \frac{r_{md} - r_{mc} r_{dc}}{\sqrt{1 - r_{mc}^2}}

``spearman`` does the same to mid-ranks. That is the common rank correlation, which divides by the variance that ties leave, and
not the rho-a of :func:`rsa.compare`: without ties the two agree.

Three limits. A covariate is taken out as well as it was measured: of one with noise, some of what it stands for stays. And ranks
make relations straight one by one, not together: of normal variables that share half of their variance with a covariate and nothing
else, the partial rank correlation is 0.012 instead of zero, while Pearson's is zero.

And a covariate RDM is one distance of what it stands for: beyond the RDM of pixels is not beyond pixels. Noise draws correlation
distances towards one, the more the shorter a stimulus' pattern is, in networks and brains alike, and the length is no part of a
correlation distance of the pixels. Of models and data that are noisy linear images of pixels and share nothing else (30 stimuli),
0.049 is left (Spearman; Pearson 0.042), and 0.014 (0.004) where all stimuli are of one length; of six such subjects, intervals over
stimuli excluded zero in 22 % (13 %) of the cases. What is left of one model by itself is therefore no evidence of more than the
covariates: read differences between a model and its control, on which all of this falls alike as far as they keep as much of the
covariates.

Reference: Cohen et al. 2003, Applied Multiple Regression/Correlation Analysis, 3rd edition, doi:10.4324/9780203774441.
"""

import numpy as np
from jaxtyping import Float, Real

from bioplausible.foundation.errors import InputError, unknown_name
from rsa.checks import check_rdms, check_same_pairs, check_varies, check_weights
from rsa.pairs import Array, condition_count
from rsa.precision import in_double_precision

PARTIAL_COMPARATORS = ("pearson", "spearman")
"""Comparators that have a partial form."""
KINDS = ("partial", "semipartial")

# Files hold RDMs in single precision: what is shorter than this share of an RDM once covariates are taken out is rounding, and a
# covariate that adds less to the others repeats them.
ROUNDING = 1e-6

_Vectors = Float[np.ndarray, "n_rdms n_pairs"]


def sorted_entries(rdms: np.ndarray, comparator: str) -> np.ndarray:
    """RDMs as `partial_scores` takes them: of ranks, which of an RDM's values each entry is, sorted once for all weights."""
    if comparator != "spearman":
        return rdms
    return np.stack([np.unique(one, return_inverse=True)[1] for one in rdms])


def _midranks(tied: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rank one RDM's entries, each of which counts as often as its weight says."""
    copies = np.bincount(tied, weights)
    return (np.cumsum(copies) - (copies - 1) / 2)[tied]


def _vectors(entries: np.ndarray, comparator: str, weights: np.ndarray) -> _Vectors:
    """RDMs or their ranks, centred, at unit length in the plain inner product once weighted."""
    values = entries
    if comparator == "spearman":
        values = np.stack([_midranks(one, weights) for one in entries])
    centred = values - (values @ weights / weights.sum())[:, None]
    scaled = centred * np.sqrt(weights)
    return scaled / np.linalg.norm(scaled, axis=1, keepdims=True)


def _without(vectors: _Vectors, basis: np.ndarray, kind: str) -> _Vectors:
    """Take the covariates out, and scale what is left to unit length."""
    left = vectors
    # The second time takes out what rounding put back in where the covariates explain nearly all.
    for _ in range(2):
        left = left - (left @ basis.T) @ basis
    lengths = np.linalg.norm(left, axis=1)
    explained = np.flatnonzero(lengths <= ROUNDING)
    if len(explained):
        raise InputError(
            f"the covariates explain {kind} RDM {explained[0]} entirely, so nothing of it is left to compare: leave out the "
            "covariate that it equals, or the RDM itself"
        )
    return left / lengths[:, None]


def _checked(rdms: object, kind: str) -> np.ndarray:
    values = check_rdms(rdms, kind)
    if values.ndim > 2:
        raise InputError(
            f"the {kind} RDMs have shape {values.shape}, but (n_rdms, n_pairs) is expected: join leading axes with "
            "reshape(-1, n_pairs)"
        )
    return values


@in_double_precision
def partial_compare(
    model_rdms: Real[Array, "n_models n_model_pairs"],
    data_rdms: Real[Array, "n_subjects n_pairs"],
    covariate_rdms: Real[Array, "n_covariates n_covariate_pairs"],
    comparator: str = "spearman",
    kind: str = "partial",
    weights: Real[Array, " n_weights"] | None = None,
) -> Float[np.ndarray, "n_models n_subjects"]:
    """Score every model RDM against every subject's RDM, with covariate RDMs taken out.

    Parameters
    ----------
    model_rdms
        Condensed RDMs, shape (n_models, n_pairs).
    data_rdms
        Condensed RDMs, shape (n_subjects, n_pairs).
    covariate_rdms
        Condensed RDMs that are taken out together, shape (n_covariates, n_pairs); :func:`rsa.reference_rdms` gives some.
    comparator
        ``"pearson"`` or ``"spearman"``.
    kind
        ``"partial"``: covariates are taken out of models and data. ``"semipartial"``: out of the models alone.
    weights
        How often each pair counts, shape (n_pairs,), as in :func:`rsa.compare`.

    Returns
    -------
    Scores, shape (n_models, n_subjects).

    Raises
    ------
    InputError
        For an unknown comparator or kind, shapes that do not fit, NaN, constant RDMs, more covariates than pairs allow, and RDMs
        that the covariates explain entirely.

    >>> model, covariate = np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]), np.array([[1.0, -1.0, 0.0, 0.0, -1.0, 1.0]])
    >>> partial_compare(model, model + 2 * covariate, covariate, "pearson").round(6)
    array([[1.]])
    """
    if comparator not in PARTIAL_COMPARATORS:
        raise unknown_name("comparator with a partial form", comparator, PARTIAL_COMPARATORS)
    if kind not in KINDS:
        raise unknown_name("kind of partial comparison", kind, KINDS)
    models, data, covariates = _checked(model_rdms, "model"), _checked(data_rdms, "data"), _checked(covariate_rdms, "covariate")
    check_same_pairs(models, data)
    n_pairs = data.shape[1]
    if covariates.shape[1] != n_pairs:
        raise InputError(
            f"the covariate RDMs have {condition_count(covariates.shape[1])} conditions and the data's {condition_count(n_pairs)}: "
            "both must show the same conditions in the same order"
        )
    counts = np.ones(n_pairs) if weights is None else check_weights(weights, n_pairs, comparator)
    if counts.ndim > 1:
        raise InputError(f"the weights have shape {counts.shape}, but one set is expected, ({n_pairs},): take sets in turn")
    for values, name in ((models, "model"), (data, "data"), (covariates, "covariate")):
        check_varies(values, name, comparator, counts)
    ours, theirs, controls = (sorted_entries(values, comparator) for values in (models, data, covariates))
    return partial_scores(ours, theirs, controls, comparator, kind, counts)


def partial_scores(
    models: np.ndarray, data: np.ndarray, covariates: np.ndarray, comparator: str, kind: str, weights: np.ndarray
) -> Float[np.ndarray, "n_models n_subjects"]:
    """What :func:`partial_compare` gives, of RDMs that were checked and sorted before.

    Parameters
    ----------
    models, data, covariates
        As `sorted_entries` gives them.
    comparator, kind, weights
        As in :func:`partial_compare`.

    Raises
    ------
    InputError
        Covariates that leave too few pairs free, or explain an RDM entirely.
    """
    _, singular, directions = np.linalg.svd(_vectors(covariates, comparator, weights), full_matrices=False)
    basis = directions[singular > ROUNDING * singular[0]]
    n_counted = int((weights > 0).sum())
    if n_counted < len(basis) + 3:
        raise InputError(
            f"{len(basis)} covariates and a constant leave {n_counted - len(basis) - 1} of {n_counted} pairs free, and a "
            "correlation needs two or more: give fewer covariates, or more conditions"
        )
    ours, theirs = _vectors(models, comparator, weights), _vectors(data, comparator, weights)
    ours = _without(ours, basis, "model")
    if kind == "partial":
        theirs = _without(theirs, basis, "data")
    return ours @ theirs.T


__all__ = ["PARTIAL_COMPARATORS", "partial_compare", "partial_scores", "sorted_entries"]
