"""Which wires carry anything: what is on a wire is a signal only if the rule's changes would be others without it.

An array that is shown to a synapse and then counts for nothing, or for next to nothing, has been on no wire. Every wire that a
learning step comes by, and every tangent that is carried forward over one, is silenced in turn, in double precision; where no
hidden node's change moves, it is dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from learning_rules.plausibility.precision import double_precision
from learning_rules.plausibility.tagging import Dead, Marks, marked
from learning_rules.plausibility.two_steps import two_steps

if TYPE_CHECKING:
    from learning_rules.plausibility.rule_under_test import RuleUnderTest

__all__ = ["DeadWires", "dead_wires"]

# What moves a change by less than this of its own length has no say in it.
_MOVED = 1e-4
MAX_WIRES = 600
"""Honest rules come by a few dozen. Wires beyond these, of a step that is written out unit by unit, say, count as dead."""


class DeadWires(NamedTuple):
    """What carries nothing.

    Attributes
    ----------
    dead
        Which wires, and which tangents.
    unseen
        How many of them count as dead because nobody looked: all beyond `MAX_WIRES`.
    """

    dead: Dead
    unseen: int


def dead_wires(test: RuleUnderTest) -> DeadWires:
    """Silence each wire of a learning step in turn.

    Parameters
    ----------
    test
        The rule under test.
    """
    state, batch, key = test.precise_state, test.precise_batch(), test.key(2)
    counted = Marks()
    with double_precision():
        jax.eval_shape(counted.around(test.make(marked(test.network, counted))).assign_credit, key, state, batch)
        n_wires = min(counted.most, MAX_WIRES)
        # A rule made anew: what it compiles by itself is else remembered as it was when it was counted.
        marks = Marks()
        steps = two_steps(marks.around(test.make(marked(test.network, marks))))
        whole = np.ones((2 * n_wires + 1, n_wires, 2))
        for number in range(n_wires):
            whole[1 + 2 * number, number, 0] = whole[2 + 2 * number, number, 1] = 0

        def updates(factors: Array) -> Any:
            marks.factors = factors
            # What is kept for the next step has been a signal too.
            found = steps(state.params, state.carry, batch, key)[0]["network"]
            return [jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(found[node])]) for node in test.hidden]

        with_each = jax.jit(lambda factors: jax.lax.map(updates, factors))
        found = [np.asarray(own) for own in jax.block_until_ready(with_each(jnp.asarray(whole)))]
    live = np.zeros(2 * n_wires, bool)
    for own in found:
        # Not a number is a move too.
        live |= ~(np.linalg.norm(own[1:] - own[0], axis=1) <= _MOVED * np.linalg.norm(own[0]))
    dead = {(number // 2, bool(number % 2)) for number in np.flatnonzero(~live).tolist()}
    beyond = {(number, tangent) for number in range(n_wires, counted.most) for tangent in (False, True)}
    return DeadWires(frozenset(dead | beyond), counted.most - n_wires)
