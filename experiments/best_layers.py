"""Scores of every network's best layer, chosen on other stimuli and subjects than it is scored on, in one region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

import rsa
from experiments.compare_config import ScoringConfig
from experiments.pairing import factors_drawn, missing_seeds
from experiments.scoring import (
    Model,
    RegionScores,
    beyond_of,
    contrasted,
    differences_of,
    factors_of,
    grouped,
    single_rows,
    together_rows,
)

__all__ = ["BEST", "score_best_layers"]

BEST = "best"
"""In the place of a layer's name: that which was chosen on other stimuli and subjects."""


def score_best_layers(
    key: jax.Array,
    region: str,
    models: Sequence[Model],
    model_rdms: np.ndarray,
    data: np.ndarray,
    subjects: Sequence[str],
    times: Sequence[float] | None,
    comparator: str,
    config: ScoringConfig,
    covariates: np.ndarray | None = None,
) -> RegionScores:
    """Score every network's best layer.

    Parameters
    ----------
    key
        Of folds and draws.
    region
        Its name.
    models
        Which layer of which network each RDM is of.
    model_rdms
        (n_models, n_pairs).
    data
        (n_subjects, n_pairs), or (n_times, n_subjects, n_pairs).
    subjects
        Their names.
    times
        In seconds, where the data have any.
    comparator
        One of `rsa.COMPARATORS`.
    config
        Draws, confidence and what to generalise over.
    covariates
        RDMs that are taken out of models and data alike, (n_covariates, n_pairs).

    Returns
    -------
    RegionScores
        Rows of layer `BEST`, without p-values against zero and without a ceiling; no rows, and a sentence that says why, where
        stimuli are too few.
    """
    networks: dict[tuple[str, int], list[int]] = {}
    for place, model in enumerate(models):
        networks.setdefault((model.rule, model.seed), []).append(place)
    best = [Model(rule, seed, BEST) for rule, seed in networks]
    groups = grouped(best)
    names, members = list(groups), list(groups.values())
    pairs = contrasted(names)
    factors, _ = factors_of(region, model_rdms.shape[1], len(subjects), max(map(len, members)), config)
    scores: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    warnings: list[str] = missing_seeds(names, members, pairs)
    if len(subjects) == 1:
        warnings.append(f"best layers in region '{region}' were chosen on other stimuli alone: there is one subject")
    folds, draws = jax.random.fold_in(key, 2), jax.random.fold_in(key, 1)
    drawn = comparator, config.n_draws, config.confidence, covariates
    for index, time in enumerate([None] if times is None else times):
        at_time = data if times is None else data[index]
        try:
            evaluation = rsa.evaluate_best_layers(folds, model_rdms, list(networks.values()), at_time, *drawn).evaluation
        except rsa.InputError as error:
            return RegionScores([], [], [], [], [], [f"no best layer in region '{region}': {error}"], ())
        if config.n_draws and not len(evaluation.draws) and index == 0:
            n_stimuli = rsa.condition_count(model_rdms.shape[1])
            warnings.append(f"best layers in region '{region}' were not tested: {n_stimuli} stimuli are too few to draw in folds")
        beyond = beyond_of(draws, evaluation, members, factors)
        means = rsa.aggregate(evaluation, [list(group.values()) for group in members])
        none = {"ceiling_lower": np.nan, "ceiling_upper": np.nan}
        where = {"region": region, "time": time}
        scores += single_rows(best, evaluation, subjects, where | none)
        scores += together_rows(names, means, beyond, where | none)
        differences += differences_of(names, beyond, where)
    return RegionScores(scores, differences, [], [], [], warnings, factors_drawn(members, pairs, factors))
