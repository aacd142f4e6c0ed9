r"""Local losses: every block has a loss of its own, and no error crosses from one block to the next.

With :math:`h_k = a_k(S_{\theta_k}(\mathrm{sg}[h_{k-1}]))`, where :math:`\mathrm{sg}` lets no gradient through, and the features
:math:`f_k`, which are :math:`h_k` averaged over a coarse grid of positions and flattened,

.. math::
    \Delta\theta_k \propto -\nabla_{\theta_k} \big[(1-\beta)\, \ell(P_k f_k, y) + \beta\, \lVert C(R_k f_k) - C(y) \rVert^2\big],

where :math:`P_k` and :math:`R_k` are small heads that learn by the same loss, :math:`C` is the matrix of cosines between the
examples of a batch, each vector less its own mean (of one-hot labels: one within a class, :math:`-1/(n_{classes}-1)` between), and
:math:`\lVert\cdot\rVert^2` is the mean over pairs.

=================== ==============================================================
variant             :math:`\beta`
=================== ==============================================================
both                an option: prediction and similarity matching
prediction          0
similarity_matching 1; the last block then learns by the delta rule
=================== ==============================================================

Nøkland and Eidnes 2019, arXiv 1901.06656. The scores are the network's own last block, whose local loss is the prediction's.

Departures: the similarity head reads the same averaged features as the prediction head and maps them to a few dozen dimensions,
for any block alike; the original has a layer as large as the block itself, and takes the standard deviation of feature maps.
No batch normalisation and no dropout, whose statistics of the batch the shared networks exclude.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float, Int, PRNGKeyArray

from architectures import Block, InputError, Network, Params
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedforward import feedforward_rule
from learning_rules.losses import accuracy, loss_and_error, loss_function
from learning_rules.optimizers import adam
from learning_rules.signals import hebbian_product, local_derivative, sweep

__all__ = ["FAMILY", "LocalLossesOptions", "local_losses", "similarity_matrix"]


@dataclass(frozen=True)
class LocalLossesOptions:
    """Options of local losses.

    Attributes:
        variant: see the table above.
        loss: of the prediction heads and of the scores, "cross_entropy" or "squared_error".
        learning_rate: Adam's, at the first step.
        weight_decay: decoupled, per unit of learning rate.
        similarity_share: beta, the share of similarity matching in the variant "both".
        similarity_units: dimensions in which similarities are taken.
        grid: cells per spatial axis that the heads see of a feature map.
    """

    variant: str = "both"
    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    similarity_share: float = 0.9
    similarity_units: int = 64
    grid: int = 4


def _share(options: LocalLossesOptions) -> float:
    """Beta."""
    return {"prediction": 0.0, "similarity_matching": 1.0}.get(options.variant, options.similarity_share)


def _averaging(size: int, cells: int) -> np.ndarray:
    """(size, cells): each cell averages the positions that it touches, so that any size goes into any number of cells."""
    edges = np.arange(cells + 1) * size / cells
    inside = np.zeros((size, cells))
    for cell in range(cells):
        first, last = int(np.floor(edges[cell])), int(np.ceil(edges[cell + 1]))
        inside[first:last, cell] = 1 / (last - first)
    return inside


def _features(h: Array, grid: int) -> Float[Array, "n n_features"]:
    """What the heads see of a block: every axis between examples and units averaged to at most `grid` cells."""
    for axis in range(1, h.ndim - 1):
        size = h.shape[axis]
        if size > grid:
            cells = jnp.tensordot(h, jnp.asarray(_averaging(size, grid), h.dtype), axes=(axis, 0))
            h = jnp.moveaxis(cells, -1, axis)
    return h.reshape(h.shape[0], -1)


def _init_head(key: PRNGKeyArray, block: Block, n_classes: int, options: LocalLossesOptions) -> dict[str, Params]:
    shape = jax.ShapeDtypeStruct((1, *block.output_shape), jnp.float32)
    n_features = jax.eval_shape(lambda h: _features(h, options.grid), shape).shape[1]
    key_prediction, key_similarity = jax.random.split(key)
    draw = jax.nn.initializers.lecun_normal()
    head: dict[str, Params] = {}
    if _share(options) < 1:
        head["prediction"] = {"kernel": draw(key_prediction, (n_features, n_classes)), "bias": jnp.zeros(n_classes)}
    if _share(options) > 0:
        head["similarity"] = {"kernel": draw(key_similarity, (n_features, options.similarity_units))}
    return head


def similarity_matrix(features: Float[Array, "n n_features"]) -> Float[Array, "n n"]:
    """Cosines between examples, each vector less its own mean.

    Args:
        features: one row an example.

    >>> similarity_matrix(jnp.eye(3)[jnp.array([0, 0, 1])]).round(3)
    Array([[ 1. ,  1. , -0.5],
           [ 1. ,  1. , -0.5],
           [-0.5, -0.5,  1. ]], dtype=float32)
    """
    centred = features - jnp.mean(features, axis=1, keepdims=True)
    unit = centred * jax.lax.rsqrt(jnp.sum(jnp.square(centred), axis=1, keepdims=True) + 1e-12)
    return unit @ unit.T


def _block_loss(
    h: Array, head: dict[str, Params], labels: Int[Array, " n"], n_classes: int, options: LocalLossesOptions
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """A block's own loss, and its parts."""
    features, share = _features(h, options.grid), _share(options)
    total, parts = jnp.zeros((), h.dtype), {}
    if "prediction" in head:
        guess = features @ head["prediction"]["kernel"] + head["prediction"]["bias"]
        parts["prediction_loss"] = loss_function(options.loss)(guess, labels)
        parts["head_accuracy"] = accuracy(guess, labels)
        total += (1 - share) * parts["prediction_loss"]
    if "similarity" in head:
        reached = similarity_matrix(features @ head["similarity"]["kernel"])
        wanted = similarity_matrix(jax.nn.one_hot(labels, n_classes, dtype=h.dtype))
        parts["similarity_loss"] = jnp.mean(jnp.square(reached - wanted))
        total += share * parts["similarity_loss"]
    return total, parts


def local_losses(network: Network, options: LocalLossesOptions, spec: RuleSpec) -> LearningRule:
    """Build the rule for a network.

    Raises:
        InputError: a share outside 0 to 1, or heads without cells or dimensions.
    """
    if not 0 < options.similarity_share < 1:
        raise InputError(
            f"similarity_share={options.similarity_share} was given, expected a number between 0 and 1; for either alone take "
            "variant 'prediction' or 'similarity_matching'"
        )
    if min(options.grid, options.similarity_units) < 1:
        raise InputError(
            f"grid={options.grid} and similarity_units={options.similarity_units} were given, both must be at least 1; try 4 and 64"
        )
    hidden = network.chain[:-1]

    def init(key: PRNGKeyArray) -> RuleState:
        keys = jax.random.split(jax.random.fold_in(key, 1), len(network.chain))
        heads = tuple(_init_head(k, block, network.n_classes, options) for k, block in zip(keys, hidden, strict=False))
        return RuleState({"network": network.init(key), "heads": heads}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        images, labels = batch
        params = network.unroll(state.params["network"])
        signals = sweep(network, state.params["network"], network.encode(images))
        value_and_errors = jax.value_and_grad(_block_loss, argnums=(0, 1), has_aux=True)
        errors, asked_heads, losses, parts = [], [], [], []
        for h, head in zip(signals.activations[:-1], state.params["heads"], strict=True):
            (value, part), (error_at_block, asked_head) = value_and_errors(h, head, labels, network.n_classes, options)
            errors.append(error_at_block)
            asked_heads.append(asked_head)
            losses.append(value)
            parts.append(part)
        scores = signals.activations[-1]
        loss, error = loss_and_error(options.loss, scores, labels)
        asked = [
            hebbian_product(block, w, x, local_derivative(block, z, e))
            for block, w, x, z, e in zip(network.chain, params, signals.inputs, signals.synaptic, [*errors, error], strict=True)
        ]
        info: dict[str, Any] = {"loss": loss, "accuracy": accuracy(scores, labels), "block_loss": tuple(losses)}
        info |= {name: tuple(part[name] for part in parts) for name in (parts[0] if parts else ())}
        return {"network": network.tie(asked), "heads": tuple(asked_heads)}, state, info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        return adam(options.learning_rate, n_steps, options.weight_decay)

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer)


def _variant(variant: str, summary: str, learning_rate: float, **changes: Any) -> tuple[str, Variant]:
    citation = "Nøkland and Eidnes 2019, arXiv 1901.06656"
    # Every block learns as soon as it has answered: one sweep upwards.
    spec = RuleSpec("local_losses", variant, summary, citation, phases=1, **changes)
    return variant, Variant(spec, {"variant": variant, "learning_rate": learning_rate, "weight_decay": 0.1})


# Rates and decay: from a search on Fashion-MNIST's validation images, four epochs of 20,000 images, dense network. Rates between
# 0.002 and 0.004 and decays between 0.1 and 0.3 are alike; at 0.001 all are a point worse.
FAMILY = Family(
    LocalLossesOptions,
    local_losses,
    dict(
        (
            _variant("both", "every block predicts the labels and matches their similarities, through heads of its own", 2e-3),
            _variant("prediction", "every block predicts the labels through a head of its own", 3e-3),
            _variant(
                "similarity_matching",
                "every block matches the labels' similarities between examples",
                3e-3,
                trained_otherwise=(("network[-1]", "delta rule"),),
            ),
        )
    ),
)
