r"""Weights and errors seen by a larger population behind a node: a fixed random matrix to it, and the way back through it.

A node's units are led to :math:`m` others by a fixed random :math:`P` (units, m) of variance :math:`1 / m`, so that
:math:`P P^\top` is the identity on average, with deviations of size :math:`\sqrt{1/m}`. What is learned from there on has the shape
of the node's weights with :math:`m` in the place of its units; both together carry an error as weights of the node's own shape
would, which is how they are used on any node.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures import WEIGHT, Network, Params, Role
from architectures.roles import map_roles, role_leaves

__all__ = ["contracted", "expanded", "random_expansions"]

# (units of a node, units of the larger population)
Expansion = Array


def random_expansions(network: Network, key: PRNGKeyArray, ratio: float) -> tuple[tuple[Expansion | None, ...] | None, ...]:
    """A fixed random matrix for each array of weights of each node that carries an error back to another.

    Parameters
    ----------
    network
        The network.
    key
        Of the draw.
    ratio
        Units of the larger population, as a factor on the node's own.
    """

    def of_array(role: Role, shape: tuple[int, ...], key: PRNGKeyArray) -> Expansion | None:
        if role.kind != WEIGHT:
            return None
        n_units = shape[role.units[-1]]
        wide = max(round(ratio * n_units), 1)
        return jax.random.normal(key, (n_units, wide)) / jnp.sqrt(wide)

    def of_node(index: int, key: PRNGKeyArray) -> tuple[Expansion | None, ...] | None:
        node = network.nodes[index]
        if not network.hears_nodes(index) or not node.weighted:
            return None
        shapes = [leaf.shape for leaf in jax.tree.leaves(jax.eval_shape(node.drawn, key))]
        each = zip(role_leaves(node.roles), shapes, jax.random.split(key, len(shapes)), strict=True)
        return tuple(of_array(*own) for own in each)

    return tuple(of_node(index, own) for index, own in enumerate(jax.random.split(key, len(network.nodes))))


def _through(
    network: Network, trees: Sequence[Params | None], expansions: Sequence[tuple[Expansion | None, ...] | None], side: int
) -> tuple[Params | None, ...]:
    """Every array of weights with its axis of units led through one side of its expansion."""

    def of_node(index: int, tree: Params | None) -> Params | None:
        own = expansions[index]
        if tree is None or own is None:
            return None
        by_leaf = iter(own)

        def of_array(role: Role, leaf: Array) -> Array:
            matrix = next(by_leaf)
            if matrix is None:
                return leaf
            axis = role.units[-1]
            return jnp.moveaxis(jnp.tensordot(leaf, matrix, axes=(axis, side)), -1, axis)

        return map_roles(of_array, network.nodes[index].roles, tree)

    return tuple(of_node(index, tree) for index, tree in enumerate(trees))


def expanded(
    network: Network, weights: Sequence[Params | None], expansions: Sequence[tuple[Expansion | None, ...] | None]
) -> tuple[Params | None, ...]:
    r"""Weights, or Hebbian products, as the larger populations have them, :math:`W P`; biases and gains as they are.

    Parameters
    ----------
    network
        The network.
    weights
        One tree per node, of the shapes of its parameters; None for a node that carries no error back.
    expansions
        As `random_expansions` gives them.
    """
    return _through(network, weights, expansions, 0)


def contracted(
    network: Network, weights: Sequence[Params | None], expansions: Sequence[tuple[Expansion | None, ...] | None]
) -> tuple[Params | None, ...]:
    r"""What an error passes that goes through the expansion and then through learned weights, :math:`R P^\top`.

    Parameters
    ----------
    network
        The network.
    weights
        As `expanded` gives them.
    expansions
        As `random_expansions` gives them.

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(3,), n_classes=2, hidden=(4,))
    >>> expansions = random_expansions(network, jax.random.key(0), 8.0)
    >>> there = expanded(network, network.init(jax.random.key(1)), expansions)
    >>> there[1]["kernel"].shape, contracted(network, there, expansions)[1]["kernel"].shape
    ((4, 16), (4, 2))
    """
    return _through(network, weights, expansions, 1)
