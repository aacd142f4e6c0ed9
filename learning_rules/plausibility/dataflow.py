"""Where every value of a traced program comes from: which blocks' weights, read in which direction, which activities, which labels.

The program of a learning step is walked equation by equation, into loops, branches and nested programs. Every value carries
*tokens*:

- `("weights", k, how)`: block k's weights. `how` is "forward" where they were summed over their fan-in, as a synapse does;
  "backward" where they were summed over their units, as an error carried down through them is, or "sign backward" where their signs
  were; "value" where they were looked at without either.
- `("activity", k)`, `("labels",)`, `("images",)`, `("random",)`, `("params", name)`, `("carry",)`.
- `("scalar", token)`: no more than a number an example, or one in all, is left of it.

With `cut`, what is on a wire counts as that block's activity and nothing else: tokens then say what a signal needs *beside*
activities. A value counts as on a wire wherever it is the very array that a block's synapses are given, now or in the next round of
a loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal

from learning_rules.plausibility.axes import NONE, Axes, broadcast, reshape, union
from learning_rules.plausibility.tagging import wire_of

__all__ = ["Origin", "Reads", "Token", "Weight", "walk"]

Token = tuple[Any, ...]


class Weight(NamedTuple):
    """That a value is still a block's weight array: which axes are which, whether only signs are left, whether a signal came in."""

    block: int
    axes: Axes
    sign: bool = False
    multiplied: bool = False


class Origin(NamedTuple):
    """Where a value comes from. `copy` names an input of which this is a copy, number by number."""

    tokens: frozenset[Token] = frozenset()
    weight: Weight | None = None
    copy: str = ""


@dataclass
class Reads:
    """Products in which a block's weights were summed, in multiply-accumulates, and all products of the program."""

    forward: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    backward: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    products: float = 0.0
    endless: bool = False


NOTHING = Origin()
_SAME_ARRAY = ("convert_element_type", "copy", "copy_p", "reduce_precision", "stop_gradient", "optimization_barrier", "name")
# As many numbers an example may be broadcast, of a few losses or phases, and still be called scalars.
_FEW = 4
_RESIZING = ("slice", "dynamic_slice", "pad", "rev", "dynamic_update_slice")
_OPAQUE = ("pure_callback", "io_callback", "gather", "sort", "cumsum", "cumlogsumexp", "cummax", "cummin", "cumprod")
_REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "argmax", "argmin")
_MOVES = ("reshape", "transpose", "broadcast_in_dim", "squeeze", "expand_dims", "slice", "rev", "dynamic_slice", "gather", "pad",
          "concatenate", "dynamic_update_slice", "scatter", "scatter-add", "scatter_add", "select_n", "copy",
         "convert_element_type", "stack")  # fmt: skip


def _shape(variable: Any) -> tuple[int, ...]:
    return tuple(getattr(variable.aval, "shape", ()))


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
        longer = [size for size in _shape(variable) if size != 1]
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
            return [_together(inputs)] * len(equation.outvars)
        if name.startswith("scatter") or name == "dynamic_update_slice":
            inputs = [_as_vector(origin) for origin in inputs]
            programs = []
        if name in ("concatenate", "stack") and len(inputs) > _FEW:
            inputs = [_as_vector(origin) for origin in inputs]
        if programs:
            return self._nested(programs[0], equation, inputs, times)
        return self._elementary(equation, inputs, times)

    def _nested(self, program: Any, equation: Any, inputs: list[Origin], times: float) -> list[Origin]:
        inner = _open(program)
        consts = [NOTHING] * len(inner.constvars)
        if len(inner.invars) != len(inputs) or len(inner.outvars) != len(equation.outvars):
            return [_together(inputs)] * len(equation.outvars)
        return self.run(inner, consts, inputs, times)

    def _scan(self, equation: Any, inputs: list[Origin], times: float) -> list[Origin]:
        parameters = equation.params
        body, n_consts, n_carry = _open(parameters["jaxpr"]), parameters["num_consts"], parameters["num_carry"]
        consts, carry = inputs[:n_consts], inputs[n_consts : n_consts + n_carry]
        each = [_without_first_axis(origin) for origin in inputs[n_consts + n_carry :]]
        found = self._to_fixed_point(
            lambda carried, times: self.run(body, [NOTHING] * len(body.constvars), [*consts, *carried, *each], times),
            carry,
            times * parameters["length"],
        )
        # What a loop stacks has an axis more than what it made: which axes are which is not followed there.
        # And one number an example after the other, a unit at a time, is a vector in the end.
        stacked = [_together([origin]) if origin.weight else origin for origin in found[n_carry:]]
        return [*found[:n_carry], *(map(_as_vector, stacked) if parameters["length"] > _FEW else stacked)]

    def _to_fixed_point(self, body: Any, carry: list[Origin], times: float) -> list[Origin]:
        reads = self.reads
        while True:
            # Counted once, when nothing changes any more.
            self.reads = Reads()
            outputs = body(carry, times)
            joined = [_joined(before, after) for before, after in zip(carry, outputs, strict=False)]
            if joined == list(carry):
                break
            carry = joined
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
            return [_joined(output, Origin(decided[0].tokens), keep=output) for output in outputs]

        return self._to_fixed_point(once, carry, times)

    def _cond(self, equation: Any, inputs: list[Origin], times: float) -> list[Origin]:
        branches = [_open(branch) for branch in equation.params["branches"]]
        outputs = [self.run(branch, [NOTHING] * len(branch.constvars), inputs[1:], times) for branch in branches]
        decided = Origin(inputs[0].tokens)
        merged = outputs[0]
        for other in outputs[1:]:
            merged = [_joined(one, another) for one, another in zip(merged, other, strict=True)]
        return [_joined(output, decided, keep=output) for output in merged]

    # Products and the rest.

    def _product(self, equation: Any, inputs: list[Origin], times: float) -> Origin:
        operands = [_shape(variable) for variable in equation.invars[:2]]
        if equation.primitive.name == "dot_general":
            contracted, _ = equation.params["dimension_numbers"]
            summed = [list(axes) for axes in contracted]
        else:
            numbers = equation.params["dimension_numbers"]
            summed = [list(numbers.lhs_spec[1:]), list(numbers.rhs_spec[1:])]
        n_products = times * prod(_shape(equation.outvars[0])) * prod(operands[1][axis] for axis in summed[1])
        self.reads.products += n_products
        tokens: set[Token] = set()
        for place, origin in enumerate(inputs[:2]):
            other = inputs[1 - place]
            tokens |= origin.tokens
            if origin.weight is None:
                continue
            over = frozenset().union(*(origin.weight.axes[axis] for axis in summed[place])) if summed[place] else NONE
            if equation.primitive.name == "dot_general" and not _meets_a_signal(other) and other.weight is None:
                # Mixed by constants, a weight is a weight still: what it was summed over goes on in the other's free axes.
                return Origin(frozenset(tokens | other.tokens), _mixed(origin.weight, equation, place, over))
            tokens |= self._read(origin.weight, over, other, n_products)
        # Mixed by constants, pictures are pictures still.
        copies = {origin.copy for place, origin in enumerate(inputs[:2]) if origin.copy and not inputs[1 - place].tokens}
        return Origin(frozenset(tokens), copy=next(iter(copies)) if len(copies) == 1 else "")

    def _read(self, weight: Weight, over: frozenset[str], other: Origin, n_products: float) -> set[Token]:
        """What a sum over some of a weight's axes says of the weight."""
        if not _meets_a_signal(other) or not over:
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
        weight = _weight_after(equation, inputs)
        if weight is None:
            lost = {("weights", origin.weight.block, "value") for origin in inputs if origin.weight is not None}
            if name in _REDUCTIONS:
                for origin in inputs:
                    if origin.weight is not None and origin.weight.multiplied:
                        over = frozenset().union(*(origin.weight.axes[axis] for axis in equation.params.get("axes", ()))) or NONE
                        n_products = times * prod(_shape(equation.invars[0]))
                        self.reads.products += n_products
                        lost |= self._read(origin.weight, over, Origin(frozenset({("activity", -1)})), n_products)
            tokens |= lost
        if len(outputs) > 1:
            # Which output is which is not followed: every one may hold all.
            return [_together(inputs)] * len(outputs)
        return [Origin(tokens, weight, _copied(equation, inputs))]


def _as_vector(origin: Origin) -> Origin:
    """Numbers an example that are put side by side are no longer one number."""
    return origin._replace(tokens=frozenset(token[1] if token[0] == "scalar" else token for token in origin.tokens))


def _meets_a_signal(other: Origin) -> bool:
    """Whether a weight's partner in a product is a signal rather than weights or constants."""
    return any(token[0] not in ("weights", "params") for token in other.tokens)


def _mixed(weight: Weight, equation: Any, place: int, over: frozenset[str]) -> Weight:
    """A weight times a constant matrix: its own free axes, and the partner's, which stand for what was summed."""
    contracted, batched = equation.params["dimension_numbers"]
    n_other = len(_shape(equation.invars[1 - place]))
    free = [axis for i, axis in enumerate(weight.axes) if i not in contracted[place] and i not in batched[place]]
    partner = [over] * (n_other - len(contracted[1 - place]) - len(batched[1 - place]))
    together = [weight.axes[axis] for axis in batched[place]]
    return weight._replace(axes=(*together, *free, *partner) if place == 0 else (*together, *partner, *free), sign=False)


def _copied(equation: Any, inputs: list[Origin]) -> str:
    """The input of which an equation's output is still a copy: moved, or rescaled by constants, but not mixed."""
    sources = {origin.copy for origin in inputs if origin.copy}
    if len(sources) != 1:
        return ""
    # What is written among other things of the same kind is still stored.
    if equation.primitive.name in _MOVES:
        return next(iter(sources))
    others = [origin for origin in inputs if not origin.copy]
    plain = all(not origin.tokens for origin in others)
    same = _shape(equation.outvars[0]) in [_shape(variable) for variable in equation.invars]
    return next(iter(sources)) if plain and same and equation.primitive.name not in _REDUCTIONS else ""


def _together(inputs: Sequence[Origin]) -> Origin:
    tokens = frozenset().union(*(origin.tokens for origin in inputs)) if inputs else frozenset()
    lost = {("weights", origin.weight.block, "value") for origin in inputs if origin.weight is not None}
    return Origin(tokens | lost)


def _is_blank(origin: Origin) -> bool:
    """Whether nothing is known to have come here yet, but what a rule started with."""
    return origin.weight is None and not origin.copy and all(token[0] in ("carry", "params") for token in origin.tokens)


def _joined(one: Origin, other: Origin, keep: Origin | None = None) -> Origin:
    """Either of two: all tokens, and what both agree on, or one has while the other is blank."""
    if keep is not None:
        return keep._replace(tokens=one.tokens | other.tokens)
    tokens = one.tokens | other.tokens
    weight = one.weight if one.weight == other.weight else None
    if _is_blank(one) or _is_blank(other):
        # A place that nothing was put into yet may hold the other's weights.
        weight = one.weight or other.weight
    if weight is None:
        tokens |= {("weights", each.weight.block, "value") for each in (one, other) if each.weight is not None}
    # An empty buffer that images are written into holds images.
    copy = one.copy or other.copy if not (one.copy and other.copy and one.copy != other.copy) else ""
    return Origin(tokens, weight, copy)


def _without_first_axis(origin: Origin) -> Origin:
    return origin if origin.weight is None else origin._replace(weight=origin.weight._replace(axes=origin.weight.axes[1:]))


def _weight_after(equation: Any, inputs: list[Origin]) -> Weight | None:
    """The weight that an equation's output still is, None where it is none any more."""
    held = [(place, origin.weight) for place, origin in enumerate(inputs) if origin.weight is not None]
    if not held or len({weight.block for _, weight in held}) != 1:
        return None
    name, parameters = equation.primitive.name, equation.params
    place, weight = held[0]
    before, after = _shape(equation.invars[place]), _shape(equation.outvars[0])
    if name == "reshape":
        return weight._replace(axes=reshape(weight.axes, before, after))
    if name == "transpose":
        return weight._replace(axes=tuple(weight.axes[axis] for axis in parameters["permutation"]))
    if name == "broadcast_in_dim":
        return weight._replace(axes=broadcast(weight.axes, parameters["broadcast_dimensions"], len(after)))
    if name == "squeeze":
        return weight._replace(axes=tuple(axis for i, axis in enumerate(weight.axes) if i not in parameters["dimensions"]))
    if name == "concatenate" and len({len(each.axes) for _, each in held}) == 1:
        return weight._replace(axes=union([each.axes for _, each in held]), sign=all(each.sign for _, each in held))
    if name in _REDUCTIONS:
        return None
    fits = len(before) == len(after) and all(size in (1, whole) for size, whole in zip(before, after, strict=True))
    if len(after) == len(before) == len(weight.axes) and (fits or name in _RESIZING) and name not in _OPAQUE:
        axes = union([each.axes for _, each in held if len(each.axes) == len(after)])
        others = [origin for origin in inputs if origin.weight is None]
        multiplies = name in ("mul", "div") and any(_is_signal(origin) for origin in others)
        # A sign times what is known of the same weights may be the weights again.
        known = any(token[0] == "weights" and token[1] == weight.block for origin in others for token in origin.tokens)
        sign = (name == "sign" or all(each.sign for _, each in held)) and not known
        return Weight(weight.block, axes, sign, multiplies or any(each.multiplied for _, each in held))
    return None


def _is_signal(origin: Origin) -> bool:
    return any(token[0] not in ("weights", "params", "scalar") for token in origin.tokens)


def walk(program: ClosedJaxpr, inputs: Sequence[Origin], n_examples: int, cut: bool = False) -> tuple[list[Origin], Reads]:
    """Find out where every output of a program comes from.

    Args:
        program: as `jax.make_jaxpr` gives it; what nothing needs should have been taken out of it.
        inputs: origins of its inputs.
        n_examples: examples in a batch, by which numbers per example are recognised: choose it unlike any width.
        cut: whether values on wires count as activities and nothing else.

    Returns:
        Origins of its outputs, and what products read.
    """
    walker = _Walker(n_examples, cut)
    if cut:
        walker.find_states(program.jaxpr)
    outputs = walker.run(program.jaxpr, [NOTHING] * len(program.jaxpr.constvars), inputs)
    return outputs, walker.reads
