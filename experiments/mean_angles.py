"""How far a trained rule that draws noise is from backpropagation on average: an angle of one draw is of its noise as well."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Float

import learning_rules
from experiments.epochs import keys_of, on_one_batch
from experiments.preparing import diagnostic_batch
from experiments.trained import Trained

__all__ = ["N_DRAWS", "angle_of_the_mean"]

N_DRAWS = 256


def angle_of_the_mean(trained: Trained, n_draws: int = N_DRAWS) -> Float[np.ndarray, " n_seeds"]:
    """Degrees between what a rule asks for after the last epoch, averaged over its draws, and backpropagation.

    Parameters
    ----------
    trained
        Networks of a rule that draws noise.
    n_draws
        Draws to average over; a multiple of 8.

    Returns
    -------
    numpy.ndarray
        NaN where so many draws do not tell the mean of a hidden node from nought.
    """

    def align(batch: Any, state: learning_rules.RuleState, key: jax.Array) -> learning_rules.Alignment:
        return learning_rules.alignment_of_the_mean(trained.rule, state, key, batch, n_draws)

    batch = diagnostic_batch(trained.network, trained.images)
    found = jax.jit(on_one_batch(align))(batch, trained.state, keys_of(trained.config.seeds))
    parts = (np.asarray(each) for each in (found.cosine, found.reference_norm, found.norm))
    return learning_rules.mean_angle(trained.network, *parts)
