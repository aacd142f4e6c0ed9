"""In how many ways does a unit fire within one step: how many values of its activity go over its wires for the same example?

What is evaluated again with the same answer is the same firing, however often and in whatever form a program is written. What has
another answer (a perturbed pass, a clamped phase, negative images, a round of settling, a tangent that is carried forward, noise
that is sent to see what it does) is another way of firing. What a synapse is asked with weights that are none of the network's, as
to find how long an input is, is no firing.

A unit that spikes has another way where its weights change at spikes that it does not pass on: units that compete while they learn,
and are read without competition, fire in two ways.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from architectures import WEIGHT, Network, Node
from architectures.roles import role_leaves
from learning_rules.plausibility.jaxprs import along, backwards
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.plausibility.spiking import EVENTS, fractions_of_events
from learning_rules.plausibility.tagging import Heard, changed, telling

__all__ = ["Fired", "fired", "two_ways", "ways"]

_SAME_WEIGHTS = 0.7
_SPARSE = 0.5
_ELSEWHERE = 0.05


@dataclasses.dataclass
class Fired:
    """What units passed on in one run, and the signals at which weights were changed.

    Attributes
    ----------
    passed_on
        Node -> what others were given of it, once for each evaluation: (n, *output_shape), or (steps * n, *output_shape).
    at_synapses
        Node -> what came back to its pre-activations, once for each evaluation: (n, size).
    at_each
        Node -> how many signals of hidden nodes its synapses were given with weights that are its own.
    """

    passed_on: dict[int, list[np.ndarray]] = dataclasses.field(default_factory=dict)
    at_synapses: dict[int, list[np.ndarray]] = dataclasses.field(default_factory=dict)
    at_each: dict[int, int] = dataclasses.field(default_factory=dict)


def _likeness(node: Node, params: Any, own: Any) -> Array:
    """Cosine of weights with the network's own; 0 where they are fewer."""
    pairs = [
        (one, other)
        for role, one, other in zip(role_leaves(node.roles), jax.tree.leaves(params), jax.tree.leaves(own), strict=True)
        if role.kind == WEIGHT
    ]
    if any(one.shape != other.shape for one, other in pairs):
        return jnp.zeros(())
    product, mine, others = (
        sum(jnp.sum(a * b) for a, b in each) for each in (pairs, [(a, a) for a, _ in pairs], [(b, b) for _, b in pairs])
    )
    return product / jnp.maximum(jnp.sqrt(mine * others), 1e-30)


def _listening(network: Network, own: Any, into: Fired) -> Network:
    """The network that keeps what is passed on and what comes back to pre-activations, while it runs."""

    def change(index: int, node: Node, heard: Heard) -> Node:
        if not node.weighted:
            return node

        def told(likeness: Any, *inputs: Any) -> None:
            if likeness > _SAME_WEIGHTS:
                for source, x in zip(heard.inputs, inputs, strict=True):
                    if source >= 0:
                        into.passed_on.setdefault(source, []).append(np.array(x))
                        into.at_each[index] = into.at_each.get(index, 0) + len(x)

        def back(cotangent: Array) -> Array:
            keep = telling(lambda x: into.at_synapses.setdefault(index, []).append(np.array(x)), lambda x: (x,))
            passed: Array = keep(cotangent, cotangent)
            return passed

        def tangents(*given: Array) -> tuple[Array, ...]:
            flat = tuple(x.reshape(-1, *shape) for x, shape in zip(given, node.input_shapes, strict=True))
            passed: tuple[Array, ...] = telling(lambda *x: told(1.0, *x), lambda x: x)(given, flat)
            return passed

        @jax.custom_jvp
        def seen(inputs: tuple[Array, ...]) -> tuple[Array, ...]:
            return inputs

        @seen.defjvp
        def _(primals: Any, moved: Any) -> Any:
            return primals[0], along(moved[0], tangents)

        def synapse(params: Any, inputs: tuple[Array, ...]) -> Any:
            z = node.synapse(params, seen(inputs))
            z = backwards(z, back) if node.one_z else z
            return telling(told, lambda x: x)(z, (_likeness(node, params, own[index]), *inputs))

        return dataclasses.replace(node, synapse=synapse)

    return changed(network, change)


def _run(test: RuleUnderTest, learning: bool) -> Fired:
    found = Fired()
    rule = test.make(_listening(test.network, test.start.params["network"], found))
    images, targets = test.batch(0)
    if learning:
        jax.block_until_ready(jax.jit(rule.assign_credit)(test.key(2), test.start, (images, targets))[0])
    else:
        jax.block_until_ready(jax.jit(rule.represent)(test.start, images))
    jax.effects_barrier()
    return found


def fired(test: RuleUnderTest, learning: bool) -> Fired:
    """What units passed on in one step of learning, or while the rule represents.

    Parameters
    ----------
    test
        The rule under test.
    learning
        Which of the two.
    """
    found: Fired = test.once(f"fired, {learning}", lambda of: _run(of, learning))
    return found


def _n_values(arrays: list[np.ndarray]) -> int:
    """How many examples' activities there are that are not another's."""
    rows = np.concatenate([x.reshape(len(x), -1) for x in arrays]).astype(np.float64)
    # A value is another where it is so by more than rounding.
    size = np.abs(rows).max() or 1.0
    return len(np.unique(np.round(rows / size, 4), axis=0))


def ways(test: RuleUnderTest) -> dict[int, float]:
    """For each hidden node that is heard, in how many ways it fires in a step of learning, for once while the rule represents.

    Parameters
    ----------
    test
        The rule under test.
    """
    learning, inference = (fired(test, each).passed_on for each in (True, False))
    return {node: _n_values(learning[node]) / max(_n_values(inference[node]), 1) for node in sorted(learning) if node in inference}


def n_heard(test: RuleUnderTest) -> dict[int, float]:
    """How many signals the synapses of each node that hears hidden ones are given while it learns, for one while it represents.

    Parameters
    ----------
    test
        The rule under test.
    """
    learning, inference = (fired(test, each).at_each for each in (True, False))
    return {node: learning.get(node, 0) / inference[node] for node in sorted(inference)}


def two_ways(test: RuleUnderTest) -> list[int]:
    """Hidden nodes that pass on spikes, and whose weights change at others.

    Parameters
    ----------
    test
        The rule under test.
    """
    found = fired(test, learning=True)
    spiking = {wire.source for wire, each in fractions_of_events(test, True).items()
               if wire.source >= 0 and each >= EVENTS}  # fmt: skip
    return [node for node in test.hidden if node in spiking and _elsewhere(test, node, found) > _ELSEWHERE]


def _elsewhere(test: RuleUnderTest, node: int, found: Fired) -> float:
    """Of the spikes at which a node's weights change, the largest part that it does not pass on."""
    n_units = test.network.nodes[node].output_shape[-1]
    most = 0.0
    for back in found.at_synapses.get(node, []):
        post = back.reshape(len(back), -1, n_units)
        for passed in found.passed_on.get(node, []):
            heard = passed.reshape(len(passed), -1, n_units)
            if len(heard) != len(post) or not _are_events(post):
                continue
            # Pooled, a unit has spiked where it did so at any position.
            spikes, others = (post != 0).any(axis=1), (heard != heard.min(axis=0)).any(axis=1)
            most = max(most, float((spikes & ~others).sum() / max(spikes.sum(), 1)))
    return most


def _are_events(post: np.ndarray) -> bool:
    """Seldom anything, and what there is for an example at a time and place is of one size: (n, positions, units)."""
    event = post != 0
    size = np.abs(post)
    largest = np.where(event, size, 0).max(axis=2)
    smallest = np.where(event, size, np.inf).min(axis=2)
    return bool(event.any() and event.mean() < _SPARSE and (largest <= 1.001 * smallest).all())
