r"""Contrastive, local and predictive plasticity (CLAPP): every node tells what comes next of a thing from what comes of another.

What a node's units do at one moment, the context :math:`c`, predicts through lateral weights :math:`W^{pred}` what they do at the
next, :math:`z`. While the eye rests on a thing (fixation, :math:`y = 1`) the prediction is to fit, after a jump to another
(saccade, :math:`y = -1`) it is not to; with the score :math:`u = z^\top W^{pred} c` the node's own loss is

.. math:: \mathcal L = \max(0,\, 1 - y\, u).

Its gradient is plasticity of four factors: two that every synapse of a node hears alike, the kind of movement :math:`y` and whether
it was surprising, together :math:`\gamma = y\, [y u < 1]`; the dendrite, to which lateral weights bring a prediction (or a
retrodiction, through weights :math:`W^{retro}` of their own); and what the unit and its input do,

.. math::
    \Delta w_{ji} \propto \gamma\, (W^{pred} c)_j\, f'(a_j^z)\, x_i^z + \gamma'\, (W^{retro} z)_j\, f'(a_j^c)\, x_i^c, \qquad
    \Delta W^{pred} \propto \gamma\, z\, c^\top, \qquad \Delta W^{retro} \propto \gamma'\, c\, z^\top,

where :math:`\gamma'` is of the score :math:`c^\top W^{retro} z`. Losses are means over fixations plus means over saccades.

============ ==========================================================================================================
variant      every example
============ ==========================================================================================================
synchronous  is both fixated and left within one step (the paper's CLAPP-s)
asynchronous is either, by a toss of a coin (the paper's CLAPP), and learns half as often
============ ==========================================================================================================

Illing, Ventura, Bellec and Gerstner 2021, arXiv 2010.08262, equations 3 and 6 to 8, with weights for retrodiction that are drawn
and learned apart, as in its published program. Units that share weights over places are pooled over them first, as there.

Departures: the fixated thing is an image and its second view (`positive_pairs.py`), where the paper encodes patches of one image,
one after the other, and predicts several of them, each through weights of its own; in a network that runs in time it is each step
and the next. What is seen after a saccade is another example of the batch, never the same.

On Fashion-MNIST it teaches a dense network nothing that a readout can use (10,000 images, five epochs, one seed, read by ridge
regression): 83.1 on test images at the default rate and 80.5 at ten times as much, beside 83.2 of the same network untrained,
though nodes come to tell 79 to 92 of 100 pairs apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, Int, PRNGKeyArray

from architectures import Network, Node
from bioplausible.foundation.options import at_least, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedforward import feedforward_rule
from learning_rules.needs import Needs
from learning_rules.objectives import Batch, Objective, as_batch, mean_over
from learning_rules.optimizers import adam, hidden_and_readout
from learning_rules.pooling import pooled
from learning_rules.positive_pairs import PositivePairs, ViewOptions, check_views, learning_nodes, positive_pairs
from learning_rules.readout import readout_step

__all__ = ["FAMILY", "ClappOptions", "clapp"]


@dataclass(frozen=True)
class ClappOptions(ViewOptions):
    """Options of CLAPP, and of the views that it predicts (`ViewOptions`).

    Attributes
    ----------
    variant
        See the table above.
    loss
        Of the readout, one of `OBJECTIVES`.
    learning_rate
        Adam's, of the hidden nodes and their lateral weights, at the first step.
    weight_decay
        Decoupled, per unit of that rate.
    readout_rate
        Adam's, of the readout, at the first step.
    grid
        Cells per spatial axis over which a feature map is averaged before it is predicted.
    """

    variant: str = "synchronous"
    loss: str = "cross_entropy"
    # From Fashion-MNIST's validation images: at ten times as much hidden nodes lose what their random weights had.
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    readout_rate: float = 1e-2
    grid: int = 1


Lateral = dict[str, Float[Array, "features features"]]


def _draw_lateral(key: PRNGKeyArray, node: Node, grid: int) -> Lateral:
    like = jax.ShapeDtypeStruct((1, *node.output_shape), jnp.float32)
    n_features = jax.eval_shape(lambda h: pooled(h, grid), like).shape[1]
    draw, keys = jax.nn.initializers.lecun_normal(), jax.random.split(key)
    return {name: draw(k, (n_features, n_features)) for name, k in zip(("prediction", "retrodiction"), keys, strict=True)}


def _after_saccade(key: PRNGKeyArray, seen: Float[Array, " n"]) -> tuple[Int[Array, " n"], Float[Array, ""]]:
    """For each example that counts another one that does, the one a random number of places on; and whether there is another."""
    n_seen = jnp.sum(seen > 0)
    counted_first = jnp.argsort(seen == 0, stable=True)
    step = jax.random.randint(key, (), 1, jnp.maximum(n_seen, 2))
    onwards = counted_first[(jnp.argsort(counted_first) + step) % jnp.maximum(n_seen, 1)]
    return onwards, (n_seen > 1).astype(seen.dtype)


def _node_loss(
    context: Array, later: Array, lateral: Lateral, other: Int[Array, " n"], fixated: Array, left: Array
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """A node's own loss, and how often its scores are right; of what it does (moments, n, features), and what counts of it."""
    stop = jax.lax.stop_gradient
    predicted = stop(context) @ lateral["prediction"].T
    retrodicted = stop(later) @ lateral["retrodiction"].T

    def scores(z: Array, from_z: Array) -> tuple[Array, Array]:
        return jnp.sum(z * predicted, axis=-1), jnp.sum(context * from_z, axis=-1)

    fits, differs = scores(later, retrodicted), scores(later[:, other], retrodicted[:, other])
    hinges = [mean_over(jax.nn.relu(1 - u), fixated) for u in fits] + [mean_over(jax.nn.relu(1 + u), left) for u in differs]
    right = (mean_over(fits[0] > 0, fixated) + mean_over(differs[0] < 0, left)) / 2
    return sum(hinges, start=jnp.zeros((), later.dtype)), {"contrastive_loss": hinges[0] + hinges[2], "told_apart": right}


def clapp(network: Network, options: ClappOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        A view or a grid that makes no sense.
    """
    check_views(options)
    at_least(options, 1, "grid")
    positive(options, "readout_rate")
    learning = learning_nodes(network)

    def init(key: PRNGKeyArray) -> RuleState:
        keys = jax.random.split(jax.random.fold_in(key, 1), len(network.nodes))
        lateral = tuple(_draw_lateral(keys[index], network.nodes[index], options.grid) for index in learning)
        return RuleState({"network": network.init(key), "lateral": lateral}, ())

    def movements(key: PRNGKeyArray, pairs: PositivePairs) -> tuple[Array, Array, Array]:
        """Which example is seen after a saccade, and which pairs count as fixations and which as saccades, (moments, n)."""
        key_other, key_kind = jax.random.split(key)
        other, exists = _after_saccade(key_other, jnp.max(pairs.counts, axis=0))
        fixates = jnp.ones_like(pairs.counts)
        leaves = fixates
        if options.variant == "asynchronous":
            fixates = jax.random.bernoulli(key_kind, 0.5, pairs.counts.shape).astype(pairs.counts.dtype)
            leaves = 1 - fixates
        return other, pairs.counts * fixates, pairs.counts * pairs.counts[:, other] * leaves * exists

    def sum_of_losses(params: dict[str, Any], key: PRNGKeyArray, batch: Batch) -> tuple[Array, Any]:
        key_view, key_movements = jax.random.split(key)
        pairs = positive_pairs(key_view, network, params["network"], batch, options, options.grid)
        other, fixated, left = movements(key_movements, pairs)
        each = [
            _node_loss(earlier, later, lateral, other, fixated, left)
            for earlier, later, lateral in zip(pairs.earlier, pairs.later, params["lateral"], strict=True)
        ]
        return sum((loss for loss, _ in each), start=jnp.zeros(())), (pairs.trace, [parts for _, parts in each])

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch, readout = as_batch(batch), state.params["network"][-1]
        updates, (trace, parts) = jax.grad(sum_of_losses, has_aux=True)(state.params, key, batch)
        step = readout_step(network, readout, trace, batch, objective)
        seen = {name: jnp.stack([of_node[name] for of_node in parts]) for name in (parts[0] if parts else ())}
        return {**updates, "network": (*updates["network"][:-1], step.updates)}, state, {**step.metrics, **seen}

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        hidden = adam(options.learning_rate, n_steps, options.weight_decay)
        return hidden_and_readout(network, hidden, adam(options.readout_rate, n_steps), lateral=hidden)

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer, objective)


def _variant(variant: str, summary: str) -> tuple[str, Variant]:
    citation = "Illing, Ventura, Bellec and Gerstner 2021, arXiv 2010.08262"
    trained_otherwise = (("network[-1]", "delta rule"),)
    spec = RuleSpec("clapp", variant, summary, citation, teaching_signal="none", trained_otherwise=trained_otherwise)
    return variant, Variant(spec, {"variant": variant})


FAMILY = Family(
    ClappOptions,
    clapp,
    dict(
        (
            _variant("synchronous", "every node tells what comes next of an image from what comes of another, both in one step"),
            _variant("asynchronous", "every node tells what comes next of an image from what comes of another, one or the other"),
        )
    ),
    needs=Needs(affine=False),
)
