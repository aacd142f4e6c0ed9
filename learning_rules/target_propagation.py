r"""Target propagation: what reaches a node from above is not an error but a target, made by learned inverses.

With :math:`z_k = S_{\theta_k}(h_{k-1})`, :math:`h_k = a_k(z_k)` and the inverse :math:`g_k` of node :math:`k`, targets start at
the scores, :math:`t_L = h_L - \beta \, \partial\ell/\partial h_L`, and go down; each node then moves its output towards its
target by itself:

.. math:: \Delta\theta_k \propto \tfrac1\beta \langle h_{k-1},\; a_k'(z_k) \odot (t_k - h_k) \rangle

where the product is Hebbian. The inverse is shaped like the node taken backwards, with weights :math:`B_k` of its own:
:math:`g_k(v) = S_{B_k}^\top (a_k'(z_k) \odot v) + c_k`, the vector-Jacobian product of `synapse` at :math:`B_k`. The gain
:math:`a_k'(z_k)` is the same neuron's own, the offset :math:`c_k` is there where it does not cancel out.

=============================== ================================== =============================================================
variant                         :math:`t_{k-1}`                    the inverse goes down
=============================== ================================== =============================================================
local_difference_reconstruction as difference                      :math:`-\langle\epsilon, g(f(h+\epsilon)) - g(f(h))\rangle
                                                                   + \tfrac12 \lVert g(f(h)+\eta) - g(f(h))\rVert^2`, with noise
                                                                   :math:`\epsilon` below and :math:`\eta` above the node: its
                                                                   Jacobian becomes the transpose of the node's, so that small
                                                                   targets carry the gradient (Ernoult et al. 2022, arXiv
                                                                   2201.13415)
difference                      :math:`h_{k-1} + g(t_k) - g(h_k)`  :math:`\tfrac12\lVert g(f(h+\epsilon)) - (h+\epsilon)\rVert^2`
                                                                   (Lee et al. 2015, arXiv 1412.7525)
plain                           :math:`g(t_k)`                     as difference (Bengio 2014, arXiv 1407.7906)
textbook                        as difference, from the last       as difference, with inverses that bend: `target_propagation_lee`
                                hidden node down
=============================== ================================== =============================================================

With exact inverses the targets are Gauss-Newton's and not the gradient's (Meulemans et al. 2020, arXiv 2006.14331).

Since inverses are affine given the gains, a target's difference :math:`t_k - h_k` travels down as an error does, through
:math:`B_k`: the difference forms are feedback alignment with a learned inverse, the gradient of the loss `through` the inverses'
weights. On a graph the differences of all that hears a node add up; over a skip edge they go down as they are; in time they also go
back through delayed edges, and through what a node remembers. The form `plain` passes the targets themselves, which do not add up:
it goes down a chain. Inverses learn node by node, at the states and skips of the run; every step of an example is then an example.

Departures: the first target is set at the scores in every variant, not below them by the true gradient as Lee et al. do; inverses
have no activation function of their own, so that in all variants but `plain` the targets' step :math:`\beta` cancels out; inverses
take one step a batch, over `feedback_draws` draws of noise (random signs) for a few of the examples, beside the forward weights.
`textbook_local_difference_reconstruction` is Ernoult et al.'s: on every batch inverses take twenty steps, over all examples that
count, before targets go down through them, and both take plain steps with momentum. Forward rate, decay and momentum are those of
the authors' code; it gives noise (.4 to .08), steps (20 to 55) and rates of inverses to each of its five layers, where all nodes
here have those of the first and one rate, of a loss that is a mean over places and in units of the noise's variance. In
`plain` the inverse's own error enters every target, and outweighs what the labels say where targets are near: nodes then learn to
be easily inverted, and collapse. Its :math:`\beta` is therefore large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures import Network, Node, Params, Trace
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import at_least, fraction, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedback_weights import completed, feedback_angles, random_feedback, without_bias
from learning_rules.feedforward import feedforward_rule
from learning_rules.needs import Needs
from learning_rules.noise import signs
from learning_rules.objectives import Batch, Objective, as_batch
from learning_rules.optimizers import adam, n_places, per_part, plain_steps
from learning_rules.signals import (
    cut,
    exact,
    in_precision_of,
    local_derivative,
    merge_steps,
    project_back,
    scale_examples,
    shifted,
    silence,
    through,
)
from learning_rules.target_propagation_lee import lee

__all__ = ["FAMILY", "TargetPropagationOptions", "invert", "target_propagation"]


@dataclass(frozen=True)
class TargetPropagationOptions:
    """Options of target propagation.

    Attributes
    ----------
    variant
        See the table above.
    loss
        One of `OBJECTIVES`.
    learning_rate
        Of the forward weights, at the first step: Adam's, or of plain steps, where there are `feedback_steps`.
    weight_decay
        Of the forward weights, per unit of learning rate: decoupled, or in plain steps a part of what they are asked for.
    feedback_rate
        Adam's, of the inverses: larger, because they follow weights that move. Of plain steps, where there are `feedback_steps`.
    feedback_steps
        Plain steps that inverses take on a batch before targets go down through them; 0 for one step of Adam's beside the forward
        weights'.
    momentum
        Of plain steps, which forward weights then take too.
    feedback_gain
        Factor on the initial size of the inverses.
    feedback_draws
        Draws of noise per example that one step of the inverses takes the mean of.
    feedback_examples
        Examples of a batch that inverses learn from, at most; it is the nodes that they learn about.
    target_step
        beta, how far the scores' target is from them, per unit of the loss's derivative; positive.
    noise
        Standard deviation of the noise that inverses learn by; positive.
    """

    variant: str = "local_difference_reconstruction"
    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    feedback_rate: float = 5e-3
    feedback_steps: int = 0
    momentum: float = 0.0
    feedback_gain: float = 0.05
    feedback_draws: int = 1
    feedback_examples: int = 32
    target_step: float = 0.1
    noise: float = 0.1


class _Site(NamedTuple):
    """A node, its parameters, and what a run showed there, as a `Trace` has it: every step of an example is an example."""

    node: Node
    params: Params
    inputs: tuple[Array, ...]
    skips: tuple[Array, ...]
    z: Any
    h: Array
    state: Any

    def run(self, z: Any) -> Array:
        return self.node.activate(self.state, z, self.skips)[1]

    def invert(self, inverse: Params, z: Any, signal: Array) -> tuple[Array, ...]:
        return invert(self.node, self.params, inverse, self.inputs, z, signal, self.state, self.skips)


def invert(
    node: Node,
    params: Params,
    inverse: Params,
    inputs: tuple[Array, ...],
    z: Any,
    signal: Array,
    state: Any = (),
    skips: tuple[Array, ...] = (),
) -> tuple[Array, ...]:
    """The inverse of a node at its pre-activations.

    Parameters
    ----------
    node
        The node.
    params
        Its own parameters, of which only the shapes enter.
    inverse
        Of the node: "weights", and "offset", one array for each weighted edge, where it has them.
    inputs
        What arrives over each weighted edge, (n, ...), of which only the shapes enter.
    z
        Its pre-activations, a tree of (n, ...): the gains are the activation's derivative there.
    signal
        At its output, (n, *output_shape).
    state
        What it remembered before the step.
    skips
        What arrived over its skip edges.

    Returns
    -------
    tuple of Array
        For each weighted edge what is to arrive there, (n, *input_shape).
    """
    returned = project_back(node, completed(params, inverse["weights"]), inputs, local_derivative(node, z, signal, state, skips))
    if "offset" not in inverse:
        return returned
    return tuple(back + offset for back, offset in zip(returned, inverse["offset"], strict=True))


class _Moves(NamedTuple):
    """What targets ask of a network.

    Attributes
    ----------
    updates
        Pseudo-gradients, one tree per node.
    differences
        Of each node's output from its target, per unit of the targets' step and in the scale of the mean loss.
    trace
        Of the run.
    """

    updates: tuple[Params, ...]
    differences: tuple[Array, ...]
    trace: Trace


def _by_differences(
    network: Network, params: tuple[Params, ...], weights: Sequence[Params | None], batch: Batch, objective: Objective
) -> _Moves:
    """Differences go down as errors do: the gradient of the loss through the inverses' weights."""
    still = silence(network, params, batch.inputs, signal="outputs")

    def loss(params: tuple[Params, ...], shifts: tuple[Array, ...]) -> tuple[Array, Trace]:
        def crossings(now: tuple[Array, ...]) -> Any:
            return shifted(through(network, params, weights), (*now[:-1], None))

        trace = network.trace(params, batch.inputs, crossings, per_step=shifts)
        return objective.loss(trace.outputs[-1] + shifts[-1], batch), trace

    (_, trace), (updates, differences) = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(params, still)
    return _Moves(updates, differences, trace)


def _by_targets(
    network: Network, params: tuple[Params, ...], inverses: Sequence[Params | None], batch: Batch, objective: Objective, step: float
) -> _Moves:
    """Targets go down a chain themselves, and each node moves towards its own."""

    def run(params: tuple[Params, ...]) -> tuple[tuple[Array, ...], Trace]:
        trace = network.trace(params, batch.inputs, cut(network, exact(network, params)))
        return trace.outputs, trace

    outputs, pull, trace = jax.vjp(run, params, has_aux=True)
    target = outputs[-1] - step * jax.grad(lambda scores: jnp.sum(objective.per_example(scores, batch)))(outputs[-1])
    targets = [target]
    for index in reversed(range(1, len(network.nodes))):
        (target,) = _site(network, params, trace, index).invert(inverses[index], trace.z[index], target)
        targets.append(target)
    factors = objective.example_weights(batch) / step
    differences = tuple(scale_examples(network, h - t, factors) for h, t in zip(outputs, reversed(targets), strict=True))
    return _Moves(pull(in_precision_of(differences, outputs))[0], differences, trace)


def _site(network: Network, params: Sequence[Params], trace: Trace, index: int) -> _Site:
    here = merge_steps(network, tuple(signals[index] for signals in trace))
    return _Site(network.nodes[index], params[index], *here)


def _noise(key: PRNGKeyArray, signals: tuple[Array, ...], size: float) -> tuple[Array, ...]:
    keys = [key] if len(signals) == 1 else list(jax.random.split(key, len(signals)))
    return tuple(size * signs(k, x.shape, x.dtype) for k, x in zip(keys, signals, strict=True))


def _feedback_loss(at: _Site, inverse: Params, key: PRNGKeyArray, options: TargetPropagationOptions, parts: Array | None) -> Array:
    """What one inverse goes down, in units of the noise's variance: the mean over the batch, or what has a part in it."""
    key_below, key_above = jax.random.split(key)
    below = _noise(key_below, at.inputs, options.noise)
    shaken = tuple(x + noise for x, noise in zip(at.inputs, below, strict=True))
    noisy = at.node.synapse(at.params, shaken)
    if options.variant == "local_difference_reconstruction":
        (above,) = _noise(key_above, (at.h,), options.noise)
        returned = at.invert(inverse, at.z, at.run(noisy) - at.h)
        shrunk = at.invert(inverse, at.z, above)
        terms = [0.5 * jnp.square(s) - e * r for s, e, r in zip(shrunk, below, returned, strict=True)]
    else:
        # The inverse is of what comes through the weights: the state itself could be read off a skip.
        bare = at._replace(skips=jax.tree.map(jnp.zeros_like, at.skips))
        returned = bare.invert(inverse, noisy, bare.run(noisy))
        terms = [0.5 * jnp.square(r - x) for r, x in zip(returned, shaken, strict=True)]
    if parts is None:
        return jnp.sum(jnp.stack([jnp.sum(each) for each in terms])) / (len(at.h) * options.noise**2)
    by_example = [jnp.sum(each.reshape(len(each), -1), axis=1) for each in terms]
    return jnp.sum(jnp.stack([jnp.vdot(parts, each) for each in by_example])) / options.noise**2


def _learn_inverses(
    network: Network,
    params: tuple[Params, ...],
    inverses: Sequence[Params | None],
    trace: Trace,
    key: PRNGKeyArray,
    options: TargetPropagationOptions,
    parts: Array | None = None,
) -> tuple[tuple[Params | None, ...], tuple[Array, ...]]:
    """What each inverse is asked for, and the loss of each that there is; examples have an equal part in it unless told."""

    def mean_loss(inverse: Params, at: _Site, key: PRNGKeyArray) -> Array:
        draws = jax.random.split(key, options.feedback_draws)
        return jnp.mean(jax.vmap(lambda draw: _feedback_loss(at, inverse, draw, options, parts))(draws))

    first = (slice(None),) * network.temporal + (slice(options.feedback_examples),)
    few = jax.tree.map(lambda signal: signal[first], trace)
    keys = jax.random.split(key, len(network.nodes))
    learned = [
        (None, None) if inverse is None else jax.value_and_grad(mean_loss)(inverse, _site(network, params, few, index), k)
        for index, (inverse, k) in enumerate(zip(inverses, keys, strict=True))
    ]
    return tuple(updates for _, updates in learned), tuple(loss for loss, _ in learned if loss is not None)


def _settle_inverses(
    network: Network,
    params: tuple[Params, ...],
    learned: tuple[Any, Any],
    trace: Trace,
    key: PRNGKeyArray,
    options: TargetPropagationOptions,
    parts: Array,
) -> tuple[tuple[Any, Any], tuple[Array, ...]]:
    """Inverses and the velocity of each after `feedback_steps` plain steps on one batch, and the losses at the last of them."""
    parts = parts[: options.feedback_examples]
    places = [n_places(node) for node in network.nodes]
    # A batch none of whose examples counts teaches nothing.
    parts = parts / jnp.maximum(jnp.sum(parts), jnp.finfo(parts.dtype).tiny)

    def step(learned: tuple[Any, Any], key: PRNGKeyArray) -> tuple[tuple[Any, Any], tuple[Array, ...]]:
        inverses, velocity = learned
        asked, losses = _learn_inverses(network, params, inverses, trace, key, options, parts)
        # A mean over the places that share weights: what they are asked for is a sum.
        asked = tuple(jax.tree.map(lambda g, n=n: g / n, own) for own, n in zip(asked, places, strict=True))
        velocity = jax.tree.map(lambda v, g: options.momentum * v + g, velocity, asked)
        return (jax.tree.map(lambda b, v: b - options.feedback_rate * v, inverses, velocity), velocity), losses

    learned, losses = jax.lax.scan(step, learned, jax.random.split(key, options.feedback_steps))
    return learned, jax.tree.map(lambda each: each[-1], losses)


def target_propagation(network: Network, options: TargetPropagationOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        A target step or noise that is not positive, no draw or example to learn inverses from, steps of inverses where the variant
        has none of its own, or a momentum that is no fraction or that nothing takes.
    """
    positive(options, "target_step", "noise", "feedback_gain", "feedback_rate")
    at_least(options, 1, "feedback_draws", "feedback_examples")
    at_least(options, 0, "feedback_steps", "weight_decay")
    fraction(options, "momentum", with_one=False)
    if options.momentum and not options.feedback_steps:
        raise InputError(f"momentum={options.momentum} was given, which plain steps alone have: give feedback_steps too, 20 say")
    if options.feedback_steps and options.variant in ("textbook", "plain"):
        raise InputError(
            f"feedback_steps={options.feedback_steps} was given for '{options.variant}', whose inverses take one step beside the "
            "forward weights: use 'difference' or 'local_difference_reconstruction'"
        )
    if options.variant == "textbook":
        return lee(network, options, spec, objective)
    stepwise = options.feedback_steps > 0

    def init(key: PRNGKeyArray) -> RuleState:
        # What is added to sums does nothing on the way back, and a node that hears no other has no target to send down.
        drawn = random_feedback(network, jax.random.fold_in(key, 1), options.feedback_gain)
        with_offset = options.variant != "local_difference_reconstruction"

        def inverse_of(node: Node, weights: Params) -> Params:
            own = {"weights": without_bias(node, weights)}
            return {**own, "offset": tuple(jnp.zeros(shape) for shape in node.input_shapes)} if with_offset else own

        inverses = tuple(None if w is None else inverse_of(node, w) for node, w in zip(network.nodes, drawn, strict=True))
        return RuleState(
            {"network": network.init(key), "inverse": inverses}, jax.tree.map(jnp.zeros_like, inverses) if stepwise else ()
        )

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch = as_batch(batch)
        params, inverses, kept = state.params["network"], state.params["inverse"], state.carry
        if stepwise:
            shown = network.trace(params, batch.inputs)
            (inverses, kept), feedback_losses = _settle_inverses(
                network, params, (inverses, kept), shown, key, options, objective.example_weights(batch)
            )
        weights = tuple(None if g is None else completed(p, g["weights"]) for p, g in zip(params, inverses, strict=True))
        if options.variant == "plain":
            moves = _by_targets(network, params, inverses, batch, objective, options.target_step)
        else:
            moves = _by_differences(network, params, weights, batch, objective)
        if stepwise:
            learned = jax.tree.map(jnp.subtract, state.params["inverse"], inverses)
        else:
            learned, feedback_losses = _learn_inverses(network, params, inverses, moves.trace, key, options)
        n = batch.targets.shape[1 if objective.per_step else 0]
        info = {
            **objective.metrics(moves.trace.outputs[-1], batch),
            "feedback_loss": feedback_losses,
            "feedback_angle": feedback_angles(network, params, weights),
            "target_distance": tuple(n * options.target_step * jnp.sqrt(jnp.mean(jnp.square(d))) for d in moves.differences),
        }
        return {"network": moves.updates, "inverse": learned}, state._replace(carry=kept), info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        if stepwise:
            forward = plain_steps(options.learning_rate, options.momentum, options.weight_decay, n_steps)
            return per_part({"network": forward, "inverse": optax.sgd(1.0)})
        return per_part(
            {
                "network": adam(options.learning_rate, n_steps, options.weight_decay),
                "inverse": adam(options.feedback_rate, n_steps),
            }
        )

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer, objective)


def _variant(
    name: str, summary: str, citation: str, needs: Needs | None = None, batch_size: int | None = None, **options: Any
) -> Variant:
    spec = RuleSpec("target_propagation", name, summary, citation, phases=3, batch_size=batch_size)
    return Variant(spec, {"variant": name, **options}, needs)


# From searches on Fashion-MNIST's validation images, four epochs of 20,000 images, dense and convolutional. Inverses that start
# small are worth half a point, three with reconstruction: they need not first forget where they started. Learning them from 32
# examples is as good as from 128. Reconstruction wants noise as large as the signals. Plain targets: 12 % of the images are named
# rightly at beta 1, 60 at 10, 85 at 30 and 86.7 at 1000.
FAMILY = Family(
    TargetPropagationOptions,
    target_propagation,
    {
        variant.spec.variant: variant
        for variant in (
            _variant(
                "local_difference_reconstruction",
                "targets travel back through inverses whose Jacobian learns to be the transpose of the node's",
                "Ernoult et al. 2022, arXiv 2201.13415",
                learning_rate=2e-3,
                weight_decay=0.3,
            ),
            _variant(
                "difference",
                "targets travel back through learned inverses, whose own error is taken off",
                "Lee et al. 2015, arXiv 1412.7525",
                noise=1.0,
            ),
            _variant(
                "plain",
                "targets travel back through learned inverses",
                "Bengio 2014, arXiv 1407.7906",
                Needs(static=True, chain=True),
                weight_decay=0.1,
                target_step=1000.0,
                noise=1.0,
            ),
            _variant(
                "textbook_local_difference_reconstruction",
                "inverses take many steps on every batch before targets go down through them, as published",
                "Ernoult et al. 2022, arXiv 2201.13415",
                Needs(static=True),
                batch_size=128,
                variant="local_difference_reconstruction",
                learning_rate=0.08,
                weight_decay=1e-4,
                momentum=0.9,
                feedback_steps=20,
                feedback_rate=0.005,
                feedback_gain=1.0,
                feedback_examples=128,
                noise=0.4,
            ),
            Variant(
                RuleSpec(
                    "target_propagation",
                    "textbook",
                    "targets travel back through learned inverses that bend, whose own error is taken off, as published",
                    "Lee et al. 2015, arXiv 1412.7525",
                    phases=3,
                    network=(("activation", "tanh"),),
                    batch_size=100,
                ),
                # As in the authors' code, to three digits.
                {
                    "variant": "textbook",
                    "learning_rate": 0.0149,
                    "feedback_rate": 0.00501,
                    "feedback_gain": 1.0,
                    "target_step": 0.328,
                    "noise": 0.36,
                },
                Needs(static=True, chain=True, no_skips=True, one_z=True, unitwise=True, weighted=True, hidden=True, affine=True),
            ),
        )
    },
)
