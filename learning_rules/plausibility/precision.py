"""Double precision for everything that a program does, in whichever thread it does it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["as_double", "double_precision"]


@contextmanager
def double_precision() -> Iterator[None]:
    """Compute in double precision, and leave the caller's settings as they were.

    `jax.enable_x64` is of the thread that enters it. What a program calls back (`jax.pure_callback`) may run in another, where its
    numbers would be made single again and refused, or not, as the machine pleases: so all threads are told.

    >>> import jax.numpy as jnp
    >>> with double_precision():
    ...     jnp.ones(2).dtype
    dtype('float64')
    """
    with ThreadPoolExecutor(1) as pool:  # a thread of its own has no setting of its own
        elsewhere = pool.submit(lambda: jax.config.values["jax_enable_x64"]).result()
    jax.config.update("jax_enable_x64", True)
    try:
        with jax.enable_x64(True):
            yield
    finally:
        jax.config.update("jax_enable_x64", elsewhere)


def as_double(tree: Any) -> Any:
    """The same numbers in double precision; within `double_precision`. What is no floating-point number stays as it is.

    Parameters
    ----------
    tree
        Of arrays.
    """

    def cast(leaf: Any) -> Any:
        return jnp.asarray(np.asarray(leaf), jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(cast, tree)
