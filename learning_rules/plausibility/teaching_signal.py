"""What reaches hidden blocks from the teacher: nothing, a scalar, a vector of targets, or a vector of errors?

Labels are changed: do hidden blocks' changes move? Then the error is turned at an equal loss: where two classes score alike, an
image gets the label of the one, then of the other. Backpropagation can tell the two; a rule that is given the loss alone, without
noise in its scores, cannot. What kind of vector it is the dataflow says: labels alone are targets, labels compared with scores
are errors.

Lillicrap et al. 2020, doi:10.1038/s41583-020-0277-3.
"""

from __future__ import annotations

from learning_rules.plausibility.criterion import FAILS, MEETS, NOT_APPLICABLE, PARTLY, Criterion, Finding
from learning_rules.plausibility.interventions import of_labels, of_tied_labels
from learning_rules.plausibility.subject import Subject

__all__ = ["CRITERION", "KINDS"]

KINDS = ("none", "scalar", "targets", "errors")
_MOVED = 1e-9


def kind_of_signal(subject: Subject) -> int:
    """Index into `KINDS`, by dataflow: of the most that any hidden block is told."""
    last = len(subject.network.blocks) - 1
    found = 0
    for block in subject.hidden:
        tokens = subject.dataflow.updates[block]
        if ("labels",) in tokens:
            from_scores = any(token[0] == "weights" and token[1] == last for token in tokens)
            found = max(found, 3 if from_scores else 2)
        elif ("scalar", ("labels",)) in tokens:
            found = max(found, 1)
    return found


def probe(subject: Subject) -> Finding:
    """Change labels, turn errors, and follow labels through the program."""
    if not any(subject.dataflow.updates[block] for block in subject.hidden):
        return Finding(NOT_APPLICABLE, 0.0, "the body learns nothing")

    def largest(values: list[float]) -> float:
        return max((each for each in values if each == each), default=0.0)

    moved = largest([of_labels(subject).of(block) for block in subject.hidden])
    turned = largest([of_tied_labels(subject).of(block) for block in subject.hidden])
    kind = kind_of_signal(subject)
    told = f"other labels move hidden changes by {moved:.1e}, errors turned at an equal loss by {turned:.1e}"
    words = (
        "hidden blocks are told nothing of labels",
        "hidden blocks are told one number an example",
        "hidden blocks are told the label",
        "hidden blocks are told how each score is wrong",
    )[kind]
    return Finding((MEETS, MEETS, PARTLY, FAILS)[kind], float(kind), f"{words}; {told}")


CRITERION = Criterion(
    "teaching signal",
    "Is what the teacher tells hidden blocks no more than a scalar?",
    "0 nothing, 1 a scalar, 2 a vector of targets, 3 a vector of errors",
    "Lillicrap et al. 2020, doi:10.1038/s41583-020-0277-3",
    probe,
)
