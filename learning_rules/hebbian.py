r"""Hebbian learning: the body learns from what its units see and do, without a label or an error; the last block reads it out.

.. math:: \Delta w \propto f(y)\, \hat x - \text{decay}, \qquad y = w \cdot \hat x, \qquad
          \hat x = (x - \langle x \rangle) / \lVert x - \langle x \rangle \rVert

The six forms of :math:`f` and of the decay are in `hebbian_plasticity`. Products of pre- and postsynaptic signals are
vector-Jacobian products of a block's synapse, so that on a convolution each unit sees patches and each patch has a length of its
own. Biases follow intrinsic plasticity (Triesch 2005, doi:10.1007/11550822_11; here only the mean activity is held): each unit's
threshold moves until it is active in a given share of events. The last block is trained by the delta rule (`readout`). Where asked
for, blocks above the first learn from decorrelated inputs (`hebbian_decorrelation`).

Departures: the centre of the input is a running mean; plasticity only ever sees the direction of an input, while the forward pass,
and so what is represented, is the network's own. Body and readout learn side by side; the body's rate falls to zero earlier. A
block whose units share weights over many positions learns from a part of each batch.
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

from architectures import Block, InputError, Network, Params
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedforward import feedforward_rule
from learning_rules.hebbian_decorrelation import follow_covariance, no_decorrelation, through_precision
from learning_rules.hebbian_plasticity import PLASTICITY, Memory, Population
from learning_rules.hebbian_units import biases_only, initial_norms, per_unit, presynaptic_length, unit_norms, weights_only
from learning_rules.optimizers import adam, body_and_readout, falling_rate
from learning_rules.readout import delta_rule, without_readout
from learning_rules.signals import hebbian_product, sweep

__all__ = ["FAMILY", "HebbianOptions", "hebbian"]


@dataclass(frozen=True)
class HebbianOptions:
    """Options of Hebbian learning.

    Attributes:
        variant: see the table in `hebbian_plasticity`.
        loss: of the readout, "cross_entropy" or "squared_error".
        learning_rate: Adam's, of the readout.
        plasticity_rate: of the body, at the first step; where an update is divided by its events, the share of the way that a unit
            goes to what it saw.
        plastic_share: share of all steps after which the body's rate has fallen to zero, and the readout learns alone.
        unit_inputs: whether plasticity sees inputs at unit length.
        radius: norm that weights are held at; 0 keeps the mean of a block's initial norms.
        active_share: share of events in which intrinsic plasticity keeps a unit active; 0 leaves biases alone.
        memory_rate: share of the way that running means go in one step.
        most_events: events of a batch that a block learns from; where units share weights over many positions a part of the images
            is enough, and the first ones are taken.
        lateral: of Oja's variant: 0 is Oja's rule for each unit by itself, 1 the subspace rule.
        rank: of the competitive variant: the unit that is pushed away; 1 pushes none.
        anti_hebbian: how much it is pushed.
        conscience: how much winning more often than others lowers a unit's standing.
        inverse_temperature: of the softmax of SoftHebb.
        decorrelation_rate: at which the inverse covariance of what later blocks see is followed (`hebbian_decorrelation`); 0 leaves
            inputs as they are.
        response: of BCM: a unit that answers a share p of its inputs comes to answer them with this, times the radius, over p.
    """

    variant: str = "competitive"
    loss: str = "cross_entropy"
    learning_rate: float = 1e-2
    plasticity_rate: float = 0.2
    plastic_share: float = 0.5
    unit_inputs: bool = True
    radius: float = 0.0
    active_share: float = 0.4
    memory_rate: float = 0.05
    decorrelation_rate: float = 2e-3
    most_events: int = 4096
    lateral: float = 1.0
    rank: int = 2
    anti_hebbian: float = 0.3
    conscience: float = 0.1
    inverse_temperature: float = 500.0
    response: float = 0.1


def _remember_nothing(block: Block, radius: float, decorrelated: bool) -> Memory:
    """A population's memory before the first batch."""
    norms = initial_norms(block)
    held_at = jnp.mean(norms) if radius == 0 else jnp.asarray(radius, norms.dtype)
    return Memory(
        mean=jnp.zeros(block.input_shape, norms.dtype),
        radius=held_at,
        precision=no_decorrelation(block.input_shape).astype(norms.dtype) if decorrelated else None,
        wins=jnp.full_like(norms, 1 / norms.size),
        # The mean square response to a direction drawn at random.
        threshold=jnp.full_like(norms, held_at**2 / block.fan_in),
    )


def _intrinsic(block: Block, params: Params, x: Array, z: Array, active_share: float) -> tuple[Params, Array]:
    """Change of the biases that brings each unit to its share of activity, in units of its own signal's size; and its share now."""
    n_events = z.size // z.shape[-1]
    active = per_unit((z > 0).astype(z.dtype)) / n_events
    size = jnp.sqrt(per_unit(jnp.square(z)) / n_events)
    if active_share == 0:
        return jax.tree.map(jnp.zeros_like, params), active
    wanted = jnp.broadcast_to(size * (active_share - active) / n_events, z.shape)
    return biases_only(hebbian_product(block, params, x, wanted)), active


def _of_class(one_hot: Array, z: Array) -> Array:
    """Which units belong to each image's class: units take classes in turn. (n, classes) and (n, ..., units) -> as the second."""
    n_classes = one_hot.shape[-1]
    own = one_hot[:, jnp.arange(z.shape[-1]) % n_classes] > 0
    return jnp.broadcast_to(own.reshape(len(own), *(1,) * (z.ndim - 2), -1), z.shape)


def _learn(
    block: Block, params: Params, x: Array, z: Array, classes: Array | None, memory: Memory, options: HebbianOptions
) -> tuple[Params, Memory, dict[str, Array]]:
    """What plasticity asks of one position, its memory, and what a person wants to see."""
    n_positions = math.prod(z.shape[1:-1])
    part = max(min(options.most_events // n_positions, len(z)), 1)
    x, z = x[:part], z[:part]
    mean = memory.mean + options.memory_rate * (jnp.mean(x, axis=0) - memory.mean)
    centred = x - mean
    learned_from, memory = centred, memory._replace(mean=mean)
    if memory.precision is not None:
        learned_from = through_precision(centred, memory.precision)
        followed = follow_covariance(memory.precision, centred, learned_from, options.decorrelation_rate)
        memory = memory._replace(precision=followed)
    length = presynaptic_length(block, params, centred, learned_from) if options.unit_inputs else jnp.ones_like(z)
    population = Population(
        weights=weights_only(params),
        response=(z - block.synapse(params, mean[None])) / length,
        product=lambda post: weights_only(hebbian_product(block, params, learned_from, post / length)),
        memory=memory,
        eligible=None if classes is None else _of_class(classes[:part], z),
    )
    change, memory = PLASTICITY[options.variant](population, options)
    intrinsic, active = _intrinsic(block, params, x, z, options.active_share)
    strongest = jax.nn.one_hot(jnp.argmax(population.response, axis=-1), z.shape[-1], dtype=z.dtype)
    seen = {
        "weight_norm": jnp.mean(unit_norms(params)),
        "winning_units": jnp.mean(per_unit(strongest) > 0, dtype=z.dtype),
        "active_share": jnp.mean(active),
    }
    return jax.tree.map(lambda a, b: -(a + b), change, intrinsic), memory, seen


def _check(options: HebbianOptions) -> None:
    if not options.plasticity_rate > 0:
        raise InputError(f"plasticity_rate={options.plasticity_rate} was given, it must be positive: try 0.1")
    if not 0 < options.plastic_share <= 1:
        raise InputError(f"plastic_share={options.plastic_share} was given, it is a share of all steps: try 1")
    if not 0 <= options.active_share < 1:
        raise InputError(f"active_share={options.active_share} was given, it must lie in [0, 1): 0 leaves biases alone, try 0.2")
    if options.most_events < 1 or options.decorrelation_rate < 0:
        raise InputError(
            f"most_events={options.most_events}, decorrelation_rate={options.decorrelation_rate} were given: "
            "give at least one event, and a rate that is not negative"
        )
    if not 1 <= options.rank <= 10:
        raise InputError(f"rank={options.rank} was given, it must lie between 1 and 10: try 2")
    if not (options.radius >= 0 and options.response > 0):
        raise InputError(
            f"radius={options.radius}, response={options.response} were given: give a norm, or 0, and a positive number"
        )


def hebbian(network: Network, options: HebbianOptions, spec: RuleSpec) -> LearningRule:
    """Build the rule for a network.

    Raises:
        InputError: a rate, share, rank or radius that makes no sense.
    """
    _check(options)

    def init(key: PRNGKeyArray) -> RuleState:
        # What comes before the first block is the front end's to whiten.
        decorrelated = [position > 0 and options.decorrelation_rate > 0 for position in range(len(network.chain) - 1)]
        memories = map(_remember_nothing, network.chain, [options.radius] * len(decorrelated), decorrelated)
        return RuleState({"network": network.init(key)}, tuple(memories))

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        images, labels = batch
        params = network.unroll(state.params["network"])
        signals = sweep(network, state.params["network"], network.encode(images))
        body = zip(network.chain[:-1], params[:-1], signals.inputs[:-1], signals.synaptic[:-1], state.carry, strict=True)
        classes = jax.nn.one_hot(labels, network.n_classes) if options.variant == "class_gated" else None
        learned = [_learn(block, w, x, z, classes, memory, options) for block, w, x, z, memory in body]
        step = delta_rule(network.chain[-1], params[-1], signals.inputs[-1], labels, options.loss)
        asked = network.tie((*(change for change, _, _ in learned), step.pseudo_gradient))
        info: dict[str, Any] = {"loss": step.loss, "accuracy": step.accuracy}
        if learned:
            info |= {name: jnp.stack([seen[name] for _, _, seen in learned]) for name in learned[0][2]}
        return {"network": asked}, RuleState(state.params, tuple(memory for _, memory, _ in learned)), info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        n_plastic = None if n_steps is None else max(round(options.plastic_share * n_steps), 1)
        body = optax.sgd(falling_rate(options.plasticity_rate, n_plastic))
        return body_and_readout(network, body, adam(options.learning_rate, n_steps))

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer)


def _variant(
    variant: str, summary: str, citation: str, front_end: str = "zca", teaching_signal: str = "none", **options: Any
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
    return Variant(spec, {"variant": variant, **options})


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
                active_share=0.5,
                decorrelation_rate=0.0,
            ),
            _variant(
                "sanger",
                "Oja's rule on what the units before have left: the principal components in order",
                "Sanger 1989, doi:10.1016/0893-6080(89)90044-0",
                front_end="none",
                learning_rate=2e-2,
                plasticity_rate=0.5,
                active_share=0.5,
                decorrelation_rate=0.0,
            ),
            _variant(
                "bcm",
                "growth above a threshold that slides with the unit's own activity, decline below",
                "Bienenstock, Cooper and Munro 1982, doi:10.1523/JNEUROSCI.02-01-00032.1982",
                plasticity_rate=0.1,
                active_share=0.7,
                decorrelation_rate=0.0,
            ),
        )
    },
    without_readout,
)
