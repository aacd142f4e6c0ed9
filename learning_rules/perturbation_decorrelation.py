r"""Decorrelation of what a node hears through its weights, learned without labels.

.. math:: R \leftarrow R - \eta\, \langle (R h)(R h)^\top - I \rangle R

whose fixed points have :math:`\langle (Rh)(Rh)^\top \rangle = I` (Ahmad, Schrauwen and van Gerven 2022, arXiv 2205.02125; used with
node perturbation by Dalm et al. 2023, arXiv 2310.00965). The mean stays in: synapses see inputs, not deviations.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from architectures import Network

__all__ = ["decorrelated", "follow_correlations", "n_features", "no_decorrelation"]

# A matrix of all features against all stays smaller than the network's own weights up to about here.
_MAX_FEATURES = 1024

Carry = dict[str, Any]


def n_features(shape: tuple[int, ...]) -> int:
    """All features of an input where they are few, its channels where they are many.

    Parameters
    ----------
    shape
        Of one example's input.
    """
    return math.prod(shape) if math.prod(shape) <= _MAX_FEATURES else shape[-1]


def _by_features(x: Array, matrix: Float[Array, "features features"]) -> Float[Array, "samples features"]:
    return x.reshape(-1, matrix.shape[0])


def no_decorrelation(network: Network) -> Carry:
    """Identity matrices, one for each weighted edge of each node, and a count of updates: where learning starts.

    Parameters
    ----------
    network
        The network.
    """
    matrices = tuple(tuple(jnp.eye(n_features(shape)) for shape in node.input_shapes) for node in network.nodes)
    return {"decorrelation": matrices, "n_updates": jnp.zeros((), jnp.int32)}


def decorrelated(carry: Carry, inputs: Any) -> Any:
    r""":math:`R^\top R h` of what arrives: what weights on plain inputs learn with in place of :math:`h`.

    Parameters
    ----------
    carry
        As `no_decorrelation` gives it.
    inputs
        For each node, what arrives over each weighted edge, (n, ...) or (time, n, ...).
    """
    return jax.tree.map(lambda x, r: (_by_features(x, r) @ r.T @ r).reshape(x.shape), inputs, carry["decorrelation"])


def follow_correlations(carry: Carry, inputs: Any, rate: float, n_steps: int) -> Carry:
    """One update of every matrix, none after `n_steps`.

    Parameters
    ----------
    carry, inputs
        As `decorrelated` takes them.
    rate
        Of the change, above 0.
    n_steps
        Updates after which matrices stay.
    """

    def follow(x: Array, r: Array) -> Array:
        features = _by_features(x, r)
        y = features @ r.T
        correlated = y.T @ (y @ r) / len(y)
        return jnp.where(carry["n_updates"] < n_steps, r - rate * (correlated - r), r).astype(r.dtype)

    return {"decorrelation": jax.tree.map(follow, inputs, carry["decorrelation"]), "n_updates": carry["n_updates"] + 1}
