"""Who hears whom in a network: above and below, neighbours, and whose activity a node's own depends on."""

from __future__ import annotations

from architectures import INPUT, Network
from architectures.graph import hearing

__all__ = ["above", "examined", "hearers", "hidden_nodes", "near", "place_of", "reached_from", "sources"]


def place_of(network: Network) -> dict[str, int]:
    """Number of each node by its name; -1 is what comes from outside."""
    return {INPUT: -1, **{name: index for index, name in enumerate(network.node_names)}}


def hidden_nodes(network: Network) -> tuple[int, ...]:
    """Numbers of the nodes before the readout that have weights."""
    return tuple(index for index, node in enumerate(network.nodes[:-1]) if node.weighted)


def above(network: Network, node: int) -> frozenset[int]:
    """Nodes that come later in the graph's order."""
    return frozenset(range(node + 1, len(network.nodes)))


def sources(network: Network, node: int) -> frozenset[int]:
    """Other nodes that a node hears, over weights or skips; through a node without weights, what that one hears."""
    place = place_of(network)
    found: set[int] = set()
    waiting = [node]
    while waiting:
        for edge in network.edges[waiting.pop()]:
            other = place[edge.source]
            if other < 0 or other in found:
                continue
            found.add(other)
            if not network.nodes[other].weighted:
                waiting.append(other)
    return frozenset(found - {node})


def hearers(network: Network, node: int) -> frozenset[int]:
    """Other nodes that hear a node, over weights or skips, or through a node without weights."""
    return frozenset(other for other in range(len(network.nodes)) if node in sources(network, other))


def near(network: Network, node: int) -> frozenset[int]:
    """A node and its neighbours: those that it hears and those that hear it."""
    return frozenset({node}) | hearers(network, node) | sources(network, node)


def reached_from(network: Network, node: int) -> frozenset[int]:
    """All nodes whose activity depends on a node's, now or at a later step; the node itself where a loop leads back to it."""
    names = network.node_names
    return frozenset(place_of(network)[name] for name in hearing(names, network.edges, names[node]))


def examined(network: Network) -> tuple[int, ...]:
    """Hidden nodes that the readout does not hear from at first hand: those with two or more above them."""
    near = sources(network, len(network.nodes) - 1)
    return tuple(node for node in hidden_nodes(network) if node not in near)
