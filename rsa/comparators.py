r"""How alike two RDMs are: Pearson, Spearman as rho-a, Kendall as tau-a, cosine, and whitened forms, over weighted pairs.

With non-negative pair weights :math:`w_p`, N their sum, and :math:`\langle a, b \rangle = \sum_p w_p a_p b_p`:

- ``pearson``: :math:`\langle z_m, z_d \rangle`, z centred by the weighted mean and of unit length;
- ``cosine``: the same without centring;
- ``spearman``: :math:`\rho_a = \frac{12}{N^3 - N} \langle r_m - \tfrac{N+1}{2},\, r_d - \tfrac{N+1}{2} \rangle` with
  mid-ranks r, the expected rank correlation when ties are broken at random (Schütt et al. 2023);
- ``kendall``: tau-a, see :mod:`rsa.kendall`;
- ``whitened_pearson``, ``whitened_cosine``: the same in the metric :math:`V^{-1}` in which estimated dissimilarities of
  equally noisy, independent patterns are uncorrelated (Diedrichsen et al. 2021, doi:10.51628/001c.27664), which for complete
  RDMs is the inner product of doubly centred matrices (linear CKA). Weights of pairs do not say how many patterns there
  are, so here they must be equal; draws of conditions are exact, see :mod:`rsa.grams`.

A whole weight w means exactly what repeating the pair w times means, so resampling conditions with counts c is
weighting pair (i, j) by c_i c_j. Fractional weights are accepted in the same formulas; for the two rank comparators N
is a count, so there the scale of the weights matters.

Reference: Schütt, Kipnis, Diedrichsen and Kriegeskorte 2023, eLife 12:e82566, doi:10.7554/eLife.82566.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from rsa import grams, kendall, rank_draws
from rsa.bootstrap import leave_one_out_counts
from rsa.pairs import condition_count
from rsa.permuted import permuted_products
from rsa.ranks import Order, sort_once, weighted_midranks

# A draw whose variance is below this share of the RDM's mean square is constant up to rounding.
VARIANCE_TOLERANCE = 1e-20


class Comparator(NamedTuple):
    """Pure functions; adding a comparator is writing these and one line in ``COMPARATORS``.

    prepare: RDMs (n, n_pairs) → whatever can be computed once, before any weight is known, batched over n.
    pooled: prepared, weights (n_pairs,) → (n, n_pairs), RDMs on the scale on which subjects are averaged.
    score: prepared models, prepared data, weights (n_pairs,) → (n_models, n_subjects).
    draw_scores: prepared models, prepared data, counts (n_draws, n_conditions), which pairs were measured (n_pairs,) or None
    → (n_draws, n_models, n_subjects), in NumPy.
    null_scores: prepared models, prepared data, permutations (n_draws, n_conditions) → (n_draws, n_models), the mean
    score over subjects when the data's conditions are permuted, in NumPy.
    jackknife_scores: prepared models, prepared data, measured → (n_conditions, n_models, n_subjects), the scores without each
    condition; where there is none, they are scores of draws that lack it.
    centred: whether a constant RDM has no score (else only an RDM of zeros has none).
    weighs_pairs: whether ``score`` and ``pooled`` take any weights, or equal ones alone.
    traceable: whether JAX compiles the first three; else they take and give NumPy arrays.
    summary: what it is, for a reader.
    """

    prepare: Callable[[Any], Any]
    pooled: Callable[[Any, Any], Any]
    score: Callable[[Any, Any, Any], Any]
    draw_scores: Callable[[Any, Any, Any, Any], Any]
    null_scores: Callable[[Any, Any, Any], Any]
    jackknife_scores: Callable[[Any, Any, Any], Any] | None = None
    centred: bool = True
    weighs_pairs: bool = True
    traceable: bool = True
    summary: str = ""


def _centre(rdms: jax.Array, weights: jax.Array) -> jax.Array:
    return rdms - (rdms @ weights / weights.sum())[:, None]


def _unit_length(rdms: jax.Array, weights: jax.Array, mean_square: jax.Array) -> jax.Array:
    """Scale to unit weighted length; NaN where nothing but rounding is left of the RDM."""
    square = jnp.square(rdms) @ weights
    return rdms / jnp.sqrt(jnp.where(square > VARIANCE_TOLERANCE * mean_square, square, jnp.nan))[:, None]


def _pearson_vectors(rdms: jax.Array, weights: jax.Array) -> jax.Array:
    return _unit_length(_centre(rdms, weights), weights, jnp.square(rdms) @ weights)


def _cosine_vectors(rdms: jax.Array, weights: jax.Array) -> jax.Array:
    return _unit_length(rdms, weights, jnp.zeros(len(rdms)))


def _rho_a_vectors(order: Any, weights: jax.Array) -> jax.Array:
    return weighted_midranks(order, weights) - (weights.sum() + 1) / 2


def _rho_a_divisor(weights: jax.Array) -> jax.Array:
    """What the ranks' inner product is divided by, last: products of half integers are exact until then."""
    total = weights.sum()
    return (total**3 - total) / 12


def _one(weights: jax.Array) -> jax.Array:
    return jnp.ones(())


def _inner(left: jax.Array, right: jax.Array) -> jax.Array:
    return jnp.matmul(left, right, precision=lax.Precision.HIGHEST)


def _inner_product_comparator(
    prepare: Callable[[jax.Array], Any],
    vectors: Callable[[Any, jax.Array], jax.Array],
    pooled: Callable[[Any, jax.Array], jax.Array],
    draws: tuple[Callable[[Any, Any, Any, Any], Any], Callable[[Any, Any, Any], Any] | None],
    divisor: Callable[[jax.Array], jax.Array] = _one,
    centred: bool = True,
) -> Comparator:
    """Build a comparator that is a weighted inner product of vectors, each made from one RDM and the weights."""

    def score(models: Any, data: Any, weights: jax.Array) -> jax.Array:
        return _inner(vectors(models, weights) * weights, vectors(data, weights).T) / divisor(weights)

    compiled_vectors = jax.jit(vectors)

    def null_scores(models: Any, data: Any, permutations: np.ndarray) -> np.ndarray:
        n_conditions = permutations.shape[1]
        ones = jnp.ones(n_conditions * (n_conditions - 1) // 2)
        ours, theirs = (np.asarray(compiled_vectors(each, ones)) for each in (models, data))
        return permuted_products(ours, theirs.mean(axis=0), permutations) / float(divisor(ones))

    draw_scores, jackknife_scores = draws
    return Comparator(prepare, pooled, score, draw_scores, null_scores, jackknife_scores, centred)


def _draws_of(name: str) -> tuple[Callable[[Any, Any, Any, Any], Any], Callable[[Any, Any, Any], Any]]:
    """Scores in draws, and without each condition, of a comparator that is an inner product of RDMs as they are."""
    metric = grams.METRICS[name]

    def draw_scores(models: Any, data: Any, counts: np.ndarray, measured: np.ndarray | None) -> np.ndarray:
        return grams.draw_scores(np.asarray(models), np.asarray(data), counts, metric, measured)

    def jackknife_scores(models: Any, data: Any, measured: np.ndarray | None) -> np.ndarray:
        return grams.draw_scores(np.asarray(models), np.asarray(data), None, metric, measured)

    return draw_scores, jackknife_scores


def _rho_a_draws(models: Order, data: Order, counts: np.ndarray, measured: np.ndarray | None) -> np.ndarray:
    def entries(orders: Order) -> rank_draws.Sorted:
        order = np.asarray(orders.order)
        return rank_draws.from_orders(order, np.take_along_axis(np.asarray(orders.start), order, axis=1), measured)

    return rank_draws.draw_scores("spearman", entries(models), entries(data), counts)


def _matrices(rdms: jax.Array) -> jax.Array:
    """Square form of condensed RDMs (traceable)."""
    n_conditions = condition_count(rdms.shape[-1])
    first, second = np.triu_indices(n_conditions, 1)
    square = jnp.zeros((len(rdms), n_conditions, n_conditions), rdms.dtype)
    return square.at[:, first, second].set(rdms).at[:, second, first].set(rdms)


def _doubly_centred(square: jax.Array) -> jax.Array:
    rows = square.mean(axis=1, keepdims=True)
    return square - rows - rows.swapaxes(1, 2) + rows.mean(axis=2, keepdims=True)


def _whitened_comparator(centred: bool) -> Comparator:
    """Build the cosine in the metric of whitened dissimilarities, of RDMs that are centred or not."""

    def centre(rdms: jax.Array) -> jax.Array:
        return rdms - rdms.mean(axis=1, keepdims=True) if centred else rdms

    def vectors(rdms: jax.Array) -> jax.Array:
        """Doubly centred matrices of unit length, (n, n_conditions, n_conditions)."""
        matrices = _doubly_centred(_matrices(centre(rdms)))
        square = jnp.square(matrices).sum(axis=(1, 2))
        floor = VARIANCE_TOLERANCE * jnp.square(rdms).sum(axis=1)
        return matrices / jnp.sqrt(jnp.where(square > floor, square, jnp.nan))[:, None, None]

    def pooled(rdms: jax.Array, weights: jax.Array) -> jax.Array:
        matrices = _doubly_centred(_matrices(centre(rdms)))
        return centre(rdms) / jnp.sqrt(jnp.square(matrices).sum(axis=(1, 2)))[:, None]

    def score(models: jax.Array, data: jax.Array, weights: jax.Array) -> jax.Array:
        ours, theirs = vectors(models), vectors(data)
        return _inner(ours.reshape(len(ours), -1), theirs.reshape(len(theirs), -1).T)

    compiled_vectors = jax.jit(vectors)

    def null_scores(models: jax.Array, data: jax.Array, permutations: np.ndarray) -> np.ndarray:
        ours, theirs = np.asarray(compiled_vectors(models)), np.asarray(compiled_vectors(data)).mean(axis=0)
        first, second = np.triu_indices(permutations.shape[1], 1)
        diagonals = np.einsum("kii->ki", ours), np.diagonal(theirs)
        # Both triangles count.
        return permuted_products(2 * ours[:, first, second], theirs[first, second], permutations, diagonals)

    draws = _draws_of("whitened_pearson" if centred else "whitened_cosine")
    return Comparator(lambda rdms: rdms, pooled, score, draws[0], null_scores, draws[1], centred, weighs_pairs=False)


COMPARATORS: dict[str, Comparator] = {
    "pearson": _inner_product_comparator(lambda rdms: rdms, _pearson_vectors, _pearson_vectors, _draws_of("pearson"))._replace(
        summary="Pearson's correlation of two RDMs' entries"
    ),
    # Raw mid-ranks are averaged over subjects: sums of halves are exact, so ties of the mean are real ties.
    "spearman": _inner_product_comparator(
        sort_once, _rho_a_vectors, weighted_midranks, (_rho_a_draws, None), _rho_a_divisor
    )._replace(summary="Spearman's rank correlation as rho-a: its expectation where ties are broken at random"),
    "kendall": Comparator(
        kendall.prepare,
        kendall.pooled,
        kendall.score,
        kendall.draw_scores,
        kendall.null_scores,
        kendall.jackknife_scores,
        traceable=False,
        summary="Kendall's rank correlation as tau-a: pairs of entries that agree in order, less those that do not, over all pairs",
    ),
    "cosine": _inner_product_comparator(
        lambda rdms: rdms, _cosine_vectors, _cosine_vectors, _draws_of("cosine"), centred=False
    )._replace(summary="the cosine between two RDMs' entries, for ratio scales such as that of crossnobis"),
    "whitened_pearson": _whitened_comparator(centred=True)._replace(
        summary="Pearson's correlation in the metric in which estimated dissimilarities are uncorrelated "
        "(Diedrichsen et al. 2021, doi:10.51628/001c.27664)"
    ),
    "whitened_cosine": _whitened_comparator(centred=False)._replace(
        summary="the cosine in that metric; of complete RDMs it is linear CKA"
    ),
}
"""Comparators of RDMs by the name that `compare`, `evaluate` and the others take."""

# Jitted once for the package, keyed by the comparator: every caller shares what is compiled.
_prepare = partial(jax.jit, static_argnums=0)(lambda comparator, rdms: comparator.prepare(rdms))
_score = partial(jax.jit, static_argnums=0)(lambda comparator, *arguments: comparator.score(*arguments))


def prepare(comparator: Comparator, rdms: Any) -> Any:
    """What can be computed before any weight is known."""
    return _prepare(comparator, rdms) if comparator.traceable else comparator.prepare(rdms)


def score(comparator: Comparator, models: Any, data: Any, weights: Any) -> Any:
    """Scores (n_models, n_subjects) for one set of pair weights."""
    if comparator.traceable:
        return _score(comparator, models, data, jnp.asarray(weights))
    return comparator.score(models, data, weights)


def draw_scores(comparator: Comparator, models: Any, data: Any, counts: Any, measured: Any = None) -> np.ndarray:
    """Scores (n_draws, n_models, n_subjects) for each row of counts of conditions, over the pairs that were measured."""
    return np.asarray(comparator.draw_scores(models, data, np.asarray(counts), measured))


def null_scores(comparator: Comparator, models: Any, data: Any, permutations: Any) -> np.ndarray:
    """Mean scores over subjects (n_draws, n_models) for each permutation of conditions, of complete RDMs."""
    return np.asarray(comparator.null_scores(models, data, np.asarray(permutations)))


def jackknife_scores(comparator: Comparator, models: Any, data: Any, n_conditions: int, measured: Any = None) -> np.ndarray:
    """Scores (n_conditions, n_models, n_subjects) without each condition in turn."""
    if comparator.jackknife_scores is not None:
        return np.asarray(comparator.jackknife_scores(models, data, measured))
    return draw_scores(comparator, models, data, leave_one_out_counts(n_conditions), measured)


__all__ = ["COMPARATORS", "Comparator", "draw_scores", "jackknife_scores", "null_scores", "prepare", "score"]
