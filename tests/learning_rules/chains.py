"""A network whose nodes each hear the one before, as tests walk it by hand: the judge of rules that never walk it themselves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class Link(NamedTuple):
    """A node that hears one other."""

    name: str
    input_shape: tuple[int, ...]
    synapse_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    init: Callable[..., Any]
    synapse: Callable[..., Any]
    activate: Callable[..., Any]

    def apply(self, params, x):
        return self.activate(self.synapse(params, x))


class Signals(NamedTuple):
    """What each node of a chain heard, its pre-activations and its outputs."""

    inputs: tuple[Any, ...]
    z: tuple[Any, ...]
    outputs: tuple[Any, ...]


def chain_of(network):
    """The nodes of a chain."""
    assert network.is_chain

    def link(node):
        return Link(
            node.name,
            node.input_shapes[0],
            node.z_shape,
            node.output_shape,
            node.init,
            lambda params, x: node.synapse(params, (x,)),
            lambda z: node.activate((), z, ())[1],
        )

    return tuple(link(node) for node in network.nodes)


def signals_of(network, params, x):
    """Every signal of a chain, by hand, from an encoded input."""
    inputs, z, outputs = [], [], []
    for link, own in zip(chain_of(network), params, strict=True):
        inputs.append(x)
        z.append(link.synapse(own, x))
        outputs.append(link.activate(z[-1]))
        x = outputs[-1]
    return Signals(tuple(inputs), tuple(z), tuple(outputs))


def hebbian_product(link, params, x, post):
    return jax.vjp(lambda p: link.synapse(p, x), params)[1](post)[0]


def project_back(link, params, x, error):
    return jax.vjp(lambda value: link.synapse(params, value), x)[1](error)[0]


def local_derivative(link, z, error):
    return jax.vjp(link.activate, z)[1](error)[0]


def loss_function(name):
    """The mean loss over a batch, from optax or by hand."""
    if name == "cross_entropy":
        return lambda scores, labels: jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, labels))
    assert name == "squared_error"
    return lambda scores, labels: 0.5 * jnp.mean(jnp.sum((scores - jax.nn.one_hot(labels, scores.shape[-1])) ** 2, axis=-1))


def loss_and_error(name, scores, labels):
    return jax.value_and_grad(loss_function(name))(scores, labels)
