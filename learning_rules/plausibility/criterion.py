"""What a criterion is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from learning_rules.plausibility.rule_under_test import RuleUnderTest

__all__ = ["FAILS", "MEETS", "NOTHING_LEARNED", "NOT_APPLICABLE", "PARTLY", "Criterion", "Finding", "between", "listed"]

MEETS, PARTLY, FAILS, NOT_APPLICABLE = "meets", "partly", "fails", "not applicable"
"""The verdicts: "meets", "partly", "fails" and "not applicable"."""


class Finding(NamedTuple):
    """An answer.

    Attributes
    ----------
    verdict
        "meets", "partly", "fails" or "not applicable".
    value
        The number that was measured; what it is a number of stands in the criterion's `measure`.
    evidence
        In a sentence.
    """

    verdict: str
    value: float
    evidence: str


NOTHING_LEARNED = "hidden nodes learn nothing"


class Criterion(NamedTuple):
    """A question put to a rule by experiment.

    Attributes
    ----------
    name
        As in tables.
    question
        In a sentence.
    measure
        What the value is.
    citation
        Where the criterion comes from.
    probe
        The experiment.
    """

    name: str
    question: str
    measure: str
    citation: str
    probe: Callable[[RuleUnderTest], Finding]


def listed(items: Sequence[str]) -> str:
    """Names in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "nothing"


def between(values: Sequence[float] | Sequence[int]) -> str:
    """The range of values in a sentence.

    >>> between([0.5, 0.25]), between([1.0, 1.0])
    ('0.25 to 0.5', '1')
    """
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"
