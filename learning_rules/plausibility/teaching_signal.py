"""What reaches hidden nodes from the teacher: nothing, a scalar, a vector of targets, or a vector of errors?

Labels are changed: do hidden nodes' changes move? Then the error is turned at an equal loss: where two classes score alike, an
image gets the label of the one, then of the other. Backpropagation can tell the two; a rule that is given the loss alone, without
noise in its scores, cannot. What kind of vector it is the dataflow says: labels alone are targets, labels compared with scores
are errors.

Lillicrap et al. 2020, doi:10.1038/s41583-020-0277-3.
"""

from __future__ import annotations

from learning_rules.plausibility.criterion import FAILS, MEETS, NOT_APPLICABLE, NOTHING_LEARNED, PARTLY, Criterion, Finding
from learning_rules.plausibility.interventions import Movement, of_labels, of_tied_labels
from learning_rules.plausibility.rule_under_test import RuleUnderTest

__all__ = ["CRITERION", "KINDS", "kind_of_signal"]

KINDS = ("none", "scalar", "targets", "errors")


def kind_of_signal(test: RuleUnderTest) -> int:
    """Index into `KINDS`, by dataflow: of the most that any hidden node is told.

    Parameters
    ----------
    test
        The rule under test.
    """
    last = len(test.network.nodes) - 1
    found = 0
    for node in test.hidden:
        tokens = test.dataflow.updates[node]
        if ("labels",) in tokens:
            from_scores = any(token[0] == "weights" and token[1].node == last for token in tokens)
            found = max(found, 3 if from_scores else 2)
        elif ("scalar", ("labels",)) in tokens:
            found = max(found, 1)
    return found


def probe(test: RuleUnderTest) -> Finding:
    """Change labels, turn errors, and follow labels through the program."""
    if not test.hidden_learn:
        return Finding(NOT_APPLICABLE, 0.0, NOTHING_LEARNED)

    def largest(moved: Movement) -> float:
        values = [moved.of(node) for node in test.hidden]
        return max((each for each in values if each == each), default=0.0)

    kind = kind_of_signal(test)
    told = (
        f"other labels move hidden changes by {largest(of_labels(test)):.1e}, errors turned at an equal loss by "
        f"{largest(of_tied_labels(test)):.1e}"
    )
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
