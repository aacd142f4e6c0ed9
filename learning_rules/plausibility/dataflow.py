"""Where every value of a traced program comes from: whose weights, read in which direction, which activities, which labels.

The program of a learning step is walked equation by equation, into loops, branches and nested programs, and every value's origin
(`origins`) is found from those of what went into it.

With wires cut, what is on one counts as its source's activity and nothing else: tokens then say what a signal needs *beside*
activities. A value counts as on a wire wherever it is the very array that a node is given, now or in the next round of a loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from learning_rules.plausibility import jaxprs
from learning_rules.plausibility.axes import NONE
from learning_rules.plausibility.jaxprs import Program, Step, shape_of
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
    together,
    weight_after,
    without_first_axis,
)
from learning_rules.plausibility.tagging import Dead, number_of, wire_of

__all__ = ["Reads", "count_products", "walk", "walk_cut"]


@dataclass
class Reads:
    """Products of a program, in multiply-accumulates.

    Attributes
    ----------
    forward, backward
        Those in which a place's weights were summed over their fan-in, and over their units.
    products
        All of them.
    endless
        Whether there is a loop of unknown length, which was counted once.
    """

    forward: dict[Hashable, float] = field(default_factory=lambda: defaultdict(float))
    backward: dict[Hashable, float] = field(default_factory=lambda: defaultdict(float))
    products: float = 0.0
    endless: bool = False

    def add(self, other: Reads) -> None:
        """Count another program's products too."""
        for mine, more in ((self.forward, other.forward), (self.backward, other.backward)):
            for place, products in more.items():
                mine[place] += products
        self.products += other.products
        self.endless |= other.endless


_SAME_ARRAY = ("convert_element_type", "copy", "copy_p", "reduce_precision", "stop_gradient", "optimization_barrier", "reshape")
# As many numbers an example may be broadcast, of a few losses or phases, and still be called scalars.
_FEW = 4
# That settle side by side.
_PHASES = 2


class _Walker:
    def __init__(self, n_examples: int, cut: bool, dead: Dead = frozenset()):
        self.lengths = {n_examples * times for times in range(1, 5)}
        self.cut, self.dead = cut, dead
        self.reads = Reads()
        # Variable -> number of the node on whose wire it is.
        self.wires: dict[Any, int] = {}
        # Number of a node -> what its activities were made of, before they counted as activities and nothing else.
        self.entering: dict[int, frozenset[Token]] = defaultdict(frozenset)

    # What is on a wire.

    def wire_at(self, step: Step) -> int | None:
        """The node on whose wire an equation's input is, None where it is on none, or on one that is dead."""
        name = jaxprs.mark_of(step)
        number = number_of(name)
        return None if number is not None and (number, jaxprs.is_tangent(step)) in self.dead else wire_of(name)

    def find_wires(self, program: Program, known: dict[int, int] | None = None) -> dict[int, int]:
        """Mark values that nodes are given; returns the program's own inputs among them, index -> source.

        `known` holds outputs that are known to be on a wire, index -> source.
        """
        for index, source in (known or {}).items():
            self._put(program.outvars[index], source)
        for step in reversed(jaxprs.steps(program)):
            wire = self.wire_at(step)
            if wire is not None:
                self._put(step.inputs[0], wire)
            elif jaxprs.mark_of(step) or step.name in _SAME_ARRAY:
                if step.outputs[0] in self.wires:
                    self._put(step.inputs[0], self.wires[step.outputs[0]])
            elif step.name == "scan":
                self._find_wires_of_scan(step)
            else:
                for inner in jaxprs.programs_of(step):
                    # A loop's or a conditional's own inputs come first.
                    first = len(step.inputs) - len(inner.invars)
                    if first < 0:
                        continue
                    for index, source in self.find_wires(inner).items():
                        self._put(step.inputs[first + index], source)
        return {index: self.wires[variable] for index, variable in enumerate(program.invars) if variable in self.wires}

    def _put(self, variable: Any, source: int) -> None:
        if not jaxprs.is_constant(variable):
            self.wires.setdefault(variable, source)

    def _find_wires_of_scan(self, step: Step) -> None:
        body, n_constants, n_carried, _ = jaxprs.scan_of(step)
        carried = {index: self.wires[each] for index, each in enumerate(step.outputs[:n_carried]) if each in self.wires}
        while True:
            found = self.find_wires(body, carried)
            more = {index - n_constants: each for index, each in found.items() if n_constants <= index < n_constants + n_carried}
            if set(more) <= set(carried):
                break
            carried |= {index: each for index, each in more.items() if index not in carried}
        for index, source in {**found, **{n_constants + index: each for index, each in carried.items()}}.items():
            if index < n_constants + n_carried:
                self._put(step.inputs[index], source)
        for index, source in carried.items():
            self._put(step.outputs[index], source)

    def _on_wire(self, source: int, origin: Origin) -> Origin:
        self.entering[source] |= together([origin]).tokens
        return Origin(frozenset({("activity", source)}))

    # The walk.

    def run(self, program: Program, inputs: Sequence[Origin], times: float = 1.0) -> list[Origin]:
        """Origins of a program's outputs."""
        known: dict[Any, Origin] = {}

        def read(variable: Any) -> Origin:
            return NOTHING if jaxprs.is_constant(variable) else known[variable]

        def write(variable: Any, origin: Origin) -> None:
            if self.cut and variable in self.wires:
                origin = self._on_wire(self.wires[variable], origin)
            known[variable] = origin

        for variable in program.constvars:
            write(variable, NOTHING)
        for variable, origin in zip(program.invars, inputs, strict=True):
            write(variable, origin)
        for step in jaxprs.steps(program):
            found = self.step(step, [read(variable) for variable in step.inputs], times)
            for variable, origin in zip(step.outputs, found, strict=True):
                write(variable, self._as_scalar(variable, origin))
        return [read(variable) for variable in program.outvars]

    def _as_scalar(self, variable: Any, origin: Origin) -> Origin:
        """Wrap the tokens of what is no more than a number an example; whole numbers may stand for more (labels do)."""
        if not jaxprs.is_floating(variable):
            return origin
        if origin.tokens <= {("labels",)}:
            # A label as a number is still a label.
            return origin
        longer = [size for size in shape_of(variable) if size != 1]
        # Phases that run side by side come first, examples after them.
        if longer and (longer[-1] not in self.lengths or prod(longer[:-1]) > _PHASES):
            return origin
        return Origin(frozenset(token if token[0] == "scalar" else ("scalar", token) for token in origin.tokens))

    def step(self, step: Step, inputs: list[Origin], times: float) -> list[Origin]:
        """Origins of an equation's outputs."""
        name = step.name
        if self.cut and (source := wire_of(jaxprs.mark_of(step))) is not None:
            # What went over a dead wire moves nothing, whatever it was; what it was made of may still go elsewhere.
            dead = self.wire_at(step) is None
            return [Origin(frozenset({("activity", source)})) if dead else self._on_wire(source, inputs[0])]
        if name == "scan":
            return self._scan(step, inputs, times)
        if name == "while":
            return self._while(step, inputs, times)
        if name == "cond":
            return self._cond(step, inputs, times)
        if name in ("dot_general", "conv_general_dilated"):
            return [self._product(step, inputs, times)]
        if name.startswith("random_") or name in ("threefry2x32", "rng_bit_generator"):
            return [Origin(frozenset({("random",)}))] * len(step.outputs)
        if name == "reduce":
            return [together(inputs)] * len(step.outputs)
        programs = jaxprs.programs_of(step)
        if name.startswith("scatter") or name == "dynamic_update_slice":
            inputs = [as_vector(origin) for origin in inputs]
            programs = []
        if name in ("concatenate", "stack") and len(inputs) > _FEW:
            inputs = [as_vector(origin) for origin in inputs]
        if programs:
            return self._nested(programs[0], step, inputs, times)
        return self._elementary(step, inputs, times)

    def _nested(self, program: Program, step: Step, inputs: list[Origin], times: float) -> list[Origin]:
        if len(program.invars) != len(inputs) or len(program.outvars) != len(step.outputs):
            return [together(inputs)] * len(step.outputs)
        return self.run(program, inputs, times)

    def _scan(self, step: Step, inputs: list[Origin], times: float) -> list[Origin]:
        body, n_constants, n_carried, length = jaxprs.scan_of(step)
        constants, carried = inputs[:n_constants], inputs[n_constants : n_constants + n_carried]
        each = [without_first_axis(origin) for origin in inputs[n_constants + n_carried :]]
        found = self._to_fixed_point(
            lambda carried, times: self.run(body, [*constants, *carried, *each], times), carried, times * length
        )
        # What a loop stacks has an axis more than what it made: which axes are which is not followed there.
        # And one number an example after the other, a unit at a time, is a vector in the end.
        stacked = [together([origin]) if origin.weight else origin for origin in found[n_carried:]]
        return [*found[:n_carried], *(map(as_vector, stacked) if length > _FEW else stacked)]

    def _to_fixed_point(
        self, body: Callable[[list[Origin], float], list[Origin]], carried: list[Origin], times: float
    ) -> list[Origin]:
        reads = self.reads
        while True:
            # Counted once, when nothing changes any more.
            self.reads = Reads()
            outputs = body(carried, times)
            met = [joined(before, after) for before, after in zip(carried, outputs, strict=False)]
            if met == list(carried):
                break
            carried = met
        reads.add(self.reads)
        self.reads = reads
        return [*carried, *outputs[len(carried) :]]

    def _while(self, step: Step, inputs: list[Origin], times: float) -> list[Origin]:
        condition, body, n_of_condition, n_of_body = jaxprs.while_of(step)
        own = n_of_condition + n_of_body
        self.reads.endless = True

        def once(carried: list[Origin], times: float) -> list[Origin]:
            decided = self.run(condition, [*inputs[:n_of_condition], *carried], times)
            outputs = self.run(body, [*inputs[n_of_condition:own], *carried], times)
            return [joined(output, Origin(decided[0].tokens), keep=output) for output in outputs]

        return self._to_fixed_point(once, inputs[own:], times)

    def _cond(self, step: Step, inputs: list[Origin], times: float) -> list[Origin]:
        outputs = [self.run(branch, inputs[1:], times) for branch in jaxprs.branches_of(step)]
        decided = Origin(inputs[0].tokens)
        merged = outputs[0]
        for other in outputs[1:]:
            merged = [joined(one, another) for one, another in zip(merged, other, strict=True)]
        return [joined(output, decided, keep=output) for output in merged]

    # Products and the rest.

    def _product(self, step: Step, inputs: list[Origin], times: float) -> Origin:
        summed, _ = jaxprs.summed_of(step)
        n_products = times * prod(shape_of(step.outputs[0])) * prod(shape_of(step.inputs[1])[axis] for axis in summed[1])
        self.reads.products += n_products
        tokens: set[Token] = set()
        for factor, origin in enumerate(inputs[:2]):
            other = inputs[1 - factor]
            tokens |= origin.tokens
            if origin.weight is None:
                continue
            over = frozenset().union(*(origin.weight.axes[axis] for axis in summed[factor])) if summed[factor] else NONE
            if step.name == "dot_general" and not meets_a_signal(other) and other.weight is None:
                # Mixed by constants, a weight is a weight still: what it was summed over goes on in the other's free axes.
                return Origin(frozenset(tokens | other.tokens), mixed(origin.weight, step, factor, over))
            tokens |= self._read(origin.weight, over, other, n_products)
        # Mixed by constants, pictures are pictures still.
        copies = {origin.copy for factor, origin in enumerate(inputs[:2]) if origin.copy and not inputs[1 - factor].tokens}
        return Origin(frozenset(tokens), copy=next(iter(copies)) if len(copies) == 1 else "")

    def _read(self, weight: Weight, over: frozenset[str], other: Origin, n_products: float) -> set[Token]:
        """What a sum over some of a weight's axes says of the weight."""
        if not meets_a_signal(other) or not over:
            return {("weights", weight.place, "value")}
        if over == {"in", "out"}:
            # Fan-in and units in one axis, as in a flattened array: this says nothing of a direction.
            return {("weights", weight.place, "value")}
        if "out" not in over:
            self.reads.forward[weight.place] += n_products
            return {("weights", weight.place, "forward")}
        self.reads.backward[weight.place] += n_products
        return {("weights", weight.place, "sign backward" if weight.sign else "backward")}

    def _elementary(self, step: Step, inputs: list[Origin], times: float) -> list[Origin]:
        tokens = frozenset().union(*(origin.tokens for origin in inputs)) if inputs else frozenset()
        weight = weight_after(step, inputs)
        if weight is None:
            lost = {("weights", origin.weight.place, "value") for origin in inputs if origin.weight is not None}
            if step.name in REDUCTIONS:
                for origin in inputs:
                    if origin.weight is not None and origin.weight.multiplied:
                        over = frozenset().union(*(origin.weight.axes[axis] for axis in step.parameters.get("axes", ()))) or NONE
                        n_products = times * prod(shape_of(step.inputs[0]))
                        self.reads.products += n_products
                        lost |= self._read(origin.weight, over, Origin(frozenset({("activity", -1)})), n_products)
            tokens |= lost
        if len(step.outputs) > 1:
            # Which output is which is not followed: every one may hold all.
            return [together(inputs)] * len(step.outputs)
        return [Origin(tokens, weight, copied(step, inputs))]


def walk(program: Program, inputs: Sequence[Origin], n_examples: int) -> tuple[list[Origin], Reads]:
    """Find out where every output of a program comes from.

    What no output needs, such as values that only give a shape, is left out.

    Parameters
    ----------
    program
        As `jax.make_jaxpr` gives it.
    inputs
        Origins of its inputs.
    n_examples
        Examples in a batch, by which numbers per example are recognised: choose it unlike any width.

    Returns
    -------
    origins, reads
        Origins of the outputs, and what products read.
    """
    walker = _Walker(n_examples, cut=False)
    return _walked(walker, program, inputs), walker.reads


def walk_cut(
    program: Program, inputs: Sequence[Origin], n_examples: int, dead: Dead = frozenset()
) -> tuple[list[Origin], dict[int, frozenset[Token]]]:
    """Find out where every output comes from where values on wires count as activities and nothing else.

    Parameters
    ----------
    program, inputs, n_examples
        As `walk` takes them.
    dead
        Wires that carry nothing.

    Returns
    -------
    origins, entering
        Origins of the outputs; and for each node, what the activities on its wires were made of, others' counting as activities.
    """
    walker = _Walker(n_examples, cut=True, dead=dead)
    return _walked(walker, program, inputs), dict(walker.entering)


def _walked(walker: _Walker, program: Program, inputs: Sequence[Origin]) -> list[Origin]:
    plain, used = jaxprs.without_unused(program)
    if walker.cut:
        walker.find_wires(plain)
    return walker.run(plain, [origin for origin, counts in zip(inputs, used, strict=True) if counts])


def count_products(program: Program) -> float:
    """Multiply-accumulates in all products of a program, loops with their length; a loop of unknown length counts once.

    Parameters
    ----------
    program
        As `jax.make_jaxpr` gives it.
    """
    plain, used = jaxprs.without_unused(program)
    walker = _Walker(0, cut=False)
    walker.run(plain, [NOTHING] * sum(used))
    return walker.reads.products
