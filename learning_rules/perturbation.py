r"""Perturbation: noise goes in, and what it does to a loss comes back as one number.

With noise :math:`u` of unit variance, :math:`\mathbb E[\langle g, u\rangle\, u] = g`: the slope of a loss along a random direction,
times that direction, is the gradient on average. Variants differ in what is perturbed and in which loss answers:

=========================== ==================================================================================================
variant                     estimate
=========================== ==================================================================================================
forward_gradient_activities :math:`\hat e_k = \langle e_k, u\rangle_g\, u` for each group :math:`g` of units of a block's output
                            :math:`h_k`, with :math:`e_k` the derivative of the block's own loss, that of a linear head on
                            :math:`h_k`; no error crosses a block (Ren et al. 2023, arXiv 2210.03310)
node                        :math:`\hat\delta_k = \frac{\ell(z_k + \sigma u) - \ell(z_k - \sigma u)}{2\sigma}\, u`, one block at a
                            time, noise of its own for every example (Fiete and Seung 2006,
                            doi:10.1103/PhysRevLett.97.048104; antithetic, as Dalm et al. 2023, arXiv 2310.00965)
weight                      :math:`\hat\nabla = \frac{\ell(\theta + \sigma u) - \ell(\theta - \sigma u)}{2\sigma}\, u`, one slope
                            for the batch (Jabri and Flower 1992, doi:10.1109/72.105429; Spall 1992, doi:10.1109/9.119632)
forward_gradient_weights    :math:`\hat\nabla = (\nabla_\theta \ell \cdot u)\, u`, the slope exact, by forward-mode
                            differentiation (Baydin et al. 2022, arXiv 2202.08587)
=========================== ==================================================================================================

Activity variants change weights by the Hebbian product of a block's input and the estimate. The last block sees its own error and
learns by the delta rule, unless `readout="perturbation"` leaves it, as all others, nothing but the slope.

Decorrelated inputs (Dalm et al. 2023): in a network :math:`z = W R h` whose :math:`R` decorrelates, a change of :math:`W` changes
:math:`A = W R` by :math:`\hat\delta\, (R^\top R h)^\top`. Here weights are :math:`A`, so that the network stays the one that every
rule trains, and :math:`R^\top R h` takes the input's place in the Hebbian product, while
:math:`R \leftarrow R - \eta\, \langle (R h)(R h)^\top - I\rangle R`.

Departures: noise on activities is random signs, whose estimates vary less than those of normal noise. It is kept from units that
cannot pass it on (a rectifier that is shut), which leaves the mean as it is and takes variance away too. Groups are runs of units
along the last axis, channels at one place. A group's loss is the whole block's with all other groups held still, as Ren's
replicated losses; the heads see every unit. Inputs of more than 1,024 features are decorrelated across channels alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, Int, PRNGKeyArray

from architectures import Block, InputError, Network, Params
from architectures.legacy import readout_block
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedforward import feedforward_rule
from learning_rules.losses import LOSSES, accuracy, loss_function
from learning_rules.noise import signs
from learning_rules.optimizers import adam
from learning_rules.perturbation_decorrelation import decorrelated, follow_correlations, no_decorrelation
from learning_rules.readout import Readout, delta_rule
from learning_rules.signals import Sweep, hebbian_product, local_derivative, project_back, sweep

__all__ = ["FAMILY", "PerturbationOptions", "group_slopes", "perturbation"]

_OF_WEIGHTS = ("weight", "forward_gradient_weights")
_DELTA_RULE = ("network[-1]", "delta rule")


@dataclass(frozen=True)
class PerturbationOptions:
    """Options of perturbation.

    Attributes:
        variant: see the table above.
        loss: "cross_entropy" or "squared_error".
        learning_rate: Adam's, at the first step.
        weight_decay: decoupled, per unit of learning rate.
        perturbation_size: standard deviation of the noise, where the slope is a difference (weight, node).
        n_draws: directions that one update averages over.
        readout: what trains the last block, "delta_rule" or "perturbation".
        group_size: units that share one slope (forward_gradient_activities).
        decorrelation_rate: rate at which R follows the inputs of every block, 0 for inputs as they are (node,
            forward_gradient_activities).
        decorrelation_steps: updates after which R stays as it is.
    """

    variant: str = "forward_gradient_activities"
    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    perturbation_size: float = 0.01
    n_draws: int = 1
    readout: str = "delta_rule"
    group_size: int = 16
    decorrelation_rate: float = 0.0
    decorrelation_steps: int = 500


def _noise_like(key: PRNGKeyArray, tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    noise = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, noise)


def _mean_over_draws(estimate: Callable[[PRNGKeyArray], Any], key: PRNGKeyArray, n_draws: int) -> Any:
    if n_draws == 1:
        return estimate(key)
    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), jax.vmap(estimate)(jax.random.split(key, n_draws)))


def _weight_estimate(
    network: Network, options: PerturbationOptions, key: PRNGKeyArray, params: tuple[Params, ...], x: Array, labels: Array
) -> tuple[tuple[Params, ...], Array]:
    """Estimated gradient of the mean loss and the slope it was made of, from noise on all weights at once."""
    mean_loss = loss_function(options.loss)
    noise = _noise_like(key, params)
    if options.readout == "delta_rule":
        top = network.order[-1]
        noise = (*noise[:top], jax.tree.map(jnp.zeros_like, noise[top]), *noise[top + 1 :])

    def loss(params: tuple[Params, ...]) -> Array:
        return mean_loss(network.propagate(params, x)[-1], labels)

    if options.variant == "forward_gradient_weights":
        _, slope = jax.jvp(loss, (params,), (noise,))
    else:
        size = options.perturbation_size
        up, down = (loss(jax.tree.map(lambda w, u, s=sign * size: w + s * u, params, noise)) for sign in (1, -1))
        slope = (up - down) / (2 * size)
    return jax.tree.map(lambda u: slope * u, noise), slope


def _node_estimate(
    network: Network,
    options: PerturbationOptions,
    key: PRNGKeyArray,
    params: tuple[Params, ...],
    signals: Sweep,
    labels: Int[Array, " n"],
    position: int,
) -> tuple[Array, Array]:
    """Estimated error at one position's synapses, mean over the batch, and the slope of each example."""
    block, z = network.chain[position], signals.synaptic[position]
    # A unit whose derivative is zero would add its noise to the estimate and nothing to the slope.
    passes = local_derivative(block, z, jnp.ones_like(signals.activations[position])) != 0
    noise = jnp.where(passes, signs(key, z.shape, z.dtype), 0)
    step = options.perturbation_size * noise
    h = block.activate(jnp.concatenate([z + step, z - step]))
    above = list(zip(network.chain, network.unroll(params), strict=True))[position + 1 :]
    for other, w in above:
        h = other.apply(w, h)
    up, down = jnp.split(LOSSES[options.loss](h, jnp.concatenate([labels, labels])), 2)
    slope = (up - down) / (2 * options.perturbation_size)
    return noise * (slope / len(labels)).reshape(-1, *([1] * (z.ndim - 1))), slope


def group_slopes(
    error: Float[Array, "n units"], noise: Float[Array, "n units"], group_size: int
) -> tuple[Float[Array, "n units"], Float[Array, "n n_groups"]]:
    """Each group's noise times the slope of the loss along it, and the slopes.

    Args:
        error: derivative of the loss with respect to each unit.
        noise: the direction in which each unit is perturbed.
        group_size: units that share a slope; the last group may be smaller.

    >>> import jax.numpy as jnp
    >>> estimate, slopes = group_slopes(jnp.array([[1.0, 2.0, 3.0]]), jnp.array([[1.0, -1.0, 1.0]]), 2)
    >>> slopes.tolist(), estimate.tolist()
    ([[-1.0, 3.0]], [[-1.0, 1.0, 3.0]])
    """
    n, n_units = noise.shape
    padding = ((0, 0), (0, -n_units % group_size))
    grouped = jnp.pad(noise, padding).reshape(n, -1, group_size)
    slopes = jnp.sum(grouped * jnp.pad(error, padding).reshape(grouped.shape), axis=-1)
    return (grouped * slopes[:, :, None]).reshape(n, -1)[:, :n_units], slopes


def _group_estimate(block: Block, group_size: int, key: PRNGKeyArray, z: Array, h: Array, error: Array) -> tuple[Array, Array]:
    """Estimated error at a block's synapses from `error`, the derivative of its head's loss at its output; the slopes."""
    _, moves = jax.jvp(block.activate, (z,), (jnp.ones_like(z),))
    noise = jnp.where(moves != 0, signs(key, h.shape, h.dtype), 0)
    # The head is linear: pushing a group's noise through it and projecting on the scores' error gives the same number as the
    # inner product with `error`, which takes one matrix product for all groups.
    estimate, slopes = group_slopes(error.reshape(len(h), -1), noise.reshape(len(h), -1), group_size)
    return local_derivative(block, z, estimate.reshape(h.shape)), slopes


def _heads(network: Network) -> tuple[Block, ...]:
    """A linear classifier for the output of each hidden position."""
    return tuple(
        readout_block(f"head_{name}", block.output_shape, network.n_classes)
        for name, block in zip(network.block_names[:-1], network.chain[:-1], strict=True)
    )


def _head_step(head: Block, params: Params, h: Array, labels: Array, loss: str) -> tuple[Readout, Array]:
    """The delta rule on a head, and the derivative of its loss at its input."""
    mean_loss = loss_function(loss)
    error = jax.grad(lambda scores: mean_loss(scores, labels))(head.synapse(params, h))
    return delta_rule(head, params, h, labels, loss), project_back(head, params, h, error)


def _check(options: PerturbationOptions) -> None:
    variant = options.variant
    for name in ("perturbation_size", "n_draws", "group_size"):
        if not getattr(options, name) > 0:
            raise InputError(f"{name}={getattr(options, name)} was given, it must be positive")
    if options.decorrelation_rate < 0:
        raise InputError(f"decorrelation_rate={options.decorrelation_rate} was given, expected 0 or a small rate such as 0.001")
    if options.decorrelation_rate > 0 and variant in _OF_WEIGHTS:
        raise InputError(
            f"decorrelation_rate={options.decorrelation_rate} was given to {variant}, which perturbs weights and sees no inputs: "
            "use front_end='zca', or variant node or forward_gradient_activities"
        )
    if options.readout not in ("delta_rule", "perturbation"):
        raise InputError(f"readout='{options.readout}' was given, expected 'delta_rule' or 'perturbation'")
    if options.readout == "perturbation" and variant == "forward_gradient_activities":
        raise InputError(
            "readout='perturbation' was given to forward_gradient_activities, whose blocks learn from heads of their own: "
            "use readout='delta_rule', or variant node"
        )


def perturbation(network: Network, options: PerturbationOptions, spec: RuleSpec) -> LearningRule:
    """Build the rule for a network.

    Raises:
        InputError: a size or number that is not positive, or options that the variant cannot use.
    """
    _check(options)
    variant = options.variant
    with_heads = variant == "forward_gradient_activities"
    heads = _heads(network) if with_heads else ()
    n_perturbed = len(network.chain) - (options.readout == "delta_rule")
    if options.readout == "perturbation":
        spec = dataclasses.replace(spec, teaching_signal="reward", trained_otherwise=())

    def init(key: PRNGKeyArray) -> RuleState:
        params: dict[str, Any] = {"network": network.init(key)}
        if with_heads:
            keys = jax.random.split(jax.random.fold_in(key, 1), max(len(heads), 1))
            params["heads"] = tuple(head.init(k) for head, k in zip(heads, keys, strict=False))
        return RuleState(params, no_decorrelation(network) if options.decorrelation_rate > 0 else {})

    def block_errors(
        key: PRNGKeyArray, params: dict[str, Any], signals: Sweep, labels: Array
    ) -> tuple[list[Array], list[Readout], dict[str, Any]]:
        """Estimated errors at the perturbed positions, what the heads ask for, and the slopes' root mean square."""
        errors, readouts, slopes = [], [], []
        for position in range(n_perturbed):
            block, z, h = network.chain[position], signals.synaptic[position], signals.activations[position]
            draw_key = jax.random.fold_in(key, position)
            if with_heads:
                readout, error = _head_step(heads[position], params["heads"][position], h, labels, options.loss)
                readouts.append(readout)
                draw = partial(_group_estimate, block, options.group_size, z=z, h=h, error=error)
            else:
                draw = partial(
                    _node_estimate, network, options, params=params["network"], signals=signals, labels=labels, position=position
                )
            delta, slope = _mean_over_draws(draw, draw_key, options.n_draws)
            errors.append(delta)
            slopes.append(jnp.sqrt(jnp.mean(jnp.square(slope))))
        return errors, readouts, {"slope": tuple(slopes)}

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        images, labels = batch
        x, params = network.encode(images), state.params["network"]
        by_position = network.unroll(params)
        signals = sweep(network, params, x)
        top = delta_rule(network.chain[-1], by_position[-1], signals.inputs[-1], labels, options.loss)
        info: dict[str, Any] = {"loss": top.loss, "accuracy": accuracy(signals.activations[-1], labels)}
        last = (top.pseudo_gradient,) if options.readout == "delta_rule" else ()
        if variant in _OF_WEIGHTS:
            draw = partial(_weight_estimate, network, options, params=params, x=x, labels=labels)
            asked, info["slope"] = _mean_over_draws(draw, key, options.n_draws)
            if last:
                below = jax.tree.map(jnp.zeros_like, by_position[:-1])
                asked = jax.tree.map(jnp.add, asked, network.tie((*below, *last)))
            return {"network": asked}, state, info

        errors, readouts, slopes = block_errors(key, state.params, signals, labels)
        inputs, carry = signals.inputs, state.carry
        if options.decorrelation_rate > 0:
            inputs = decorrelated(carry, inputs)
            carry = follow_correlations(carry, signals.inputs, options.decorrelation_rate, options.decorrelation_steps)
        products = [
            hebbian_product(network.chain[position], by_position[position], inputs[position], error)
            for position, error in enumerate(errors)
        ]
        asked_of: dict[str, Any] = {"network": network.tie((*products, *last))}
        if with_heads:
            asked_of["heads"] = tuple(readout.pseudo_gradient for readout in readouts)
            info["head_loss"] = tuple(readout.loss for readout in readouts)
            info["head_accuracy"] = tuple(readout.accuracy for readout in readouts)
        return asked_of, RuleState(state.params, carry), {**info, **slopes}

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        return adam(options.learning_rate, n_steps, options.weight_decay)

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer)


def _variant(
    variant: str, summary: str, citation: str, phases: int, others: tuple[tuple[str, str], ...] = (), **options: Any
) -> Variant:
    spec = RuleSpec(
        "perturbation",
        variant,
        summary,
        citation,
        phases=phases,
        trained_otherwise=(*others, _DELTA_RULE),
        # The weight variants were tuned on plain images, the others behind whitening.
        front_end="none" if variant in _OF_WEIGHTS else "zca",
    )
    return Variant(spec, {"variant": variant, **options})


# Rates and decays: from a search on Fashion-MNIST's validation images behind the front end `zca`, four epochs of 20,000 images and
# ten epochs of all, dense network. There whitening is worth five points to forward gradients on activities in the shorter runs; on
# the convolutional network it is worth one in the longer. Groups of eight learn faster than groups of sixteen and end no higher.
FAMILY = Family(
    PerturbationOptions,
    perturbation,
    {
        variant.spec.variant: variant
        for variant in (
            _variant(
                "forward_gradient_activities",
                "groups of units follow the slope of their block's own loss along noise",
                "Ren, Kornblith, Liao and Hinton 2023, arXiv 2210.03310",
                2,
                (("heads", "delta rule"),),
                learning_rate=4e-3,
                weight_decay=0.3,
            ),
            _variant(
                "node",
                "noise at each block's units, for and against, and the loss's answer to it",
                "Fiete and Seung 2006, doi:10.1103/PhysRevLett.97.048104; Dalm et al. 2023, arXiv 2310.00965",
                3,
                learning_rate=4e-3,
                weight_decay=0.1,
            ),
            _variant(
                "weight",
                "noise on all weights, for and against, and the loss's answer to it",
                "Jabri and Flower 1992, doi:10.1109/72.105429; Spall 1992, doi:10.1109/9.119632",
                3,
                learning_rate=4e-3,
            ),
            _variant(
                "forward_gradient_weights",
                "the loss's exact slope along one random direction of all weights",
                "Baydin et al. 2022, arXiv 2202.08587",
                2,
                learning_rate=4e-3,
            ),
        )
    },
)
