r"""What perturbation estimates errors and gradients with: noise on weights, on a node's pre-activations, or on groups of units.

Each function takes what stays the same from draw to draw and gives an estimate as a function of a key, so that several draws can be
averaged. `learning_rules/perturbation.py` has the equations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from architectures import Crossing, Network, Node, Params, Trace
from architectures.graph import hearing
from learning_rules.noise import signs
from learning_rules.objectives import Batch, Objective
from learning_rules.signals import clamped, exact, merge_steps, perturbed, silence

__all__ = ["all_nodes_estimate", "group_estimate", "group_slopes", "mean_over_draws", "node_estimate", "weight_estimate"]


def _noise_like(key: PRNGKeyArray, tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    noise = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, noise)


def _signs_where(key: PRNGKeyArray, moves: Any, like: Any) -> Any:
    """Random signs where something moves, zero elsewhere, of the shapes of a tree."""
    leaves, structure = jax.tree.flatten(like)
    keys = [key] if len(leaves) == 1 else jax.random.split(key, len(leaves))
    noise = [
        jnp.where(moving.reshape(leaf.shape) != 0, signs(k, leaf.shape, leaf.dtype), 0)
        for k, moving, leaf in zip(keys, jax.tree.leaves(moves), leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, noise)


def mean_over_draws(estimate: Callable[[PRNGKeyArray], Any], key: PRNGKeyArray, n_draws: int) -> Any:
    """Mean of what a function gives for several keys.

    Parameters
    ----------
    estimate
        key -> a tree of arrays.
    key
        Split into one a draw where there are several.
    n_draws
        At least 1.
    """
    if n_draws == 1:
        return estimate(key)
    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), jax.vmap(estimate)(jax.random.split(key, n_draws)))


def weight_estimate(
    network: Network,
    objective: Objective,
    params: tuple[Params, ...],
    x: Array,
    batch: Batch,
    size: float | None = None,
    with_readout: bool = False,
) -> Callable[[PRNGKeyArray], tuple[tuple[Params, ...], Array]]:
    """Estimate the gradient of the mean loss from noise on all weights at once.

    Parameters
    ----------
    network, objective, batch
        What is asked of whom.
    params
        One tree per node.
    x
        Inputs as `network.encode` gives them.
    size
        Standard deviation of the noise, for and against; None for the exact slope, by forward-mode differentiation.
    with_readout
        Whether the readout's weights are perturbed too.

    Returns
    -------
    function
        key -> (estimate like the parameters, the slope that it was made of).
    """

    def loss(params: tuple[Params, ...]) -> Array:
        return objective.loss(network.trace(params, x, encoded=True).outputs[-1], batch)

    def estimate(key: PRNGKeyArray) -> tuple[tuple[Params, ...], Array]:
        noise = _noise_like(key, params)
        if not with_readout:
            noise = (*noise[:-1], jax.tree.map(jnp.zeros_like, noise[-1]))
        if size is None:
            _, slope = jax.jvp(loss, (params,), (noise,))
        else:
            up, down = (loss(jax.tree.map(lambda w, u, s=sign * size: w + s * u, params, noise)) for sign in (1, -1))
            slope = (up - down) / (2 * size)
        return jax.tree.map(lambda u: slope * u, noise), slope

    return estimate


_GOLDEN = (math.sqrt(5) - 1) / 2


def _generic(like: Array) -> Array:
    """Numbers of which no sum is nought by chance, as a sum of ones over what a node centres would be."""
    # Of one example, the same for all; multiples of the golden section, whose fractions fill the unit interval, cost no sine.
    of_unit = jnp.arange(math.prod(like.shape[1:]), dtype=like.dtype).reshape(like.shape[1:]) * _GOLDEN
    return jnp.broadcast_to(0.5 + of_unit - jnp.floor(of_unit), like.shape)


def _passes(node: Node, state: Any, z: Any, skips: tuple[Array, ...]) -> Any:
    """Nought where a unit passes nothing on, neither now nor, by what it remembers, later."""
    after, pull = jax.vjp(lambda value: node.activate(state, value, skips), z)
    return pull(jax.tree.map(_generic, after))[0]


def node_estimate(
    network: Network,
    objective: Objective,
    params: tuple[Params, ...],
    x: Array,
    batch: Batch,
    trace: Trace,
    index: int,
    size: float,
) -> Callable[[PRNGKeyArray], tuple[Any, Array]]:
    """Estimate one node's error at its pre-activations from noise there, of its own at every step, for and against.

    Parameters
    ----------
    network, objective, batch
        What is asked of whom.
    params
        One tree per node.
    x
        Inputs as `network.encode` gives them.
    trace
        Of the run without noise.
    index
        Number of the node.
    size
        Standard deviation of the noise.

    Returns
    -------
    function
        key -> (estimate like z, whose sum over examples is the mean loss's; the slope of each example, (n,)).
    """
    node, z = network.nodes[index], trace.z[index]
    # A unit whose derivative is zero would add its noise to the estimate and nothing to the slope.
    passes = _passes(node, *merge_steps(network, (trace.states[index], z, trace.skips[index])))
    names = network.node_names
    reached = {names.index(name) for name in hearing(names, network.edges, names[index])}
    # Whatever the noise does not reach is as it was: it need not be run again.
    known = tuple(None if k in reached or k == index else h for k, h in enumerate(trace.outputs))
    z_known = None if index in reached else z

    def losses(noise: Any) -> Array:
        def synapses(now: Any) -> tuple[Crossing, ...]:
            noise, known, z = now
            crossings = list(clamped(exact(network, params), known))
            if index not in reached:
                crossings[index] = crossings[index]._replace(synapse=lambda inputs: z)
            return perturbed(crossings, [noise if k == index else None for k in range(len(crossings))])

        moved = network.trace(params, x, synapses, per_step=(noise, known, z_known), encoded=True)
        return objective.per_example(moved.outputs[-1], batch)

    def estimate(key: PRNGKeyArray) -> tuple[Any, Array]:
        noise = _signs_where(key, passes, z)
        up, down = jax.vmap(lambda sign: losses(jax.tree.map(lambda u: sign.astype(u.dtype) * size * u, noise)))(jnp.array([1, -1]))
        slope = (up - down) / (2 * size)
        return _by_example(network, objective, batch, noise, slope), slope

    return estimate


def all_nodes_estimate(
    network: Network,
    objective: Objective,
    params: tuple[Params, ...],
    x: Array,
    batch: Batch,
    trace: Trace,
    size: float,
    with_readout: bool = True,
) -> Callable[[PRNGKeyArray], tuple[tuple[Any, ...], Array]]:
    """Estimate the errors of all nodes at once, from one pass with normal noise at all pre-activations beside the pass without.

    Parameters
    ----------
    network, objective, batch
        What is asked of whom.
    params
        One tree per node.
    x
        Inputs as `network.encode` gives them.
    trace
        Of the run without noise.
    size
        Standard deviation of the noise.
    with_readout
        Whether the readout is perturbed too.

    Returns
    -------
    function
        key -> (estimates like z, whose sums over examples are the mean loss's; the slope of each example, (n,)).
    """
    quiet = silence(network, params, x, encoded=True)
    clean = objective.per_example(trace.outputs[-1], batch)

    def estimate(key: PRNGKeyArray) -> tuple[tuple[Any, ...], Array]:
        noise = _noise_like(key, quiet)
        if not with_readout:
            noise = (*noise[:-1], quiet[-1])
        shaken = jax.tree.map(lambda u: size * u, noise)
        moved = network.trace(params, x, lambda now: perturbed(exact(network, params), now), per_step=shaken, encoded=True)
        slope = (objective.per_example(moved.outputs[-1], batch) - clean) / size
        return tuple(_by_example(network, objective, batch, u, slope) for u in noise), slope

    return estimate


def _by_example(network: Network, objective: Objective, batch: Batch, noise: Any, slope: Array) -> Any:
    """Noise times each example's slope and its part in the mean loss."""
    weighted = slope * objective.example_weights(batch).astype(slope.dtype)
    lead = (1, -1) if network.temporal else (-1,)
    return jax.tree.map(lambda u: u * weighted.reshape(*lead, *[1] * (u.ndim - len(lead))), noise)


def group_slopes(
    error: Float[Array, "n units"], noise: Float[Array, "n units"], group_size: int
) -> tuple[Float[Array, "n units"], Float[Array, "n n_groups"]]:
    """Each group's noise times the slope of the loss along it, and the slopes.

    Parameters
    ----------
    error
        Derivative of the loss with respect to each unit.
    noise
        The direction in which each unit is perturbed.
    group_size
        Units that share a slope; the last group may be smaller.

    >>> import jax.numpy as jnp
    >>> estimate, slopes = group_slopes(jnp.array([[1.0, 2.0, 3.0]]), jnp.array([[1.0, -1.0, 1.0]]), 2)
    >>> slopes.tolist(), estimate.tolist()
    ([[-1.0, 3.0]], [[-1.0, 1.0, 3.0]])
    """
    n, n_units = noise.shape
    padding = ((0, 0), (0, -n_units % group_size))
    grouped = jnp.pad(noise, padding).reshape(n, -1, group_size)
    slopes = jnp.sum(grouped * jnp.pad(error, padding).reshape(grouped.shape), axis=-1)
    return (grouped * slopes[:, :, None]).reshape(n, -1)[:, :n_units], slopes


def group_estimate(
    network: Network, trace: Trace, index: int, error: Array, group_size: int
) -> Callable[[PRNGKeyArray], tuple[Array, Array]]:
    """Estimate a node's error at its output from noise there, with one slope for each group of units.

    Parameters
    ----------
    network
        The network.
    trace
        Of the run without noise.
    index
        Number of the node.
    error
        The derivative of the node's own loss at its output, (n, ...) or (time, n, ...).
    group_size
        Units that share a slope.

    Returns
    -------
    function
        key -> (estimate like the output, slopes).
    """
    node, h = network.nodes[index], trace.outputs[index]
    state, z, skips = merge_steps(network, (trace.states[index], trace.z[index], trace.skips[index]))
    _, moves = jax.jvp(lambda value: node.activate(state, value, skips)[1], (z,), (jax.tree.map(_generic, z),))

    def estimate(key: PRNGKeyArray) -> tuple[Array, Array]:
        noise = _signs_where(key, moves, h)
        # The head is linear: pushing a group's noise through it and projecting on the scores' error gives the same number as the
        # inner product with `error`, which takes one matrix product for all groups.
        flat_error, flat_noise = (merge_steps(network, each).reshape(len(moves), -1) for each in (error, noise))
        estimated, slopes = group_slopes(flat_error, flat_noise, group_size)
        return estimated.reshape(h.shape), slopes

    return estimate
