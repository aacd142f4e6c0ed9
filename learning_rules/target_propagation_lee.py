r"""Difference target propagation as Lee et al. 2015 published it (arXiv 1412.7525): inverses bend, as nodes do.

With :math:`h_k = f_k(h_{k-1})`, the readout's loss :math:`\ell` (the mean over a batch) and an inverse
:math:`g_k(v) = a_{k-1}(S_{B_k}^\top v + c_k)` of every hidden node that hears another, where :math:`a_{k-1}` is the activation
function of the node below,

.. math:: \hat h_{L-1} = h_{L-1} - \hat\eta \, \partial\ell / \partial h_{L-1}, \qquad
   \hat h_{k-1} = h_{k-1} + g_k(\hat h_k) - g_k(h_k),

   \Delta\theta_k \propto -\nabla_{\theta_k} \lVert f_k(h_{k-1}) - \hat h_k \rVert^2, \qquad
   \Delta(B_k, c_k) \propto -\nabla \lVert g_k(f_k(h_{k-1} + \epsilon)) - (h_{k-1} + \epsilon) \rVert^2,

means over the batch, with normal noise :math:`\epsilon`, all else held. The readout follows the gradient of :math:`\ell`, and is
not inverted. Since inverses bend, targets depend on the step :math:`\hat\eta` and are no errors sent down through other weights;
as the step goes to zero they are, through :math:`\mathrm{diag}(a_{k-1}'(S_{B_k}^\top h_k + c_k)) S_{B_k}^\top`.

Steps, rates and noise are those of the authors' code for seven layers of 240 tanh units on MNIST, batches of 100: centred RMSprop
with momentum. Departures: inverses and nodes learn side by side rather than in epochs that take turns; initial weights are the
network's own rather than orthogonal ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures import Network, Node, Params
from learning_rules.contract import LearningRule, RuleSpec, RuleState
from learning_rules.feedback_weights import completed, random_feedback, without_bias
from learning_rules.feedforward import feedforward_rule
from learning_rules.objectives import Batch, Objective, as_batch
from learning_rules.optimizers import cosine_schedule, per_part
from learning_rules.signals import project_back

__all__ = ["bent_inverse", "lee", "targets_down"]


def bent_inverse(node: Node, below: Node, params: Params, inverse: Params, signal: Array) -> Array:
    """The inverse of a node, through the activation function of the node below.

    Parameters
    ----------
    node, below
        The node, and the one that it hears; units of both go by their own pre-activations alone.
    params
        The node's own parameters, of which only the shapes enter.
    inverse
        "weights", shaped like the node's, and "offset", one array of the node below's shape.
    signal
        At the node's output, (n, *output_shape).

    Returns
    -------
    Array
        (n, *output_shape of the node below).
    """
    heard = (jnp.zeros((len(signal), *node.input_shapes[0]), signal.dtype),)
    (back,) = project_back(node, completed(params, inverse["weights"]), heard, signal)
    return below.activate((), back + inverse["offset"], ())[1]


def targets_down(
    network: Network, params: Sequence[Params], inverses: Sequence[Params | None], outputs: Sequence[Array], top: Array
) -> tuple[Array, ...]:
    """Targets of all hidden nodes, from that of the last.

    Parameters
    ----------
    network
        A chain.
    params, inverses
        One tree per node; None for a node without an inverse.
    outputs
        Of every node, (n, ...).
    top
        The last hidden node's target.
    """
    targets = [top]
    for index in reversed(range(1, len(network.nodes) - 1)):

        def inverse(signal: Array, index: int = index) -> Array:
            return bent_inverse(network.nodes[index], network.nodes[index - 1], params[index], inverses[index], signal)

        targets.append(outputs[index - 1] + inverse(targets[-1]) - inverse(outputs[index]))
    return tuple(reversed(targets))


def _towards_targets(
    network: Network,
    params: Sequence[Params],
    inputs: Sequence[Array],
    targets: Sequence[Array],
    batch: Batch,
    objective: Objective,
) -> tuple[Params, ...]:
    """Each hidden node's gradient of its own squared distance from its target."""
    counts = objective.example_weights(batch)

    def distance(own: Params, node: Node, x: Array, target: Array) -> Array:
        apart = jnp.square(node.run(own, (), (x,))[1] - target).reshape(len(x), -1)
        return jnp.sum(counts.astype(x.dtype) * jnp.sum(apart, axis=1))

    each = zip(params, network.nodes, inputs, targets, strict=False)
    return tuple(jax.grad(distance)(own, node, x, target) for own, node, x, target in each)


def _reconstruction(inverse: Params, node: Node, below: Node, params: Params, x: Array, h: Array) -> Array:
    """Squared distance of what an inverse makes of a node's answer from what the node heard, mean over the batch."""
    return jnp.sum(jnp.square(bent_inverse(node, below, params, inverse, h) - x)) / len(x)


def _learn_inverses(
    network: Network,
    params: Sequence[Params],
    inverses: Sequence[Params | None],
    inputs: Sequence[Array],
    key: PRNGKeyArray,
    noise: float,
) -> tuple[tuple[Params | None, ...], tuple[Array, ...]]:
    """What each inverse is asked for, and the loss of each that there is."""
    keys = jax.random.split(key, len(network.nodes))
    asked: list[Params | None] = []
    losses: list[Array] = []
    for index, (inverse, k) in enumerate(zip(inverses, keys, strict=True)):
        if inverse is None:
            asked.append(None)
            continue
        node, below = network.nodes[index], network.nodes[index - 1]
        shaken = inputs[index] + noise * jax.random.normal(k, inputs[index].shape, inputs[index].dtype)
        reached = node.run(params[index], (), (shaken,))[1]

        value, slope = jax.value_and_grad(_reconstruction)(inverse, node, below, params[index], shaken, reached)
        losses.append(value)
        asked.append(slope)
    return tuple(asked), tuple(losses)


def lee(network: Network, options: Any, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a chain of units that each go by their own pre-activation.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them, the options those of the family.
    """
    nodes = network.nodes

    def init(key: PRNGKeyArray) -> RuleState:
        drawn = random_feedback(network, jax.random.fold_in(key, 1), options.feedback_gain)

        def inverse_of(index: int) -> Params | None:
            weights = drawn[index]
            if weights is None or index == len(nodes) - 1:
                return None
            return {"weights": without_bias(nodes[index], weights), "offset": jnp.zeros(nodes[index].input_shapes[0])}

        return RuleState({"network": network.init(key), "inverse": tuple(map(inverse_of, range(len(nodes))))}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch = as_batch(batch)
        params, inverses = state.params["network"], state.params["inverse"]
        trace = network.trace(params, batch.inputs)
        inputs, outputs = [heard[0] for heard in trace.inputs], trace.outputs

        def loss(own: Params, h: Array) -> Array:
            return objective.loss(nodes[-1].run(own, (), (h,))[1], batch)

        at_readout, slope = jax.grad(loss, argnums=(0, 1))(params[-1], inputs[-1])
        targets = targets_down(network, params, inverses, outputs, outputs[-2] - options.target_step * slope)
        updates = (*_towards_targets(network, params, inputs, targets, batch, objective), at_readout)
        learned, losses = _learn_inverses(network, params, inverses, inputs, key, options.noise)
        apart = zip(targets, outputs, strict=False)
        info = {
            **objective.metrics(outputs[-1], batch),
            "feedback_loss": losses,
            "target_distance": tuple(jnp.sqrt(jnp.mean(jnp.square(t - h))) for t, h in apart),
        }
        return {"network": updates, "inverse": learned}, state, info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        def steps(rate: float) -> optax.GradientTransformation:
            cosine_schedule(rate, None)  # says what is wrong with it
            return optax.rmsprop(rate, decay=0.95, eps=1e-3, eps_in_sqrt=True, centered=True, momentum=0.9)

        return per_part({"network": steps(options.learning_rate), "inverse": steps(options.feedback_rate)})

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer, objective)
