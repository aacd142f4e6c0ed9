"""Must a node wait for nodes above it before it can change?

Weights above are changed at random: does the node's change move? A number that is broadcast to all (a reward) counts as a wait,
but a lesser one than that for a vector of signals.

Jaderberg et al. 2017, arXiv:1608.05343 (update locking); Belilovsky, Eickenberg and Oyallon 2020, arXiv:1901.08164.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from learning_rules.plausibility.criterion import FAILS, MEETS, NOT_APPLICABLE, NOTHING_LEARNED, PARTLY, Criterion, Finding
from learning_rules.plausibility.interventions import A_NUMBER, above_at_random, ranks_of_labels
from learning_rules.plausibility.neighbours import above, reached_from
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.plausibility.traced_rule import node_of

__all__ = ["CRITERION"]

_MOVED = 1e-9


def _waits(test: RuleUnderTest, of: Callable[[Any], Any]) -> bool:
    """Whether any hidden node's change needs something of a node above, in tokens as `of` gives them."""
    for node in test.hidden:
        higher = above(test.network, node)
        if any(of(token) is not None and node_of(of(token)) in higher for token in test.dataflow.updates[node]):
            return True
    return False


def probe(test: RuleUnderTest) -> Finding:
    """Change what is above."""
    names = test.network.node_names
    if not test.hidden_learn:
        return Finding(NOT_APPLICABLE, 0.0, NOTHING_LEARNED)
    # A node that hears what is above it a step later has other activities of its own after the change: that says nothing.
    known = {
        (higher, node): moved.of(node)
        for higher, moved in above_at_random(test).items()
        for node in test.hidden
        if node < higher and node not in reached_from(test.network, higher) and moved.of(node) == moved.of(node)
    }
    if not known:
        return Finding(
            FAILS, float("nan"), "what it asks of nodes below others is nothing or not a number: no movement can be told"
        )
    value = max(known.values())
    vector = _waits(test, lambda token: token if token[0] in ("weights", "activity") else None)
    scalar = _waits(test, lambda token: token[1] if token[0] == "scalar" else None)
    if value > _MOVED or vector:
        higher, node = max(known, key=lambda pair: known[pair])
        told = f"new weights in {names[higher]} move the change of {names[node]} by {value:.1e} (relative)"
        if not vector and scalar and max(ranks_of_labels(test)[each] for each in test.hidden) <= A_NUMBER:
            return Finding(PARTLY, value, f"{told}, by a number that is broadcast to all")
        if value <= _MOVED:
            return Finding(PARTLY, value, "signals from above enter, but new weights there moved nothing on these images")
        return Finding(FAILS, value, told)
    return Finding(MEETS, value, f"new weights above leave every change as it was (moved by {value:.1e})")


CRITERION = Criterion(
    "update unlocking",
    "Can a node change without waiting for nodes above it?",
    "largest relative movement of a node's change after a random change of weights above",
    "Jaderberg et al. 2017, arXiv:1608.05343; Belilovsky, Eickenberg and Oyallon 2020, arXiv:1901.08164",
    probe,
)
