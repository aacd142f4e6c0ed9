"""A small network of attention: the rows of an image are tokens, which are embedded, look at each other, and are read out."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from jax import Array

from architectures.attention import attention
from architectures.convolutional import normalising
from architectures.dense import dense
from architectures.edge import INPUT, Edge
from architectures.front_end import FrontEnd
from architectures.network import Network
from architectures.node import Node
from bioplausible.foundation.errors import InputError

__all__ = ["TransformerOptions", "transformer"]


@dataclass(frozen=True)
class TransformerOptions:
    """Options of the network of attention.

    Attributes
    ----------
    n_blocks
        Blocks of attention and a dense layer, each passed by a skip edge.
    n_units
        Features of each token.
    n_heads
        Heads of attention.
    activation
        Of the dense layers.
    """

    n_blocks: int = 1
    n_units: int = 32
    n_heads: int = 2
    activation: str = "relu"


def _of_rows(node: Node, input_shape: tuple[int, ...]) -> Node:
    """The node, which sees tokens, with an image's rows for tokens."""
    tokens = (input_shape[0], math.prod(input_shape[1:]))

    def synapse(params: Any, inputs: tuple[Array, ...]) -> Any:
        return node.synapse(params, (inputs[0].reshape(-1, *tokens),))

    return dataclasses.replace(node, input_shapes=(input_shape,), synapse=synapse)


def transformer(
    input_shape: tuple[int, ...], n_classes: int, options: TransformerOptions, front_end: FrontEnd, **others: Any
) -> Network:
    """The nodes `embedding`, `attention_0`, `hidden_0`, …, `normalised`, `output`.

    Raises
    ------
    InputError
        No block, inputs without rows, or heads that do not share the units evenly.
    """
    shape = front_end.output_shape(input_shape)
    if len(shape) < 2:
        raise InputError(f"input_shape={input_shape} was given, attention takes (tokens, features), or an image's rows")
    if options.n_blocks < 1 or options.n_units < 1:
        raise InputError(f"n_blocks={options.n_blocks} and n_units={options.n_units} were given: give at least one of each")
    tokens = (shape[0], options.n_units)
    embedding = dense("embedding", (shape[0], math.prod(shape[1:])), options.n_units, "identity", tokens=True)
    nodes = [_of_rows(embedding, shape)]
    edges: list[tuple[Edge, ...]] = [(Edge(INPUT),)]
    below = "embedding"
    for index in range(options.n_blocks):
        for name, node in (
            (f"attention_{index}", attention(f"attention_{index}", tokens, n_heads=options.n_heads)),
            (f"hidden_{index}", dense(f"hidden_{index}", tokens, options.n_units, options.activation, tokens=True)),
        ):
            nodes.append(node)
            edges.append((Edge(below), Edge(below, skip=True)))
            below = name
    nodes += [normalising("normalised", tokens, "layer"), dense("output", tokens, n_classes, "identity")]
    edges += [(Edge(below, skip=True),), (Edge("normalised"),)]
    return Network("transformer", tuple(input_shape), n_classes, tuple(nodes), tuple(edges), front_end=front_end, **others)
