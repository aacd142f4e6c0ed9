r"""Bootstrap over stimuli, subjects and training seeds, alone and together, with a variance that counts each source once.

A model's score is a mean over subjects and seeds of what stimuli make of it: stimuli, subjects and seeds are crossed samples.
Drawing several of them anew at once counts what depends on two of them three times and on all three seven times; drawing one,
once. With :math:`V_T` the variance over draws of the factors T and :math:`\alpha_f = 1 - 1/n_f`, inclusion and exclusion give
each source alone,

.. math:: \hat V = \sum_f \frac{V_f}{\alpha_f} - \sum_{f<g} \frac{V_{fg} - V_f - V_g}{\alpha_f \alpha_g}
          + \frac{V_{123} - V_{12} - V_{13} - V_{23} + V_1 + V_2 + V_3}{\alpha_1 \alpha_2 \alpha_3}

For two factors this is the corrected bootstrap of Schütt et al. 2023 (doi:10.7554/eLife.82566), kept like theirs above each
single factor's variance and below that of all drawn together. The part of stimuli alone is `rsa.variance`'s, which knows that
scores are sums over pairs of them. Degrees of freedom follow from what each factor contributes (Satterthwaite 1946,
doi:10.2307/3002019), so that three seeds that hardly differ do not make an interval as wide as three that do.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from bioplausible.foundation.errors import InputError, unknown_name
from rsa.bootstrap import bootstrap_counts
from rsa.variance import corrected_variance

FACTORS = ("stimuli", "subjects", "seeds")
MINIMUM = {"stimuli": 6, "subjects": 4, "seeds": 3}

Factors = tuple[str, ...]


class Draws(NamedTuple):
    """How often each stimulus (n_draws, n_conditions), subject (n_draws, n_subjects) and seed (n_draws, n_seeds) was drawn."""

    stimuli: Int[np.ndarray, "n_draws n_conditions"]
    subjects: Int[np.ndarray, "n_draws n_subjects"]
    seeds: Int[np.ndarray, "n_draws n_seeds"]


def usable_factors(n_stimuli: int, n_subjects: int, n_seeds: int) -> Factors:
    """The factors that there are enough of to draw from.

    Parameters
    ----------
    n_stimuli, n_subjects, n_seeds
        How many there are of each.

    Returns
    -------
    Names out of :data:`FACTORS`, in its order, of those with at least :data:`MINIMUM` members.

    >>> usable_factors(92, 3, 5)
    ('stimuli', 'seeds')
    """
    sizes = dict(zip(FACTORS, (n_stimuli, n_subjects, n_seeds), strict=True))
    return tuple(factor for factor in FACTORS if sizes[factor] >= MINIMUM[factor])


def check_factors(factors: Sequence[str], sizes: Mapping[str, int]) -> Factors:
    """Put factors into their order, and refuse those that cannot be drawn from.

    Parameters
    ----------
    factors
        Names out of :data:`FACTORS`.
    sizes
        How many members each factor has.

    Returns
    -------
    The names in the order of :data:`FACTORS`.

    Raises
    ------
    InputError
        For unknown names, and factors with too few members to draw from.
    """
    if isinstance(factors, str) or not factors:
        raise InputError(f"factors={factors!r} was given: give a list of {', '.join(FACTORS)}")
    for factor in factors:
        if factor not in FACTORS:
            raise unknown_name("factor", factor, FACTORS)
        if sizes[factor] < MINIMUM[factor]:
            raise InputError(
                f"{factor} to draw from were {sizes[factor]}, at least {MINIMUM[factor]} are needed: add some, or leave "
                f"'{factor}' out of the factors and say that conclusions hold for no others"
            )
    return tuple(factor for factor in FACTORS if factor in factors)


def subsets(factors: Sequence[str]) -> list[Factors]:
    """All sets of factors that can be drawn together, in the factors' order.

    Parameters
    ----------
    factors
        Their names.

    Returns
    -------
    Every set but the empty one, the smaller first.
    """
    return [chosen for size in range(1, len(factors) + 1) for chosen in combinations(factors, size)]


def crossed_variance(variances: Mapping[Factors, np.ndarray], sizes: Mapping[str, int]) -> np.ndarray:
    """Combine bootstrap variances over sets of crossed factors so that each source counts once.

    Parameters
    ----------
    variances
        For every non-empty set of the factors, the variance over draws of these alone.
    sizes
        How many members each factor has.

    Returns
    -------
    The variance, at least that of each factor alone and at most that of all drawn together.
    """
    every = max(variances, key=len)
    share = {factor: 1 - 1 / sizes[factor] for factor in every}
    total = np.zeros_like(np.asarray(variances[every], dtype=np.float64))
    for chosen in variances:
        inside = subsets(chosen)
        alternating = sum((-1) ** (len(chosen) - len(each)) * np.asarray(variances[each]) for each in inside)
        total = total + (-1) ** (len(chosen) + 1) * alternating / np.prod([share[factor] for factor in chosen])
    single = [np.asarray(variances[(factor,)]) / share[factor] for factor in every]
    return np.asarray(np.clip(total, np.max(single, axis=0), np.maximum(variances[every], np.max(single, axis=0))))


def draw_all(key: jax.Array, n_draws: int, n_conditions: int, n_subjects: int, n_seeds: int) -> Draws:
    """Draw every factor with replacement; sets of factors share their draws, so that differences between them are exact.

    Parameters
    ----------
    key
        JAX random key; the same key gives the same draws.
    n_draws
        Number of bootstrap samples.
    n_conditions, n_subjects, n_seeds
        How many there are of each; what there is one of is counted once in every sample.

    Returns
    -------
    Counts, (n_draws, n_conditions), (n_draws, n_subjects) and (n_draws, n_seeds).

    Raises
    ------
    InputError
        For a negative number of draws.
    """
    keys = jax.random.split(key, 3)
    sizes = (n_conditions, n_subjects, n_seeds)
    return Draws(*(_counts(each, n_draws, size) for each, size in zip(keys, sizes, strict=True)))


def _counts(key: jax.Array, n_draws: int, size: int) -> np.ndarray:
    return np.ones((n_draws, size), dtype=np.int64) if size < 2 else bootstrap_counts(key, n_draws, size)


def variance_over_factors(
    draws: Mapping[Factors, np.ndarray], jackknife: np.ndarray, sizes: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Corrected variance over draws of all factors, and the degrees of freedom that it has.

    Parameters
    ----------
    draws
        For every set of factors, scores of each draw of these alone, shape (n_draws, ...).
    jackknife
        Scores with each stimulus left out, shape (n_conditions, ...).
    sizes
        How many members each factor has.

    Returns
    -------
    The variance and its degrees of freedom (Satterthwaite's), shape (...) each.
    """
    with np.errstate(invalid="ignore"):
        variances = {names: np.nanvar(values, axis=0, ddof=1) for names, values in draws.items()}
    single = {factor: variances[(factor,)] / (1 - 1 / size) for factor, size in sizes.items()}
    of_pairs: np.ndarray | float = 0.0
    if "stimuli" in sizes:
        stimuli = corrected_variance(draws[("stimuli",)], jackknife)
        # What the pairs of conditions add to the bootstrap over stimuli is no source of its own.
        of_pairs, single["stimuli"] = single["stimuli"] - stimuli, stimuli
    largest = np.max(list(single.values()), axis=0)
    total = largest if len(sizes) == 1 else np.maximum(crossed_variance(variances, sizes) - of_pairs, largest)
    parts = np.stack(list(single.values()))
    members = np.array(list(sizes.values()), dtype=np.float64).reshape(-1, *[1] * (parts.ndim - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = np.square(parts.sum(axis=0)) / (np.square(parts) / (members - 1)).sum(axis=0)
    return np.asarray(total), np.where(np.isfinite(freedom), freedom, members.min() - 1)


__all__ = [
    "FACTORS",
    "MINIMUM",
    "Draws",
    "Factors",
    "check_factors",
    "crossed_variance",
    "draw_all",
    "subsets",
    "usable_factors",
    "variance_over_factors",
]
