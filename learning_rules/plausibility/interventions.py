"""Changes of weights and labels that are put to a rule, and how far what it asks of a block moves.

All in double precision and with the same key, so that a rule that does not read what was changed asks for the same bits but for
rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jax import Array

from learning_rules.plausibility.subject import Subject

__all__ = ["Movement", "above_at_random", "in_null_space", "movement", "of_labels", "of_tied_labels"]

Answer = TypeVar("Answer")

_N_DRAWS = 3
_RELATIVE_SIZE = 0.5


class Movement(NamedTuple):
    """How far blocks' changes moved, relative to their length: (n_draws, n_blocks); NaN for blocks of which nothing was asked.

    `activities` is how far what the network represents moved, the largest relative change below the output.
    """

    updates: np.ndarray
    activities: float

    def of(self, block: int) -> float:
        """Median over draws."""
        return float(np.median(self.updates[:, block]))


def _once(intervention: Callable[[Subject], Answer]) -> Callable[[Subject], Answer]:
    """Several criteria look at one intervention: it is made once for each subject, under its own name."""

    @functools.wraps(intervention)
    def remembered(subject: Subject) -> Answer:
        found: Answer = subject.once(intervention.__name__, intervention)
        return found

    return remembered


def movement(before: list[np.ndarray], after: list[np.ndarray]) -> np.ndarray:
    """Relative change of each block's flat update."""
    lengths = np.array([np.linalg.norm(each) for each in before])
    moved = np.array([np.linalg.norm(new - old) for old, new in zip(before, after, strict=True)])
    return np.divide(moved, lengths, out=np.full(len(moved), np.nan), where=lengths > 0)


def _flat(tree: Any) -> tuple[Array, Any]:
    return jax.flatten_util.ravel_pytree(tree)


def _null_direction(subject: Subject, block: int, x: Array, key: Array) -> Any:
    """A change of a block's weights that no synapse of it feels on these inputs: a random one less what would be felt.

    A synapse is linear in its parameters, so that what is felt is a matrix times the change; the matrix's row space is taken out.
    """
    chain = subject.network.blocks[block]
    flat, unravel = _flat(subject.precise_state.params["network"][block])

    def felt(change: Array, x: Array) -> Array:
        return chain.synapse(unravel(change), x).ravel()

    matrix = np.asarray(subject.once(f"felt by {block}", lambda _: jax.jit(jax.jacobian(felt)))(jnp.zeros_like(flat), x))
    drawn = np.asarray(jax.random.normal(key, flat.shape, jnp.float64))
    # By the small side: outputs are fewer than weights. Twice, for what rounding leaves of the first time.
    gram = matrix @ matrix.T
    for _ in range(2):
        drawn = drawn - matrix.T @ np.linalg.lstsq(gram, matrix @ drawn, rcond=1e-12)[0]
    return _sized(drawn, flat, unravel)


def _sized(drawn: np.ndarray, flat: Array, unravel: Callable[[Array], Any]) -> Any:
    """A change of the weights `flat` in the direction drawn, of a size in proportion to theirs."""
    return unravel(jnp.asarray(drawn * _RELATIVE_SIZE * np.linalg.norm(np.asarray(flat)) / np.linalg.norm(drawn)))


def _with(subject: Subject, block: int, change: Any) -> dict[str, Any]:
    params = subject.precise_state.params
    network = list(params["network"])
    network[block] = jax.tree.map(lambda old, new: jnp.asarray(np.asarray(old) + np.asarray(new)), network[block], change)
    return {**params, "network": tuple(network)}


def _asked(subject: Subject, params: Any, images: Array, labels: Array, draw: int) -> list[np.ndarray]:
    return subject.precise(params, subject.precise_state.carry, images, labels, subject.key(100 + draw))


@_once
def _unchanged(subject: Subject) -> list[list[np.ndarray]]:
    """What is asked for with nothing changed, once a draw."""
    images, labels = subject.precise_batch()
    return [_asked(subject, subject.precise_state.params, images, labels, draw) for draw in range(_N_DRAWS)]


@_once
def in_null_space(subject: Subject) -> dict[int, Movement]:
    """Change each block's weights, from the second on, where the batch does not feel it; see what moves below."""
    with jax.enable_x64(True):
        images, labels = subject.precise_batch()
        params = subject.precise_state.params
        forward = jax.jit(subject.network.forward)
        activations = forward(params["network"], images)
        unchanged = _unchanged(subject)
        found = {}
        for block in range(1, len(subject.network.blocks)):
            updates, moved = [], 0.0
            for draw in range(_N_DRAWS):
                key = jax.random.fold_in(subject.key(10 + block), draw)
                changed = _with(subject, block, _null_direction(subject, block, activations[block - 1], key))
                updates.append(movement(unchanged[draw], _asked(subject, changed, images, labels, draw)))
                after = forward(changed["network"], images)
                pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(activations, after, strict=True)]
                moved = max(moved, max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs))
            found[block] = Movement(np.stack(updates), moved)
        return found


@_once
def above_at_random(subject: Subject) -> dict[int, Movement]:
    """Change each block's weights, from the second on, at random; see what moves below."""
    with jax.enable_x64(True):
        images, labels = subject.precise_batch()
        params = subject.precise_state.params
        unchanged = _unchanged(subject)
        found = {}
        for block in range(1, len(subject.network.blocks)):
            updates = []
            flat, unravel = _flat(params["network"][block])
            for draw in range(_N_DRAWS):
                drawn = np.asarray(jax.random.normal(jax.random.fold_in(subject.key(20 + block), draw), flat.shape, jnp.float64))
                changed = _with(subject, block, _sized(drawn, flat, unravel))
                after = _asked(subject, changed, images, labels, draw)
                updates.append(movement(unchanged[draw], after))
            found[block] = Movement(np.stack(updates), float("nan"))
        return found


@_once
def of_labels(subject: Subject) -> Movement:
    """Give every image the next class's label."""
    with jax.enable_x64(True):
        images, labels = subject.precise_batch()
        params, n_classes = subject.precise_state.params, subject.network.n_classes
        updates = [
            movement(_asked(subject, params, images, labels, draw), _asked(subject, params, images, (labels + 1) % n_classes, draw))
            for draw in range(_N_DRAWS)
        ]
    return Movement(np.stack(updates), 0.0)


@_once
def of_tied_labels(subject: Subject) -> Movement:
    """Turn the error at an equal loss: where two classes score alike, an image gets the label of the one, then of the other.

    The batch is one image over and over, and an output bias makes the two scores equal.
    """
    with jax.enable_x64(True):
        images, labels = subject.precise_batch()
        images = jnp.broadcast_to(images[:1], images.shape)
        params = subject.precise_state.params
        scores = jax.jit(subject.network.forward)(params["network"], images)[-1][0]
        last = dict(params["network"][-1])
        last["bias"] = last["bias"].at[0].add(scores[1] - scores[0])
        changed = {**params, "network": (*params["network"][:-1], last)}
        updates = [
            movement(
                _asked(subject, changed, images, jnp.zeros_like(labels), draw),
                _asked(subject, changed, images, jnp.ones_like(labels), draw),
            )
            for draw in range(_N_DRAWS)
        ]
    return Movement(np.stack(updates), 0.0)
