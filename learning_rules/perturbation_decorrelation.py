r"""Decorrelation of what a block's synapses see, learned without labels.

.. math:: R \leftarrow R - \eta\, \langle (R h)(R h)^\top - I \rangle R

whose fixed points have :math:`\langle (Rh)(Rh)^\top \rangle = I` (Ahmad, Schrauwen and van Gerven 2022, arXiv 2205.02125; used with
node perturbation by Dalm et al. 2023, arXiv 2310.00965). The mean stays in: synapses see inputs, not deviations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from architectures import Network

__all__ = ["decorrelated", "follow_correlations", "n_features", "no_decorrelation"]

# A matrix of all features against all stays smaller than the network's own weights up to about here.
_MOST_FEATURES = 1024

Carry = dict[str, Any]


def n_features(shape: tuple[int, ...]) -> int:
    """All features of an input where they are few, its channels where they are many."""
    return math.prod(shape) if math.prod(shape) <= _MOST_FEATURES else shape[-1]


def _by_features(x: Array, matrix: Float[Array, "features features"]) -> Float[Array, "samples features"]:
    return x.reshape(-1, matrix.shape[0])


def no_decorrelation(network: Network) -> Carry:
    """Identity matrices, one a position, and a count of updates: where learning starts."""
    return {
        "decorrelation": tuple(jnp.eye(n_features(block.input_shape)) for block in network.chain),
        "n_updates": jnp.zeros((), jnp.int32),
    }


def decorrelated(carry: Carry, inputs: Sequence[Array]) -> tuple[Array, ...]:
    r""":math:`R^\top R h` for every position's input: what weights on plain inputs learn with in place of :math:`h`."""
    return tuple((_by_features(x, r) @ r.T @ r).reshape(x.shape) for x, r in zip(inputs, carry["decorrelation"], strict=True))


def follow_correlations(carry: Carry, inputs: Sequence[Array], rate: float, n_steps: int) -> Carry:
    """One update of every matrix, none after `n_steps`."""
    followed = []
    for x, r in zip(inputs, carry["decorrelation"], strict=True):
        features = _by_features(x, r)
        y = features @ r.T
        correlated = y.T @ (y @ r) / len(y)
        followed.append(jnp.where(carry["n_updates"] < n_steps, r - rate * (correlated - r), r).astype(r.dtype))
    return {"decorrelation": tuple(followed), "n_updates": carry["n_updates"] + 1}
