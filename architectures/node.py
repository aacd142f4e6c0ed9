r"""A node of a network: what reaches it through weights, what its unit does, and what it remembers, apart from each other.

.. math:: z = S_\theta(x_1, x_2, \ldots), \qquad (s, h) \leftarrow a(s, z, \text{skips})

`synapse` is the only place where weights enter. It is linear in its parameters and affine in each input, so that all that a
learning rule needs are its vector-Jacobian products: the Hebbian product of pre- and postsynaptic signals (with respect to the
parameters), or an error carried back through any weights of the same shape (with respect to an input). `activate` is free of
parameters: activation function, pooling, normalisation, leaky integration, a spike with its surrogate derivative, gates, softmax
attention. No rule ever asks what kind of layer a node is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import PRNGKeyArray, PyTree

from architectures.affinity import is_affine, refuse_company
from architectures.edge import Edge
from architectures.roles import WEIGHT, check_roles, role_leaves
from bioplausible.foundation.errors import InputError

__all__ = ["Node", "Params", "Unit", "check_shape", "make_node", "no_state"]

Params = PyTree
"""One node's parameters: any tree of arrays."""
Shape = tuple[int, ...]


def no_state(n: int, dtype: DTypeLike = jnp.float32) -> Any:
    """The state of a node that remembers nothing."""
    return ()


class Unit(NamedTuple):
    """What the units of a node are, in terms that other tools have too; numbers are one for all units, or one for each.

    Attributes
    ----------
    kind
        "linear", "leaky" (a potential that leaks and is passed on) or "spiking".
    leak
        Fraction of the potential that is kept at each step.
    threshold
        Potential above which a unit spikes.
    reset_to
        Potential of a unit that has spiked; None where it loses the threshold's worth of it.
    """

    kind: str
    leak: float | tuple[float, ...] = 0.0
    threshold: float | tuple[float, ...] = 0.0
    reset_to: float | tuple[float, ...] | None = None


@dataclass(frozen=True)
class Node:
    """One node, as pure functions. Shapes are those of one example at one step.

    Attributes
    ----------
    name
        The node's name in every table.
    input_shapes
        Shape of what arrives over each weighted edge, in the order of the edges.
    z_shape
        Shape of the pre-activations; a tree of shapes where `synapse` gives a tree (gates; queries, keys and values).
    output_shape
        Shape of what the node passes on.
    init
        key -> parameters, any tree.
    synapse
        (parameters, inputs: one array (n, ...) per weighted edge) -> pre-activations z, an array or a tree of arrays.
    activate
        (state, z, skips: one array per skip edge) -> (state, output (n, *output_shape)).
    roles
        The parameters' tree with a `Role` in each leaf's place.
    init_state
        (n, dtype) -> the state before the first step, `()` where the node remembers nothing.
    recurrence
        Edges from the node itself that it was built for, which `chain` adds.
    affine
        Whether `synapse` is linear in its parameters and affine in each input; rules that need it take a node at its word.
    unitwise
        Whether every unit's state and output follow from its own z alone, and what comes over skip edges is added.
    takes_any_size
        Whether height and width of the input may differ from `input_shapes`.
    redraw
        key -> parameters of the same sizes that owe nothing to the node's own, for feedback weights; None where `init` draws such.
    n_needed_skips
        How many skip edges `activate` cannot do without; those of `recurrence` among them come first.
    unit
        What its units are, where other tools have such ones too (`architectures.nir_export`); None elsewhere.
    leak
        Where pre-activations enter what a node remembers by a leaky sum alone, the fraction of it that is kept at each step: what
        is differentiated of h at a step then follows from the sum of leak ** k times z of k steps before. None where memory is of
        another kind, or there is none.
    """

    name: str
    input_shapes: tuple[Shape, ...]
    z_shape: Any
    output_shape: Shape
    init: Callable[[PRNGKeyArray], Params]
    synapse: Callable[[Params, tuple[Array, ...]], Any]
    activate: Callable[[Any, Any, tuple[Array, ...]], tuple[Any, Array]]
    roles: Any
    init_state: Callable[..., Any] = no_state
    recurrence: tuple[Edge, ...] = ()
    affine: bool = True
    unitwise: bool = False
    takes_any_size: bool = False
    redraw: Callable[[PRNGKeyArray], Params] | None = None
    n_needed_skips: int = 0
    unit: Unit | None = None
    leak: float | None = None

    def drawn(self, key: PRNGKeyArray) -> Params:
        """Parameters of the node's sizes that owe nothing to its own: where these are given, `init` would give them again."""
        return (self.redraw or self.init)(key)

    @property
    def weighted(self) -> bool:
        """Whether the node has parameters at all; pooling and normalisation have none."""
        return bool(role_leaves(self.roles))

    @property
    def has_state(self) -> bool:
        """Whether it remembers something from step to step."""
        return bool(jax.tree.leaves(jax.eval_shape(lambda: self.init_state(1, jnp.float32))))

    @property
    def one_z(self) -> bool:
        """Whether the pre-activations are one array rather than a tree of several."""
        return is_shape(self.z_shape)

    @property
    def fan_in(self) -> int:
        """Number of inputs that one unit sums, over all weighted edges."""
        shapes = jax.tree.leaves(jax.eval_shape(self.init, jax.random.key(0)))
        total = 0
        for role, leaf in zip(role_leaves(self.roles), shapes, strict=True):
            if role.kind == WEIGHT:
                total += math.prod(leaf.shape[axis] for axis in role.fan_in)
        return total

    def accepts(self, edge: int, shape: Shape) -> bool:
        """Whether an input of this shape (of one example) goes in over the weighted edge of that number."""
        own = self.input_shapes[edge]
        return shape == own or (self.takes_any_size and len(shape) == 3 == len(own) and shape[-1] == own[-1])

    def run(self, params: Params, state: Any, inputs: tuple[Array, ...], skips: tuple[Array, ...] = ()) -> tuple[Any, Array]:
        """Synapse and activation in turn: the next state and the output."""
        return self.activate(state, self.synapse(params, inputs), skips)


def is_shape(value: Any) -> bool:
    """Whether a value is one shape, and no tree of several."""
    return isinstance(value, tuple) and all(isinstance(length, Integral) and not isinstance(length, bool) for length in value)


def check_shape(shape: Any, what: str) -> None:
    """Refuse what is no shape of one example.

    Parameters
    ----------
    shape
        Whatever was given.
    what
        It is the shape of, for the message.

    Raises
    ------
    InputError
        Anything but a tuple of positive whole numbers.

    >>> check_shape(64, "an image")
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: 64 was given as the shape of an image, expected a tuple such as (64,)
    """
    if not is_shape(shape) or any(length < 1 for length in shape):
        like = (shape,) if isinstance(shape, int) and shape > 0 else (28, 28, 1)
        raise InputError(f"{shape!r} was given as the shape of {what}, expected a tuple such as {like}")


def make_node(
    name: str,
    *,
    input_shapes: tuple[Shape, ...],
    init: Callable[[PRNGKeyArray], Params],
    synapse: Callable[[Params, tuple[Array, ...]], Any],
    activate: Callable[[Any, Any, tuple[Array, ...]], tuple[Any, Array]],
    roles: Any,
    skip_shapes: tuple[Shape, ...] = (),
    **others: Any,
) -> Node:
    """Make a node, finding the shapes of its pre-activations and of its output by tracing it.

    Parameters
    ----------
    name, input_shapes, init, synapse, activate, roles
        As `Node` has them.
    skip_shapes
        Of what comes over skip edges, where `activate` cannot do without.
    **others
        Other attributes of `Node`; `affine` is tried where it is not given.

    Raises
    ------
    InputError
        If the functions do not fit each other, the roles not the parameters, or an example is not answered by itself.

    An Elman unit: its first edge brings the input, its second what it gave a step before.

    >>> from architectures import Edge, Role
    >>> elman = make_node(
    ...     "elman",
    ...     input_shapes=((8,), (4,)),
    ...     init=lambda key: {"w": jax.random.normal(key, (8, 4)), "u": jnp.zeros((4, 4))},
    ...     synapse=lambda params, inputs: inputs[0] @ params["w"] + inputs[1] @ params["u"],
    ...     activate=lambda state, z, skips: (state, jnp.tanh(z)),
    ...     roles={"w": Role("weight", units=(1,), fan_in=(0,), edge=0), "u": Role("weight", units=(1,), fan_in=(0,), edge=1)},
    ...     recurrence=(Edge("elman", delay=1),),
    ... )
    >>> elman.z_shape, elman.output_shape
    ((4,), (4,))
    """
    for shape in input_shapes if isinstance(input_shapes, tuple) else (input_shapes,):
        check_shape(shape, f"an input of node '{name}'")
    init_state = others.get("init_state", no_state)
    params = jax.eval_shape(init, jax.random.key(0))
    declared, needed = str(jax.tree.structure(roles)), str(jax.tree.structure(params))
    if declared != needed:
        raise InputError(f"node '{name}' was given roles {declared} for parameters {needed}: give one Role for each array")
    check_roles(name, roles, params, len(input_shapes))

    def one_step(params: Params, inputs: Any, skips: Any) -> tuple[Any, Any]:
        z = synapse(params, inputs)
        found = activate(init_state(len(jax.tree.leaves((inputs, skips))[0]), jnp.float32), z, skips)
        if not (isinstance(found, tuple) and len(found) == 2):
            raise InputError(
                f"activate of node '{name}' gives {type(found).__name__}, expected a pair (state, output): return the state too, "
                "as it came where nothing is remembered"
            )
        return z, found

    given = tuple(jax.ShapeDtypeStruct((1, *shape), jnp.float32) for shape in input_shapes)
    skips = tuple(jax.ShapeDtypeStruct((1, *shape), jnp.float32) for shape in skip_shapes)
    try:
        z, (_, h) = jax.eval_shape(one_step, params, given, skips)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 a user's functions may raise anything
        raise InputError(
            f"node '{name}' was given inputs of {input_shapes} and failed: {type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''}; make synapse take what init draws, and activate what it gives"
        ) from error
    z_shape = jax.tree.map(lambda leaf: leaf.shape[1:], z)
    others.setdefault("n_needed_skips", len(skip_shapes))
    if "affine" not in others:  # a node of a user's own, which nobody has tried
        refuse_company(name, one_step, params, given, skips)
        if input_shapes:
            others["affine"] = is_affine(synapse, params, given)
    return Node(name, input_shapes, z_shape, h.shape[1:], init, synapse, activate, roles, **others)
