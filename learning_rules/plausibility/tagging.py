"""A network that leaves its marks in a traced program, or tells what passed over its wires.

Whatever a rule does with a block's synapses it does through `Block.synapse` and `Block.activate`. Marked there, activities can be
recognised in any program that a rule compiles to, through derivatives, loops and batching, without the rule's help.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.ad_checkpoint import checkpoint_name

from architectures import Block, Network

__all__ = ["WIRE", "Wires", "marked", "recorded", "wire_of"]

_LEAST_VALUES = 20
WIRE = "bioplausible wire "
"""Marks are named by this and the position whose activity it is: -1 for what the first block sees."""


def _changed(network: Network, change: Callable[[int, Block], Block]) -> Network:
    return dataclasses.replace(network, blocks=tuple(change(index, block) for index, block in enumerate(network.blocks)))


def wire_of(name: str) -> int | None:
    """The position that a mark belongs to, None for names that are not ours."""
    return int(name.removeprefix(WIRE)) if name.startswith(WIRE) else None


def marked(network: Network) -> Network:
    """The network with a mark on what goes into every block's synapses, on what these deliver, and on what the block passes on."""

    def change(index: int, block: Block) -> Block:
        def synapse(params: Any, x: Array) -> Array:
            return checkpoint_name(block.synapse(params, checkpoint_name(x, f"{WIRE}{index - 1}")), f"{WIRE}{index}")

        def activate(z: Array) -> Array:
            return checkpoint_name(block.activate(z), f"{WIRE}{index}")

        # What other blocks pass on is known by the next one's synapses, which are given it; the last one's scores by nothing else.
        last = index == len(network.blocks) - 1
        return dataclasses.replace(block, synapse=synapse, activate=activate if last else block.activate)

    return _changed(network, change)


@dataclasses.dataclass
class Wires:
    """What went into each block's synapses: how many values, and how many of them were one of their channel's levels."""

    values: dict[int, int] = dataclasses.field(default_factory=dict)
    binary: dict[int, int] = dataclasses.field(default_factory=dict)

    def record(self, index: int, n_values: int, n_binary: Any) -> None:
        """Add what one evaluation saw."""
        self.values[index] = self.values.get(index, 0) + n_values
        self.binary[index] = self.binary.get(index, 0) + int(np.sum(n_binary))

    def share(self, index: int) -> float:
        """Share of values that were one of their channel's levels; NaN where nothing was seen."""
        return self.binary.get(index, 0) / self.values[index] if self.values.get(index) else float("nan")


def recorded(network: Network, wires: Wires) -> Network:
    """The network that tells what goes into every block's synapses while it runs.

    What is told hangs on what the synapses deliver: where a rule evaluates them for a derivative alone and nothing of what they
    deliver is used, nothing went over the wire, and nothing is told.
    """

    def change(index: int, block: Block) -> Block:
        @jax.custom_jvp
        def observe(z: Array, x: Array) -> Array:
            # An event or none, or one of either sign, less what inhibition takes from the channel whatever comes: at most three
            # levels in a channel, not always 0 and 1. A few values say nothing of levels.
            ordered = jnp.sort(x, axis=0)
            n_levels = 1 + jnp.sum(ordered[1:] != ordered[:-1], axis=0)
            n_binary = len(x) * jnp.sum(n_levels <= 3) if len(x) >= _LEAST_VALUES else jnp.asarray(0)

            def tell(first: Any, n_binary: Any) -> Any:
                wires.record(index - 1, x.size * np.size(n_binary), n_binary)
                return np.zeros_like(first)

            zero = jax.pure_callback(tell, jax.ShapeDtypeStruct((), z.dtype), z.ravel()[0] * 0, n_binary, vmap_method="sequential")
            return z + zero

        @observe.defjvp
        def _(primals: Any, tangents: Any) -> Any:
            return observe(*primals), tangents[0]

        def synapse(params: Any, x: Array) -> Array:
            return observe(block.synapse(params, x), jax.lax.stop_gradient(x))

        return dataclasses.replace(block, synapse=synapse)

    return _changed(network, change)
