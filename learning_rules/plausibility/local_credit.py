"""Does a synapse's change need anything but its own signals, its own node's state and at most a broadcast scalar?

Every activity that is on a wire counts as that node's own signal, and the rest of the program is asked what a node's change needs
beside its own signals and those of its neighbours, the nodes that it hears and that hear it: activities or weights further away,
or labels as a vector. Numbers told to all are no such need, unless the label moves the change in more directions than a number
can and nothing else can have brought it, so that they are put together. The same is asked of the activities on a node's wires:
where they follow from what is further away without a step in between, credit has come in one sweep, and the rule is local in part.
Asked of nodes that the readout does not hear at first hand. Beside it, the intervention: weights above that are none of a
neighbour's are changed where no synapse feels it.

Richards et al. 2019, doi:10.1038/s41593-019-0520-2; Whittington and Bogacz 2019, doi:10.1016/j.tics.2018.12.005.
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
from learning_rules.plausibility.interventions import A_NUMBER, in_null_space, ranks_of_labels
from learning_rules.plausibility.neighbours import above, examined, hearers, near
from learning_rules.plausibility.origins import Token
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.plausibility.traced_rule import node_of

__all__ = ["CRITERION", "remote"]


def _beyond(test: RuleUnderTest, node: int, tokens: frozenset[Token]) -> list[str]:
    """What of some tokens is neither a node's own nor a neighbour's, in words."""
    names, heard_by = test.network.node_names, hearers(test.network, node)
    neighbours = near(test.network, node)
    found: list[str] = []
    for token in sorted(tokens, key=str):
        other = node_of(token)
        if token[0] == "activity" and other >= 0 and other not in neighbours:
            found.append(f"activity of {names[other]}")
        elif token[0] == "weights" and other not in (node, *heard_by):
            found.append(f"weights of {names[other]}")
        elif token[0] == "labels":
            found.append("labels")
    return list(dict.fromkeys(found))


def _hears_from_above(test: RuleUnderTest, node: int) -> bool:
    """Whether signals of those that hear a node reach its change, or the activities that its synapses see."""
    tokens = test.dataflow.signals[node] | test.dataflow.activities[node]
    return any(token[0] == "activity" and node_of(token) in hearers(test.network, node) for token in tokens)


def _told(test: RuleUnderTest, node: int) -> list[str]:
    """What numbers that are told to all make known of nodes further away, where the label moves a change in several directions."""
    scalars = frozenset(token[1] for token in test.dataflow.signals[node] if token[0] == "scalar")
    return _beyond(test, node, scalars) if scalars and ranks_of_labels(test)[node] > A_NUMBER else []


def remote(test: RuleUnderTest, node: int) -> list[str]:
    """What a node's change needs from further away than its neighbours, in words.

    Parameters
    ----------
    test
        The rule under test.
    node
        Number of the node.
    """
    found = _beyond(test, node, test.dataflow.signals[node])
    # Numbers that are broadcast one after the other add up to a vector, where nothing else can have brought one.
    told = [] if _hears_from_above(test, node) else _told(test, node)
    return list(dict.fromkeys([*found, *told]))


def _moved(test: RuleUnderTest, nodes: tuple[int, ...]) -> float:
    """How far nodes' changes move with weights above that are none of a neighbour's."""
    found = in_null_space(test)
    far = {node: above(test.network, node) - hearers(test.network, node) for node in nodes}
    return max((each.of(node) for node in nodes for place, each in found.items() if place.node in far[node]), default=0.0)


def probe(test: RuleUnderTest) -> Finding:
    """Dataflow with wires cut, of changes and of activities, and the intervention beyond the neighbours."""
    names, signals = test.network.node_names, test.dataflow.signals
    nodes = examined(test.network)
    if not nodes:
        return Finding(NOT_APPLICABLE, 0.0, "the readout hears every hidden node, and what is near to all is remote to none")
    if not any(signals[node] for node in nodes):
        return Finding(NOT_APPLICABLE, 0.0, NOTHING_LEARNED)
    needs = {node: remote(test, node) for node in nodes}
    driven = {node: _beyond(test, node, test.dataflow.activities[node]) for node in nodes}
    far = {node for node, needed in needs.items() if needed and needed != ["labels"]}
    swept = {node for node, needed in driven.items() if needed and node not in far}
    told = {node for node in nodes if _told(test, node)} - far - swept
    taught = {node for node, needed in needs.items() if needed == ["labels"]} - swept - told
    scalars = any(token[0] == "scalar" and token[1][0] == "labels" for node in nodes for token in signals[node])
    beside = f"weights two or more nodes above, changed where no synapse feels it, move it by {_moved(test, nodes):.1e}"
    if unseen := test.dataflow.unseen:
        beside += f"; {unseen} of its wires were too many to look at and count as carrying nothing: loops that are scans have few"
    value = (len(far) + 0.5 * len(taught | swept | told)) / len(nodes)
    if len(far) == len(nodes):
        needed = listed(needs[nodes[0]])
        # What nobody looked at accuses nobody wholly.
        verdict = PARTLY if test.dataflow.unseen else FAILS
        return Finding(verdict, value, f"{names[nodes[0]]} needs {needed}, none of it its own or a neighbour's; {beside}")
    if far:
        those = listed([names[each] for each in sorted(far)])
        return Finding(
            PARTLY,
            value,
            f"{those} needs {listed(needs[min(far)])}, the other nodes their own signals and their neighbours'; {beside}",
        )
    if swept:
        those = listed([names[each] for each in sorted(swept)])
        reached = f"{listed(driven[min(swept)])}, in one sweep"
        return Finding(PARTLY, value, f"own and neighbours' signals suffice, but activities of {those} follow {reached}; {beside}")
    if told:
        those = listed([names[each] for each in sorted(told)])
        reached = listed(_told(test, min(told)))
        return Finding(
            PARTLY, value, f"numbers that are told to {those} make known {reached}, and may be put together to a vector; {beside}"
        )
    if taught:
        those = listed([names[each] for each in sorted(taught)])
        return Finding(PARTLY, value, f"own signals suffice but for the label, which reaches {those} as a vector; {beside}")
    with_scalar = " and a number broadcast to all" if scalars else ""
    return Finding(MEETS, value, f"own and neighbours' signals suffice{with_scalar}; {beside}")


CRITERION = Criterion(
    "local credit",
    "Does a synapse's change need nothing but its own signals, its node's state and at most a broadcast scalar?",
    "fraction of examined nodes whose change needs more (a label as a vector, or activities that do, count half)",
    "Richards et al. 2019, doi:10.1038/s41593-019-0520-2; Whittington and Bogacz 2019, doi:10.1016/j.tics.2018.12.005",
    probe,
)
