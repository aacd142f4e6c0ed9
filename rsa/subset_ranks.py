"""Mid-ranks within subsets of an RDM's entries, from one sort of all of them.

Scoring in folds ranks the same RDM anew within every fold's pairs. A subset is in order where all are in order, so that one sort
serves every fold, and ranks within two disjoint subsets come from one walk through it.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rsa.compiled import compiled

__all__ = ["Sorted", "midranks", "sorted_rdms", "subset_midranks"]


class Sorted(NamedTuple):
    """RDMs by the order of their entries alone.

    order: entries from the smallest on, (n_rdms, n_pairs). tied: whether the entry at each place of the order equals that before
    it.
    """

    order: Int[np.ndarray, "n_rdms n_pairs"]
    tied: Bool[np.ndarray, "n_rdms n_pairs"]


@compiled
def _write_order(rdms, order, written, tied):
    for index in range(len(rdms)):
        before = np.nan
        for place in range(rdms.shape[1]):
            entry = order[index, place]
            written[index, place] = entry
            value = rdms[index, entry]
            tied[index, place] = value == before
            before = value


def sorted_rdms(rdms: Float[np.ndarray, "n_rdms n_pairs"]) -> Sorted:
    """Sort RDMs once.

    Parameters
    ----------
    rdms
        Condensed RDMs, (n_rdms, n_pairs).
    """
    # The order among ties does not change mid-ranks, so that the fastest sort will do.
    order = np.argsort(rdms, axis=1)
    found = Sorted(np.empty(rdms.shape, np.int32), np.empty(rdms.shape, np.bool_))
    _write_order(rdms, order, *found)
    return found


@compiled
def _share_midrank(order, part, slot, start, end, own, rank, ranks):
    """Give the entries of one part between two places of the order the same rank."""
    for place in range(start, end):
        if part[order[place]] == own:
            ranks[slot[order[place]]] = rank


@compiled
def _write_tied(order, tied, part, slot, n_parts, ranks):
    """Write the mid-rank of each entry among those of its part, where some entries are equal."""
    count, in_run = np.zeros(n_parts, np.int64), np.zeros(n_parts, np.int64)
    run_of, start_of = np.full(n_parts, -1), np.zeros(n_parts, np.int64)
    run = 0
    for place in range(len(order)):
        if not tied[place]:
            run += 1
        own = part[order[place]]
        if run_of[own] == run:
            in_run[own] += 1
        else:
            if in_run[own] > 1:
                _share_midrank(order, part, slot, start_of[own], place, own, count[own] - (in_run[own] - 1) / 2, ranks)
            run_of[own], start_of[own], in_run[own] = run, place, 1
        count[own] += 1
        ranks[slot[order[place]]] = count[own]
    for own in range(n_parts):
        if in_run[own] > 1:
            _share_midrank(order, part, slot, start_of[own], len(order), own, count[own] - (in_run[own] - 1) / 2, ranks)


@compiled
def _write_one(order, tied, part, slot, n_parts, ranks):
    if tied.any():
        _write_tied(order, tied, part, slot, n_parts, ranks)
        return
    # Without a branch that a processor could guess wrong: most RDMs go here.
    count = np.zeros(n_parts, np.int64)
    for place in range(len(order)):
        entry = order[place]
        count[part[entry]] += 1
        ranks[slot[entry]] = count[part[entry]]


@compiled
def _add_all(order, tied, part, slot, n_parts, group, sums):
    """Add the ranks of each RDM to the sum of its group."""
    ranks = np.empty(sums.shape[1])
    for index in range(len(order)):
        _write_one(order[index], tied[index], part, slot, n_parts, ranks)
        own = sums[group[index]]
        for entry in range(len(ranks)):
            own[entry] += ranks[entry]


def subset_midranks(
    rdms: Sorted, subsets: Sequence[Int[np.ndarray, "..."]], group: Int[np.ndarray, " n_rdms"] | None = None
) -> list[Float[np.ndarray, "n_groups ..."]]:
    """Rank the entries of each of some disjoint subsets, and sum ranks over the RDMs of a group.

    Parameters
    ----------
    rdms
        From :func:`sorted_rdms`.
    subsets
        Indices of the entries of each.
    group
        Number of the group that each RDM belongs to, from 0 on, (n_rdms,); by default each is one by itself.

    Returns
    -------
    For each subset the sums of mid-ranks from 1 on, (n_groups, n_entries); exact, since halves are.
    """
    groups = np.arange(len(rdms.order)) if group is None else group
    n_used = sum(len(entries) for entries in subsets)
    # Subsets lie one after the other, and entries of none share the last slot.
    part = np.full(rdms.order.shape[1], len(subsets), np.int8)
    slot = np.full(rdms.order.shape[1], n_used, np.int32)
    ends = np.cumsum([0, *(len(entries) for entries in subsets)])
    for number, entries in enumerate(subsets):
        part[entries], slot[entries] = number, np.arange(ends[number], ends[number + 1])
    sums = np.zeros((int(groups.max()) + 1, n_used + 1))
    _add_all(rdms.order, rdms.tied, part, slot, len(subsets) + 1, groups, sums)
    return [sums[:, start:end] for start, end in pairwise(ends)]


def midranks(rdms: Float[np.ndarray, "n_rdms n_pairs"]) -> Float[np.ndarray, "n_rdms n_pairs"]:
    """Rank all entries of RDMs.

    Parameters
    ----------
    rdms
        Condensed RDMs, (n_rdms, n_pairs).

    >>> midranks(np.array([[0.5, 0.1, 0.5]]))
    array([[2.5, 1. , 2.5]])
    """
    return subset_midranks(sorted_rdms(rdms), [np.arange(rdms.shape[1])])[0]
