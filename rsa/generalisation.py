"""Scores generalised beyond the stimuli, subjects and training seeds that they were measured on, and differences between them.

Scores under draws of every set of `rsa.factors` are inner products of RDMs (`rsa.grams`) where the comparator is one, and the
comparator's own otherwise; both give each draw's score exactly.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Real

from bioplausible.foundation.errors import InputError
from rsa import kendall, missing
from rsa.bootstrap import leave_one_out_counts
from rsa.checks import check_rdms, check_same_pairs, check_varies, find_comparator
from rsa.draw_ceilings import rank_ceilings
from rsa.factors import FACTORS, Draws, Factors, check_factors, draw_all, subsets, variance_over_factors
from rsa.grams import METRICS, ceilings_of_draws, grams, normalise
from rsa.inference import MINIMUM_DISTINCT_CONDITIONS, Evaluation
from rsa.pairs import Array, condition_count
from rsa.precision import in_double_precision


class Generalisation(NamedTuple):
    """Scores of models with intervals over the factors that were drawn.

    scores: (n_models, n_seeds, n_subjects). mean: (n_models,).
    draws: for every set of factors, (n_draws, n_models) means in which they were drawn and the others kept.
    jackknife: (n_conditions, n_models), the mean without each stimulus; empty where stimuli were not drawn.
    variance, standard_error, lower, upper: (n_models,), corrected; p_value: one-sided, of the mean against zero.
    ceilings: for every set of factors, (n_draws, 2) lower and upper noise ceiling; empty unless asked for.
    degrees_of_freedom: (n_models,), of the t distribution. factors, comparator, confidence: as given. sizes: of each factor.
    """

    scores: np.ndarray
    mean: np.ndarray
    draws: Mapping[Factors, np.ndarray]
    jackknife: np.ndarray
    variance: np.ndarray
    standard_error: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    p_value: np.ndarray
    ceilings: Mapping[Factors, np.ndarray]
    degrees_of_freedom: np.ndarray
    factors: Factors
    sizes: Mapping[str, int]
    comparator: str
    confidence: float


class GeneralisedContrast(NamedTuple):
    """Paired difference of two models (or means of models), with interval and two-sided p-value."""

    difference: float
    lower: float
    upper: float
    standard_error: float
    p_value: float


class _Scored(NamedTuple):
    """Scores (n_draws, n_models, n_subjects) and, of an inner product, the subjects' cosines (n_draws, n_subjects, n_subjects)."""

    scores: np.ndarray
    subjects: np.ndarray | None


def _score(comparator: str, models: np.ndarray, data: np.ndarray, counts: np.ndarray) -> _Scored:
    """Score all models and subjects under each row of counts."""
    n_models = len(models)
    rdms = np.concatenate([models, data])
    known = ~np.isnan(rdms)
    if comparator in METRICS and (known == known[0]).all():
        measured = None if known.all() else known[0]
        cosines = normalise(grams(np.where(known, rdms, 0.0), counts, METRICS[comparator], measured))
        found = _Scored(cosines[:, :n_models, n_models:], cosines[:, n_models:, n_models:])
    else:
        measure = find_comparator(comparator)
        prepared = missing.prepare(measure, models), missing.prepare(measure, data)
        found = _Scored(missing.draw_scores(measure, *prepared, counts), None)
    few = (counts > 0).sum(axis=1) < MINIMUM_DISTINCT_CONDITIONS
    found.scores[few] = np.nan
    return found


def _mean(scores: np.ndarray, subjects: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Mean over seeds and subjects, each as often as drawn: (n_draws, n_models, n_seeds, n_subjects) -> (n_draws, n_models)."""
    of_seeds = seeds / seeds.sum(axis=1, keepdims=True)
    of_subjects = subjects / subjects.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("nmrs,nr,ns->nm", scores, of_seeds, of_subjects, optimize=True))


@in_double_precision
def generalise(
    key: jax.Array | None,
    model_rdms: Real[Array, "n_models *seeds n_model_pairs"],
    data_rdms: Real[Array, "n_subjects n_pairs"],
    comparator: str = "spearman",
    factors: Sequence[str] = ("stimuli", "subjects"),
    n_draws: int = 1000,
    ceilings: bool = False,
    confidence: float = 0.95,
    draws: Draws | None = None,
) -> Generalisation:
    """Score models against subjects, with intervals for other stimuli, other subjects and other training seeds.

    Parameters
    ----------
    key
        JAX random key; the same key gives the same bits. None where ``draws`` are given.
    model_rdms
        Condensed RDMs, shape (n_models, n_pairs) or (n_models, n_seeds, n_pairs).
    data_rdms
        Condensed RDMs, shape (n_subjects, n_pairs). NaN in either is a pair that was not measured, as in :func:`rsa.compare`.
    comparator
        As in :func:`rsa.compare`.
    factors
        What is drawn with replacement: any of "stimuli", "subjects", "seeds".
    n_draws
        Bootstrap draws.
    ceilings
        Whether noise ceilings are worked out in every draw too.
    confidence
        Coverage of the intervals.
    draws
        The draws themselves, as :func:`rsa.draw_all` makes them.

    Returns
    -------
    Generalisation
        See its fields.

    Raises
    ------
    InputError
        As :func:`rsa.compare` does; and for unknown factors, or fewer than six stimuli, four subjects or three seeds where they are
        to be drawn; and for ceilings in every draw where pairs are missing.
    """
    find_comparator(comparator)
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}, but a share between 0 and 1 is expected, such as 0.95")
    models, data = check_rdms(model_rdms, "model", missing=True), check_rdms(data_rdms, "data", missing=True)
    if models.ndim == 2:
        models = models[:, None]
    if models.ndim != 3 or data.ndim != 2:
        raise InputError(
            f"model RDMs of shape {np.shape(model_rdms)} and data of shape {data.shape} were given, expected (n_models, n_seeds, "
            "n_pairs) and (n_subjects, n_pairs): call once for each time"
        )
    check_same_pairs(models, data)
    holes = bool(np.isnan(models).any() or np.isnan(data).any())
    if holes:
        missing.check_common(models.reshape(-1, models.shape[-1]), data, comparator)
        if ceilings:
            raise InputError(
                "ceilings in every draw were asked for of RDMs with missing pairs (NaN): leave ceilings out, and take the one of "
                "rsa.noise_ceiling"
            )
    else:
        check_varies(models, "model", comparator)
        check_varies(data, "data", comparator)
    n_models, n_seeds, n_pairs = models.shape
    n_subjects, n_conditions = len(data), condition_count(n_pairs)
    sizes = {"stimuli": n_conditions, "subjects": n_subjects, "seeds": n_seeds}
    chosen = check_factors(factors, sizes)
    if draws is None:
        if key is None or n_draws < 2:
            raise InputError(f"n_draws={n_draws}, key={key} were given: a bootstrap needs a key and at least two draws")
        draws = draw_all(key, n_draws, n_conditions, n_subjects, n_seeds)
    flat = models.reshape(-1, n_pairs)
    rows = [np.ones((1, n_conditions), dtype=np.int64)]
    if "stimuli" in chosen:
        rows += [leave_one_out_counts(n_conditions), draws.stimuli]
    scored = _score(comparator, flat, data, np.concatenate(rows))
    scores = scored.scores.reshape(-1, n_models, n_seeds, n_subjects)
    bounds: dict[Factors, np.ndarray] = {}
    for names in subsets(chosen) if ceilings else ():
        counts = draws.stimuli if "stimuli" in names else np.ones((1, n_conditions), dtype=np.int64)
        subjects = draws.subjects if "subjects" in names else np.ones((1, n_subjects), dtype=np.int64)
        bounds[names] = _bounds(comparator, data, counts, subjects, scored.subjects, n_conditions, "stimuli" in names)
    scores_of = _Scores(scores[0], scores[1 : 1 + n_conditions], scores[1 + n_conditions :])
    return _combine(scores_of, draws, chosen, sizes, comparator, confidence, bounds)


class _Scores(NamedTuple):
    """Scores (n_models, n_seeds, n_subjects), without each stimulus, and in each draw of stimuli (in front); maybe of none."""

    point: np.ndarray
    jackknife: np.ndarray
    draws: np.ndarray


def _combine(
    scores: _Scores,
    draws: Draws,
    factors: Factors,
    sizes: Mapping[str, int],
    comparator: str,
    confidence: float,
    bounds: Mapping[Factors, np.ndarray],
) -> Generalisation:
    """Means under draws of every set of factors, and what intervals follow."""
    n_draws = len(draws.subjects)
    kept = {name: np.ones((1, sizes[name]), dtype=np.int64) for name in FACTORS}
    found: dict[Factors, np.ndarray] = {}
    for names in subsets(factors):
        anew = scores.draws if "stimuli" in names else scores.point[None]
        subjects = draws.subjects if "subjects" in names else kept["subjects"]
        seeds = draws.seeds if "seeds" in names else kept["seeds"]
        found[names] = _mean(*_same_length(n_draws, anew, subjects, seeds))
    jackknife = scores.jackknife.mean(axis=(2, 3)) if "stimuli" in factors else np.empty((0, len(scores.point)))
    mean = scores.point.mean(axis=(1, 2))
    spread = variance_over_factors(found, jackknife, {name: sizes[name] for name in factors})
    half, two_sided = spread.half_width(confidence), spread.two_sided_p_value(mean)
    return Generalisation(
        scores=scores.point,
        mean=mean,
        draws=found,
        jackknife=jackknife,
        variance=spread.variance,
        standard_error=np.sqrt(spread.variance),
        lower=mean - half,
        upper=mean + half,
        p_value=np.where(mean > 0, two_sided / 2, 1 - two_sided / 2),
        ceilings=bounds,
        degrees_of_freedom=spread.degrees_of_freedom,
        factors=factors,
        sizes=sizes,
        comparator=comparator,
        confidence=confidence,
    )


@in_double_precision
def generalise_evaluation(
    key: jax.Array, evaluation: Evaluation, groups: Sequence[Sequence[int]], factors: Sequence[str] = FACTORS
) -> Generalisation:
    """Generalise an evaluation beyond its subjects and seeds, on its own draws of stimuli.

    Parameters
    ----------
    key
        JAX random key of the draws of subjects and seeds.
    evaluation
        From :func:`rsa.evaluate` with ``keep_subjects=True``, of one time.
    groups
        Indices of the models that are seeds of one, as many in each and in the same order of seeds.
    factors
        As in :func:`generalise`.

    Returns
    -------
    Generalisation
        Of the groups.

    Raises
    ------
    InputError
        Without subjects' draws, for groups of unequal size, and as :func:`generalise` does.
    """
    draws, jackknife = evaluation.subject_draws, evaluation.subject_jackknife
    if draws is None or jackknife is None or evaluation.scores.ndim != 2 or len(draws) < 2:
        raise InputError(
            "the evaluation holds no draws of single subjects at one time: evaluate each time with keep_subjects=True and at "
            "least two draws"
        )
    if not groups or len({len(group) for group in groups}) != 1 or not len(groups[0]):
        raise InputError(
            f"groups of {sorted({len(group) for group in groups})} models were given: seeds are drawn for all alike, so every "
            "group needs as many"
        )
    index = np.array([list(group) for group in groups])
    n_subjects = evaluation.scores.shape[1]
    sizes = {"stimuli": jackknife.shape[0], "subjects": n_subjects, "seeds": index.shape[1]}
    chosen = check_factors(factors, sizes)
    drawn = draw_all(key, len(draws), 2, n_subjects, index.shape[1])
    scores = _Scores(evaluation.scores[index], jackknife[:, index], draws[:, index])
    return _combine(scores, drawn, chosen, sizes, evaluation.comparator, evaluation.confidence, {})


@in_double_precision
def generalise_scores(
    key: jax.Array,
    scores: Real[Array, "..."],
    factors: Sequence[str] = ("subjects", "seeds"),
    n_draws: int = 1000,
    confidence: float = 0.95,
    comparator: str = "",
) -> Generalisation:
    """Generalise scores of any kind beyond their subjects and seeds, for these stimuli: patterns' scores, say.

    Parameters
    ----------
    key
        JAX random key of the draws.
    scores
        Shape (n_models, n_seeds, n_subjects).
    factors
        What is drawn with replacement: "subjects", "seeds" or both.
    n_draws
        Bootstrap draws.
    confidence
        Coverage of the intervals.
    comparator
        What the scores are, for the result.

    Returns
    -------
    Generalisation
        Whose p-values hold the means against zero: they mean something where zero is what unrelated patterns score.

    Raises
    ------
    InputError
        For scores of another shape or that are not finite, stimuli among the factors, and as :func:`generalise` does.
    """
    given = np.asarray(scores, dtype=np.float64)
    if given.ndim != 3 or not np.isfinite(given).all():
        raise InputError(
            f"scores of shape {given.shape} were given, expected finite numbers of shape (n_models, n_seeds, n_subjects)"
        )
    if "stimuli" in factors:
        raise InputError("factors name 'stimuli', over which finished scores cannot be drawn: use subjects, seeds or both")
    sizes = {"stimuli": 0, "subjects": given.shape[2], "seeds": given.shape[1]}
    chosen = check_factors(factors, sizes)
    none = np.empty((0, *given.shape))
    drawn = draw_all(key, n_draws, 2, given.shape[2], given.shape[1])
    return _combine(_Scores(given, none, none), drawn, chosen, sizes, comparator, confidence, {})


def _same_length(n_draws: int, scores: np.ndarray, subjects: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
    """The three with a first axis of n_draws, without copying what is kept."""
    return tuple(np.broadcast_to(each, (n_draws, *each.shape[1:])) for each in (scores, subjects, seeds))


def _bounds(
    comparator: str,
    data: np.ndarray,
    counts: np.ndarray,
    subjects: np.ndarray,
    cosines: np.ndarray | None,
    n_conditions: int,
    stimuli_drawn: bool,
) -> np.ndarray:
    """Noise ceilings of every draw, (n_draws, 2)."""
    n_draws = max(len(counts), len(subjects))
    if cosines is not None:
        of_draws = cosines[1 + n_conditions :] if stimuli_drawn else cosines[:1]
        lower, upper = ceilings_of_draws(
            np.broadcast_to(of_draws, (n_draws, *of_draws.shape[1:])), np.broadcast_to(subjects, (n_draws, subjects.shape[1]))
        )
    else:
        lower, upper = rank_ceilings(comparator, kendall.prepare(data), counts, subjects)
    return np.stack([lower, upper], axis=-1)


def generalised_contrast(result: Generalisation, a: int | Sequence[int], b: int | Sequence[int]) -> GeneralisedContrast:
    """Test whether model a (or the mean of the models a) scores differently from b, paired over stimuli, subjects and seeds.

    Parameters
    ----------
    result
        From :func:`generalise` or one of its kin.
    a, b
        Index of a model, or of several.

    Returns
    -------
    The difference of their scores, its interval and standard error, and the two-sided p-value of no difference.

    Raises
    ------
    InputError
        When an index names no model.
    """
    groups = []
    for group in (a, b):
        indices = np.atleast_1d(np.asarray(group))
        if indices.size == 0 or not np.issubdtype(indices.dtype, np.integer) or np.abs(indices + 0.5).max() > len(result.mean):
            raise InputError(f"{group!r} names a model that is not there: the result holds models 0 to {len(result.mean) - 1}")
        groups.append(indices)

    def difference_of(values: np.ndarray) -> np.ndarray:
        return np.asarray(values[..., groups[0]].mean(axis=-1) - values[..., groups[1]].mean(axis=-1))

    difference = float(difference_of(result.mean))
    draws = {names: difference_of(values)[:, None] for names, values in result.draws.items()}
    sizes = {name: result.sizes[name] for name in result.factors}
    spread = variance_over_factors(draws, difference_of(result.jackknife)[:, None], sizes)
    half = float(spread.half_width(result.confidence)[0])
    p_value = float(spread.two_sided_p_value(np.array([difference]))[0])
    return GeneralisedContrast(difference, difference - half, difference + half, float(np.sqrt(spread.variance[0])), p_value)


__all__ = [
    "Generalisation",
    "GeneralisedContrast",
    "generalise",
    "generalise_evaluation",
    "generalise_scores",
    "generalised_contrast",
]
