"""What a rule remembers of past images: they are changed, and what it asks of later ones at the same weights is looked at.

A step may leave in the carry a running mean, a threshold or a trace, which all images that it saw have had their part in; or the
images themselves, to learn from again. Both move the next change, and only the second keeps images apart: the same image leaves the
same mark wherever it stood in its batch where marks are summed, and marks that have little to do with each other where each image
has its own place. Looked for in arrays that could hold two images or more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from learning_rules.contract import RuleState
from learning_rules.plausibility.rule_under_test import RuleUnderTest

__all__ = ["Memory", "memory"]

_STEPS = 40
# Of the marks of one image at two places of a batch: summed they are alike but for noise, apart they share nothing.
_ALIKE = 0.5


class Memory(NamedTuple):
    """What is remembered of past images.

    Attributes
    ----------
    moved
        How far the next change moves when all past images are others, relative to its length, at the same weights.
    apart
        Arrays of the carry, by path, that keep images apart.
    """

    moved: float
    apart: list[str]


def memory(test: RuleUnderTest) -> Memory:
    """Change past images.

    Parameters
    ----------
    test
        The rule under test.
    """
    if not jax.tree.leaves(test.start.carry):
        return Memory(0.0, [])
    batches = [test.batch(step) for step in range(_STEPS)]
    images = jnp.stack([batch[0] for batch in batches])
    targets = jax.tree.map(lambda *each: jnp.stack(each), *(batch[1] for batch in batches))
    params, keys, (now, key) = test.start.params, jax.random.split(test.key(7), _STEPS), (test.batch(_STEPS), test.key(8))

    @jax.jit
    def after(images: Any) -> tuple[Any, Any]:
        """What is asked for after steps on these images, none of which moved a weight, and the carry that they left."""

        def step(carry: Any, given: Any) -> tuple[Any, None]:
            images, targets, key = given
            return test.rule.assign_credit(key, RuleState(params, carry), (images, targets))[1].carry, None

        carry = jax.lax.scan(step, test.start.carry, (images, targets, keys))[0]
        return test.rule.assign_credit(key, RuleState(params, carry), now)[0]["network"], carry

    def asked(images: Any) -> np.ndarray:
        return np.concatenate([np.ravel(np.asarray(leaf)) for leaf in jax.tree.leaves(after(images)[0])])

    before, others = asked(images), asked(images[::-1, ::-1])
    moved = float(np.linalg.norm(others - before)) / max(float(np.linalg.norm(before)), 1e-30)
    return Memory(moved, _apart(test, images, lambda images: after(images)[1]) if moved > 0 else [])


def _apart(test: RuleUnderTest, images: Any, carry_after: Any) -> list[str]:
    """Arrays in which an image of the last step, put at each place of its batch, leaves marks that are not alike."""
    same = images.at[-1].set(images[-1, :1])
    another = images[0, 0]
    before = jax.tree_util.tree_leaves_with_path(carry_after(same))
    afterwards = [jax.tree.leaves(carry_after(same.at[-1, place].set(another))) for place in range(test.n_examples)]
    found = []
    for index, (path, leaf) in enumerate(before):
        if leaf.size < 2 * another.size:
            continue
        marks = np.stack([np.ravel(np.asarray(each[index], np.float64) - np.asarray(leaf, np.float64)) for each in afterwards])
        if _are_apart(marks):
            found.append(jax.tree_util.keystr(path))
    return found


def _are_apart(marks: np.ndarray) -> bool:
    """Whether two places or more leave marks (n_places, size) like no other's, or one place alone leaves any."""
    lengths = np.linalg.norm(marks, axis=1)
    left = marks[lengths > 0] / lengths[lengths > 0, None]
    if len(left) < 2:
        return len(left) == 1 and len(marks) > 1
    alike = left @ left.T > _ALIKE
    return int(np.sum(alike.sum(axis=1) == 1)) > 1
