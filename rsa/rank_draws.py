r"""Rho-a and tau-a of RDMs whose conditions are drawn again or permuted, by passes through orders that are sorted once.

The order of an RDM's entries does not depend on how often a condition was drawn. A draw that holds condition i :math:`c_i` times
therefore needs no sorting: one pass through the data's order writes down, at each pair that the draw holds, what is to be known of
it there (rho-a: :math:`2r - N - 1`, r the weighted mid-rank and N the sum of weights; tau-a: how much weight stands below it), and
one pass through each model's order, in which the model's own rank is known in passing, reads it again.

What a pass costs at a thousand conditions is reads and writes out of order, half a million of them in three megabytes. The pairs
of a draw are therefore numbered among the conditions that it holds, two in three: that is two pairs in five, and little enough to
stay near the processor. Sums are of whole numbers, and so the same in whatever order draws are shared out among threads.

Permuted conditions are the same with other labels: the model's pair (i, j) meets the data's pair :math:`(\pi_i, \pi_j)`. Rho-a
needs no passes then, since the ranks stay what they are (:mod:`rsa.permuted`).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rsa.bit_tree import HALF, LOW_HALF, count_from, make_tree, set_bits, untied_agreement
from rsa.compiled import compiled, in_threads

U = np.uint64


class Sorted(NamedTuple):
    """RDMs as the pairs of conditions that were measured, from the smallest dissimilarity on.

    first, second: (n_rdms, n_entries), conditions of each pair, the first the lesser. runs: (n_rdms, n_entries), equal where
    entries are tied, and ascending. tied: (n_rdms,), whether any are.
    """

    first: np.ndarray
    second: np.ndarray
    runs: np.ndarray
    tied: np.ndarray


def from_orders(order: np.ndarray, runs: np.ndarray, measured: np.ndarray | None) -> Sorted:
    """The pairs behind sorted entries (n_rdms, n_pairs), without those that were not measured (n_pairs,)."""
    n_rdms, n_pairs = order.shape
    n_conditions = int(round((1 + np.sqrt(1 + 8 * n_pairs)) / 2))
    first, second = (index.astype(np.uint16) for index in np.triu_indices(n_conditions, 1))
    if measured is not None and not measured.all():
        kept = measured[order]
        order, runs = (each[kept].reshape(n_rdms, -1) for each in (order, runs))
    return Sorted(first[order], second[order], runs.astype(np.uint32), (runs[:, 1:] == runs[:, :-1]).any(axis=1))


@compiled
def _bases(n_labels):
    """Where each row of pairs begins, so that pair (i, j) has number bases[i] + j; number 0 is nobody's."""
    bases = np.empty(n_labels, np.uint64)
    for i in range(n_labels):
        bases[i] = i * n_labels - i * (i + 1) // 2 - i
    return bases


@compiled
def _pair(first, second, known, bases):
    """Weight of a pair, and its number: 0 where it weighs nothing, without a branch, which no processor could foretell."""
    one, other = known[U(first)], known[U(second)]
    weight = (one >> HALF) * (other >> HALF)
    i, j = one & LOW_HALF, other & LOW_HALF
    number = bases[min(i, j)] + max(i, j)
    return np.int64(weight), number if weight > U(0) else U(0)


@compiled
def _sum_of_weights(first, second, known):
    total = U(0)
    for entry in range(first.size):
        total += (known[U(first[entry])] >> HALF) * (known[U(second[entry])] >> HALF)
    return np.int64(total)


@compiled
def _run_of(start, first, second, runs, known, bases):
    """End of the run of ties that begins here, and its weight."""
    inside, end = 0, start
    while end < first.size and runs[end] == runs[start]:
        inside += _pair(first[end], second[end], known, bases)[0]
        end += 1
    return end, inside


@compiled
def _write_ranks(first, second, runs, known, bases, total, table):
    """Write 2r - N - 1 of every pair that the draw holds; what it does not hold goes to number 0."""
    before, start = 0, 0
    if not runs.size:
        for entry in range(first.size):
            weight, number = _pair(first[entry], second[entry], known, bases)
            table[number] = 2 * before + weight - total
            before += weight
        return
    while start < first.size:
        end, inside = _run_of(start, first, second, runs, known, bases)
        for entry in range(start, end):
            table[_pair(first[entry], second[entry], known, bases)[1]] = 2 * before + inside - total
        before += inside
        start = end


@compiled
def _rank_products(first, second, runs, known, bases, total, table):
    """Weighted sum of the products of a model's 2r - N - 1 and the data's."""
    products, before, start = 0.0, 0, 0
    if not runs.size:
        for entry in range(first.size):
            weight, number = _pair(first[entry], second[entry], known, bases)
            products += float((2 * before + weight - total) * weight) * float(table[number])
            before += weight
        return products
    while start < first.size:
        end, inside = _run_of(start, first, second, runs, known, bases)
        rank = 2 * before + inside - total
        for entry in range(start, end):
            weight, number = _pair(first[entry], second[entry], known, bases)
            products += float(rank * weight) * float(table[number])
        before += inside
        start = end
    return products


@compiled
def _rho_a(models, data, known_models, known_data, n_labels, scores):
    """Write rho-a of every model with every subject, (n_models, n_subjects); NaN under two entries."""
    total = _sum_of_weights(data[0][0], data[1][0], known_data)
    if total < 2:
        scores[:] = np.nan
        return
    bases, table = _bases(n_labels), np.zeros(n_labels * (n_labels - 1) // 2 + 1, np.int32)
    n = float(total)
    divisor = 4 * ((n**3 - n) / 12)
    for subject in range(scores.shape[1]):
        runs = data[2][subject] if data[3][subject] else data[2][subject][:0]
        _write_ranks(data[0][subject], data[1][subject], runs, known_data, bases, total, table)
        for model in range(scores.shape[0]):
            runs = models[2][model] if models[3][model] else models[2][model][:0]
            products = _rank_products(models[0][model], models[1][model], runs, known_models, bases, total, table)
            scores[model, subject] = products / divisor


@compiled
def _write_places(first, second, runs, known, bases, places, bounds):
    """Write where each pair's bits begin; with room for bounds also where those of all that is tied with it do, and end."""
    before, start = 0, 0
    if not bounds.size:
        for entry in range(first.size):
            weight, number = _pair(first[entry], second[entry], known, bases)
            places[number] = before
            before += weight
        return
    while start < first.size:
        end, inside = _run_of(start, first, second, runs, known, bases)
        low, high = U(before), U(before + inside)
        for entry in range(start, end):
            weight, number = _pair(first[entry], second[entry], known, bases)
            places[number] = before
            bounds[number] = low | high << HALF
            before += weight
        start = end


@compiled
def _held(first, second, runs, known, bases, places, bounds, held, held_bounds, held_runs):
    """Copy what is known of the pairs that a draw holds, in the model's order: bits and weight, bounds, and runs of ties."""
    n_held = U(0)
    for entry in range(first.size):
        weight, number = _pair(first[entry], second[entry], known, bases)
        held[n_held] = U(places[number]) | U(weight) << HALF
        if bounds.size:
            held_bounds[n_held] = bounds[number]
        if runs.size:
            held_runs[n_held] = runs[entry]
        n_held += U(weight > 0)
    return np.int64(n_held)


@compiled
def _agreement(held, held_bounds, held_runs, n_held, tree, of_each):
    """Weighted sum over pairs of entries of the products of both signs; of each entry with those before, where there is room."""
    words, nodes, begins = tree
    words[:] = U(0)
    nodes[:] = U(0)
    agreement, counted, start = 0.0, np.int64(0), 0
    if not (held_bounds.size or held_runs.size):
        return untied_agreement(held, n_held, words, nodes, begins, of_each)
    while start < n_held:
        end = start
        while end < n_held and (end == start or (held_runs.size and held_runs[end] == held_runs[start])):
            place, weight = held[end] & LOW_HALF, held[end] >> HALF
            if held_bounds.size:
                from_low = np.int64(count_from(held_bounds[end] & LOW_HALF, words, nodes, begins))
                from_high = np.int64(count_from(held_bounds[end] >> HALF, words, nodes, begins))
            else:
                from_low = np.int64(count_from(place, words, nodes, begins))
                from_high = from_low
            own = (counted - from_low) - from_high
            agreement += float(np.int64(weight) * own)
            if of_each.size:
                of_each[end] = own
            end += 1
        for index in range(start, end):
            set_bits(held[index] & LOW_HALF, held[index] >> HALF, words, nodes, begins)
            counted = counted + np.int64(held[index] >> HALF)
        start = end
    return agreement


@compiled
def _tau_a(models, data, known_models, known_data, n_labels, scores):
    """Write tau-a of every model with every subject, (n_models, n_subjects); NaN under two entries."""
    total = _sum_of_weights(data[0][0], data[1][0], known_data)
    if total < 2:
        scores[:] = np.nan
        return
    n_entries = data[0].shape[1]
    bases, places = _bases(n_labels), np.zeros(n_labels * (n_labels - 1) // 2 + 1, np.uint32)
    held, all_held_runs = np.empty(n_entries + 1, np.uint64), np.empty(n_entries + 1, np.uint32)
    tree, none, none_of_each = make_tree(total), np.empty(0, np.uint64), np.empty(0)
    n = float(total)
    for subject in range(scores.shape[1]):
        tied = data[3][subject]
        bounds = np.zeros(len(places), np.uint64) if tied else none
        held_bounds = np.empty(n_entries + 1, np.uint64) if tied else none
        _write_places(data[0][subject], data[1][subject], data[2][subject], known_data, bases, places, bounds)
        for model in range(scores.shape[0]):
            first, second, runs, held_runs = models[0][model], models[1][model], models[2][model], all_held_runs
            if not models[3][model]:
                runs, held_runs = runs[:0], held_runs[:0]
            n_held = _held(first, second, runs, known_models, bases, places, bounds, held, held_bounds, held_runs)
            found = _agreement(held, held_bounds, held_runs, n_held, tree, none_of_each)
            scores[model, subject] = found / (n * (n - 1) / 2)


def _known(labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """What a pass has to know of each condition, in one word: how often it was drawn, and under which label."""
    return labels.astype(np.uint64) | counts.astype(np.uint64) << HALF


KERNELS = {"spearman": _rho_a, "kendall": _tau_a}


def draw_scores(
    comparator: str, models: Sorted, data: Sorted, counts: Int[np.ndarray, "n_draws n_conditions"]
) -> Float[np.ndarray, "n_draws n_models n_data"]:
    """Scores of every model with every subject in every draw of conditions; NaN in a draw of fewer than two entries."""
    scores = np.empty((len(counts), len(models.first), len(data.first)))
    kernel = KERNELS[comparator]

    def one(draw: int) -> None:
        count = np.asarray(counts[draw], dtype=np.int64)
        present = count > 0
        known = _known(np.where(present, np.cumsum(present) - 1, 0), count)
        kernel(tuple(models), tuple(data), known, known, max(int(present.sum()), 1), scores[draw])

    in_threads(one, len(counts))
    return scores


def _square(of_pairs: np.ndarray, n_conditions: int) -> np.ndarray:
    """A symmetric matrix of whole numbers; one of no rows where there are no pairs."""
    square = np.zeros((n_conditions if of_pairs.size else 0, n_conditions), of_pairs.dtype)
    if of_pairs.size:
        square[np.triu_indices(n_conditions, 1)] = of_pairs
        square += square.T
    return square


@compiled
def _permuted(square, permutation, found):
    """Write a permuted matrix above the diagonal, row by row: a row is read in another order, but it is one row."""
    at = 0
    for i in range(permutation.size):
        row = square[permutation[i]]
        for j in range(i + 1, permutation.size):
            found[at] = row[permutation[j]]
            at += 1


@compiled
def _null_tau_a(order, runs, tied, places, bounds, permutation, scores):
    """Write the agreement of every model with one subject whose conditions are permuted, (n_models,)."""
    n_entries = order.shape[1]
    of_pairs, of_bounds = np.empty(n_entries, np.uint32), np.empty(n_entries if bounds.size else 0, np.uint64)
    _permuted(places, permutation, of_pairs)
    if bounds.size:
        _permuted(bounds, permutation, of_bounds)
    held, held_bounds = np.empty(n_entries, np.uint64), np.empty(of_bounds.size, np.uint64)
    tree, none = make_tree(n_entries), np.empty(0)
    for model in range(order.shape[0]):
        own = order[model]
        for place in range(n_entries):
            held[place] = U(of_pairs[U(own[place])]) | U(1) << HALF
        for place in range(of_bounds.size):
            held_bounds[place] = of_bounds[U(own[place])]
        own_runs = runs[model] if tied[model] else runs[model][:0]
        scores[model] = _agreement(held, held_bounds, own_runs, n_entries, tree, none)


def null_agreements(
    order: Int[np.ndarray, "n_models n_pairs"],
    models: Sorted,
    data: Sorted,
    permutations: Int[np.ndarray, "n_draws n_conditions"],
) -> Float[np.ndarray, "n_draws n_models"]:
    """Sums of the products of both signs, over subjects too, when the data's conditions are permuted; of complete RDMs.

    What is known of the data's pairs is the same in every permutation, and their place in the condensed order is that of the
    models'.
    """
    n_conditions = permutations.shape[1]
    entries = order.astype(np.uint32)
    found = np.zeros((len(permutations), len(order)))
    known = _known(np.arange(n_conditions), np.ones(n_conditions, dtype=np.int64))
    for subject in range(len(data.first)):
        first, second, runs, tied = (field[subject] for field in data)
        places = np.zeros(len(first) + 1, np.uint32)
        bounds = np.zeros(len(first) + 1 if tied else 0, np.uint64)
        _write_places(first, second, runs, known, _bases(n_conditions), places, bounds)
        squares = [_square(each[1:], n_conditions) for each in (places, bounds)]  # number 0 is nobody's
        scores = np.empty_like(found)

        def one(draw: int, squares: list[np.ndarray] = squares, scores: np.ndarray = scores) -> None:
            _null_tau_a(entries, models.runs, models.tied, *squares, permutations[draw].astype(np.int64), scores[draw])

        in_threads(one, len(permutations))
        found += scores
    return found


@compiled
def _with_all(models, data, known, n_labels, backwards):
    """Agreement of each entry with those before it in the model's order, or with those after it, negative."""
    n_entries = data[0].size
    bases = _bases(n_labels)
    places, bounds = np.zeros(n_labels * (n_labels - 1) // 2 + 1, np.uint32), np.zeros(0, np.uint64)
    held, held_runs, held_bounds = np.empty(n_entries + 1, np.uint64), np.empty(n_entries + 1, np.uint32), bounds
    if data[3]:
        bounds, held_bounds = np.zeros(len(places), np.uint64), np.empty(n_entries + 1, np.uint64)
    _write_places(data[0], data[1], data[2], known, bases, places, bounds)
    step = -1 if backwards else 1
    first, second, runs = models[0][::step].copy(), models[1][::step].copy(), models[2][::step].copy()
    if not models[3]:
        runs, held_runs = runs[:0], held_runs[:0]
    n_held = _held(first, second, runs, known, bases, places, bounds, held, held_bounds, held_runs)
    of_each = np.empty(n_entries)
    total = _agreement(held, held_bounds, held_runs, n_held, make_tree(n_entries), of_each)
    return total, of_each[::step]


def agreements(models: Sorted, model: int, data: Sorted, subject: int, n_conditions: int) -> tuple[float, np.ndarray]:
    """Sum over pairs of entries of the products of both signs, and, (n_conditions,), over those with an entry of each condition."""
    ours, theirs = (tuple(field[index] for field in each) for each, index in ((models, model), (data, subject)))
    known = _known(np.arange(n_conditions), np.ones(n_conditions, dtype=np.int64))
    total, before = _with_all(ours, theirs, known, n_conditions, False)
    of_each = before - _with_all(ours, theirs, known, n_conditions, True)[1]
    first, second = (np.bincount(conditions, of_each, n_conditions) for conditions in ours[:2])
    return total, first + second


__all__ = ["agreements", "Sorted", "draw_scores", "from_orders", "null_agreements"]
