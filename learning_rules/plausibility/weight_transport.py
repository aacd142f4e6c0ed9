"""Do feedback signals read the forward weights backwards?

Two kinds of evidence, which are always both reported. *Intervention*: weights between nodes are changed in the null space of all
that their synapses were given in two steps, the rule's own optimiser between them, which leaves every pre-activation as it was.
If what is asked of nodes below moves, the weights were read in the other direction; if it moves only where weights change signs,
their signs were. However a rule is written, it is accused by what moves. *Dataflow*: the program's products are searched for one
that sums the weights over their units. It accuses too, of what arrives after many steps, and explains; it never acquits.

Where a rule shows its synapses every direction there is, there is no change that they do not feel. The card then says that the
whole matrix was probed, and the criterion is met in part; or it is met, where hidden nodes are told no more than a number, in
which no weights can come down.

In a network that runs in time, weights that meet what their own node passed on a step ago carry errors back in time: there the
changes of the node's other weights are looked at, since a synapse may know its own strength.

Feedback weights that come to be the forward ones are not read from them, but may ask for something else: where what a rule owns
beside the network is asked for the very change that weights of the network are, two synapses must be told the same (Kolen and
Pollack 1994, doi:10.1109/ICNN.1994.374486). The card says so.

Grossberg 1987, doi:10.1111/j.1551-6708.1987.tb00862.x; Crick 1989, doi:10.1038/337129a0 (weight transport).
"""

from __future__ import annotations

import jax
import numpy as np

from architectures import WEIGHT
from architectures.roles import role_leaves
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
from learning_rules.plausibility.interventions import A_NUMBER, in_null_space, in_null_space_unturned, ranks_of_labels
from learning_rules.plausibility.neighbours import above
from learning_rules.plausibility.origins import Token
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.plausibility.traced_rule import Place, node_of, returns

__all__ = ["CRITERION", "changed_alike"]

# Between what rounding moves (under 1e-12; 1e-5 where states settle by less than a direction must have to count as felt) and what
# reading a weight moves (over 1e-2).
_MOVED = 1e-4
# Cosine of changes that are one.
_SAME = 1 - 1e-9


def _foreign_reads(test: RuleUnderTest, how: str) -> list[Place]:
    """Weights that are read so in the changes of nodes below, or of their own node's other weights where they lead back to it."""
    found: set[Place] = set()
    for node in test.hidden:
        higher = above(test.network, node)
        found |= {token[1] for token in test.dataflow.updates[node] if _reads(token, how) and node_of(token) in higher}
        for role, tokens in zip(role_leaves(test.network.nodes[node].roles), test.dataflow.arrays[node], strict=True):
            own = {token[1] for token in tokens if _reads(token, how) and node_of(token) == node}
            found |= {place for place in own if returns(test.network, place) and place.edge != role.edge}
    return sorted(found)


def _reads(token: Token, how: str) -> bool:
    return token[0] == "weights" and token[2] == how


def _movements(test: RuleUnderTest) -> dict[tuple[Place, int], float]:
    """How far each node's change moves with weights above it, and with weights that lead back to it; NaN left out."""
    found = {}
    for place, moved in in_null_space(test).items():
        touched = [node for node in test.hidden if node < place.node or (node == place.node and returns(test.network, place))]
        found.update({(place, node): moved.of(node) for node in touched})
    return {pair: each for pair, each in found.items() if each == each}


def changed_alike(test: RuleUnderTest) -> list[int]:
    """Nodes whose weights are asked for the very change that something is which the rule owns beside the network.

    The same but for a factor, and for which axis comes first.

    Parameters
    ----------
    test
        The rule under test.
    """
    state = test.precise_state
    asked = test.once("asked", lambda of: of.asked(state.params, state.carry, of.precise_batch(), of.key(100)))
    owned = [np.asarray(leaf) for name, part in asked.items() if name != "network" for leaf in jax.tree.leaves(part)]
    found = []
    for index, (node, own) in enumerate(zip(test.network.nodes, asked["network"], strict=True)):
        weights = [
            np.asarray(leaf)
            for role, leaf in zip(role_leaves(node.roles), jax.tree.leaves(own), strict=True)
            if role.kind == WEIGHT
        ]
        if any(_alike(one, other) for one in weights for other in owned):
            found.append(index)
    return found


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    if one.size != other.size or one.size < 2:
        return False
    length = np.linalg.norm(one) * np.linalg.norm(other)
    products = [float(np.vdot(one.ravel(), each.ravel())) for each in (other, other.T)]
    return bool(length > 0 and max(map(abs, products)) > _SAME * length)


def probe(test: RuleUnderTest) -> Finding:
    """Both kinds of evidence, and which synapses are told the same."""
    found = _probe(test)
    alike = changed_alike(test) if test.hidden_learn else []
    if not alike:
        return found
    names = listed([test.network.node_names[node] for node in alike])
    same = f"what it owns beside the network is asked for the same change as the weights of {names}: two synapses are told the same"
    return found._replace(evidence=f"{found.evidence}; {same}")


def _probe(test: RuleUnderTest) -> Finding:
    names = test.network.node_names
    if not test.hidden_learn:
        return Finding(NOT_APPLICABLE, 0.0, NOTHING_LEARNED)

    def where(places: list[Place]) -> str:
        return listed(list(dict.fromkeys(names[place.node] for place in places)))

    moved = _movements(test)
    value = max(moved.values(), default=0.0)
    backwards, signs = _foreign_reads(test, "backward"), _foreign_reads(test, "sign backward")
    told = f"a change of weights that no synapse feels moves the changes below by {value:.1e} (relative)"
    if not in_null_space(test):
        told = "there is no change of weights that no synapse feels"
    if any(each.spanned for each in in_null_space(test).values()):
        told += ", where the rule's own passes span every direction one that a plain pass does not feel"
    if backwards:
        agrees = "" if value > _MOVED else "; the intervention did not see it"
        return Finding(
            FAILS,
            value,
            f"errors are summed over the units of {where(backwards)}, that is, carried down through forward weights; "
            f"{told}{agrees}",
        )
    if value > _MOVED:
        # Weights that were shown every direction excuse no others.
        unfelt = [
            (place, node) for (place, node), each in moved.items() if each > _MOVED and not in_null_space(test)[place].spanned
        ]
        if not unfelt:
            if max(ranks_of_labels(test)[node] for node in test.hidden) <= A_NUMBER:
                return Finding(MEETS, value, f"{told}, by no more than a number that all are told")
            why = "the whole matrix was probed, and no change of weights tells feeling them from reading them backwards"
            return Finding(PARTLY, value, f"{told}: {why}")
        small = in_null_space_unturned(test)
        if all(not small[place].of(node) > _MOVED for place, node in unfelt):
            of = f" of {where(signs)}" if signs else ""
            why = f"errors are carried down through the signs{of}"
            return Finding(PARTLY, value, f"{why}: {told}, unless no weight changes its sign")
        why = "which no product that the dataflow follows explains: the weights are read in some other way"
        return Finding(FAILS, value, f"{told}, {why}")
    if signs:
        return Finding(PARTLY, value, f"errors are carried down through the signs of {where(signs)}; {told}")
    if not moved and in_null_space(test):
        return Finding(
            FAILS, float("nan"), "what it asks of nodes below others is nothing or not a number: no movement can be told"
        )
    return Finding(MEETS, value, f"no product sums forward weights over their units, and {told}")


CRITERION = Criterion(
    "weight transport",
    "Do feedback signals keep from reading the forward weights backwards?",
    "largest relative movement of a change below, after a change of weights that no synapse feels",
    "Grossberg 1987, doi:10.1111/j.1551-6708.1987.tb00862.x; Crick 1989, doi:10.1038/337129a0",
    probe,
)
