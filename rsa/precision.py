"""Double precision inside, whatever the caller's global setting is.

Networks train in single precision; comparing two RDMs subtracts numbers that are nearly equal, and ranks of thousands
of pairs need more than 24 bits once they are multiplied. Every public function of this package therefore enters a
local context in which JAX computes in 64 bits, and hands back NumPy arrays, so that no 64-bit JAX array leaks out into
code that was compiled for 32 bits.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import jax

# What varies by less than this share of its largest value varies by rounding: it is constant.
CONSTANT_TOLERANCE = 1e-12

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def in_double_precision(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Run a function with JAX's 64-bit types enabled, and leave the caller's setting as it was.

    Parameters
    ----------
    function
        Any function; jitted functions inside it are compiled for 64 bits.

    Returns
    -------
    The same function, run inside ``jax.enable_x64(True)``.

    >>> import jax.numpy as jnp
    >>> in_double_precision(lambda: jnp.ones(2).dtype)()
    dtype('float64')
    """

    @wraps(function)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return run


__all__ = ["CONSTANT_TOLERANCE", "in_double_precision"]
