r"""Target propagation: what reaches a block from above is not an error but a target, made by learned inverses.

With :math:`z_k = S_{\theta_k}(h_{k-1})`, :math:`h_k = a_k(z_k)` and the inverse :math:`g_k` of block :math:`k`, targets start at
the scores, :math:`t_L = h_L - \beta \, \partial\ell/\partial h_L`, and go down; each block then moves its output towards its
target by itself:

.. math:: \Delta\theta_k \propto \tfrac1\beta \langle h_{k-1},\; a_k'(z_k) \odot (t_k - h_k) \rangle

where the product is Hebbian. The inverse is shaped like the block taken backwards, with weights :math:`B_k` of its own:
:math:`g_k(v) = S_{B_k}^\top (a_k'(z_k) \odot v) + c_k`, the vector-Jacobian product of `synapse` at :math:`B_k`. The gain
:math:`a_k'(z_k)` is the same neuron's own, the offset :math:`c_k` is there where it does not cancel out.

=============================== ================================== =============================================================
variant                         :math:`t_{k-1}`                    the inverse goes down
=============================== ================================== =============================================================
local_difference_reconstruction as difference                      :math:`-\langle\epsilon, g(f(h+\epsilon)) - g(f(h))\rangle
                                                                   + \tfrac12 \lVert g(f(h)+\eta) - g(f(h))\rVert^2`, with noise
                                                                   :math:`\epsilon` below and :math:`\eta` above the block: its
                                                                   Jacobian becomes the transpose of the block's, so that small
                                                                   targets carry the gradient (Ernoult et al. 2022, arXiv
                                                                   2201.13415)
difference                      :math:`h_{k-1} + g(t_k) - g(h_k)`  :math:`\tfrac12\lVert g(f(h+\epsilon)) - (h+\epsilon)\rVert^2`
                                                                   (Lee et al. 2015, arXiv 1412.7525)
plain                           :math:`g(t_k)`                     as difference (Bengio 2014, arXiv 1407.7906)
=============================== ================================== =============================================================

With exact inverses the targets are Gauss-Newton's and not the gradient's (Meulemans et al. 2020, arXiv 2006.14331).

Departures: the first target is set at the scores in every variant, not below them by the true gradient as Lee et al. do; inverses
are affine given the gains, with no activation function of their own, so that in all variants but `plain` the targets' step
:math:`\beta` cancels out; inverses take one step a batch, over `feedback_draws` draws of noise (random signs) for a few of the
examples, beside the forward weights. In `plain` the inverse's own error enters every target, and outweighs what the labels say
where targets are near: blocks then learn to be easily inverted, and collapse. Its :math:`\beta` is therefore large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures import Block, InputError, Network, Params
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedback_weights import bare_weights, completed, feedback_angles
from learning_rules.feedforward import feedforward_rule
from learning_rules.losses import accuracy, loss_and_error, loss_function
from learning_rules.noise import signs
from learning_rules.optimizers import adam, per_part
from learning_rules.signals import Sweep, hebbian_product, local_derivative, project_back, sweep

__all__ = ["FAMILY", "TargetPropagationOptions", "invert", "target_propagation"]


@dataclass(frozen=True)
class TargetPropagationOptions:
    """Options of target propagation.

    Attributes:
        variant: see the table above.
        loss: "cross_entropy" or "squared_error".
        learning_rate: Adam's, of the forward weights, at the first step.
        weight_decay: decoupled, per unit of learning rate, of the forward weights.
        feedback_rate: Adam's, of the inverses: larger, because they follow weights that move.
        feedback_gain: factor on the initial size of the inverses.
        feedback_draws: draws of noise per example that one step of the inverses takes the mean of.
        feedback_examples: examples of a batch that inverses learn from, at most; it is the blocks that they learn about.
        target_step: beta, how far the scores' target is from them, per unit of the loss's derivative.
        noise: standard deviation of the noise that inverses learn by.
    """

    variant: str = "local_difference_reconstruction"
    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    feedback_rate: float = 5e-3
    feedback_gain: float = 0.05
    feedback_draws: int = 1
    feedback_examples: int = 32
    target_step: float = 0.1
    noise: float = 0.1


def _inverse_of(block: Block, key: PRNGKeyArray, gain: float, with_offset: bool) -> Params:
    """Weights of the block's own shape, without what is added to its sums: going backwards, that does nothing."""
    weights = jax.tree.map(lambda leaf: gain * leaf, bare_weights(block.init(key)))
    return {"weights": weights, "offset": jnp.zeros(block.input_shape)} if with_offset else {"weights": weights}


def invert(block: Block, params: Params, inverse: Params, z: Array, signal: Array) -> Array:
    """The inverse of a block at what its synapses delivered.

    Args:
        block: the block.
        params: its own parameters, of which only the shapes enter.
        inverse: of the block: "weights", and "offset" where it has one.
        z: what its synapses delivered, (n, *synapse_shape): the gains are the activation's derivative there.
        signal: at its output, (n, *output_shape).

    Returns:
        At its input, (n, *input_shape).
    """
    below = jnp.zeros((len(signal), *block.input_shape), signal.dtype)
    returned = project_back(block, completed(params, inverse["weights"]), below, local_derivative(block, z, signal))
    return returned + inverse["offset"] if "offset" in inverse else returned


def _targets(
    network: Network, params: tuple[Params, ...], inverses: tuple[Params, ...], signals: Sweep, top: Array, variant: str
) -> list[Array]:
    """A target for every position, from the scores' down."""
    by_position = list(zip(network.chain, network.unroll(params), network.unroll(inverses), strict=True))
    targets = [top]
    for position in reversed(range(1, len(by_position))):
        block, own, inverse = by_position[position]
        z, h, below = signals.synaptic[position], signals.activations[position], signals.inputs[position]
        if variant == "plain":
            targets.append(invert(block, own, inverse, z, targets[-1]))
        else:
            # The inverse is affine, so that its difference at two signals is what it makes of theirs, less the offset.
            targets.append(below + invert(block, own, {"weights": inverse["weights"]}, z, targets[-1] - h))
    return targets[::-1]


class _Position(NamedTuple):
    """What an inverse learns from."""

    block: Block
    params: Params
    x: Array
    z: Array
    h: Array


def _feedback_loss(at: _Position, inverse: Params, key: PRNGKeyArray, options: TargetPropagationOptions) -> Array:
    """What one inverse goes down, mean over the batch, in units of the noise's variance."""
    block, params, x, z, h = at
    key_below, key_above = jax.random.split(key)
    below = options.noise * signs(key_below, x.shape, x.dtype)
    if options.variant == "local_difference_reconstruction":
        above = options.noise * signs(key_above, h.shape, h.dtype)
        returned = invert(block, params, inverse, z, block.apply(params, x + below) - h)
        shrunk = invert(block, params, inverse, z, above)
        total = 0.5 * jnp.sum(jnp.square(shrunk)) - jnp.sum(below * returned)
    else:
        noisy = block.synapse(params, x + below)
        total = 0.5 * jnp.sum(jnp.square(invert(block, params, inverse, noisy, block.activate(noisy)) - (x + below)))
    return total / (len(x) * options.noise**2)


def _teach_inverses(
    network: Network,
    params: tuple[Params, ...],
    inverses: tuple[Params, ...],
    signals: Sweep,
    key: PRNGKeyArray,
    options: TargetPropagationOptions,
) -> tuple[tuple[Params, ...], tuple[Array, ...]]:
    """What each inverse asks for, tied, and its loss per position above the first."""

    def mean_loss(inverse: Params, at: _Position, key: PRNGKeyArray) -> Array:
        draws = jax.random.split(key, options.feedback_draws)
        return jnp.mean(jax.vmap(lambda draw: _feedback_loss(at, inverse, draw, options))(draws))

    few = jax.tree.map(lambda signal: signal[: options.feedback_examples], signals)
    positions = map(_Position, network.chain, network.unroll(params), *few)
    keys = jax.random.split(key, len(network.chain))
    by_position = list(zip(network.unroll(inverses), positions, keys, strict=True))
    taught = [jax.value_and_grad(mean_loss)(inverse, at, k) for inverse, at, k in by_position[1:]]
    nothing = jax.tree.map(jnp.zeros_like, by_position[0][0])
    return network.tie([nothing, *(gradient for _, gradient in taught)]), tuple(loss for loss, _ in taught)


def _ask(
    network: Network, params: tuple[Params, ...], signals: Sweep, targets: Sequence[Array], scale: float
) -> tuple[Params, ...]:
    """Each block's move of its output towards its target."""
    positions = zip(
        network.chain, network.unroll(params), signals.inputs, signals.synaptic, signals.activations, targets, strict=True
    )
    return network.tie(
        [hebbian_product(block, p, x, local_derivative(block, z, scale * (h - target))) for block, p, x, z, h, target in positions]
    )


def _check(options: TargetPropagationOptions) -> None:
    loss_function(options.loss)
    for name in ("target_step", "noise"):
        if not getattr(options, name) > 0:
            raise InputError(f"{name}={getattr(options, name)} was given, it must be positive; try 0.1")
    for name in ("feedback_draws", "feedback_examples"):
        if getattr(options, name) < 1:
            raise InputError(f"{name}={getattr(options, name)} was given, inverses learn from at least one draw for one example")


def target_propagation(network: Network, options: TargetPropagationOptions, spec: RuleSpec) -> LearningRule:
    """Build the rule for a network.

    Raises:
        InputError: unknown loss, a target step or noise that is not positive, or no draw or example.
    """
    _check(options)

    def init(key: PRNGKeyArray) -> RuleState:
        keys = jax.random.split(jax.random.fold_in(key, 1), len(network.blocks))
        # The block that sees the image alone needs no inverse: there is no target below it.
        with_offset = options.variant != "local_difference_reconstruction"
        inverses = tuple(
            _inverse_of(block, k, options.feedback_gain, with_offset) if index in network.order[1:] else None
            for index, (block, k) in enumerate(zip(network.blocks, keys, strict=True))
        )
        return RuleState({"network": network.init(key), "inverse": inverses}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        images, labels = batch
        params, inverses = state.params["network"], state.params["inverse"]
        signals = sweep(network, params, network.encode(images))
        scores = signals.activations[-1]
        loss, error = loss_and_error(options.loss, scores, labels)
        top = scores - options.target_step * len(labels) * error
        targets = _targets(network, params, inverses, signals, top, options.variant)
        taught, feedback_losses = _teach_inverses(network, params, inverses, signals, key, options)
        backwards = tuple(None if g is None else completed(p, g["weights"]) for p, g in zip(params, inverses, strict=True))
        info = {
            "loss": loss,
            "accuracy": accuracy(scores, labels),
            "feedback_loss": feedback_losses,
            "feedback_angle": feedback_angles(network, params, backwards),
            "target_distance": tuple(
                jnp.sqrt(jnp.mean(jnp.square(h - t))) for h, t in zip(signals.activations, targets, strict=True)
            ),
        }
        asked = _ask(network, params, signals, targets, 1.0 / (options.target_step * len(labels)))
        return {"network": asked, "inverse": taught}, state, info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        return per_part(
            {
                "network": adam(options.learning_rate, n_steps, options.weight_decay),
                "inverse": adam(options.feedback_rate, n_steps),
            }
        )

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer)


def _variant(variant: str, summary: str, citation: str, **options: Any) -> Variant:
    spec = RuleSpec(
        "target_propagation",
        variant,
        summary,
        citation,
        phases=3,
    )
    return Variant(spec, {"variant": variant, **options})


# From searches on Fashion-MNIST's validation images, four epochs of 20,000 images, dense and convolutional. Inverses that start
# small are worth half a point, three with reconstruction: they need not first forget where they started. Learning them from 32
# examples is as good as from 128. Reconstruction wants noise as large as the signals. Plain targets: 12 % of the images are named
# rightly at beta 1, 60 at 10, 85 at 30 and 86.7 at 1000.
FAMILY = Family(
    TargetPropagationOptions,
    target_propagation,
    {
        variant.spec.variant: variant
        for variant in (
            _variant(
                "local_difference_reconstruction",
                "targets travel back through inverses whose Jacobian learns to be the transpose of the block's",
                "Ernoult et al. 2022, arXiv 2201.13415",
                learning_rate=2e-3,
                weight_decay=0.3,
            ),
            _variant(
                "difference",
                "targets travel back through learned inverses, whose own error is taken off",
                "Lee et al. 2015, arXiv 1412.7525",
                noise=1.0,
            ),
            _variant(
                "plain",
                "targets travel back through learned inverses",
                "Bengio 2014, arXiv 1407.7906",
                weight_decay=0.1,
                target_step=1000.0,
                noise=1.0,
            ),
        )
    },
)
