r"""Whether rules stand in the same order in several places: monkeys who saw different images, regions, recordings.

Monkeys whose stimuli differ are no subjects of one another. What they can be asked is whether they rank the rules alike: by
Kendall's tau-b between every two places, and by Kendall's coefficient of concordance over three or more,

.. math:: W = \frac{\chi^2_F}{m\,(n - 1)},

with Friedman's :math:`\chi^2_F` of n rules ranked in m places, ties corrected: 0 where places have nothing in common, 1 where all
rank alike. Networks are the same in all places, and so may stimuli and subjects be: it says nothing of other networks.

References: Kendall and Babington Smith 1939, doi:10.1214/aoms/1177732186; Friedman 1937, doi:10.1080/01621459.1937.10503522.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from experiments.studying.conditions import MAIN

__all__ = ["Agreement", "agreements", "concordance"]

FEWEST = 4
"""Rules: of three, six orders are all there are, and no agreement of two places is beyond chance."""


class Agreement(NamedTuple):
    """How alike places rank rules.

    Attributes
    ----------
    group
        Of networks.
    places
        Each a region and its recording, in words.
    n_rules
        That are ranked in all of them.
    coefficient
        Kendall's tau-b of two places, W of more; NaN where all rules are level in one.
    p_value
        Of no agreement: two-sided for tau, one-sided for W.
    """

    group: str
    places: tuple[str, ...]
    n_rules: int
    coefficient: float
    p_value: float


def concordance(scores: np.ndarray) -> tuple[float, float]:
    """Kendall's W of several places, and its p-value by Friedman's test.

    Parameters
    ----------
    scores
        (n_places, n_rules), at least three of each; only their order within a place matters.

    >>> ranks = np.array([[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]])
    >>> round(concordance(ranks)[0], 2)
    0.16
    """
    n_places, n_rules = scores.shape
    statistic, p_value = stats.friedmanchisquare(*scores.T)
    return float(statistic / (n_places * (n_rules - 1))), float(p_value)


def agreements(ranks: pd.DataFrame) -> list[Agreement]:
    """Agreement of every two places, and of all of them, in each group of networks.

    Parameters
    ----------
    ranks
        As `conclusions.corrected` gives them.

    Returns
    -------
    list of Agreement
        Of every group the whole first, where there are three places or more. None where fewer than four rules are ranked in both.
    """
    main = ranks[(ranks["condition"] == MAIN) & (ranks["failure"] == "") & (ranks["kind"] == "rule")]
    found = []
    for group, table in main.groupby("group", sort=False):
        by_place = table.assign(place=table["region"] + " (" + table["recording"] + ")").pivot_table(
            index="place", columns="name", values="score", sort=False
        )
        if len(by_place) > 2:
            together = by_place.dropna(axis="columns")
            if together.shape[1] >= FEWEST:
                known = together.shape[1], *concordance(together.to_numpy(float))
                found.append(Agreement(str(group), tuple(by_place.index), *known))
        for one, other in itertools.combinations(by_place.index, 2):
            both = by_place.loc[[one, other]].dropna(axis="columns")
            if both.shape[1] < FEWEST:
                continue
            tau = stats.kendalltau(*both.to_numpy(float))
            level = math.isnan(tau.statistic)
            found.append(
                Agreement(str(group), (one, other), both.shape[1], float(tau.statistic), 1.0 if level else float(tau.pvalue))
            )
    return found
