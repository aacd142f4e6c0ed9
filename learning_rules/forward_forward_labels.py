r"""How forward-forward puts labels into what a node sees: :math:`x \odot f + p_c`, a pattern a class.

*Pixels*: class :math:`c` raises the :math:`c`-th of the first inputs, which the signal gives up (Hinton 2022, arXiv 2212.13345).
That suits a node whose units see their whole input; where they see patches, most would never see an input in the corner.
*Channels*: class :math:`c` raises the :math:`c`-th channel at every position, so that every patch has the label in it.
*Waves*, where there are fewer channels than classes: a plane wave over the whole map, with a direction and a period of the class's
own (Scodellaro et al. 2023, arXiv 2312.14924).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from architectures import Node
from architectures.roles import role_leaves
from bioplausible.foundation.errors import InputError

__all__ = ["LABELS", "LabelPatterns", "label_patterns", "patterns_for"]

LABELS = ("auto", "pixels", "channels", "waves")


class LabelPatterns(NamedTuple):
    """How labels go into signals: `x * free + patterns[label]`; the last pattern is the neutral one, the mean of the others.

    Where a pattern is the same at every position it is kept once, with axes of one.
    """

    patterns: Float[np.ndarray, "n_patterns ..."]
    free: Float[np.ndarray, "..."]


def label_patterns(kind: str, shape: tuple[int, ...], n_classes: int, amplitude: float) -> LabelPatterns:
    """One pattern a class, and their mean, the neutral one.

    Args:
        kind: "pixels": the class's own among the first inputs, which the signal gives up; "channels": the class's own channel at
            every position; "waves": a plane wave over the whole map, with a direction and a period of 3 to 8 positions of the
            class's own.
        shape: of one example's input; waves need (height, width, channels).
        n_classes: number of classes.
        amplitude: of the pixel; a quarter of it is the channel's, and an eighth the waves' root mean square.

    Raises:
        InputError: if there are more classes than pixels or channels.

    >>> label_patterns("pixels", (2, 2, 1), 3, 6.0).patterns[:, :, :, 0].tolist()[1:4:2]
    [[[0.0, 6.0], [0.0, 0.0]], [[2.0, 2.0], [2.0, 0.0]]]
    """
    if kind == "pixels":
        if n_classes > math.prod(shape):
            raise InputError(
                f"{n_classes} classes were given for inputs of {shape}, which have fewer pixels: for an image try label='waves', "
                "above it widen the node below"
            )
        patterns = amplitude * np.eye(n_classes, math.prod(shape)).reshape(n_classes, *shape)
        free = (np.arange(math.prod(shape)) >= n_classes).astype(float).reshape(shape)
    elif kind == "channels":
        if n_classes > shape[-1]:
            raise InputError(f"{n_classes} classes were given for inputs of {shape}, which have fewer channels: try label='waves'")
        patterns = (amplitude / 4 * np.eye(n_classes, shape[-1])).reshape(n_classes, *(1 for _ in shape[1:]), shape[-1])
        free = np.ones(patterns.shape[1:])
    else:
        if len(shape) != 3:
            raise InputError(
                f"waves were to go into inputs of {shape}, expected (height, width, channels): give as many channels as classes"
            )
        height, width, channels = shape
        classes = np.arange(n_classes)
        # The golden ratio spreads directions evenly for any number of classes; the two sequences never repeat a pair.
        direction = np.pi * (classes * (np.sqrt(5) - 1) / 2 % 1)
        frequency = 1 / 8 + (1 / 3 - 1 / 8) * (classes + 0.5) / n_classes
        y, x = np.mgrid[:height, :width]
        along = np.cos(direction)[:, None, None] * x + np.sin(direction)[:, None, None] * y
        waves = np.cos(2 * np.pi * frequency[:, None, None] * along)
        waves *= amplitude / 8 / np.sqrt(np.mean(waves**2, axis=(1, 2), keepdims=True))
        patterns, free = np.repeat(waves[..., None], channels, axis=-1), np.ones(shape)
    return LabelPatterns(np.concatenate([patterns, patterns.mean(0, keepdims=True)]), free)


def _sees_everything(node: Node, edge: int) -> bool:
    """Whether one unit's weights reach all of what an edge brings."""
    leaves = jax.tree.leaves(jax.eval_shape(node.init, jax.random.key(0)))
    weights = [(role, leaf) for role, leaf in zip(role_leaves(node.roles), leaves, strict=True) if role.edge == edge]
    reach = max((math.prod(leaf.shape[axis] for axis in role.fan_in) for role, leaf in weights), default=0)
    return reach >= math.prod(node.input_shapes[edge])


def patterns_for(node: Node, edge: int, kind: str, n_classes: int, amplitude: float) -> LabelPatterns:
    """The patterns in what an edge brings to a node.

    Parameters
    ----------
    node
        The node.
    edge
        Number of the weighted edge.
    kind
        As `label_patterns` takes it; "auto" takes pixels where a unit sees all of it, else channels or, if too few, waves; "none"
        puts no label in.
    n_classes
        Number of classes.
    amplitude
        As `label_patterns` takes it.

    Raises
    ------
    InputError
        If there are more classes than pixels or channels, or waves are to go into what is no map.
    """
    shape = node.input_shapes[edge]
    if kind == "none":
        return LabelPatterns(np.zeros((n_classes + 1, *shape)), np.ones(shape))
    if kind == "auto":
        enough_channels = shape[-1] >= n_classes
        kind = "pixels" if _sees_everything(node, edge) else "channels" if enough_channels else "waves"
    return label_patterns(kind, shape, n_classes, amplitude)
