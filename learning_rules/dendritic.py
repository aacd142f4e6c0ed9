r"""Dendritic localized learning: every unit is a pyramidal neuron that finds its error between its own two dendrites.

The basal dendrite is driven from below, :math:`z_k = S_{W_k}(u_{k-1})`, :math:`u_k = a_k(z_k)`. The apical dendrite receives from
above, through weights :math:`\Theta` of its own, the value :math:`x_k` that is expected of the unit. The soma compares them,

.. math:: \xi_k = x_k - u_k, \qquad
    \dot x_k = -\xi_k + S_{\Theta_{k+1}}^\top \delta_{k+1}, \qquad \delta_{k+1} = a_{k+1}'(z_{k+1}) \odot \xi_{k+1},

so that at rest the local error is :math:`\xi_k = S_{\Theta_{k+1}}^\top \delta_{k+1}`, which is what is computed here, at once. At
the scores :math:`\xi_L = -\partial \ell / \partial u_L`. Both dendrites learn at the same time, from what is at their own synapses:

.. math:: \Delta W_k \propto \langle u_{k-1}, \delta_k \rangle

=========== ==================================================== ========================================================
variant     :math:`\Delta \Theta_{k+1}`                          goes down
=========== ==================================================== ========================================================
aligned     :math:`\langle u_k, \delta_{k+1} \rangle`            :math:`-\langle u_k, \xi_k \rangle` with decay: the apical
                                                                 signal grows along what the soma does. It is the change of
                                                                 :math:`W_{k+1}` itself, found at another synapse; with the
                                                                 same decay on both, the two meet
noise       :math:`\langle \epsilon_k, S_{W_{k+1}} \epsilon_k    :math:`\tfrac12 \lVert S_{\Theta_{k+1}} \rVert^2 -
            \rangle - \nabla \tfrac12 \lVert S_{\Theta_{k+1}}    \langle \epsilon_k, S_{\Theta_{k+1}}^\top S_{W_{k+1}}
            \rVert^2`                                            \epsilon_k \rangle`: somata fluctuate by :math:`\epsilon_k`
                                                                 around :math:`u_k`, and what the block above makes of it is
                                                                 their forward weights, on average
local_error :math:`-\langle \xi_k, \delta_{k+1} \rangle`         :math:`\tfrac12 \lVert \xi_k \rVert^2`, as published
=========== ==================================================== ========================================================

Lv et al. 2025, arXiv 2501.09976: three compartments, errors within the neuron, :math:`W` and :math:`\Theta` learned at once, no
weight transport. They report with `local_error`'s rule, on test images of Fashion-MNIST, 87.5 (dense) and 90.9 (convolutional),
and 97.6 and 98.9 on MNIST.

Departures: the first two variants are not theirs. Their rule for :math:`\Theta` (equation 9) makes errors smaller, and nothing in
it turns :math:`\Theta` towards :math:`W`. That noise within neurons can do so while they work, as a second carrier of information
beside the signal, is from Max et al. 2022, arXiv 2212.10249, in continuous time with a high-pass filter; here the two time scales
are taken to lie apart, so that the fast part of the answer is the answer to the noise alone and the slow part is free of it: the
correlation that Akrout et al. 2019 (arXiv 1904.05391) reserve a second phase for. The product in `aligned` is Kolen and Pollack's
(1994, doi:10.1109/ICNN.1994.374486): given the same :math:`\Theta` both ask for the same. In all variants expected values are
taken at rest, not iterated; errors are not clipped; :math:`\Theta` starts at `apical_gain` times the size of the forward weights,
not at the unit variance of their published code, at which errors would grow from block to block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import PRNGKeyArray

from architectures import Block, InputError, Network, Params
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedback_weights import bare_weights, completed, feedback_angles
from learning_rules.feedforward import feedforward_rule
from learning_rules.losses import accuracy, loss_and_error, loss_function
from learning_rules.noise import signs
from learning_rules.optimizers import adam, per_part
from learning_rules.signals import Sweep, hebbian_product, local_derivative, project_back, sweep

__all__ = ["FAMILY", "DendriticOptions", "Fluctuation", "Learned", "dendritic", "fluctuate", "learn"]


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
        apical_examples: examples of a batch that apical weights learn from, at most, in the variants "noise" and "local_error".
    """

    variant: str = "aligned"
    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    apical_rate: float = 1.0
    apical_gain: float = 1.0
    apical_examples: int = 32


class Fluctuation(NamedTuple):
    """What one position sees of the somata below beside their mean: signs (m, *input_shape), and what its synapses make of them."""

    noise: Array
    answer: Array


def fluctuate(
    network: Network, params: tuple[Params, ...], key: PRNGKeyArray, n_examples: int, dtype: DTypeLike
) -> tuple[Fluctuation, ...]:
    """Fluctuations of the hidden somata, of unit size, and the answers to them; one for each position above the first.

    Synapses are linear: answers to signal and fluctuation add up, and what is fast of them is the answer to the fluctuation.
    """
    fluctuations = []
    for position, (block, block_params) in enumerate(zip(network.chain, network.unroll(params), strict=True)):
        if position > 0:
            noise = signs(jax.random.fold_in(key, position), (n_examples, *block.input_shape), dtype)
            silence = block.synapse(block_params, jnp.zeros_like(noise[:1]))
            fluctuations.append(Fluctuation(noise, block.synapse(block_params, noise) - silence))
    return tuple(fluctuations)


def _follow_noise(block: Block, params: Params, theta: Params, seen: Fluctuation) -> tuple[Params, Array]:
    """What apical weights ask for where they follow the correlation of soma and answer, and the loss that they so go down."""
    correlation = bare_weights(hebbian_product(block, params, seen.noise, seen.answer / len(seen.noise)))
    uses = bare_weights(hebbian_product(block, params, jnp.ones_like(seen.noise[:1]), jnp.ones_like(seen.answer[:1])))
    asked = jax.tree.map(lambda t, n, c: n * t - c, theta, uses, correlation)
    terms = jax.tree.map(lambda t, n, c: jnp.sum(t * (0.5 * n * t - c)), theta, uses, correlation)
    return asked, sum(jax.tree.leaves(terms), start=jnp.zeros(()))


class Learned(NamedTuple):
    """What the weights ask for, tied; every position's local error; and what the apical weights onto each hidden one go down."""

    basal: tuple[Params, ...]
    apical: tuple[Params, ...]
    local_errors: tuple[Array, ...]
    apical_losses: tuple[Array, ...]


def learn(
    network: Network,
    params: tuple[Params, ...],
    apical: tuple[Params, ...],
    signals: Sweep,
    fluctuations: tuple[Fluctuation, ...],
    xi: Array,
    options: DendriticOptions,
) -> Learned:
    """Carry the scores' error down, and let every dendrite learn on the way.

    Args:
        network: the chain.
        params: of its blocks, of which only the shapes enter.
        apical: weights, per block.
        signals: of the pass upwards.
        fluctuations: that somata had while it was made, in the variant "noise".
        xi: local error at the scores, (n, n_classes).
        options: of the rule.
    """
    few = min(options.apical_examples, len(xi))
    basal_asked, apical_asked, local_errors, losses = [], [], [xi], []
    by_position = list(zip(network.chain, network.unroll(params), network.unroll(apical), strict=True))
    for position in reversed(range(len(by_position))):
        block, basal, theta = by_position[position]
        below, z = signals.inputs[position], signals.synaptic[position]
        delta = local_derivative(block, z, local_errors[-1])
        basal_product = hebbian_product(block, basal, below, -delta / len(xi))
        basal_asked.append(basal_product)
        if position == 0:
            apical_asked.append(jax.tree.map(jnp.zeros_like, theta))
            break
        sent_down = project_back(block, completed(basal, theta), below, delta)
        if options.variant == "noise":
            asked, loss = _follow_noise(block, basal, theta, fluctuations[position - 1])
        elif options.variant == "local_error":
            asked = bare_weights(hebbian_product(block, basal, sent_down[:few], delta[:few] / few))
            loss = 0.5 * jnp.sum(jnp.square(sent_down[:few])) / few
        else:
            # The basal weights' own product: at the apical synapse it is soma times what arrives from above.
            asked, loss = bare_weights(basal_product), -jnp.sum(below * sent_down) / len(xi)
        apical_asked.append(asked)
        local_errors.append(sent_down)
        losses.append(loss)
    tied = (network.tie(basal_asked[::-1]), network.tie(apical_asked[::-1]))
    return Learned(*tied, tuple(local_errors[::-1]), tuple(losses[::-1]))


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
    if options.apical_examples < 1:
        raise InputError(f"apical_examples={options.apical_examples} was given, apical weights learn from at least one; try 32")


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
            jax.tree.map(lambda leaf: options.apical_gain * leaf, bare_weights(block.init(k)))
            if index in network.order[1:]
            else None
            for index, (block, k) in enumerate(zip(network.blocks, keys, strict=True))
        )
        return RuleState({"network": network.init(key), "apical": apical}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        images, labels = batch
        params, apical = state.params["network"], state.params["apical"]
        signals = sweep(network, params, network.encode(images))
        scores = signals.activations[-1]
        few = min(options.apical_examples, len(labels))
        fluctuations = fluctuate(network, params, key, few, scores.dtype) if options.variant == "noise" else ()
        loss, error = loss_and_error(options.loss, scores, labels)
        learned = learn(network, params, apical, signals, fluctuations, -len(labels) * error, options)
        onto = tuple(None if t is None else completed(p, t) for p, t in zip(params, apical, strict=True))
        info: dict[str, Any] = {
            "loss": loss,
            "accuracy": accuracy(scores, labels),
            "local_error": tuple(jnp.sqrt(jnp.mean(jnp.square(xi))) for xi in learned.local_errors),
            "apical_loss": learned.apical_losses,
            "feedback_angle": feedback_angles(params, onto),
        }
        return {"network": learned.basal, "apical": learned.apical}, state, info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        # Apical weights that follow a correlation forget by themselves what it no longer holds.
        decay = 0.0 if options.variant == "noise" else options.weight_decay
        apical = adam(options.apical_rate * options.learning_rate, n_steps, decay)
        return per_part({"network": adam(options.learning_rate, n_steps, options.weight_decay), "apical": apical})

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer)


def _variant(variant: str, summary: str, **options: Any) -> tuple[str, Variant]:
    citation = "Lv et al. 2025, arXiv 2501.09976" + ("; Max et al. 2022, arXiv 2212.10249" if variant == "noise" else "")
    return variant, Variant(RuleSpec("dendritic", variant, summary, citation, phases=2), {"variant": variant, **options})


# From searches on Fashion-MNIST's validation images, four epochs of 20,000 images, dense and convolutional. In "aligned", apical
# weights that start small are soon outweighed by what both dendrites learn together; it aligns slowly, and overtakes "noise" on the
# convolutional network between four such epochs and ten of all images. A rate of 0.003 lets "noise" stray there for five epochs.
# In "local_error" slow apical weights are better, five epochs of all images: what they learn is to send nothing.
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
                "noise",
                "units compare a basal and an apical dendrite; apical weights follow how the block above answers a soma's noise",
                learning_rate=2e-3,
                weight_decay=0.3,
                apical_rate=2.0,
                apical_gain=0.05,
            ),
            _variant(
                "local_error",
                "units compare a basal and an apical dendrite; apical weights learn to make the difference small",
                learning_rate=2e-3,
                weight_decay=0.3,
                apical_rate=0.01,
            ),
        )
    ),
)
