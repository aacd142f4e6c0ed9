r"""What happens to predictions when states or weights move a little, as exactly as the move itself is known.

Settling moves states by the nudge over their precision: of the first nodes of a deep network by less than single precision rounds
off the states themselves. A prediction error that is the difference of two states is then rounding. Here a move is never the
difference of what was before and after it. Pre-activations follow it by the synapse's own derivative, which is exact where the
synapse is affine,

.. math:: \Delta z = \partial_h S_\theta(h)\, \Delta h,

and outputs by the derivative half way, :math:`a'(z + \tfrac12 \Delta z) \Delta z`, wherever the difference of what the unit does
at both ends agrees with that to within what it is rounded to itself; else, where a rectifier's kink lies between or the way is
long, by the difference. Errors are as exact as the moves that they add up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from architectures import Network, Node, Params

__all__ = ["change", "heard", "moved_by_states", "moved_by_weights"]

# Units round a few times; attention and pooling add up over many places.
_ROUNDINGS = 32


def change(function: Callable[[Any], Array], at: Any, by: Any) -> Array:
    """What a function does at the end of a short way less what it does at the beginning.

    Parameters
    ----------
    function
        Of a tree.
    at
        Where the way begins.
    by
        The way, a tree like it.

    >>> small = jnp.float32(1e-9)
    >>> float(jnp.tanh(0.5 + small) - jnp.tanh(jnp.float32(0.5))), f"{float(change(jnp.tanh, jnp.float32(0.5), small)):.3e}"
    (0.0, '7.864e-10')
    """
    half = jax.tree.map(lambda a, b: a + 0.5 * b, at, by)
    before, after = function(at), function(jax.tree.map(jnp.add, at, by))
    difference, slope = after - before, jax.jvp(function, (half,), (by,))[1]
    rounding = _ROUNDINGS * jnp.finfo(before.dtype).eps * jnp.maximum(jnp.abs(before), jnp.abs(after))
    return jnp.where(jnp.abs(difference - slope) <= rounding, slope, difference)


def heard(network: Network, x: Array, outputs: Sequence[Array]) -> list[tuple[tuple[Array, ...], tuple[Array, ...]]]:
    """What each node hears over its weighted edges and over its skips.

    Parameters
    ----------
    network
        A static one.
    x
        What comes from outside, encoded, (n, ...).
    outputs
        What each hidden node passes on, (n, *output_shape).
    """
    found: list[tuple[tuple[Array, ...], tuple[Array, ...]]] = []

    def visit(index: int, inputs: tuple[Array, ...], skips: tuple[Array, ...]) -> Array:
        found.append((inputs, skips))
        return outputs[index] if index < len(outputs) else x

    network.walk(x, visit)
    return found


def _of_node(
    node: Node, z: Any, by_z: Any, skips: tuple[Array, ...], by_skips: tuple[Array, ...] | None = None
) -> tuple[Any, Array]:
    """Pre-activations after the move, and how far the output went."""
    by_skips = tuple(map(jnp.zeros_like, skips)) if by_skips is None else by_skips
    moved = change(lambda at: node.activate((), *at)[1], (z, skips), (by_z, by_skips))
    return jax.tree.map(jnp.add, z, by_z), moved


def moved_by_states(
    network: Network, params: Sequence[Params], x: Array, states: Sequence[Array], by: Sequence[Array], z: Sequence[Any]
) -> tuple[tuple[Any, ...], tuple[Array, ...]]:
    """Move the states of hidden nodes.

    Parameters
    ----------
    network, params, x
        As `heard` takes them; one tree per node.
    states
        Of hidden nodes, before the move.
    by
        How far each of them goes.
    z
        Pre-activations of all nodes before it.

    Returns
    -------
    tuple
        Pre-activations of all nodes after it, and how far the prediction of each hidden node went.
    """
    each = zip(network.nodes, params, heard(network, x, states), heard(network, jnp.zeros_like(x), by), z, strict=True)
    found = []
    for index, (node, own, (inputs, skips), (by_inputs, by_skips), before) in enumerate(each):
        if not network.hears_nodes(index) and not by_skips:
            found.append((before, jnp.zeros_like(states[index]) if index < len(states) else x))
            continue

        def synapse(inputs: tuple[Array, ...], node: Node = node, own: Params = own) -> Any:
            return node.synapse(own, inputs)

        if node.affine:
            # Half way, where a product of two inputs has the derivative that leads to its end.
            half = jax.tree.map(lambda a, b: a + 0.5 * b, inputs, by_inputs)
            by_z = jax.jvp(synapse, (half,), (by_inputs,))[1]
        else:
            by_z = jax.tree.map(jnp.subtract, synapse(jax.tree.map(jnp.add, inputs, by_inputs)), before)
        found.append(_of_node(node, before, by_z, skips, by_skips))
    after, moved = zip(*found, strict=True)
    return after, moved[:-1]


def moved_by_weights(
    network: Network, params: Sequence[Params], x: Array, states: Sequence[Array], by: Sequence[Params], z: Sequence[Any]
) -> tuple[tuple[Any, ...], tuple[Array, ...]]:
    """Move the weights, states held; parameters and returns are those of `moved_by_states`, with `by` how far each weight goes."""
    found = []
    for node, own, (inputs, skips), by_own, before in zip(network.nodes, params, heard(network, x, states), by, z, strict=True):

        def synapse(own: Params, node: Node = node, inputs: tuple[Array, ...] = inputs) -> Any:
            return node.synapse(own, inputs)

        if node.affine:
            by_z = jax.jvp(synapse, (own,), (by_own,))[1]
        else:
            by_z = jax.tree.map(jnp.subtract, synapse(jax.tree.map(jnp.add, own, by_own)), before)
        found.append(_of_node(node, before, by_z, skips))
    after, moved = zip(*found, strict=True)
    return after, moved[:-1]
