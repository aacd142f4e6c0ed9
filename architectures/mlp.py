"""Dense network on flattened images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from architectures.dense import dense
from architectures.front_end import FrontEnd
from architectures.network import Network, chain
from architectures.node import Node
from bioplausible.foundation.errors import InputError

__all__ = ["MlpOptions", "dense_layers", "mlp", "per_node"]


@dataclass(frozen=True)
class MlpOptions:
    """Options of the dense network.

    Attributes
    ----------
    hidden
        Units of each hidden layer.
    activation
        Of all hidden layers; the scores are linear.
    gain
        Factor on the initial weights, one number or one per node.
    normalisation
        "none" or "length", of the hidden layers.
    residual
        Whether hidden layers after the first also pass on what they see, where widths allow it.
    """

    hidden: tuple[int, ...] = (512, 256)
    activation: str = "relu"
    gain: float | tuple[float, ...] = 1.0
    normalisation: str = "none"
    residual: bool = False


def per_node(gain: float | tuple[float, ...], n_nodes: int) -> tuple[float, ...]:
    """One gain per node.

    Raises
    ------
    InputError
        If several were given, but not one per node.
    """
    if isinstance(gain, int | float):
        return (float(gain),) * n_nodes
    if len(gain) != n_nodes:
        raise InputError(f"{len(gain)} gains were given for {n_nodes} nodes: give one number, or one per node")
    return tuple(gain)


def dense_layers(shape: tuple[int, ...], n_classes: int, options: Any, gains: tuple[float, ...]) -> list[Node]:
    """The dense nodes `hidden_0`, `hidden_1`, …, `output` that a network ends in.

    Parameters
    ----------
    shape
        Of what the first of them hears, without the batch.
    n_classes
        Scores of the last.
    options
        Its `hidden`, `activation` and `normalisation`.
    gains
        One per node.
    """
    nodes: list[Node] = []
    for index, units in enumerate(options.hidden):
        nodes.append(dense(f"hidden_{index}", shape, units, options.activation, gains[index], options.normalisation))
        shape = nodes[-1].output_shape
    return [*nodes, dense("output", shape, n_classes, "identity", gains[-1])]


def mlp(input_shape: tuple[int, ...], n_classes: int, options: MlpOptions, front_end: FrontEnd, **others: Any) -> Network:
    """The nodes `hidden_0`, `hidden_1`, …, `output`.

    Raises
    ------
    InputError
        A layer without units, gains that are not one per node, or residual layers of different widths.
    """
    if any(width < 1 for width in options.hidden):
        raise InputError(f"hidden={options.hidden} was given: every hidden layer needs at least one unit")
    if options.residual and len(set(options.hidden)) > 1:
        raise InputError(f"residual=True was given with hidden={options.hidden}: layers that are added need one width")
    gains = per_node(options.gain, len(options.hidden) + 1)
    nodes = dense_layers(front_end.output_shape(input_shape), n_classes, options, gains)
    skips = {f"hidden_{k}": [f"hidden_{k - 1}"] for k in range(1, len(options.hidden))} if options.residual else {}
    return chain(nodes, name="mlp", input_shape=input_shape, n_classes=n_classes, skips=skips, front_end=front_end, **others)
