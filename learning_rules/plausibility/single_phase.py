"""Can learning go on while inference runs, in one sweep, with no second pass, clamped phase or settling?

The values that a node passes on are looked at while the rule learns and while it represents (steps of simulated time are in both):
more of them for the same example is a second pass or phase, and so are weights that change at spikes that the unit does not pass on
(`ways_of_firing`). Where the traced program multiplies more signals by a node's weights than its synapses were asked to, there are
passes that nobody can listen to, and the criterion is met in part at most. What is evaluated again with the same answer is none,
however the program is written. Weights that inference itself reads backwards are settling; errors that go back in time through a
node's own weights are a pass of their own; a change that needs activities from above waits for a sweep down.

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
from learning_rules.plausibility.ways_of_firing import n_heard, two_ways, ways

__all__ = ["CRITERION"]

# A single row more, such as a mean that is shown too, is no second pass.
_ONE_WAY = 1.5


def _from_above(test: RuleUnderTest, node: int) -> list[int]:
    """Nodes above whose activities or weights a node's change needs."""
    higher = above(test.network, node)
    return sorted({node_of(token) for token in test.dataflow.signals[node]} & higher)


def _back_in_time(test: RuleUnderTest) -> list[int]:
    """Nodes whose errors go back in time, through the weights by which they hear themselves."""
    read = {
        token[1]
        for node in test.hidden
        for token in test.dataflow.signals[node]
        if token[0] == "weights" and token[2] == "backward"
    }
    return sorted({place.node for place in read if returns(test.network, place)})


def _unheard(test: RuleUnderTest) -> list[int]:
    """Nodes whose weights multiply more signals in a learning step than were heard at their synapses."""
    once, learned = test.dataflow.inference.forward, test.dataflow.reads.forward
    return [node for node, heard in n_heard(test).items() if read_by(learned, node) > _ONE_WAY * heard * read_by(once, node)]


def probe(test: RuleUnderTest) -> Finding:
    """Count reads in learning and inference, and look for signals from above."""
    names, inference = test.network.node_names, test.dataflow.inference
    if not any(test.dataflow.signals[node] for node in test.hidden):
        return Finding(NOT_APPLICABLE, 1.0, NOTHING_LEARNED)
    nodes = examined(test.network) or test.hidden
    ratios = ways(test)
    value = max(ratios.values(), default=1.0)
    settles = any(read_by(inference.backward, node) for node in test.hidden)
    if settles:
        return Finding(
            FAILS,
            value,
            f"the network settles: inference itself reads weights backwards, and units fire in {value:.1f} times as many ways "
            "while learning",
        )
    if value > _ONE_WAY:
        node = max(ratios, key=lambda each: ratios[each])
        return Finding(
            FAILS,
            value,
            f"for the same example {names[node]} fires in {value:.1f} times as many ways while learning as in inference: it takes "
            "further passes or phases",
        )
    if twofold := two_ways(test):
        who = listed([names[each] for each in twofold])
        return Finding(FAILS, 2.0, f"weights of {who} change at spikes that are not those passed on: its units fire in two ways")
    if back := _back_in_time(test):
        who = listed([names[each] for each in back])
        return Finding(
            FAILS, value, f"errors go back in time through the weights by which {who} hears itself: a pass after the last step"
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
    if unheard := _unheard(test):
        return Finding(
            PARTLY,
            value,
            f"signals are multiplied by the weights of {listed([names[each] for each in unheard])} more often than synapses "
            "are asked to: passes that nobody could listen to",
        )
    return Finding(
        MEETS,
        value,
        f"changes follow from one sweep: units fire in {value:.1f} times as many ways while learning as in inference, and nothing "
        "waits for nodes above",
    )


CRITERION = Criterion(
    "single phase",
    "Can learning go on while inference runs, in one sweep, with no second pass, clamped phase or settling?",
    "ways in which a unit fires for one example while learning, over those in inference (the largest of hidden nodes)",
    "Guerguiev, Lillicrap and Richards 2017, doi:10.7554/eLife.22901; arXiv:2501.09976",
    probe,
)
