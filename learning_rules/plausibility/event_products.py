"""How many synaptic operations a program takes where signals are events: counted while it runs, events times fan-out.

A spike costs one operation at each synapse that it reaches, and silence costs none, so that what a product of spikes and weights
costs hangs on how many spikes there are and not on the shape of the arrays that they are kept in. Every product of the program is
looked at with the values that it has: of its two factors, the one that is silent more often decides. A value is silent where it is
nought; or where it is what most values that meet the same partner are, such as a running mean taken from every spike, whose part
in the sum is the same for all and is a bias.

Where all events are of one size, a synapse adds its weight: an accumulate. Where they are graded, it multiplies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from learning_rules.plausibility import jaxprs
from learning_rules.plausibility.jaxprs import Program, Step
from learning_rules.plausibility.tagging import MIN_VALUES

__all__ = ["Operations", "count_events"]

# Spikes less a running mean are of one size but for rounding.
_ONE_SIZE = 1.001


class Operations(NamedTuple):
    """Numbers of operations.

    Attributes
    ----------
    multiply_accumulates, accumulates
        Of graded values, and of events of one size.
    """

    multiply_accumulates: float
    accumulates: float


class _Factor(NamedTuple):
    """Of a factor of a product: the part of its values that are events, and whether these are of one size."""

    fraction: Array
    one_size: Array


def _events(x: Array, summed: Sequence[int], shared: Sequence[int]) -> _Factor:
    """Events of a factor that is summed over some axes, and has others in common with its partner."""
    met = (*shared, *summed)
    free = [axis for axis in range(x.ndim) if axis not in met]
    n_met = math.prod(x.shape[axis] for axis in met)
    rows = jnp.transpose(x, (*met, *free)).reshape(n_met, -1)
    n = rows.shape[1]
    # What more than half of the values are is the middle one of them.
    middle = jnp.sort(rows, axis=1)[:, n // 2, None]
    common = 2 * jnp.sum(rows == middle, axis=1, keepdims=True) > n
    has_nought = jnp.any(rows == 0, axis=1, keepdims=True)
    # Where nothing stands out from it, a value that all have is a signal like any other; and a few values say nothing of levels.
    common = common & (n >= MIN_VALUES) & jnp.any(rows != middle)
    silent = jnp.where(has_nought, 0, jnp.where(common, middle, jnp.nan))
    event = rows != silent
    size = jnp.abs(rows - jnp.where(jnp.isnan(silent), 0, silent))
    largest, smallest = jnp.max(jnp.where(event, size, 0)), jnp.min(jnp.where(event, size, jnp.inf))
    return _Factor(jnp.mean(event, dtype=jnp.float32), largest <= _ONE_SIZE * smallest)


def _of_product(step: Step, factors: Sequence[Array], graded: bool) -> Array:
    """Multiply-accumulates and accumulates of one product, (2,)."""
    axes, shared = jaxprs.summed_of(step)
    dense = float(math.prod(jaxprs.shape_of(step.outputs[0])) * math.prod(factors[1].shape[axis] for axis in axes[1]))
    if not dense:
        return jnp.zeros(2)
    found = [_events(*each) for each in zip(factors, axes, shared, strict=True)]
    # A value takes part in as many sums as any other of its factor.
    counted = [jnp.where(each.one_size | graded, each.fraction, 1.0) for each in found]
    fewest = jnp.minimum(*counted)
    one_size = jnp.where(counted[0] <= counted[1], found[0].one_size, found[1].one_size) & (fewest < 1)
    return dense * fewest * jnp.stack([~one_size, one_size])


def _run(program: Program, constants: Sequence[Any], inputs: Sequence[Any], graded: bool) -> tuple[list[Any], Array]:
    """A program's outputs, and the operations that it took."""
    known: dict[Any, Any] = dict(zip((*program.constvars, *program.invars), (*constants, *inputs), strict=True))
    operations = jnp.zeros(2)
    for equation, step in zip(program.eqns, jaxprs.steps(program), strict=True):
        values = [each.val if jaxprs.is_constant(each) else known[each] for each in step.inputs]
        outputs, more = _step(equation, step, values, graded)
        known.update(zip(step.outputs, outputs, strict=True))
        operations = operations + more
    return [each.val if jaxprs.is_constant(each) else known[each] for each in program.outvars], operations


def _step(equation: Any, step: Step, values: list[Any], graded: bool) -> tuple[list[Any], Array]:
    if step.name in ("dot_general", "conv_general_dilated"):
        return jaxprs.performed(equation, values), _of_product(step, values, graded)
    if step.name == "scan":
        return _scan(step, values, graded)
    if step.name == "while":
        return _while(step, values, graded)
    if step.name == "cond":
        branches = [partial(_run, *jaxprs.opened(branch), graded=graded) for branch in step.parameters["branches"]]
        outputs, operations = jax.lax.switch(values[0], [lambda given, run=run: run(given) for run in branches], values[1:])
        return outputs, operations
    called = jaxprs.called_by(step)
    if called is not None:
        return _run(*jaxprs.opened(called), values, graded)
    return jaxprs.performed(equation, values), jnp.zeros(2)


def _scan(step: Step, values: list[Any], graded: bool) -> tuple[list[Any], Array]:
    _, n_constants, n_carried, length = jaxprs.scan_of(step)
    body, constants = jaxprs.opened(step.parameters["jaxpr"])
    first = n_constants + n_carried

    def one(carried: list[Any], each: list[Any]) -> tuple[list[Any], tuple[list[Any], Array]]:
        outputs, operations = _run(body, constants, [*values[:n_constants], *carried, *each], graded)
        return outputs[:n_carried], (outputs[n_carried:], operations)

    last, (stacked, operations) = jax.lax.scan(
        one, values[n_constants:first], values[first:], length, reverse=step.parameters["reverse"]
    )
    return [*last, *stacked], jnp.sum(operations, axis=0)


def _while(step: Step, values: list[Any], graded: bool) -> tuple[list[Any], Array]:
    of_condition = jaxprs.while_of(step).n_of_condition
    own = of_condition + jaxprs.while_of(step).n_of_body
    condition, body = (jaxprs.opened(step.parameters[name]) for name in ("cond_jaxpr", "body_jaxpr"))

    def goes_on(carried: tuple[list[Any], Array]) -> Any:
        return _run(*condition, [*values[:of_condition], *carried[0]], graded)[0][0]

    def one(carried: tuple[list[Any], Array]) -> tuple[list[Any], Array]:
        outputs, operations = _run(*body, [*values[of_condition:own], *carried[0]], graded)
        return outputs, carried[1] + operations

    return jax.lax.while_loop(goes_on, one, (values[own:], jnp.zeros(2)))


def count_events(function: Callable[..., Any], *inputs: Any, graded: bool = True) -> Operations:
    """Operations of all products of a function, run once.

    Parameters
    ----------
    function
        Of arrays in any trees.
    *inputs
        What it is run with.
    graded
        Whether silence is free beside graded values too, as it is where all signals are events; if not, only products of events of
        one size are counted by events, and all others in full.

    Two spikes, each heard by three units:

    >>> count_events(jnp.dot, jnp.array([[1.0, 0, 0, 1]]), jnp.arange(1.0, 13).reshape(4, 3))
    Operations(multiply_accumulates=0.0, accumulates=6.0)
    """
    program, _ = jaxprs.trace(function, *inputs)
    plain, used = jaxprs.without_unused(program)
    given = [each for each, counts in zip(jax.tree.leaves(inputs), used, strict=True) if counts]
    _, constants = jaxprs.opened(program)
    operations = jax.jit(lambda given: _run(plain, constants, given, graded)[1])(given)
    return Operations(*map(float, operations))
