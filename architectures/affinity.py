"""Whether a node is what rules take it for, found by trying it.

Linear in its parameters and affine in each of its inputs, and the same for an example whatever others are shown beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from bioplausible.foundation.errors import InputError

__all__ = ["is_affine", "refuse_company"]

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


def refuse_company(name: str, run: Callable[..., Any], *arguments: Any) -> None:
    """Refuse a function whose answer to an example depends on the others that are shown beside it, or on the time of day.

    Parameters
    ----------
    name
        Of the node.
    run
        (params, *others) -> a tree of arrays with examples as the leading axis.
    *arguments
        Parameters, then trees of what has examples as its leading axis; arrays or their shapes.

    Raises
    ------
    InputError
        Where an example's answer changes with its neighbours, or from one call to the next.

    >>> x = np.ones((1, 3), np.float32)
    >>> refuse_company("fine", lambda params, x: x * params, np.float32(2), x)
    >>> refuse_company("centred", lambda params, x: x - x.mean(0), np.float32(2), x)
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: what 'centred' gives for an example changes with the others beside it: ...
    """
    rng = np.random.default_rng(2)
    params, *others = arguments
    params = _drawn(rng, params)

    def several(leaf: Any) -> Any:
        return rng.normal(size=(3, *leaf.shape[1:])).astype(np.float32)

    shown = jax.tree.map(several, others)

    def moved(change: Callable[[np.ndarray], np.ndarray]) -> Any:
        return jax.tree.map(change, shown)

    def answers(compiled: Callable[..., Any], shown: Any, row: int) -> list[np.ndarray]:
        n = len(jax.tree.leaves(shown)[0])
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(compiled(params, *shown))]
        return [leaf[row] for leaf in leaves if leaf.ndim and len(leaf) == n]

    def differ(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
        pairs = zip(one, other, strict=True)
        return any(np.max(np.abs(a - b), initial=0) > _TOLERANCE * (1e-3 + np.max(np.abs(a), initial=0)) for a, b in pairs)

    # Functions are traced anew where they may have drawn numbers of their own.
    first, again = (jax.jit(lambda params, *shown: run(params, *shown)) for _ in range(2))
    alone = answers(first, shown, 0)
    if differ(alone, answers(again, shown, 0)):
        raise InputError(
            f"'{name}' gives something else each time for the same input: leave out numbers that are drawn outside (NumPy's, say), "
            "which no seed repeats"
        )
    large = np.array([1, 30, -30], np.float32)
    beside_others = [
        (moved(lambda x: x * large.reshape(3, *[1] * (x.ndim - 1))), 0),  # next to much larger ones
        (moved(lambda x: x[::-1]), 2),  # at another place
        (moved(lambda x: x[:2]), 0),  # among fewer
    ]
    if any(differ(alone, answers(first, others, row)) for others, row in beside_others):
        raise InputError(
            f"what '{name}' gives for an example changes with the others beside it: leave out what takes a mean or a maximum over "
            "examples, or take it over units"
        )
