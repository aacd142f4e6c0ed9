r"""Spike-timing-dependent plasticity: leaky integrate-and-fire units and the order of their spikes; the readout sees rates.

An input becomes spikes (`architectures.readings.spike_trains`), each node's synapses turn spikes into currents, and its units fire
in two ways. *Competing*: lateral inhibition lets one unit a step and position spike, and the timing of its spikes changes its
weights (`stdp_plasticity`: pairs, triplets, or pairs modulated by reward). *Free*: without inhibition, which is what other nodes
hear, what the readout is trained on by the delta rule and what is represented. At test nothing moves: no weight, no threshold. The
rule makes its own time of a static graph, node by node over the whole presentation; a unit's weights over all edges are one vector.

Homeostasis: each unit has a threshold for either way of firing,

.. math:: \log \vartheta \leftarrow \log \vartheta + \gamma\, \mathrm{clip}(\langle n_{spikes} \rangle / n_{target} - 1, -1, 4)

and weights are scaled towards a norm. Diehl and Cook 2015, doi:10.3389/fncom.2015.00099; multiplicative thresholds and free firing
are this version's. A feed-forward inhibition that knows the running mean of its input and the length of what each unit sees takes
both away, so that neither brightness nor contrast decides who fires. Each unit's summed change is rescaled to the norm of its
weights: a unit that spiked goes a fixed fraction of the way, whether often or once. Reward comes after: a change is as long as its
modulation says, of what it would be were every example modulated by one.

Plasticity has a critical period: rates fall in a straight line to zero over so many presentations, and from then on weights and
thresholds stay, nothing competes, and the readout learns about units that no longer change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from architectures import Network, Node, Params, Trace
from architectures.readings import spike_trains
from bioplausible.foundation.options import at_least, fraction, one_of, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.hebbian_units import (
    has_weights,
    initial_norms,
    per_unit,
    presynaptic_length,
    scale_units,
    unit_norms,
    units_last,
)
from learning_rules.needs import Needs
from learning_rules.objectives import CLASSES, DISTRIBUTION, Objective, as_batch
from learning_rules.optimizers import adam, cosine_schedule, hidden_and_readout
from learning_rules.readout import readout_step
from learning_rules.stdp_diehl_cook import PUBLISHED, diehl_cook
from learning_rules.stdp_neurons import integrate_and_fire
from learning_rules.stdp_plasticity import timing_change

__all__ = ["FAMILY", "StdpOptions", "stdp"]

# Excess counts in full up to here, so that the mean over time is the target; beyond, one batch would silence a unit for many.
_MAX_EXCESS = 4.0


@dataclass(frozen=True)
class StdpOptions:
    """Options of spike-timing-dependent plasticity. Decays are per step.

    Attributes
    ----------
    variant
        "pair", "triplet", "reward_modulated" or "textbook". The last has equations of its own (`stdp_diehl_cook`): there
        `plasticity_rate` is what a spike after a spike adds and `depression` the fraction of it that one before takes away,
        `inhibition` a conductance, `homeostasis` millivolts a spike, and `competing_spikes` the fewest that an image is to draw.
    loss
        Of the readout, one of `OBJECTIVES`.
    learning_rate
        Adam's, of the readout.
    plasticity_rate
        Fraction of its norm that a unit's weights move in the first step.
    n_steps
        Length of a presentation.
    coding
        "rate" or "latency".
    input_gain
        Spikes a step for an input of one.
    leak
        Fraction of its potential that a unit keeps, in [0, 1).
    inhibition
        Fraction of its potential that a unit loses when another wins.
    competing_spikes
        Spikes that all units of a position share, competing, in a presentation.
    free_spikes
        Spikes of each unit, free, in a presentation.
    homeostasis
        Gain of the control of thresholds.
    max_events
        Presentations to a unit, over examples and positions, that a node learns from in one batch; where units share weights
        over many positions a part of the examples is enough, and the first ones are taken.
    critical_period
        Number of presentations after which weights and thresholds stay.
    ema_rate
        Fraction of the way that running means go in one training step.
    potentiation
        Amplitude where a presynaptic spike comes first.
    depression
        Amplitude where a postsynaptic spike comes first.
    pre_decay
        Of the presynaptic trace.
    post_decay
        Of the postsynaptic trace.
    triplet_potentiation
        Amplitude with which earlier postsynaptic spikes add to growth.
    triplet_depression
        Amplitude with which earlier presynaptic spikes add to decline.
    slow_pre_decay
        Of the trace of earlier presynaptic spikes.
    slow_post_decay
        Of the trace of earlier postsynaptic spikes.
    eligibility_decay
        Of the eligibility that waits for reward.
    unrewarded
        Modulation where reward is just what was expected.
    """

    # Tried one at a time on Fashion-MNIST's validation images behind the front end "zca", 100 units, four epochs of 20,000 images.
    # Free spikes 1, 2, 3: 83.3, 83.0, 82.2. Gain 0.1 and 0.2 alike, 0.5 a point worse (three spikes). At gain 0.5, no depression or
    # two competing spikes cost 0.3 points. All else is a first guess.
    variant: str = "pair"
    loss: str = "cross_entropy"
    learning_rate: float = 5e-3
    plasticity_rate: float = 0.1
    n_steps: int = 25
    coding: str = "rate"
    input_gain: float = 0.2
    leak: float = 0.9
    inhibition: float = 1.0
    competing_spikes: float = 5.0
    free_spikes: float = 1.0
    homeostasis: float = 0.05
    max_events: int = 2048
    critical_period: int = 50_000
    ema_rate: float = 0.05
    potentiation: float = 1.0
    depression: float = 0.3
    pre_decay: float = 0.8
    post_decay: float = 0.8
    triplet_potentiation: float = 0.5
    triplet_depression: float = 0.1
    slow_pre_decay: float = 0.95
    slow_post_decay: float = 0.95
    eligibility_decay: float = 0.95
    unrewarded: float = 1.0


class _Memory(NamedTuple):
    """What one node remembers: running mean of each edge's spikes, norm of its weights, thresholds of either way of firing."""

    mean: tuple[Array, ...]
    radius: Float[Array, ""]
    competing: Float[Array, " units"]
    free: Float[Array, " units"]


class _Firing(NamedTuple):
    """What one node hears, less its mean, and does."""

    pre: tuple[Array, ...]
    length: Array
    currents: Array
    free: Array


class _Presented(NamedTuple):
    """A presentation: trains of spikes (steps, n, ...) from outside, over each node's edges, and on to others; and what is read."""

    trains: Array
    heard: tuple[tuple[Array, ...], ...]
    firing: tuple[_Firing, ...]
    passed_on: tuple[Array, ...]
    rates: tuple[Array, ...]


def _remember_nothing(node: Node, options: StdpOptions) -> _Memory:
    norms = initial_norms(node)
    # Half of what the potential of a unit of random weights reaches; homeostasis does the rest.
    threshold = jnp.full_like(norms, 0.5 / node.fan_in**0.5 / (1 - options.leak))
    mean = tuple(jnp.zeros(shape, norms.dtype) for shape in node.input_shapes)
    return _Memory(mean, jnp.mean(norms), threshold, threshold)


def _fire(node: Node, params: Params, heard: tuple[Array, ...], memory: _Memory, options: StdpOptions) -> _Firing:
    """Currents through weights of unit norm, inputs centred and at unit length, and the spikes that follow without competition."""
    n_steps, n = heard[0].shape[:2]
    pre = tuple(spikes - mean for spikes, mean in zip(heard, memory.mean, strict=True))
    weights = scale_units(node, params, 1 / jnp.maximum(unit_norms(node, params), 1e-12))
    length = presynaptic_length(node, params, tuple(jnp.mean(spikes, axis=0) for spikes in pre))
    z = node.synapse(weights, tuple(spikes.reshape(n_steps * n, *spikes.shape[2:]) for spikes in pre))
    currents = units_last(node, z.reshape(n_steps, n, *z.shape[1:])) / length
    return _Firing(pre, length, currents, integrate_and_fire(currents, memory.free, options.leak))


def _reshapes(node: Node) -> bool:
    return node.output_shape != node.z_shape


def _pass_on(node: Node, spikes: Array) -> Array:
    """Spikes as other nodes hear them: pooled where the node pools."""
    spikes = spikes.reshape(*spikes.shape[:2], *node.z_shape)
    if not _reshapes(node):
        return spikes
    return jax.vmap(lambda z: node.activate(node.init_state(len(z), z.dtype), z, ())[1])(spikes)


def _count(spikes: Float[Array, "steps n *positions units"]) -> Float[Array, " units"]:
    """Each unit's spikes a presentation, mean over examples and positions."""
    return per_unit(spikes) * spikes.shape[0] * spikes.shape[-1] / spikes.size


def _control(threshold: Array, spikes: Array, target: float, gain: float) -> Array:
    """Thresholds after one step of homeostasis."""
    return threshold * jnp.exp(gain * jnp.clip(_count(spikes) / target - 1, -1, _MAX_EXCESS))


def _rescaled(node: Node, change: Params, length: Array, params: Params, radius: Array) -> Params:
    """A unit's change times its radius over a length, and the scaling that brings its weights back to the radius."""
    moved = scale_units(node, change, jnp.where(length > 0, radius / jnp.where(length > 0, length, 1), 0))
    scaling = scale_units(node, params, radius / jnp.maximum(unit_norms(node, params), 1e-12) - 1)
    return jax.tree.map(jnp.add, moved, scaling)


def _learn(
    node: Node,
    params: Params,
    firing: _Firing,
    heard: tuple[Array, ...],
    memory: _Memory,
    remaining: Array,
    modulation: Array | None,
    options: StdpOptions,
) -> tuple[Params, _Memory, Array]:
    """What spike timing asks of one node, its memory, and the spikes of the competition."""
    n_positions = math.prod(firing.currents.shape[2:-1])
    part = max(min(options.max_events // n_positions, firing.currents.shape[1]), 1)
    competing = integrate_and_fire(firing.currents[:, :part], memory.competing, options.leak, options.inhibition)
    pre = [spikes[:, :part] for spikes in firing.pre]

    def changed(rewarded: Array | None) -> Params:
        return timing_change(node, params, pre, competing, options, firing.length[:part], rewarded)

    if modulation is None:
        change = changed(None)
        length = unit_norms(node, change)
    else:
        rewarded = modulation[:part]
        change, without_reward = changed(rewarded), changed(jnp.ones_like(rewarded))
        # Where examples cancel each other without reward, the largest reward still bounds how far a unit goes.
        strongest = jnp.maximum(jnp.max(jnp.abs(rewarded)), jnp.finfo(rewarded.dtype).tiny)
        length = jnp.maximum(unit_norms(node, without_reward), unit_norms(node, change) / strongest)
    updates = jax.tree.map(lambda leaf: -remaining * leaf, _rescaled(node, change, length, params, memory.radius))
    threshold = _control(memory.competing, competing, options.competing_spikes / memory.competing.size, options.homeostasis)
    free_threshold = _control(memory.free, firing.free, options.free_spikes, options.homeostasis)
    mean = tuple(m + options.ema_rate * (jnp.mean(x, axis=(0, 1)) - m) for m, x in zip(memory.mean, heard, strict=True))
    return updates, _Memory(mean, memory.radius, threshold, free_threshold), competing


def _tell(
    nodes: Sequence[Node], params: Sequence[Params], firing: Sequence[_Firing], competing: Sequence[Array]
) -> dict[str, Array]:
    """What a person wants to see, one number a hidden node."""
    free = [_count(fired.free) for fired in firing]
    seen = {
        "competing_spikes": [jnp.sum(_count(spikes)) for spikes in competing],
        "free_spikes": [jnp.mean(count) for count in free],
        "silent_units": [jnp.mean(count == 0, dtype=count.dtype) for count in free],
        "weight_norm": [jnp.mean(unit_norms(node, w)) for node, w in zip(nodes, params, strict=True)],
    }
    return {name: jnp.stack(values) for name, values in seen.items()}


def _check(options: StdpOptions) -> None:
    positive(options, "plasticity_rate", "free_spikes", "competing_spikes", "input_gain")
    one_of(options, "coding", ("rate", "latency"))
    at_least(options, 1, "n_steps", "max_events", "critical_period")
    fraction(options, "ema_rate", with_zero=False)
    amplitudes = ("potentiation", "depression", "triplet_potentiation", "triplet_depression")
    at_least(options, 0, "inhibition", "homeostasis", *amplitudes)
    decays = ("leak", "pre_decay", "post_decay", "slow_pre_decay", "slow_post_decay", "eligibility_decay")
    fraction(options, *decays, with_one=False)


def stdp(network: Network, options: StdpOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        A rate, decay or number of spikes that makes no sense.
    """
    _check(options)
    if options.variant == "textbook":
        return diehl_cook(network, options, spec, objective)
    *hidden, readout = network.nodes

    def init(key: PRNGKeyArray) -> RuleState:
        params = network.init(key)
        memories = tuple(_remember_nothing(node, options) for node in hidden)
        dtype = jax.tree.leaves(params)[0].dtype
        carry = {"memories": memories, "expected_reward": jnp.zeros((), dtype), "presented": jnp.zeros((), jnp.int32)}
        return RuleState({"network": params}, carry)

    def present(state: RuleState, inputs: Array, key: PRNGKeyArray | None = None) -> _Presented:
        """Show every node the whole presentation, in the order of the graph."""
        trains = spike_trains(network.encode(inputs), options.n_steps, options.input_gain, options.coding, key)
        heard: list[tuple[Array, ...]] = []
        firing: list[_Firing] = []

        def visit(index: int, arriving: tuple[Array, ...], skips: tuple[Array, ...]) -> Array:
            heard.append(arriving)
            if index == len(hidden):
                return arriving[0]
            memory = state.carry["memories"][index]
            firing.append(_fire(network.nodes[index], state.params["network"][index], arriving, memory, options))
            return _pass_on(network.nodes[index], firing[-1].free)

        passed_on = network.walk(trains, visit)[:-1]
        # Spikes of a presentation over the number aimed at: what the readout sees, of size one.
        rates = tuple(jnp.sum(spikes, axis=0) / options.free_spikes for spikes in heard[-1])
        return _Presented(trains, tuple(heard[:-1]), tuple(firing), passed_on, rates)

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch, params = as_batch(batch), state.params["network"]
        seen = present(state, batch.inputs, key)
        n = len(batch.targets)
        nothing = ((),) * len(hidden)
        at_rest = (*nothing, readout.init_state(n, seen.trains.dtype))
        heard = Trace((*nothing, seen.rates), (*nothing, ()), nothing, (), at_rest)
        step = readout_step(network, params[-1], heard, batch, objective)
        modulation, expected = None, state.carry["expected_reward"]
        if options.variant == "reward_modulated" and objective.right is not None:
            reward = objective.right(step.outputs, batch.targets)
            if batch.mask is not None:  # who is told nothing is rewarded as expected
                reward = jnp.where(batch.mask > 0, reward, expected)
            modulation = options.unrewarded + reward - expected
            expected = expected + options.ema_rate * (jnp.mean(reward) - expected)
        each = list(zip(hidden, params[:-1], seen.firing, seen.heard, state.carry["memories"], strict=True))
        presented = state.carry["presented"]
        remaining = jnp.maximum(1 - presented.astype(seen.trains.dtype) / options.critical_period, 0)

        def learn() -> tuple[list[Params], list[_Memory], list[Array]]:
            learned = [_learn(*node, remaining, modulation, options) for node in each]
            return [change for change, _, _ in learned], [memory for _, memory, _ in learned], [count for _, _, count in learned]

        def stay() -> tuple[list[Params], list[_Memory], list[Array]]:
            changes = [jax.tree.map(jnp.zeros_like, w) for w in params[:-1]]
            # Nothing competes: no spikes in as many presentations as there would have been.
            silent = jax.eval_shape(learn)[2]
            return changes, list(state.carry["memories"]), [jnp.zeros(spikes.shape, spikes.dtype) for spikes in silent]

        changes, memories, competing = jax.lax.cond(remaining > 0, learn, stay)
        info: dict[str, Any] = dict(step.metrics)
        if hidden:
            info |= _tell(hidden, params[:-1], seen.firing, competing)
        # All that was simulated: of afferents, of units that fire freely, and of units that compete.
        info["spikes"] = sum(jnp.sum(jnp.abs(train)) for train in (seen.trains, *(fired.free for fired in seen.firing), *competing))
        carry = {"memories": tuple(memories), "expected_reward": expected, "presented": presented + n}
        return {"network": (*changes, step.updates)}, RuleState(state.params, carry), info

    def represent(state: RuleState, inputs: Array) -> tuple[Array, ...]:
        seen = present(state, inputs)
        at_rest = readout.init_state(len(inputs), seen.trains.dtype)
        scores = readout.run(state.params["network"][-1], at_rest, seen.rates)[1]
        return (*(jnp.mean(spikes, axis=0) for spikes in seen.passed_on), scores)

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        plasticity = optax.sgd(cosine_schedule(options.plasticity_rate, n_steps))
        return hidden_and_readout(network, plasticity, adam(options.learning_rate, n_steps))

    return LearningRule(
        spec=spec,
        network=network,
        options=options,
        init=init,
        assign_credit=assign_credit,
        constrain=lambda params: params,
        predict=lambda state, inputs: objective.scores(represent(state, inputs)[-1]),
        represent=represent,
        optimizer=optimizer,
        objective=objective,
    )


def _supports(network: Network) -> str:
    for node in network.nodes[:-1]:
        if not has_weights(node):
            return f"'{node.name}' has no weights, through which spikes would come: leave it out"
        if not _reshapes(node):
            continue
        silent, loud = (node.activate(node.init_state(1), jnp.full((1, *node.z_shape), value), ())[1] for value in (0.0, 1.0))
        if bool(jnp.any(silent != 0)) or bool(jnp.any(loud != 1)):
            return f"'{node.name}' pools and its activation function changes spikes: use activation='relu', or pooling='none'"
    return ""


def _variant(
    variant: str,
    summary: str,
    citation: str,
    teaching_signal: str = "none",
    needs: Needs | None = None,
    front_end: str = "zca",
    network: tuple[tuple[str, Any], ...] = (),
    **options: Any,
) -> Variant:
    spec = RuleSpec(
        "stdp",
        variant,
        summary,
        citation,
        teaching_signal=teaching_signal,
        phases=1,
        trained_otherwise=(("network[-1]", "delta rule"),),
        represents_by_forward_pass=False,
        activation="leaky integrate-and-fire",
        front_end=front_end,
        network=network,
    )
    return Variant(spec, {"variant": variant, **options}, needs)


_NEEDS = Needs(static=True, no_skips=True, one_z=True)

FAMILY = Family(
    StdpOptions,
    stdp,
    {
        variant.spec.variant: variant
        for variant in (
            _variant(
                "pair",
                "a synapse grows where its spike comes before the unit's and declines where it comes after",
                "Bi and Poo 1998, doi:10.1523/JNEUROSCI.18-24-10464.1998; Diehl and Cook 2015, doi:10.3389/fncom.2015.00099",
            ),
            _variant(
                "triplet",
                "earlier spikes of either side strengthen what a pair of spikes does",
                "Pfister and Gerstner 2006, doi:10.1523/JNEUROSCI.1425-06.2006",
            ),
            _variant(
                "reward_modulated",
                "pairs leave an eligibility, which reward at the end of a presentation turns into change",
                "Izhikevich 2007, doi:10.1093/cercor/bhl152; Frémaux and Gerstner 2016, doi:10.3389/fncir.2015.00085",
                teaching_signal="reward",
                # A reward is for an answer that is right.
                needs=replace(_NEEDS, targets=(CLASSES, DISTRIBUTION)),
            ),
            _variant(
                "textbook",
                "as published: conductances, an inhibitory unit for each excitatory one, triplets, thresholds that adapt",
                "Diehl and Cook 2015, doi:10.3389/fncom.2015.00099",
                needs=replace(_NEEDS, one_layer=True, chain=True),
                front_end="none",
                network=(("hidden", (400,)),),
                **PUBLISHED,
            ),
        )
    },
    _supports,
    _NEEDS,
)
