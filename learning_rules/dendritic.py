r"""Dendritic localized learning: every unit is a pyramidal neuron that finds its error between its own two dendrites.

The basal dendrite is driven from below, :math:`z_k = S_{W_k}(u_{k-1})`, :math:`u_k = a_k(z_k)`. The apical dendrite receives from
above, through weights :math:`\Theta` of its own, the value :math:`x_k` that is expected of the unit. The soma compares them,

.. math:: \xi_k = x_k - u_k, \qquad
    \dot x_k = -\xi_k + S_{\Theta_{k+1}}^\top \delta_{k+1}, \qquad \delta_{k+1} = a_{k+1}'(z_{k+1}) \odot \xi_{k+1},

so that at rest the local error is :math:`\xi_k = S_{\Theta_{k+1}}^\top \delta_{k+1}`, which is what is computed here, at once. At
the scores :math:`\xi_L = -\partial \ell / \partial u_L`. Both dendrites learn at the same time, from what is at their own synapses:

.. math:: \Delta W_k \propto \langle u_{k-1}, \delta_k \rangle

=========== ========================================== ==================================================================
variant     :math:`\Delta \Theta_{k+1}`                goes down
=========== ========================================== ==================================================================
aligned     :math:`\langle u_k, \delta_{k+1} \rangle`  :math:`-\langle u_k, \xi_k \rangle` with decay: the apical signal grows
                                                       along what the soma does. It is the change of :math:`W_{k+1}` itself,
                                                       found at another synapse, and with the same decay on both the two meet
local_error :math:`-\langle \xi_k, \delta_{k+1}        :math:`\tfrac12 \lVert \xi_k \rVert^2`, the local loss as published
            \rangle`
=========== ========================================== ==================================================================

Lv et al. 2025, arXiv 2501.09976: three compartments, errors within the neuron, :math:`W` and :math:`\Theta` learned at once, no
weight transport. They report with `local_error`'s rule, on test images of Fashion-MNIST, 87.5 (dense) and 90.9 (convolutional), and
97.6 and 98.9 on MNIST.

Departures: `aligned` is not theirs. Their rule for :math:`\Theta` (equation 9) makes errors smaller, and nothing in it turns
:math:`\Theta` towards :math:`W`. The product of Kolen and Pollack (1994, doi:10.1109/ICNN.1994.374486) does, and takes nothing but
what soma and apical synapse of one neuron hold; given the same :math:`\Theta`, `aligned` asks for exactly what that rule asks for.
Expected values are taken at rest, not iterated; errors are not clipped; :math:`\Theta` starts at `apical_gain` times the size of
the forward weights, not at unit variance, at which errors would grow from block to block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures import InputError, Network, Params
from learning_rules.contract import Batch, Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedback_alignment import feedback_angles
from learning_rules.feedforward import feedforward_rule
from learning_rules.losses import accuracy, loss_and_error, loss_function
from learning_rules.optimizers import adam, per_part
from learning_rules.signals import Sweep, hebbian_product, local_derivative, project_back, sweep

__all__ = ["FAMILY", "DendriticOptions", "dendritic"]


@dataclass(frozen=True)
class DendriticOptions:
    """Options of dendritic localized learning.

    Attributes:
        variant: see the table above.
        loss: "cross_entropy" or "squared_error".
        learning_rate: Adam's, of the basal (forward) weights, at the first step.
        weight_decay: decoupled, per unit of learning rate, of both dendrites. The variant "aligned" needs it: it is what makes the
            difference between them vanish.
        apical_rate: rate of the apical weights, in units of `learning_rate`. The variant "aligned" aligns fully at 1 alone.
        apical_gain: factor on the initial size of the apical weights.
    """

    variant: str = "aligned"
    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    apical_rate: float = 1.0
    apical_gain: float = 1.0


def _weights_only(params: Params) -> Params:
    """Without what is added to the sums of a block: towards the apical dendrite it does nothing."""
    return jax.tree.map(lambda leaf: leaf if leaf.ndim > 1 else None, params)


def _complete(params: Params, apical: Params) -> Params:
    """Apical weights with the tree of the block's parameters."""
    return jax.tree.map(lambda own, weights: jnp.zeros_like(own) if weights is None else weights, params, apical)


def _apical_loss(u: Array, xi: Array, variant: str) -> Array:
    """What the apical weights onto one block go down, besides decay; mean over the batch."""
    return 0.5 * jnp.sum(jnp.square(xi)) / len(u) if variant == "local_error" else -jnp.sum(u * xi) / len(u)


def _learn(
    network: Network, signals: Sweep, params: tuple[Params, ...], apical: tuple[Params, ...], xi: Array, variant: str
) -> tuple[tuple[Params, ...], tuple[Params, ...], list[Array]]:
    """What basal and apical weights ask for, tied, and every position's local error, from the scores' error `xi` down."""
    basal_asked, apical_asked, local_errors = [], [], [xi]
    by_position = list(zip(network.chain, network.unroll(params), network.unroll(apical), strict=True))
    for position in reversed(range(len(by_position))):
        block, basal, theta = by_position[position]
        below = signals.inputs[position]
        delta = local_derivative(block, signals.synaptic[position], local_errors[-1])
        product = hebbian_product(block, basal, below, -delta / len(xi))
        basal_asked.append(product)
        if position == 0:
            apical_asked.append(jax.tree.map(jnp.zeros_like, theta))
            break
        local_errors.append(project_back(block, _complete(basal, theta), below, delta))
        if variant == "local_error":
            product = hebbian_product(block, basal, local_errors[-1], delta / len(xi))
        apical_asked.append(_weights_only(product))
    return network.tie(basal_asked[::-1]), network.tie(apical_asked[::-1]), local_errors[::-1]


def _check(options: DendriticOptions) -> None:
    loss_function(options.loss)
    if options.variant == "aligned" and not options.weight_decay > 0:
        raise InputError(
            f"weight_decay={options.weight_decay} was given to aligned: without decay the apical weights never meet the basal "
            "ones; try 0.1"
        )
    for name in ("apical_rate", "apical_gain"):
        if not getattr(options, name) > 0:
            raise InputError(f"{name}={getattr(options, name)} was given, it must be positive; try 1")


def dendritic(network: Network, options: DendriticOptions, spec: RuleSpec) -> LearningRule:
    """Build the rule for a network.

    Raises:
        InputError: unknown loss, no decay for the variant "aligned", or a rate or gain of the apical weights that is not positive.
    """
    _check(options)

    def init(key: PRNGKeyArray) -> RuleState:
        keys = jax.random.split(jax.random.fold_in(key, 1), len(network.blocks))
        # What the first block alone would send down ends at the image, so it has none.
        apical = tuple(
            jax.tree.map(lambda leaf: options.apical_gain * leaf, _weights_only(block.init(k)))
            if index in network.order[1:]
            else None
            for index, (block, k) in enumerate(zip(network.blocks, keys, strict=True))
        )
        return RuleState({"network": network.init(key), "apical": apical}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Batch) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        images, labels = batch
        params, apical = state.params["network"], state.params["apical"]
        signals = sweep(network, params, network.encode(images))
        scores = signals.activations[-1]
        loss, error = loss_and_error(options.loss, scores, labels)
        asked, apical_asked, local_errors = _learn(network, signals, params, apical, -len(labels) * error, options.variant)
        completed = tuple(None if t is None else _complete(p, t) for p, t in zip(params, apical, strict=True))
        hidden = zip(signals.activations[:-1], local_errors[:-1], strict=True)
        info: dict[str, Any] = {
            "loss": loss,
            "accuracy": accuracy(scores, labels),
            "local_error": tuple(jnp.sqrt(jnp.mean(jnp.square(xi))) for xi in local_errors),
            "apical_loss": tuple(_apical_loss(u, xi, options.variant) for u, xi in hidden),
            "feedback_angle": feedback_angles(params, completed),
        }
        return {"network": asked, "apical": apical_asked}, state, info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        apical = adam(options.apical_rate * options.learning_rate, n_steps, options.weight_decay)
        return per_part({"network": adam(options.learning_rate, n_steps, options.weight_decay), "apical": apical})

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer)


def _variant(variant: str, summary: str, **options: Any) -> tuple[str, Variant]:
    spec = RuleSpec("dendritic", variant, summary, "Lv et al. 2025, arXiv 2501.09976", phases=2)
    return variant, Variant(spec, {"variant": variant, **options})


FAMILY = Family(
    DendriticOptions,
    dendritic,
    dict(
        (
            _variant(
                "aligned",
                "units compare a basal and an apical dendrite; apical weights learn to send what the basal ones would",
                learning_rate=3e-3,
                weight_decay=0.1,
                apical_gain=0.05,
            ),
            _variant(
                "local_error",
                "units compare a basal and an apical dendrite; apical weights learn to make the difference small",
                learning_rate=2e-3,
                weight_decay=0.3,
                apical_rate=0.1,
            ),
        )
    ),
)
