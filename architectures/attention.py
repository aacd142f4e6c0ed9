r"""A node of softmax attention: weights make queries, keys and values of each token, and what follows is free of parameters.

.. math:: h_q = \sum_k \mathrm{softmax}_k\!\left( q_q^\top k_k / \sqrt{d} \right) v_k

Vaswani et al. 2017, arXiv 1706.03762, without the product after the heads, which the next node's weights can be.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures.dense import added, kernel_init
from architectures.node import Node, Params, make_node
from architectures.roles import WEIGHT, Role
from bioplausible.foundation.errors import InputError

__all__ = ["attention"]

_PARTS = ("query", "key", "value")


def attention(name: str, input_shape: tuple[int, int], n_units: int | None = None, n_heads: int = 2) -> Node:
    """Tokens that look at each other.

    Parameters
    ----------
    name
        The node's name.
    input_shape
        (tokens, features) of one example.
    n_units
        Features of each token that is passed on; as many as come in, by default, so that a skip edge can pass the node by.
    n_heads
        Number of heads, which share the units evenly.

    Raises
    ------
    InputError
        If the heads do not share the units evenly, or the input is not (tokens, features).
    """
    if len(input_shape) != 2:
        raise InputError(f"input_shape={input_shape} was given to attention '{name}', expected (tokens, features)")
    n_tokens, n_features = input_shape
    units = n_features if n_units is None else n_units
    if n_heads < 1 or units % n_heads:
        raise InputError(f"n_heads={n_heads} was given to '{name}' with {units} units: give a number that divides them")
    draw = kernel_init("identity", 1.0)

    def init(key: PRNGKeyArray) -> Params:
        keys = jax.random.split(key, len(_PARTS))
        return {part: {"kernel": draw(k, (n_features, units), jnp.float32)} for part, k in zip(_PARTS, keys, strict=True)}

    def synapse(params: Params, inputs: tuple[Array, ...]) -> dict[str, Array]:
        return {part: inputs[0] @ params[part]["kernel"] for part in _PARTS}

    def activate(state: Any, z: dict[str, Array], skips: tuple[Array, ...]) -> tuple[Any, Array]:
        query, key, value = (z[part].reshape(*z[part].shape[:-1], n_heads, units // n_heads) for part in _PARTS)
        weights = jax.nn.softmax(jnp.einsum("nqhd,nkhd->nhqk", query, key) / jnp.sqrt(units / n_heads).astype(query.dtype))
        h = jnp.einsum("nhqk,nkhd->nqhd", weights, value)
        return state, added(h.reshape(len(h), n_tokens, units), skips)

    role = Role(WEIGHT, units=(1,), fan_in=(0,), edge=0, presynaptic=0)
    return make_node(
        name,
        affine=True,
        input_shapes=(tuple(input_shape),),
        init=init,
        synapse=synapse,
        activate=activate,
        roles={part: {"kernel": role} for part in _PARTS},
    )
