"""What the traced program of a rule's learning step says: what its updates were made of, and which products it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from architectures import BIAS, WEIGHT, Network, Role
from architectures.roles import role_leaves
from learning_rules.contract import LearningRule, RuleState
from learning_rules.plausibility import jaxprs
from learning_rules.plausibility.axes import NONE, Axes
from learning_rules.plausibility.dataflow import Reads, walk, walk_cut
from learning_rules.plausibility.live_wires import dead_wires
from learning_rules.plausibility.neighbours import examined, near
from learning_rules.plausibility.origins import Origin, Token, Weight
from learning_rules.plausibility.tagging import Dead, Marks, marked

if TYPE_CHECKING:
    from learning_rules.plausibility.rule_under_test import RuleUnderTest

__all__ = ["Dataflow", "Place", "dataflow_of", "node_of", "read_by", "returns"]

Tokens = frozenset[Token]


class Place(NamedTuple):
    """Whose weights an array holds.

    Attributes
    ----------
    node
        Number of the node.
    edge
        Number of the weighted edge whose signal they meet; None for biases and gains.
    """

    node: int
    edge: int | None = None


class Dataflow(NamedTuple):
    """What the traced program of a learning step after any number of others says.

    Attributes
    ----------
    updates
        For each node, tokens of what the rule asks of it in the last step.
    arrays
        The same for each array of the node's parameters, in their order.
    signals
        The same for the node with wires cut: what its change needs beside activities.
    activities
        For each node, what the activities on its wires were made of, all other activities counting as such.
    carry
        Origin of every array in the carry, by path.
    reads
        Products that read each place's weights, of one step.
    inference
        The same of `represent`.
    unseen
        How many wires were too many to be looked at: where wires are cut, they count as carrying nothing.
    """

    updates: tuple[Tokens, ...]
    arrays: tuple[tuple[Tokens, ...], ...]
    signals: tuple[Tokens, ...]
    activities: tuple[Tokens, ...]
    carry: dict[str, Origin]
    reads: Reads
    inference: Reads
    unseen: int


def node_of(token: Token) -> int:
    """The node that weights or an activity belong to; -2 for tokens of anything else."""
    if token[0] == "weights":
        return int(token[1].node)
    return int(token[1]) if token[0] == "activity" else -2


def read_by(reads: Mapping[Any, float], node: int) -> float:
    """Products that read a node's weights, over all its edges."""
    return float(sum(products for place, products in reads.items() if place.node == node))


def returns(network: Network, place: Place) -> bool:
    """Whether a place's weights meet what their own node passed on one step ago."""
    return place.edge is not None and network.weighted_edges(place.node)[place.edge].source == network.node_names[place.node]


def _axes(role: Role, n_axes: int) -> Axes:
    """Which axes of a weight a synapse sums over, and which tell units apart."""
    found = [NONE] * n_axes
    for axis in role.units:
        found[axis] = frozenset({"out"})
    for axis in role.fan_in:
        found[axis] = frozenset({"in"})
    return tuple(found)


def _origins_of_params(network: Network, params: Any) -> list[Origin]:
    found = []
    for part in sorted(params):
        if part != "network":
            found += [Origin(frozenset({("params", part)}))] * len(jax.tree.leaves(params[part]))
            continue
        for index, (node, own) in enumerate(zip(network.nodes, params[part], strict=True)):
            for role, leaf in zip(role_leaves(node.roles), jax.tree.leaves(own), strict=True):
                if role.kind == WEIGHT:
                    found.append(Origin(weight=Weight(Place(index, role.edge), _axes(role, leaf.ndim))))
                else:
                    # A bias is added and a gain multiplies its own unit: that either was looked at says nothing of a direction.
                    how = "bias" if role.kind == BIAS else "gain"
                    found.append(Origin(frozenset({("weights", Place(index), how)})))
    return found


_PICTURES = Origin(frozenset({("images",)}), copy="images")
_TEACHER = Origin(frozenset({("labels",)}), copy="labels")
_RANDOM = Origin(frozenset({("random",)}))
_KEPT = Origin(frozenset({("carry",)}))


def _program(test: RuleUnderTest, make: Callable[[], LearningRule]) -> tuple[Any, list[Origin], Any]:
    """A step after some others, traced; the origins of its inputs, and the shapes of its outputs.

    What goes on from step to step does so in a loop, which is walked until nothing new comes: what a rule hands on from carry to
    carry arrives, however many steps it takes. The rule is made anew for the last step: of what it has compiled by itself a second
    trace would come by no wire, and number the others otherwise.
    """
    state, batch = test.start, test.batch(0)
    # Here, and not within the trace: rules look at networks' numbers when they are made.
    rule, again = make(), make()

    def program(first: Any, second: Any, carry: Any, batch: Any, other_batch: Any, key: Any, other_key: Any) -> Any:
        def before(carried: Any, key: Any) -> tuple[Any, None]:
            owned, carry = carried
            params = {**first, **owned}
            updates, after, _ = rule.assign_credit(key, RuleState(params, carry), batch)
            # What the rule owns beside the network makes steps too: it may have been told something by it.
            moved = rule.constrain(jax.tree.map(lambda value, change: value - 0.1 * change, params, updates))
            return ({name: moved[name] for name in owned}, after.carry), None

        owned = {name: part for name, part in first.items() if name != "network"}
        (owned, carry), _ = jax.lax.scan(before, (owned, carry), jax.random.split(key, 2))
        state = RuleState({**owned, "network": second["network"]}, carry)
        updates, last, _ = again.assign_credit(other_key, state, other_batch)
        return updates["network"], last.carry

    traced, outputs = jaxprs.trace(program, state.params, state.params, state.carry, batch, batch, test.key(2), test.key(3))
    of_params = _origins_of_params(test.network, state.params)
    kept = [_KEPT] * len(jax.tree.leaves(state.carry))
    return traced, [*of_params, *of_params, *kept, _PICTURES, _TEACHER, _PICTURES, _TEACHER, _RANDOM, _RANDOM], outputs


def _tokens(origin: Origin) -> Tokens:
    held = {("weights", origin.weight.place, "value")} if origin.weight is not None else set()
    return origin.tokens | held


def _by_node(origins: list[Origin], updates: Any) -> tuple[tuple[Tokens, ...], ...]:
    left = iter(origins)
    return tuple(tuple(_tokens(next(left)) for _ in jax.tree.leaves(own)) for own in updates)


def _united(arrays: tuple[tuple[Tokens, ...], ...]) -> tuple[Tokens, ...]:
    return tuple(frozenset().union(*own) for own in arrays)


def _reads_of(test: RuleUnderTest, function: Callable[..., Any], *inputs: Any) -> Reads:
    """Products of a program whose first input is a state, which come with labels of where they are from."""
    program, _ = jaxprs.trace(function, test.start, *inputs)
    state = [*_origins_of_params(test.network, test.start.params), *[_KEPT] * len(jax.tree.leaves(test.start.carry))]
    rest = [Origin(frozenset({("activity", -1)}))] * len(jax.tree.leaves(inputs))
    return walk(program, [*state, *rest], test.n_examples)[1]


def _far(test: RuleUnderTest, node: int, tokens: Tokens) -> bool:
    """Whether what a change needs is surely no neighbour's; of nodes that have none further up, always."""
    if node not in examined(test.network):
        return True
    return any(node_of(token) not in {*near(test.network, node), -1, -2} for token in tokens)


def dataflow_of(test: RuleUnderTest) -> Dataflow:
    """What the traced program says, with wires whole and with wires cut.

    Parameters
    ----------
    test
        The rule under test.
    """
    marks = Marks()
    program, origins, (updates, carry) = _program(test, lambda: marks.around(test.make(marked(test.network, marks))))
    n_updates = len(jax.tree.leaves(updates))
    whole, _ = walk(program, origins, test.n_examples)

    def with_wires_cut(dead: Dead = frozenset()) -> tuple[tuple[Tokens, ...], dict[int, Tokens]]:
        cut, entering = walk_cut(program, origins, test.n_examples, dead)
        return _united(_by_node(cut[:n_updates], updates)), entering

    (signals, entering), unseen = with_wires_cut(), 0
    if not all(_far(test, node, tokens) for node, tokens in enumerate(signals)):
        # Where every change needs what is far away beside all activities, no wire hides anything.
        dead, unseen = dead_wires(test)
        signals, entering = with_wires_cut(dead)
    arrays = _by_node(whole[:n_updates], updates)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(carry)]
    batch = test.batch(0)
    return Dataflow(
        updates=_united(arrays),
        arrays=arrays,
        signals=signals,
        activities=tuple(entering.get(node, frozenset()) for node in range(len(test.network.nodes))),
        carry=dict(zip(paths, whole[n_updates:], strict=True)),
        reads=_reads_of(test, lambda state, batch, key: test.rule.assign_credit(key, state, batch)[0], batch, test.key(2)),
        inference=_reads_of(test, lambda state, images: test.rule.represent(state, images), batch[0]),
        unseen=unseen,
    )
