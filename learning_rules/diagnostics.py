"""What a person wants to see of a rule at work: closeness to backpropagation, how far weights went, how active units are."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from architectures import WEIGHT, Network, Node
from architectures.roles import role_leaves
from learning_rules.contract import LearningRule, RuleState
from learning_rules.objectives import Objective, as_batch, make_objective

__all__ = [
    "BY_OTHER_MEANS",
    "Activity",
    "Alignment",
    "Diagnosis",
    "activity",
    "alignment_with_backprop",
    "diagnose",
    "flat",
    "gradient_of_own_objective",
    "mean_angle",
    "relative_weight_change",
    "saturation",
]

BY_OTHER_MEANS = 25
"""Degrees from the gradient of a rule's own objective under which the rule is called backpropagation by other means."""


class Alignment(NamedTuple):
    """How a rule's pseudo-gradient lies to the gradient of its objective, per node.

    Attributes
    ----------
    cosine
        Between the two; against a gradient of next to nothing it means nothing, hence the norm beside it.
    reference_norm
        Length of the gradient.
    norm
        Length of the rule's pseudo-gradient.
    """

    cosine: Float[Array, " n_nodes"]
    reference_norm: Float[Array, " n_nodes"]
    norm: Float[Array, " n_nodes"]


class Activity(NamedTuple):
    """How active the units of each node are.

    Attributes
    ----------
    silent
        Fraction of units that no example drives away from zero.
    mean
        Mean activation.
    rms
        Root mean square of the activation.
    """

    silent: Float[Array, " n_nodes"]
    mean: Float[Array, " n_nodes"]
    rms: Float[Array, " n_nodes"]


class Diagnosis(NamedTuple):
    """All of it, and what the rule tells of itself.

    Attributes
    ----------
    nodes
        Name -> (n_nodes,): `cosine`, `reference_norm`, `relative_weight_change`, `silent`, `mean`, `rms`, `saturated`.
    info
        The third of what `assign_credit` returns: loss, accuracy and the rule's own quantities.
    """

    nodes: dict[str, Array]
    info: dict[str, Any]


# Where the slope is less than this, a change of the pre-activation is lost on the way.
_FLAT_SLOPE = 0.01


def flat(tree: Any) -> Array:
    """The parameters of a node as one vector; of a node without any a nought.

    Parameters
    ----------
    tree
        Of arrays.
    """
    leaves = jax.tree.leaves(tree)
    return jnp.concatenate([leaf.ravel() for leaf in leaves]) if leaves else jnp.zeros(1)


def _direction(vector: Array) -> tuple[Array, Array]:
    """A vector at unit length, and its length, however small: the squares of a gradient of 1e-25 are zero in single precision."""
    largest = jnp.max(jnp.abs(vector))
    scaled = vector / jnp.where(largest > 0, largest, 1)
    length = jnp.linalg.norm(scaled)
    return scaled / jnp.maximum(length, 1), largest * length


def _own_objective(rule: LearningRule) -> Objective:
    return make_objective("cross_entropy", rule.network) if rule.objective is None else rule.objective


def gradient_of_own_objective(rule: LearningRule, state: RuleState, batch: Any) -> Any:
    """The gradient of a rule's objective of its own prediction, by the network's parameters.

    Parameters
    ----------
    rule, state, batch
        As `alignment_with_backprop` takes them.
    """
    batch, objective = as_batch(batch), _own_objective(rule)
    infer = rule.infer or (lambda params, inputs: rule.network.forward(params, inputs)[-1])
    return jax.grad(lambda p: objective.loss(infer(p, batch.inputs), batch))(state.params["network"])


def alignment_with_backprop(rule: LearningRule, state: RuleState, key: PRNGKeyArray, batch: Any) -> Alignment:
    """Compare what the rule asks of each node with the gradient of its own objective, on one batch.

    The objective is taken of what the rule itself infers: of the scores where its states have settled, if they settle, and else of
    the forward pass's (Scellier and Bengio 2017, doi:10.3389/fncom.2017.00024: what equilibrium propagation follows is the gradient
    of the loss at the settled state, which is none that the forward pass visits).

    Parameters
    ----------
    rule
        Any rule.
    state
        Where it stands.
    key
        Of the rule's own draws.
    batch
        A `Batch`, or a pair (inputs, targets).
    """
    updates = rule.assign_credit(key, state, as_batch(batch))[0]["network"]
    reference = gradient_of_own_objective(rule, state, batch)
    cosines, reference_norms, norms = [], [], []
    for a, b in zip(updates, reference, strict=True):
        (u, norm), (v, reference_norm) = _direction(flat(a)), _direction(flat(b))
        # A node that is asked for nothing points nowhere: zero, not NaN.
        cosines.append(jnp.vdot(u, v))
        norms.append(norm)
        reference_norms.append(reference_norm)
    return Alignment(jnp.stack(cosines), jnp.stack(reference_norms), jnp.stack(norms))


def mean_angle(
    network: Network,
    cosine: Float[np.ndarray, "*batch n_nodes"],
    reference_norm: Float[np.ndarray, "*batch n_nodes"],
    norm: Float[np.ndarray, "*batch n_nodes"],
) -> Float[np.ndarray, "*batch"]:
    """Degrees between a rule and backpropagation: the mean over hidden nodes of the angle between what the two ask for.

    Two directions that have nothing to do with each other are 90 degrees apart; under some 25 degrees a rule is backpropagation by
    other means.

    Parameters
    ----------
    network
        Whose nodes they are.
    cosine, reference_norm, norm
        As `alignment_with_backprop` gives them.

    Returns
    -------
    numpy.ndarray
        NaN where no hidden node is asked for anything, or none has weights: there is no angle then.

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(4, 4, 1), n_classes=3, hidden=(8, 8))
    >>> float(mean_angle(network, np.array([0.0, 0.5, 1.0]), np.ones(3), np.array([0.0, 1.0, 1.0])).round(1))
    60.0
    """
    hidden = np.array([node.weighted for node in network.nodes[:-1]] + [False])
    counts = hidden & (np.asarray(norm) > 0) & (np.asarray(reference_norm) > 0)
    degrees = np.degrees(np.arccos(np.clip(np.asarray(cosine, np.float64), -1, 1)))
    n_nodes = counts.sum(-1)
    return np.where(n_nodes > 0, np.where(counts, degrees, 0).sum(-1) / np.maximum(n_nodes, 1), np.nan)


def relative_weight_change(network: Network, before: Any, after: Any) -> Float[Array, " n_nodes"]:
    """Length of the change over length of the initial weights, per node, biases left out (they start at zero).

    Parameters
    ----------
    network
        The network, which knows what is a weight.
    before, after
        Its parameters, one tree per node. A node without weights has not moved.
    """

    def length(roles: Any, tree: Any) -> Array:
        weights = [leaf for role, leaf in zip(role_leaves(roles), jax.tree.leaves(tree), strict=True) if role.kind == WEIGHT]
        return jnp.linalg.norm(flat(weights)) if weights else jnp.zeros(())

    changes = []
    for node, b, a in zip(network.nodes, before, after, strict=True):
        moved = length(node.roles, jax.tree.map(jnp.subtract, a, b))
        changes.append(moved / jnp.maximum(length(node.roles, b), 1e-30))
    return jnp.stack(changes)


def activity(activations: tuple[Array, ...], *, temporal: bool = False) -> Activity:
    """Statistics of activations per node.

    Parameters
    ----------
    activations
        (n, ...) each, or (n, time, ...).
    temporal
        Whether the second axis is time: a unit is then silent if it is so at every step.
    """
    silent, mean, rms = [], [], []
    for h in activations:
        units = h.reshape(h.shape[0] * h.shape[1], -1) if temporal else h.reshape(h.shape[0], -1)
        silent.append(jnp.mean(jnp.all(jnp.abs(units) < 1e-6, axis=0), dtype=units.dtype))
        mean.append(jnp.mean(units))
        rms.append(jnp.sqrt(jnp.mean(jnp.square(units))))
    return Activity(jnp.stack(silent), jnp.stack(mean), jnp.stack(rms))


def saturation(network: Network, params: Any, inputs: Array) -> Float[Array, " n_nodes"]:
    """Fraction of units and examples at which the activation is flat (slope under 0.01), per node, in a forward pass.

    A rectified unit is flat where it is off; tanh where its pre-activation is more than 3. A node without weights counts as 0.

    Parameters
    ----------
    network
        The network.
    params
        One tree per node.
    inputs
        As `network.forward` takes them.
    """
    trace = network.trace(params, inputs)

    def slope(node: Node, state: Any, z: Any, skips: tuple[Array, ...]) -> Any:
        h, pull = jax.vjp(lambda value: node.activate(state, value, skips)[1], z)
        return pull(jnp.ones_like(h))[0]

    fractions = []
    for node, *signals in zip(network.nodes, trace.states, trace.z, trace.skips, strict=True):
        # In time, step by step: what a unit remembers enters as it stood.
        at = jax.vmap(partial(slope, node)) if network.temporal else partial(slope, node)
        leaves = jax.tree.leaves(at(*signals))
        flat = [jnp.mean(jnp.abs(leaf) < _FLAT_SLOPE, dtype=leaf.dtype) for leaf in leaves]
        fractions.append(jnp.mean(jnp.stack(flat)) if flat else jnp.zeros(()))
    return jnp.stack(fractions)


def diagnose(rule: LearningRule, before: Any, state: RuleState, key: PRNGKeyArray, batch: Any) -> Diagnosis:
    """What a person wants to see of a rule, on one batch.

    Parameters
    ----------
    rule
        Any.
    before
        The network's initial parameters.
    state
        Where the rule has come to.
    key
        Of the rule's own draws.
    batch
        A `Batch`, or a pair (inputs, targets).
    """
    batch = as_batch(batch)
    alignment = alignment_with_backprop(rule, state, key, batch)
    nodes = {
        "cosine": alignment.cosine,
        "reference_norm": alignment.reference_norm,
        "norm": alignment.norm,
        "relative_weight_change": relative_weight_change(rule.network, before, state.params["network"]),
        **activity(rule.represent(state, batch.inputs), temporal=rule.network.temporal)._asdict(),
        "saturated": saturation(rule.network, state.params["network"], batch.inputs),
    }
    return Diagnosis(nodes, dict(rule.assign_credit(key, state, batch)[2]))
