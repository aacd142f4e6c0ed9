r"""Local losses: every hidden node has a loss of its own, and no error crosses from one node to the next.

With the output :math:`h_k` of node :math:`k`, whose inputs from other nodes let no gradient through, and the features :math:`f_k`,
which are :math:`h_k` averaged over a coarse grid of positions and flattened,

.. math::
    \Delta\theta_k \propto -\nabla_{\theta_k} \big[(1-\beta)\, \ell(P_k f_k, y) + \beta\, \lVert C(R_k f_k) - C(y) \rVert^2\big],

where :math:`P_k` and :math:`R_k` are small heads that learn by the same loss, :math:`C` is the matrix of cosines between the
examples of a batch, each vector less its own mean (of one-hot labels: one within a class, :math:`-1/(n_{classes}-1)` between), and
:math:`\lVert\cdot\rVert^2` is the mean over pairs. In a network that runs in time, heads answer at every step, and what a unit
remembers is its own: errors go back through it, but along no delayed edge (as Kaiser, Mostafa and Neftci 2020,
doi:10.3389/fnins.2020.00424).

=================== ==============================================================
variant             :math:`\beta`
=================== ==============================================================
both                an option: prediction and similarity matching
prediction          0
similarity_matching 1; the readout then learns by the delta rule
textbook            .99, and similarities among as many dimensions as the node has units: the published settings
=================== ==============================================================

Nøkland and Eidnes 2019, arXiv 1901.06656. The scores are the network's own readout's, whose local loss is the prediction's.

Departures: the similarity head reads the same averaged features as the prediction head and maps them to a few dozen dimensions,
for any node alike; the original, and `textbook`, has a layer as large as the hidden layer itself, the original takes the standard
deviation of feature maps. No batch normalisation and no dropout, whose statistics of the batch the shared networks exclude.
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

from architectures import Network, Node, Params
from bioplausible.foundation.options import at_least, fraction
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedforward import feedforward_rule
from learning_rules.needs import Needs
from learning_rules.objectives import CLASSES, DISTRIBUTION, Batch, Objective, as_batch, mean_over
from learning_rules.optimizers import adam
from learning_rules.pooling import pooled
from learning_rules.signals import cut, exact, merge_steps

__all__ = ["FAMILY", "LocalLossesOptions", "local_losses", "similarity_matrix"]


@dataclass(frozen=True)
class LocalLossesOptions:
    """Options of local losses.

    Attributes
    ----------
    variant
        See the table above.
    loss
        Of the prediction heads and of the scores, one of `OBJECTIVES`.
    learning_rate
        Adam's, at the first step.
    weight_decay
        Decoupled, per unit of learning rate.
    similarity_fraction
        beta, the weight of similarity matching in the variant "both", between 0 and 1.
    similarity_units
        Dimensions in which similarities are taken; 0 for as many as the node has units.
    grid
        Cells per spatial axis that the heads see of a feature map.
    """

    variant: str = "both"
    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    similarity_fraction: float = 0.9
    similarity_units: int = 64
    grid: int = 4


def _beta(options: LocalLossesOptions) -> float:
    return {"prediction": 0.0, "similarity_matching": 1.0}.get(options.variant, options.similarity_fraction)


def _init_head(key: PRNGKeyArray, node: Node, n_classes: int, options: LocalLossesOptions) -> dict[str, Params]:
    shape = jax.ShapeDtypeStruct((1, *node.output_shape), jnp.float32)
    n_features = jax.eval_shape(lambda h: pooled(h, options.grid), shape).shape[1]
    key_prediction, key_similarity = jax.random.split(key)
    draw = jax.nn.initializers.lecun_normal()
    head: dict[str, Params] = {}
    if _beta(options) < 1:
        head["prediction"] = {"kernel": draw(key_prediction, (n_features, n_classes)), "bias": jnp.zeros(n_classes)}
    if _beta(options) > 0:
        n_dimensions = options.similarity_units or node.output_shape[-1]
        head["similarity"] = {"kernel": draw(key_similarity, (n_features, n_dimensions))}
    return head


def similarity_matrix(features: Float[Array, "*steps n n_features"]) -> Float[Array, "*steps n n"]:
    """Cosines between examples, each vector less its own mean.

    Parameters
    ----------
    features
        One row an example; examples of the same step are compared where there are steps.

    >>> similarity_matrix(jnp.eye(3)[jnp.array([0, 0, 1])]).round(3)
    Array([[ 1. ,  1. , -0.5],
           [ 1. ,  1. , -0.5],
           [-0.5, -0.5,  1. ]], dtype=float32)
    """
    centred = features - jnp.mean(features, axis=-1, keepdims=True)
    squared = jnp.sum(jnp.square(centred), axis=-1, keepdims=True)
    # What is silent is like nothing and points nowhere: spiking units would else be pulled by a slope of a million.
    unit = centred * jnp.where(squared > 0, jax.lax.rsqrt(squared + 1e-12), 0)
    return unit @ jnp.swapaxes(unit, -1, -2)


def _node_loss(
    h: Array, head: dict[str, Params], objective: Objective, batch: Batch, options: LocalLossesOptions
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """A node's own loss, and its parts, from its output (n, ...) or (time, n, ...), where every step has a target."""
    network, beta = objective.network, _beta(options)
    lead = h.shape[: 1 + network.temporal]
    features = pooled(merge_steps(network, h), options.grid).reshape(*lead, -1)
    total = jnp.zeros((), h.dtype)
    parts: dict[str, Array] = {}
    if "prediction" in head:
        guess = features @ head["prediction"]["kernel"] + head["prediction"]["bias"]
        parts |= {f"head_{name}": value for name, value in objective.metrics(guess, batch).items()}
        parts["prediction_loss"] = parts.pop("head_loss")
        total += (1 - beta) * parts["prediction_loss"]
    if "similarity" in head:
        reached = similarity_matrix(features @ head["similarity"]["kernel"])
        is_class = objective.targets == CLASSES
        targets = jax.nn.one_hot(batch.targets, network.n_classes, dtype=h.dtype) if is_class else batch.targets
        pairs = None if batch.mask is None else batch.mask[..., :, None] * batch.mask[..., None, :]
        parts["similarity_loss"] = mean_over(jnp.square(reached - similarity_matrix(targets)), pairs)
        total += beta * parts["similarity_loss"]
    return total, parts


def local_losses(network: Network, options: LocalLossesOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        A `similarity_fraction` outside 0 to 1, or heads without cells or dimensions.
    """
    fraction(options, "similarity_fraction", with_zero=False, with_one=False)
    at_least(options, 1, "grid")
    at_least(options, 0, "similarity_units")
    with_head = tuple(index for index, node in enumerate(network.nodes[:-1]) if node.weighted)

    def init(key: PRNGKeyArray) -> RuleState:
        keys = jax.random.split(jax.random.fold_in(key, 1), len(network.nodes))
        heads = tuple(_init_head(keys[index], network.nodes[index], network.n_classes, options) for index in with_head)
        return RuleState({"network": network.init(key), "heads": heads}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch = as_batch(batch)

        def sum_of_losses(params: dict[str, Any]) -> tuple[Array, Any]:
            synapses = cut(network, exact(network, params["network"]))
            outputs = network.trace(params["network"], batch.inputs, synapses).outputs
            own_objective, own_batch = objective.at_every_step(batch, len(outputs[-1]))
            each = [
                _node_loss(outputs[index], head, own_objective, own_batch, options)
                for index, head in zip(with_head, params["heads"], strict=True)
            ]
            losses, parts = tuple(loss for loss, _ in each), [own for _, own in each]
            return objective.loss(outputs[-1], batch) + sum(losses), (outputs[-1], losses, parts)

        updates, (readout, losses, parts) = jax.grad(sum_of_losses, has_aux=True)(state.params)
        info = {**objective.metrics(readout, batch), "node_loss": losses}
        info |= {name: tuple(part[name] for part in parts) for name in (parts[0] if parts else ())}
        return updates, state, info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        return adam(options.learning_rate, n_steps, options.weight_decay)

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer, objective)


def _variant(variant: str, summary: str, learning_rate: float, needs: Needs, **changes: Any) -> tuple[str, Variant]:
    citation = "Nøkland and Eidnes 2019, arXiv 1901.06656"
    # Every node learns as soon as it has answered: one pass upwards.
    spec = RuleSpec("local_losses", variant, summary, citation, phases=1, **changes)
    return variant, Variant(spec, {"variant": variant, "learning_rate": learning_rate, "weight_decay": 0.1}, needs)


_ANY_TARGETS = Needs(affine=False)
# Values that are regressed on have no classes for similarities to tell apart, and a single one less its mean is nothing.
_OF_CLASSES = Needs(affine=False, targets=(CLASSES, DISTRIBUTION))

# Rates and decay: from a search on Fashion-MNIST's validation images, four epochs of 20,000 images, dense network. Rates between
# 0.002 and 0.004 and decays between 0.1 and 0.3 are alike; at 0.001 all are a point worse.
FAMILY = Family(
    LocalLossesOptions,
    local_losses,
    dict(
        (
            _variant(
                "both", "every node predicts the labels and matches their similarities, through heads of its own", 2e-3, _OF_CLASSES
            ),
            _variant("prediction", "every node predicts the labels through a head of its own", 3e-3, _ANY_TARGETS),
            _variant(
                "similarity_matching",
                "every node matches the labels' similarities between examples",
                3e-3,
                _OF_CLASSES,
                trained_otherwise=(("network[-1]", "delta rule"),),
            ),
            (
                "textbook",
                Variant(
                    RuleSpec(
                        "local_losses",
                        "textbook",
                        "every node predicts the labels and, for the most part, matches their similarities, as published",
                        "Nøkland and Eidnes 2019, arXiv 1901.06656",
                        phases=1,
                        network=(("activation", "leaky_relu"),),
                        batch_size=128,
                    ),
                    {"variant": "both", "learning_rate": 5e-4, "similarity_fraction": 0.99, "similarity_units": 0},
                    _OF_CLASSES,
                ),
            ),
        )
    ),
    needs=_ANY_TARGETS,
)
