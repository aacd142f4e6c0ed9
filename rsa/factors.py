r"""Bootstrap over stimuli, subjects and training seeds, alone and together, with a variance that counts each source once.

A model's score is a mean over subjects and seeds of what stimuli make of it: stimuli, subjects and seeds are crossed samples.
Drawing several of them anew at once counts what depends on two of them three times and on all three seven times; drawing one,
once. With :math:`V_T` the variance over draws of the factors T and :math:`\alpha_f = 1 - 1/n_f`, inclusion and exclusion give
each source alone,

.. math:: \hat V = \sum_f \frac{V_f}{\alpha_f} - \sum_{f<g} \frac{V_{fg} - V_f - V_g}{\alpha_f \alpha_g}
          + \frac{V_{123} - V_{12} - V_{13} - V_{23} + V_1 + V_2 + V_3}{\alpha_1 \alpha_2 \alpha_3}

For two factors this is the corrected bootstrap of Schütt et al. 2023 (doi:10.7554/eLife.82566), kept like theirs above each
single factor's variance and below that of all drawn together, or, where that is more, the sum of the single ones. The part of
stimuli alone is `rsa.variance`'s, which knows that scores are sums over pairs of them.

Degrees of freedom follow from what each factor contributes (Satterthwaite 1946, doi:10.2307/3002019), so that three seeds that
hardly differ do not make an interval as wide as three that do. What a factor contributes is itself estimated: of three seeds that
happen to lie close together too little is seen, and Satterthwaite's degrees of freedom are then nearly those of the stimuli. Here
each contribution is raised to the bound that it stays below with probability 0.7, one at a time, and the fewest degrees of freedom
that follow are taken; and no interval is narrower than that of any factor alone, with its own n - 1 degrees of freedom. Figures are
in `docs/results/calibration`, as are those of a bound that is never above its level (Banerjee 1960: squares of all factors' own
half-widths, summed), which makes wider intervals.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int
from scipy import stats

from bioplausible.foundation.errors import InputError, unknown_name
from rsa.bootstrap import bootstrap_counts
from rsa.variance import corrected_variance

FACTORS = ("stimuli", "subjects", "seeds")
"""What results can be generalised over."""
MINIMUM = {"stimuli": 6, "subjects": 4, "seeds": 3}
"""How many levels of a factor there have to be before anything is drawn from them."""

# Each factor's part of a variance stays below the bound that degrees of freedom are worked out with in this share of studies: at
# 0.6 true nulls are rejected in up to 5.4 % at a level of 5 %, and at 0.8 intervals are wider.
_BOUND = 0.7

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
    The variance, at least that of each factor alone and at most that of all drawn together, or the sum of each alone.
    """
    every = max(variances, key=len)
    share = {factor: 1 - 1 / sizes[factor] for factor in every}
    total = np.zeros_like(np.asarray(variances[every], dtype=np.float64))
    for chosen in variances:
        inside = subsets(chosen)
        alternating = sum((-1) ** (len(chosen) - len(each)) * np.asarray(variances[each]) for each in inside)
        total = total + (-1) ** (len(chosen) + 1) * alternating / np.prod([share[factor] for factor in chosen])
    single = [np.asarray(variances[(factor,)]) / share[factor] for factor in every]
    # Draws of few members vary less than these do: without sources that factors share, the variance of all drawn together is too
    # small by up to 1 / n, and the sum of each alone is right.
    return np.asarray(np.clip(total, np.max(single, axis=0), np.maximum(variances[every], np.sum(single, axis=0))))


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


class Spread(NamedTuple):
    """How far a score would move with other members of its factors.

    variance, degrees_of_freedom: (...), of all factors together.
    parts: (n_factors, ...), the variance of each factor alone. members: (n_factors,), how many it has.
    """

    variance: np.ndarray
    degrees_of_freedom: np.ndarray
    parts: np.ndarray
    members: np.ndarray

    def _candidates(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Variance and degrees of freedom of everything that an interval has to be as wide as."""
        alone = zip(self.parts, self.members - 1.0, strict=True)
        return [(self.variance, self.degrees_of_freedom), *((part, np.asarray(freedom)) for part, freedom in alone)]

    def half_width(self, confidence: float) -> np.ndarray:
        """Half the width of the interval, (...)."""
        widths = [stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(variance) for variance, freedom in self._candidates()]
        return np.asarray(np.max(widths, axis=0))

    def two_sided_p_value(self, distance: np.ndarray) -> np.ndarray:
        """Of a distance from nought: below 1 - confidence where the interval leaves nought out, and nowhere else."""
        away = np.abs(distance)
        found = []
        for variance, freedom in self._candidates():
            with np.errstate(divide="ignore", invalid="ignore"):
                statistic = np.where(away == 0, 0.0, away / np.sqrt(variance))
            found.append(2 * stats.t.sf(statistic, freedom))
        return np.asarray(np.max(found, axis=0))


def variance_over_factors(draws: Mapping[Factors, np.ndarray], jackknife: np.ndarray, sizes: Mapping[str, int]) -> Spread:
    """Corrected variance over draws of all factors, and what intervals and p-values need beside it.

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
    Spread
        See its fields.
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
    parts, members = np.stack(list(single.values())), np.array(list(sizes.values()), dtype=np.float64)
    return spread_of_parts(np.asarray(total), parts, members)


def spread_of_parts(variance: np.ndarray, parts: np.ndarray, members: np.ndarray) -> Spread:
    """What intervals and p-values need, of a variance and its parts.

    Parameters
    ----------
    variance
        Of all factors together, shape (...).
    parts
        Of each factor alone, shape (n_factors, ...).
    members
        How many each has, shape (n_factors,).

    >>> alone = spread_of_parts(np.array([1.0]), np.array([[1.0]]), np.array([5]))
    >>> float(alone.half_width(0.95)[0].round(3))
    2.776
    """
    return Spread(variance, _degrees_of_freedom(parts, members), parts, members)


def _degrees_of_freedom(parts: np.ndarray, members: np.ndarray) -> np.ndarray:
    """The fewest that follow when any one part is as large as it may well be."""
    own = (members - 1).reshape(-1, *[1] * (parts.ndim - 1))
    raised = parts * own / stats.chi2.ppf(1 - _BOUND, own)
    found = [_satterthwaite(parts, own)]
    for index in range(len(parts)):
        found.append(_satterthwaite(np.concatenate([parts[:index], raised[index : index + 1], parts[index + 1 :]]), own))
    fewest = np.min(found, axis=0)
    return np.where(np.isfinite(fewest), fewest, own.min())


def _satterthwaite(parts: np.ndarray, own: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.square(parts.sum(axis=0)) / (np.square(parts) / own).sum(axis=0))


__all__ = [
    "FACTORS",
    "MINIMUM",
    "Draws",
    "Factors",
    "Spread",
    "check_factors",
    "crossed_variance",
    "draw_all",
    "spread_of_parts",
    "subsets",
    "usable_factors",
    "variance_over_factors",
]
