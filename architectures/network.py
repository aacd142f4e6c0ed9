"""A network: a label-free front end and a chain of blocks, the same for every learning rule.

The chain may pass through one block several times (a recurrent network unrolled over time). `params` then holds one tree per
distinct block; `unroll` gives one per position in the chain, and `tie`, its transpose, sums what the positions ask for back
into the shared trees. Rules work on positions and never see the difference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from architectures.block import Block, Params
from architectures.errors import InputError
from architectures.front_end import FrontEnd, no_front_end

__all__ = ["Network"]


@dataclass(frozen=True)
class Network:
    """A chain of blocks.

    Attributes:
        name: name of the architecture.
        input_shape: (height, width, channels) of one image, before the front end.
        n_classes: number of scores.
        blocks: the distinct blocks.
        order: for each position of the chain, the index of its block.
        front_end: fixed, label-free transform before the first block.
        options: what the architecture was built with, for tables and files.
    """

    name: str
    input_shape: tuple[int, int, int]
    n_classes: int
    blocks: tuple[Block, ...]
    order: tuple[int, ...] = ()
    front_end: FrontEnd = field(default_factory=no_front_end)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that each block takes what the one below it gives."""
        if not self.order:
            object.__setattr__(self, "order", tuple(range(len(self.blocks))))
        shape = self.front_end.output_shape(self.input_shape)
        for block in self.chain:
            if not block.accepts(shape):
                raise InputError(
                    f"block '{block.name}' takes inputs of shape {block.input_shape}, but was given {shape}: "
                    "build the chain so that each block's output shape is the next one's input shape"
                )
            shape = block.output_shape

    @property
    def chain(self) -> tuple[Block, ...]:
        """The block at each position."""
        return tuple(self.blocks[index] for index in self.order)

    @property
    def block_names(self) -> tuple[str, ...]:
        """The name of each position; a block's second pass is called `name@1`, its third `name@2`."""
        seen: dict[int, int] = {}
        names = []
        for index in self.order:
            passes = seen.get(index, 0)
            names.append(self.blocks[index].name + (f"@{passes}" if passes else ""))
            seen[index] = passes + 1
        return tuple(names)

    @property
    def core(self) -> Network:
        """The same chain without its front end, for inputs that were encoded once, before training."""
        height, width, channels = self.front_end.output_shape(self.input_shape)
        return dataclasses.replace(self, input_shape=(height, width, channels), front_end=no_front_end())

    def init(self, key: PRNGKeyArray) -> tuple[Params, ...]:
        """Initial parameters, one tree per distinct block."""
        keys = jax.random.split(key, len(self.blocks))
        params = tuple(block.init(k) for block, k in zip(self.blocks, keys, strict=True))
        # Whatever else is compiled with it must not change a bit of what is drawn: all rules start at the same network.
        return jax.lax.optimization_barrier(params)

    def unroll(self, params: Sequence[Params]) -> tuple[Params, ...]:
        """One tree per distinct block -> one per position of the chain."""
        return tuple(params[index] for index in self.order)

    def tie(self, gradients: Sequence[Params]) -> tuple[Params, ...]:
        """The transpose of `unroll`: what the positions ask for, summed per distinct block."""
        tied = []
        for block in range(len(self.blocks)):
            asked = [gradient for gradient, index in zip(gradients, self.order, strict=True) if index == block]
            tied.append(reduce(lambda a, b: jax.tree.map(jnp.add, a, b), asked))
        return tuple(tied)

    def encode(self, images: Float[Array, "n height width channels"]) -> Array:
        """Images as the first block sees them."""
        return self.front_end(images)

    def propagate(self, params: Sequence[Params], x: Array) -> tuple[Array, ...]:
        """Activations of every position, from an encoded input of shape (n, ...)."""
        activations = []
        for block, block_params in zip(self.chain, self.unroll(params), strict=True):
            x = block.apply(block_params, x)
            activations.append(x)
        return tuple(activations)

    def forward(self, params: Sequence[Params], images: Float[Array, "n height width channels"]) -> tuple[Array, ...]:
        """Activations of every position, from normalised images; the last are the scores, (n, n_classes)."""
        return self.propagate(params, self.encode(images))

    def at_size(self, input_shape: tuple[int, int, int]) -> tuple[Network, str]:
        """The part of the chain that takes images of another size, and a sentence on what was left out ("" if nothing).

        Raises:
            InputError: if not even the first block takes them.
        """
        try:
            shape = self.front_end.output_shape(input_shape)
        except InputError as error:
            raise InputError(f"images of {input_shape} do not fit the network: {error}") from None
        kept: list[Block] = []
        reason = ""
        for block in self.chain:
            if not block.accepts(shape):
                left_out = ", ".join(self.block_names[len(kept) :])
                reason = f"{left_out} left out: '{block.name}' takes inputs of {block.input_shape} and at this size gets {shape}"
                break
            example = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
            resized = jax.eval_shape(lambda x, b=block: b.synapse(b.init(jax.random.key(0)), x), example)
            output = jax.eval_shape(block.activate, resized)
            kept.append(
                dataclasses.replace(block, input_shape=shape, synapse_shape=resized.shape[1:], output_shape=output.shape[1:])
            )
            shape = output.shape[1:]
        if not kept:
            raise InputError(
                f"no block of '{self.name}' takes images of {input_shape}, trained at {self.input_shape}: "
                "use a convolutional architecture, or the size that it was trained at"
            )
        if len(set(self.order)) != len(self.order):
            raise InputError(f"'{self.name}' passes through a block more than once and takes no other size than {self.input_shape}")
        return dataclasses.replace(self, input_shape=input_shape, blocks=tuple(kept), order=tuple(range(len(kept)))), reason

    def describe(self) -> list[dict[str, Any]]:
        """One row a position: name, shapes, number of parameters."""
        rows = []
        for name, block in zip(self.block_names, self.chain, strict=True):
            shapes = jax.eval_shape(block.init, jax.random.key(0))
            n_parameters = sum(leaf.size for leaf in jax.tree.leaves(shapes))
            rows.append({"layer": name, "input": block.input_shape, "output": block.output_shape, "parameters": n_parameters})
        return rows
