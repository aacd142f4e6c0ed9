"""Which axes of a weight array are which, through everything that a program does with the array before it is used.

Each axis of a value that is still a weight array carries the set of the weight's own axes that are in it: "in" (the fan-in, over
which a synapse sums on the way up) or "out" (the units). Reshaping may merge the two, and then both are in one axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

Axes = tuple[frozenset[str], ...]
NONE: frozenset[str] = frozenset()

__all__ = ["NONE", "Axes", "broadcast", "reshape", "union"]


def union(axes: Sequence[Axes]) -> Axes:
    """Axis by axis."""
    return tuple(frozenset().union(*each) for each in zip(*axes, strict=True))


def broadcast(axes: Axes, dimensions: Sequence[int], n_axes: int) -> Axes:
    """Axes of a value that was broadcast into more dimensions."""
    found = [NONE] * n_axes
    for axis, place in zip(axes, dimensions, strict=True):
        found[place] = axis
    return tuple(found)


def reshape(axes: Axes, before: Sequence[int], after: Sequence[int]) -> Axes:
    """Axes of a value in another shape: runs of axes of equal size are matched; what is merged or split keeps all in it.

    >>> weights = (frozenset({"in"}), frozenset({"in"}), frozenset({"out"}))
    >>> [sorted(each) for each in reshape(weights, (3, 4, 5), (12, 5))]
    [['in'], ['out']]
    """
    found: list[frozenset[str]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        start_i, start_j = i, j
        i, j = min(i + 1, len(before)), min(j + 1, len(after))
        while prod(before[start_i:i]) != prod(after[start_j:j]) or (i == start_i and j == start_j):
            smaller_before = prod(before[start_i:i]) < prod(after[start_j:j])
            if smaller_before and i < len(before):
                i += 1
            elif j < len(after):
                j += 1
            else:
                i += 1
        merged: Any = frozenset().union(*axes[start_i:i])
        found += [merged if size > 1 else NONE for size in after[start_j:j]]
    return tuple(found)
