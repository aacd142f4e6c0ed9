# ruff: noqa: D101, D102, D103
"""The chain of blocks that rules not yet moved to the graph still walk. To be deleted with the last of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from architectures.dense import readout

__all__ = ["Block", "Legacy", "readout_block"]


@dataclass(frozen=True)
class Block:
    """A node of a chain, as rules used to see it."""

    name: str
    input_shape: tuple[int, ...]
    synapse_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    fan_in: int
    init: Callable[..., Any]
    synapse: Callable[..., Any]
    activate: Callable[..., Any]
    takes_any_size: bool

    def apply(self, params, x):
        return self.activate(self.synapse(params, x))

    def accepts(self, shape):
        if self.takes_any_size:
            return len(shape) == 3 and shape[-1] == self.input_shape[-1]
        return shape == self.input_shape


def _block(node):
    return Block(
        node.name,
        node.input_shapes[0],
        node.z_shape,
        node.output_shape,
        node.fan_in,
        node.init,
        lambda params, x: node.synapse(params, (x,)),
        lambda z: node.activate((), z, ())[1],
        node.takes_any_size,
    )


def readout_block(name, input_shape, n_classes):
    return _block(readout(name, input_shape, n_classes))


class Legacy:
    @property
    def chain(self):
        return tuple(_block(node) for node in self.nodes)

    @property
    def blocks(self):
        return self.chain

    @property
    def order(self):
        return tuple(range(len(self.nodes)))

    @property
    def block_names(self):
        return self.node_names

    def unroll(self, params):
        return tuple(params)

    def tie(self, gradients):
        return tuple(gradients)

    def propagate(self, params, x):
        return self.trace(params, x, encoded=True).outputs
