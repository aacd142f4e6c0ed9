"""What a person wants to see of a rule at work: closeness to backpropagation, how far weights went, how active units are."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from architectures import Network
from learning_rules.contract import Batch, LearningRule, RuleState
from learning_rules.losses import loss_function
from learning_rules.signals import local_derivative, sweep

__all__ = [
    "Activity",
    "Alignment",
    "Diagnosis",
    "activity",
    "alignment_with_backprop",
    "diagnose",
    "relative_weight_change",
    "saturation",
]


class Alignment(NamedTuple):
    """How a rule's pseudo-gradient lies to the loss's gradient, per distinct block.

    Attributes:
        cosine: between the two; against a gradient of next to nothing it means nothing, hence the norm beside it.
        reference_norm: length of the loss's gradient.
        norm: length of the rule's pseudo-gradient.
    """

    cosine: Float[Array, " n_blocks"]
    reference_norm: Float[Array, " n_blocks"]
    norm: Float[Array, " n_blocks"]


class Activity(NamedTuple):
    """How active the units of each position are.

    Attributes:
        silent: share of units that no example drives away from zero.
        mean: mean activation.
        rms: root mean square of the activation.
    """

    silent: Float[Array, " n_positions"]
    mean: Float[Array, " n_positions"]
    rms: Float[Array, " n_positions"]


class Diagnosis(NamedTuple):
    """All of it, and what the rule tells of itself.

    Attributes:
        blocks: name -> (n_blocks,): `cosine`, `reference_norm`, `relative_weight_change`, `silent`, `mean`, `rms`, `saturated`.
        info: the third of what `assign_credit` returns: loss, accuracy and the rule's own quantities.
    """

    blocks: dict[str, Array]
    info: dict[str, Any]


# Where the slope is less than this, a change of what the synapses deliver is lost on the way.
_FLAT_SLOPE = 0.01


def _flat(tree: Any) -> Array:
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])


def _direction(vector: Array) -> tuple[Array, Array]:
    """A vector at unit length, and its length, however small: the squares of a gradient of 1e-25 are zero in single precision."""
    largest = jnp.max(jnp.abs(vector))
    scaled = vector / jnp.where(largest > 0, largest, 1)
    length = jnp.linalg.norm(scaled)
    return scaled / jnp.maximum(length, 1), largest * length


def alignment_with_backprop(
    rule: LearningRule, state: RuleState, key: PRNGKeyArray, batch: Batch, loss: str = "cross_entropy"
) -> Alignment:
    """Compare what the rule asks of each block with the gradient of the loss, on one batch."""
    images, labels = batch
    asked = rule.assign_credit(key, state, batch)[0]["network"]
    objective = loss_function(loss)
    reference = jax.grad(lambda p: objective(rule.network.forward(p, images)[-1], labels))(state.params["network"])
    cosines, reference_norms, norms = [], [], []
    for a, b in zip(asked, reference, strict=True):
        (u, norm), (v, reference_norm) = _direction(_flat(a)), _direction(_flat(b))
        # A block that is asked for nothing points nowhere: zero, not NaN.
        cosines.append(jnp.vdot(u, v))
        norms.append(norm)
        reference_norms.append(reference_norm)
    return Alignment(jnp.stack(cosines), jnp.stack(reference_norms), jnp.stack(norms))


def relative_weight_change(before: Any, after: Any) -> Float[Array, " n_blocks"]:
    """Length of the change over length of the initial weights, per distinct block, biases left out (they start at zero)."""

    def weights(tree: Any) -> Array:
        return _flat([leaf for leaf in jax.tree.leaves(tree) if leaf.ndim > 1])

    return jnp.stack(
        [
            jnp.linalg.norm(weights(b) - weights(a)) / jnp.maximum(jnp.linalg.norm(weights(a)), 1e-30)
            for a, b in zip(before, after, strict=True)
        ]
    )


def activity(activations: tuple[Array, ...]) -> Activity:
    """Statistics of activations (n, ...) per position."""
    silent, mean, rms = [], [], []
    for h in activations:
        units = h.reshape(h.shape[0], -1)
        silent.append(jnp.mean(jnp.all(jnp.abs(units) < 1e-6, axis=0), dtype=units.dtype))
        mean.append(jnp.mean(units))
        rms.append(jnp.sqrt(jnp.mean(jnp.square(units))))
    return Activity(jnp.stack(silent), jnp.stack(mean), jnp.stack(rms))


def saturation(network: Network, params: Any, images: Float[Array, "n height width channels"]) -> Float[Array, " n_positions"]:
    """Share of units and examples at which the activation is flat (slope under 0.01), per position, in a forward pass.

    A rectified unit is flat where it is off; tanh where its synapses deliver more than 3.
    """
    signals = sweep(network, params, network.encode(images))
    shares = []
    for block, z in zip(network.chain, signals.synaptic, strict=True):
        slope = local_derivative(block, z, jnp.ones((z.shape[0], *block.output_shape), z.dtype))
        shares.append(jnp.mean(jnp.abs(slope) < _FLAT_SLOPE, dtype=z.dtype))
    return jnp.stack(shares)


def diagnose(rule: LearningRule, before: Any, state: RuleState, key: PRNGKeyArray, batch: Batch) -> Diagnosis:
    """What a person wants to see of a rule, on one batch.

    Args:
        rule: any.
        before: the network's initial parameters.
        state: where the rule has come to.
        key: of the rule's own draws.
        batch: (images, labels).
    """
    alignment = alignment_with_backprop(rule, state, key, batch)
    active = activity(rule.represent(state, batch[0]))
    blocks = {
        "cosine": alignment.cosine,
        "reference_norm": alignment.reference_norm,
        "relative_weight_change": relative_weight_change(before, state.params["network"]),
        # A block that is passed several times is described by its last pass.
        **{name: _last_pass(rule.network, values) for name, values in active._asdict().items()},
        "saturated": _last_pass(rule.network, saturation(rule.network, state.params["network"], batch[0])),
    }
    return Diagnosis(blocks, dict(rule.assign_credit(key, state, batch)[2]))


def _last_pass(network: Network, by_position: Array) -> Array:
    last = {index: position for position, index in enumerate(network.order)}
    return by_position[jnp.array([last[index] for index in range(len(network.blocks))])]
