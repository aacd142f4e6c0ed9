"""What a criterion is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from learning_rules.plausibility.subject import Subject

__all__ = ["FAILS", "MEETS", "NOT_APPLICABLE", "PARTLY", "Criterion", "Finding", "listed"]

MEETS, PARTLY, FAILS, NOT_APPLICABLE = "meets", "partly", "fails", "not applicable"


class Finding(NamedTuple):
    """An answer.

    Attributes:
        verdict: "meets", "partly", "fails" or "not applicable".
        value: the number that was measured; what it is a number of stands in the criterion's `measure`.
        evidence: in a sentence.
    """

    verdict: str
    value: float
    evidence: str


class Criterion(NamedTuple):
    """A question put to a rule by experiment.

    Attributes:
        name: as in tables.
        question: in a sentence.
        measure: what the value is.
        citation: where the criterion comes from.
        probe: the experiment.
    """

    name: str
    question: str
    measure: str
    citation: str
    probe: Callable[[Subject], Finding]


def listed(items: list[str]) -> str:
    """Names in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "nothing"
