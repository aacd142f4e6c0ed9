r"""Feedback alignment: errors travel back through weights of their own.

With :math:`z_k = S_{\theta_k}(h_{k-1})`, :math:`h_k = a_k(z_k)`, :math:`\delta_k = a_k'(z_k) \odot e_k` and the error
:math:`e_L = \partial \ell / \partial h_L` at the scores, every variant changes weights by the Hebbian product of
:math:`h_{k-1}` and :math:`\delta_k`. They differ in how the error reaches the block below:

=============== ============================================ =================================================================
variant         :math:`e_{k-1}`                              feedback weights
=============== ============================================ =================================================================
random          :math:`B_k^\top \delta_k`                    fixed, random (Lillicrap et al. 2016, doi:10.1038/ncomms13276)
direct          :math:`D_{k-1}^\top e_L`                     fixed, random, from the scores to every block (Nøkland 2016,
                                                             arXiv 1609.01596)
sign            :math:`(M_k \odot \mathrm{sign} W_k)^\top    the forward weights' signs; magnitude the initial standard
                \delta_k`                                    deviation ("uniform") or random and fixed ("fixed") (Liao et al.
                                                             2016, arXiv 1510.05067; Moskovitz et al. 2018, arXiv 1812.06488)
kolen_pollack   :math:`B_k^\top \delta_k`                    learn by the forward weights' own product and decay, so that the
                                                             two meet (Kolen and Pollack 1994, doi:10.1109/ICNN.1994.374486;
                                                             Akrout et al. 2019, arXiv 1904.05391)
weight_mirror   :math:`B_k^\top \delta_k`                    learn in a second phase, in which each block answers noise: the
                                                             correlation of noise and answer is the forward weights (Akrout
                                                             et al. 2019)
=============== ============================================ =================================================================

:math:`B_k^\top` is the vector-Jacobian product of `synapse` at the feedback parameters, so it is the same line for dense and
convolutional blocks, and every block above the first has feedback weights of its own.

Departures: the mirror's decay is :math:`\sigma^2 B` for each time that a weight takes part instead of a constant, which makes the
forward weights its fixed point for any sharing of weights over positions; with Adam, Kolen and Pollack's two paths share their
scaling because they ask for the same change.
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

from architectures import Block, InputError, Network, Params
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedback_weights import feedback_angles, mirror
from learning_rules.feedforward import feedforward_rule
from learning_rules.losses import accuracy, loss_and_error
from learning_rules.optimizers import adam, per_part
from learning_rules.signals import Sweep, hebbian_product, local_derivative, project_back, sweep

__all__ = ["FAMILY", "FeedbackAlignmentOptions", "feedback_alignment", "feedback_angles"]


@dataclass(frozen=True)
class FeedbackAlignmentOptions:
    """Options of feedback alignment.

    Attributes:
        variant: see the table above.
        loss: "cross_entropy" or "squared_error".
        learning_rate: Adam's, at the first step.
        weight_decay: decoupled, per unit of learning rate. Kolen and Pollack's variant needs it: it is what makes the difference
            between forward and feedback weights vanish.
        feedback_gain: factor on the initial size of fixed and learned feedback weights.
        magnitude: of the sign variant, "uniform" or "fixed".
        mirror_rate: share of the way to the mirror's estimate that feedback weights go in one step.
        mirror_noise: standard deviation of the mirror's noise.
    """

    variant: str = "random"
    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    feedback_gain: float = 1.0
    magnitude: str = "uniform"
    mirror_rate: float = 0.05
    mirror_noise: float = 1.0


def _with_feedback(network: Network) -> tuple[bool, ...]:
    """Which distinct blocks pass an error down: all that stand anywhere above the first position."""
    return tuple(index in network.order[1:] for index in range(len(network.blocks)))


def _random_feedback(network: Network, key: PRNGKeyArray, gain: float) -> tuple[Params, ...]:
    keys = jax.random.split(key, len(network.blocks))
    return tuple(
        jax.tree.map(lambda leaf: gain * leaf, block.init(k)) if used else None
        for block, k, used in zip(network.blocks, keys, _with_feedback(network), strict=True)
    )


def _direct_feedback(network: Network, key: PRNGKeyArray, gain: float) -> tuple[Array, ...]:
    """From the scores to each hidden position: (n_classes, *output_shape), so that an error keeps its length on average."""
    keys = jax.random.split(key, len(network.chain) - 1)
    shapes = [(network.n_classes, *block.output_shape) for block in network.chain[:-1]]
    return tuple(
        gain * jax.random.normal(k, shape) / jnp.sqrt(jnp.prod(jnp.array(shape[1:]))) for k, shape in zip(keys, shapes, strict=True)
    )


def _sign_magnitudes(
    network: Network, key: PRNGKeyArray, params: tuple[Params, ...], options: FeedbackAlignmentOptions
) -> tuple[Params, ...]:
    """What the signs are multiplied with: a number per array, or a random array that stays."""
    if options.magnitude == "uniform":
        measured: tuple[Params, ...] = jax.tree.map(lambda leaf: options.feedback_gain * jnp.std(leaf), params)
    elif options.magnitude == "fixed":
        measured = jax.tree.map(jnp.abs, _random_feedback(network, key, options.feedback_gain))
    else:
        raise InputError(f"magnitude='{options.magnitude}' was given, expected 'uniform' or 'fixed'")
    return tuple(leaf if used else None for leaf, used in zip(measured, _with_feedback(network), strict=True))


def _signs(params: tuple[Params, ...], magnitudes: tuple[Params, ...]) -> tuple[Params, ...]:
    return tuple(
        None if size is None else jax.tree.map(lambda w, m: jnp.sign(w) * m, w, size)
        for w, size in zip(params, magnitudes, strict=True)
    )


def _descend(
    network: Network, signals: Sweep, params: tuple[Params, ...], feedback: tuple[Params, ...], error: Array
) -> tuple[Params, ...]:
    """Carry the error down block by block through `feedback`; what each position asks for, tied."""
    asked = []
    by_position = list(zip(network.chain, network.unroll(params), network.unroll(feedback), strict=True))
    for position in reversed(range(len(by_position))):
        block, w, b = by_position[position]
        delta = local_derivative(block, signals.synaptic[position], error)
        asked.append(hebbian_product(block, w, signals.inputs[position], delta))
        if position > 0:
            error = project_back(block, b, signals.inputs[position], delta)
    return network.tie(asked[::-1])


def _broadcast(
    network: Network, signals: Sweep, params: tuple[Params, ...], feedback: tuple[Array, ...], error: Array
) -> tuple[Params, ...]:
    """Send the scores' error to every block at once."""

    def one(block: Block, w: Params, x: Array, z: Array, e: Array) -> Params:
        return hebbian_product(block, w, x, local_derivative(block, z, e))

    errors = [*(jnp.tensordot(error, b, axes=1) for b in feedback), error]
    return network.tie(
        [
            one(block, w, x, z, e)
            for block, w, x, z, e in zip(
                network.chain, network.unroll(params), signals.inputs, signals.synaptic, errors, strict=True
            )
        ]
    )


def feedback_alignment(network: Network, options: FeedbackAlignmentOptions, spec: RuleSpec) -> LearningRule:
    """Build the rule for a network.

    Raises:
        InputError: unknown magnitude, or a decay of zero for Kolen and Pollack's variant.
    """
    variant = options.variant
    learned = variant in ("kolen_pollack", "weight_mirror")
    if variant == "kolen_pollack" and not options.weight_decay > 0:
        raise InputError(
            f"weight_decay={options.weight_decay} was given to kolen_pollack: without decay the feedback weights never meet the "
            "forward ones; try 0.01"
        )
    if variant == "sign" and options.magnitude not in ("uniform", "fixed"):
        raise InputError(f"magnitude='{options.magnitude}' was given, expected 'uniform' or 'fixed'")

    def init(key: PRNGKeyArray) -> RuleState:
        # The forward weights come from the key itself, as every other rule's do: all rules start at the same network.
        params = network.init(key)
        feedback_key = jax.random.fold_in(key, 1)
        if variant == "direct":
            return RuleState({"network": params}, {"feedback": _direct_feedback(network, feedback_key, options.feedback_gain)})
        if variant == "sign":
            return RuleState({"network": params}, {"magnitude": _sign_magnitudes(network, feedback_key, params, options)})
        feedback = _random_feedback(network, feedback_key, options.feedback_gain)
        if learned:
            return RuleState({"network": params, "feedback": feedback}, {})
        return RuleState({"network": params}, {"feedback": feedback})

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        images, labels = batch
        params = state.params["network"]
        signals = sweep(network, params, network.encode(images))
        scores = signals.activations[-1]
        loss, error = loss_and_error(options.loss, scores, labels)
        info: dict[str, Any] = {"loss": loss, "accuracy": accuracy(scores, labels)}
        if variant == "direct":
            return {"network": _broadcast(network, signals, params, state.carry["feedback"], error)}, state, info

        if variant == "sign":
            feedback = _signs(params, state.carry["magnitude"])
        else:
            feedback = (state.params if learned else state.carry)["feedback"]
        asked = _descend(network, signals, params, feedback, error)
        info["feedback_angle"] = feedback_angles(params, feedback)
        if variant == "kolen_pollack":
            mirrored = tuple(None if b is None else product for b, product in zip(feedback, asked, strict=True))
            return {"network": asked, "feedback": mirrored}, state, info
        if variant == "weight_mirror":
            mirrored = mirror(network.blocks, key, params, feedback, len(labels), options.mirror_noise)
            return {"network": asked, "feedback": mirrored}, state, info
        return {"network": asked}, state, info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        forward = adam(options.learning_rate, n_steps, options.weight_decay)
        if variant == "weight_mirror":
            return per_part({"network": forward, "feedback": optax.sgd(options.mirror_rate)})
        return forward

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer)


def _variant(variant: str, summary: str, citation: str, phases: int = 2, **options: Any) -> Variant:
    spec = RuleSpec("feedback_alignment", variant, summary, citation, phases=phases)
    return Variant(spec, {"variant": variant, **options})


# Rates and decays: from a search on Fashion-MNIST's validation images, ten epochs, dense and convolutional. Decay helps all of
# them: it makes the forward weights forget where they started, and so align with their feedback. Kolen and Pollack's feedback
# weights start small for the same reason: what both paths have in common is what they learn, and soon outweighs where each began.
# Random and direct feedback want rates eight times backpropagation's: what a convolution learns must outgrow where it started
# before the blocks below can align (cnn, validation: 87.5 at 0.004, 88.6 at 0.008 with this decay, 88.2 at 0.015; half the decay
# gives 88.9, and costs the dense network a point).
FAMILY = Family(
    FeedbackAlignmentOptions,
    feedback_alignment,
    {
        variant.spec.variant: variant
        for variant in (
            _variant(
                "random",
                "errors travel back through fixed random weights",
                "Lillicrap et al. 2016, doi:10.1038/ncomms13276",
                learning_rate=8e-3,
                weight_decay=0.15,
            ),
            _variant(
                "direct",
                "the scores' error reaches every block at once through fixed random weights",
                "Nøkland 2016, arXiv 1609.01596",
                learning_rate=8e-3,
                weight_decay=0.15,
            ),
            _variant(
                "sign",
                "errors travel back through the signs of the forward weights",
                "Liao, Leibo and Poggio 2016, arXiv 1510.05067; Moskovitz et al. 2018, arXiv 1812.06488",
                weight_decay=0.1,
            ),
            _variant(
                "kolen_pollack",
                "feedback weights get the forward weights' own change and decay, and meet them",
                "Kolen and Pollack 1994, doi:10.1109/ICNN.1994.374486; Akrout et al. 2019, arXiv 1904.05391",
                learning_rate=3e-3,
                weight_decay=0.1,
                feedback_gain=0.05,
            ),
            _variant(
                "weight_mirror",
                "feedback weights learn from the blocks' answers to noise, in a phase of their own",
                "Akrout et al. 2019, arXiv 1904.05391",
                phases=3,
                weight_decay=0.1,
            ),
        )
    },
)
