r"""Dale's law as a constraint that any rule can learn under: every hidden unit excites or inhibits, and stays what it is.

Of the units of a node (of a convolution, its maps) the first ones excite all that they are heard by and the others inhibit it.
After each step, what has crossed zero is put back there:

.. math:: W \leftarrow D \max(D W, 0), \qquad D = \mathrm{diag}(\pm 1) \text{ over presynaptic units}

as in Song, Yang and Wang 2016, doi:10.1371/journal.pcbi.1004792. At the start weights are the network's own in size, with the
unit's sign, and scaled so that excitation and inhibition of a postsynaptic unit cancel on average and their mean square stays:

.. math:: |w_{exc}| \leftarrow \sqrt{n_{inh}/n_{exc}}\,|w|, \qquad |w_{inh}| \leftarrow \sqrt{n_{exc}/n_{inh}}\,|w|

What comes from outside has either sign and is left alone, and so is all that a rule owns beside the network. Weights alone make no
neuron: where units answer below zero (tanh), an inhibitory one excites there.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from architectures import INPUT, WEIGHT, Network, Node, Params, Role
from architectures.roles import map_roles, role_leaves
from bioplausible.foundation.errors import InputError
from learning_rules.contract import LearningRule

__all__ = ["keeping_signs", "signs_of"]


def signs_of(network: Network, index: int, role: Role, shape: tuple[int, ...], excitatory: float) -> np.ndarray | None:
    """What the signs of an array's presynaptic units are: 1 or -1 along that axis, to be broadcast over the array.

    Parameters
    ----------
    network
        The network.
    index
        Number of the node.
    role, shape
        Of one array of its parameters.
    excitatory
        Fraction of units that excite, in [0, 1].

    Returns
    -------
    Array or None
        None for what is no weight, or meets what comes from outside.

    Raises
    ------
    InputError
        Weights that do not tell the units apart that they meet.
    """
    if role.kind != WEIGHT or role.edge is None or network.weighted_edges(index)[role.edge].source == INPUT:
        return None
    source = network.nodes[network.node_names.index(network.weighted_edges(index)[role.edge].source)]
    n_units, length = source.output_shape[-1], 0 if role.presynaptic is None else shape[role.presynaptic]
    if length not in (n_units, math.prod(source.output_shape)):
        raise InputError(
            f"excitatory={excitatory:g} was given, and '{network.nodes[index].name}' has weights that do not tell apart the units "
            f"of '{source.name}': give them a Role whose presynaptic axis is as long as there are units"
        )
    # Maps that are read as one vector have their units on the last axis, and so next to each other.
    signs = np.where(np.arange(length) % n_units < _n_excitatory(n_units, excitatory), 1.0, -1.0)
    assert role.presynaptic is not None  # its length is not 0
    return signs.reshape([-1 if axis == role.presynaptic else 1 for axis in range(len(shape))])


def _n_excitatory(n_units: int, excitatory: float) -> int:
    return round(n_units * excitatory)


def _at_start(signs: np.ndarray, leaf: Array) -> Array:
    """Weights of these signs, excitation and inhibition balanced."""
    n_exciting, n_inhibiting = int(np.sum(signs > 0)), int(np.sum(signs < 0))
    ratio = (n_inhibiting / n_exciting) ** 0.5 if n_exciting and n_inhibiting else 1.0
    return jnp.abs(leaf) * np.where(signs > 0, ratio, -1 / ratio).astype(leaf.dtype)


def _held(signs: np.ndarray, leaf: Array) -> Array:
    return jnp.where(leaf * signs.astype(leaf.dtype) > 0, leaf, 0)


def _changed(network: Network, index: int, params: Params, excitatory: float, change: Callable[..., Array]) -> Params:
    def at(role: Role, leaf: Array) -> Array:
        signs = signs_of(network, index, role, leaf.shape, excitatory)
        return leaf if signs is None else change(signs, leaf)

    return map_roles(at, network.nodes[index].roles, params)


def _signed(network: Network, excitatory: float) -> Network:
    """The network whose weights start with their units' signs; feedback weights of a rule's own are drawn as ever."""

    def signed(index: int, node: Node) -> Node:
        def init(key: Array) -> Params:
            return _changed(network, index, node.init(key), excitatory, _at_start)

        return dataclasses.replace(node, init=init, redraw=node.drawn)

    return dataclasses.replace(network, nodes=tuple(signed(index, node) for index, node in enumerate(network.nodes)))


def keeping_signs(make: Callable[[Network], LearningRule], network: Network, excitatory: float = 0.8) -> LearningRule:
    """A rule that learns under Dale's law.

    Parameters
    ----------
    make
        network -> any rule of the contract.
    network
        What it is to train.
    excitatory
        Fraction of every node's units that excite, in [0, 1]; four of five, as in cortex, by default.

    Raises
    ------
    InputError
        A fraction that is none, or weights that do not tell apart the units that they meet.

    >>> import architectures, learning_rules
    >>> network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10, hidden=(5, 4))
    >>> rule = keeping_signs(lambda network: learning_rules.build("backprop", network), network)
    >>> np.sign(rule.init(jax.random.key(0)).params["network"][1]["kernel"][:, 0]).tolist()
    [1.0, 1.0, 1.0, 1.0, -1.0]
    """
    if not 0 <= excitatory <= 1:
        raise InputError(f"excitatory={excitatory} was given, expected a fraction of units in [0, 1]: try 0.8")
    for index, node in enumerate(network.nodes):
        shapes = jax.tree.leaves(jax.eval_shape(node.init, jax.random.key(0)))
        for role, leaf in zip(role_leaves(node.roles), shapes, strict=True):
            signs_of(network, index, role, leaf.shape, excitatory)
    rule = make(_signed(network, excitatory))

    def constrain(params: dict[str, Any]) -> dict[str, Any]:
        params = rule.constrain(params)
        hold = partial(_changed, network, excitatory=excitatory, change=_held)
        return {**params, "network": tuple(hold(index, own) for index, own in enumerate(params["network"]))}

    return rule._replace(constrain=constrain)
