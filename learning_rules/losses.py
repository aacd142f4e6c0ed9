r"""What the scores are asked to do, and the error that follows from it.

* cross-entropy: :math:`-\log \mathrm{softmax}(s)_y`, whose error is softmax minus target: a delta rule;
* squared error: :math:`\tfrac12 \lVert s - t \rVert^2`, whose error is scores minus target.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, Int

from bioplausible.foundation.errors import unknown_name

__all__ = ["LOSSES", "accuracy", "loss_and_error", "loss_function"]

Scores = Float[Array, "n n_classes"]
Labels = Int[Array, " n"]


def _squared_error(scores: Scores, labels: Labels) -> Float[Array, " n"]:
    targets = jax.nn.one_hot(labels, scores.shape[-1], dtype=scores.dtype)
    return 0.5 * jnp.sum(jnp.square(scores - targets), axis=-1)


LOSSES: dict[str, Callable[[Scores, Labels], Float[Array, " n"]]] = {
    "cross_entropy": optax.softmax_cross_entropy_with_integer_labels,
    "squared_error": _squared_error,
}


def loss_function(name: str) -> Callable[[Scores, Labels], Float[Array, ""]]:
    """The mean over a batch of the loss of that name.

    Raises:
        InputError: if there is none.
    """
    if name not in LOSSES:
        raise unknown_name("loss", name, LOSSES)
    return lambda scores, labels: jnp.mean(LOSSES[name](scores, labels))


def loss_and_error(name: str, scores: Scores, labels: Labels) -> tuple[Float[Array, ""], Scores]:
    """Mean loss, and its derivative with respect to the scores (already divided by the batch size)."""
    return jax.value_and_grad(loss_function(name))(scores, labels)


def accuracy(scores: Scores, labels: Labels) -> Float[Array, ""]:
    """Share of examples whose highest score is the true class's."""
    return jnp.mean(jnp.argmax(scores, axis=-1) == labels, dtype=scores.dtype)
