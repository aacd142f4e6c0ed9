r"""States that settle in the energy of a bidirectional network.

With states :math:`s_k` of hidden nodes in :math:`[-1, 1]`, the drive
:math:`d_k(s) = S_{\theta_k}(s) + \gamma \sum_{skips} s_j` that reaches each node from those it hears, synapses taken as symmetric
couplings, and an output energy :math:`V` of the scores :math:`d_L`,

.. math:: F = \sum_{k<L} \left( \tfrac12 \lVert s_k \rVert^2 - \langle s_k, d_k(s) \rangle \right) + V(d_L(s)).

With its neighbours held, a state's energy is least at

.. math:: s_k = \mathrm{clip}\left( d_k(s) + \partial_{s_k} \sum_{j>k} \langle s_j, d_j(s) \rangle,\, -1,\, 1 \right), \qquad
   s_L = -\partial V / \partial d_L,

so that updating node after node (Gauss and Seidel's order) cannot raise :math:`F` where :math:`V` is concave or flat; where it is
convex (the loss, nudging) the last hidden state takes a gradient step of length one.

A pass goes from the top down and then up again. Down, it is one backward pass through the couplings in which every state moves
before it sends anything on (`relayed`); it takes one product with each node's weights either way, as many as a pass in one
direction, since what comes down to a node stays what it was while states are passed upwards; but a change of the output or of the
image reaches every node in one pass, and the energy can be read off what is computed anyway.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from architectures import INPUT, Network, Node, Params
from architectures.dense import added
from learning_rules.signals import clamped, exact, hebbian_product, relayed

__all__ = ["OutputEnergy", "Relaxed", "bounded", "contrast", "couplings", "hears_input_alone", "output_state", "relax"]

OutputEnergy = Callable[[Float[Array, "n n_classes"]], Float[Array, " n"]]
States = tuple[Array, ...]


class Relaxed(NamedTuple):
    """Where settling ended.

    Attributes
    ----------
    states
        Of the hidden nodes.
    drives
        What reaches every node, the scores last; up to date where settling ended at the top.
    energy
        Of every example before each pass, (n_passes, n).
    residual
        Length of the last pass's change over the state's length, per hidden node.
    """

    states: States
    drives: States
    energy: Float[Array, "n_passes n"]
    residual: Float[Array, " n_hidden"]


def hears_input_alone(network: Network, index: int) -> bool:
    """Whether nothing but what comes from outside reaches a node, so that its drive never changes."""
    return all(edge.source == INPUT for edge in network.edges[index])


def bounded(network: Network, input_gain: float, gain: float) -> Network:
    """The same graph and parameters with states clipped to [-1, 1] and couplings scaled.

    Parameters
    ----------
    network
        Any whose hidden nodes are unit by unit.
    input_gain
        Factor on the pre-activations of hidden nodes that hear the input.
    gain
        Factor on those of the other hidden nodes and on skips, both ways; the readout keeps its own. A skip of full strength would
        leave nothing to hold two states back from growing together.
    """

    def scaled(index: int, node: Node) -> Node:
        factor = input_gain if any(edge.source == INPUT for edge in network.weighted_edges(index)) else gain
        return dataclasses.replace(
            node,
            synapse=lambda params, inputs: factor * node.synapse(params, inputs),
            activate=lambda state, z, skips: (state, jnp.clip(added(z, [gain * skip for skip in skips]), -1, 1)),
        )

    nodes = tuple(scaled(index, node) for index, node in enumerate(network.nodes[:-1]))
    return dataclasses.replace(network, nodes=(*nodes, network.nodes[-1]))


def couplings(network: Network, skip_gain: float = 1.0) -> Network:
    """The same graph whose hidden nodes pass on what drives them, unclipped.

    Parameters
    ----------
    network
        The network.
    skip_gain
        Strength of the coupling that a skip edge is; the `gain` of `bounded`.
    """

    def linear(node: Node) -> Node:
        return dataclasses.replace(node, activate=lambda state, z, skips: (state, added(z, [skip_gain * skip for skip in skips])))

    return dataclasses.replace(network, nodes=(*map(linear, network.nodes[:-1]), network.nodes[-1]))


def output_state(output_energy: OutputEnergy, scores: Array) -> Array:
    """The output's part in the couplings: down the output energy, example by example."""
    return -jax.grad(lambda z: jnp.sum(output_energy(z)))(scores)


def relax(
    network: Network,
    params: Sequence[Params],
    x: Array,
    states: States,
    drives: States,
    n_passes: int,
    output_energy: OutputEnergy | None = None,
    ends_at_bottom: bool = False,
    skip_gain: float = 1.0,
) -> Relaxed:
    """Settle the hidden states for a number of passes.

    Parameters
    ----------
    network
        From `bounded`.
    params
        One tree per node.
    x
        Encoded inputs, (n, ...).
    states
        Where to start, one array (n, ...) per hidden node.
    drives
        What reaches every node there, the scores last. The input is held still, so that what it alone drives stays, and the
        widest product of most networks is made once.
    n_passes
        Passes down, and up again.
    output_energy
        Of the scores, per example; None where nothing acts on the output.
    ends_at_bottom
        Whether the last pass ends where it has come down.
    skip_gain
        As `couplings` takes it.
    """
    linear, n_hidden, n = couplings(network, skip_gain), len(network.nodes) - 1, len(drives[-1])

    def settled(drive: Array, feedback: Array) -> Array:
        return jnp.clip(drive + feedback, -1, 1)

    def down(states: States, drives: States) -> tuple[States, States, Array]:
        """New states, what comes down to each, and the energy of the old ones."""
        energy = jnp.zeros(n, drives[-1].dtype)
        for state, drive in zip(states, drives[:-1], strict=True):
            energy += jnp.sum((0.5 * state * state - state * drive).reshape(n, -1), axis=-1)
        if output_energy is not None:
            energy += output_energy(drives[-1])

        def coupled(states: States) -> Array:
            passed = relayed(exact(linear, params), (*states, None), (*drives[:-1], ()), lambda drive, h, a: settled(drive, a))
            return linear.trace(params, x, passed, encoded=True).outputs[-1]

        _, pull = jax.vjp(coupled, states)
        above = jnp.zeros_like(drives[-1]) if output_energy is None else output_state(output_energy, drives[-1])
        feedback = pull(above)[0]
        return tuple(map(settled, drives[:-1], feedback)), feedback, energy

    def up(states: States, drives: States, feedback: States) -> tuple[States, States]:
        """New states where they hear others, and what then reaches every node."""
        reached = list(drives)

        def visit(index: int, inputs: tuple[Array, ...], skips: tuple[Array, ...]) -> Array:
            if hears_input_alone(network, index):
                return states[index]
            node = linear.nodes[index]
            reached[index] = node.run(params[index], (), inputs, skips)[1]
            return reached[index] if index == n_hidden else settled(reached[index], feedback[index])

        return linear.walk(x, visit)[:-1], tuple(reached)

    def change(after: States, before: States) -> Array:
        lengths = [(jnp.linalg.norm((a - b).ravel()), jnp.linalg.norm(a.ravel())) for a, b in zip(after, before, strict=True)]
        return jnp.array([moved / jnp.maximum(length, 1e-15) for moved, length in lengths], drives[-1].dtype)

    def one_pass(now: tuple[States, States], _: None) -> tuple[tuple[States, States], tuple[Array, Array]]:
        states, drives = now
        lower, feedback, energy = down(states, drives)
        after, drives = up(lower, drives, feedback)
        return (after, drives), (energy, change(after, states))

    now = (tuple(states), tuple(drives))
    if not ends_at_bottom:
        now, (energy, residual) = lax.scan(one_pass, now, None, length=n_passes)
        return Relaxed(*now, energy, residual[-1])
    now, (energy, _) = lax.scan(one_pass, now, None, length=n_passes - 1)
    lower, _, last_energy = down(*now)
    return Relaxed(lower, now[1], jnp.concatenate([energy, last_energy[None]]), change(lower, now[0]))


def contrast(network: Network, params: Sequence[Params], x: Array, one: States, other: States) -> tuple[Params, ...]:
    """The energy's derivative with respect to the parameters in one phase minus that in the other.

    Parameters
    ----------
    network
        From `bounded`.
    params
        One tree per node.
    x
        Encoded inputs, (n, ...).
    one
        States of all nodes, the output's included.
    other
        The same of the other phase.
    """

    def heard(states: States) -> tuple[tuple[Array, ...], ...]:
        return network.trace(params, x, clamped(exact(network, params), (*states[:-1], None)), encoded=True).inputs

    def of_node(index: int, node: Node, in_one: tuple[Array, ...], in_other: tuple[Array, ...]) -> Any:
        if hears_input_alone(network, index):
            return hebbian_product(node, params[index], in_one, other[index] - one[index])
        first = hebbian_product(node, params[index], in_one, one[index])
        return jax.tree.map(jnp.subtract, hebbian_product(node, params[index], in_other, other[index]), first)

    each = enumerate(zip(network.nodes, heard(one), heard(other), strict=True))
    return tuple(of_node(index, *signals) for index, signals in each)
