r"""Decorrelation between nodes, learned without labels: plasticity sees of what other nodes send it what is new about each input.

With inputs :math:`x` less their running mean, an edge keeps an estimate :math:`P` of the inverse of their covariance,

.. math:: P \leftarrow P + \frac{\eta}{1 + \eta \langle x^\top P x \rangle} \big( P - \langle (P x)(P x)^\top \rangle \big),

whose fixed point has :math:`P \langle x x^\top \rangle P = P`. It is the rule of Ahmad, Schrauwen and van Gerven 2022
(arXiv 2205.02125) for :math:`R` with :math:`P = R^\top R`, written for the product, since nothing else of :math:`R` is needed: a
unit that learns :math:`\tilde w` from :math:`R x` answers :math:`\tilde w \cdot R x = w \cdot x` with
:math:`w = R^\top \tilde w`, so that :math:`\Delta \tilde w \propto R x` is :math:`\Delta w \propto P x`, and
:math:`\lVert R x \rVert^2 = x^\top P x`. The network's forward pass stays a plain one.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from learning_rules.perturbation_decorrelation import n_features

__all__ = ["follow_covariance", "no_decorrelation", "through_precision"]

# Covariances change slowly, so a part of every batch is enough to follow them.
_PART_OF_BATCH = 4


def no_decorrelation(shape: tuple[int, ...]) -> Float[Array, "features features"]:
    """Where P starts for inputs of a shape (that of one example): the identity."""
    return jnp.eye(n_features(shape))


def through_precision(x: Array, precision: Float[Array, "features features"]) -> Array:
    """P x, with the shape of the input x (n, ...)."""
    return (x.reshape(-1, len(precision)) @ precision).reshape(x.shape)


def follow_covariance(
    precision: Float[Array, "features features"], x: Array, seen: Array, rate: float
) -> Float[Array, "features features"]:
    """One step of P, from inputs x and `seen`, which is P x.

    The step is divided by what keeps P positive definite: no direction's share of the batch is larger than all of them together.

    Parameters
    ----------
    precision
        P.
    x
        Inputs less their mean, (n, ...).
    seen
        P x, of the same shape.
    rate
        Positive.
    """
    part = max(len(x) // _PART_OF_BATCH, 1)
    inputs, flat = (signal[:part].reshape(-1, len(precision)) for signal in (x, seen))
    energy = jnp.sum(inputs * flat) / len(flat)
    return precision + rate / (1 + rate * energy) * (precision - flat.T @ flat / len(flat))
