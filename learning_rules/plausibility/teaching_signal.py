"""What reaches hidden nodes from the teacher: nothing, a scalar, a vector of targets, or a vector of errors?

One example is given each class's label in turn, with all else as it was: the rank of the map from the label to a hidden node's
change is how many numbers the node is told, however they are sent and put together. None is nothing, one a scalar (a reward or a
loss), or two, since two steps are made; more are a vector. It is one of errors where new weights of the readout move the change
too, and one of targets where they do not. Beside it the error is turned at an equal loss: where two classes score alike, an image
gets the label of the one, then of the other. A rule that is told a number in each of several trials of a step is told as many.
Where no label moves anything within the steps that are made, and the traced program lets labels come to a change all the same,
however late, nothing is met.

Lillicrap et al. 2020, doi:10.1038/s41583-020-0277-3.
"""

from __future__ import annotations

from learning_rules.plausibility.criterion import FAILS, MEETS, NOT_APPLICABLE, NOTHING_LEARNED, PARTLY, Criterion, Finding
from learning_rules.plausibility.interventions import (
    A_NUMBER,
    Movement,
    above_at_random,
    of_labels,
    of_tied_labels,
    ranks_of_labels,
)
from learning_rules.plausibility.rule_under_test import RuleUnderTest

__all__ = ["CRITERION", "KINDS", "kind_of_signal"]

KINDS = ("none", "scalar", "targets", "errors")
# Between what rounding moves and what another readout does.
_MOVED = 1e-9
_LABELS = ("labels",)


def kind_of_signal(test: RuleUnderTest) -> int:
    """Index into `KINDS`: of the most that any hidden node is told.

    Parameters
    ----------
    test
        The rule under test.
    """
    last, ranks = len(test.network.nodes) - 1, ranks_of_labels(test)
    most = max((int(ranks[node]) for node in test.hidden), default=0)
    if most <= A_NUMBER:
        return min(most, 1)
    moved = above_at_random(test)[last]
    return 3 if any(ranks[node] > A_NUMBER and moved.of(node) > _MOVED for node in test.hidden) else 2


def probe(test: RuleUnderTest) -> Finding:
    """Change labels, one example's class by class and then all, and turn errors."""
    if not test.hidden_learn:
        return Finding(NOT_APPLICABLE, 0.0, NOTHING_LEARNED)

    def largest(moved: Movement) -> float:
        values = [moved.of(node) for node in test.hidden]
        return max((each for each in values if each == each), default=0.0)

    kind = kind_of_signal(test)
    rank = max(int(ranks_of_labels(test)[node]) for node in test.hidden)
    told = (
        f"an example's label moves hidden changes in {rank} directions; other labels move them by {largest(of_labels(test)):.1e}, "
        f"errors turned at an equal loss by {largest(of_tied_labels(test)):.1e}"
    )
    if kind == 0 and any(_LABELS in test.dataflow.updates[node] for node in test.hidden):
        late = "nothing of labels moves within the steps that are made, but the traced program lets them come to changes"
        return Finding(PARTLY, float(kind), f"{late}; {told}")
    words = (
        "hidden nodes are told nothing of labels",
        "hidden nodes are told one number an example",
        "hidden nodes are told the label",
        "hidden nodes are told how each score is wrong",
    )[kind]
    return Finding((MEETS, MEETS, PARTLY, FAILS)[kind], float(kind), f"{words}; {told}")


CRITERION = Criterion(
    "teaching signal",
    "Is what the teacher tells hidden nodes no more than a scalar?",
    "0 nothing, 1 a scalar, 2 a vector of targets, 3 a vector of errors",
    "Lillicrap et al. 2020, doi:10.1038/s41583-020-0277-3",
    probe,
)
