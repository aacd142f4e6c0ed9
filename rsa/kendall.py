r"""Kendall's tau-a between RDMs whose pairs carry weights.

Repeating pair p of two RDMs :math:`w_p` times gives :math:`N = \sum_p w_p` entries and

.. math::
    \tau_a = \frac{2}{N(N-1)} \sum_{p<q} w_p w_q\, \mathrm{sgn}(m_p - m_q)\, \mathrm{sgn}(d_p - d_q)

because copies of one pair are tied with each other and add nothing.

The sum runs over tiles of the P × P sign matrices, so memory does not grow with P². Cost: a comparison of M with S
RDMs takes M S P² multiplications in matrix products (about 16 Gflop for 60 × 15 RDMs of 92 conditions, near a second on
two cores); each bootstrap draw takes as many in single precision, which is exact there, because every partial sum of
integer counts is a whole number below 2^24. Evaluating 20 models and 15 subjects at 92 conditions with two hundred
draws takes about a minute and a half on two cores, and time grows with the fourth power of the number of conditions.

Reference: Nili et al. 2014, doi:10.1371/journal.pcbi.1003553 (why tau-a where models predict ties).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int

from rsa.pairs import permuted_pairs
from rsa.ranks import Order, sort_once, weighted_midranks

SMALL_TILE = 128
FEW_ROWS, MANY_COLUMNS = 64, 512
DRAWS_AT_ONCE = 512
RELABELLINGS_AT_ONCE = 16


class Ranked(NamedTuple):
    """An RDM as small whole numbers that compare as its values do, and its sorted order for pooling."""

    codes: Float[jax.Array, "*batch n_pairs"]
    order: Order


def prepare(rdms: Float[jax.Array, "*batch n_pairs"]) -> Ranked:
    """Replace dissimilarities by the position of their run of ties (traceable)."""
    order = sort_once(rdms)
    return Ranked(order.start.astype(jnp.float32), order)


def pooled(ranked: Ranked, weights: Float[jax.Array, " n_pairs"]) -> Float[jax.Array, "*batch n_pairs"]:
    """Mid-ranks, whose mean over subjects rsatoolbox takes as the best RDM under tau-a too."""
    return weighted_midranks(ranked.order, weights)


def _signs(rows: jax.Array, columns: jax.Array, dtype: type = np.float32) -> jax.Array:
    return jnp.sign(rows[..., :, None] - columns[..., None, :]).astype(dtype)


def _pad(values: jax.Array, multiple: int) -> jax.Array:
    missing = -values.shape[-1] % multiple
    return jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)])


def _tiles(n_padded: int, n_rows: int, n_columns: int) -> tuple[jax.Array, jax.Array]:
    """Corners of the tiles that touch the upper triangle."""
    corners = [
        (row, column) for row in range(0, n_padded, n_rows) for column in range(0, n_padded, n_columns) if column + n_columns > row
    ]
    rows, columns = np.array(corners).T
    return jnp.asarray(rows), jnp.asarray(columns)


def _cut(values: jax.Array, corner: jax.Array, size: int) -> jax.Array:
    return lax.dynamic_slice_in_dim(values, corner, size, axis=-1)


def _share_above_diagonal(row: jax.Array, column: jax.Array, n_rows: int, n_columns: int) -> jax.Array:
    """Each pair of entries once: one above the diagonal, nothing on or below it."""
    return (row + jnp.arange(n_rows))[:, None] < (column + jnp.arange(n_columns))[None, :]


def _pairs_of_entries(weights: jax.Array) -> jax.Array:
    total = weights.sum(axis=-1)
    return total * (total - 1) / 2


def score(models: Ranked, data: Ranked, weights: Float[jax.Array, " n_pairs"]) -> Float[jax.Array, "n_models n_data"]:
    """Tau-a of every model with every subject for one set of pair weights of any size (traceable)."""
    model_codes, data_codes, padded = (_pad(x, SMALL_TILE) for x in (models.codes, data.codes, weights))

    def add_tile(total: jax.Array, corner: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        row, column = corner
        counted = _share_above_diagonal(row, column, SMALL_TILE, SMALL_TILE)
        both = counted * _cut(padded, row, SMALL_TILE)[:, None] * _cut(padded, column, SMALL_TILE)[None, :]
        ours, theirs = (
            _signs(_cut(codes, row, SMALL_TILE), _cut(codes, column, SMALL_TILE), np.float64) for codes in (model_codes, data_codes)
        )
        ours = (ours * both).reshape(len(model_codes), -1)
        return total + ours @ theirs.reshape(len(data_codes), -1).T, None

    start = jnp.zeros((len(model_codes), len(data_codes)))
    total, _ = lax.scan(add_tile, start, _tiles(padded.shape[-1], SMALL_TILE, SMALL_TILE))
    return total / _pairs_of_entries(weights)


def draw_scores(
    models: Ranked, data: Ranked, counts: Int[jax.Array, "n_draws n_conditions"]
) -> Float[jax.Array, "n_draws n_models n_data"]:
    """Tau-a of every model with every subject in every bootstrap draw (traceable).

    The signs do not depend on the draw: their products are made once a tile and meet all draws in one matrix product.
    """
    first, second = np.triu_indices(counts.shape[1], 1)
    weights = (counts[:, first] * counts[:, second]).astype(jnp.float32)
    model_codes, data_codes, padded = (_pad(x, MANY_COLUMNS) for x in (models.codes, data.codes, weights))
    n_data, n_draws = len(data_codes), len(counts)
    corners = _tiles(padded.shape[-1], FEW_ROWS, MANY_COLUMNS)

    def one_model(codes: jax.Array) -> jax.Array:
        def add_tile(total: jax.Array, corner: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            row, column = corner
            counted = _share_above_diagonal(row, column, FEW_ROWS, MANY_COLUMNS)
            ours = _signs(_cut(codes, row, FEW_ROWS), _cut(codes, column, MANY_COLUMNS)) * counted
            theirs = _signs(_cut(data_codes, row, FEW_ROWS), _cut(data_codes, column, MANY_COLUMNS))
            agreement = (theirs * ours).reshape(n_data * FEW_ROWS, MANY_COLUMNS)
            rows = jnp.matmul(agreement, _cut(padded, column, MANY_COLUMNS).T, precision=lax.Precision.HIGHEST)
            row_weights = _cut(padded, row, FEW_ROWS).T.astype(jnp.float64)
            return total + (rows.reshape(n_data, FEW_ROWS, n_draws) * row_weights).sum(axis=1), None

        total, _ = lax.scan(add_tile, jnp.zeros((n_data, n_draws)), corners)
        return total

    agreement = lax.map(one_model, model_codes)
    return jnp.moveaxis(agreement, -1, 0) / _pairs_of_entries(weights.astype(jnp.float64))[:, None, None]


def null_scores(
    models: Ranked, data: Ranked, permutations: Int[jax.Array, "n_draws n_conditions"]
) -> Float[jax.Array, "n_draws n_models"]:
    """Mean tau-a over subjects when the data's conditions are relabelled, all subjects alike (traceable)."""
    model_codes = _pad(models.codes, SMALL_TILE)
    n_pairs = data.codes.shape[-1]
    corners = _tiles(model_codes.shape[-1], SMALL_TILE, SMALL_TILE)

    def one_draw(permutation: jax.Array) -> jax.Array:
        data_codes = _pad(data.codes[:, permuted_pairs(permutation)], SMALL_TILE)

        def add_tile(total: jax.Array, corner: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            row, column = corner

            # Subjects are added one by one: summing them as an axis takes XLA forty times as long on CPU.
            def add_subject(agreement: jax.Array, codes: jax.Array) -> tuple[jax.Array, None]:
                return agreement + _signs(_cut(codes, row, SMALL_TILE), _cut(codes, column, SMALL_TILE)), None

            theirs, _ = lax.scan(add_subject, jnp.zeros((SMALL_TILE, SMALL_TILE), jnp.float32), data_codes)
            inside = _share_above_diagonal(row, column, SMALL_TILE, SMALL_TILE)
            inside &= (column + jnp.arange(SMALL_TILE))[None, :] < n_pairs
            ours = _signs(_cut(model_codes, row, SMALL_TILE), _cut(model_codes, column, SMALL_TILE)) * inside
            product = jnp.matmul(ours.reshape(len(model_codes), -1), theirs.reshape(-1), precision=lax.Precision.HIGHEST)
            return total + product.astype(jnp.float64), None

        total, _ = lax.scan(add_tile, jnp.zeros(len(model_codes)), corners)
        return total

    agreement = lax.map(one_draw, permutations, batch_size=RELABELLINGS_AT_ONCE)
    return agreement / (len(data.codes) * n_pairs * (n_pairs - 1) / 2)


__all__ = ["DRAWS_AT_ONCE", "Ranked", "draw_scores", "null_scores", "pooled", "prepare", "score"]
