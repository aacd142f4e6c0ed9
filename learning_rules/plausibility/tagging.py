"""A network that leaves its marks in a traced program, or tells what passed over its wires.

Whatever a rule does with a node it does through `Node.synapse` and `Node.activate`. Marked there, activities can be recognised
in any program that a rule compiles to, through derivatives, loops over time and batching, without the rule's help.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from architectures import Network, Node
from learning_rules.contract import LearningRule
from learning_rules.plausibility.jaxprs import along, mark, scaled_forward
from learning_rules.plausibility.neighbours import place_of

__all__ = [
    "MIN_VALUES",
    "WIRE",
    "Dead",
    "Heard",
    "Marks",
    "Shown",
    "Wire",
    "Wires",
    "changed",
    "marked",
    "recorded",
    "shown_to",
    "telling",
    "number_of",
    "wire_of",
]

MIN_VALUES = 20
WIRE = "bioplausible wire "
"""Marks are named by this and the node whose activity it is: -1 for what comes from outside."""

Signals = tuple[Array, ...]

Dead = frozenset[tuple[int, bool]]
"""Numbers of wires that carry nothing, and whether it is the tangent that is carried forward over them."""


class Wire(NamedTuple):
    """From which node to which: -1 is what comes from outside."""

    source: int
    hearer: int


class Heard(NamedTuple):
    """The sources of what arrives over weighted edges, and over skips, in order."""

    inputs: tuple[int, ...]
    skips: tuple[int, ...]


def changed(network: Network, change: Callable[[int, Node, Heard], Node]) -> Network:
    """The network with every node changed.

    Parameters
    ----------
    network
        The network.
    change
        (number of the node, node, whom it hears) -> what stands in its place.
    """
    place = place_of(network)
    nodes = []
    for index, (node, edges) in enumerate(zip(network.nodes, network.edges, strict=True)):
        inputs = tuple(place[edge.source] for edge in edges if not edge.skip)
        skips = tuple(place[edge.source] for edge in edges if edge.skip)
        nodes.append(change(index, node, Heard(inputs, skips)))
    return dataclasses.replace(network, nodes=tuple(nodes))


def wire_of(name: str) -> int | None:
    """The node that a mark belongs to, None for names that are not ours."""
    return int(name.removeprefix(WIRE).split()[0]) if name.startswith(WIRE) else None


def number_of(name: str) -> int | None:
    """The number of a mark, None for one that has none."""
    numbers = name.removeprefix(WIRE).split()[1:] if name.startswith(WIRE) else []
    return int(numbers[0]) if numbers else None


@dataclasses.dataclass
class Marks:
    """Marks on a network's wires, numbered in the order in which a rule's learning step comes by them.

    Attributes
    ----------
    factors
        What is done instead of marking, where there are any: what is on the k-th wire is multiplied by `factors[k, 0]`, and a
        tangent that is carried forward over it by `factors[k, 1]`.
    count
        How many wires a step has come by so far; None outside of one.
    most
        How many it comes by.
    """

    factors: Array | None = None
    count: int | None = None
    most: int = 0

    def put(self, x: Array, source: int) -> Array:
        """Mark what a node sends."""
        number = self.count
        if number is None:  # not in a learning step
            return x if self.factors is not None else mark(x, f"{WIRE}{source}")
        self.count = number + 1
        if self.factors is None:
            return mark(x, f"{WIRE}{source} {number}")
        if number >= len(self.factors):
            return x
        own = self.factors[number]
        return scaled_forward(x, own[0], own[1])

    def around(self, rule: LearningRule) -> LearningRule:
        """The rule, whose learning step starts to count anew each time."""

        def assign_credit(key: Any, state: Any, batch: Any) -> Any:
            self.count = 0
            try:
                return rule.assign_credit(key, state, batch)
            finally:
                self.most, self.count = max(self.most, self.count or 0), None

        return rule._replace(assign_credit=assign_credit)


def marked(network: Network, marks: Marks) -> Network:
    """The network with a mark on all that a node hears, on its pre-activations, and on the readout's outputs.

    Parameters
    ----------
    network
        The network; in one that runs in time, marks are inside the loop over steps.
    marks
        That are put.
    """

    def change(index: int, node: Node, heard: Heard) -> Node:
        def own(tree: Any) -> Any:
            return jax.tree.map(lambda leaf: marks.put(leaf, index), tree)

        def all_of(signals: Signals, sources: Sequence[int]) -> Signals:
            return tuple(marks.put(x, source) for x, source in zip(signals, sources, strict=True))

        def synapse(params: Any, inputs: Signals) -> Any:
            return own(node.synapse(params, all_of(inputs, heard.inputs)))

        def activate(state: Any, z: Any, skips: Signals) -> tuple[Any, Array]:
            state, h = node.activate(state, z, all_of(skips, heard.skips))
            # What other nodes pass on is known by those who hear it; the readout's scores by nothing else.
            return state, own(h) if index == len(network.nodes) - 1 else h

        return dataclasses.replace(node, synapse=synapse, activate=activate)

    return changed(network, change)


def telling(tell: Callable[..., None], summary: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """(value, seen) -> value, which tells a summary of what was seen while the program runs.

    What is told hangs on the value: where a rule evaluates it for a derivative alone and nothing of it is used, nothing went over a
    wire, and nothing is told. A derivative passes as if it were not there.
    """

    @jax.custom_jvp
    def hang(value: Any, seen: Any) -> Any:
        # Nought, of which the value's first number has part: in single precision, which is all that comes and goes whole.
        zero = (jax.tree.leaves(value)[0].ravel()[0] * 0).astype(jnp.float32)

        def call(zero: Any, told: Any) -> Any:
            tell(*told)
            return np.zeros_like(zero)

        zero = jax.pure_callback(call, jax.ShapeDtypeStruct((), jnp.float32), zero, summary(seen), vmap_method="sequential")
        return jax.tree.map(lambda leaf: leaf + zero.astype(leaf.dtype), value)

    @hang.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        return hang(*primals), tangents[0]

    return lambda value, seen: hang(value, jax.lax.stop_gradient(seen))


@dataclasses.dataclass
class Wires:
    """What went over each wire.

    Attributes
    ----------
    values
        How many values.
    events
        How many of them were one of their channel's levels.
    """

    values: dict[Wire, int] = dataclasses.field(default_factory=dict)
    events: dict[Wire, int] = dataclasses.field(default_factory=dict)

    def record(self, wire: Wire, n_values: int, n_events: int) -> None:
        """Add what one evaluation saw."""
        self.values[wire] = self.values.get(wire, 0) + n_values
        self.events[wire] = self.events.get(wire, 0) + n_events

    def fraction(self, wire: Wire) -> float:
        """Fraction of values that were one of their channel's levels; NaN where nothing was seen."""
        return self.events.get(wire, 0) / self.values[wire] if self.values.get(wire) else float("nan")


def _n_events(x: Array) -> Array:
    # An event or none, or one of either sign, less what inhibition takes from the channel whatever comes: at most three levels in a
    # channel, not always 0 and 1. A few values say nothing of levels.
    ordered = jnp.sort(x, axis=0)
    n_levels = 1 + jnp.sum(ordered[1:] != ordered[:-1], axis=0)
    return len(x) * jnp.sum(n_levels <= 3) if len(x) >= MIN_VALUES else jnp.asarray(0)


def recorded(network: Network, wires: Wires) -> Network:
    """The network that counts the events among all that its nodes hear, while it runs.

    Parameters
    ----------
    network
        The network.
    wires
        Where counts are kept.
    """

    def counting(value: Any, on_wires: Sequence[Wire], signals: Signals) -> Any:
        if not signals or not jax.tree.leaves(value):
            return value
        sizes = [x.size for x in signals]

        def tell(*n_events: Any) -> None:
            for wire, size, each in zip(on_wires, sizes, n_events, strict=True):
                wires.record(wire, size, int(each))

        return telling(tell, lambda seen: tuple(map(_n_events, seen)))(value, signals)

    def change(index: int, node: Node, heard: Heard) -> Node:
        def synapse(params: Any, inputs: Signals) -> Any:
            return counting(node.synapse(params, inputs), [Wire(source, index) for source in heard.inputs], inputs)

        def activate(state: Any, z: Any, skips: Signals) -> tuple[Any, Array]:
            state, h = node.activate(state, z, skips)
            # What a unit keeps of its own is no signal to others.
            others = [(Wire(source, index), x) for source, x in zip(heard.skips, skips, strict=True) if source != index]
            return state, counting(h, [wire for wire, _ in others], tuple(x for _, x in others))

        return dataclasses.replace(node, synapse=synapse, activate=activate)

    return changed(network, change)


@dataclasses.dataclass
class Shown:
    """What nodes' synapses were given, while it is listened to.

    Attributes
    ----------
    signals
        Node -> what arrived over each weighted edge, once for each evaluation.
    listening
        Whether more is kept.
    """

    signals: dict[int, list[tuple[np.ndarray, ...]]] = dataclasses.field(default_factory=dict)
    listening: bool = False

    def record(self, node: int, inputs: Signals) -> None:
        """Add what one evaluation was given, in bits."""
        if self.listening:
            self.signals.setdefault(node, []).append(tuple(_from_bits(x) for x in inputs))


def _bits(x: Array) -> Array:
    # What is told while a program runs comes in single precision, and would lose half its digits.
    return jax.lax.bitcast_convert_type(x.astype(jnp.float64), jnp.uint32)


def _from_bits(bits: Any) -> np.ndarray:
    return np.ascontiguousarray(bits).view(np.float64)[..., 0]


def shown_to(network: Network, shown: Shown) -> Network:
    """The network that keeps all that its synapses are given while it runs, at every step of every pass.

    Tangents that are carried forward over a synapse, as forward gradients are, have been given to it too.

    Parameters
    ----------
    network
        The network.
    shown
        Where it is kept.
    """

    def change(index: int, node: Node, heard: Heard) -> Node:
        # What the weights of a node sum of nothing but the outside reads no other node.
        if not node.weighted or all(source < 0 for source in heard.inputs):
            return node
        hang = telling(lambda *inputs: shown.record(index, inputs), lambda inputs: tuple(map(_bits, inputs)))

        def told(*tangents: Array) -> Signals:
            # Each of several draws, side by side, is so many examples more.
            flat = tuple(x.reshape(-1, *shape) for x, shape in zip(tangents, node.input_shapes, strict=True))
            passed: Signals = hang(tangents, flat)
            return passed

        @jax.custom_jvp
        def seen(inputs: Signals) -> Signals:
            return inputs

        @seen.defjvp
        def _(primals: Any, tangents: Any) -> Any:
            return primals[0], along(tangents[0], told)

        return dataclasses.replace(node, synapse=lambda params, inputs: hang(node.synapse(params, seen(inputs)), inputs))

    return changed(network, change)
