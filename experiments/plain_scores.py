"""Scores that stimuli are not drawn anew for: of patterns themselves (CKA, Procrustes, encoding).

What a measure of patterns scores when nothing is shared differs from one to the other (debiased CKA: nothing; Procrustes: far
above it), so that no p-value is given; what learning adds is in the differences, which are paired. Intervals are for other
subjects and training seeds: stimuli cannot be drawn twice without making patterns that are the same, or folds that share some.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

import rsa
from experiments.compare_config import ScoringConfig
from experiments.pairing import Generalised, Members, factors_drawn, generalised, missing_seeds
from experiments.scoring import Model, RegionScores, contrasted, differences_of, grouped

__all__ = ["score_patterns", "score_plainly"]


def _beyond(key: jax.Array, scores: np.ndarray, members: Sequence[Members], config: ScoringConfig) -> Generalised:
    """What holds for other subjects and seeds; nothing where there are too few of both to draw from."""
    usable = rsa.usable_factors(0, scores.shape[1], max(map(len, members)))
    factors = tuple(factor for factor in usable if factor in config.factors and config.n_draws > 1)

    def generalise(groups: list[list[int]], chosen: tuple[str, ...]) -> rsa.Generalisation:
        return rsa.generalise_scores(key, scores[np.array(groups)], chosen, config.n_draws, config.confidence)

    return generalised(scores, members, factors, generalise)


def score_plainly(
    key: jax.Array,
    region: str,
    models: Sequence[Model],
    score: Callable[[int], np.ndarray],
    subjects: Sequence[str],
    times: Sequence[float] | None,
    config: ScoringConfig,
) -> RegionScores:
    """Lay scores out, with intervals over subjects and seeds.

    Parameters
    ----------
    key
        Of draws.
    region
        Its name.
    models
        Which layer of which network each row of scores is of.
    score
        Index of a time (0 where there are none) -> scores, (n_models, n_subjects).
    subjects
        Their names.
    times
        In seconds, where the data have any.
    config
        Draws, confidence and what to generalise over.
    """
    groups = grouped(models)
    names, members = list(groups), list(groups.values())
    scores: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    for index, time in enumerate([None] if times is None else times):
        found = score(index)
        beyond = _beyond(jax.random.fold_in(key, 1), found, members, config)
        blank = {"lower": np.nan, "upper": np.nan, "p_value": np.nan, "ceiling_lower": np.nan, "ceiling_upper": np.nan}
        where = {"region": region, "time": time}
        scores += [
            {**model._asdict(), **where, "subject": subject, "score": float(found[i, j]), **blank}
            for i, model in enumerate(models)
            for j, subject in enumerate(subjects)
        ]
        for g, (rule, layer) in enumerate(names):
            mean = float(found[list(members[g].values())].mean())
            row = {"rule": rule, "seed": None, "layer": layer, **where, "subject": None, "score": mean}
            scores.append({**row, **blank, **beyond.interval(g)})
        differences += differences_of(names, beyond, where)
    return RegionScores(scores, differences, [], [], [], [], factors_drawn(members, contrasted(names), beyond.factors))


def score_patterns(
    key: jax.Array,
    region: str,
    models: Sequence[Model],
    model_patterns: Sequence[np.ndarray],
    data: Sequence[np.ndarray],
    subjects: Sequence[str],
    times: Sequence[float] | None,
    measure: str,
    config: ScoringConfig,
) -> RegionScores:
    """Score every layer's patterns against a region's.

    Parameters
    ----------
    key, region, models, subjects, times, config
        As in `score_plainly`; the key is of folds too.
    model_patterns
        For each model (n_conditions, n_units).
    data
        For each subject (n_conditions, n_channels), or (n_times, n_conditions, n_channels).
    measure
        One of `rsa.PATTERN_COMPARATORS`.
    """

    def score(index: int) -> np.ndarray:
        at_time = data if times is None else [patterns[index] for patterns in data]
        return rsa.compare_patterns(model_patterns, at_time, measure, jax.random.fold_in(key, 0))

    groups = grouped(models)
    names, members = list(groups), list(groups.values())
    scored = score_plainly(key, region, models, score, subjects, times, config)
    return scored._replace(warnings=[*scored.warnings, *missing_seeds(names, members, contrasted(names))])
