r"""Latent predictive learning: every unit predicts what it will do a moment later, varies, and goes its own way.

With :math:`z_i^b` what unit :math:`i` does at the later moment of pair :math:`b` (the second view of an image, or the next step of
a sequence), :math:`\hat z_i^b` what it did at the earlier one, and :math:`\bar z_i, \sigma_i^2, C_{ik}` the units' means, variances
and covariances over the :math:`B` pairs, a node of :math:`M` units follows the gradient of a loss of its own,

.. math::
    \mathcal L = \frac{1}{2MB} \sum_{b,i} (z_i^b - \hat z_i^b)^2 - \frac{\lambda_1}{M} \sum_i \log(\sigma_i^2 + \epsilon)
    + \frac{\lambda_2}{M^2 - M} \sum_{i \ne k} C_{ik}^2,

where :math:`\hat z` lets no gradient through. For weights :math:`w_{ij}` from an input :math:`x_j`, with the activation function's
derivative at the unit's pre-activation :math:`a_i`, that is a plasticity rule of three terms, each local to the unit but the last,
which asks its neighbours,

.. math::
    \Delta w_{ij} \propto \frac{1}{MB} \sum_b \Big( -(z_i^b - \hat z_i^b)
    + \lambda_1 \frac{\alpha}{\sigma_i^2 + \epsilon} (z_i^b - \bar z_i)
    - \lambda_2 \beta \sum_{k \ne i} (z_k^b - \bar z_k) C_{ik} \Big) f'(a_i^b)\, x_j^b,

predictive, Hebbian and decorrelating, with :math:`\alpha = 2B/(B-1)` and :math:`\beta = 4B/((B-1)(M-1))`. Without the Hebbian term
units agree best when they say nothing at all, and the representation collapses.

Halvagal and Zenke 2023, doi:10.1038/s41593-023-01460-y, equations 4 to 7, the decorrelation as its erratum has it
(github.com/fmi-basel/latent-predictive-learning). Units that share weights over places are pooled over them first, as published.

Of the two views of an image neither comes first, and what the rule asks is the mean over both orders, as in the published program.

Departures: the views (`positive_pairs.py`). In a network that runs in time, the statistics are over steps and examples alike, and
what a unit remembers is its own: the gradient goes back through it, but along no edge. At a batch of one there is no variance, and
prediction alone is left.

What it learns is little on Fashion-MNIST (10,000 images, five epochs, one seed, read by ridge regression): 84.0 on test images
beside 83.2 of the same dense network untrained, 86.7 beside 86.3 of the convolutional one. A wide random layer (85.3) and random
maps (88.4) of `docs/results/controls` are above both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from architectures import Network, Params
from bioplausible.foundation.options import at_least, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedforward import feedforward_rule
from learning_rules.needs import Needs
from learning_rules.objectives import Batch, Objective, as_batch
from learning_rules.optimizers import adam, hidden_and_readout
from learning_rules.positive_pairs import ViewOptions, check_views, positive_pairs
from learning_rules.readout import readout_step

__all__ = ["FAMILY", "LatentPredictiveOptions", "latent_predictive"]

_EPSILON = 1e-4  # as published: what keeps a silent unit's Hebbian term finite


@dataclass(frozen=True)
class LatentPredictiveOptions(ViewOptions):
    """Options of latent predictive learning, and of the views that it predicts (`ViewOptions`).

    Attributes
    ----------
    loss
        Of the readout, one of `OBJECTIVES`.
    learning_rate
        Adam's, of the hidden nodes, at the first step.
    weight_decay
        Decoupled, per unit of that rate.
    readout_rate
        Adam's, of the readout, at the first step.
    hebbian
        Weight of the Hebbian term, lambda_1, at least 0.
    decorrelation
        Weight of the decorrelation, lambda_2, at least 0.
    """

    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    readout_rate: float = 1e-2
    # The published program's weights. Its predictive term has four times the slope of this one, which follows the equations.
    hebbian: float = 1.0
    decorrelation: float = 10.0


def _node_loss(
    earlier: Float[Array, "moments n units"],
    later: Float[Array, "moments n units"],
    counts: Float[Array, "moments n"],
    options: LatentPredictiveOptions,
) -> dict[str, Array]:
    """A node's own loss, its parts, and the mean variance of its units."""
    n_units = later.shape[-1]
    predicted, z = (h.reshape(-1, n_units) for h in (jax.lax.stop_gradient(earlier), later))
    weight = counts.reshape(-1, 1)
    n = jnp.maximum(jnp.sum(weight), 1)
    centred = weight * (z - jnp.sum(weight * z, axis=0) / n)
    variance = jnp.sum(jnp.square(centred), axis=0) / jnp.maximum(n - 1, 1)
    # Products between units and products between examples have the same sum of squares: the smaller matrix is the quicker.
    products = centred @ centred.T if len(centred) < n_units else centred.T @ centred
    covariances_squared = jnp.sum(jnp.square(products / jnp.maximum(n - 1, 1)))
    parts = {
        "predictive_loss": jnp.sum(weight * jnp.square(z - predicted)) / (2 * n_units * n),
        "hebbian_loss": -jnp.mean(jnp.log(variance + _EPSILON)),
        "decorrelation_loss": (covariances_squared - jnp.sum(jnp.square(variance))) / max(n_units**2 - n_units, 1),
    }
    weighted = options.hebbian * parts["hebbian_loss"] + options.decorrelation * parts["decorrelation_loss"]
    return parts | {"node_loss": parts["predictive_loss"] + weighted, "variance": jnp.mean(variance)}


def latent_predictive(network: Network, options: LatentPredictiveOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        A view or a weight of a term that makes no sense.
    """
    check_views(options)
    at_least(options, 0, "hebbian", "decorrelation")
    positive(options, "readout_rate")

    def init(key: PRNGKeyArray) -> RuleState:
        return RuleState({"network": network.init(key)}, ())

    def sum_of_losses(params: tuple[Params, ...], key: PRNGKeyArray, batch: Batch) -> tuple[Array, Any]:
        pairs = positive_pairs(key, network, params, batch, options)

        def of_node(earlier: Array, later: Array) -> dict[str, Array]:
            told = _node_loss(earlier, later, pairs.counts, options)
            if network.temporal:
                return told
            # Neither view of an image comes first.
            return jax.tree.map(lambda a, b: (a + b) / 2, told, _node_loss(later, earlier, pairs.counts, options))

        each = [of_node(*both) for both in zip(pairs.earlier, pairs.later, strict=True)]
        return sum((told["node_loss"] for told in each), start=jnp.zeros(())), (pairs.trace, each)

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch, params = as_batch(batch), state.params["network"]
        updates, (trace, parts) = jax.grad(sum_of_losses, has_aux=True)(params, key, batch)
        step = readout_step(network, params[-1], trace, batch, objective)
        seen = {name: jnp.stack([of_node[name] for of_node in parts]) for name in (parts[0] if parts else ())}
        return {"network": (*updates[:-1], step.updates)}, state, {**step.metrics, **seen}

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        hidden = adam(options.learning_rate, n_steps, options.weight_decay)
        return hidden_and_readout(network, hidden, adam(options.readout_rate, n_steps))

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer, objective)


_SPEC = RuleSpec(
    "latent_predictive",
    "",
    "every unit predicts what it will do a moment later, while it keeps varying and goes its own way",
    "Halvagal and Zenke 2023, doi:10.1038/s41593-023-01460-y",
    teaching_signal="none",
    trained_otherwise=(("network[-1]", "delta rule"),),
)

FAMILY = Family(LatentPredictiveOptions, latent_predictive, {"": Variant(_SPEC)}, needs=Needs(affine=False))
