"""Traced programs as JAX keeps them: the one file here that knows how, for all releases that this may run on.

Two forms are known. In JAX 0.10 a closed program wraps a plain one, and a scan says how many of its inputs are constants and
how many are carried in `num_consts` and `num_carry`. In JAX 0.12 there is one kind of program, and a scan says the same by
`ft_in`, three groups of inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import Literal, Primitive
from jax.interpreters import ad, batching, mlir, partial_eval

__all__ = [
    "Program",
    "Scan",
    "Step",
    "Summed",
    "While",
    "along",
    "as_program",
    "backwards",
    "branches_of",
    "called_by",
    "is_constant",
    "is_floating",
    "is_tangent",
    "mark",
    "mark_of",
    "opened",
    "performed",
    "programs_of",
    "scaled_forward",
    "scan_of",
    "shape_of",
    "steps",
    "summed_of",
    "trace",
    "while_of",
    "without_unused",
]

Program = Any
Variable = Any


class Step(NamedTuple):
    """One equation of a program.

    Attributes
    ----------
    name
        Of the primitive.
    inputs, outputs
        Variables; among the inputs, constants too (`is_constant`).
    parameters
        As the primitive has them.
    """

    name: str
    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    parameters: Mapping[str, Any]


class Scan(NamedTuple):
    """A loop of known length; its inputs are constants, then what is carried, then what is scanned over.

    Attributes
    ----------
    body
        The program of one round.
    n_constants, n_carried
        Numbers of inputs of each kind.
    length
        Number of rounds.
    """

    body: Program
    n_constants: int
    n_carried: int
    length: int


class While(NamedTuple):
    """A loop of unknown length; its inputs are the condition's constants, the body's, then what is carried.

    Attributes
    ----------
    condition, body
        Programs.
    n_of_condition, n_of_body
        Numbers of constants.
    """

    condition: Program
    body: Program
    n_of_condition: int
    n_of_body: int


class Summed(NamedTuple):
    """Axes of the two factors of a matrix product or a convolution.

    Attributes
    ----------
    axes
        Over which each factor is summed.
    shared
        That stay side by side.
    """

    axes: tuple[tuple[int, ...], tuple[int, ...]]
    shared: tuple[tuple[int, ...], tuple[int, ...]]


def trace(function: Callable[..., Any], *inputs: Any) -> tuple[Program, Any]:
    """The program that a function is when it is traced.

    Parameters
    ----------
    function
        Of arrays in any trees.
    *inputs
        What to trace it with; only shapes and types matter.

    Returns
    -------
    program, outputs
        The program, and the tree of its outputs' shapes.
    """
    program, outputs = jax.make_jaxpr(function, return_shape=True)(*inputs)
    return program, outputs


def as_program(value: Any) -> Program | None:
    """The plain program that a value is or wraps, None where it is something else."""
    plain = getattr(value, "jaxpr", value)
    return plain if hasattr(plain, "eqns") and hasattr(plain, "invars") else None


def without_unused(program: Program) -> tuple[Program, tuple[bool, ...]]:
    """The program without what no output needs, and which of its inputs are still there."""
    plain = as_program(program)
    assert plain is not None
    found, used = partial_eval.dce_jaxpr(plain, [True] * len(plain.outvars))
    return found, tuple(used)


def steps(program: Program) -> list[Step]:
    """The equations of a program, in order."""
    return [Step(each.primitive.name, tuple(each.invars), tuple(each.outvars), each.params) for each in program.eqns]


def programs_of(step: Step) -> list[Program]:
    """Programs inside an equation, whatever they are called there."""
    values = [each for value in step.parameters.values() for each in (value if isinstance(value, list | tuple) else (value,))]
    return [program for program in map(as_program, values) if program is not None]


_CALLS = (
    "call", "checkpoint", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "jit", "pjit",
    "remat", "remat2",
)  # fmt: skip


def called_by(step: Step) -> Any | None:
    """The program that an equation does nothing but run, with its constants where it has some; None where it does more."""
    if step.name not in _CALLS:
        return None
    return next((value for value in step.parameters.values() if as_program(value) is not None), None)


def opened(value: Any) -> tuple[Program, tuple[Any, ...]]:
    """A program, and the values of its constants."""
    return as_program(value), tuple(getattr(value, "consts", ()))


def performed(equation: Any, values: Sequence[Any]) -> list[Any]:
    """What an equation of a program that calls no other makes of values."""
    found = equation.primitive.bind(*values, **equation.params)
    return list(found) if equation.primitive.multiple_results else [found]


def scan_of(step: Step) -> Scan:
    """What a scan is made of."""
    parameters = step.parameters
    if "num_consts" in parameters:
        n_constants, n_carried = parameters["num_consts"], parameters["num_carry"]
    else:
        constants, carried, _ = parameters["ft_in"].unpack()
        n_constants, n_carried = len(constants), len(carried)
    return Scan(as_program(parameters["jaxpr"]), n_constants, n_carried, parameters["length"])


def while_of(step: Step) -> While:
    """What a while loop is made of."""
    parameters = step.parameters
    condition, body = as_program(parameters["cond_jaxpr"]), as_program(parameters["body_jaxpr"])
    return While(condition, body, parameters["cond_nconsts"], parameters["body_nconsts"])


def branches_of(step: Step) -> list[Program]:
    """The programs that a conditional chooses among."""
    return [as_program(branch) for branch in step.parameters["branches"]]


def summed_of(step: Step) -> Summed:
    """Over which axes a product sums."""
    numbers = step.parameters["dimension_numbers"]
    if step.name == "dot_general":
        (lhs, rhs), (lhs_shared, rhs_shared) = numbers
        return Summed((tuple(lhs), tuple(rhs)), (tuple(lhs_shared), tuple(rhs_shared)))
    return Summed((tuple(numbers.lhs_spec[1:]), tuple(numbers.rhs_spec[1:])), ((), ()))


def is_constant(variable: Variable) -> bool:
    """Whether an input of an equation is a number that stands in the program itself."""
    return isinstance(variable, Literal)


def shape_of(variable: Variable) -> tuple[int, ...]:
    """Shape of a variable; of what has none, that of a scalar."""
    return tuple(getattr(variable.aval, "shape", ()))


def is_floating(variable: Variable) -> bool:
    """Whether a variable holds real numbers."""
    return bool(jnp.issubdtype(getattr(variable.aval, "dtype", bool), jnp.floating))


_NAMED = Primitive("named")
_NAMED.def_impl(lambda x, name: x)
_NAMED.def_abstract_eval(lambda x, name: x)
mlir.register_lowering(_NAMED, mlir.lower_fun(lambda x, name: x, multiple_results=False))
ad.primitive_jvps[_NAMED] = lambda primals, tangents, name: (_NAMED.bind(*primals, name=name), tangents[0])
ad.primitive_transposes[_NAMED] = lambda cotangent, x, name: [cotangent]
batching.primitive_batchers[_NAMED] = lambda xs, axes, name: (_NAMED.bind(xs[0], name=name), axes[0])


def mark(x: Array, name: str) -> Array:
    """The same array, with a name on it that stays in any program it goes into.

    A tangent that is carried forward has the name too; what comes backwards has none.
    """

    @jax.custom_jvp
    def marked(x: Array) -> Array:
        return checkpoint_name(x, name)

    marked.defjvp(lambda primals, tangents: (marked(*primals), _NAMED.bind(tangents[0], name=name)))
    found: Array = marked(x)
    return found


_ALONG = Primitive("along")
_ALONG.multiple_results = True
_ALONG.def_impl(lambda *xs, run: list(run(*xs)))
_ALONG.def_abstract_eval(lambda *xs, run: list(xs))
mlir.register_lowering(_ALONG, mlir.lower_fun(lambda *xs, run: list(run(*xs)), multiple_results=True))
ad.primitive_jvps[_ALONG] = lambda primals, tangents, run: (_ALONG.bind(*primals, run=run), list(tangents))
ad.primitive_transposes[_ALONG] = lambda cotangents, *xs, run: list(cotangents)


def _batched(xs: Any, axes: Any, *, run: Any) -> Any:
    (length,) = {x.shape[axis] for x, axis in zip(xs, axes, strict=True) if axis is not None}
    pairs = zip(xs, axes, strict=True)
    first = [jnp.broadcast_to(x, (length, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0) for x, axis in pairs]
    return _ALONG.bind(*first, run=run), [0] * len(first)


batching.primitive_batchers[_ALONG] = _batched


def along(xs: tuple[Array, ...], run: Callable[..., Any]) -> tuple[Array, ...]:
    """The same arrays, by way of a function that looks at them where they are tangents that are carried forward.

    Carried backwards, their cotangents pass it by.

    Parameters
    ----------
    xs
        Arrays, with further axes before their own where a program is mapped.
    run
        (*xs) -> the same xs.
    """
    return tuple(_ALONG.bind(*xs, run=run))


_BACK = Primitive("back")
_BACK.def_impl(lambda x, run: x)
_BACK.def_abstract_eval(lambda x, run: x)
mlir.register_lowering(_BACK, mlir.lower_fun(lambda x, run: x, multiple_results=False))
ad.deflinear2(_BACK, lambda cotangent, x, run: [cotangent if type(cotangent) is ad.Zero else run(cotangent)])
batching.primitive_batchers[_BACK] = lambda xs, axes, run: (_BACK.bind(xs[0], run=run), axes[0])


def backwards(x: Array, run: Callable[[Array], Array]) -> Array:
    """The same array, by way of a function that looks at what is carried back to it.

    Parameters
    ----------
    x
        The array.
    run
        cotangent -> the same cotangent.
    """
    found: Array = _BACK.bind(x, run=run)
    return found


_FORWARD = Primitive("times forward")
_FORWARD.def_impl(lambda x, factor: x * factor)
_FORWARD.def_abstract_eval(lambda x, factor: x)
mlir.register_lowering(_FORWARD, mlir.lower_fun(lambda x, factor: x * factor, multiple_results=False))
ad.primitive_jvps[_FORWARD] = lambda primals, tangents: (_FORWARD.bind(*primals), tangents[0])
ad.primitive_transposes[_FORWARD] = lambda cotangent, x, factor: [cotangent, None]


def _batched_forward(xs: Any, axes: Any) -> Any:
    (x, factor), (axis, axis_of_factor) = xs, axes
    if axis_of_factor is not None:
        raise NotImplementedError("a factor of its own for each of a batch")
    return _FORWARD.bind(x, factor), axis


batching.primitive_batchers[_FORWARD] = _batched_forward


def scaled_forward(x: Array, factor: Array, factor_of_tangent: Array) -> Array:
    """An array times a factor, and a tangent that is carried forward times another; what comes backwards passes as it is.

    Parameters
    ----------
    x
        The array.
    factor, factor_of_tangent
        Numbers.
    """

    @jax.custom_jvp
    def scaled(x: Array, factor: Array, factor_of_tangent: Array) -> Array:
        return x * factor

    scaled.defjvp(lambda primals, tangents: (scaled(*primals), _FORWARD.bind(tangents[0], primals[2])))
    found: Array = scaled(x, factor.astype(x.dtype), factor_of_tangent.astype(x.dtype))
    return found


def is_tangent(step: Step) -> bool:
    """Whether what an equation puts a name on is a tangent."""
    return step.name == "named"


def mark_of(step: Step) -> str:
    """The name that an equation puts on its input, "" where it does something else."""
    return str(step.parameters["name"]) if step.name in ("name", "named") else ""
