r"""Kendall's tau-a between RDMs whose pairs carry weights.

Repeating pair p of two RDMs :math:`w_p` times gives :math:`N = \sum_p w_p` entries and

.. math::
    \tau_a = \frac{2}{N(N-1)} \sum_{p<q} w_p w_q\, \mathrm{sgn}(m_p - m_q)\, \mathrm{sgn}(d_p - d_q)

because copies of one pair are tied with each other and add nothing.

Entries are taken in the order of one RDM; a tree of partial sums (Fenwick 1994, doi:10.1002/spe.4380240306) over the values of the
other says how much weight lies below and above each. That takes P log P steps rather than P², after a sort that no weight changes:
a bootstrap of a thousand draws sorts each RDM once. The loops are compiled by Numba, which JAX's array programs have no words for,
and leave the interpreter, so that draws are shared out among threads. Sums of products of counts are whole numbers and exact.

Reference: Nili et al. 2014, doi:10.1371/journal.pcbi.1003553 (why tau-a where models predict ties).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rsa.bootstrap import pair_weights
from rsa.compiled import compiled, in_threads


class Ranked(NamedTuple):
    """RDMs as whole numbers that compare as their values do, and the order of their entries.

    codes: (n_rdms, n_pairs), from 0 without gaps. order: (n_rdms, n_pairs), entries from the smallest on.
    """

    codes: Int[np.ndarray, "n_rdms n_pairs"]
    order: Int[np.ndarray, "n_rdms n_pairs"]


@compiled
def write_codes(values, order, codes):
    """Write the place of each entry's value among all distinct values."""
    code = 0
    for place in range(len(order)):
        if place and values[order[place]] != values[order[place - 1]]:
            code += 1
        codes[order[place]] = code


@compiled
def midranks(codes, order, weights, ranks):
    """Write the mid-rank of each entry, counted as often as its weight says."""
    start, before = 0, 0.0
    while start < len(order):
        end, inside = start, 0.0
        while end < len(order) and codes[order[end]] == codes[order[start]]:
            inside += weights[order[end]]
            end += 1
        for place in range(start, end):
            ranks[order[place]] = before + (inside + 1) / 2
        before += inside
        start = end


@compiled
def signed_agreement(codes, order, others, weights, tree):
    """Sum over pairs of entries of the product of both signs of their differences and of both weights."""
    tree[:] = 0.0
    size = len(tree) - 1
    total, counted, start = 0.0, 0.0, 0
    while start < len(order):
        end = start
        while end < len(order) and codes[order[end]] == codes[order[start]]:
            entry = order[end]
            weight = weights[entry]
            if weight > 0:
                below, place = 0.0, others[entry]  # of all that are smaller in the first, what is smaller in the second
                while place > 0:
                    below += tree[place]
                    place -= place & -place
                up_to, place = 0.0, others[entry] + 1
                while place > 0:
                    up_to += tree[place]
                    place -= place & -place
                total += weight * (below - (counted - up_to))
            end += 1
        for index in range(start, end):
            entry = order[index]
            weight = weights[entry]
            if weight > 0:
                counted += weight
                place = others[entry] + 1
                while place <= size:
                    tree[place] += weight
                    place += place & -place
        start = end
    return total


@compiled
def _scores(model_codes, model_order, data_codes, weights, scores):
    """Write tau-a of every model with every subject."""
    n = weights.sum()
    tree = np.zeros(weights.size + 1)
    for i in range(len(model_codes)):
        for j in range(len(data_codes)):
            scores[i, j] = signed_agreement(model_codes[i], model_order[i], data_codes[j], weights, tree) / (n * (n - 1) / 2)


@compiled
def held_entries(codes, order, weights):
    """Codes, order and weights of the entries whose weight is above zero."""
    place = np.full(weights.size, -1)
    n_held = 0
    for entry in range(weights.size):
        if weights[entry] > 0:
            place[entry] = n_held
            n_held += 1
    held_codes, held_order = np.empty((len(codes), n_held), codes.dtype), np.empty((len(codes), n_held), order.dtype)
    held_weights = np.empty(n_held)
    for entry in range(weights.size):
        if place[entry] >= 0:
            held_weights[place[entry]] = weights[entry]
    for i in range(len(codes)):
        index = 0
        for entry in order[i]:
            if place[entry] >= 0:
                held_order[i, index] = place[entry]
                held_codes[i, place[entry]] = codes[i, entry]
                index += 1
        # Without gaps again: what is summed over values is then as short as it can be.
        before, code = held_codes[i, held_order[i, 0]], 0
        for index in range(n_held):
            now = held_codes[i, held_order[i, index]]
            if now != before:
                code, before = code + 1, now
            held_codes[i, held_order[i, index]] = code
    return held_codes, held_order, held_weights


def prepare(rdms: Float[np.ndarray, "n_rdms n_pairs"]) -> Ranked:
    """Sort RDMs once, and replace their dissimilarities by whole numbers."""
    values = np.asarray(rdms, dtype=np.float64)
    order = np.argsort(values, axis=-1, kind="stable")
    codes = np.empty_like(order)
    for row, own, written in zip(values, order, codes, strict=True):
        write_codes(row, own, written)
    return Ranked(codes, order)


def pooled(ranked: Ranked, weights: Float[np.ndarray, " n_pairs"]) -> Float[np.ndarray, "n_rdms n_pairs"]:
    """Mid-ranks, whose mean over subjects rsatoolbox takes as the best RDM under tau-a too."""
    ranks = np.empty(ranked.codes.shape)
    for codes, order, written in zip(*ranked, ranks, strict=True):
        midranks(codes, order, np.asarray(weights, dtype=np.float64), written)
    return ranks


def score(models: Ranked, data: Ranked, weights: Float[np.ndarray, " n_pairs"]) -> Float[np.ndarray, "n_models n_data"]:
    """Tau-a of every model with every subject for one set of pair weights of any size."""
    scores = np.empty((len(models.codes), len(data.codes)))
    _scores(models.codes, models.order, data.codes, np.asarray(weights, dtype=np.float64), scores)
    return scores


def draw_scores(
    models: Ranked, data: Ranked, counts: Int[np.ndarray, "n_draws n_conditions"]
) -> Float[np.ndarray, "n_draws n_models n_data"]:
    """Tau-a of every model with every subject in every bootstrap draw; NaN in a draw of fewer than two entries."""
    scores = np.full((len(counts), len(models.codes), len(data.codes)), np.nan)
    n_models = len(models.codes)
    codes, order = np.concatenate([models.codes, data.codes]), np.concatenate([models.order, data.order])

    def one(draw: int) -> None:
        weights = pair_weights(np.asarray(counts[draw]))
        if weights.sum() > 1:
            held = held_entries(codes, order, weights)
            _scores(held[0][:n_models], held[1][:n_models], held[0][n_models:], held[2], scores[draw])

    in_threads(one, len(counts))
    return scores


def null_scores(
    models: Ranked, data: Ranked, permutations: Int[np.ndarray, "n_draws n_conditions"]
) -> Float[np.ndarray, "n_draws n_models"]:
    """Mean tau-a over subjects when the data's conditions are permuted, all subjects alike."""
    n_conditions = np.asarray(permutations).shape[1]
    first, second = np.triu_indices(n_conditions, 1)
    index = np.zeros((n_conditions, n_conditions), dtype=np.int64)
    index[first, second] = index[second, first] = np.arange(len(first))
    ones = np.ones(len(first))
    means = np.empty((len(permutations), len(models.codes)))

    def one(draw: int) -> None:
        order = np.asarray(permutations[draw])
        scores = np.empty((len(models.codes), len(data.codes)))
        _scores(models.codes, models.order, data.codes[:, index[order[first], order[second]]], ones, scores)
        means[draw] = scores.mean(axis=1)

    in_threads(one, len(permutations))
    return means


__all__ = [
    "Ranked",
    "draw_scores",
    "held_entries",
    "midranks",
    "null_scores",
    "pooled",
    "prepare",
    "score",
    "signed_agreement",
    "write_codes",
]
