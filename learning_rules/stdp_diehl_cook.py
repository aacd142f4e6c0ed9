r"""Spike-timing-dependent plasticity as Diehl and Cook 2015 published it (doi:10.3389/fncom.2015.00099): one layer, image by image.

Pixels fire at random, at rates in proportion to their brightness. Every excitatory unit hears all of them over weights in [0, 1],
and drives an inhibitory unit of its own that holds back all others. In millivolts and milliseconds, for a unit of either kind,

.. math:: \tau \dot v = (E_{rest} - v) + g_e (0 - v) + g_i (E_{inh} - v), \qquad
   \tau_e \dot g_e = -g_e, \quad \tau_i \dot g_i = -g_i

where a spike adds its synapse's weight to a conductance, and v is reset where it passes a threshold. That of an excitatory unit is
:math:`-72 + \theta`, and :math:`\theta` grows by a little with each of its spikes and is forgotten over hours. Of the four kinds of
plasticity that the paper finds alike, this is the one of the published code, triplets with traces that are set to one by a spike:

.. math:: \text{at a presynaptic spike } w \leftarrow w - \eta_{pre}\, x_{post1}, \qquad
   \text{at a postsynaptic one } w \leftarrow w + \eta_{post}\, x_{pre}\, x_{post2}

with :math:`x_{post2}` as it was just before. Before each image a unit's weights are scaled to their sum. An image that draws fewer
than five spikes is shown again, brighter.

Brightness is 0 at an image's darkest pixel and 1 at its brightest, as it is in the paper's digits, whatever inputs are scaled to.
Settings are those of the published code: Euler's steps of half a millisecond too, and that an inhibitory unit waits at its reset
while it is refractory, which an excitatory one does not. Departures: synapses have no delays (the code draws up to ten
milliseconds, the paper has none); after the pause of 150 ms between images all variables are at rest (a fifth of a potential's
distance would be left), and thresholds forget once for each showing; an image that stays silent is given up after `MAX_SHOWINGS`;
the readout is the delta rule on how often each unit fired, not the class that each unit answers most, as it is for all rules here.
Images are shown one after the other whatever the size of a batch. At test no weight and no threshold moves, and all images meet the
same draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax
from jaxtyping import Float, PRNGKeyArray

from architectures import WEIGHT, Network, Node, Params, Trace
from architectures.roles import map_roles, weights_only
from bioplausible.foundation.errors import InputError
from learning_rules.contract import LearningRule, RuleSpec, RuleState
from learning_rules.hebbian_units import map_weights
from learning_rules.objectives import Objective, as_batch
from learning_rules.optimizers import adam, hidden_and_readout
from learning_rules.readout import readout_step
from learning_rules.signals import hebbian_product

__all__ = [
    "EXCITATORY",
    "INHIBITORY",
    "MAX_SHOWINGS",
    "PUBLISHED",
    "Layer",
    "Membrane",
    "Spikes",
    "at_rest",
    "bounded",
    "brightness",
    "diehl_cook",
    "forgetting",
    "integrated",
    "one_step",
    "scaled",
]

STEP = 0.5
"""Milliseconds."""

MAX_SHOWINGS = 8


class Membrane(NamedTuple):
    """A kind of unit, in millivolts and milliseconds; `clamped` where its potential waits at reset while it is refractory."""

    time_constant: float
    rest: float
    reset: float
    threshold: float
    inhibition: float
    refractory: float
    clamped: bool


EXCITATORY = Membrane(
    time_constant=100.0, rest=-65.0, reset=-65.0, threshold=-72.0, inhibition=-100.0, refractory=5.0, clamped=False
)
INHIBITORY = Membrane(time_constant=10.0, rest=-60.0, reset=-45.0, threshold=-40.0, inhibition=-85.0, refractory=2.0, clamped=True)

_TO_INHIBITORY = 10.4
_FIRST_THETA = 20.0
_THETA_TIME_CONSTANT = 1e7
_PAUSE = 150.0
# Of 784 pixels; so much for each.
_SUM_OF_WEIGHTS = 78 / 784
_BRIGHTNESS = 2.0
"""Of the first showing; each other has one more."""
# One and two milliseconds, by Euler's steps.
_KEEP_EXCITATION, _KEEP_INHIBITION = 1 - STEP / 1.0, 1 - STEP / 2.0

PUBLISHED: Mapping[str, Any] = {
    "n_steps": 700,
    # 63.75 Hz for a white pixel at the first showing.
    "input_gain": 255 / 8 * _BRIGHTNESS * STEP / 1000,
    "inhibition": 17.0,
    "competing_spikes": 5.0,
    "homeostasis": 0.05,
    "plasticity_rate": 0.01,
    "depression": 0.01,
    "pre_decay": math.exp(-STEP / 20),
    "post_decay": math.exp(-STEP / 20),
    "slow_post_decay": math.exp(-STEP / 40),
}
"""Options of the family, as the variant has them."""


_UNUSED = (
    *("coding", "leak", "free_spikes", "max_events", "critical_period", "ema_rate", "potentiation", "triplet_potentiation"),
    *("triplet_depression", "slow_pre_decay", "eligibility_decay", "unrewarded"),
)


class _Units(NamedTuple):
    """Of one kind: potentials, conductances, and how long each unit must still be silent; (n, units) each."""

    v: Array
    excitation: Array
    inhibition: Array
    silent_for: Array


class _Traces(NamedTuple):
    """Of presynaptic spikes, (n, ...), and fast and slow ones of postsynaptic spikes, (n, units)."""

    pre: Array
    fast: Array
    slow: Array


def integrated(kind: Membrane, v: Array, excitation: Array, inhibition: Array) -> Array:
    """Potentials after one step of Euler's.

    Parameters
    ----------
    kind
        Of unit.
    v
        Potentials.
    excitation, inhibition
        Conductances, of the shape of v, in units of the leak's.

    >>> round(float(integrated(EXCITATORY, jnp.float32(-65.0), jnp.float32(1.0), jnp.float32(0.0))), 3)
    -64.675
    """
    current = (kind.rest - v) - excitation * v + inhibition * (kind.inhibition - v)
    return v + STEP / kind.time_constant * current


def _fire(kind: Membrane, units: _Units, theta: Array | float = 0.0) -> tuple[_Units, Array]:
    """One step of all units of a kind; spikes, 0 or 1."""
    free = units.silent_for <= 0
    v = integrated(kind, units.v, units.excitation, units.inhibition)
    v = jnp.where(free, v, units.v) if kind.clamped else v
    fires = (v > kind.threshold + theta) & free
    after = _Units(
        jnp.where(fires, kind.reset, v),
        units.excitation * _KEEP_EXCITATION,
        units.inhibition * _KEEP_INHIBITION,
        jnp.where(fires, kind.refractory - STEP, units.silent_for - STEP),
    )
    return after, fires.astype(v.dtype)


def scaled(node: Node, params: Params) -> Params:
    """Each unit's weights scaled to their sum, 78 for 784 afferents.

    Parameters
    ----------
    node
        The node.
    params
        Its parameters, weights not negative.
    """

    def to_sum(leaf: Array) -> Array:
        sums = jnp.sum(leaf, axis=tuple(range(leaf.ndim - 1)))
        return leaf * (_SUM_OF_WEIGHTS * node.fan_in / jnp.maximum(sums, jnp.finfo(leaf.dtype).tiny))

    changed = map_weights(node, params, to_sum)
    return map_roles(lambda role, own, new: new if role.kind == WEIGHT else own, node.roles, params, changed)


def bounded(node: Node, params: Params) -> Params:
    """Weights between 0 and 1.

    Parameters
    ----------
    node
        The node.
    params
        Its parameters.
    """
    return map_roles(lambda role, leaf: jnp.clip(leaf, 0, 1) if role.kind == WEIGHT else leaf, node.roles, params)


def _learned(node: Node, params: Params, pre: Array, traces: _Traces, post: Array, options: Any) -> Params:
    """Weights after the spikes of one step on both sides; the presynaptic traces know of them, the postsynaptic ones do not."""
    grow, decline = options.plasticity_rate, options.plasticity_rate * options.depression
    # Two examples of one product.
    before = jnp.concatenate([traces.pre, pre])
    after = jnp.concatenate([grow * post * traces.slow, -decline * traces.fast])
    change = hebbian_product(node, params, (before,), after.reshape(-1, *node.z_shape))
    return bounded(node, jax.tree.map(jnp.add, params, weights_only(change, node.roles)))


class Layer(NamedTuple):
    """Excitatory and inhibitory units of one layer while images are shown.

    Attributes
    ----------
    params
        Of the node.
    theta
        Of each excitatory unit, in millivolts, (units,).
    excitatory, inhibitory
        State of the units.
    traces
        Of spikes.
    """

    params: Params
    theta: Array
    excitatory: _Units
    inhibitory: _Units
    traces: _Traces


class Spikes(NamedTuple):
    """Of one step, 0 or 1: from outside, (n, ...), of excitatory and of inhibitory units, (n, units)."""

    outside: Array
    excitatory: Array
    inhibitory: Array


def at_rest(params: Params, theta: Float[Array, " units"], x: Float[Array, "n ..."]) -> Layer:
    """A layer before anything is shown.

    Parameters
    ----------
    params
        Of the node.
    theta
        Of each excitatory unit.
    x
        What will be shown.
    """
    quiet = jnp.zeros((len(x), theta.size), x.dtype)

    def units(kind: Membrane) -> _Units:
        return _Units(jnp.full_like(quiet, kind.rest), quiet, quiet, quiet)

    return Layer(params, theta, units(EXCITATORY), units(INHIBITORY), _Traces(jnp.zeros_like(x), quiet, quiet))


def one_step(node: Node, layer: Layer, outside: Float[Array, "n ..."], options: Any, plastic: bool) -> tuple[Layer, Spikes]:
    """Half a millisecond.

    Parameters
    ----------
    node
        Of excitatory units.
    layer
        Before it.
    outside
        Spikes that come from outside.
    options
        As `StdpOptions` has them.
    plastic
        Whether weights and thresholds move; where one image is shown.
    """
    params, theta, excitatory, inhibitory, traces = layer
    excitatory, post = _fire(EXCITATORY, excitatory, theta)
    inhibitory, silencing = _fire(INHIBITORY, inhibitory)
    arriving = node.synapse(params, (outside,)).reshape(post.shape)
    others = jnp.sum(silencing, axis=-1, keepdims=True) - silencing
    excitatory = excitatory._replace(
        excitation=excitatory.excitation + arriving, inhibition=excitatory.inhibition + options.inhibition * others
    )
    inhibitory = inhibitory._replace(excitation=inhibitory.excitation + _TO_INHIBITORY * post)
    if plastic:
        fast, slow = options.post_decay * traces.fast, options.slow_post_decay * traces.slow
        traces = _Traces(jnp.where(outside > 0, 1, options.pre_decay * traces.pre), fast, slow)
        # Before any unit has fired there is nothing to learn from.
        learns = jnp.any((fast > 0) | (post > 0))
        params = lax.cond(learns, lambda own: _learned(node, own, outside, traces, post, options), lambda own: own, params)
        traces = _Traces(traces.pre, jnp.where(post > 0, 1, fast), jnp.where(post > 0, 1, slow))
        theta = theta + options.homeostasis * post[0]
    return Layer(params, theta, excitatory, inhibitory, traces), Spikes(outside, post, silencing)


def forgetting(n_steps: int) -> float:
    """What is left of thresholds after a showing and the pause that follows; of one step single precision would keep nothing.

    Parameters
    ----------
    n_steps
        Of the showing.
    """
    return math.exp(-(n_steps * STEP + _PAUSE) / _THETA_TIME_CONSTANT)


def brightness(x: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    """From 0 at an image's darkest pixel to 1 at its brightest; 0 where all are alike.

    Parameters
    ----------
    x
        Images, in whatever units.
    """
    axes = tuple(range(1, x.ndim))
    lowest, highest = jnp.min(x, axis=axes, keepdims=True), jnp.max(x, axis=axes, keepdims=True)
    return jnp.where(highest > lowest, (x - lowest) / jnp.where(highest > lowest, highest - lowest, 1), 0)


class _Showing(NamedTuple):
    """Of images that are shown until they draw spikes enough: spikes of each unit in the last showing that counts, and in all."""

    params: Params
    theta: Array
    counts: Array
    spikes: Array
    number: Array


def _shown(node: Node, params: Params, theta: Array, x: Array, key: PRNGKeyArray, options: Any, plastic: bool) -> _Showing:
    """Show images; those that draw too few spikes again, brighter."""

    def waiting(so_far: _Showing) -> Array:
        return jnp.sum(so_far.counts, axis=-1) < options.competing_spikes

    def show(so_far: _Showing) -> _Showing:
        draws = jax.random.fold_in(key, so_far.number)
        rates = options.input_gain * x * (1 + so_far.number.astype(x.dtype) / _BRIGHTNESS)

        def step(carry: tuple[Layer, Array, Array], number: Array) -> tuple[tuple[Layer, Array, Array], None]:
            layer, counts, total = carry
            # The same draws for all images.
            drawn = jax.random.uniform(jax.random.fold_in(draws, number), x.shape[1:], x.dtype)
            layer, spikes = one_step(node, layer, (drawn < rates).astype(x.dtype), options, plastic)
            each = [jnp.sum(kind.reshape(len(x), -1), axis=1) for kind in spikes]
            return (layer, counts + spikes.excitatory, total + sum(each)), None

        own = scaled(node, so_far.params) if plastic else so_far.params
        start = (at_rest(own, so_far.theta, x), jnp.zeros_like(so_far.counts), so_far.spikes)
        (layer, counts, total), _ = lax.scan(step, start, jnp.arange(options.n_steps))
        theta = layer.theta * forgetting(options.n_steps) if plastic else so_far.theta
        shown = waiting(so_far)
        return _Showing(
            layer.params,
            theta,
            jnp.where(shown[:, None], counts, so_far.counts),
            jnp.where(shown, total, so_far.spikes),
            so_far.number + 1,
        )

    counts = jnp.zeros((len(x), theta.size), x.dtype)
    start = _Showing(params, theta, counts, jnp.zeros(len(x), x.dtype), jnp.zeros((), jnp.int32))
    return lax.while_loop(lambda so_far: jnp.any(waiting(so_far)) & (so_far.number < MAX_SHOWINGS), show, start)


def diehl_cook(network: Network, options: Any, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network of one hidden layer.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them, the options those of the family.

    Raises
    ------
    InputError
        An option of the family that has no part in it.
    """
    for name in _UNUSED:
        given, default = getattr(options, name), type(options).__dataclass_fields__[name].default
        if given != default:
            raise InputError(f"{name}={given} was given to textbook, which has nothing of the kind: leave it out")
    node, readout = network.nodes
    n_units = math.prod(node.z_shape)

    def init(key: PRNGKeyArray) -> RuleState:
        hidden, last = network.init(key)
        draws = jax.random.fold_in(key, 1)

        def uniform(leaf: Array) -> Array:
            return 0.3 * jax.random.uniform(draws, leaf.shape, leaf.dtype, 0.01, 1.01)

        drawn = map_weights(node, hidden, uniform)
        dtype = jax.tree.leaves(hidden)[0].dtype
        return RuleState({"network": (scaled(node, drawn), last)}, jnp.full(n_units, _FIRST_THETA, dtype))

    def rates_of(counts: Array) -> Array:
        """Spikes of a presentation over the least number that it ends with: what the readout sees."""
        return (counts / options.competing_spikes).reshape(-1, *node.output_shape)

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch, (hidden, last) = as_batch(batch), state.params["network"]
        x = brightness(network.encode(batch.inputs))

        def one(carry: tuple[Params, Array], image: tuple[Array, PRNGKeyArray]) -> tuple[tuple[Params, Array], Any]:
            shown = _shown(node, *carry, image[0][None], image[1], options, plastic=True)
            return (shown.params, shown.theta), (shown.counts[0], shown.spikes[0], shown.number)

        (learned, theta), (counts, spikes, showings) = lax.scan(one, (hidden, state.carry), (x, jax.random.split(key, len(x))))
        heard = Trace(((), (rates_of(counts),)), ((), ()), ((),), (), ((), readout.init_state(len(x), x.dtype)))
        step = readout_step(network, last, heard, batch, objective)
        info = {
            **step.metrics,
            "competing_spikes": jnp.mean(jnp.sum(counts, axis=-1)),
            "silent_units": jnp.mean(jnp.sum(counts, axis=0) == 0, dtype=x.dtype),
            "showings": jnp.mean(showings.astype(x.dtype)),
            "threshold": jnp.mean(theta),
            "spikes": jnp.sum(spikes),
        }
        change = jax.tree.map(jnp.subtract, hidden, learned)
        return {"network": (change, step.updates)}, RuleState(state.params, theta), info

    def represent(state: RuleState, inputs: Array) -> tuple[Array, ...]:
        hidden, last = state.params["network"]
        x = brightness(network.encode(inputs))
        rates = rates_of(_shown(node, hidden, state.carry, x, jax.random.key(0), options, plastic=False).counts)
        return rates, readout.run(last, readout.init_state(len(x), x.dtype), (rates,))[1]

    def constrain(params: dict[str, Any]) -> dict[str, Any]:
        hidden, last = params["network"]
        return {**params, "network": (bounded(node, hidden), last)}

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        # Weights go where the spikes of the step have taken them.
        return hidden_and_readout(network, optax.sgd(1.0), adam(options.learning_rate, n_steps))

    return LearningRule(
        spec=spec,
        network=network,
        options=options,
        init=init,
        assign_credit=assign_credit,
        constrain=constrain,
        predict=lambda state, inputs: objective.scores(represent(state, inputs)[-1]),
        represent=represent,
        optimizer=optimizer,
        objective=objective,
    )
