r"""What forward-forward calls goodness, and the loss that each node makes of it.

A pass has one goodness, the mean square of a node's answer: with the true label it should be high, with a wrong one low. Or each
class has one, :math:`g_c`, the mean square of the units that stand for it, and the classes compete for shares:
:math:`\mathrm{softmax}_c(\alpha \log g) = g_c^\alpha / \sum_{c'} g_{c'}^\alpha`, whatever the size of the answer.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from learning_rules.objectives import OBJECTIVES, mean_over

__all__ = ["class_groups", "class_loss", "class_votes", "enough_groups", "goodness", "log_goodness_by_class", "pair_loss"]

Report = dict[str, Array]

_CELLS = 4  # per spatial axis: in each the channels of a map stand for other classes
_FLOOR = 1e-3  # under the goodness before its logarithm is taken: a silent group is no better than a nearly silent one


def _n_chosen(n_classes: int, fraction: float) -> int:
    return max(round(fraction * n_classes), 1)


def _n_kinds(shape: tuple[int, ...]) -> int:
    """Kinds of units: one a channel and cell."""
    kinds = shape[-1]
    for size in shape[:-1]:
        kinds *= min(_CELLS, size)
    return kinds


def enough_groups(shape: tuple[int, ...], n_classes: int, fraction: float) -> bool:
    """Whether every class gets a unit."""
    return _n_kinds(shape) * _n_chosen(n_classes, fraction) >= n_classes


def class_groups(shape: tuple[int, ...], n_classes: int, fraction: float) -> Bool[np.ndarray, "n_units n_classes"]:
    """Which classes each unit of a node stands for: chosen once, without looking, so that every class has as many units.

    The channels of a map stand for other classes in each of 4 by 4 cells: a filter, whose weights all positions share, then has to
    tell all classes apart rather than fall silent for nine of ten.

    Args:
        shape: of one example's answer, (units,) or (height, width, channels).
        n_classes: number of classes.
        fraction: of the classes, for which one unit stands; at least one class.

    >>> class_groups((4,), 4, 0.5).sum(1).tolist(), class_groups((4,), 4, 0.5).sum(0).tolist()
    ([2, 2, 2, 2], [2, 2, 2, 2])
    """
    n_chosen, n_kinds = _n_chosen(n_classes, fraction), _n_kinds(shape)
    draw = np.random.default_rng(0)
    # Like cards: dealt from shuffled decks, so that no class comes again before every other has come.
    decks = np.concatenate([draw.permutation(n_classes) for _ in range(-(-n_kinds * n_chosen // n_classes))])
    hands = decks[: n_kinds * n_chosen].reshape(n_kinds, n_chosen)
    kind = np.zeros((), int)
    for size in shape[:-1]:
        cells = min(_CELLS, size)
        kind = kind[..., None] * cells + np.arange(size) * cells // size
    kind = kind[..., None] * shape[-1] + np.arange(shape[-1])
    return (hands[..., None] == np.arange(n_classes)).any(1)[kind.ravel()]


def goodness(h: Array) -> Float[Array, " n"]:
    """Mean square of a node's answer."""
    return jnp.mean(jnp.square(h), axis=tuple(range(1, h.ndim)))


def log_goodness_by_class(h: Array, n_classes: int, fraction: float) -> Float[Array, "n n_classes"]:
    """Logarithm of the mean square of each class's units."""
    member = class_groups(h.shape[1:], n_classes, fraction).astype(float)
    mean_square = jnp.square(h).reshape(len(h), -1) @ jnp.asarray(member / member.sum(0), h.dtype)
    return jnp.log(mean_square + _FLOOR)


def pair_loss(h: Array, sharpness: float, threshold: float | None, mask: Array | None = None) -> tuple[Float[Array, ""], Report]:
    """Loss of a node whose answers to the positive passes stand before those to the negative ones.

    Args:
        h: answers, (2n, ...).
        sharpness: alpha.
        threshold: between positive and negative goodness; None compares the two with each other.
        mask: 1 for examples that count, (n,); None where all do.
    """
    positive, negative = jnp.split(goodness(h), 2)
    report = {
        "goodness_positive": mean_over(positive, mask),
        "goodness_negative": mean_over(negative, mask),
        "goodness_accuracy": mean_over((positive > negative).astype(h.dtype), mask),
    }
    if threshold is None:
        each = jax.nn.softplus(-sharpness * (positive - negative))
    else:
        each = jax.nn.softplus(-sharpness * (positive - threshold)) + jax.nn.softplus(sharpness * (negative - threshold))
    return mean_over(each, mask), report


def class_votes(h: Array, n_classes: int, fraction: float, by_logarithm: bool = True) -> Float[Array, "n n_classes"]:
    """What classes compete by in a node: the logarithm of their goodness (and a floor), or goodness itself."""
    scores = log_goodness_by_class(h, n_classes, fraction)
    return scores if by_logarithm else jnp.exp(scores) - _FLOOR


def class_loss(
    h: Array,
    labels: Int[Array, " n"],
    n_classes: int,
    fraction: float,
    sharpness: float,
    mask: Array | None = None,
    by_logarithm: bool = True,
) -> tuple[Float[Array, ""], Report]:
    """Loss of a node with one goodness a class; without `by_logarithm` the softmax is of goodness itself."""
    scores = class_votes(h, n_classes, fraction, by_logarithm)
    by_class = class_votes(h, n_classes, fraction, by_logarithm=False)
    own = jnp.take_along_axis(by_class, labels[:, None], axis=1)[:, 0]
    rest = (jnp.sum(by_class, axis=1) - own) / max(n_classes - 1, 1)
    report = {
        "goodness_positive": mean_over(own, mask),
        "goodness_negative": mean_over(rest, mask),
        "goodness_accuracy": mean_over((jnp.argmax(scores, axis=-1) == labels).astype(h.dtype), mask),
    }
    return mean_over(OBJECTIVES["cross_entropy"].each(sharpness * scores, labels), mask), report
