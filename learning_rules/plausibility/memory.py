"""What a rule remembers of past images: they are changed, and what it asks of later ones at the same weights is looked at.

A step may leave in the carry a running mean, a threshold or a trace, which all images that it saw have had their part in; or the
images themselves, to learn from again. Both move the next change, and only the second keeps images apart: the same example leaves
the same mark wherever it stood in its batch where marks are summed, and marks that have little to do with each other where each
example has its own place. There the same numbers are found, at other addresses: where a rule draws anew for each place of a batch,
marks are unlike too, but by their numbers. Looked for in arrays that could hold two images or more.
"""

from __future__ import annotations

import itertools
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
# Of their numbers in order of size, the part of their length by which marks of one kept image may differ.
_SAME_NUMBERS = 1e-3


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
    def after(images: Any, targets: Any) -> tuple[Any, Any]:
        """What is asked for after steps on these images, none of which moved a weight, and the carry that they left."""

        def step(carry: Any, given: Any) -> tuple[Any, None]:
            images, targets, key = given
            return test.rule.assign_credit(key, RuleState(params, carry), (images, targets))[1].carry, None

        carry = jax.lax.scan(step, test.start.carry, (images, targets, keys))[0]
        return test.rule.assign_credit(key, RuleState(params, carry), now)[0]["network"], carry

    def asked(images: Any) -> np.ndarray:
        return np.concatenate([np.ravel(np.asarray(leaf)) for leaf in jax.tree.leaves(after(images, targets)[0])])

    before, others = asked(images), asked(images[::-1, ::-1])
    moved = float(np.linalg.norm(others - before)) / max(float(np.linalg.norm(before)), 1e-30)
    return Memory(moved, _apart(test, images, targets, lambda *given: after(*given)[1]) if moved > 0 else [])


def _apart(test: RuleUnderTest, images: Any, targets: Any, carry_after: Any) -> list[str]:
    """Arrays in which an example of the last step, put at each place of its batch, leaves marks that are not alike."""
    every_step = (slice(None),) if test.rule.objective is not None and test.rule.objective.per_step else ()

    def put(leaf: Any, place: int | slice, of: tuple[int, int], at: tuple[slice, ...]) -> Any:
        example = leaf[(of[0], *at, slice(of[1], of[1] + 1))]
        return leaf.at[(-1, *at, place if isinstance(place, slice) else slice(place, place + 1))].set(example)

    def shown(place: int | None) -> Any:
        """The carry after one example over and over in the last step, and another at a place; its label goes with it."""
        given = []
        for tree, at in ((images, ()), (targets, every_step)):
            of_one = jax.tree.map(lambda leaf, at=at: put(leaf, slice(None), (-1, 0), at), tree)
            given.append(of_one if place is None else jax.tree.map(lambda leaf, at=at: put(leaf, place, (0, 0), at), of_one))
        return carry_after(*given)

    before = jax.tree_util.tree_leaves_with_path(shown(None))
    afterwards = [jax.tree.leaves(shown(place)) for place in range(test.n_examples)]
    found = []
    for index, (path, leaf) in enumerate(before):
        if leaf.size < 2 * images[0, 0].size:
            continue
        marks = np.stack([np.ravel(np.asarray(each[index], np.float64) - np.asarray(leaf, np.float64)) for each in afterwards])
        if _are_apart(marks):
            found.append(jax.tree_util.keystr(path))
    return found


def _are_apart(marks: np.ndarray) -> bool:
    """Whether marks (n_places, size) of two places are like no other's but in their numbers, or one place alone leaves any."""
    lengths = np.linalg.norm(marks, axis=1)
    left = marks[lengths > 0] / lengths[lengths > 0, None]
    if len(left) < 2:
        return len(left) == 1 and len(marks) > 1
    alone = (left @ left.T > _ALIKE).sum(axis=1) == 1
    numbers = np.sort(np.abs(left[alone]), axis=1)
    return any(np.linalg.norm(one - other) < _SAME_NUMBERS for one, other in itertools.combinations(numbers, 2))
