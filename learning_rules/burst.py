r"""Burst-dependent plasticity: single spikes carry signals up, bursts carry errors down, and a synapse learns from both.

A unit is an ensemble of pyramidal neurons. Its output :math:`e_k = a_k(z_k)` is its rate of events (single spikes or bursts),
driven from below; a fraction :math:`p_k` of the events are bursts, :math:`b_k = p_k e_k`, and what arrives at apical dendrites
decides how many. Weights from below transmit events, weights from above :math:`Y` bursts and :math:`Q` events through inhibition:

.. math:: u_k = \frac{a_k'(z_k)}{e_k} \odot \sum_j \bigl( S_{Y_j}^\top b_j - S_{Q_j}^\top e_j \bigr), \qquad
   p_k = \sigma\Bigl( \frac{u_k}{\bar p (1 - \bar p)} + \mathrm{logit}\, \bar p \Bigr),

over all nodes :math:`j` that hear :math:`k`, so that :math:`p_k = \bar p` without apical input and grows at a slope of one around
it. At the scores the teacher sets bursts, :math:`b_L = \bar p\, (e_L + \tau (y - e_L))`, where :math:`e_L - y` is the objective's
own error. A synapse multiplies the events before it with the bursts behind it that were not to be expected:

============ ============================================ =========================================================================
variant      :math:`\Delta W_k \propto`                   what bursts are compared with
============ ============================================ =========================================================================
single_phase :math:`(p_k - \bar p)\, e_k\, e_{k-1}^\top`  the baseline: with :math:`Q = \bar p\, Y` inhibition takes from the
                                                          dendrite what bursts at their baseline bring there, and an error is
                                                          all that is left (Greedy et al. 2022, arXiv 2206.11769)
two_phase    :math:`(p_k^y - p_k)\, e_k\, e_{k-1}^\top`   the same unit's bursts a moment before, without a teacher; there is no
                                                          :math:`Q` (Payeur et al. 2021, doi:10.1038/s41593-021-00857-x)
============ ============================================ =========================================================================

:math:`Y` gets the change of the forward weights, which is made of the same events and bursts, and decays with them, so that the two
meet (Kolen and Pollack 1994, doi:10.1109/ICNN.1994.374486; an option of both papers' published code), or stays random
(`feedback_learns=False`). :math:`Q` keeps pace with it by the same product (`inhibition="alike"`), so that it is
:math:`\bar p\, Y` at all times and is not written down a second time, or learns by itself to silence
the dendrite, :math:`\Delta Q_j \propto e_j v_k^\top` with :math:`v_k` the sum above ("cancelling", as published). That is right
while no teacher speaks: errors go with events, so that what cancels the one takes some of the other.

With :math:`Y = W`, :math:`Q = \bar p\, W` and a small :math:`\tau` the first variant is the gradient; at a :math:`\tau` of one no
unit can be told of more than the bursts that it has, :math:`|(p - \bar p) e| < e`: what is silent learns nothing, and large errors
saturate.

Departures: rates are those of the network's own units, whose outputs must not be negative (sigmoid and squared error are the
papers'); signed answers of a regression stand for rates about a baseline. Of Payeur et al. the lateral inhibition that keeps
dendrites in their linear range is left out. Updates are divided by :math:`\bar p \tau`. Skip edges hand on what arrives, as they do
with an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures import INPUT, Crossing, Network, Node, Params
from architectures.roles import weights_only
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import fraction, one_of, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedback_weights import feedback_angles, random_feedback
from learning_rules.feedforward import feedforward_rule
from learning_rules.needs import Needs
from learning_rules.objectives import CLASSES, Batch, Objective, as_batch
from learning_rules.optimizers import adam, per_part

__all__ = ["FAMILY", "BurstOptions", "burst"]


@dataclass(frozen=True)
class BurstOptions:
    """Options of burst-dependent plasticity.

    Attributes
    ----------
    variant
        See the table above.
    loss
        One of `OBJECTIVES`.
    learning_rate
        Adam's, at the first step.
    weight_decay
        Decoupled, per unit of learning rate, of forward and feedback weights; feedback that learns needs it.
    baseline
        Fraction of events that are bursts without apical input, between 0 and 1.
    teaching
        tau, how far the teacher takes the scores' bursts to those of the target, above 0 and at most 1.
    feedback_learns
        Whether feedback weights get the forward weights' change, or stay as they are drawn.
    feedback_gain
        Factor on the initial size of feedback weights.
    inhibition
        How inhibition learns (single_phase): "alike", with the feedback weights, or "cancelling", by what is left in the dendrites.
    inhibition_rate
        Rate of the latter, in units of `learning_rate`.
    """

    variant: str = "single_phase"
    loss: str = "cross_entropy"
    learning_rate: float = 3e-3
    weight_decay: float = 0.3
    baseline: float = 0.5
    teaching: float = 1.0
    feedback_learns: bool = True
    feedback_gain: float = 0.05
    inhibition: str = "alike"
    inhibition_rate: float = 1.0


def _risen(odds: Array | float, d: Array) -> Array:
    r"""How far a fraction rises with its log-odds l by d, :math:`\sigma(l + d) - \sigma(l)`, and not as a difference.

    Feedback weights are small, and six layers down an error is a millionth of what a fraction of bursts is.

    >>> float(_risen(0.0, jnp.float32(1e-9)) / 2.5e-10), float(_risen(20.0, jnp.float32(-20.0)))
    (1.0, -0.5)
    """
    later = jax.nn.sigmoid(odds + d)
    up = later * jax.nn.sigmoid(-jnp.asarray(odds)) * -jnp.expm1(-jnp.maximum(d, 0))
    down = jax.nn.sigmoid(jnp.asarray(odds)) * jax.nn.sigmoid(-(odds + d)) * jnp.expm1(jnp.minimum(d, 0))
    return jnp.where(d > 0, up, down)


class _Held(NamedTuple):
    """What a node's dendrites find: pre-activations and events as they are, and the part that each example has in the mean."""

    z: Array
    events: Array
    parts: Array


def _bursting(node: Node, baseline: float, taught: bool, twice: bool) -> Callable[..., Array]:
    """A synapse on whose way back the dendrite's input becomes bursts.

    What comes back with respect to the parameters is what they are asked for; to `feedback`, the same; to `inhibition`, what it is
    asked for; to `probe`, the fraction of bursts; to the inputs, what bursts bring to the nodes below, less what inhibition takes.
    Without `inhibition` that is what bursts at their baseline bring. Where every example is there `twice`, it is first with what
    comes down while no teacher speaks, and then with what the teacher adds to it: the two differ by little, and are never
    subtracted.
    """
    slope, odds = baseline * (1 - baseline), math.log(baseline / (1 - baseline))

    def bursts(arriving: Array, held: _Held) -> tuple[Array, Array, Array]:
        """Those to be expected, those beyond them, and the fraction of events that are bursts."""
        events = held.events
        # What arrives has passed the unit's derivative: over the events, it is the dendrite's potential.
        potential = arriving / jnp.maximum(jnp.concatenate([events] * (1 + twice)), jnp.finfo(events.dtype).tiny)
        before, added = jnp.split(potential / slope, 2) if twice else (0.0, potential / slope)
        risen = _risen(odds + before, added)
        expected = jax.nn.sigmoid(odds + before) if twice else baseline
        return expected * events, arriving[-len(events) :] if taught else events * risen, expected + risen

    @jax.custom_vjp
    def synapse(
        params: Params, feedback: Params, inhibition: Params, probe: Array, inputs: tuple[Array, ...], held: _Held
    ) -> Array:
        return jnp.concatenate([held.z, held.z]) if twice else held.z

    def forward(params: Params, feedback: Params, inhibition: Params, probe: Array, inputs: Any, held: _Held) -> tuple[Array, Any]:
        return synapse(params, feedback, inhibition, probe, inputs, held), (params, feedback, inhibition, inputs, held)

    def backward(kept: Any, arriving: Array) -> tuple[Any, ...]:
        params, feedback, inhibition, inputs, held = kept
        expected, extra, probability = bursts(arriving, held)
        unfelt = jax.tree.map(jnp.zeros_like, held)
        parts = held.parts.reshape(-1, *[1] * (held.events.ndim - 1))
        once = tuple(x[: len(held.events)] for x in inputs)
        own = jax.vjp(lambda p: node.synapse(p, once), params)[1](-parts * extra)[0]
        if feedback is None:
            return own, None, None, probability, jax.tree.map(jnp.zeros_like, inputs), unfelt
        bring = jax.vjp(lambda x: node.synapse(feedback, x), inputs)[1]
        if twice:
            return own, own, None, probability, bring(jnp.concatenate([expected, extra]))[0], unfelt
        if inhibition is None:
            return own, own, None, probability, bring(extra)[0], unfelt
        taken = jax.vjp(lambda x: node.synapse(inhibition, x), inputs)[1](held.events)[0]
        # First what cancels, so that a small error is not lost in it.
        uncancelled = jax.tree.map(jnp.subtract, bring(expected)[0], taken)
        left = jax.tree.map(jnp.add, bring(extra)[0], uncancelled)
        cancelling = jax.vjp(lambda q: node.synapse(q, left), inhibition)[1](-parts * held.events)[0]
        return own, own, weights_only(cancelling, node.roles), probability, left, unfelt

    synapse.defvjp(forward, backward)
    return synapse


def _answers(objective: Objective, readout: Array, batch: Batch) -> tuple[Array, Array]:
    """Each example's own error at the scores, and the scores' rates: the target plus the error, which of classes are softmax's."""
    error = len(readout) * objective.loss_and_error(readout, batch._replace(mask=None))[1]
    targets = jax.nn.one_hot(batch.targets, readout.shape[-1]) if objective.targets == CLASSES else batch.targets
    return error, targets.astype(readout.dtype) + error


def _negative(network: Network) -> str:
    """Why units are no ensembles whose rates of events they tell, "" where they are."""
    for node, edges in zip(network.nodes[:-1], network.edges, strict=False):
        if any(edge.skip and edge.source == INPUT for edge in edges):
            return (
                f"'{node.name}' adds the input to its own output, and a rate of events has no sign: leave out skips from the input"
            )
    for node in network.nodes[:-1]:
        if not (node.weighted and node.one_z and node.unitwise) or node.has_state:
            continue
        z = jnp.linspace(-3.0, 3.0, 13).reshape(-1, *[1] * len(node.z_shape)) * jnp.ones(node.z_shape)
        h = node.activate(node.init_state(len(z), z.dtype), z, ())[1]
        if float(jnp.min(h)) < 0:
            return f"units of '{node.name}' give negative outputs, and a rate of events has no sign: use 'relu' or 'sigmoid'"
    return ""


def _check(options: BurstOptions) -> None:
    one_of(options, "inhibition", ("alike", "cancelling"))
    positive(options, "feedback_gain", "inhibition_rate")
    fraction(options, "teaching", with_zero=False)
    fraction(options, "baseline", with_zero=False, with_one=False)
    if options.feedback_learns and not options.weight_decay > 0:
        raise InputError(
            f"weight_decay={options.weight_decay} was given: without decay feedback weights never meet the forward ones; "
            "try 0.1, or feedback_learns=False"
        )


def burst(network: Network, options: BurstOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        A baseline or teaching that is no fraction, a gain or rate that is not positive, an unknown way of inhibition, or feedback
        that learns without decay.
    """
    _check(options)
    single, last = options.variant == "single_phase", len(network.nodes) - 1
    cancelling = single and options.inhibition == "cancelling"

    def init(key: PRNGKeyArray) -> RuleState:
        params: dict[str, Any] = {"network": network.init(key)}
        own_key = jax.random.fold_in(key, 1)
        feedback = random_feedback(network, own_key, options.feedback_gain)
        if cancelling:
            params["inhibition"] = jax.tree.map(lambda leaf: options.baseline * leaf, feedback)
        if options.feedback_learns:
            return RuleState({**params, "feedback": feedback}, {})
        return RuleState(params, {"feedback": feedback})

    def on_the_way_back(state: RuleState, batch: Batch, error: Array, held: Sequence[_Held]) -> tuple[Any, ...]:
        """What forward, feedback and inhibitory weights are asked for, and fractions of bursts, after what the teacher says."""
        feedback = (state.params if options.feedback_learns else state.carry)["feedback"]
        inhibition = state.params["inhibition"] if cancelling else (None,) * len(network.nodes)
        probes = tuple(jnp.zeros_like(each.events) for each in held)

        def run(*given: Any) -> Array:
            def at(index: int, node: Node, own: tuple[Any, ...]) -> Crossing:
                bursting = _bursting(node, options.baseline, taught=index == last, twice=not single)
                return Crossing(lambda inputs: bursting(*own, inputs, held[index]))

            each = enumerate(zip(network.nodes, zip(*given, strict=True), strict=True))
            crossings = tuple(at(index, node, own) for index, (node, own) in each)
            inputs = batch.inputs if single else jnp.concatenate([batch.inputs, batch.inputs])
            return network.trace(given[0], inputs, crossings).outputs[-1]

        _, pull = jax.vjp(run, state.params["network"], feedback, inhibition, probes)
        told = -options.baseline * options.teaching * error
        return pull(told if single else jnp.concatenate([jnp.zeros_like(told), told]))

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch = as_batch(batch)
        rest = network.trace(state.params["network"], batch.inputs)
        readout = rest.outputs[-1]
        error, answers = _answers(objective, readout, batch)
        parts = objective.example_weights(batch).astype(readout.dtype)
        held = [_Held(z, e, parts) for z, e in zip(rest.z, (*rest.outputs[:-1], answers), strict=True)]
        forward, back, inhibition, probability = on_the_way_back(state, batch, error, held)
        forward, back = jax.tree.map(lambda leaf: leaf / (options.baseline * options.teaching), (forward, back))
        updates: dict[str, Any] = {"network": forward}
        if options.feedback_learns:
            updates["feedback"] = back
        if cancelling:
            updates["inhibition"] = inhibition
        feedback = (state.params if options.feedback_learns else state.carry)["feedback"]
        info: dict[str, Any] = {
            **objective.metrics(readout, batch),
            "burst_probability": tuple(jnp.mean(p) for p in probability[:-1]),
            "feedback_angle": feedback_angles(network, state.params["network"], feedback),
        }
        return updates, state, info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        parts = {"network": adam(options.learning_rate, n_steps, options.weight_decay)}
        if options.feedback_learns:
            parts["feedback"] = adam(options.learning_rate, n_steps, options.weight_decay)
        if cancelling:
            parts["inhibition"] = adam(options.inhibition_rate * options.learning_rate, n_steps)
        return per_part(parts)

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer, objective)


# Tried by hand on Fashion-MNIST, dense, 10,000 images, five epochs, two seeds, validation images: decay of 0.3 and 0.1 in one
# phase 86.6 and 86.0, in two 83.1 and 82.8. With inhibition that learns to cancel while a teacher speaks, 69.5 and, three times as
# fast, 70.5: below the untrained network.
FAMILY = Family(
    BurstOptions,
    burst,
    {
        "single_phase": Variant(
            RuleSpec(
                "burst",
                "single_phase",
                "bursts carry errors down, inhibition takes their baseline away, and what bursts more than that learns",
                "Greedy et al. 2022, arXiv 2206.11769; Payeur et al. 2021, doi:10.1038/s41593-021-00857-x",
            ),
            {"variant": "single_phase"},
        ),
        "two_phase": Variant(
            RuleSpec(
                "burst",
                "two_phase",
                "bursts carry a teacher's word down, and what bursts more than it did before learns",
                "Payeur et al. 2021, doi:10.1038/s41593-021-00857-x",
                phases=3,
            ),
            {"variant": "two_phase"},
        ),
    },
    supports=_negative,
    needs=Needs(static=True, one_z=True, unitwise=True),
)
