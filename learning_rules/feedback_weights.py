r"""Feedback weights that learn: the mirror that shows them the forward weights, and how far from these they are.

A block that is given white noise :math:`\xi` of standard deviation :math:`\sigma` answers :math:`W \xi`, and
:math:`\langle W \xi\, \xi^\top \rangle = \sigma^2 W`: the correlation of noise and answer is the forward weights, without anybody
reading them (Akrout et al. 2019, arXiv 1904.05391). Where weights are shared over positions, the sum over positions is divided by
the number of those that take part.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures import Block, Params
from learning_rules.signals import hebbian_product

__all__ = ["bare_weights", "completed", "feedback_angles", "mirror"]


def bare_weights(params: Params) -> Params:
    """Without what is added to the sums of a block (None there): on the way back it does nothing."""
    return jax.tree.map(lambda leaf: leaf if leaf.ndim > 1 else None, params)


def completed(params: Params, weights: Params) -> Params:
    """Bare weights with the tree of the block's parameters, zero where they have none."""
    return jax.tree.map(lambda own, other: jnp.zeros_like(own) if other is None else other, params, weights)


def mirror(
    blocks: Sequence[Block],
    key: PRNGKeyArray,
    params: Sequence[Params],
    feedback: Sequence[Params],
    n_examples: int,
    noise: float = 1.0,
) -> tuple[Params, ...]:
    """What feedback weights are asked for after every block has answered noise: their difference from the mirror's estimate.

    Args:
        blocks: the distinct blocks.
        key: of the noise.
        params: forward weights, read by nothing but the blocks' own answers.
        feedback: feedback weights, None for a block without.
        n_examples: answers that an estimate is made of.
        noise: standard deviation of the noise.
    """
    asked: list[Params] = []
    for block, w, b, k in zip(blocks, params, feedback, jax.random.split(key, len(params)), strict=True):
        if b is None:
            asked.append(None)
            continue
        one = jnp.ones((1, *block.input_shape))
        xi = noise * jax.random.normal(k, (n_examples, *block.input_shape))
        answer = block.synapse(w, xi) - block.synapse(w, 0 * one)
        correlation = hebbian_product(block, b, xi, answer)
        # Of one example: how often a weight takes part. The noise's power is known, and need not be measured.
        times = hebbian_product(block, b, one, jnp.ones_like(answer[:1]))
        scale = n_examples * noise**2
        asked.append(jax.tree.map(lambda b, c, t, s=scale: b - c / (s * jnp.maximum(t, 1)), b, correlation, times))
    return tuple(asked)


def feedback_angles(params: tuple[Params, ...], feedback: tuple[Params, ...]) -> tuple[Array, ...]:
    """Angle in degrees between forward and feedback weights of each block that has the latter (biases carry no error)."""

    def angle(w: Params, b: Params) -> Array:
        pairs = [(p, q) for p, q in zip(jax.tree.leaves(w), jax.tree.leaves(b), strict=True) if p.ndim > 1]
        dot = sum(jnp.vdot(p, q) for p, q in pairs)
        norms = [sum(jnp.vdot(v, v) for v in side) for side in zip(*pairs, strict=True)]
        cosine = dot / jnp.maximum(jnp.sqrt(norms[0] * norms[1]), 1e-30)
        return jnp.degrees(jnp.arccos(jnp.clip(cosine, -1, 1)))

    return tuple(angle(w, b) for w, b in zip(params, feedback, strict=True) if b is not None)
