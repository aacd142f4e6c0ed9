"""The optax transformations that rules are tuned with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from architectures import Network, Node
from architectures.node import is_shape
from bioplausible.foundation.errors import InputError

__all__ = [
    "adam",
    "borrowed_optimizer",
    "cosine_schedule",
    "hidden_and_readout",
    "mean_over_places",
    "n_places",
    "per_part",
    "plain_steps",
]


def cosine_schedule(learning_rate: float, n_steps: int | None) -> optax.ScalarOrSchedule:
    """Half a cosine from a learning rate to zero (Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts).

    Parameters
    ----------
    learning_rate
        At the first step.
    n_steps
        By which it has fallen to zero; None where their number is not known, and the rate then stays as it is.

    Raises
    ------
    InputError
        If the rate is not positive.

    >>> cosine_schedule(0.1, None), cosine_schedule(0.1, 10)(10).item()
    (0.1, 0.0)
    """
    if not 0 < learning_rate < math.inf:
        raise InputError(f"learning_rate={learning_rate} was given, it must be positive and finite: try 0.001")
    return learning_rate if n_steps is None else optax.cosine_decay_schedule(learning_rate, max(n_steps, 1))


def _check_decay(weight_decay: float) -> None:
    if not 0 <= weight_decay < math.inf:
        raise InputError(f"weight_decay={weight_decay} was given, it must be finite and at least 0, which is none")


def adam(learning_rate: float, n_steps: int | None = None, weight_decay: float = 0.0) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015, arXiv 1412.6980), with decoupled decay where asked for (arXiv 1711.05101).

    Parameters
    ----------
    learning_rate, n_steps
        As `cosine_schedule` takes them.
    weight_decay
        Fraction of each parameter that is taken away at every step, per unit of the learning rate.

    Raises
    ------
    InputError
        If the rate is not positive, or the decay below nought.
    """
    _check_decay(weight_decay)
    rate = cosine_schedule(learning_rate, n_steps)
    return optax.adamw(rate, weight_decay=weight_decay) if weight_decay else optax.adam(rate)


def plain_steps(
    learning_rate: float, momentum: float = 0.0, weight_decay: float = 0.0, n_steps: int | None = None
) -> optax.GradientTransformation:
    """Gradient steps with heavy-ball momentum and a decay that is added to the updates where asked for.

    Parameters
    ----------
    learning_rate
        Of every step, or of the first where it falls.
    momentum
        Fraction of the last step that the next one repeats, 0 for none.
    weight_decay
        Fraction of each parameter that is taken away at every step, per unit of the learning rate.
    n_steps
        After how many the rate has fallen to zero, as `cosine_schedule` has it; None for a rate that never falls.

    Raises
    ------
    InputError
        If the rate is not positive, or the decay below nought.

    >>> step = plain_steps(0.1, weight_decay=0.5)
    >>> round(float(step.update(1.0, step.init(4.0), 4.0)[0]), 6)
    -0.3
    """
    _check_decay(weight_decay)
    rate = cosine_schedule(learning_rate, n_steps)
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(rate, momentum or None))


def per_part(transforms: Mapping[str, optax.GradientTransformation]) -> optax.GradientTransformation:
    """One transformation for each part of `RuleState.params`.

    Parameters
    ----------
    transforms
        By the parts' names.
    """
    return optax.partition(dict(transforms), {part: part for part in transforms})


def n_places(node: Node) -> int:
    """In how many places a node's weights are used: each place of a map, each token; nodes without weights have one.

    Parameters
    ----------
    node
        The node.
    """
    return max((math.prod(shape[:-1]) for shape in jax.tree.leaves(node.z_shape, is_leaf=is_shape)), default=1)


def mean_over_places(network: Network) -> optax.GradientTransformation:
    """A node's sum over the places that share its weights becomes their mean.

    Parameters
    ----------
    network
        Whose parameters are `params["network"]`.

    >>> import architectures, jax.numpy as jnp
    >>> network = architectures.build("cnn", input_shape=(8, 8, 1), n_classes=2, channels=(3,), hidden=(), strides=1)
    >>> updates = {"network": (jnp.ones(3), jnp.ones(2))}
    >>> [1 / float(leaf[0]) for leaf in mean_over_places(network).update(updates, optax.EmptyState())[0]["network"]]
    [64.0, 1.0]
    """
    fractions = [1 / n_places(node) for node in network.nodes]

    def mean(updates: Any, params: Any = None) -> Any:
        each = zip(fractions, updates["network"], strict=True)
        return {**updates, "network": tuple(optax.tree.scale(fraction, own) for fraction, own in each)}

    return optax.stateless(mean)


def hidden_and_readout(
    network: Network,
    hidden: optax.GradientTransformation,
    readout: optax.GradientTransformation,
    **others: optax.GradientTransformation,
) -> optax.GradientTransformation:
    """One transformation for the network's last node, another for all before it, and one for each other part that is trained.

    Parameters
    ----------
    network
        Whose parameters are `params["network"]`.
    hidden
        For hidden nodes.
    readout
        For the last node.
    **others
        For other parts of `RuleState.params`, by their names.
    """
    part = ("hidden",) * (len(network.nodes) - 1) + ("readout",)
    return optax.partition({"hidden": hidden, "readout": readout, **others}, {"network": part, **{name: name for name in others}})


def borrowed_optimizer(transform: optax.GradientTransformation, params: Mapping[str, Any]) -> optax.GradientTransformation:
    """What one rule's transformation does to a network, for another rule that has the network's parameters alone.

    So that backpropagation can be tried with the optimiser of any rule: what a rule reaches by its optimiser is not by its credit.

    Parameters
    ----------
    transform
        Of the rule that lends it.
    params
        That rule's `RuleState.params`; its parts other than the network stay as they are and are asked for no change.

    >>> import jax.numpy as jnp
    >>> lent = per_part({"network": optax.sgd(0.5), "feedback": optax.sgd(0.1)})
    >>> own = {"network": jnp.ones(2)}
    >>> transform = borrowed_optimizer(lent, {**own, "feedback": jnp.ones(3)})
    >>> {name: update.tolist() for name, update in transform.update(own, transform.init(own), own)[0].items()}
    {'network': [-0.5, -0.5]}
    """
    others = {name: part for name, part in params.items() if name != "network"}
    nothing = jax.tree.map(jnp.zeros_like, others)

    def init(own: Any) -> Any:
        return transform.init({**others, **own})

    def update(updates: Any, state: Any, own: Any = None) -> tuple[Any, Any]:
        whole = None if own is None else {**others, **own}
        changed, state = transform.update({**nothing, **updates}, state, whole)
        return {"network": changed["network"]}, state

    return optax.GradientTransformation(init, update)
