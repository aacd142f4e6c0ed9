"""Where every value of a traced program comes from: which blocks' weights, read in which direction, which activities, which labels.

The program of a learning step is walked equation by equation, into loops, branches and nested programs, and every value's origin
(`origins`) is found from those of what went into it.

With `cut`, what is on a wire counts as that block's activity and nothing else: tokens then say what a signal needs *beside*
activities. A value counts as on a wire wherever it is the very array that a block's synapses are given, now or in the next round of
a loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal
from jax.interpreters import partial_eval

from learning_rules.plausibility.axes import NONE
from learning_rules.plausibility.origins import (
    NOTHING,
    REDUCTIONS,
    Origin,
    Token,
    Weight,
    as_vector,
    copied,
    joined,
    meets_a_signal,
    mixed,
    shape_of,
    together,
    weight_after,
    without_first_axis,
)
from learning_rules.plausibility.tagging import wire_of

__all__ = ["Reads", "count_products", "walk"]


@dataclass
class Reads:
    """Products in which a block's weights were summed, in multiply-accumulates, and all products of the program."""

    forward: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    backward: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    products: float = 0.0
    endless: bool = False


_SAME_ARRAY = ("convert_element_type", "copy", "copy_p", "reduce_precision", "stop_gradient", "optimization_barrier", "name")
# As many numbers an example may be broadcast, of a few losses or phases, and still be called scalars.
_FEW = 4


def _inner(equation: Any) -> list[Any]:
    """Programs inside an equation."""
    found = []
    for value in equation.params.values():
        for each in value if isinstance(value, list | tuple) else (value,):
            if hasattr(each, "eqns") or hasattr(each, "jaxpr"):
                found.append(each)
    return found


def _open(program: Any) -> Any:
    return program.jaxpr if isinstance(program, ClosedJaxpr) or not hasattr(program, "eqns") else program


class _Walker:
    def __init__(self, n_examples: int, cut: bool):
        self.lengths = {n_examples * times for times in range(1, 5)}
        self.cut = cut
        self.reads = Reads()
        self.states: dict[int, dict[Any, int]] = {}

    # What is on a wire.

    def find_states(self, program: Any, given: dict[int, int] | None = None) -> dict[int, int]:
        """Mark values that blocks' synapses are given; returns the program's own inputs among them, place -> position.

        `given` holds outputs that are known to be states, place -> position.
        """
        marks: dict[Any, int] = self.states.setdefault(id(program), {})
        for place, position in (given or {}).items():
            variable = program.outvars[place]
            if not isinstance(variable, Literal):
                marks.setdefault(variable, position)
        for equation in reversed(program.eqns):
            name = equation.primitive.name
            if name == "name":
                wire = wire_of(equation.params["name"])
                if wire is not None and not isinstance(equation.invars[0], Literal):
                    marks.setdefault(equation.invars[0], wire)
            elif name in _SAME_ARRAY or name == "reshape":
                if equation.outvars[0] in marks and not isinstance(equation.invars[0], Literal):
                    marks.setdefault(equation.invars[0], marks[equation.outvars[0]])
            elif name == "scan":
                self._find_states_of_scan(equation, marks)
            else:
                for inner in map(_open, _inner(equation)):
                    if len(inner.invars) > len(equation.invars):
                        continue
                    first = len(equation.invars) - len(inner.invars)
                    for place, position in self.find_states(inner).items():
                        variable = equation.invars[first + place]
                        if not isinstance(variable, Literal):
                            marks.setdefault(variable, position)
        return {place: marks[variable] for place, variable in enumerate(program.invars) if variable in marks}

    def _find_states_of_scan(self, equation: Any, marks: dict[Any, int]) -> None:
        body, n_consts, n_carry = _open(equation.params["jaxpr"]), equation.params["num_consts"], equation.params["num_carry"]
        carried = {place: marks[variable] for place, variable in enumerate(equation.outvars[:n_carry]) if variable in marks}
        while True:
            found = self.find_states(body, carried)
            more = {place - n_consts: each for place, each in found.items() if n_consts <= place < n_consts + n_carry}
            if set(more) <= set(carried):
                break
            carried |= {place: each for place, each in more.items() if place not in carried}
        for place, position in {**found, **{n_consts + place: each for place, each in carried.items()}}.items():
            if place < n_consts + n_carry and not isinstance(equation.invars[place], Literal):
                marks.setdefault(equation.invars[place], position)
        for place, position in carried.items():
            marks.setdefault(equation.outvars[place], position)

    # The walk.

    def run(self, program: Any, consts: Sequence[Origin], inputs: Sequence[Origin], times: float = 1.0) -> list[Origin]:
        """Origins of a program's outputs."""
        marks = self.states.get(id(program), {}) if self.cut else {}
        known: dict[Any, Origin] = {}

        def read(variable: Any) -> Origin:
            return NOTHING if isinstance(variable, Literal) else known[variable]

        def write(variable: Any, origin: Origin) -> None:
            if variable in marks:
                origin = Origin(frozenset({("activity", marks[variable])}))
            known[variable] = origin

        for variable, origin in zip((*program.constvars, *program.invars), (*consts, *inputs), strict=True):
            write(variable, origin)
        for equation in program.eqns:
            found = self.step(equation, [read(variable) for variable in equation.invars], times)
            for variable, origin in zip(equation.outvars, found, strict=True):
                write(variable, self._as_scalar(variable, origin))
        return [read(variable) for variable in program.outvars]

    def _as_scalar(self, variable: Any, origin: Origin) -> Origin:
        """Wrap the tokens of what is no more than a number an example; whole numbers may stand for more (labels do)."""
        if not jnp.issubdtype(getattr(variable.aval, "dtype", bool), jnp.floating):
            return origin
        if origin.tokens <= {("labels",)}:
            # A label as a number is still a label.
            return origin
        longer = [size for size in shape_of(variable) if size != 1]
        if longer and not (len(longer) == 1 and longer[0] in self.lengths):
            return origin
        return Origin(frozenset(token if token[0] == "scalar" else ("scalar", token) for token in origin.tokens))

    def step(self, equation: Any, inputs: list[Origin], times: float) -> list[Origin]:
        """Origins of an equation's outputs."""
        name = equation.primitive.name
        if name == "name" and self.cut and wire_of(equation.params["name"]) is not None:
            return [Origin(frozenset({("activity", wire_of(equation.params["name"]))}))]
        if name == "scan":
            return self._scan(equation, inputs, times)
        if name == "while":
            return self._while(equation, inputs, times)
        if name == "cond":
            return self._cond(equation, inputs, times)
        if name in ("dot_general", "conv_general_dilated"):
            return [self._product(equation, inputs, times)]
        if name.startswith("random_") or name in ("threefry2x32", "rng_bit_generator"):
            return [Origin(frozenset({("random",)}))] * len(equation.outvars)
        programs = _inner(equation)
        if name == "reduce":
            return [together(inputs)] * len(equation.outvars)
        if name.startswith("scatter") or name == "dynamic_update_slice":
            inputs = [as_vector(origin) for origin in inputs]
            programs = []
        if name in ("concatenate", "stack") and len(inputs) > _FEW:
            inputs = [as_vector(origin) for origin in inputs]
        if programs:
            return self._nested(programs[0], equation, inputs, times)
        return self._elementary(equation, inputs, times)

    def _nested(self, program: Any, equation: Any, inputs: list[Origin], times: float) -> list[Origin]:
        inner = _open(program)
        consts = [NOTHING] * len(inner.constvars)
        if len(inner.invars) != len(inputs) or len(inner.outvars) != len(equation.outvars):
            return [together(inputs)] * len(equation.outvars)
        return self.run(inner, consts, inputs, times)

    def _scan(self, equation: Any, inputs: list[Origin], times: float) -> list[Origin]:
        parameters = equation.params
        body, n_consts, n_carry = _open(parameters["jaxpr"]), parameters["num_consts"], parameters["num_carry"]
        consts, carry = inputs[:n_consts], inputs[n_consts : n_consts + n_carry]
        each = [without_first_axis(origin) for origin in inputs[n_consts + n_carry :]]
        found = self._to_fixed_point(
            lambda carried, times: self.run(body, [NOTHING] * len(body.constvars), [*consts, *carried, *each], times),
            carry,
            times * parameters["length"],
        )
        # What a loop stacks has an axis more than what it made: which axes are which is not followed there.
        # And one number an example after the other, a unit at a time, is a vector in the end.
        stacked = [together([origin]) if origin.weight else origin for origin in found[n_carry:]]
        return [*found[:n_carry], *(map(as_vector, stacked) if parameters["length"] > _FEW else stacked)]

    def _to_fixed_point(self, body: Any, carry: list[Origin], times: float) -> list[Origin]:
        reads = self.reads
        while True:
            # Counted once, when nothing changes any more.
            self.reads = Reads()
            outputs = body(carry, times)
            met = [joined(before, after) for before, after in zip(carry, outputs, strict=False)]
            if met == list(carry):
                break
            carry = met
        counted, self.reads = self.reads, reads
        for direction in ("forward", "backward"):
            for block, products in getattr(counted, direction).items():
                getattr(reads, direction)[block] += products
        reads.products += counted.products
        reads.endless |= counted.endless
        return [*carry, *outputs[len(carry) :]]

    def _while(self, equation: Any, inputs: list[Origin], times: float) -> list[Origin]:
        parameters = equation.params
        n_cond, n_body = parameters["cond_nconsts"], parameters["body_nconsts"]
        condition, body = _open(parameters["cond_jaxpr"]), _open(parameters["body_jaxpr"])
        carry = inputs[n_cond + n_body :]
        self.reads.endless = True

        def once(carried: list[Origin], times: float) -> list[Origin]:
            decided = self.run(condition, [NOTHING] * len(condition.constvars), [*inputs[:n_cond], *carried], times)
            outputs = self.run(body, [NOTHING] * len(body.constvars), [*inputs[n_cond : n_cond + n_body], *carried], times)
            return [joined(output, Origin(decided[0].tokens), keep=output) for output in outputs]

        return self._to_fixed_point(once, carry, times)

    def _cond(self, equation: Any, inputs: list[Origin], times: float) -> list[Origin]:
        branches = [_open(branch) for branch in equation.params["branches"]]
        outputs = [self.run(branch, [NOTHING] * len(branch.constvars), inputs[1:], times) for branch in branches]
        decided = Origin(inputs[0].tokens)
        merged = outputs[0]
        for other in outputs[1:]:
            merged = [joined(one, another) for one, another in zip(merged, other, strict=True)]
        return [joined(output, decided, keep=output) for output in merged]

    # Products and the rest.

    def _product(self, equation: Any, inputs: list[Origin], times: float) -> Origin:
        operands = [shape_of(variable) for variable in equation.invars[:2]]
        if equation.primitive.name == "dot_general":
            contracted, _ = equation.params["dimension_numbers"]
            summed = [list(axes) for axes in contracted]
        else:
            numbers = equation.params["dimension_numbers"]
            summed = [list(numbers.lhs_spec[1:]), list(numbers.rhs_spec[1:])]
        n_products = times * prod(shape_of(equation.outvars[0])) * prod(operands[1][axis] for axis in summed[1])
        self.reads.products += n_products
        tokens: set[Token] = set()
        for place, origin in enumerate(inputs[:2]):
            other = inputs[1 - place]
            tokens |= origin.tokens
            if origin.weight is None:
                continue
            over = frozenset().union(*(origin.weight.axes[axis] for axis in summed[place])) if summed[place] else NONE
            if equation.primitive.name == "dot_general" and not meets_a_signal(other) and other.weight is None:
                # Mixed by constants, a weight is a weight still: what it was summed over goes on in the other's free axes.
                return Origin(frozenset(tokens | other.tokens), mixed(origin.weight, equation, place, over))
            tokens |= self._read(origin.weight, over, other, n_products)
        # Mixed by constants, pictures are pictures still.
        copies = {origin.copy for place, origin in enumerate(inputs[:2]) if origin.copy and not inputs[1 - place].tokens}
        return Origin(frozenset(tokens), copy=next(iter(copies)) if len(copies) == 1 else "")

    def _read(self, weight: Weight, over: frozenset[str], other: Origin, n_products: float) -> set[Token]:
        """What a sum over some of a weight's axes says of the weight."""
        if not meets_a_signal(other) or not over:
            return {("weights", weight.block, "value")}
        if over == {"in", "out"}:
            # Fan-in and units in one axis, as in a flattened array: this says nothing of a direction.
            return {("weights", weight.block, "value")}
        if "out" not in over:
            self.reads.forward[weight.block] += n_products
            return {("weights", weight.block, "forward")}
        self.reads.backward[weight.block] += n_products
        return {("weights", weight.block, "sign backward" if weight.sign else "backward")}

    def _elementary(self, equation: Any, inputs: list[Origin], times: float) -> list[Origin]:
        name, outputs = equation.primitive.name, equation.outvars
        tokens = frozenset().union(*(origin.tokens for origin in inputs)) if inputs else frozenset()
        weight = weight_after(equation, inputs)
        if weight is None:
            lost = {("weights", origin.weight.block, "value") for origin in inputs if origin.weight is not None}
            if name in REDUCTIONS:
                for origin in inputs:
                    if origin.weight is not None and origin.weight.multiplied:
                        over = frozenset().union(*(origin.weight.axes[axis] for axis in equation.params.get("axes", ()))) or NONE
                        n_products = times * prod(shape_of(equation.invars[0]))
                        self.reads.products += n_products
                        lost |= self._read(origin.weight, over, Origin(frozenset({("activity", -1)})), n_products)
            tokens |= lost
        if len(outputs) > 1:
            # Which output is which is not followed: every one may hold all.
            return [together(inputs)] * len(outputs)
        return [Origin(tokens, weight, copied(equation, inputs))]


def walk(program: ClosedJaxpr, inputs: Sequence[Origin], n_examples: int, cut: bool = False) -> tuple[list[Origin], Reads]:
    """Find out where every output of a program comes from.

    What no output needs, such as values that only give a shape, is left out.

    Args:
        program: as `jax.make_jaxpr` gives it.
        inputs: origins of its inputs.
        n_examples: examples in a batch, by which numbers per example are recognised: choose it unlike any width.
        cut: whether values on wires count as activities and nothing else.

    Returns:
        Origins of its outputs, and what products read.
    """
    walker = _Walker(n_examples, cut)
    jaxpr, used = partial_eval.dce_jaxpr(program.jaxpr, [True] * len(program.jaxpr.outvars))
    if cut:
        walker.find_states(jaxpr)
    needed = [origin for origin, counts in zip(inputs, used, strict=True) if counts]
    outputs = walker.run(jaxpr, [NOTHING] * len(jaxpr.constvars), needed)
    return outputs, walker.reads


def count_products(program: ClosedJaxpr) -> float:
    """Multiply-accumulates in all products of a program, loops with their length; a loop of unknown length counts once."""
    return walk(program, [NOTHING] * len(program.jaxpr.invars), n_examples=0)[1].products
