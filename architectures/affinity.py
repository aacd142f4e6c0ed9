"""Whether a synapse is what rules take it for: linear in its parameters and affine in each of its inputs, found by trying it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

__all__ = ["is_affine"]

_TOLERANCE = 1e-3


def _drawn(rng: np.random.Generator, tree: Any) -> Any:
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), tree)


def is_affine(synapse: Callable[[Any, tuple[Any, ...]], Any], params: Any, inputs: Sequence[Any]) -> bool:
    """Whether a function is linear in its parameters and affine in each input while the others stay, on random numbers.

    Parameters
    ----------
    synapse
        (params, inputs) -> a tree of arrays.
    params
        A tree of arrays or of their shapes.
    inputs
        An array or its shape for each input.

    >>> import jax.numpy as jnp
    >>> w, x = jnp.ones((3, 2)), (jnp.ones((2, 3)),)
    >>> is_affine(lambda w, x: x[0] @ w, w, x), is_affine(lambda w, x: jnp.maximum(x[0], 0) @ w, w, x)
    (True, False)
    """
    rng = np.random.default_rng(1)
    p, q = _drawn(rng, params), _drawn(rng, params)
    x, y = _drawn(rng, tuple(inputs)), _drawn(rng, tuple(inputs))
    tried = jax.jit(synapse)  # compiled whole, which takes less than each of its operations by itself

    def at(params: Any, inputs: tuple[Any, ...]) -> Any:
        return jax.tree.map(np.asarray, tried(params, inputs))

    def combined(a: Any, b: Any, origin: Any) -> Any:
        return jax.tree.map(lambda u, v, o: 2 * (u - o) - 3 * (v - o) + o, a, b, origin)

    def alike(a: Any, b: Any) -> bool:
        pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
        return all(bool(np.max(np.abs(u - v), initial=0) <= _TOLERANCE * (1 + np.max(np.abs(v), initial=0))) for u, v in pairs)

    def with_one(index: int, value: Any) -> tuple[Any, ...]:
        return (*x[:index], value, *x[index + 1 :])

    here = at(p, x)
    mixed = jax.tree.map(lambda u, v: 2 * u - 3 * v, p, q)
    if not alike(at(mixed, x), jax.tree.map(lambda u, v: 2 * u - 3 * v, here, at(q, x))):
        return False
    return all(
        alike(
            at(p, with_one(k, 2 * x[k] - 3 * y[k])),
            combined(here, at(p, with_one(k, y[k])), at(p, with_one(k, np.zeros_like(x[k])))),
        )
        for k in range(len(x))
    )
