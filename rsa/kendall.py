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
from jaxtyping import Bool, Float, Int

from rsa import rank_draws
from rsa.bit_tree import MOST_BITS
from rsa.compiled import compiled, in_threads
from rsa.pairs import condition_count, to_square


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


def _sorted(ranked: Ranked, measured: np.ndarray | None) -> rank_draws.Sorted:
    return rank_draws.from_orders(ranked.order, np.take_along_axis(ranked.codes, ranked.order, axis=1), measured)


def draw_scores(
    models: Ranked,
    data: Ranked,
    counts: Int[np.ndarray, "n_draws n_conditions"],
    measured: Bool[np.ndarray, " n_pairs"] | None = None,
) -> Float[np.ndarray, "n_draws n_models n_data"]:
    """Tau-a of every model with every subject in every bootstrap draw; NaN in a draw of fewer than two entries."""
    n_conditions = counts.shape[1]
    if n_conditions**2 // 2 > MOST_BITS:
        first, second = np.triu_indices(n_conditions, 1)
        kept = 1.0 if measured is None else measured
        scores = np.full((len(counts), len(models.codes), len(data.codes)), np.nan)

        def one(draw: int) -> None:
            weights = counts[draw][first] * counts[draw][second] * kept
            if weights.sum() > 1:
                scores[draw] = score(models, data, weights)

        in_threads(one, len(counts))
        return scores
    return rank_draws.draw_scores("kendall", _sorted(models, measured), _sorted(data, measured), counts)


def null_scores(
    models: Ranked, data: Ranked, permutations: Int[np.ndarray, "n_draws n_conditions"]
) -> Float[np.ndarray, "n_draws n_models"]:
    """Mean tau-a over subjects when the data's conditions are permuted, all subjects alike."""
    n_conditions = permutations.shape[1]
    if n_conditions**2 // 2 > MOST_BITS:
        first, second = np.triu_indices(n_conditions, 1)
        means, number = np.empty((len(permutations), len(models.codes))), np.zeros((n_conditions, n_conditions), dtype=np.int64)
        number[first, second] = number[second, first] = np.arange(len(first))

        def one(draw: int) -> None:
            moved = number[permutations[draw][first], permutations[draw][second]]
            means[draw] = score(models, Ranked(data.codes[:, moved], data.order), np.ones(len(first))).mean(axis=1)

        in_threads(one, len(permutations))
        return means
    n = models.codes.shape[1]
    found = rank_draws.null_agreements(models.order, _sorted(models, None), _sorted(data, None), permutations)
    return found / (n * (n - 1) / 2) / len(data.codes)


@compiled
def _own_agreement(model_codes, data_codes, condition, kept):
    """Sum of the products of both signs over pairs of entries that share a condition."""
    n_conditions = kept.shape[0]
    ours, theirs, n_entries = np.empty(n_conditions, np.int64), np.empty(n_conditions, np.int64), 0
    for other in range(n_conditions):
        if other != condition and kept[condition, other]:
            ours[n_entries], theirs[n_entries] = model_codes[condition, other], data_codes[condition, other]
            n_entries += 1
    ours, theirs = ours[:n_entries], theirs[:n_entries]
    codes = np.empty(n_entries, np.int64)
    write_codes(theirs, np.argsort(theirs), codes)
    return signed_agreement(ours, np.argsort(ours), codes, np.ones(n_entries), np.zeros(n_entries + 1))


def jackknife_scores(
    models: Ranked, data: Ranked, measured: Bool[np.ndarray, " n_pairs"] | None = None
) -> Float[np.ndarray, "n_conditions n_models n_data"]:
    r"""Tau-a of every model with every subject without each condition in turn; NaN where fewer than two entries are left.

    With :math:`A_p` the agreement of entry p with all others, what is left without condition k is
    :math:`\sum_{p<q} - \sum_{p \ni k} A_p` and, since two entries that both hold k were taken away twice, their agreement once
    more.
    """
    n_pairs = models.codes.shape[1]
    n_conditions = condition_count(n_pairs)
    kept = np.ones(n_pairs, dtype=bool) if measured is None else measured
    of_pairs = to_square(kept.astype(np.float64))
    in_both = of_pairs > 0
    left = (kept.sum() - of_pairs.sum(axis=1))[:, None, None]
    scores = np.empty((n_conditions, len(models.codes), len(data.codes)))
    ours, theirs = _sorted(models, measured), _sorted(data, measured)
    first, second = np.triu_indices(n_conditions, 1)

    def square(codes: np.ndarray) -> np.ndarray:
        found = np.zeros((n_conditions, n_conditions), dtype=np.int64)
        found[first, second] = found[second, first] = codes
        return found

    def one(index: int) -> None:
        model, subject = divmod(index, len(data.codes))
        total, of_each = rank_draws.agreements(ours, model, theirs, subject, n_conditions)
        codes = square(models.codes[model]), square(data.codes[subject])
        own = np.array([_own_agreement(*codes, condition, in_both) for condition in range(n_conditions)])
        scores[:, model, subject] = total - of_each + own

    in_threads(one, len(models.codes) * len(data.codes))
    return np.asarray(np.where(left > 1, scores / np.where(left > 1, left * (left - 1) / 2, 1), np.nan))


__all__ = [
    "Ranked",
    "draw_scores",
    "held_entries",
    "midranks",
    "jackknife_scores",
    "null_scores",
    "pooled",
    "prepare",
    "score",
    "signed_agreement",
    "write_codes",
]
