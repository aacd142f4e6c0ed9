r"""A small residual convolutional network without statistics of a batch.

Each stage begins with a strided convolution, which sets width and size of the map, and goes on with blocks of two convolutions that
add to what they see:

.. math:: x \leftarrow x + W_2 * \varphi(W_1 * x).

The second convolution of a block is linear, so that the sum can fall as well as rise. What keeps the sum's variance in bounds is
not normalisation but the blocks' initial weights, smaller by the root of how many blocks there are (De and Smith 2020, arXiv
2002.10444; Zhang, Dauphin and Ma 2019, arXiv 1901.09321, scale by depth too, and start the last weights of a block at nought: rules
that carry errors back through weights drawn alike would carry none). Widths change without a skip, where He et al. 2016 (arXiv
1512.03385) have a projection.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from architectures.convolutional import convolutional, pooling
from architectures.dense import dense
from architectures.front_end import FrontEnd
from architectures.network import Network, chain
from architectures.node import Node
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import one_of, positive

__all__ = ["ResnetOptions", "resnet"]

_KERNEL_SIZE = 3


@dataclass(frozen=True)
class ResnetOptions:
    """Options of the residual convolutional network.

    Attributes
    ----------
    channels
        Filters of each stage.
    strides
        Of the convolution that each stage begins with.
    blocks
        Blocks of two convolutions in each stage.
    pooling
        "global_mean" before the scores, with which the network takes images of any size, or "none".
    activation
        Of stages' first convolutions and blocks' first; blocks' second convolutions and the scores are linear.
    gain
        Factor on all initial weights.
    """

    channels: tuple[int, ...] = (16, 32, 64)
    strides: tuple[int, ...] = (1, 2, 2)
    blocks: int = 1
    pooling: str = "global_mean"
    activation: str = "relu"
    gain: float = 1.0


def resnet(input_shape: tuple[int, ...], n_classes: int, options: ResnetOptions, front_end: FrontEnd, **others: Any) -> Network:
    """The nodes `conv_0`, `conv_1`, …, `pooled` where maps are pooled, and `output`.

    Raises
    ------
    InputError
        An input that is no image, or stages, strides and blocks that do not fit.
    """
    one_of(options, "pooling", ("global_mean", "none"))
    positive(options, "gain")
    if len(input_shape) != 3:
        raise InputError(f"input_shape={input_shape} was given, a convolutional network takes (height, width, channels)")
    if len(options.strides) != len(options.channels):
        raise InputError(f"{len(options.strides)} strides were given for {len(options.channels)} stages: give one each")
    if min((*options.channels, *options.strides, options.blocks), default=0) < 1 or not options.channels:
        raise InputError(f"channels, strides and blocks must be at least 1, given: {options}")
    in_block = options.gain / math.sqrt(len(options.channels) * options.blocks)

    nodes: list[Node] = []
    skips: dict[str, list[str]] = {}
    shape = front_end.output_shape(input_shape)

    def add(n_channels: int, stride: int, activation: str, gain: float) -> str:
        nonlocal shape
        height, width, channels_in = shape
        node = convolutional(f"conv_{len(nodes)}", (height, width, channels_in), n_channels, _KERNEL_SIZE, stride, activation, gain)
        nodes.append(node)
        shape = node.output_shape
        return node.name

    for n_channels, stride in zip(options.channels, options.strides, strict=True):
        below = add(n_channels, stride, options.activation, options.gain)
        for _ in range(options.blocks):
            add(n_channels, 1, options.activation, options.gain)
            top = add(n_channels, 1, "identity", in_block)
            skips[top], below = [below], top
    if options.pooling != "none":
        height, width, channels_in = shape
        nodes.append(pooling("pooled", (height, width, channels_in), options.pooling))
        shape = nodes[-1].output_shape
    nodes.append(dense("output", shape, n_classes, "identity", options.gain))
    return chain(nodes, name="resnet", input_shape=input_shape, n_classes=n_classes, skips=skips, front_end=front_end, **others)
