r"""PEPITA: the error modulates the input, and what changes in a second forward pass teaches every node.

With :math:`h_0 = x` and :math:`h_k = a_k(S_{\theta_k}(h_{k-1}))`, the error :math:`e = \partial \ell / \partial h_L` at the
scores and a matrix :math:`F` from the scores to the input, a second pass starts at

.. math:: \tilde h_0 = x + F e, \qquad \tilde h_k = a_k(S_{\theta_k}(\tilde h_{k-1})),

and weights follow the Hebbian product of what their synapses saw in the second pass and how much more the node did in the first:

.. math::
    \Delta\theta_k \propto -(h_k - \tilde h_k)\, \tilde h_{k-1}^\top \quad (k < L), \qquad
    \Delta\theta_L \propto -e\, \tilde h_{L-1}^\top .

No signal is carried from node to node backwards. For a small modulation :math:`h_k - \tilde h_k = -\partial_x h_k\, F e`, so
that the first node learns by feedback alignment with feedback weights :math:`-W_1 F`, which change while it learns (Srinivasan et
al. 2023, arXiv 2302.05440).

============= ====================================================================================================================
variant       :math:`F`
============= ====================================================================================================================
weight_mirror :math:`-B_1^\top B_2^\top \cdots B_L^\top`, of feedback weights that learn from the nodes' answers to noise to be
              the forward weights, so that the second pass goes where the loss falls (Srinivasan et al. 2023)
fixed         random and fixed (Dellaferrera and Kreiman 2022, arXiv 2201.11665)
textbook      as fixed, in the published settings: all nodes, the readout too, take plain steps with momentum, and the readout's
              error is the second pass's
============= ====================================================================================================================

Nodes below the readout follow with momentum, as published: their changes vanish with the error, which keeps the Hebbian products
from feeding on themselves. Adam takes steps of one size however small the error is, and the convolutional network loses what it
learned. A unit whose weights are shared by many places is told the mean over them, and no unit is told more than a fraction of the
length of its weights (Brock et al. 2021, arXiv 2102.06171): rare bursts silence deep nodes otherwise.

Departures, but of `textbook`: the readout learns by Adam and from the first pass's error, and the rate falls as half a cosine. Of
all: no dropout; :math:`F` is normal and has a size of its own. Mirrors work from the first step on, beside the rule. Where an
output has another shape than the pre-activations (pooling), the difference is carried to these by the activation's own derivative
in the first pass. On a graph :math:`F` is what the whole network of feedback weights, all of it linear, carries back from the
scores to the input in one step; in time an example's error modulates the input of every step, and the readout's error goes back
through what it remembers.

Units with several pre-activations (gates, attention) are none of this theory's: a unit's one difference tells it of its output, not
of each factor that its output is a product of, and there is no linear network of them all for :math:`F` to be.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from architectures import Network, Node, Params
from bioplausible.foundation.options import at_least, fraction, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedback_weights import feedback_angles, mirror
from learning_rules.feedforward import feedforward_rule
from learning_rules.needs import Needs
from learning_rules.objectives import Objective, as_batch
from learning_rules.optimizers import adam, cosine_schedule, hidden_and_readout, mean_over_places, plain_steps
from learning_rules.signals import hebbian_product, in_precision_of, local_derivative, merge_steps, replay

__all__ = ["FAMILY", "PepitaOptions", "pepita"]

Projection = Float[Array, "n_classes ..."]


@dataclass(frozen=True)
class PepitaOptions:
    """Options of PEPITA.

    Attributes
    ----------
    variant
        See the table above.
    loss
        One of `OBJECTIVES`.
    learning_rate
        Of the nodes below the readout at the first step, shared between the places of a unit's weights.
    momentum
        Fraction of the last step that the next one repeats.
    clipping
        The most that a unit is told, in lengths of its weights; a node's biases count as one vector.
    weight_decay
        Of the nodes below the readout, added to the updates.
    readout_rate
        Adam's, at the first step.
    readout_decay
        Decoupled, per unit of the readout's rate.
    modulation
        Length of what an error of unit length adds to the input, on average.
    mirror_rate
        Fraction of the way to the mirror's estimate that feedback weights go in one step (weight_mirror).
    mirror_examples
        Answers to noise that an estimate is made of (weight_mirror).
    plain
        Whether all nodes take plain steps with momentum, unclipped and undecayed, and the readout's error is the second pass's.
    """

    variant: str = "weight_mirror"
    loss: str = "cross_entropy"
    learning_rate: float = 0.1
    momentum: float = 0.9
    clipping: float = 0.01
    weight_decay: float = 1e-4
    readout_rate: float = 1e-3
    readout_decay: float = 0.1
    modulation: float = 0.1
    mirror_rate: float = 0.05
    mirror_examples: int = 32
    plain: bool = False


def _random_projection(key: PRNGKeyArray, network: Network, modulation: float) -> Projection:
    """F, from the scores to the input as the first node hears it."""
    shape = network.step_shape
    return modulation * jax.random.normal(key, (network.n_classes, *shape)) / math.sqrt(math.prod(shape))


def _letting_everything_through(node: Node) -> Node:
    """The node with the linear activation that its own is at pre-activations of one."""

    def activate(state: Any, z: Any, skips: tuple[Array, ...]) -> tuple[Any, Array]:
        at = (jax.tree.map(jnp.ones_like, z), jax.tree.map(jnp.zeros_like, skips))
        return state, jax.jvp(lambda value, others: node.activate(state, value, others)[1], at, (z, skips))[1]

    return dataclasses.replace(node, activate=activate)


def _mirrored_projection(network: Network, feedback: Sequence[Params], modulation: float) -> Projection:
    """F as what all feedback weights carry back from the scores, with minus."""
    linear = dataclasses.replace(network, nodes=tuple(map(_letting_everything_through, network.nodes)))
    time = (1,) * network.temporal
    silence = jnp.zeros((*time, network.n_classes, *network.step_shape))
    scores, pull = jax.vjp(lambda x: linear.trace(feedback, x, encoded=True).outputs[-1], silence)
    each = jnp.eye(network.n_classes).reshape(*time, network.n_classes, network.n_classes)
    rows = pull(in_precision_of(each, scores))[0]
    rows = rows.reshape(network.n_classes, *network.step_shape)
    return -modulation * rows * jax.lax.rsqrt(jnp.sum(jnp.square(rows)) / len(rows))


def _at_synapses(node: Node, z: Any, difference: Array, state: Any, skips: tuple[Array, ...]) -> Any:
    """A difference between outputs as a signal at the pre-activations that they come from."""
    if isinstance(z, jax.Array) and difference.shape == z.shape:
        return difference
    return local_derivative(node, z, difference, state, skips)


def _relative_size(difference: Array, h: Array) -> Float[Array, ""]:
    return jnp.sqrt(jnp.sum(jnp.square(difference)) / jnp.maximum(jnp.sum(jnp.square(h)), 1e-12))


def pepita(network: Network, options: PepitaOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        A modulation, clipping, rate or number that is not positive, or a momentum below zero or of one and more.
    """
    positive(options, "modulation", "clipping", "readout_rate", "mirror_rate", "mirror_examples")
    at_least(options, 0, "weight_decay", "readout_decay")
    fraction(options, "momentum", with_one=False)
    mirrored = options.variant == "weight_mirror"

    def init(key: PRNGKeyArray) -> RuleState:
        params: dict[str, Any] = {"network": network.init(key)}
        own_key = jax.random.fold_in(key, 1)
        if not mirrored:
            return RuleState(params, {"projection": _random_projection(own_key, network, options.modulation)})
        keys = jax.random.split(own_key, len(network.nodes))
        return RuleState({**params, "feedback": tuple(node.drawn(k) for node, k in zip(network.nodes, keys, strict=True))}, {})

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch = as_batch(batch)
        x, params = network.encode(batch.inputs), state.params["network"]
        if mirrored:
            projection = _mirrored_projection(network, state.params["feedback"], options.modulation)
        else:
            projection = state.carry["projection"]
        first = network.trace(params, x, encoded=True)
        readout = first.outputs[-1]
        loss, error = objective.loss_and_error(readout, batch)
        n = objective.n_counted(readout, batch)
        # The derivative is that of the batch's mean; each example's input is modulated by its own error, whatever the batch.
        own = jnp.sum(error, axis=0) if network.temporal and not objective.per_step else error
        modulated = network.trace(params, x + n * jnp.tensordot(own, projection, axes=1), encoded=True)

        differences = [h - h_modulated for h, h_modulated in zip(first.outputs, modulated.outputs, strict=True)]
        signals = merge_steps(network, (first.z, tuple(d / n for d in differences), first.states, first.skips))
        post = [_at_synapses(*each) for each in zip(network.nodes, *signals, strict=True)]
        products = map(hebbian_product, network.nodes, params, merge_steps(network, modulated.inputs), post)
        scores, pull = jax.vjp(lambda own: replay(network, len(params) - 1, own, modulated), params[-1])
        at_readout = objective.loss_and_error(modulated.outputs[-1], batch)[1] if options.plain else error
        updates: dict[str, Any] = {"network": (*list(products)[:-1], *pull(in_precision_of(at_readout, scores)))}
        info: dict[str, Any] = {
            **objective.metrics(readout, batch),
            # Below `loss` where the modulation points to where the loss falls, which is what makes the differences teach.
            "modulated_loss": objective.loss(modulated.outputs[-1], batch),
            "relative_difference": tuple(_relative_size(d, h) for d, h in zip(differences, first.outputs, strict=True)),
        }
        if mirrored:
            feedback = state.params["feedback"]
            updates["feedback"] = mirror(network, key, params, feedback, options.mirror_examples)
            info["feedback_angle"] = feedback_angles(network, params, feedback)
        return updates, state, info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        if options.plain:
            return optax.chain(mean_over_places(network), plain_steps(options.learning_rate, options.momentum))
        hidden = optax.chain(
            optax.adaptive_grad_clip(options.clipping),
            optax.add_decayed_weights(options.weight_decay),
            optax.sgd(cosine_schedule(options.learning_rate, n_steps), options.momentum),
        )
        readout = adam(options.readout_rate, n_steps, options.readout_decay)
        others = {"feedback": optax.sgd(options.mirror_rate)} if mirrored else {}
        return optax.chain(mean_over_places(network), hidden_and_readout(network, hidden, readout, **others))

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer, objective)


# From a search on Fashion-MNIST's validation images behind the front end `zca`, dense and convolutional, two to ten epochs of
# 20,000 and of all images. What counts is rate times modulation; a third of it is worse on both networks. Without a limit to what
# a unit is told, the convolutional network falls to one class in its second epoch; a third of the limit here is slower. With it,
# both networks learn behind no front end as well (85.9 and 83.3 on 20,000 images); without it, neither holds. A readout that
# learns with momentum too is worse.
FAMILY = Family(
    PepitaOptions,
    pepita,
    {
        "weight_mirror": Variant(
            RuleSpec(
                "pepita",
                "weight_mirror",
                "the error modulates the input through mirrored weights, and the change in a second pass teaches every node",
                "Dellaferrera and Kreiman 2022, arXiv 2201.11665; Srinivasan et al. 2023, arXiv 2302.05440",
                phases=3,
                trained_otherwise=(("feedback", "weight mirrors"),),
                front_end="zca",
            ),
            {"variant": "weight_mirror"},
        ),
        "fixed": Variant(
            RuleSpec(
                "pepita",
                "fixed",
                "the error modulates the input through fixed random weights, and the change in a second pass teaches every node",
                "Dellaferrera and Kreiman 2022, arXiv 2201.11665",
                front_end="zca",
            ),
            {"variant": "fixed"},
        ),
        "textbook": Variant(
            RuleSpec(
                "pepita",
                "textbook",
                "the error modulates the input through fixed random weights; plain steps with momentum in all nodes, as published",
                "Dellaferrera and Kreiman 2022, arXiv 2201.11665",
                # Of one hidden layer: with two, the published rate silences the second.
                network=(("hidden", (1024,)),),
                batch_size=64,
            ),
            # The code draws F evenly within a twentieth of sqrt(6 / inputs), which has this size.
            {"variant": "fixed", "learning_rate": 0.1, "momentum": 0.9, "modulation": 0.05 * math.sqrt(2), "plain": True},
        ),
    },
    needs=Needs(one_z=True),
)
