"""Small convolutional network: strided 3x3 convolutions, then dense layers.

It strides rather than pools by default, so that the energies and inverses that some rules define stay well defined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from architectures.convolutional import convolutional
from architectures.front_end import FrontEnd
from architectures.mlp import dense_layers, per_node
from architectures.network import Network, chain
from architectures.node import Node
from bioplausible.foundation.errors import InputError

__all__ = ["CnnOptions", "cnn"]


@dataclass(frozen=True)
class CnnOptions:
    """Options of the convolutional network.

    Attributes
    ----------
    channels
        Filters of each convolution.
    strides
        Stride of each convolution, one number or one per convolution.
    kernel_size
        Side of the square kernels.
    pooling
        "none", "max" or "mean" (2x2 after every convolution); "global_mean" after the last one alone, with which the network takes
        images of any size.
    hidden
        Units of the dense hidden layers.
    activation
        Of all hidden layers; the scores are linear.
    gain
        Factor on the initial weights, one number or one per node.
    normalisation
        "none" or "length", of the hidden layers.
    """

    channels: tuple[int, ...] = (32, 64)
    strides: int | tuple[int, ...] = 2
    kernel_size: int = 3
    pooling: str = "none"
    hidden: tuple[int, ...] = (128,)
    activation: str = "relu"
    gain: float | tuple[float, ...] = 1.0
    normalisation: str = "none"


def cnn(input_shape: tuple[int, ...], n_classes: int, options: CnnOptions, front_end: FrontEnd, **others: Any) -> Network:
    """The nodes `conv_0`, `conv_1`, …, `hidden_0`, …, `output`.

    Raises
    ------
    InputError
        An input that is no image, or strides, gains or sizes that do not fit.
    """
    if len(input_shape) != 3:
        raise InputError(f"input_shape={input_shape} was given, a convolutional network takes (height, width, channels)")
    n_convolutions, n_hidden = len(options.channels), len(options.hidden)
    strides = (options.strides,) * n_convolutions if isinstance(options.strides, int) else options.strides
    if len(strides) != n_convolutions:
        raise InputError(f"{len(strides)} strides were given for {n_convolutions} convolutions: give one number, or one each")
    if min((*options.channels, *options.hidden, *strides, options.kernel_size), default=1) < 1:
        raise InputError(f"channels, hidden, strides and kernel_size must be at least 1, given: {options}")
    gains = per_node(options.gain, n_convolutions + n_hidden + 1)

    nodes: list[Node] = []
    shape = front_end.output_shape(input_shape)
    for index, (channels, stride) in enumerate(zip(options.channels, strides, strict=True)):
        pooling = options.pooling
        if pooling == "global_mean" and index < n_convolutions - 1:
            pooling = "none"
        height, width, channels_in = shape
        nodes.append(
            convolutional(
                f"conv_{index}",
                (height, width, channels_in),
                channels,
                options.kernel_size,
                stride,
                options.activation,
                gains[index],
                options.normalisation,
                pooling,
            )
        )
        shape = nodes[-1].output_shape
    nodes += dense_layers(shape, n_classes, options, gains[n_convolutions:])
    return chain(nodes, name="cnn", input_shape=input_shape, n_classes=n_classes, front_end=front_end, **others)
