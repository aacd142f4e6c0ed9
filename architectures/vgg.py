"""Eight weight layers for small colour images: six 3x3 convolutions that halve the map four times, and two dense layers.

The order of convolutions and halvings is that of VGG8B (Nøkland and Eidnes 2019, arXiv 1901.06656, after Simonyan and Zisserman
2015, arXiv 1409.1556), at an eighth of its channels; `channels: [128, 256, 256, 512, 512, 512]` and `hidden: [1024]` are its own.
It has no batch normalisation and no dropout, which it was published with.
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
from bioplausible.foundation.options import one_of

__all__ = ["VggOptions", "vgg"]

_KERNEL_SIZE = 3


@dataclass(frozen=True)
class VggOptions:
    """Options of the network of eight weight layers.

    Attributes
    ----------
    channels
        Filters of each convolution.
    halved
        After which convolutions, counted from nought, the map's sides are halved.
    downsampling
        How: "max" or "mean" over 2x2 places, or "stride", by a convolution that takes every other place: units are then what they
        are by themselves, which rules whose states settle in an energy need.
    hidden
        Units of the dense hidden layers.
    activation
        Of all hidden layers; the scores are linear.
    gain
        Factor on the initial weights, one number or one per node.
    normalisation
        "none" or "length", of the hidden layers.
    """

    channels: tuple[int, ...] = (16, 32, 32, 64, 64, 64)
    halved: tuple[int, ...] = (1, 3, 4, 5)
    downsampling: str = "max"
    hidden: tuple[int, ...] = (128,)
    activation: str = "relu"
    gain: float | tuple[float, ...] = 1.0
    normalisation: str = "none"


def vgg(input_shape: tuple[int, ...], n_classes: int, options: VggOptions, front_end: FrontEnd, **others: Any) -> Network:
    """The nodes `conv_0`, …, `hidden_0`, …, `output`.

    Raises
    ------
    InputError
        An input that is no image or too small to be halved so often, or convolutions, gains or sizes that do not fit.
    """
    one_of(options, "downsampling", ("max", "mean", "stride"))
    if len(input_shape) != 3:
        raise InputError(f"input_shape={input_shape} was given, a convolutional network takes (height, width, channels)")
    if not options.channels or min((*options.channels, *options.hidden)) < 1:
        raise InputError(f"channels and hidden must be at least 1, and one convolution there, given: {options}")
    for place in options.halved:
        if not 0 <= place < len(options.channels):
            raise InputError(f"halved={options.halved} was given, there are convolutions 0 to {len(options.channels) - 1}")
    shape = front_end.output_shape(input_shape)
    if min(shape[:2]) < 2 ** len(options.halved):
        raise InputError(
            f"images of {shape[0]}x{shape[1]} were given, they cannot be halved {len(options.halved)} times: give fewer in 'halved'"
        )
    gains = per_node(options.gain, len(options.channels) + len(options.hidden) + 1)
    nodes: list[Node] = []
    for index, n_channels in enumerate(options.channels):
        halves, by_stride = index in options.halved, options.downsampling == "stride"
        height, width, channels_in = shape
        nodes.append(
            convolutional(
                f"conv_{index}",
                (height, width, channels_in),
                n_channels,
                _KERNEL_SIZE,
                2 if halves and by_stride else 1,
                options.activation,
                gains[index],
                options.normalisation,
                options.downsampling if halves and not by_stride else "none",
            )
        )
        shape = nodes[-1].output_shape
    nodes += dense_layers(shape, n_classes, options, gains[len(options.channels) :])
    return chain(nodes, name="vgg", input_shape=input_shape, n_classes=n_classes, front_end=front_end, **others)
