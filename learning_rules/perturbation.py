r"""Perturbation: noise goes in, and what it does to a loss comes back as one number.

With noise :math:`u` of unit variance, :math:`\mathbb E[\langle g, u\rangle\, u] = g`: the slope of a loss along a random direction,
times that direction, is the gradient on average. Variants differ in what is perturbed and in which loss answers:

=========================== ==================================================================================================
variant                     estimate
=========================== ==================================================================================================
forward_gradient_activities :math:`\hat e_k = \langle e_k, u\rangle_g\, u` for each group :math:`g` of units of a node's output
                            :math:`h_k`, with :math:`e_k` the derivative of the node's own loss, that of a linear head on
                            :math:`h_k`; no error crosses a node (Ren et al. 2023, arXiv 2210.03310)
node                        :math:`\hat\delta_k = \frac{\ell(z_k + \sigma u) - \ell(z_k - \sigma u)}{2\sigma}\, u`, one node at a
                            time, noise of its own for every example (Fiete and Seung 2006,
                            doi:10.1103/PhysRevLett.97.048104; antithetic, as Dalm et al. 2023, arXiv 2310.00965)
textbook                    :math:`\hat\delta = \frac{\ell(z + \sigma u) - \ell(z)}{\sigma}\, u`, at all nodes at once, the
                            readout too, :math:`u` normal; squared error, plain steps, an example at a time (Werfel, Xie and
                            Seung 2005, doi:10.1162/089976605774320539)
weight                      :math:`\hat\nabla = \frac{\ell(\theta + \sigma u) - \ell(\theta - \sigma u)}{2\sigma}\, u`, one slope
                            for the batch (Jabri and Flower 1992, doi:10.1109/72.105429; Spall 1992, doi:10.1109/9.119632)
forward_gradient_weights    :math:`\hat\nabla = (\nabla_\theta \ell \cdot u)\, u`, the slope exact, by forward-mode
                            differentiation (Baydin et al. 2022, arXiv 2202.08587)
=========================== ==================================================================================================

Activity variants change weights by the Hebbian product of what a node hears and the estimate. The readout sees its own error and
learns by the delta rule, unless `readout="perturbation"` leaves it, as all others, nothing but the slope. In a network that runs in
time, :math:`u` is drawn anew at every step and an example has one slope for all of its steps; heads answer at every step.

Decorrelated inputs (Dalm et al. 2023): in a network :math:`z = W R h` whose :math:`R` decorrelates, a change of :math:`W` changes
:math:`A = W R` by :math:`\hat\delta\, (R^\top R h)^\top`. Here weights are :math:`A`, so that the network stays the one that every
rule trains, and :math:`R^\top R h` takes the input's place in the Hebbian product, while
:math:`R \leftarrow R - \eta\, \langle (R h)(R h)^\top - I\rangle R`.

Why it is slow. Of a linear network of M units and N inputs with targets that can be met, the squared distance of the weights from
the right ones is multiplied on average, in a step of rate :math:`\eta` on one normal example, by :math:`1 - 2\eta + \eta^2 (N + 2)`
along the gradient, by :math:`1 - 2\eta + \eta^2 (M + 2)(N + 2)` with noise on units, and by :math:`1 - 2\eta + \eta^2 (MN + 2)(N +
2)` with noise on weights (Werfel et al. 2005): as many times slower, at the best rate of each, as there are units or weights.
`textbook` counts its rate in that best one, :math:`1 / ((M + 2)(N + 2))` with all units of the network for M and the largest fan-in
for N. Their networks are linear and of one layer; that deeper ones take the same is this version's.

Departures, but of `textbook`: noise on activities is random signs, whose estimates vary less than those of normal noise. It is kept
from units that cannot pass it on (a rectifier that is shut), which leaves the mean as it is and takes variance away too. Groups are
runs of units along the last axis, channels at one place. A group's loss is the whole node's with all other groups held still, as
Ren's replicated losses; the heads see every unit. Inputs of more than 1,024 features are decorrelated across channels alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures import InputError, Network, Node, Params, Trace, readout
from architectures.node import is_shape
from bioplausible.foundation.options import at_least, one_of, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedforward import feedforward_rule
from learning_rules.needs import Needs, missing
from learning_rules.objectives import Batch, Objective, as_batch
from learning_rules.optimizers import adam, plain_steps
from learning_rules.perturbation_decorrelation import decorrelated, follow_correlations, no_decorrelation
from learning_rules.perturbation_estimates import (
    all_nodes_estimate,
    group_estimate,
    mean_over_draws,
    node_estimate,
    weight_estimate,
)
from learning_rules.readout import readout_step
from learning_rules.signals import cut, exact, hebbian_product, merge_steps, perturbed, silence

__all__ = ["FAMILY", "PerturbationOptions", "perturbation"]

_OF_WEIGHTS = ("weight", "forward_gradient_weights")
_WITH_HEADS = "forward_gradient_activities"
_DELTA_RULE = ("network[-1]", "delta rule")


@dataclass(frozen=True)
class PerturbationOptions:
    """Options of perturbation.

    Attributes
    ----------
    variant
        See the table above.
    loss
        One of `OBJECTIVES`.
    learning_rate
        Adam's, at the first step; of textbook that of plain steps, in units of the best one that is known.
    weight_decay
        Decoupled, per unit of learning rate.
    perturbation_size
        Standard deviation of the noise, where the slope is a difference (weight, node, textbook).
    n_draws
        Directions that one update averages over.
    readout
        What trains the readout, "delta_rule" or "perturbation".
    group_size
        Units that share one slope (forward_gradient_activities).
    decorrelation_rate
        Rate at which R follows what every node hears, 0 for inputs as they are (node, forward_gradient_activities).
    decorrelation_steps
        Updates after which R stays as it is.
    """

    variant: str = _WITH_HEADS
    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    perturbation_size: float = 0.01
    n_draws: int = 1
    readout: str = "delta_rule"
    group_size: int = 16
    decorrelation_rate: float = 0.0
    decorrelation_steps: int = 500


Estimates = dict[int, tuple[Any, Array]]
"""Number of a node -> estimated error at its pre-activations (a tree like z), and the slopes that it was made of."""


def _heads(network: Network) -> dict[int, Node]:
    """A linear classifier for the output of each hidden node that has weights."""
    return {
        index: readout(f"head_{node.name}", node.output_shape, network.n_classes)
        for index, node in enumerate(network.nodes[:-1])
        if node.weighted
    }


def _head_step(
    network: Network, objective: Objective, head: Node, params: Params, h: Array, batch: Batch
) -> tuple[Params, Array, dict[str, Array]]:
    """The delta rule on a head, the derivative of its loss at its input, and its metrics."""

    def loss(params: Params, h: Array) -> tuple[Array, Array]:
        _, guess = head.run(params, (), (merge_steps(network, h),))
        guess = guess.reshape(*h.shape[: 1 + network.temporal], -1)
        return objective.loss(guess, batch), guess

    (_, guess), (updates, error) = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(params, h)
    return updates, error, objective.metrics(guess, batch)


def _best_rate(network: Network) -> float:
    """The rate at which noise on all units learns fastest, were the network linear and its inputs normal."""
    weighted = [node for node in network.nodes if node.weighted]
    n_units = sum(math.prod(shape) for node in weighted for shape in jax.tree.leaves(node.z_shape, is_leaf=is_shape))
    return 1 / ((n_units + 2) * (max(node.fan_in for node in weighted) + 2))


def _check(network: Network, options: PerturbationOptions) -> None:
    variant = options.variant
    positive(options, "perturbation_size", "n_draws", "group_size")
    at_least(options, 0, "decorrelation_rate", "decorrelation_steps")
    one_of(options, "readout", ("delta_rule", "perturbation"))
    if options.decorrelation_rate > 0 and variant in _OF_WEIGHTS:
        raise InputError(
            f"decorrelation_rate={options.decorrelation_rate} was given to {variant}, which perturbs weights and sees no inputs: "
            "use front_end='zca', or variant node or forward_gradient_activities"
        )
    reason = missing(Needs(), network) if options.decorrelation_rate > 0 else ""
    if reason:
        raise InputError(f"decorrelation_rate={options.decorrelation_rate} was given, and {reason}")
    if variant == "textbook" and options.weight_decay:
        raise InputError(f"weight_decay={options.weight_decay} was given to textbook, whose plain steps have none: leave it out")
    if options.readout == "perturbation" and variant == _WITH_HEADS:
        raise InputError(
            "readout='perturbation' was given to forward_gradient_activities, whose nodes learn from heads of their own: "
            "use readout='delta_rule', or variant node"
        )


def perturbation(network: Network, options: PerturbationOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        A size or number that is not positive, or options that the variant cannot use.
    """
    _check(network, options)
    nodes = network.nodes
    heads = _heads(network) if options.variant == _WITH_HEADS else {}
    with_delta_rule = options.readout == "delta_rule"
    if not with_delta_rule:
        spec = dataclasses.replace(spec, teaching_signal="reward", trained_otherwise=())

    def init(key: PRNGKeyArray) -> RuleState:
        params: dict[str, Any] = {"network": network.init(key)}
        if options.variant == _WITH_HEADS:
            keys = jax.random.split(jax.random.fold_in(key, 1), max(len(nodes) - 1, 1))
            params["heads"] = tuple(head.init(keys[index]) for index, head in heads.items())
        return RuleState(params, no_decorrelation(network) if options.decorrelation_rate > 0 else {})

    def node_errors(key: PRNGKeyArray, params: Any, x: Array, batch: Batch) -> tuple[Trace, Estimates]:
        trace = network.trace(params, x, encoded=True)
        estimates = {}
        for index in range(len(nodes) - with_delta_rule):
            if nodes[index].weighted:
                draw = node_estimate(network, objective, params, x, batch, trace, index, options.perturbation_size)
                estimates[index] = mean_over_draws(draw, jax.random.fold_in(key, index), options.n_draws)
        return trace, estimates

    def all_errors(key: PRNGKeyArray, params: Any, x: Array, batch: Batch) -> tuple[Trace, Estimates]:
        trace = network.trace(params, x, encoded=True)
        draw = all_nodes_estimate(network, objective, params, x, batch, trace, options.perturbation_size, not with_delta_rule)
        errors, slope = mean_over_draws(draw, key, options.n_draws)
        learning = range(len(nodes) - with_delta_rule)
        return trace, {index: (errors[index], slope) for index in learning if nodes[index].weighted}

    def head_errors(
        key: PRNGKeyArray, params: Any, own: tuple[Params, ...], x: Array, batch: Batch
    ) -> tuple[Trace, Estimates, tuple[Params, ...], dict[str, Any]]:
        def run(noise: Any) -> tuple[tuple[Array, ...], Trace]:
            synapses = cut(network, exact(network, params))
            trace = network.trace(params, x, lambda now: perturbed(synapses, now), per_step=noise, encoded=True)
            return trace.outputs, trace

        # Noise of nought: what comes back to it is a node's error at its pre-activations, through all that its unit remembers.
        _, pull, trace = jax.vjp(run, silence(network, params, x, encoded=True), has_aux=True)
        every_step, targets = objective.at_every_step(batch, len(trace.outputs[-1]))
        at_outputs = [jnp.zeros_like(h) for h in trace.outputs]
        updates, slopes, told = [], {}, []
        for (index, head), w in zip(heads.items(), own, strict=True):
            asked, error, metrics = _head_step(network, every_step, head, w, trace.outputs[index], targets)
            draw = group_estimate(network, trace, index, error, options.group_size)
            at_outputs[index], slopes[index] = mean_over_draws(draw, jax.random.fold_in(key, index), options.n_draws)
            updates.append(asked)
            told.append(metrics)
        errors = pull(tuple(at_outputs))[0]
        info = {f"head_{name}": tuple(metrics[name] for metrics in told) for name in (told[0] if told else ())}
        return trace, {index: (errors[index], slopes[index]) for index in heads}, tuple(updates), info

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch, params, carry = as_batch(batch), state.params["network"], state.carry
        x, asked, info = network.encode(batch.inputs), {}, {}
        if options.variant in _OF_WEIGHTS:
            size = options.perturbation_size if options.variant == "weight" else None
            draw = weight_estimate(network, objective, params, x, batch, size, not with_delta_rule)
            updates, info["slope"] = mean_over_draws(draw, key, options.n_draws)
            trace = network.trace(params, x, encoded=True)
        else:
            if options.variant == _WITH_HEADS:
                trace, estimates, asked["heads"], info = head_errors(key, params, state.params["heads"], x, batch)
            else:
                errors = all_errors if options.variant == "textbook" else node_errors
                trace, estimates = errors(key, params, x, batch)
            inputs = trace.inputs
            if options.decorrelation_rate > 0:
                inputs = decorrelated(carry, inputs)
                carry = follow_correlations(carry, trace.inputs, options.decorrelation_rate, options.decorrelation_steps)
            updates = tuple(
                hebbian_product(node, w, *merge_steps(network, (inputs[index], estimates[index][0])))
                if index in estimates
                else jax.tree.map(jnp.zeros_like, w)
                for index, (node, w) in enumerate(zip(nodes, params, strict=True))
            )
            info["slope"] = tuple(jnp.sqrt(jnp.mean(jnp.square(slope))) for _, slope in estimates.values())
        if with_delta_rule:
            step = readout_step(network, params[-1], trace, batch, objective)
            updates, metrics = (*updates[:-1], step.updates), step.metrics
        else:
            metrics = objective.metrics(trace.outputs[-1], batch)
        return {"network": updates, **asked}, RuleState(state.params, carry), {**metrics, **info}

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        if options.variant == "textbook":
            return plain_steps(options.learning_rate * _best_rate(network))
        return adam(options.learning_rate, n_steps, options.weight_decay)

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer, objective)


def _variant(
    variant: str,
    summary: str,
    citation: str,
    phases: int,
    others: tuple[tuple[str, str], ...] = (),
    front_end: str = "zca",
    batch_size: int | None = None,
    needs: Needs | None = None,
    **options: Any,
) -> Variant:
    spec = RuleSpec(
        "perturbation",
        variant,
        summary,
        citation,
        phases=phases,
        trained_otherwise=(*others, _DELTA_RULE),
        front_end=front_end,
        batch_size=batch_size,
    )
    return Variant(spec, {"variant": variant, **options}, needs)


# The weight variants were tuned on plain images, the others behind whitening. Rates and decays: from a search on Fashion-MNIST's
# validation images behind the front end `zca`, four epochs of 20,000 images and ten epochs of all, dense network. There whitening
# is worth five points to forward gradients on activities in the shorter runs; on the convolutional network it is worth one in the
# longer. Groups of eight learn faster than groups of sixteen and end no higher.
FAMILY = Family(
    PerturbationOptions,
    perturbation,
    {
        variant.spec.variant: variant
        for variant in (
            _variant(
                "forward_gradient_activities",
                "groups of units follow the slope of their node's own loss along noise",
                "Ren, Kornblith, Liao and Hinton 2023, arXiv 2210.03310",
                2,
                (("heads", "delta rule"),),
                learning_rate=4e-3,
                weight_decay=0.3,
            ),
            _variant(
                "node",
                "noise at each node's units, for and against, and the loss's answer to it",
                "Fiete and Seung 2006, doi:10.1103/PhysRevLett.97.048104; Dalm et al. 2023, arXiv 2310.00965",
                3,
                learning_rate=4e-3,
                weight_decay=0.1,
            ),
            _variant(
                "textbook",
                "noise at all units at once, and the loss's answer to it; plain steps, an example at a time, as published",
                "Werfel, Xie and Seung 2005, doi:10.1162/089976605774320539",
                2,
                front_end="none",
                batch_size=1,
                # At every step of time there are as many directions more, which the best rate does not count.
                needs=Needs(affine=False, static=True),
                loss="squared_error",
                readout="perturbation",
                learning_rate=1.0,
            ),
            _variant(
                "weight",
                "noise on all weights, for and against, and the loss's answer to it",
                "Jabri and Flower 1992, doi:10.1109/72.105429; Spall 1992, doi:10.1109/9.119632",
                3,
                front_end="none",
                learning_rate=4e-3,
            ),
            _variant(
                "forward_gradient_weights",
                "the loss's exact slope along one random direction of all weights",
                "Baydin et al. 2022, arXiv 2202.08587",
                2,
                front_end="none",
                learning_rate=4e-3,
            ),
        )
    },
    needs=Needs(affine=False),
)
