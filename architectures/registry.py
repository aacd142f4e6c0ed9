"""The architectures by name. To add one: its own file, a line in `ARCHITECTURES`, a row in `architecture_table.py` of the tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from architectures.block import Block
from architectures.cnn import CnnOptions, cnn_blocks
from architectures.errors import InputError, unknown_name
from architectures.front_end import FrontEnd, no_front_end
from architectures.mlp import MlpOptions, mlp_blocks
from architectures.network import Network
from architectures.options import make_options

__all__ = ["ARCHITECTURES", "Architecture", "build", "names"]


class Architecture(NamedTuple):
    """How a network is made: its options and the function from shapes to blocks."""

    options: type
    blocks: Callable[[tuple[int, ...], int, Any], tuple[Block, ...]]
    summary: str


ARCHITECTURES: dict[str, Architecture] = {
    "mlp": Architecture(MlpOptions, mlp_blocks, "dense layers on flattened images"),
    "cnn": Architecture(CnnOptions, cnn_blocks, "strided 3x3 convolutions, then dense layers"),
}


def names() -> tuple[str, ...]:
    """Names that `build` takes."""
    return tuple(ARCHITECTURES)


def build(
    name: str,
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    front_end: FrontEnd | None = None,
    **options: Any,
) -> Network:
    """Build a network.

    Args:
        name: one of `names()`.
        input_shape: (height, width, channels) of one image.
        n_classes: number of scores.
        front_end: from `fit_front_end`; none by default.
        **options: fields of the architecture's options, `MlpOptions` or `CnnOptions`.

    Raises:
        InputError: unknown architecture or option (the valid ones are listed), or shapes that do not fit.

    >>> build("mlp", input_shape=(28, 28, 1), n_classes=10, hidden=(256, 256)).block_names
    ('hidden_0', 'hidden_1', 'output')
    """
    if name not in ARCHITECTURES:
        raise unknown_name("architecture", name, ARCHITECTURES)
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise InputError(f"input_shape={tuple(input_shape)} was given, expected (height, width, channels), each at least 1")
    if n_classes < 2:
        raise InputError(f"n_classes={n_classes} was given, a network tells at least 2 classes apart")
    architecture = ARCHITECTURES[name]
    front_end = front_end or no_front_end()
    chosen: Any = make_options(architecture.options, options, f"architecture '{name}'")
    height, width, channels = input_shape
    blocks = architecture.blocks(front_end.output_shape((height, width, channels)), n_classes, chosen)
    record = {**dataclasses.asdict(chosen), "front_end": front_end.name}
    return Network(name, (height, width, channels), n_classes, blocks, front_end=front_end, options=record)
