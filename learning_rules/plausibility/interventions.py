"""Changes of weights and labels that are put to a rule, and how far what it asks of a node moves.

All in double precision and with the same key, so that a rule that does not read what was changed asks for the same bits but for
rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from architectures import BIAS, WEIGHT
from architectures.edge import INPUT
from architectures.roles import of_kind, role_leaves
from learning_rules.plausibility.null_space import Weights, change_of_size, unfelt, weights_of
from learning_rules.plausibility.precision import double_precision
from learning_rules.plausibility.rule_under_test import Pair, RuleUnderTest
from learning_rules.plausibility.traced_rule import Place

__all__ = [
    "A_NUMBER",
    "Movement",
    "above_at_random",
    "in_null_space",
    "in_null_space_unturned",
    "movement",
    "of_labels",
    "of_tied_labels",
    "ranks_of_labels",
]

Answer = TypeVar("Answer")
Updates = list[list[np.ndarray]]

_N_DRAWS = 3
A_NUMBER = 2
"""The most directions in which a number a step moves a change: there are two, and what was told in the first may be kept."""
_NEWTON_STEPS = 3


class Movement(NamedTuple):
    """How far nodes' changes moved.

    Attributes
    ----------
    updates
        Relative to their length, (n_draws, n_nodes); NaN for nodes of which nothing was asked.
    activities
        How far what the network represents moved, the largest relative change of any node.
    spanned
        Whether what the rule showed the synapses spans every direction, so that only a plain pass does not feel the change.
    """

    updates: np.ndarray
    activities: float
    spanned: bool = False

    def of(self, node: int) -> float:
        """Median over draws."""
        return float(np.median(self.updates[:, node]))


def _once(intervention: Callable[[RuleUnderTest], Answer]) -> Callable[[RuleUnderTest], Answer]:
    """Several criteria look at one intervention: it is made once for each rule, under its own name."""

    @functools.wraps(intervention)
    def remembered(test: RuleUnderTest) -> Answer:
        found: Answer = test.once(intervention.__name__, intervention)
        return found

    return remembered


def movement(before: list[np.ndarray], after: list[np.ndarray]) -> np.ndarray:
    """Relative change of each node's flat update.

    Parameters
    ----------
    before, after
        One array per node.
    """
    lengths = np.array([np.linalg.norm(each) for each in before])
    moved = np.array([np.linalg.norm(new - old) for old, new in zip(before, after, strict=True)])
    return np.divide(moved, lengths, out=np.full(len(moved), np.nan), where=lengths > 0)


def _flat(updates: Updates) -> list[np.ndarray]:
    return [np.concatenate(own) if own else np.zeros(0) for own in updates]


def _without(updates: Updates, test: RuleUnderTest, place: Place) -> list[np.ndarray]:
    """Flat updates, those of the changed weights themselves left out: a synapse may know its own strength."""
    roles = role_leaves(test.network.nodes[place.node].roles)
    kept = [leaf for role, leaf in zip(roles, updates[place.node], strict=True) if role.kind != WEIGHT or role.edge != place.edge]
    return _flat([kept if node == place.node else own for node, own in enumerate(updates)])


def _with(test: RuleUnderTest, node: int, changes: dict[int, np.ndarray]) -> dict[str, Any]:
    """The rule's parameters with some arrays of a node changed."""
    params = test.precise_state.params
    leaves, structure = jax.tree.flatten(params["network"][node])
    changed = [jnp.asarray(np.asarray(leaf) + changes[k]) if k in changes else leaf for k, leaf in enumerate(leaves)]
    network = list(params["network"])
    network[node] = jax.tree.unflatten(structure, changed)
    return {**params, "network": tuple(network)}


def _updates(test: RuleUnderTest, params: Any, batch: Pair, draw: int) -> Updates:
    return test.precise(params, test.precise_state.carry, batch, test.key(100 + draw))


class _Unchanged(NamedTuple):
    updates: list[Updates]
    shown: list[dict[int, list[tuple[np.ndarray, ...]]]]


@_once
def _unchanged(test: RuleUnderTest) -> _Unchanged:
    """What is asked for with nothing changed, and what synapses were given meanwhile, once a draw."""
    batch, params = test.precise_batch(), test.precise_state.params
    found = _Unchanged([], [])
    for draw in range(_N_DRAWS):
        test.shown.signals, test.shown.listening = {}, True
        found.updates.append(_updates(test, params, batch, draw))
        jax.effects_barrier()
        test.shown.listening = False
        found.shown.append(test.shown.signals)
    return found


def _places(test: RuleUnderTest) -> list[Place]:
    """Weights between nodes, whose node is linear in them."""
    found = []
    for index, node in enumerate(test.network.nodes):
        edges = test.network.weighted_edges(index)
        read = {role.edge for role in role_leaves(node.roles) if role.kind == WEIGHT and role.edge is not None}
        found += [Place(index, edge) for edge in sorted(read) if edges[edge].source != INPUT and node.affine]
    return found


@_once
def _of_plain_pass(test: RuleUnderTest) -> dict[int, list[tuple[np.ndarray, ...]]]:
    """What synapses are given in one pass of the network, each step for itself."""
    trace = jax.jit(test.network.trace)(test.precise_state.params["network"], test.precise_batch()[0])
    found = {}
    for index, inputs in enumerate(trace.inputs):
        signals = tuple(np.asarray(x) for x in inputs)
        found[index] = [tuple(x[step] for x in signals) for step in range(test.n_steps)] if test.network.temporal else [signals]
    return found


def _change(test: RuleUnderTest, node: int, weights: list[Weights], shown: Any, draw: Any) -> dict[int, np.ndarray] | None:
    """A change of some arrays of a node's weights that its synapses do not feel; None where one of them feels all."""
    found = {}
    for each in weights:
        change = unfelt(each, test.precise_state.params["network"][node], shown, draw)
        if change is None:
            return None
        found[each.leaf] = change
    return found


def _of_place(test: RuleUnderTest, place: Place) -> list[Weights]:
    node = test.network.nodes[place.node]
    roles = enumerate(role_leaves(node.roles))
    return [weights_of(node, index, role) for index, role in roles if role.kind == WEIGHT and role.edge == place.edge]


def _unturned(test: RuleUnderTest, node: int, changes: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """The changes, as small as leaves every weight its sign."""
    leaves = jax.tree.leaves(test.precise_state.params["network"][node])
    room = min(float(np.min(np.abs(leaves[k]) / np.maximum(np.abs(each), 1e-300))) for k, each in changes.items())
    return {k: min(0.5 * room, 1.0) * each for k, each in changes.items()}


def _in_null_space(test: RuleUnderTest, turned: bool) -> dict[Place, Movement]:
    with double_precision():
        batch = test.precise_batch()
        forward = jax.jit(test.network.forward)
        activations = [np.asarray(h) for h in forward(test.precise_state.params["network"], batch[0])]
        unchanged = _unchanged(test)
        found = {}
        for place in _places(test):
            updates, moved, spanned, weights = [], 0.0, False, _of_place(test, place)
            for draw in range(_N_DRAWS):
                drawn = np.random.default_rng((test.seed, 10, place.node, place.edge or 0, draw))
                shown = unchanged.shown[draw].get(place.node)
                changes = None if shown is None else _change(test, place.node, weights, shown, drawn)
                if changes is None:
                    spanned, plain = True, _of_plain_pass(test)
                    changes = _change(test, place.node, weights, plain[place.node], drawn)
                if changes is None:
                    break
                sizes = _size(changes)
                changes = changes if turned else _unturned(test, place.node, changes)
                params = _with(test, place.node, changes)
                pair = (_without(each, test, place) for each in (unchanged.updates[draw], _updates(test, params, batch, draw)))
                # Of a smaller change, what it would move were it as large.
                updates.append(movement(*pair) * sizes / max(_size(changes), 1e-300))
                after = [np.asarray(h) for h in forward(params["network"], batch[0])]
                relative = [np.abs(a - b).max() / max(np.abs(a).max(), 1e-300) for a, b in zip(activations, after, strict=True)]
                moved = max(moved, float(max(relative)))
            if updates:
                found[place] = Movement(np.stack(updates), moved, spanned)
        return found


def _size(changes: dict[int, np.ndarray]) -> float:
    return float(np.sqrt(sum(np.sum(np.square(each)) for each in changes.values())))


@_once
def in_null_space(test: RuleUnderTest) -> dict[Place, Movement]:
    """Change weights between nodes where nothing that their synapses were given in the step feels it; see what moves.

    Where the rule's own passes leave no such direction, the change is one that a plain pass does not feel; where that leaves none
    either, there is no answer for these weights.
    """
    return _in_null_space(test, turned=True)


@_once
def in_null_space_unturned(test: RuleUnderTest) -> dict[Place, Movement]:
    """The same, by changes so small that no weight changes its sign: a rule that reads signs alone does not move.

    Movements are of what a change as large as `in_null_space` makes would move; rounding is that much larger too.
    """
    return _in_null_space(test, turned=False)


@_once
def above_at_random(test: RuleUnderTest) -> dict[int, Movement]:
    """Change each node's parameters, from the second node on, at random; see what moves below."""
    with double_precision():
        batch, unchanged = test.precise_batch(), _unchanged(test).updates
        found = {}
        for node in range(1, len(test.network.nodes)):
            leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(test.precise_state.params["network"][node])]
            if not leaves:
                continue
            whole, ends = np.concatenate([leaf.ravel() for leaf in leaves]), np.cumsum([leaf.size for leaf in leaves])[:-1]
            updates = []
            for draw in range(_N_DRAWS):
                drawn = np.random.default_rng((test.seed, 20, node, draw)).normal(size=whole.shape)
                parts = np.split(change_of_size(drawn, whole), ends)
                params = _with(test, node, {k: part.reshape(leaves[k].shape) for k, part in enumerate(parts)})
                updates.append(movement(_flat(unchanged[draw]), _flat(_updates(test, params, batch, draw))))
            found[node] = Movement(np.stack(updates), float("nan"))
        return found


def _of_batches(test: RuleUnderTest, params: Any, one: Pair, other: Pair) -> Movement:
    pairs = [[_flat(_updates(test, params, batch, draw)) for batch in (one, other)] for draw in range(_N_DRAWS)]
    return Movement(np.stack([movement(*pair) for pair in pairs]), 0.0)


@_once
def of_labels(test: RuleUnderTest) -> Movement:
    """Give every image the next class's label."""
    other = test.precise_batch(change=lambda labels: (labels + 1) % test.network.n_classes)
    with double_precision():
        return _of_batches(test, test.precise_state.params, test.precise_batch(), other)


def _tied(test: RuleUnderTest, images: Array) -> dict[str, Any]:
    """The rule's parameters with the readout changed so that an image's first two scores are alike.

    By biases where the readout has some, else by its weights: the smallest change that does it, found by Newton's method, which is
    exact after one step where scores are linear in them.
    """
    network, params = test.network, test.precise_state.params
    *below, last = params["network"]
    roles = network.nodes[-1].roles
    by = (BIAS,) if any(role.kind == BIAS for role in role_leaves(roles)) else (WEIGHT,)

    def gap(own: Any) -> Array:
        scores = network.scores(network.forward((*below, own), images[:1])[-1])[0]
        return scores[1] - scores[0]

    @jax.jit
    def nearer(own: Any) -> Any:
        value, slope = jax.value_and_grad(gap)(own)
        slope = of_kind(slope, roles, by)
        squared = sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(slope))
        return jax.tree.map(lambda leaf, along: leaf - value / squared * along, own, slope)

    for _ in range(_NEWTON_STEPS):
        last = nearer(last)
    return {**params, "network": (*below, last)}


@_once
def of_tied_labels(test: RuleUnderTest) -> Movement:
    """Turn the error at an equal loss: where two classes score alike, an image gets the label of the one, then of the other.

    The batch is one image over and over.
    """
    with double_precision():
        images, of_one = test.precise_batch(change=jnp.zeros_like)
        of_other = test.precise_batch(change=jnp.ones_like)[1]
        same = jnp.broadcast_to(images[:1], images.shape)
        return _of_batches(test, _tied(test, same), (same, of_one), (same, of_other))


@_once
def ranks_of_labels(test: RuleUnderTest) -> np.ndarray:
    """How many numbers a label is told to each node by: the rank of the map from one example's label to the node's change.

    Every class in turn is given to one example, the others keep theirs. Nothing told of labels gives rank zero, a number that
    depends on the label one, however it is put to use; an error one less than there are classes. (n_nodes,), the largest of a few
    draws, each of which asks about another example: of one alone, few of a narrow node's units may be active.
    """
    with double_precision():
        params, found = test.precise_state.params, []
        for draw in range(_N_DRAWS):
            by_class = []
            for label in range(test.network.n_classes):
                batch = test.precise_batch(change=partial(_with_label, draw % test.n_precise, label))
                by_class.append(_flat(_updates(test, params, batch, draw)))
            found.append([_rank(np.stack(own)) for own in zip(*by_class, strict=True)])
        return np.max(found, axis=0)


def _with_label(example: int, label: int, labels: Array) -> Array:
    return labels.at[example].set(label)


def _rank(changes: np.ndarray) -> int:
    """Rank of (n_classes, size) about the mean, of what is more than rounding."""
    if not changes.size or not np.isfinite(changes).all():
        return 0
    sizes = np.linalg.svd(changes - changes.mean(axis=0), compute_uv=False)
    rounding = 1e-9 * np.linalg.norm(changes)
    return int(np.sum(sizes > max(1e-6 * sizes[0], rounding)))
