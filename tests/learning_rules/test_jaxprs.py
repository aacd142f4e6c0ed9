"""Programs in both forms that JAX keeps them in: what is found in one is found in the other."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from learning_rules.plausibility import dataflow, jaxprs
from learning_rules.plausibility.origins import Origin, Weight

IN, OUT = frozenset({"in"}), frozenset({"out"})
KERNEL = Origin(weight=Weight(3, (IN, OUT)))
SIGNAL = Origin(frozenset({("labels",)}))
W, X = jnp.ones((4, 6)), jnp.ones((5, 4))


class Newer:
    """A program as JAX 0.12 has it: one kind, whose `jaxpr` is itself."""

    def __init__(self, program):
        plain = getattr(program, "jaxpr", program)
        self.constvars, self.invars, self.outvars = plain.constvars, plain.invars, plain.outvars
        self.consts = list(getattr(program, "consts", ()))
        self.eqns = [
            SimpleNamespace(primitive=each.primitive, invars=each.invars, outvars=each.outvars, params=newer(each))
            for each in plain.eqns
        ]

    @property
    def jaxpr(self):
        return self


class Groups:
    """Groups of inputs, as a scan there says which are which."""

    def __init__(self, *sizes):
        self.groups = tuple([None] * size for size in sizes)

    def unpack(self):
        return self.groups


def newer(equation):
    def changed(value):
        if isinstance(value, list | tuple):
            return tuple(changed(each) for each in value) if any(map(is_program, value)) else value
        return Newer(value) if is_program(value) else value

    params = {name: changed(value) for name, value in equation.params.items()}
    if "num_consts" in params and "num_carry" in params:
        n_constants, n_carried = params.pop("num_consts"), params.pop("num_carry")
        params["ft_in"] = Groups(n_constants, n_carried, len(equation.invars) - n_constants - n_carried)
    return params


def is_program(value):
    return hasattr(getattr(value, "jaxpr", value), "eqns")


def settle(w, x):
    def step(carry, row):
        return carry + jnp.tanh(row @ w) @ w.T, row @ w

    return jax.lax.scan(step, jnp.zeros(4), x)


PROGRAMS = {
    "a scan with constants": settle,
    "its derivative": lambda w, x: jax.grad(lambda x: jnp.sum(settle(w, x)[0]))(x),
    "a while loop": lambda w, x: jax.lax.while_loop(lambda c: jnp.sum(c @ w) < 3, lambda c: c @ w @ w.T, x),
    "branches": lambda w, x: jax.lax.cond(x.sum() > 0, lambda: x @ w, lambda: 2 * x @ w),
    "a program in a program": lambda w, x: jax.jit(lambda w, x: x @ w)(w, x),
    "a derivative of one's own": lambda w, x: jax.grad(lambda w: jnp.sum(jax.nn.relu(x @ w)))(w),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_both_forms_say_the_same(name, monkeypatch):
    program, _ = jaxprs.trace(PROGRAMS[name], W, X)
    monkeypatch.setattr(jaxprs, "without_unused", lambda given: (jaxprs.as_program(given), (True, True)))
    of_one, of_other = (dataflow.walk(each, [KERNEL, SIGNAL], n_examples=5) for each in (program, Newer(program)))
    assert of_one == of_other
    assert of_one[1].forward[3] > 0
    cut = [dataflow.walk_cut(each, [KERNEL, SIGNAL], 5) for each in (program, Newer(program))]
    assert cut[0] == cut[1]


def test_a_scan_says_which_inputs_are_which_in_either_form():
    program, _ = jaxprs.trace(settle, W, X)
    for form in (program, Newer(program)):
        (scan,) = [step for step in jaxprs.steps(jaxprs.as_program(form)) if step.name == "scan"]
        found = jaxprs.scan_of(scan)
        assert (found.n_constants, found.n_carried, found.length) == (1, 1, 5)
        assert [jaxprs.shape_of(each) for each in found.body.invars] == [(4, 6), (4,), (4,)]


def test_a_program_is_known_wrapped_and_plain_and_nothing_else_is():
    program, outputs = jaxprs.trace(lambda x: x + 1, X)
    plain = jaxprs.as_program(program)
    assert plain is not None and jaxprs.as_program(plain) is plain
    assert jaxprs.as_program(SimpleNamespace(jaxpr="text")) is None and jaxprs.as_program(len) is None
    assert outputs.shape == X.shape


def test_what_no_output_needs_is_left_out_and_inputs_with_it():
    program, _ = jaxprs.trace(lambda w, x: (x @ w, x.sum())[1], W, X)
    plain, used = jaxprs.without_unused(program)
    assert used == (False, True) and len(jaxprs.steps(plain)) == 1


def test_a_mark_stays_in_a_program_and_is_read_there():
    def marks(program):
        found = []
        for step in jaxprs.steps(jaxprs.as_program(program)):
            found += [(jaxprs.mark_of(step), jaxprs.is_tangent(step))] if jaxprs.mark_of(step) else []
            found += [each for inner in jaxprs.programs_of(step) for each in marks(inner)]
        return found

    def marked(x):
        return jaxprs.mark(x, "here") ** 2

    assert marks(jaxprs.trace(marked, X)[0]) == [("here", False)]
    assert marks(jaxprs.trace(lambda x: jax.jvp(marked, (x,), (x,)), X)[0]) == [("here", False), ("here", True)]
    assert marks(jaxprs.trace(jax.grad(lambda x: jnp.sum(marked(x))), X)[0]) == [("here", False)]


def test_constants_and_numbers_are_told_apart():
    program, _ = jaxprs.trace(lambda x: x * 2.0 + jnp.argmax(x), X)
    found = jaxprs.steps(jaxprs.as_program(program))
    multiplied = next(step for step in found if step.name == "mul")
    assert [jaxprs.is_constant(each) for each in multiplied.inputs] == [False, True]
    chosen = next(step for step in found if step.name == "argmax")
    assert jaxprs.is_floating(chosen.inputs[0]) and not jaxprs.is_floating(chosen.outputs[0])
