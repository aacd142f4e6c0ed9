"""Mid-ranks within subsets of an RDM's entries, from one sort of all of them.

Scoring in folds ranks the same RDM anew within every fold's pairs. A subset is in order where all are in order, so that one sort
serves every fold, and ranks within two disjoint subsets come from one walk through it.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rsa.compiled import compiled

__all__ = ["Sorted", "midranks", "sorted_rdms", "subset_midranks"]


class Sorted(NamedTuple):
    """RDMs by the order of their entries alone.

    order: entries from the smallest on, (n_rdms, n_pairs). tied: whether the entry at each place of the order equals the one before.
    """

    order: Int[np.ndarray, "n_rdms n_pairs"]
    tied: Bool[np.ndarray, "n_rdms n_pairs"]


def sorted_rdms(rdms: Float[np.ndarray, "n_rdms n_pairs"]) -> Sorted:
    """Sort RDMs once.

    Parameters
    ----------
    rdms
        Condensed RDMs, (n_rdms, n_pairs).
    """
    # The order among ties does not change mid-ranks, so that the fastest sort will do.
    order = np.argsort(rdms, axis=1)
    ordered = np.take_along_axis(rdms, order, axis=1)
    tied = np.zeros(rdms.shape, dtype=bool)
    tied[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return Sorted(order.astype(np.int32), tied)


@compiled
def _share_midrank(order, part, start, end, own, rank, ranks):
    """Give the entries of one part between two places of the order the same rank."""
    for place in range(start, end):
        if part[order[place]] == own:
            ranks[order[place]] = rank


@compiled
def _write_tied(order, tied, part, n_parts, ranks):
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
                _share_midrank(order, part, start_of[own], place, own, count[own] - (in_run[own] - 1) / 2, ranks)
            run_of[own], start_of[own], in_run[own] = run, place, 1
        count[own] += 1
        ranks[order[place]] = count[own]
    for own in range(n_parts):
        if in_run[own] > 1:
            _share_midrank(order, part, start_of[own], len(order), own, count[own] - (in_run[own] - 1) / 2, ranks)


@compiled
def _write_all(order, tied, part, n_parts, ranks):
    for index in range(len(order)):
        if tied[index].any():
            _write_tied(order[index], tied[index], part, n_parts, ranks[index])
        else:
            # Without a branch that a processor could guess wrong: most RDMs go here.
            count = np.zeros(n_parts, np.int64)
            for place in range(order.shape[1]):
                entry = order[index, place]
                count[part[entry]] += 1
                ranks[index, entry] = count[part[entry]]


def subset_midranks(rdms: Sorted, part: Int[np.ndarray, " n_pairs"], n_parts: int) -> Float[np.ndarray, "n_rdms n_pairs"]:
    """Rank entries among those of the same part.

    Parameters
    ----------
    rdms
        From :func:`sorted_rdms`.
    part
        Number of the subset that each entry belongs to, from 0 on, (n_pairs,).
    n_parts
        How many subsets there are.

    Returns
    -------
    Mid-ranks from 1 on, (n_rdms, n_pairs).
    """
    ranks = np.empty(rdms.order.shape)
    _write_all(rdms.order, rdms.tied, part.astype(np.int8), n_parts, ranks)
    return ranks


def midranks(rdms: Float[np.ndarray, "n_rdms n_pairs"]) -> Float[np.ndarray, "n_rdms n_pairs"]:
    """Rank all entries of RDMs.

    Parameters
    ----------
    rdms
        Condensed RDMs, (n_rdms, n_pairs).

    >>> midranks(np.array([[0.5, 0.1, 0.5]]))
    array([[2.5, 1. , 2.5]])
    """
    return subset_midranks(sorted_rdms(rdms), np.zeros(rdms.shape[1], np.int64), 1)
