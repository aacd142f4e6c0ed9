"""How far a trained rule is from backpropagation when the same numbers are computed in double precision.

Where the angle differs from the one in single precision, rounding has a say in where weights go: a rule that looks unlike
backpropagation, or like it, may be so by its arithmetic alone.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Float

import learning_rules
from experiments.epochs import keys_of, on_one_batch
from experiments.preparing import diagnostic_batch
from experiments.trained import Trained
from learning_rules.plausibility.precision import as_double, double_precision

__all__ = ["angle_in_double"]


# Two draws of one batch are as alike as this, in degrees, where nothing was drawn.
_SAME = 1e-6


def angle_in_double(trained: Trained) -> Float[np.ndarray, " n_seeds"]:
    """Degrees from backpropagation after the last epoch, as `Trained.angles` has them, computed in double precision.

    Parameters
    ----------
    trained
        Networks of any rule.

    Returns
    -------
    numpy.ndarray
        NaN where hidden nodes are asked for nothing, and where the rule draws noise: it draws other noise in either precision, and
        that is no rounding.

    >>> from experiments import train
    >>> trained = train(rule="backprop", architecture="mlp", dataset="digits", epochs=1)
    >>> bool(angle_in_double(trained)[0] < 1e-4), bool(trained.angles["end"][0] < 0.1)
    (True, True)
    """
    batch = diagnostic_batch(trained.network, trained.images)
    keys = keys_of(trained.config.seeds)
    with double_precision():
        state, precise_batch = as_double(trained.state), as_double(batch)

        def align(batch: Any, one: learning_rules.RuleState, key: jax.Array) -> list[tuple[jax.Array, ...]]:
            twice = (key, jax.random.split(key)[0])
            found = [learning_rules.alignment_with_backprop(trained.rule, one, k, batch) for k in twice]
            return [(each.cosine, each.reference_norm, each.norm) for each in found]

        parts = jax.block_until_ready(jax.jit(on_one_batch(align))(precise_batch, state, keys))
        once, again = (learning_rules.mean_angle(trained.network, *map(np.asarray, each)) for each in parts)
    # A sign that is drawn is the same in both by chance: of what draws no seed is told.
    draws = bool(np.any(np.abs(once - again) > _SAME))
    return np.full_like(once, np.nan) if draws else once
