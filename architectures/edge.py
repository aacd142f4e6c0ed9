"""An edge of a network: where a signal comes from, whether it comes a step late, and whether it passes weights."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["INPUT", "Edge"]

INPUT = "input"
"""The name of what comes from outside, as edges have it."""


class Edge(NamedTuple):
    """What one node hears of another.

    Attributes
    ----------
    source
        Name of the node that the signal comes from; `"input"` is what comes from outside.
    delay
        0, or 1 for what the source passed on one step ago: a recurrent edge.
    skip
        Whether the edge carries no weights: the signal then enters `activate` and not `synapse`.
    """

    source: str
    delay: int = 0
    skip: bool = False
