"""Dense network: flattened images, hidden layers, one score a class."""

from __future__ import annotations

from dataclasses import dataclass

from architectures.block import Block, dense_block
from architectures.errors import InputError

__all__ = ["MlpOptions", "mlp_blocks"]


@dataclass(frozen=True)
class MlpOptions:
    """Options of the dense network.

    Attributes:
        hidden: units of each hidden layer.
        activation: of the hidden layers; the scores are linear.
        gain: factor on the initial weights, one number or one per block.
        normalisation: "none" or "length", of the hidden layers.
    """

    hidden: tuple[int, ...] = (512, 256)
    activation: str = "relu"
    gain: float | tuple[float, ...] = 1.0
    normalisation: str = "none"


def per_block(gain: float | tuple[float, ...], n_blocks: int) -> tuple[float, ...]:
    """One gain per block.

    Raises:
        InputError: if several were given, but not one per block.
    """
    if isinstance(gain, int | float):
        return (float(gain),) * n_blocks
    if len(gain) != n_blocks:
        raise InputError(f"{len(gain)} gains were given for {n_blocks} blocks: give one number, or one per block")
    return tuple(gain)


def mlp_blocks(input_shape: tuple[int, ...], n_classes: int, options: MlpOptions) -> tuple[Block, ...]:
    """The blocks `hidden_0`, `hidden_1`, …, `output`."""
    if any(width < 1 for width in options.hidden):
        raise InputError(f"hidden={options.hidden} was given: every hidden layer needs at least one unit")
    gains = per_block(options.gain, len(options.hidden) + 1)
    blocks = []
    shape = input_shape
    for index, width in enumerate(options.hidden):
        blocks.append(dense_block(f"hidden_{index}", shape, width, options.activation, gains[index], options.normalisation))
        shape = blocks[-1].output_shape
    return (*blocks, dense_block("output", shape, n_classes, "identity", gains[-1]))
