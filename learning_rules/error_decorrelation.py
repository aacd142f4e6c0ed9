r"""Error broadcast and decorrelation: every node makes its outputs uncorrelated with the scores' error.

What an optimal estimator gets wrong is orthogonal to every function of its input, and so to the outputs of its hidden nodes. With
:math:`h_k` a node's output, :math:`\epsilon` the error at the scores and :math:`\langle\cdot\rangle` the mean over a batch, a node
keeps a running estimate of how the two go together, and goes down its square:

.. math:: R_k \leftarrow \lambda R_k + (1 - \lambda) \langle h_k\, \epsilon^\top \rangle, \qquad
   J_k = \tfrac12 \lVert R_k \rVert^2, \qquad
   \Delta W_k \propto - \langle (a_k'(z_k) \odot R_k\, \epsilon)\, h_{k-1}^\top \rangle ,

the part of :math:`J_k`'s slope that passes through :math:`h_k`, where :math:`\epsilon` is held: presynaptic activity, a derivative
of the postsynaptic one, and an error that all are told, projected by what is known of its correlation (a three-factor rule). The
readout learns by its own error. Since silence is uncorrelated with anything, two terms keep a node awake:

.. math:: J^P_k = \sum_i \bigl( \langle h_{ki}^2 \rangle - P \bigr)^2, \qquad
   J^E_k = - \tfrac12 \log\det (C_k + \varepsilon I), \qquad
   C_k \leftarrow \lambda_E C_k + (1 - \lambda_E) \langle h_k h_k^\top \rangle .

Erdogan, Pehlevan and Erdogan 2025, arXiv 2504.11558. :math:`R_k` starts at random, as in their recurrent networks, whose
:math:`\lambda` of 0.99999 is the default here: over a few thousand steps what carries the error is then nearly direct feedback
alignment's random matrix, and with :math:`\lambda = 1` it is exactly that. How much the estimate itself teaches is not measured.

Departures: steps are per unit of :math:`1 - \lambda` and :math:`1 - \lambda_E` (in the paper's experiments they are absorbed in
rates); the error is the objective's own (softmax minus target is orthogonal to functions of the input as well); the readout hears
nothing of the hidden nodes' correlations ("forward broadcast" is optional there). The entropy of maps is of channels, with places
as examples; the paper takes the weights' instead. In time every step of a node is told the example's mean error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from architectures import Network, Params
from bioplausible.foundation.options import at_least, fraction, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedback_weights import direct_feedback
from learning_rules.feedforward import feedforward_rule
from learning_rules.needs import Needs
from learning_rules.objectives import Objective, as_batch
from learning_rules.optimizers import adam
from learning_rules.signals import cut, exact, in_precision_of, merge_steps

__all__ = ["FAMILY", "ErrorDecorrelationOptions", "error_decorrelation"]


@dataclass(frozen=True)
class ErrorDecorrelationOptions:
    """Options of error broadcast and decorrelation.

    Attributes
    ----------
    loss
        One of `OBJECTIVES`.
    learning_rate
        Adam's, at the first step.
    weight_decay
        Decoupled, per unit of learning rate.
    forgetting
        lambda, how much of the last estimate of correlations stays at every step, from 0 to 1.
    correlation_gain
        Factor on the size of the random matrices that estimates start from.
    power_rate
        Weight of the power's term, at least 0.
    power
        P, the mean square that every unit is held to.
    entropy_rate
        Weight of the entropy's term, at least 0.
    entropy_forgetting
        lambda_E, from 0 to below 1.
    entropy_floor
        epsilon, added to the variance of every unit.
    """

    loss: str = "cross_entropy"
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    forgetting: float = 0.99999
    correlation_gain: float = 1.0
    power_rate: float = 1e-4
    power: float = 1.0
    entropy_rate: float = 1e-5
    entropy_forgetting: float = 0.99
    entropy_floor: float = 0.1


class _Remembered(NamedTuple):
    """Running estimates of one node: with the error, (n_classes, *output_shape), and within its last axis, (units, units)."""

    correlation: Array
    covariance: Float[Array, "units units"]


def _in_rows(network: Network, signal: Array, like: Array) -> Array:
    """What is told of each example, at every step of a temporal network, as rows of steps and examples."""
    per_step = signal if signal.ndim == 2 + network.temporal else jnp.broadcast_to(signal, (len(like), *signal.shape))
    return merge_steps(network, per_step if network.temporal else signal)


def _decorrelated(
    h: Array, error: Array, parts: Array, kept: _Remembered, options: ErrorDecorrelationOptions
) -> tuple[Array, _Remembered, Array]:
    """Slope of a node's terms at its outputs, in rows; what it remembers; and how its outputs go with the error in this batch.

    The part of each example in the mean is in its error already, and in `parts`.
    """
    together = jnp.tensordot(error, h, axes=(0, 0))
    correlation = options.forgetting * kept.correlation + (1 - options.forgetting) * together
    share = parts.reshape(-1, *[1] * (h.ndim - 1))
    slope = jnp.tensordot(error, correlation, axes=1)
    excess = jnp.sum(share * jnp.square(h), axis=0) - options.power
    slope = slope + options.power_rate * 4 * excess * share * h
    covariance = kept.covariance
    if options.entropy_rate:
        # Places share what is told of an example.
        across = (share * h).reshape(-1, h.shape[-1]).T @ h.reshape(-1, h.shape[-1]) * (len(h) * h.shape[-1] / h.size)
        covariance = options.entropy_forgetting * covariance + (1 - options.entropy_forgetting) * across
        floored = covariance + options.entropy_floor * jnp.eye(len(covariance), dtype=h.dtype)
        whitened = jnp.linalg.solve(floored, h.reshape(-1, h.shape[-1]).T).T.reshape(h.shape)
        slope = slope - options.entropy_rate * share * whitened * (len(h) * h.shape[-1] / h.size)
    return slope, _Remembered(correlation, covariance), jnp.sqrt(jnp.mean(jnp.square(together)))


def error_decorrelation(network: Network, options: ErrorDecorrelationOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        Forgetting that is no fraction, a size that is not positive, or a weight below zero.
    """
    fraction(options, "forgetting")
    fraction(options, "entropy_forgetting", with_one=False)
    positive(options, "correlation_gain", "power", "entropy_floor")
    at_least(options, 0, "power_rate", "entropy_rate")

    def init(key: PRNGKeyArray) -> RuleState:
        correlations = direct_feedback(network, jax.random.fold_in(key, 1), options.correlation_gain)
        kept = tuple(_Remembered(r, jnp.zeros((r.shape[-1], r.shape[-1]))) for r in correlations)
        return RuleState({"network": network.init(key)}, {"remembered": kept})

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch = as_batch(batch)

        def run(params: tuple[Params, ...]) -> tuple[Array, ...]:
            return network.trace(params, batch.inputs, cut(network, exact(network, params))).outputs

        outputs, pull = jax.vjp(run, state.params["network"])
        readout = outputs[-1]
        _, error = objective.loss_and_error(readout, batch)
        parts = objective.example_weights(batch).astype(readout.dtype)
        if objective.per_step and batch.mask is not None:
            parts = (batch.mask / jnp.maximum(jnp.sum(batch.mask), 1)).astype(readout.dtype).ravel()
        elif network.temporal:
            parts = jnp.tile(parts, len(readout)) / len(readout)
        # An example whose scores are judged once has one error, which every node hears at every step.
        told = jnp.mean(error, axis=0) if network.temporal and not objective.per_step else error
        told = _in_rows(network, told, readout)
        each = zip(outputs[:-1], state.carry["remembered"], strict=True)
        found = [_decorrelated(merge_steps(network, h), told, parts, kept, options) for h, kept in each]
        errors = [slope.reshape(h.shape) for (slope, _, _), h in zip(found, outputs, strict=False)]
        info = {**objective.metrics(readout, batch), "correlation_with_error": tuple(size for _, _, size in found)}
        after = RuleState(state.params, {"remembered": tuple(kept for _, kept, _ in found)})
        return {"network": pull(in_precision_of((*errors, error), outputs))[0]}, after, info

    return feedforward_rule(
        spec,
        network,
        options,
        init,
        assign_credit,
        optimizer=lambda n_steps=None: adam(options.learning_rate, n_steps, options.weight_decay),
        objective=objective,
    )


# Not searched: two seeds on Fashion-MNIST, dense, 10,000 images, five epochs, reach 86.4 on validation images with these.
FAMILY = Family(
    ErrorDecorrelationOptions,
    error_decorrelation,
    {
        "": Variant(
            RuleSpec(
                "error_decorrelation",
                "",
                "every layer makes its outputs uncorrelated with the scores' error, which reaches all layers at once",
                "Erdogan, Pehlevan and Erdogan 2025, arXiv 2504.11558",
            )
        )
    },
    needs=Needs(),
)
