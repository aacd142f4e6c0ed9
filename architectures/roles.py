"""What each parameter of a node is: a weight, a bias or a gain, and which of its axes are units. No rule guesses from a shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from bioplausible.foundation.errors import InputError, unknown_name

__all__ = ["BIAS", "GAIN", "KINDS", "WEIGHT", "Role", "check_roles", "map_roles", "of_kind", "role_leaves", "weights_only"]

WEIGHT, BIAS, GAIN = "weight", "bias", "gain"
"""What a parameter is to its node: a weight of a synapse, a bias, or a gain. `Role.kind` is one of them."""
KINDS = (WEIGHT, BIAS, GAIN)


@dataclass(frozen=True)
class Role:
    """The role of one array of parameters.

    Attributes
    ----------
    kind
        "weight" (summed over its fan-in), "bias" (added to the sum) or "gain" (a factor of one unit).
    units
        Axes that tell postsynaptic units apart.
    fan_in
        Axes that are summed over, empty but for weights.
    edge
        Number of the weighted edge whose signal a weight meets; None for biases and gains.
    presynaptic
        The axis of `fan_in` that tells presynaptic units apart (the others are places of a patch); None where all do.
    """

    kind: str
    units: tuple[int, ...]
    fan_in: tuple[int, ...] = ()
    edge: int | None = None
    presynaptic: int | None = None


def role_leaves(roles: Any) -> list[Role]:
    """The roles of a tree, in the order of its parameters' leaves."""
    return jax.tree.leaves(roles)


def check_roles(name: str, roles: Any, params: Any, n_edges: int) -> None:
    """Check that roles are of the arrays that a node has.

    Parameters
    ----------
    name
        Of the node.
    roles, params
        Trees of one structure.
    n_edges
        How many weighted edges lead to the node.

    Raises
    ------
    InputError
        For what is no `Role`, an unknown kind, axes that the array does not have, or an edge that there is not.
    """
    for role, leaf in zip(role_leaves(roles), jax.tree.leaves(params), strict=True):
        if not isinstance(role, Role):
            raise InputError(f"node '{name}' was given {role!r} as a role: give Role(kind, units, fan_in, edge)")
        if role.kind not in KINDS:
            raise unknown_name(f"kind of role at node '{name}'", role.kind, KINDS)
        axes = (*role.units, *role.fan_in)
        if len(set(axes)) != len(axes) or not set(axes) <= set(range(len(leaf.shape))):
            raise InputError(
                f"node '{name}' was given units={role.units} and fan_in={role.fan_in} for parameters of shape {leaf.shape}: "
                f"name each axis once, from 0 to {len(leaf.shape) - 1}"
            )
        if role.edge is not None and not 0 <= role.edge < n_edges:
            raise InputError(
                f"node '{name}' was given a role of edge={role.edge}, and takes {n_edges} weighted edges: count from 0, in the "
                "order of input_shapes"
            )


def map_roles(function: Callable[..., Any], roles: Any, *trees: Any) -> Any:
    """Apply a function to each role and the arrays in its place.

    Parameters
    ----------
    function
        (role, array of each tree) -> anything.
    roles
        A node's `roles`.
    *trees
        Trees of the same structure.
    """
    return jax.tree.map(function, roles, *trees)


def of_kind(params: Any, roles: Any, kinds: Sequence[str]) -> Any:
    """The same tree with every array at zero whose role is of another kind.

    >>> roles = {"kernel": Role(WEIGHT, units=(1,), fan_in=(0,), edge=0), "bias": Role(BIAS, units=(0,))}
    >>> of_kind({"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}, roles, ["bias"])["kernel"].tolist()
    [[0.0, 0.0]]
    """
    return map_roles(lambda role, leaf: leaf if role.kind in kinds else jnp.zeros_like(leaf), roles, params)


def weights_only(params: Any, roles: Any) -> Any:
    """The same tree with biases and gains at zero."""
    return of_kind(params, roles, (WEIGHT,))


def per_unit(role: Role, leaf: Array, factor: Array) -> Array:
    """An array times one factor a unit, which lies along the role's axes of units."""
    shape = [1] * leaf.ndim
    for axis, length in zip(role.units, factor.shape, strict=True):
        shape[axis] = length
    return leaf * factor.reshape(shape)
