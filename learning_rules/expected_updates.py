"""What a rule that draws noise asks for on average, and how that lies to the gradient: bias told from noise.

One draw of weight perturbation is nearly orthogonal to the gradient, with a cosine of one over the root of the number of weights,
and the mean over draws is the gradient (Fiete and Seung 2006, doi:10.1103/PhysRevLett.97.048104; Baydin et al. 2022,
arXiv 2202.08587). The length of a mean is estimated from products of draws that are independent of each other, so that noise adds
nothing to it on average; as distances are cross-validated (Walther et al. 2016, doi:10.1016/j.neuroimage.2015.12.012).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import PRNGKeyArray

from learning_rules.contract import LearningRule, RuleState
from learning_rules.diagnostics import Alignment, flat, gradient_of_own_objective

__all__ = ["alignment_of_the_mean"]

_N_GROUPS = 8
_RESOLVED = 3.0
"""A squared length is told from nought from so many of its standard errors on."""


def alignment_of_the_mean(rule: LearningRule, state: RuleState, key: PRNGKeyArray, batch: Any, n_draws: int = 64) -> Alignment:
    """Compare the mean of what a rule asks of each node, over its own draws, with the gradient of its own objective, on one batch.

    Parameters
    ----------
    rule, state, batch
        As `alignment_with_backprop` takes them.
    key
        Of the draws.
    n_draws
        How many; a multiple of 8.

    Returns
    -------
    Alignment
        `cosine` NaN where so many draws do not tell the mean from nought.
    """
    reference = [flat(each) for each in gradient_of_own_objective(rule, state, batch)]

    def mean_of_group(keys: Array) -> list[Array]:
        def add(total: list[Array], one: Array) -> tuple[list[Array], None]:
            asked = [flat(each) for each in rule.assign_credit(one, state, batch)[0]["network"]]
            return [a + b for a, b in zip(total, asked, strict=True)], None

        total, _ = jax.lax.scan(add, [jnp.zeros_like(each) for each in reference], keys)
        return [each / len(keys) for each in total]

    groups = jax.lax.map(mean_of_group, jax.random.split(key, (_N_GROUPS, n_draws // _N_GROUPS)))
    return Alignment(*(jnp.stack(each) for each in zip(*map(_of_node, groups, reference), strict=True)))


def _of_node(means: Array, reference: Array) -> tuple[Array, Array, Array]:
    """Cosine, the gradient's length and the mean's, of the means of independent groups ``(n_groups, n_parameters)``."""
    # Squares of what is tiny are nought in single precision.
    size, reference_size = (jnp.max(jnp.abs(each)) for each in (means, reference))
    scaled, direction = (each / jnp.where(of > 0, of, 1) for each, of in ((means, size), (reference, reference_size)))
    reference_norm = jnp.linalg.norm(direction)
    across = (scaled @ scaled.T)[jnp.triu_indices(len(means), 1)]
    square, error = across.mean(), across.std(ddof=1) / jnp.sqrt(len(across))
    along = jnp.mean(scaled @ direction) / jnp.maximum(reference_norm, 1e-30)
    length = jnp.sqrt(jnp.maximum(square, 0))
    cosine = jnp.where(square > _RESOLVED * error, jnp.clip(along / jnp.where(length > 0, length, 1), -1, 1), jnp.nan)
    return cosine, reference_size * reference_norm, size * length
