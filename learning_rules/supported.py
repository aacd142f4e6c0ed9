"""Whether a rule and a network go together, which is read without whatever would build either."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Support"]


class Support(NamedTuple):
    """Whether a rule and a network go together, and why not.

    Attributes
    ----------
    supported
        Whether they do.
    reason
        A sentence on why not, "" where they do.
    """

    supported: bool
    reason: str = ""
