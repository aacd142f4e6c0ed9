"""Can learning go on while inference runs, in one sweep, with no second pass, clamped phase or settling?

Products that read each node's weights are counted in the program of a learning step and in that of inference (steps of simulated
time are in both). More in learning than in inference is a second pass; weights that inference itself reads backwards are
settling; a change that needs activities from above waits for a sweep down.

Guerguiev, Lillicrap and Richards 2017, doi:10.7554/eLife.22901 (phases); arXiv:2501.09976 (criterion 3).
"""

from __future__ import annotations

from learning_rules.plausibility.criterion import (
    FAILS,
    MEETS,
    NOT_APPLICABLE,
    NOTHING_LEARNED,
    PARTLY,
    Criterion,
    Finding,
    listed,
)
from learning_rules.plausibility.neighbours import above, examined, hearers
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.plausibility.traced_rule import node_of, read_by, returns

__all__ = ["CRITERION"]

# Some rules look at their weights once more, over a part of the batch, to hold lengths.
_ONE_SWEEP = 1.5


def _ratio(test: RuleUnderTest, node: int) -> float:
    """Products that read a node's weights in learning over those in inference."""
    reads, inference = test.dataflow.reads, test.dataflow.inference
    settled = read_by(inference.backward, node)
    # A node that reads its own weights backwards for its own change, as a local reconstruction does, makes no second pass by it;
    # where they lead back to it, that is a pass back in time.
    read = {token[1] for token in test.dataflow.signals[node] if token[0] == "weights" and token[2] == "backward"}
    own = {place for place in read if place.node == node and not returns(test.network, place) and not settled}
    backward = {place: products for place, products in reads.backward.items() if place not in own}
    learned = read_by(reads.forward, node) + read_by(backward, node)
    return learned / max(read_by(inference.forward, node) + settled, 1.0)


def _from_above(test: RuleUnderTest, node: int) -> list[int]:
    """Nodes above whose activities or weights a node's change needs."""
    higher = above(test.network, node)
    return sorted({node_of(token) for token in test.dataflow.signals[node]} & higher)


def probe(test: RuleUnderTest) -> Finding:
    """Count reads in learning and inference, and look for signals from above."""
    names, inference = test.network.node_names, test.dataflow.inference
    if not any(test.dataflow.signals[node] for node in test.hidden):
        return Finding(NOT_APPLICABLE, 1.0, NOTHING_LEARNED)
    nodes = examined(test.network) or test.hidden
    # Where the readout hears all of them, what reads its weights says whether errors come back from it.
    read = test.hidden if examined(test.network) else (*test.hidden, len(names) - 1)
    ratios = {node: _ratio(test, node) for node in read}
    value = max(ratios.values())
    if any(read_by(inference.backward, node) for node in test.hidden):
        return Finding(
            FAILS,
            value,
            f"the network settles: inference itself reads weights backwards, and learning reads them {value:.1f} times as often",
        )
    if value > _ONE_SWEEP:
        node = max(ratios, key=lambda each: ratios[each])
        return Finding(
            FAILS,
            value,
            f"learning reads the weights of {names[node]} {value:.1f} times as often as inference: it takes further passes",
        )
    needs = {node: _from_above(test, node) for node in nodes}
    waits = [node for node, needed in needs.items() if needed]
    if waits:
        far = any(set(needs[node]) - hearers(test.network, node) for node in waits)
        what = listed([names[each] for each in needs[waits[0]]])
        return Finding(
            FAILS if far else PARTLY,
            value,
            f"one pass up, but {names[waits[0]]} waits for signals from {what}: a sweep down follows the sweep up",
        )
    return Finding(
        MEETS,
        value,
        f"changes follow from one sweep: learning reads weights {value:.1f} times as often as inference, and nothing waits for "
        "nodes above",
    )


CRITERION = Criterion(
    "single phase",
    "Can learning go on while inference runs, in one sweep, with no second pass, clamped phase or settling?",
    "products that read a node's weights in learning, over those in inference (the largest of hidden nodes)",
    "Guerguiev, Lillicrap and Richards 2017, doi:10.7554/eLife.22901; arXiv:2501.09976",
    probe,
)
