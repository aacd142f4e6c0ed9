r"""The words that rules are written in: what stands in the place of a network's synapses while it is run and differentiated.

A rule runs `network.trace(params, inputs, synapses=…)` and takes `jax.grad`. What it puts in the synapses' place decides what
comes back:

=================== ============ ===================================== ==========================================================
word                forward      backward                              gives
=================== ============ ===================================== ==========================================================
`exact`             weights      weights                               backpropagation (through time)
`through(feedback)` weights      other weights                         feedback alignment, sign symmetry, Kolen-Pollack, mirrors
`cut`               weights      nothing between nodes                 local losses, forward-forward, direct feedback
`cut_time`          weights      nothing along delayed edges           learning online, one step deep
`broadcast(errors)` weights      an error of its own to every node     direct feedback alignment, three-factor rules
`perturbed(noise)`  weights and  none                                  node perturbation, all nodes in one pass
                    noise at z
`recalled(z)`       z as kept    weights                               a run's errors without running it again
`relayed(states)`   states       what each state makes of its error    settling from the top down
`eligibility`       weights      traces carried forward in time        e-prop
=================== ============ ===================================== ==========================================================

`cut_time` and traces are what the option `temporal` chooses (`learning_rules/temporal_credit.py`). `eligibility` takes the signals
of a whole run; `learning_rules/forward_credit.py` carries the same traces while the network runs, and keeps no step.

Beside them stand the vector-Jacobian products of single nodes: `hebbian_product`, `project_back`, `local_derivative`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero

from architectures import INPUT, Crossing, Network, Node, Params, Trace
from bioplausible.foundation.errors import InputError
from learning_rules.synapse_traces import carried, no_traces, times_unit

__all__ = [
    "broadcast",
    "clamped",
    "cut",
    "cut_time",
    "eligibility",
    "exact",
    "hebbian_product",
    "hebbian_products",
    "in_precision_of",
    "local_derivative",
    "merge_steps",
    "perturbed",
    "project_back",
    "recalled",
    "relayed",
    "replay",
    "scale_examples",
    "shifted",
    "silence",
    "through",
]

Crossings = tuple[Crossing, ...]


def exact(network: Network, params: Sequence[Params]) -> Crossings:
    """The network's own synapses: errors come back through the weights that signals went through.

    Parameters
    ----------
    network
        The network.
    params
        One tree per node.

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(3,), n_classes=2, hidden=(4,))
    >>> params, x = network.init(jax.random.key(0)), jnp.ones((5, 3))
    >>> network.trace(params, x, exact(network, params)).outputs[-1].shape
    (5, 2)
    """
    return network.plain(params)


def in_precision_of(errors: Any, outputs: Any) -> Any:
    """Errors in the floating-point type of what they are errors of.

    Where both are enabled (JAX_ENABLE_X64), noise and feedback are drawn in 64 bits and images are in 32, and JAX carries no
    error back to a signal of another type.

    Parameters
    ----------
    errors
        A tree of arrays.
    outputs
        A tree like it.
    """
    return jax.tree.map(lambda error, output: jnp.asarray(error, output.dtype), errors, outputs)


def _foreign(node: Node) -> Callable[[Params, Params, tuple[Array, ...]], Any]:
    """A synapse whose inputs' cotangents go through other weights, and whose parameters' cotangents are its own."""

    @jax.custom_vjp
    def synapse(params: Params, feedback: Params, inputs: tuple[Array, ...]) -> Any:
        return node.synapse(params, inputs)

    def forward(params: Params, feedback: Params, inputs: tuple[Array, ...]) -> tuple[Any, Any]:
        return node.synapse(params, inputs), (params, feedback, inputs)

    def backward(kept: Any, cotangent: Any) -> tuple[Any, Any, Any]:
        params, feedback, inputs = kept
        own = jax.vjp(lambda p: node.synapse(p, inputs), params)[1](cotangent)[0]
        through_feedback, pull = jax.vjp(lambda x: node.synapse(feedback, x), inputs)
        back = pull(in_precision_of(cotangent, through_feedback))[0]
        return own, jax.tree.map(jnp.zeros_like, feedback), back

    synapse.defvjp(forward, backward)
    return synapse


def through(network: Network, params: Sequence[Params], feedback: Sequence[Params | None]) -> Crossings:
    """Signals go forward through `params`, and errors come back through `feedback`.

    Parameters
    ----------
    network
        The network, whose synapses are affine.
    params
        One tree per node.
    feedback
        One tree per node, of the shapes of its parameters; None for a node that hears nothing but what comes from outside, and so
        carries no error back.

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(3,), n_classes=2, hidden=(4,))
    >>> params, other, x = network.init(jax.random.key(0)), network.init(jax.random.key(1)), jnp.ones((5, 3))
    >>> def loss(params, feedback):
    ...     return jnp.sum(network.trace(params, x, through(network, params, feedback)).outputs[-1] ** 2)
    >>> gradient = jax.grad(lambda p: jnp.sum(network.forward(p, x)[-1] ** 2))(params)
    >>> same = jax.tree.map(jnp.array_equal, jax.grad(loss)(params, params), gradient)
    >>> all(jax.tree.leaves(same)), bool(jnp.array_equal(jax.grad(loss)(params, other)[0]["kernel"], gradient[0]["kernel"]))
    (True, False)
    """

    def at(node: Node, own: Params, other: Params | None) -> Crossing:
        if other is None:
            return Crossing(lambda inputs: node.synapse(own, inputs))
        foreign = _foreign(node)
        # What is read of the forward weights to make feedback (their signs) is no path for a gradient.
        fixed = jax.lax.stop_gradient(other)
        return Crossing(lambda inputs: foreign(own, fixed, inputs))

    return tuple(at(*each) for each in zip(network.nodes, params, feedback, strict=True))


def _stopped(network: Network, crossings: Sequence[Crossing], delayed_alone: bool) -> Crossings:
    def at(index: int, crossing: Crossing) -> Crossing:
        def stops(skip: bool) -> list[bool]:
            edges = [edge for edge in network.edges[index] if edge.skip == skip]
            return [edge.source != INPUT and (bool(edge.delay) or not delayed_alone) for edge in edges]

        def stop(signals: tuple[Array, ...], which: list[bool]) -> tuple[Array, ...]:
            return tuple(jax.lax.stop_gradient(x) if no else x for x, no in zip(signals, which, strict=True))

        return crossing._replace(
            synapse=lambda inputs: crossing.synapse(stop(inputs, stops(False))),
            skips=lambda signals: crossing.skips(stop(signals, stops(True))),
        )

    return tuple(at(index, crossing) for index, crossing in enumerate(crossings))


def cut(network: Network, crossings: Sequence[Crossing]) -> Crossings:
    """No error crosses an edge between nodes, skips and delayed ones among them: a gradient stays at the node where it arises.

    What a node remembers is its own, and an error still goes back through it in time.

    Parameters
    ----------
    network
        The network.
    crossings
        What is cut, `exact(network, params)` say.

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(3,), n_classes=2, hidden=(4,))
    >>> params, x = network.init(jax.random.key(0)), jnp.ones((5, 3))
    >>> loss = lambda p: jnp.sum(network.trace(p, x, cut(network, exact(network, p))).outputs[-1] ** 2)
    >>> [bool(jnp.any(leaf["kernel"] != 0)) for leaf in jax.grad(loss)(params)]
    [False, True]
    """
    return _stopped(network, crossings, delayed_alone=False)


def cut_time(network: Network, crossings: Sequence[Crossing]) -> Crossings:
    """No error crosses a delayed edge: within a step it goes down as ever, back in time it goes no further than a node's own state.

    Parameters
    ----------
    network
        The network.
    crossings
        What is cut.

    >>> import architectures
    >>> network = architectures.build("recurrent", input_shape=(6, 3), n_classes=2, hidden=(4,))
    >>> params, x = network.init(jax.random.key(0)), jnp.ones((5, 6, 3))
    >>> online = lambda p: jnp.sum(network.trace(p, x, cut_time(network, exact(network, p))).outputs[-1][-1])
    >>> through_time = lambda p: jnp.sum(network.forward(p, x)[-1][-1])
    >>> bool(jnp.allclose(jax.grad(online)(params)[0]["kernel"], jax.grad(through_time)(params)[0]["kernel"]))
    False
    """
    return _stopped(network, crossings, delayed_alone=True)


def broadcast(outputs: Sequence[Array], errors: Sequence[Array]) -> Array:
    """A number whose gradient, in a run that is `cut`, gives every node an error of its own at its output.

    Parameters
    ----------
    outputs
        Of each node, (n, ...), or (time, n, ...).
    errors
        What arrives at each, of the same shape, or without time where it is the same at every step.

    >>> h, e = jnp.ones((2, 3)), jnp.arange(6.0).reshape(2, 3)
    >>> jax.grad(lambda h: broadcast([h], [e]))(h).tolist()
    [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    """
    return sum((jnp.sum(h * jax.lax.stop_gradient(e)) for h, e in zip(outputs, errors, strict=True)), start=jnp.zeros(()))


def perturbed(crossings: Sequence[Crossing], noise: Sequence[Any]) -> Crossings:
    """Noise is added to every node's pre-activations; the gradient with respect to noise of nought is each node's error there.

    Parameters
    ----------
    crossings
        What is perturbed.
    noise
        For each node a tree like its pre-activations, (n, ...), or None where nothing is added. In a temporal network this is the
        noise of one step: give `trace` all of it as `per_step`, and a function of it as `synapses`.

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(3,), n_classes=2, hidden=(4,))
    >>> params, x = network.init(jax.random.key(0)), jnp.ones((5, 3))
    >>> def loss(noise):
    ...     return jnp.sum(network.trace(params, x, perturbed(exact(network, params), noise)).outputs[-1])
    >>> [error.shape for error in jax.grad(loss)(silence(network, params, x))]
    [(5, 4), (5, 2)]
    """

    def at(crossing: Crossing, added: Any) -> Crossing:
        if added is None:
            return crossing
        return crossing._replace(synapse=lambda inputs: jax.tree.map(jnp.add, crossing.synapse(inputs), added))

    return tuple(at(crossing, added) for crossing, added in zip(crossings, noise, strict=True))


def silence(
    network: Network, params: Sequence[Params], inputs: Array, *, signal: str = "z", encoded: bool = False
) -> tuple[Any, ...]:
    """Noise of nought for every node's pre-activations, with time as the leading axis in a temporal network.

    Parameters
    ----------
    network
        The network.
    params
        One tree per node.
    inputs
        As `trace` takes them.
    signal
        Field of the `Trace` that it is to be like: "z", or "outputs" for what `shifted` takes.
    encoded
        Whether inputs are as `network.encode` gives them.
    """
    like = jax.eval_shape(lambda p, x: getattr(network.trace(p, x, encoded=encoded), signal), params, inputs)
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)


def shifted(crossings: Sequence[Crossing], shifts: Sequence[Array | None]) -> Crossings:
    """Something is added to what every node passes on; the gradient with respect to shifts of nought is each node's error there.

    Parameters
    ----------
    crossings
        What is shifted.
    shifts
        For each node, (n, *output_shape), or None where nothing is added; in a temporal network those of one step.

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(3,), n_classes=2, hidden=(4,))
    >>> params, x = network.init(jax.random.key(0)), jnp.ones((5, 3))
    >>> def loss(shift):
    ...     return jnp.sum(network.trace(params, x, shifted(exact(network, params), [shift, None])).outputs[-1])
    >>> bool(jnp.allclose(jax.grad(loss)(jnp.zeros((5, 4)))[0], params[1]["kernel"].sum(1)))
    True
    """

    def at(crossing: Crossing, shift: Array | None) -> Crossing:
        return crossing if shift is None else crossing._replace(output=lambda h: crossing.output(h) + shift)

    return tuple(at(crossing, shift) for crossing, shift in zip(crossings, shifts, strict=True))


def clamped(crossings: Sequence[Crossing], states: Sequence[Array | None]) -> Crossings:
    """Nodes pass on given states in place of what their units do; a run then tells what every unit would have done.

    Parameters
    ----------
    crossings
        What is clamped.
    states
        What each node passes on, (n, *output_shape), None where it is its own output.

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(3,), n_classes=2, hidden=(4,))
    >>> params, x = network.init(jax.random.key(0)), jnp.ones((5, 3))
    >>> held = clamped(exact(network, params), [jnp.zeros((5, 4)), None])
    >>> network.trace(params, x, held).outputs[-1][0].tolist()
    [0.0, 0.0]
    """

    def at(crossing: Crossing, state: Array | None) -> Crossing:
        return crossing if state is None else crossing._replace(output=lambda h: state)

    return tuple(at(crossing, state) for crossing, state in zip(crossings, states, strict=True))


def relayed(
    crossings: Sequence[Crossing], states: Sequence[Array | None], kept: Sequence[Any], down: Callable[..., Array]
) -> Crossings:
    """Nodes pass on given states, and each makes something of the error that arrives before any goes on down.

    The gradient with respect to a state is what arrives at it from all who hear it. What its unit is then blamed for is up to
    `down`, so that one backward pass is a sweep from the top down in which each state moves before the ones below it.

    Parameters
    ----------
    crossings
        What stands around the nodes otherwise.
    states
        What each node passes on, (n, *output_shape); None for a node that passes on its own output, and all errors.
    kept
        For each node a tree of arrays that `down` is given; no gradient reaches it.
    down
        (kept, what the node's unit does, what arrives) -> the error of what the node's unit does.

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(3,), n_classes=2, hidden=(4, 4))
    >>> params, x = network.init(jax.random.key(0)), jnp.ones((5, 3))
    >>> def loss(states, down):
    ...     crossings = relayed(exact(network, params), [*states, None], [(), (), ()], down)
    ...     return jnp.sum(network.trace(params, x, crossings).outputs[-1] ** 2)
    >>> states = network.forward(params, x)[:-1]
    >>> held = jax.grad(loss)(states, lambda kept, h, arriving: jnp.zeros_like(h))
    >>> handed_on = jax.grad(loss)(states, lambda kept, h, arriving: arriving)
    >>> [[bool(jnp.any(error != 0)) for error in errors] for errors in (held, handed_on)]
    [[False, True], [True, True]]
    """

    @jax.custom_vjp
    def relay(h: Array, state: Array, kept: Any) -> Array:
        return state

    def forward(h: Array, state: Array, kept: Any) -> tuple[Array, Any]:
        return state, (kept, h)

    def backward(saved: Any, arriving: Array) -> tuple[Array, Array, Any]:
        return down(*saved, arriving), arriving, jax.tree.map(jnp.zeros_like, saved[0])

    relay.defvjp(forward, backward)

    def at(crossing: Crossing, state: Array | None, kept: Any) -> Crossing:
        return crossing if state is None else crossing._replace(output=lambda h: relay(h, state, kept))

    return tuple(at(*each) for each in zip(crossings, states, kept, strict=True))


def _recall(node: Node) -> Callable[[Params, Params, tuple[Array, ...], Any], Any]:
    """A synapse whose pre-activations are known; its parameters' derivatives are its own, its inputs' those of other weights."""

    @jax.custom_jvp
    def synapse(params: Params, back: Params, inputs: tuple[Array, ...], z: Any) -> Any:
        return z

    def tangent(primals: Any, tangents: Any) -> tuple[Any, Any]:
        params, back, inputs, z = primals
        along_params, _, along_inputs, _ = tangents

        def moves(along: Any) -> bool:
            return any(not isinstance(t, SymbolicZero) for t in jax.tree.leaves(along))

        def whole(along: Any) -> Any:
            return jax.tree.map(lambda t: t.instantiate() if isinstance(t, SymbolicZero) else t, along)

        # Only what is differentiated by costs a product.
        moved = jax.tree.map(jnp.zeros_like, z)
        if moves(along_params):
            moved = jax.jvp(lambda p: node.synapse(p, inputs), (params,), (whole(along_params),))[1]
        if moves(along_inputs):
            by_inputs = jax.jvp(lambda x: node.synapse(back, x), (inputs,), (whole(along_inputs),))[1]
            moved = jax.tree.map(jnp.add, moved, by_inputs) if moves(along_params) else by_inputs
        return z, moved

    synapse.defjvp(tangent, symbolic_zeros=True)
    return synapse


def recalled(
    network: Network, params: Sequence[Params], z: Sequence[Any], feedback: Sequence[Params | None] | None = None
) -> Crossings:
    """Pre-activations are taken as an earlier run left them, and errors go through the weights: a run's way back, run by itself.

    Parameters
    ----------
    network
        The network.
    params
        One tree per node.
    z
        For each node a tree like its pre-activations; None for a node whose synapses are to be asked anew.
    feedback
        What errors go through instead, as `through` takes it; None for the weights themselves.

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(3,), n_classes=2, hidden=(4,))
    >>> params, x = network.init(jax.random.key(0)), jnp.ones((5, 3))
    >>> z = network.trace(params, x).z
    >>> gradient = jax.grad(lambda p: jnp.sum(network.trace(p, x, recalled(network, p, z)).outputs[-1] ** 2))(params)
    >>> same = jax.tree.map(jnp.allclose, gradient, jax.grad(lambda p: jnp.sum(network.forward(p, x)[-1] ** 2))(params))
    >>> all(jax.tree.leaves(same))
    True
    """
    asked_anew = exact(network, params) if feedback is None else through(network, params, feedback)

    def at(index: int, node: Node, own: Params, known: Any) -> Crossing:
        if known is None:
            return asked_anew[index]
        recall = _recall(node)
        back = None if feedback is None else feedback[index]
        back = own if back is None else jax.lax.stop_gradient(back)
        return Crossing(lambda inputs: recall(own, back, inputs, known))

    return tuple(at(index, *each) for index, each in enumerate(zip(network.nodes, params, z, strict=True)))


def eligibility(network: Network, params: Sequence[Params], trace: Trace, errors: Sequence[Array | None]) -> tuple[Params, ...]:
    r"""What weights are asked for by traces that are carried forward in time, with nothing stored of the steps before.

    With a unit's state :math:`s_t = f(s_{t-1}, z_t)` and output :math:`h_t`, every synapse carries
    :math:`\epsilon_t = \frac{\partial s_t}{\partial s_{t-1}} \epsilon_{t-1} + \frac{\partial s_t}{\partial z_t}
    \frac{\partial z_t}{\partial w}`, and an error at the unit's output meets :math:`\frac{\partial h_t}{\partial w}` on the spot
    (Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, equations 13 and 14). It is the gradient of `broadcast` in a run that is
    `cut`, found the other way round.

    Parameters
    ----------
    network
        A temporal network, each of whose nodes named in `errors` is unit by unit and sees dense weights.
    params
        One tree per node.
    trace
        Of a run.
    errors
        At each node's output, (time, n, units); None for a node that is asked for nothing.

    Returns
    -------
    tuple of trees
        One per node, with the tree of its parameters, summed over steps and examples.

    Raises
    ------
    InputError
        An error for a node whose units do not each go by their own pre-activation.

    >>> import architectures
    >>> network = architectures.build("spiking", input_shape=(3,), n_classes=2, hidden=(4,), n_steps=6)
    >>> params, x = network.init(jax.random.key(0)), jnp.ones((5, 3))
    >>> trace = network.trace(params, x)
    >>> eligibility(network, params, trace, [jnp.ones_like(h) for h in trace.outputs])[0]["kernel"].shape
    (3, 4)
    """

    def of_node(node: Node, own: Params, index: int, error: Array | None) -> Params:
        if error is None:
            return jax.tree.map(jnp.zeros_like, own)
        if not (node.unitwise and node.one_z):
            raise InputError(
                f"eligibility was asked of '{node.name}', whose units go by more than their own pre-activation: give None"
            )

        def step(before: Any, now: Any) -> tuple[Any, None]:
            traces, total = before
            state, z, inputs, skips, arriving = now
            after, felt = carried(node, own, traces, state, z, inputs, skips)
            now_learned = jax.tree.map(lambda f: jnp.sum(times_unit(arriving, f), axis=0), felt)
            return (after, jax.tree.map(jnp.add, total, now_learned)), None

        nothing = no_traces(own, jax.tree.map(lambda leaf: leaf[0], trace.states[index]))
        seen = (trace.states[index], trace.z[index], trace.inputs[index], trace.skips[index], error)
        return jax.lax.scan(step, (nothing, jax.tree.map(jnp.zeros_like, own)), seen)[0][1]

    return tuple(of_node(node, own, k, e) for k, (node, own, e) in enumerate(zip(network.nodes, params, errors, strict=True)))


def replay(network: Network, index: int, params: Params, trace: Trace) -> Array:
    """What one node gives when it hears again what it heard in a run: a node by itself, which a gradient cannot leave.

    Parameters
    ----------
    network
        The network.
    index
        Number of the node.
    params
        The node's parameters.
    trace
        Of the run.

    Returns
    -------
    Array
        Outputs, (n, ...), or (time, n, ...) in a temporal network.
    """
    node = network.nodes[index]
    heard = jax.lax.stop_gradient((trace.inputs[index], trace.skips[index]))
    if not network.temporal:
        return node.run(params, trace.states[index], *heard)[1]
    first = jax.tree.map(lambda leaf: leaf[0], trace.states[index])
    return jax.lax.scan(lambda state, now: node.run(params, state, *now), first, heard)[1]


def merge_steps(network: Network, tree: Any) -> Any:
    """Signals as if every step of every example were an example: (time, n, ...) as (time * n, ...); static ones as they are.

    Parameters
    ----------
    network
        The network.
    tree
        Any tree of signals, of what a `Trace` holds say.

    >>> import architectures
    >>> network = architectures.build("recurrent", input_shape=(6, 3), n_classes=2, hidden=(4,))
    >>> merge_steps(network, jnp.ones((6, 5, 4))).shape
    (30, 4)
    """
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), tree) if network.temporal else tree


def scale_examples(network: Network, signal: Array, factors: Array) -> Array:
    """Each example's signal times a factor of its own, in a temporal network at every step.

    Parameters
    ----------
    network
        The network.
    signal
        (n, ...), or (time, n, ...) in a temporal network.
    factors
        (n,).

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(3,), n_classes=2, hidden=(4,))
    >>> scale_examples(network, jnp.ones((2, 3)), jnp.array([1.0, 0.0])).tolist()
    [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    return signal * factors.reshape(-1, *[1] * (signal.ndim - 1 - network.temporal))


def hebbian_product(node: Node, params: Params, inputs: Any, post: Any) -> Params:
    """Presynaptic times postsynaptic signal, summed over the batch and over shared positions.

    Since a synapse is linear in its parameters, their values do not enter: `params` gives the shapes.

    Parameters
    ----------
    node
        The node.
    params
        Its parameters.
    inputs
        What arrives over each weighted edge, each (n, ...).
    post
        At its pre-activations, a tree like z.
    """
    z, pull = jax.vjp(lambda p: node.synapse(p, inputs), params)
    return pull(in_precision_of(post, z))[0]


def hebbian_products(network: Network, params: Sequence[Params], inputs: Sequence[Any], post: Sequence[Any]) -> tuple[Params, ...]:
    """`hebbian_product` of every node; in a temporal network summed over steps.

    Parameters
    ----------
    network
        The network.
    params
        One tree per node.
    inputs
        For each node, what arrives over each weighted edge, (n, ...) or (time, n, ...).
    post
        For each node, a tree like its pre-activations.
    """
    each = zip(network.nodes, params, *(merge_steps(network, tuple(signals)) for signals in (inputs, post)), strict=True)
    return tuple(hebbian_product(node, own, x, at_z) for node, own, x, at_z in each)


def project_back(node: Node, params: Params, inputs: Any, error: Any) -> Any:
    """An error at a node's pre-activations, carried to its inputs through `params`, whichever weights these are.

    Since a synapse is affine in its inputs, their values do not enter: they give the shapes.

    Parameters
    ----------
    node
        The node.
    params
        A tree of the shapes of its parameters.
    inputs
        What arrives over each weighted edge, each (n, ...).
    error
        At its pre-activations, a tree like z.
    """
    z, pull = jax.vjp(lambda value: node.synapse(params, value), inputs)
    return pull(in_precision_of(error, z))[0]


def local_derivative(node: Node, z: Any, error: Array, state: Any = (), skips: tuple[Array, ...] = ()) -> Any:
    """An error at a node's output, times the derivative of its activation at `z`.

    Parameters
    ----------
    node
        The node.
    z
        Its pre-activations.
    error
        At its output, (n, *output_shape).
    state
        What it remembered before the step.
    skips
        What arrived over its skip edges.
    """
    output, pull = jax.vjp(lambda value: node.activate(state, value, skips)[1], z)
    return pull(in_precision_of(error, output))[0]
