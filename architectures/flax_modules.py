"""Nodes and networks of a user's flax modules, with given parameters if there are any.

A module's parameters are the node's, whatever their tree; functions between modules are the activations. What each array is (a
weight, a bias, a gain) and whether the module is linear in its parameters and affine in its input is found by trying it. State
other than parameters is refused: batch statistics see an example's neighbours, and the random numbers of dropout are no network's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures.affinity import is_affine, refuse_company
from architectures.convolution import inject
from architectures.dense import added
from architectures.network import Network, chain
from architectures.node import Node, Params, make_node
from architectures.roles import BIAS, GAIN, WEIGHT, Role, role_leaves
from bioplausible.foundation.errors import InputError

__all__ = ["from_nnx", "node_from_nnx"]

Part = nnx.Module | Callable[..., Any]


def _makes_module(part: Any) -> bool:
    """Whether a part is a function from random streams to a module, rather than an activation function."""
    if isinstance(part, nnx.Module):
        return False
    try:
        names = list(inspect.signature(part).parameters)
    except (TypeError, ValueError):
        return False
    return names[:1] == ["rngs"]


def _refuse_state(name: str, module: nnx.Module) -> None:
    _, others = nnx.state(module, nnx.Param, ...)
    found = sorted({type(variable).__name__ for _, variable in nnx.to_flat_state(others)})
    if not found:
        return
    why = (
        "batch statistics let what an image evokes depend on its neighbours: normalise without them, by nnx.LayerNorm say"
        if "BatchStat" in found
        else "a node's only memory is its state in time: leave out what keeps other state (dropout among it)"
    )
    raise InputError(f"module '{name}' ({type(module).__name__}) keeps {', '.join(found)} beside its parameters; {why}")


def _suited(module: nnx.Module) -> nnx.Module:
    """A copy with convolutions in the form that the device runs fastest, where that form can do what they do."""
    copy = nnx.clone(module)
    for _, part in nnx.iter_modules(copy):
        if isinstance(part, nnx.Conv) and _is_plain(part):
            part.conv_general_dilated = inject
    return copy


def _is_plain(module: nnx.Conv) -> bool:
    if module.padding != "SAME" or module.feature_group_count != 1 or len(module.kernel_size) != 2 or module.mask is not None:
        return False
    return all(np.all(np.asarray(1 if each is None else each) == 1) for each in (module.input_dilation, module.kernel_dilation))


def node_from_nnx(
    module: Part,
    *,
    name: str,
    input_shape: tuple[int, ...],
    activation: Callable[[Array], Array] = lambda z: z,
    prepare: Callable[[Array], Array] = lambda x: x,
    affine: bool | None = None,
) -> Node:
    """A node of a flax module.

    Parameters
    ----------
    module
        A flax module, whose parameters every seed then starts from (pretrained ones, say); or a function of `rngs` that makes one,
        `lambda rngs: nnx.Linear(64, 10, rngs=rngs)`, with which every seed starts from its own.
    name
        The node's name.
    input_shape
        Shape of one example's input.
    activation
        Free of parameters, pre-activations -> output.
    prepare
        Free of parameters, what arrives -> what the module takes; a change of shape.
    affine
        Whether the module is linear in its parameters and affine in its input; tried, by default.

    Raises
    ------
    InputError
        A module with state other than parameters, without parameters, that does not take the input, or whose answer to an example
        depends on others or on chance.
    """
    if isinstance(module, nnx.Module):
        given = module
        _refuse_state(name, given)
        graph, state = nnx.split(_suited(given))
        fixed = nnx.to_pure_dict(state)

        def init(key: PRNGKeyArray) -> Params:
            return jax.tree.map(jnp.asarray, fixed)
    else:
        made = _made(name, module)
        _refuse_state(name, made)
        graph, _ = nnx.split(_suited(made))

        def init(key: PRNGKeyArray) -> Params:
            return nnx.to_pure_dict(nnx.state(module(nnx.Rngs(params=key)), nnx.Param))

    def synapse(params: Params, inputs: tuple[Array, ...]) -> Any:
        return nnx.merge(graph, params)(prepare(inputs[0]))

    def activate(state: Any, z: Any, skips: tuple[Array, ...]) -> tuple[Any, Array]:
        return state, added(activation(z), skips)

    one = jax.ShapeDtypeStruct((2, *input_shape), jnp.float32)
    try:
        params = jax.eval_shape(init, jax.random.key(0))
        z = jax.eval_shape(lambda params, x: synapse(params, (x,)), params, one)
        jax.eval_shape(activation, z)
    except Exception as error:  # noqa: BLE001 a user's module may raise anything
        raise InputError(
            f"module '{name}' was given inputs of {input_shape} and failed: {type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''}; make its sizes fit what the layer before gives"
        ) from error
    if not jax.tree.leaves(params):
        raise InputError(f"module '{name}' has no parameters: give it as a function, an activation of the module before it")
    refuse_company(name, lambda params, x: activation(synapse(params, (x,))), params, one)
    # Tried a few times on one shape: compiled whole, which takes less than each of its operations by itself.
    tried = jax.jit(lambda params, x: synapse(params, (x,)))
    found_affine = is_affine(synapse, params, (one,)) if affine is None else affine
    roles = _roles(tried, params, one.shape, found_affine)
    return make_node(
        name,
        input_shapes=(tuple(input_shape),),
        init=init,
        synapse=synapse,
        activate=activate,
        roles=roles,
        affine=found_affine,
        unitwise=_is_unitwise(activation, z),
        redraw=_redraw(roles, fixed) if isinstance(module, nnx.Module) else None,
        takes_any_size=isinstance(module if isinstance(module, nnx.Module) else made, nnx.Conv),
    )


def _made(name: str, make: Callable[..., Any]) -> nnx.Module:
    """The module that a user's function makes, by its shapes alone."""
    kinds = []

    def checked() -> Any:
        # With a stream for whatever else it asks for, dropout say, which is then refused by its name.
        made = make(nnx.Rngs(0))
        kinds.append(type(made).__name__)
        return made

    try:
        module = nnx.eval_shape(checked)
    except Exception as error:  # noqa: BLE001 a user's function may raise anything
        raise InputError(
            f"'{name}' was called with random streams and failed: {type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''}; expected lambda rngs: nnx.Linear(…, rngs=rngs)"
        ) from error
    if not isinstance(module, nnx.Module):
        raise InputError(f"'{name}' makes {kinds[0]}, expected a flax module: lambda rngs: nnx.Linear(…, rngs=rngs)")
    return module


Tried = Callable[[Params, Any], Any]


def _roles(tried: Tried, params: Params, shape: tuple[int, ...], affine: bool) -> Any:
    """What is added whatever comes in is a bias; of the rest, an array with a fan-in is a weight and one without a gain.

    Flax keeps units on the last axis. Where the module is not affine, its arrays' names and shapes are all there is.
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(params)
    silence = np.zeros(shape, np.float32)
    roles = []
    for index, (path, leaf) in enumerate(paths):
        alone = [np.full(each.shape, float(k == index), np.float32) for k, (_, each) in enumerate(paths)]
        if affine:
            at_rest = tried(jax.tree.unflatten(structure, alone), silence)
            is_bias = any(np.any(np.asarray(each) != 0) for each in jax.tree.leaves(at_rest))
        else:
            is_bias = leaf.ndim < 2 and "bias" in jax.tree_util.keystr(path)
        units = (leaf.ndim - 1,) if leaf.ndim else ()
        if is_bias:
            roles.append(Role(BIAS, units=units))
        elif leaf.ndim > 1:
            roles.append(Role(WEIGHT, units=units, fan_in=tuple(range(leaf.ndim - 1)), edge=0, presynaptic=leaf.ndim - 2))
        else:
            roles.append(Role(GAIN, units=units))
    return jax.tree.unflatten(structure, roles)


def _is_unitwise(activation: Callable[[Any], Array], z: Any) -> bool:
    """Whether what one unit does depends on its own pre-activation alone."""
    if not isinstance(z, jax.ShapeDtypeStruct):
        return False
    rng, run = np.random.default_rng(5), jax.jit(activation)
    drawn = rng.normal(size=z.shape).astype(np.float32)
    # Half of the units are moved, and the other half must stay; once more where none is shut, which would hide what comes after.
    for start in (drawn, np.abs(drawn)):
        moves = rng.random(z.shape) < 0.5
        before, after = np.asarray(run(start)), np.asarray(run(start + 0.5 * moves.astype(np.float32)))
        if before.shape != z.shape or np.any((before != after)[~moves]):
            return False
    return True


def _redraw(roles: Any, given: Params) -> Callable[[PRNGKeyArray], Params]:
    """Weights as large as those given, drawn from a key; no biases."""

    def redraw(key: PRNGKeyArray) -> Params:
        leaves, structure = jax.tree.flatten(given)
        keys = jax.random.split(key, len(leaves))

        def one(role: Role, leaf: Array, k: PRNGKeyArray) -> Array:
            leaf = jnp.asarray(leaf)
            if role.kind == WEIGHT:
                return jnp.std(leaf) * jax.random.normal(k, leaf.shape, leaf.dtype)
            return jnp.zeros_like(leaf) if role.kind == BIAS else leaf

        return jax.tree.unflatten(structure, list(map(one, role_leaves(roles), leaves, keys)))

    return redraw


def _refuse_strange(part: Any, before: Sequence[Any]) -> None:
    """Refuse what is called like a function and is none: a class, a module of flax.linen; and a module that was given before."""
    if isinstance(part, nnx.Module) and any(part is other for other in before):
        raise InputError(
            f"the same {type(part).__name__} was given twice, and nodes share no weights: give another module (nnx.clone makes one "
            "of the same weights, which then learns by itself)"
        )
    if isinstance(part, type) and issubclass(part, nnx.Module):
        made = f"lambda rngs: nnx.{part.__name__}(…, rngs=rngs)"
        raise InputError(f"the class {part.__name__} was given, expected a module or what makes one: {made}")
    if any(kind.__module__.startswith("flax.linen") for kind in type(part).__mro__):
        raise InputError(
            f"{type(part).__name__} is a module of flax.linen, expected one of flax.nnx: write "
            "lambda rngs: nnx.Linear(…, rngs=rngs)"
        )


def from_nnx(
    modules: nnx.Module | Sequence[Any],
    *,
    input_shape: tuple[int, ...],
    n_classes: int,
    name: str = "flax",
    **others: Any,
) -> Network:
    """A network of flax modules, each of which hears the one before.

    Parameters
    ----------
    modules
        Flax modules, or functions of `rngs` that make them, with functions free of parameters (activations, pooling, changes of
        shape) between; or one module, `nnx.Sequential` among them. Modules keep the parameters that they come with, functions of
        `rngs` draw new ones for every seed. The last module gives the scores.
    input_shape
        Shape of one example.
    n_classes
        Number of scores.
    name
        The network's name.
    **others
        Other attributes of `Network`.

    Raises
    ------
    InputError
        A module with state other than parameters, or sizes that do not meet.

    >>> rngs = nnx.Rngs(0)
    >>> layers = [lambda x: x.reshape(len(x), -1), nnx.Linear(64, 20, rngs=rngs), nnx.relu, nnx.Linear(20, 10, rngs=rngs)]
    >>> from_nnx(layers, input_shape=(8, 8, 1), n_classes=10).node_names
    ('linear_0', 'linear_1')
    """
    if isinstance(modules, nnx.Sequential):
        parts: list[Part] = list(modules.layers)
    else:
        parts = [modules] if isinstance(modules, nnx.Module) or callable(modules) else list(modules)
    before: list[Callable[[Array], Array]] = []
    groups: list[tuple[Part, list[Callable[[Array], Array]]]] = []
    for index, part in enumerate(parts):
        _refuse_strange(part, parts[:index])
        if isinstance(part, nnx.Module) or _makes_module(part):
            groups.append((part, []))
        elif callable(part):
            (groups[-1][1] if groups else before).append(part)
        else:
            raise InputError(f"{part!r} was given among the modules, expected flax modules and functions")
    if not groups:
        raise InputError("no flax module was given, only functions: give at least one that makes the scores")
    nodes: list[Node] = []
    shape = tuple(input_shape)
    counts: dict[str, int] = {}
    for index, (part, functions) in enumerate(groups):
        kind = type(part if isinstance(part, nnx.Module) else _made(f"module {index}", part)).__name__.lower()
        number = counts[kind] = counts.get(kind, -1) + 1
        prepare = _composed(before) if index == 0 else _composed([])
        node = node_from_nnx(part, name=f"{kind}_{number}", input_shape=shape, activation=_composed(functions), prepare=prepare)
        nodes.append(node)
        shape = node.output_shape
    return chain(nodes, name=name, input_shape=tuple(input_shape), n_classes=n_classes, **others)


def _composed(functions: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def run(value: Any) -> Any:
        for function in functions:
            value = function(value)
        return value

    return run
