r"""How alike two RDMs are: Pearson, Spearman as rho-a, Kendall as tau-a, and cosine, over weighted pairs.

With non-negative pair weights :math:`w_p`, N their sum, and :math:`\langle a, b \rangle = \sum_p w_p a_p b_p`:

- ``pearson``: :math:`\langle z_m, z_d \rangle`, z centred by the weighted mean and of unit length;
- ``cosine``: the same without centring;
- ``spearman``: :math:`\rho_a = \frac{12}{N^3 - N} \langle r_m - \tfrac{N+1}{2},\, r_d - \tfrac{N+1}{2} \rangle` with
  mid-ranks r, the expected rank correlation when ties are broken at random (Schütt et al. 2023);
- ``kendall``: tau-a, see :mod:`rsa.kendall`.

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

from rsa import kendall
from rsa.pairs import permuted_pairs
from rsa.ranks import sort_once, weighted_midranks

# A draw whose variance is below this share of the RDM's mean square is constant up to rounding.
VARIANCE_TOLERANCE = 1e-20


class Comparator(NamedTuple):
    """Pure, traceable functions; adding a comparator is writing these and one line in ``COMPARATORS``.

    prepare: RDMs (n, n_pairs) → whatever can be computed once, before any weight is known, batched over n.
    pooled: prepared, weights (n_pairs,) → (n, n_pairs), RDMs on the scale on which subjects are averaged.
    score: prepared models, prepared data, weights (n_pairs,) → (n_models, n_subjects).
    draw_scores: prepared models, prepared data, counts (n_draws, n_conditions) → (n_draws, n_models, n_subjects).
    null_scores: prepared models, prepared data, permutations (n_draws, n_conditions) → (n_draws, n_models), the mean
    score over subjects when the data's conditions are relabelled.
    centred: whether a constant RDM has no score (else only an RDM of zeros has none).
    draws_at_once: how many draws ``draw_scores`` takes in one call without using much memory.
    """

    prepare: Callable[[jax.Array], Any]
    pooled: Callable[[Any, jax.Array], jax.Array]
    score: Callable[[Any, Any, jax.Array], jax.Array]
    draw_scores: Callable[[Any, Any, jax.Array], jax.Array]
    null_scores: Callable[[Any, Any, jax.Array], jax.Array]
    centred: bool = True
    draws_at_once: int = 4096


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


def _inner_product_comparator(
    prepare: Callable[[jax.Array], Any],
    vectors: Callable[[Any, jax.Array], jax.Array],
    pooled: Callable[[Any, jax.Array], jax.Array],
    divisor: Callable[[jax.Array], jax.Array] = _one,
    centred: bool = True,
) -> Comparator:
    """Build a comparator that is a weighted inner product of vectors, each made from one RDM and the weights."""

    def inner(left: jax.Array, right: jax.Array) -> jax.Array:
        return jnp.matmul(left, right, precision=lax.Precision.HIGHEST)

    def score(models: Any, data: Any, weights: jax.Array) -> jax.Array:
        return inner(vectors(models, weights) * weights, vectors(data, weights).T) / divisor(weights)

    def draw_scores(models: Any, data: Any, counts: jax.Array) -> jax.Array:
        first, second = np.triu_indices(counts.shape[1], 1)
        counted = counts.astype(jnp.float64)
        return lax.map(lambda count: score(models, data, count[first] * count[second]), counted)

    def null_scores(models: Any, data: Any, permutations: jax.Array) -> jax.Array:
        n_conditions = permutations.shape[1]
        ones = jnp.ones(n_conditions * (n_conditions - 1) // 2)
        ours, theirs = vectors(models, ones), vectors(data, ones).mean(axis=0)
        return lax.map(lambda order: inner(ours, theirs[permuted_pairs(order)]), permutations) / divisor(ones)

    return Comparator(prepare, pooled, score, draw_scores, null_scores, centred)


COMPARATORS: dict[str, Comparator] = {
    "pearson": _inner_product_comparator(lambda rdms: rdms, _pearson_vectors, _pearson_vectors),
    # Raw mid-ranks are averaged over subjects: sums of halves are exact, so ties of the mean are real ties.
    "spearman": _inner_product_comparator(sort_once, _rho_a_vectors, weighted_midranks, _rho_a_divisor),
    "kendall": Comparator(
        kendall.prepare,
        kendall.pooled,
        kendall.score,
        kendall.draw_scores,
        kendall.null_scores,
        draws_at_once=kendall.DRAWS_AT_ONCE,
    ),
    "cosine": _inner_product_comparator(lambda rdms: rdms, _cosine_vectors, _cosine_vectors, centred=False),
}

# Jitted once for the package, keyed by the comparator: every caller shares what is compiled.
prepare = partial(jax.jit, static_argnums=0)(lambda comparator, rdms: comparator.prepare(rdms))
score = partial(jax.jit, static_argnums=0)(lambda comparator, *arguments: comparator.score(*arguments))
draw_scores = partial(jax.jit, static_argnums=0)(lambda comparator, *arguments: comparator.draw_scores(*arguments))
null_scores = partial(jax.jit, static_argnums=0)(lambda comparator, *arguments: comparator.null_scores(*arguments))

__all__ = ["COMPARATORS", "Comparator", "draw_scores", "null_scores", "prepare", "score"]
