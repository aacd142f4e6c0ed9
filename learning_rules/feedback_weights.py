r"""Feedback weights: which nodes have them, the mirror that shows them the forward weights, and how far from these they are.

A node whose synapses are given white noise :math:`\xi` of standard deviation :math:`\sigma` answers :math:`W \xi`, and
:math:`\langle W \xi\, \xi^\top \rangle = \sigma^2 W`: the correlation of noise and answer is the forward weights, without anybody
reading them (Akrout et al. 2019, arXiv 1904.05391). What comes over skip edges is no part of the answer. Where weights are shared
over positions, the sum over positions is divided by the number of those that take part.

That is so where each weight meets one input at a place, and no unit meets an input over two of its weights there: of dense synapses
and of convolutions padded with zeros. A convolution with reflected padding, or a synapse that sums tokens before it weighs them,
comes to rest elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures import BIAS, INPUT, WEIGHT, Network, Node, Params, Role
from architectures.roles import map_roles, role_leaves
from learning_rules.signals import hebbian_product

__all__ = ["completed", "direct_feedback", "feedback_angles", "mirror", "random_feedback", "white_noise", "without_bias"]


def without_bias(node: Node, params: Params) -> Params:
    """A node's parameters without what is added to its sums (None there): on the way back it does nothing.

    Parameters
    ----------
    node
        The node.
    params
        A tree of the shapes of its parameters.
    """
    return map_roles(lambda role, leaf: None if role.kind == BIAS else leaf, node.roles, params)


def completed(params: Params, weights: Params) -> Params:
    """Weights without biases, with the tree of a node's parameters again: zero where they have none.

    Parameters
    ----------
    params
        The node's parameters, of which only the shapes enter.
    weights
        As `without_bias` gives them.
    """
    return jax.tree.map(lambda own, other: jnp.zeros_like(own) if other is None else other, params, weights)


def random_feedback(network: Network, key: PRNGKeyArray, gain: float) -> tuple[Params | None, ...]:
    """Weights drawn like each node's own, times a gain; None for a node that carries no error back to another.

    Parameters
    ----------
    network
        The network.
    key
        Of the draw.
    gain
        Factor on the initial size.
    """
    keys = jax.random.split(key, len(network.nodes))
    return tuple(
        jax.tree.map(lambda leaf: gain * leaf, node.drawn(k)) if network.hears_nodes(index) else None
        for index, (node, k) in enumerate(zip(network.nodes, keys, strict=True))
    )


def direct_feedback(network: Network, key: PRNGKeyArray, gain: float) -> tuple[Array, ...]:
    """Weights from the scores to each hidden node, (n_classes, *output_shape), so that an error keeps its length on average.

    Parameters
    ----------
    network
        The network.
    key
        Of the draw.
    gain
        Factor on that length.
    """
    keys = jax.random.split(key, len(network.nodes) - 1)
    shapes = [(network.n_classes, *node.output_shape) for node in network.nodes[:-1]]
    return tuple(
        gain * jax.random.normal(k, shape) / jnp.sqrt(jnp.prod(jnp.array(shape[1:]))) for k, shape in zip(keys, shapes, strict=True)
    )


def white_noise(node: Node, key: PRNGKeyArray, n: int, size: float = 1.0) -> tuple[Array, ...]:
    """Independent normal noise for each of a node's weighted edges, (n, *input_shape).

    Parameters
    ----------
    node
        The node.
    key
        Of the draw.
    n
        Number of examples.
    size
        Standard deviation.
    """
    keys = [key] if len(node.input_shapes) == 1 else list(jax.random.split(key, len(node.input_shapes)))
    return tuple(size * jax.random.normal(k, (n, *shape)) for k, shape in zip(keys, node.input_shapes, strict=True))


def mirror(
    network: Network,
    key: PRNGKeyArray,
    params: Sequence[Params],
    feedback: Sequence[Params | None],
    n_examples: int,
    noise: float = 1.0,
) -> tuple[Params | None, ...]:
    """What feedback weights are asked for after every node has answered noise: their difference from the mirror's estimate.

    Parameters
    ----------
    network
        The network.
    key
        Of the noise.
    params
        Forward weights, read by nothing but the nodes' own answers.
    feedback
        Feedback weights, None for a node without.
    n_examples
        Answers that an estimate is made of.
    noise
        Standard deviation of the noise, positive.
    """

    def of_node(node: Node, w: Params, b: Params | None, k: PRNGKeyArray) -> Params | None:
        if b is None:
            return None
        one = tuple(jnp.ones((1, *shape)) for shape in node.input_shapes)
        xi = white_noise(node, k, n_examples, noise)
        silence = node.synapse(w, tuple(0 * each for each in one))
        answer = jax.tree.map(lambda z, at_rest: z - at_rest, node.synapse(w, xi), silence)
        correlation = hebbian_product(node, b, xi, answer)
        # Of one example: how often a weight takes part. The noise's power is known, and need not be measured.
        times = hebbian_product(node, b, one, jax.tree.map(lambda z: jnp.ones_like(z[:1]), answer))
        scale = n_examples * noise**2
        return jax.tree.map(lambda b, c, t: b - c / (scale * jnp.maximum(t, 1)), b, correlation, times)

    keys = jax.random.split(key, len(network.nodes))
    return tuple(of_node(*each) for each in zip(network.nodes, params, feedback, keys, strict=True))


def feedback_angles(network: Network, params: Sequence[Params], feedback: Sequence[Params | None]) -> tuple[Array, ...]:
    """Angle in degrees between forward and feedback weights of each node that has the latter.

    Of weights that carry an error to another node, or back in time: biases carry none, nor what meets the input (but of a node that
    meets nothing else: there it is what was mirrored to modulate the input).

    Parameters
    ----------
    network
        The network, which knows what is a weight.
    params, feedback
        One tree per node; None in `feedback` for a node without.
    """

    def angle(index: int, node: Node, w: Params, b: Params) -> Array:
        leaves = zip(role_leaves(node.roles), jax.tree.leaves(w), jax.tree.leaves(b), strict=True)
        sources = [edge.source for edge in network.weighted_edges(index)]

        def carries(role: Role) -> bool:
            return role.kind == WEIGHT and (role.edge is None or sources[role.edge] != INPUT or not network.hears_nodes(index))

        pairs = [(p, q) for role, p, q in leaves if carries(role)]
        dot = sum(jnp.vdot(p, q) for p, q in pairs)
        norms = [sum(jnp.vdot(v, v) for v in side) for side in zip(*pairs, strict=True)]
        cosine = dot / jnp.maximum(jnp.sqrt(norms[0] * norms[1]), 1e-30)
        return jnp.degrees(jnp.arccos(jnp.clip(cosine, -1, 1)))

    each = enumerate(zip(network.nodes, params, feedback, strict=True))
    return tuple(angle(index, node, w, b) for index, (node, w, b) in each if b is not None and node.weighted)
