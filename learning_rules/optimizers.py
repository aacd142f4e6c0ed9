"""The optax transformations that rules are tuned with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import optax

from architectures import Network
from bioplausible.foundation.errors import InputError

__all__ = ["adam", "body_and_readout", "falling_rate", "mean_over_places", "per_part"]


def falling_rate(learning_rate: float, n_steps: int | None) -> optax.ScalarOrSchedule:
    """Half a cosine from `learning_rate` to zero in `n_steps`; constant where the number of steps is not known.

    Raises:
        InputError: if the rate is not positive.
    """
    if not learning_rate > 0:
        raise InputError(f"learning_rate={learning_rate} was given, it must be positive")
    return learning_rate if n_steps is None else optax.cosine_decay_schedule(learning_rate, max(n_steps, 1))


def adam(learning_rate: float, n_steps: int | None = None, weight_decay: float = 0.0) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015, arXiv 1412.6980), with decoupled decay where asked for (arXiv 1711.05101)."""
    rate = falling_rate(learning_rate, n_steps)
    return optax.adamw(rate, weight_decay=weight_decay) if weight_decay else optax.adam(rate)


def per_part(transforms: Mapping[str, optax.GradientTransformation]) -> optax.GradientTransformation:
    """One transformation for each part of `RuleState.params`."""
    return optax.partition(dict(transforms), {part: part for part in transforms})


def mean_over_places(network: Network) -> optax.GradientTransformation:
    """A block's sum over the places that share its weights becomes their mean."""
    shares = [1 / math.prod(block.synapse_shape[:-1]) for block in network.blocks]

    def mean(updates: Any, params: Any = None) -> Any:
        blocks = zip(shares, updates["network"], strict=True)
        return {**updates, "network": tuple(optax.tree.scale(share, block) for share, block in blocks)}

    return optax.stateless(mean)


def body_and_readout(
    network: Network,
    body: optax.GradientTransformation,
    readout: optax.GradientTransformation,
    **others: optax.GradientTransformation,
) -> optax.GradientTransformation:
    """One transformation for the network's last block, another for all others, and one for each other part that is trained."""
    part = tuple("readout" if index == network.order[-1] else "body" for index in range(len(network.blocks)))
    return optax.partition({"body": body, "readout": readout, **others}, {"network": part, **{name: name for name in others}})
