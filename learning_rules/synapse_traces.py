r"""Eligibility traces: what a synapse remembers of its own past, so that an error of now can be credited to signals of then.

With a unit's state :math:`s_t = f(s_{t-1}, z_t)` and output :math:`h_t`, every synapse of weight :math:`w` carries

.. math:: \epsilon_t = \frac{\partial s_t}{\partial s_{t-1}} \epsilon_{t-1} + \frac{\partial s_t}{\partial z_t}
   \frac{\partial z_t}{\partial w}, \qquad e_t = \frac{\partial h_t}{\partial s_{t-1}} \epsilon_{t-1} +
   \frac{\partial h_t}{\partial z_t} \frac{\partial z_t}{\partial w}

(Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, equations 13 and 14). Of a unit that spikes, integrates and adapts these are
their two traces, of a leaky integrator the filtered input, of a leaky rate Murray's (2019, doi:10.7554/eLife.43299).
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from architectures import WEIGHT, Node, Params
from architectures.roles import role_leaves

__all__ = ["carried", "no_traces", "shares_weights", "times_unit"]


def shares_weights(node: Node) -> bool:
    """Whether units share weights over places, rather than having their own.

    Parameters
    ----------
    node
        The node.
    """
    params = jax.eval_shape(node.init, jax.random.key(0))
    kinds = [role.kind for role in role_leaves(node.roles)]
    n_weights = sum(leaf.size for kind, leaf in zip(kinds, jax.tree.leaves(params), strict=True) if kind == WEIGHT)
    return bool(n_weights < node.fan_in * math.prod(node.z_shape))


def no_traces(params: Params, state: Any) -> list[Params]:
    """Traces before the first step: for each array of a unit's state a tree of the parameters', one of each example.

    Parameters
    ----------
    params
        The node's parameters.
    state
        What the node remembers, each array (n, ...).
    """

    def of_leaf(leaf: Array) -> Params:
        return jax.tree.map(lambda p: jnp.zeros((len(leaf), *p.shape), p.dtype), params)

    return [of_leaf(leaf) for leaf in jax.tree.leaves(state)]


def times_unit(per_unit: Array, trace: Array) -> Array:
    """A number of each unit, (n, units), times what its synapses carry, (n, ..., units)."""
    return per_unit.reshape(len(per_unit), *[1] * (trace.ndim - 2), -1) * trace


def carried(
    node: Node, params: Params, traces: list[Params], state: Any, z: Array, inputs: tuple[Array, ...], skips: tuple[Array, ...]
) -> tuple[list[Params], Params]:
    """Carry the traces of a node's synapses one step on.

    Parameters
    ----------
    node
        The node: dense, each of whose units goes by its own pre-activation.
    params
        Its parameters, of which only the shapes enter.
    traces
        As the step before has left them.
    state
        What it remembered before the step.
    z
        Its pre-activations at the step, (n, units).
    inputs, skips
        What arrived.

    Returns
    -------
    traces, felt
        The traces after the step, and the derivative of each unit's output by its synapses, with the tree of the parameters,
        (n, ...).
    """
    ones = jnp.ones_like(z)

    def from_weights(*x: Array) -> Params:
        alone = tuple(each[None] for each in x)
        return jax.vjp(lambda p: node.synapse(p, alone), params)[1](jnp.ones((1, *z.shape[1:]), z.dtype))[0]

    # A unit's weights move its own pre-activation alone, so that one cotangent of ones gives every derivative at once.
    presynaptic = jax.vmap(from_weights)(*inputs)
    leaves, structure = jax.tree.flatten(state)

    def run(leaves: list[Array], z: Array) -> Any:
        after, h = node.activate(jax.tree.unflatten(structure, leaves), z, skips)
        return jax.tree.leaves(after), h

    def tangent(which: int | None) -> Any:
        along = [ones if k == which else jnp.zeros_like(leaf) for k, leaf in enumerate(leaves)]
        return jax.jvp(run, (leaves, z), (along, ones if which is None else jnp.zeros_like(z)))[1]

    reached, output = tangent(None)
    after = [jax.tree.map(lambda p, d=d: times_unit(d, p), presynaptic) for d in reached]
    felt = jax.tree.map(lambda p: times_unit(output, p), presynaptic)
    for which, own in enumerate(traces):
        moved, shown = tangent(which)
        after = [jax.tree.map(lambda a, t, d=d: a + times_unit(d, t), a, own) for a, d in zip(after, moved, strict=True)]
        felt = jax.tree.map(lambda f, t, d=shown: f + times_unit(d, t), felt, own)
    return after, felt
