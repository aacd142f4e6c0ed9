"""Can learning go on while inference runs, in one sweep, with no second pass, clamped phase or settling?

Products that read each block's weights are counted in the program of a learning step and in that of inference (steps of simulated
time are in both). More in learning than in inference is a second pass; weights that inference itself reads backwards are
settling; a change that needs activities from above waits for a sweep down.

Guerguiev, Lillicrap and Richards 2017, doi:10.7554/eLife.22901 (phases); arXiv:2501.09976 (criterion 3).
"""

from __future__ import annotations

from learning_rules.plausibility.criterion import FAILS, MEETS, NOT_APPLICABLE, PARTLY, Criterion, Finding, listed
from learning_rules.plausibility.dataflow import Reads
from learning_rules.plausibility.subject import Subject

__all__ = ["CRITERION"]

# Some rules look at their weights once more, over a part of the batch, to hold lengths.
_ONE_SWEEP = 1.5


def probe(subject: Subject) -> Finding:
    """Count reads in learning and inference, and look for signals from above."""
    flow, names = subject.dataflow, subject.network.block_names
    if not any(flow.signals[block] for block in subject.hidden):
        return Finding(NOT_APPLICABLE, 1.0, "the body learns nothing")

    def of(reads: Reads, block: int) -> float:
        return reads.forward[block] + reads.backward[block]

    own = {
        block: sum(token[:2] == ("weights", block) and token[2] == "backward" for token in flow.signals[block]) > 0
        for block in subject.hidden
    }
    ratios = {
        block: (flow.reads.forward[block] if own[block] and not flow.inference.backward[block] else of(flow.reads, block))
        / max(of(flow.inference, block), 1.0)
        for block in subject.hidden
    }
    value = max(ratios.values())
    settles = any(flow.inference.backward[block] for block in subject.hidden)
    above = {
        block: sorted({token[1] for token in flow.signals[block] if token[0] in ("activity", "weights") and token[1] > block})
        for block in subject.hidden
        if block + 2 < len(names)
    }
    waits = [block for block, needed in above.items() if needed]
    if settles:
        return Finding(
            FAILS,
            value,
            f"the network settles: inference itself reads weights backwards, and learning reads them {value:.1f} times as often",
        )
    if value > _ONE_SWEEP:
        block = max(ratios, key=lambda each: ratios[each])
        return Finding(
            FAILS,
            value,
            f"learning reads the weights of {names[block]} {value:.1f} times as often as inference: it takes further passes",
        )
    if waits:
        far = [block for block in waits if max(above[block]) > block + 1]
        verdict = FAILS if far else PARTLY
        what = listed([names[each] for each in above[waits[0]]])
        return Finding(
            verdict, value, f"one pass up, but {names[waits[0]]} waits for signals from {what}: a sweep down follows the sweep up"
        )
    return Finding(
        MEETS,
        value,
        f"changes follow from one sweep: learning reads weights {value:.1f} times as often as inference, and nothing waits for "
        "blocks above",
    )


CRITERION = Criterion(
    "single phase",
    "Can learning go on while inference runs, in one sweep, with no second pass, clamped phase or settling?",
    "products that read a block's weights in learning, over those in inference (the largest of hidden blocks)",
    "Guerguiev, Lillicrap and Richards 2017, doi:10.7554/eLife.22901; arXiv:2501.09976",
    probe,
)
