"""Whether nodes and edges make a graph that can be run, and in which order: what is wrong is said at construction."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from architectures.edge import INPUT, Edge
from architectures.node import Node
from bioplausible.foundation.errors import InputError, nearest

__all__ = ["check", "hearing", "in_order", "same_shape"]


def in_order(nodes: Sequence[Node], edges: Sequence[Sequence[Edge]]) -> tuple[tuple[Node, ...], tuple[tuple[Edge, ...], ...]]:
    """Nodes and their edges in an order in which each comes after all that it hears without delay.

    Raises
    ------
    InputError
        No node, two nodes of one name, an edge to nowhere, a delay other than 0 and 1, or a cycle without delay.
    """
    if not nodes:
        raise InputError("a network without nodes was given: give at least a readout")
    if len(edges) != len(nodes):
        raise InputError(f"edges were given for {len(edges)} nodes, there are {len(nodes)}: give one list of edges per node")
    names = [node.name for node in nodes]
    for name in names:
        if names.count(name) > 1 or name == INPUT:
            raise InputError(f"the name '{name}' was given to more than one node (or is the input's): name each by itself")
    for node, own in zip(nodes, edges, strict=True):
        if not isinstance(own, Sequence) or not all(isinstance(edge, Edge) for edge in own):
            raise InputError(f"node '{node.name}' was given {own!r} as its edges: give a tuple of them, such as (Edge('{INPUT}'),)")
        for edge in own:
            if edge.source != INPUT and edge.source not in names:
                near = nearest(edge.source, [INPUT, *names])
                guess = f"did you mean '{near}'?" if near else f"there are {', '.join([INPUT, *names])}"
                raise InputError(f"node '{node.name}' has an edge from '{edge.source}', which is no node: {guess}")
            if edge.delay not in (0, 1):
                raise InputError(f"the edge from '{edge.source}' to '{node.name}' has a delay of {edge.delay}, expected 0 or 1")
            if edge.source == INPUT and edge.delay:
                raise InputError(
                    f"the edge from the input to '{node.name}' has a delay, and nothing remembers what was shown one step ago: "
                    "shift the sequence itself, or put a node between"
                )
    ordered: list[int] = []
    known = {INPUT}
    while len(ordered) < len(nodes):
        ready = [
            index
            for index in range(len(nodes))
            if index not in ordered and all(edge.delay or edge.source in known for edge in edges[index])
        ]
        if not ready:
            stuck = ", ".join(name for name in names if name not in known)
            raise InputError(
                f"{stuck} hear each other in a circle without delay: give one of the edges delay=1, so that it carries what was "
                "passed on one step ago"
            )
        ordered.append(ready[0])
        known.add(names[ready[0]])
    if ordered[-1] != len(nodes) - 1:
        raise InputError(
            f"'{names[-1]}' was given last, which makes it the readout, but '{names[ordered[-1]]}' comes after it: "
            "put the readout last, and let nothing hear it without delay"
        )
    return tuple(nodes[index] for index in ordered), tuple(tuple(edges[index]) for index in ordered)


def check(nodes: Sequence[Node], edges: Sequence[Sequence[Edge]], step_shape: tuple[int, ...], n_classes: int) -> None:
    """Check that each node takes what its edges bring.

    Raises
    ------
    InputError
        If shapes do not meet, or a node goes unheard. `n_classes` is 0 where the readout was left out.
    """
    shapes = {INPUT: tuple(step_shape), **{node.name: node.output_shape for node in nodes}}
    for node, own in zip(nodes, edges, strict=True):
        weighted = [edge for edge in own if not edge.skip]
        if len(weighted) != len(node.input_shapes):
            raise InputError(
                f"node '{node.name}' takes {len(node.input_shapes)} weighted edges and was given {len(weighted)}: "
                "give it one for each of its input_shapes"
            )
        for index, edge in enumerate(weighted):
            if not node.accepts(index, shapes[edge.source]):
                raise InputError(
                    f"node '{node.name}' takes inputs of shape {node.input_shapes[index]}, but was given {shapes[edge.source]} by "
                    f"'{edge.source}': build the graph so that what a node gives is what the next one takes"
                )
        _check_needed_skips(node, [edge for edge in own if edge.skip])
        skips = tuple(shapes[edge.source] for edge in own if edge.skip)
        given = tuple(shapes[edge.source] for edge in weighted)
        if not skips and given == node.input_shapes:
            continue  # the shapes are those that the node was made with
        try:
            found = same_shape(node, given, skips).output_shape
        except (TypeError, ValueError) as error:
            raise InputError(
                f"node '{node.name}' cannot take what its skip edges bring, {skips}, beside its own {node.output_shape}: "
                f"give skip edges from nodes of the same shape ({str(error).splitlines()[0]})"
            ) from None
        if skips and found != node.output_shape:
            raise InputError(
                f"node '{node.name}' gives {node.output_shape}, and with its skip edges {found}: give skip edges from nodes of the "
                "same shape"
            )
    names = [node.name for node in nodes]
    unheard = [name for name in names[:-1] if names[-1] not in hearing(names, edges, name)]
    if n_classes and unheard:
        raise InputError(
            f"nothing that reaches the scores hears '{unheard[0]}': give an edge from it to another node, or leave it out"
        )
    if n_classes and nodes[-1].output_shape[-1:] != (n_classes,):
        raise InputError(
            f"the readout '{nodes[-1].name}' gives {nodes[-1].output_shape}, expected {n_classes} scores: give it as many units"
        )


def hearing(names: Sequence[str], edges: Sequence[Sequence[Edge]], start: str) -> frozenset[str]:
    """Names of the nodes that hear a node, at once, by others or a step later; the node itself where a loop leads back to it.

    Parameters
    ----------
    names
        Of all nodes.
    edges
        Of each node.
    start
        Name of the node, or `INPUT`.

    >>> sorted(hearing(["a", "b", "c"], [[Edge(INPUT)], [Edge("a"), Edge("b", delay=1)], [Edge("a")]], "b"))
    ['b']
    """
    found: set[str] = set()
    more = {start}
    while more:
        more = {name for name, own in zip(names, edges, strict=True) if any(edge.source in more for edge in own)} - found
        found |= more
    return frozenset(found)


def _check_needed_skips(node: Node, skips: Sequence[Edge]) -> None:
    """What a node cannot do without comes over its first skip edges, from where it was built to hear it."""
    if len(skips) < node.n_needed_skips:
        raise InputError(
            f"node '{node.name}' needs {node.n_needed_skips} edge(s) with skip=True and was given {len(skips)}: "
            f"give it one, such as Edge('{node.recurrence[-1].source if node.recurrence else INPUT}', …, skip=True)"
        )
    own = [edge for edge in node.recurrence if edge.skip]
    if list(skips[: len(own)]) != own:
        raise InputError(
            f"node '{node.name}' hears '{skips[0].source}' over its first skip edge, expected {own[0]}: give that one first, and "
            "others after it"
        )


def same_shape(node: Node, input_shapes: tuple[tuple[int, ...], ...], skip_shapes: tuple[tuple[int, ...], ...]) -> Node:
    """The node with the shapes that it has when it is given these."""

    def run(inputs: tuple[jax.Array, ...], skips: tuple[jax.Array, ...]) -> tuple[object, jax.Array]:
        z = node.synapse(node.init(jax.random.key(0)), inputs)
        return z, node.activate(node.init_state(1, jnp.float32), z, skips)[1]

    inputs, skips = (
        tuple(jax.ShapeDtypeStruct((1, *shape), jnp.float32) for shape in shapes) for shapes in (input_shapes, skip_shapes)
    )
    z, h = jax.eval_shape(run, inputs, skips)
    z_shape = jax.tree.map(lambda leaf: leaf.shape[1:], z)
    return dataclasses.replace(node, input_shapes=input_shapes, z_shape=z_shape, output_shape=h.shape[1:])
