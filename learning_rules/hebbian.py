r"""Hebbian learning: hidden nodes learn from what their units see and do, without a label or an error; the readout reads them.

.. math:: \Delta w \propto f(y)\, \hat x - \text{decay}, \qquad y = w \cdot \hat x, \qquad
          \hat x = (x - \langle x \rangle) / \lVert x - \langle x \rangle \rVert

The six forms of :math:`f` and of the decay are in `hebbian_plasticity`. A unit's weights over all edges of its node are one vector,
and so is what it sees, :math:`x`: of a recurrent node the input and what the node itself passed on a step ago. Products of pre- and
postsynaptic signals are vector-Jacobian products of a node's synapse, so that on a convolution each unit sees patches and each
patch has a length of its own. Every step of every example is an event like any other. Biases follow intrinsic plasticity (Triesch
2005, doi:10.1007/11550822_11; here only the mean activity is held): each unit's threshold moves until its pre-activation is above
zero in a given fraction of events. The readout is trained by the delta rule (`readout`). Where asked for, nodes learn from
decorrelated inputs of other nodes (`hebbian_decorrelation`). Nodes without weights pass on what they are given.

Departures: the centre of the input is a running mean; plasticity only ever sees the direction of an input, while the forward pass,
and so what is represented, is the network's own. Hidden nodes and readout learn side by side; the hidden nodes' rate falls to zero
earlier. A node whose units share weights over many positions, or run for many steps, learns from a part of each batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures import BIAS, INPUT, Network, Node, Params
from architectures.roles import of_kind, weights_only
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import at_least, fraction, one_of, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedforward import feedforward_rule
from learning_rules.hebbian_decorrelation import follow_covariance, no_decorrelation, through_precision
from learning_rules.hebbian_plasticity import PLASTICITY, Memory, Population
from learning_rules.hebbian_units import (
    EUCLIDEAN,
    has_weights,
    in_metric,
    initial_norms,
    per_unit,
    presynaptic_length,
    unit_norms,
    units_last,
)
from learning_rules.needs import Needs
from learning_rules.objectives import CLASSES, Batch, Objective, as_batch
from learning_rules.optimizers import adam, cosine_schedule, hidden_and_readout
from learning_rules.readout import readout_step
from learning_rules.signals import hebbian_product

__all__ = ["FAMILY", "HebbianOptions", "hebbian"]


@dataclass(frozen=True)
class HebbianOptions:
    """Options of Hebbian learning.

    Attributes
    ----------
    variant
        See the table in `hebbian_plasticity`.
    loss
        Of the readout, one of `OBJECTIVES`.
    learning_rate
        Adam's, of the readout.
    plasticity_rate
        Of hidden nodes, at the first step; where an update is divided by its events, the fraction of the way that a unit goes to
        what it saw.
    plastic_fraction
        Fraction of all steps after which the hidden nodes' rate has fallen to zero, and the readout learns alone; in (0, 1].
    unit_inputs
        Whether plasticity sees inputs at unit length.
    unit_variance
        Whether plasticity sees a node's inputs divided by their root mean square in the batch, which stands for the batch
        normalisation of SoftHebb as published.
    radius
        Norm that weights are held at; 0 keeps the mean of a node's initial norms.
    initial_deviation, initial_norm
        Standard deviation of a weight, or norm of a unit's weights, that a published rule starts from: radius, rate and
        temperature are then in units in which the network's own weights start from it. 0 takes weights as they are. Competitive
        rules hang on it: a unit that starts above the radius wins less the further it has come down, so that others have their
        turn; from below it, those that win first grow and win ever after.
    active_fraction
        Fraction of events in which intrinsic plasticity keeps a unit active; 0 leaves biases alone.
    ema_rate
        Fraction of the way that running means go in one step.
    decorrelation_rate
        At which the inverse covariance of what nodes hear of others is followed (`hebbian_decorrelation`); 0 leaves inputs as they
        are.
    max_events
        Events of a batch that a node learns from; where units share weights over many positions or steps a part of the examples is
        enough, and the first ones are taken.
    lateral
        Of Oja's variant: 0 is Oja's rule for each unit by itself, 1 the subspace rule.
    rank
        Of the competitive variant: the unit that is pushed away, 1 to 10; 1 pushes none.
    anti_hebbian
        How much it is pushed.
    conscience
        How much winning more often than others lowers a unit's standing.
    inverse_temperature
        Of the softmax of SoftHebb.
    lebesgue
        p, exponent of the metric in which competing units answer and their weights are held (divided by the largest change).
    divided_by
        What competing units' changes are divided by: the amount of "competition" that a unit won or lost, or the "largest" change
        of a weight in the node, as published.
    schedule
        How the hidden nodes' rate falls, "cosine" or "linear".
    response
        Of BCM: a unit that answers a fraction p of its inputs comes to answer them with this, times the radius, over p.
    """

    variant: str = "competitive"
    loss: str = "cross_entropy"
    learning_rate: float = 1e-2
    plasticity_rate: float = 0.2
    plastic_fraction: float = 0.5
    unit_inputs: bool = True
    unit_variance: bool = False
    radius: float = 0.0
    initial_deviation: float = 0.0
    initial_norm: float = 0.0
    active_fraction: float = 0.4
    ema_rate: float = 0.05
    decorrelation_rate: float = 2e-3
    max_events: int = 4096
    lateral: float = 1.0
    rank: int = 2
    anti_hebbian: float = 0.3
    conscience: float = 0.1
    inverse_temperature: float = 500.0
    lebesgue: float = 2.0
    divided_by: str = "competition"
    schedule: str = "cosine"
    response: float = 0.1


def _remember_nothing(network: Network, index: int, options: HebbianOptions) -> Memory | tuple[()]:
    """A node's memory before the first batch, () where it has nothing to learn."""
    node = network.nodes[index]
    if not has_weights(node):
        return ()
    norms = initial_norms(node)
    held_at = jnp.mean(norms) if options.radius == 0 else jnp.asarray(options.radius, norms.dtype)
    if options.initial_norm or options.initial_deviation:
        # Of a node whose weights start at nought nothing tells the unit.
        own = jnp.where(jnp.any(norms > 0), jnp.mean(norms), 1)
        held_at *= own / (options.initial_norm or options.initial_deviation * node.fan_in**0.5)
    # What comes from outside is the front end's to whiten.
    from_nodes = [edge.source != INPUT and options.decorrelation_rate > 0 for edge in network.weighted_edges(index)]
    edges = list(zip(node.input_shapes, from_nodes, strict=True))
    return Memory(
        mean=tuple(jnp.zeros(shape, norms.dtype) for shape, _ in edges),
        radius=held_at,
        precision=tuple(no_decorrelation(shape).astype(norms.dtype) if decorrelated else None for shape, decorrelated in edges),
        wins=jnp.full_like(norms, 1 / norms.size),
        # The mean square response to a direction drawn at random.
        threshold=jnp.full_like(norms, held_at**2 / node.fan_in),
    )


def _intrinsic(node: Node, params: Params, inputs: tuple[Array, ...], z: Array, active_fraction: float) -> tuple[Params, Array]:
    """Change of the biases that brings each unit to its fraction of activity, in units of its signal's size; its fraction now."""
    by_unit = units_last(node, z)
    n_events = by_unit.size // by_unit.shape[-1]
    active = per_unit((by_unit > 0).astype(z.dtype)) / n_events
    size = jnp.sqrt(per_unit(jnp.square(by_unit)) / n_events)
    if active_fraction == 0:
        return jax.tree.map(jnp.zeros_like, params), active
    wanted = jnp.broadcast_to(size * (active_fraction - active) / n_events, by_unit.shape).reshape(z.shape)
    return of_kind(hebbian_product(node, params, inputs, wanted), node.roles, (BIAS,)), active


def _classes(network: Network, objective: Objective, batch: Batch) -> Array:
    """The class of every example, (n, n_classes), or of every step, (n, time, n_classes); all where its target does not count."""
    classes = jax.nn.one_hot(batch.targets, network.n_classes)
    if batch.mask is not None:
        classes = jnp.where(batch.mask[..., None] > 0, classes, 1)
    return jnp.moveaxis(classes, 0, 1) if objective.per_step else classes


def _of_class(classes: Array, n_steps: int, response: Array) -> Array:
    """Which units belong to each event's class: units take classes in turn. Boolean, of the shape of the response."""
    by_step = classes if classes.ndim == 3 else jnp.broadcast_to(classes[:, None], (len(classes), n_steps, classes.shape[-1]))
    own = by_step.reshape(-1, classes.shape[-1])[:, jnp.arange(response.shape[-1]) % classes.shape[-1]] > 0
    return jnp.broadcast_to(own.reshape(len(own), *(1,) * (response.ndim - 2), -1), response.shape)


def _learn(
    node: Node,
    params: Params,
    signals: tuple[tuple[Array, ...], Array],
    classes: Array | None,
    memory: Memory,
    options: HebbianOptions,
    n_steps: int,
) -> tuple[Params, Memory, dict[str, Array]]:
    """What plasticity asks of one node, its memory, and what a person wants to see; of signals (n * n_steps, ...)."""
    n_positions = math.prod(units_last(node, signals[1]).shape[1:-1])
    part = max(options.max_events // (n_positions * n_steps), 1)
    inputs, z = jax.tree.map(lambda signal: signal[: part * n_steps], signals)
    mean = tuple(m + options.ema_rate * (jnp.mean(x, axis=0) - m) for m, x in zip(memory.mean, inputs, strict=True))
    centred = tuple(x - m for x, m in zip(inputs, mean, strict=True))
    learned_from: list[Array] = []
    precision: list[Array | None] = []
    for x, p in zip(centred, memory.precision, strict=True):
        learned_from.append(x if p is None else through_precision(x, p))
        precision.append(None if p is None else follow_covariance(p, x, learned_from[-1], options.decorrelation_rate))
    memory = memory._replace(mean=mean, precision=tuple(precision))
    if options.lebesgue == EUCLIDEAN:
        response = units_last(node, z - node.synapse(params, tuple(m[None] for m in mean)))
    else:
        response = units_last(node, node.synapse(in_metric(node, params, options.lebesgue), centred))
    if options.unit_variance:
        n_inputs = sum(x.size for x in centred)
        square = sum((jnp.sum(jnp.square(x)) for x in centred), jnp.zeros((), z.dtype)) / n_inputs
        scale = jax.lax.rsqrt(jnp.maximum(square, jnp.finfo(z.dtype).tiny))
        centred, learned_from = tuple(x * scale for x in centred), [x * scale for x in learned_from]
        response = response * scale
    length = presynaptic_length(node, params, centred, learned_from) if options.unit_inputs else jnp.ones_like(response)

    def product(post: Array) -> Params:
        at_z = (post / length).reshape(z.shape)
        return weights_only(hebbian_product(node, params, tuple(learned_from), at_z), node.roles)

    population = Population(
        node=node,
        weights=weights_only(params, node.roles),
        response=response / length,
        product=product,
        memory=memory,
        eligible=None if classes is None else _of_class(classes[:part], n_steps, response),
    )
    change, memory = PLASTICITY[options.variant](population, options)
    intrinsic, active = _intrinsic(node, params, inputs, z, options.active_fraction)
    strongest = jax.nn.one_hot(jnp.argmax(population.response, axis=-1), response.shape[-1], dtype=z.dtype)
    seen = {
        "weight_norm": jnp.mean(unit_norms(node, params)),
        "winning_units": jnp.mean(per_unit(strongest) > 0, dtype=z.dtype),
        "active_fraction": jnp.mean(active),
    }
    return jax.tree.map(lambda a, b: -(a + b), change, intrinsic), memory, seen


def _check(options: HebbianOptions) -> None:
    positive(options, "plasticity_rate", "response", "inverse_temperature")
    at_least(options, 1, "lebesgue")
    one_of(options, "divided_by", ("competition", "largest"))
    one_of(options, "schedule", ("cosine", "linear"))
    if options.lebesgue != EUCLIDEAN and options.divided_by != "largest":
        raise InputError(
            f"lebesgue={options.lebesgue} was given, and divided_by='competition' holds Euclidean norms: use 'largest'"
        )
    at_least(
        options, 0, "decorrelation_rate", "radius", "initial_deviation", "initial_norm", "lateral", "anti_hebbian", "conscience"
    )
    if options.initial_deviation and options.initial_norm:
        raise InputError(
            f"initial_deviation={options.initial_deviation} and initial_norm={options.initial_norm} were given, and weights start "
            "from one of them: leave out the other"
        )
    if (options.initial_deviation or options.initial_norm) and not (options.divided_by == "largest" and options.radius):
        raise InputError(
            "initial_deviation or initial_norm was given without a radius, or with divided_by='competition', whose steps are "
            "fractions of the way whatever weights start from: give radius=1 and divided_by='largest'"
        )
    fraction(options, "plastic_fraction", with_zero=False)
    fraction(options, "ema_rate")
    fraction(options, "active_fraction", with_one=False)
    at_least(options, 1, "max_events")
    if not 1 <= options.rank <= 10:
        raise InputError(f"rank={options.rank} was given, expected a number from 1 to 10: try 2")


def hebbian(network: Network, options: HebbianOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        A rate, fraction, rank or radius that makes no sense.
    """
    _check(options)
    hidden = range(len(network.nodes) - 1)

    def init(key: PRNGKeyArray) -> RuleState:
        return RuleState({"network": network.init(key)}, tuple(_remember_nothing(network, index, options) for index in hidden))

    def events(signals: Any) -> Any:
        """Every step of every example as an event, all steps of an example together."""
        if not network.temporal:
            return signals
        return jax.tree.map(lambda signal: jnp.moveaxis(signal, 0, 1).reshape(-1, *signal.shape[2:]), signals)

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch, params = as_batch(batch), state.params["network"]
        trace = network.trace(params, batch.inputs)
        classes = _classes(network, objective, batch) if options.variant == "class_gated" else None
        n_steps = len(trace.outputs[-1]) if network.temporal else 1
        updates: list[Params] = []
        memories: list[Memory | tuple[()]] = []
        seen: list[dict[str, Array]] = []
        for index, memory in zip(hidden, state.carry, strict=True):
            if not has_weights(network.nodes[index]):
                updates.append(jax.tree.map(jnp.zeros_like, params[index]))
                memories.append(memory)
                continue
            signals = events((trace.inputs[index], trace.z[index]))
            update, memory, of_node = _learn(network.nodes[index], params[index], signals, classes, memory, options, n_steps)
            updates.append(update)
            memories.append(memory)
            seen.append(of_node)
        step = readout_step(network, params[-1], trace, batch, objective)
        info = {**step.metrics, **({name: jnp.stack([each[name] for each in seen]) for name in seen[0]} if seen else {})}
        return {"network": (*updates, step.updates)}, RuleState(state.params, tuple(memories)), info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        n_plastic = None if n_steps is None else max(round(options.plastic_fraction * n_steps), 1)
        if options.schedule == "linear" and n_plastic is not None:
            rate: optax.ScalarOrSchedule = optax.linear_schedule(options.plasticity_rate, 0.0, n_plastic)
        else:
            rate = cosine_schedule(options.plasticity_rate, n_plastic)
        plasticity = optax.sgd(rate)
        return hidden_and_readout(network, plasticity, adam(options.learning_rate, n_steps))

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer, objective)


def _variant(
    variant: str,
    summary: str,
    citation: str,
    front_end: str = "zca",
    teaching_signal: str = "none",
    needs: Needs | None = None,
    **options: Any,
) -> Variant:
    spec = RuleSpec(
        "hebbian",
        variant,
        summary,
        citation,
        teaching_signal=teaching_signal,
        phases=1,
        trained_otherwise=(("network[-1]", "delta rule"),),
        front_end=front_end,
    )
    return Variant(spec, {"variant": variant, **options}, needs)


def _published(
    name: str,
    summary: str,
    citation: str,
    batch_size: int,
    network: tuple[tuple[str, Any], ...] = (),
    **options: Any,
) -> Variant:
    """Plain inputs at their own length, norms of one, no bias, no conscience, no decorrelation."""
    spec = RuleSpec(
        "hebbian",
        name,
        summary,
        citation,
        teaching_signal="none",
        phases=1,
        trained_otherwise=(("network[-1]", "delta rule"),),
        network=network,
        batch_size=batch_size,
    )
    bare = {"unit_inputs": False, "radius": 1.0, "active_fraction": 0.0, "ema_rate": 0.0, "decorrelation_rate": 0.0}
    return Variant(spec, {**bare, "conscience": 0.0, "divided_by": "largest", **options})


# From a search on Fashion-MNIST's validation images, dense network: four epochs of 20,000 images, and the better ones at ten epochs
# of all. The competitive variants and BCM learn behind the front end "zca", Oja's and Sanger's, which look for the large components
# that whitening levels, on plain images. A readout at a tenth of this rate is one to two points worse, and so are competing units
# without conscience.
FAMILY = Family(
    HebbianOptions,
    hebbian,
    {
        variant.spec.variant: variant
        for variant in (
            _variant(
                "competitive",
                "the unit that answers most moves towards what it saw, one of lower rank away from it",
                "Krotov and Hopfield 2019, doi:10.1073/pnas.1820458116",
            ),
            _variant(
                "class_gated",
                "the competition is among the units of the image's class, and a unit of another class that answers more moves away",
                "Krotov and Hopfield 2019, doi:10.1073/pnas.1820458116; Kohonen 1990, doi:10.1109/5.58325",
                teaching_signal="labels",
                needs=Needs(one_z=True, targets=(CLASSES,)),
            ),
            _variant(
                "softhebb",
                "all units compete softly: the winner moves towards what it saw, the others away, each by its share",
                "Journé et al. 2023, arXiv 2209.11883",
                radius=1.0,
            ),
            _variant(
                "oja",
                "Hebbian growth with a decay that holds the norm: units span the leading principal components",
                "Oja 1982, doi:10.1007/BF00275687; Oja 1989, doi:10.1142/S0129065789000475",
                front_end="none",
                learning_rate=2e-2,
                plasticity_rate=0.5,
                active_fraction=0.5,
                decorrelation_rate=0.0,
            ),
            _variant(
                "sanger",
                "Oja's rule on what the units before have left: the principal components in order",
                "Sanger 1989, doi:10.1016/0893-6080(89)90044-0",
                front_end="none",
                learning_rate=2e-2,
                plasticity_rate=0.5,
                active_fraction=0.5,
                decorrelation_rate=0.0,
            ),
            _variant(
                "bcm",
                "growth above a threshold that slides with the unit's own activity, decline below",
                "Bienenstock, Cooper and Munro 1982, doi:10.1523/JNEUROSCI.02-01-00032.1982",
                plasticity_rate=0.1,
                active_fraction=0.7,
                decorrelation_rate=0.0,
            ),
            _published(
                "textbook",
                "the unit that answers most, in the metric of p = 3, moves towards what it saw, the seventh away from it",
                "Krotov and Hopfield 2019, doi:10.1073/pnas.1820458116",
                batch_size=100,
                variant="competitive",
                lebesgue=3.0,
                rank=7,
                anti_hebbian=0.4,
                plasticity_rate=0.02,
                schedule="linear",
                initial_deviation=1.0,
            ),
            _published(
                "textbook_softhebb",
                "all units compete by their softmax, at rates that fall as norms near one, and pass on what is above their mean",
                "Journé et al. 2023, arXiv 2209.11883",
                batch_size=10,
                network=(("activation", "triangle"),),
                variant="softhebb",
                inverse_temperature=1.0,
                plasticity_rate=0.08,
                initial_norm=25.0,
                unit_variance=True,
            ),
        )
    },
    needs=Needs(one_z=True),
)
