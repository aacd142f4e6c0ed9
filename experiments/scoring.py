"""Scores of layers in one region: every network and subject, what holds beyond them, and beside them the reference models.

Intervals of means are for other stimuli, subjects and training seeds together, as far as there are enough of each to draw from;
those of single networks and subjects are for other stimuli alone. Differences from the untrained network and from
backpropagation are paired over all three, on the seeds that both have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import rsa
from experiments.compare_config import ScoringConfig
from experiments.config import CONTROL, REFERENCE
from experiments.pairing import Generalised, Members, factors_drawn, generalised, missing_seeds

__all__ = [
    "REFERENCES",
    "Model",
    "RegionScores",
    "beyond_of",
    "contrasted",
    "differences_of",
    "factors_of",
    "grouped",
    "score_region",
    "single_rows",
    "together_rows",
]

REFERENCES = (CONTROL, REFERENCE)
"""What every rule is held against, layer by layer."""

# Beyond this many, single-subject rows of a recording in time would fill the tables with millions of numbers.
_MAX_SUBJECT_ROWS = 200_000


class Model(NamedTuple):
    """One layer of one network, as the scores name it."""

    rule: str
    seed: int
    layer: str


class RegionScores(NamedTuple):
    """Tidy rows of one region, and what has to be known about them; the factors are those that were drawn for every row."""

    scores: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    reference_models: list[dict[str, Any]]
    clusters: list[dict[str, Any]]
    ceilings: list[dict[str, Any]]
    warnings: list[str]
    factors: tuple[str, ...]


class _Moment(NamedTuple):
    """One time of one region: groups are the seeds of a rule's layer."""

    evaluation: rsa.Evaluation
    means: rsa.Aggregate


def grouped(models: Sequence[Model]) -> dict[tuple[str, str], dict[int, int]]:
    """Rule and layer -> seed -> place."""
    groups: dict[tuple[str, str], dict[int, int]] = {}
    for index, model in enumerate(models):
        groups.setdefault((model.rule, model.layer), {})[model.seed] = index
    return groups


def beyond_of(key: jax.Array, evaluation: rsa.Evaluation, members: Sequence[Members], factors: tuple[str, ...]) -> Generalised:
    """What holds for other stimuli, subjects and seeds; nothing without draws."""
    draws = evaluation.subject_draws
    drawn = factors if draws is not None and len(draws) > 1 else ()
    return generalised(
        evaluation.scores, members, drawn, lambda groups, chosen: rsa.generalise_evaluation(key, evaluation, groups, chosen)
    )


def single_rows(models: Sequence[Model], evaluation: rsa.Evaluation, subjects: Sequence[str], shared: dict[str, Any]) -> list[Any]:
    """Rows of single networks and subjects, whose intervals are for other stimuli alone."""
    return [
        {
            **model._asdict(),
            **shared,
            "subject": subject,
            "score": float(evaluation.scores[i, j]),
            "lower": float(evaluation.lower[i, j]),
            "upper": float(evaluation.upper[i, j]),
            "p_value": np.nan,
        }
        for i, model in enumerate(models)
        for j, subject in enumerate(subjects)
    ]


def contrasted(names: Sequence[tuple[str, str]]) -> list[tuple[int, int]]:
    """Places of each rule's layers, and of what they are held against."""
    return [
        (index, names.index((reference, layer)))
        for reference in REFERENCES
        for index, (rule, layer) in enumerate(names)
        if rule not in (reference, CONTROL) and (reference, layer) in names
    ]


def differences_of(names: Sequence[tuple[str, str]], beyond: Generalised, where: dict[str, Any]) -> list[dict[str, Any]]:
    """Each rule minus what it is held against, layer by layer, over their common seeds; without draws, the difference alone."""
    return [
        {"rule": names[index][0], "reference": names[against][0], "layer": names[index][1], **where, **found}
        for index, against in contrasted(names)
        if (found := beyond.contrast(index, against)) is not None
    ]


def _cluster_rows(
    names: Sequence[tuple[str, str]],
    moments: Sequence[_Moment],
    groups: Sequence[Members],
    times: Sequence[float],
    region: str,
) -> list[dict[str, Any]]:
    """Stretches of time in which a rule's layer scores above its permutations, corrected for all times."""
    if len(moments[0].evaluation.null) == 0:
        return []
    rows = []
    for index, ((rule, layer), group) in enumerate(zip(names, groups, strict=True)):
        observed = np.array([moment.means.mean[index] for moment in moments])
        null = np.stack([moment.evaluation.null[:, list(group.values())].mean(axis=1) for moment in moments], axis=1)
        rows += [
            {
                "rule": rule,
                "layer": layer,
                "region": region,
                "start": float(times[cluster.start]),
                "stop": float(times[cluster.stop - 1]),
                "mass": cluster.mass,
                "p_value": cluster.p_value,
            }
            for cluster in rsa.cluster_permutations(observed, null).clusters
        ]
    return rows


def _evaluated(
    key: jax.Array, rdms: np.ndarray, data: np.ndarray, covariates: np.ndarray | None, comparator: str, config: ScoringConfig
) -> Any:
    """Models against data at one time, whatever is taken out of both."""
    drawn = comparator, config.n_draws, config.confidence, True
    if covariates is None:
        return rsa.evaluate(key, rdms, data, *drawn)
    return rsa.partial_evaluate(key, rdms, data, covariates, *drawn)


def score_region(
    key: jax.Array,
    region: str,
    models: Sequence[Model],
    model_rdms: np.ndarray,
    references: dict[str, np.ndarray],
    data: np.ndarray,
    subjects: Sequence[str],
    times: Sequence[float] | None,
    config: ScoringConfig,
    comparator: str,
    progress: Callable[[str], None] = lambda line: None,
    covariates: np.ndarray | None = None,
    own_ceilings: Sequence[rsa.NoiseCeiling] | None = None,
) -> RegionScores:
    """Score every layer, and every reference model, against a region.

    Parameters
    ----------
    key
        Of all draws.
    region
        Its name.
    models
        Which layer of which network each RDM is of.
    model_rdms
        (n_models, n_pairs).
    references
        RDM of each reference model.
    data
        (n_subjects, n_pairs), or (n_times, n_subjects, n_pairs).
    subjects
        Their names.
    times
        In seconds, where the data have any.
    config
        Draws, confidence and what to generalise over.
    comparator
        One of `rsa.COMPARATORS`.
    progress
        Called with a line to show.
    covariates
        RDMs that are taken out of models and data alike, (n_covariates, n_pairs).
    own_ceilings
        Of the only subject, one a time; by default subjects are held against each other.
    """
    timed = data.ndim == 3
    moments_of_time: Sequence[float | None] = list(times or ()) if timed else [None]
    groups = grouped(models)
    names, members = list(groups), list(groups.values())
    rdms = np.concatenate([model_rdms, *(rdm[None] for rdm in references.values())])
    pairs = contrasted(names)
    factors, warnings = factors_of(region, rdms.shape[1], len(subjects), max(map(len, members)), config)
    warnings += missing_seeds(names, members, pairs)
    n_rows = len(models) * len(subjects) * len(moments_of_time)
    with_subjects = n_rows <= _MAX_SUBJECT_ROWS
    if not with_subjects:
        warnings.append(f"rows of single subjects left out: region '{region}' would have {n_rows}; the aggregates are whole")
    scores, differences, of_references, ceilings, moments = [], [], [], [], []
    for index, time in enumerate(moments_of_time):
        if timed:
            progress(f"{region}, {1000 * (time or 0):.0f} ms")
        at_time = data[index] if timed else data
        evaluation = _evaluated(key, rdms, at_time, covariates, comparator, config)
        beyond = beyond_of(jax.random.fold_in(key, 1), evaluation, members, factors)
        moment = _Moment(evaluation, rsa.aggregate(evaluation, [list(group.values()) for group in members]))
        ceiling = evaluation.ceiling if own_ceilings is None else own_ceilings[index]
        bounds = {"ceiling_lower": float(ceiling.lower), "ceiling_upper": float(ceiling.upper)}
        where = {"region": region, "time": time}
        if with_subjects:
            scores += single_rows(models, evaluation, subjects, where | bounds)
        scores += together_rows(names, moment.means, beyond, where | bounds)
        differences += differences_of(names, beyond, where)
        of_references += _reference_rows(jax.random.fold_in(key, 1), list(references), len(models), evaluation, factors, where)
        ceilings.append(
            {
                **where,
                "lower": bounds["ceiling_lower"],
                "upper": bounds["ceiling_upper"],
                "withheld": ceiling.withheld,
                "n_subjects": len(subjects),
            }
        )
        # What the next time does not need is let go: draws of every subject at every time would fill the memory.
        moments.append(moment._replace(evaluation=evaluation._replace(subject_draws=None, subject_jackknife=None)))
    clusters = _cluster_rows(names, moments, members, list(times or ()), region) if timed else []
    in_every_row = factors_drawn(members, pairs, factors)
    return RegionScores(scores, differences, of_references, clusters, ceilings, warnings, in_every_row)


def factors_of(
    region: str, n_pairs: int, n_subjects: int, n_seeds: int, config: ScoringConfig
) -> tuple[tuple[str, ...], list[str]]:
    """What intervals of a region can generalise over, and a sentence on what of that which was asked for they cannot."""
    there = {"stimuli": rsa.condition_count(n_pairs), "subjects": n_subjects, "seeds": n_seeds}
    usable = rsa.usable_factors(*(there[factor] for factor in ("stimuli", "subjects", "seeds")))
    wanted = [factor for factor in rsa.FACTORS if factor in config.factors]
    missing = [factor for factor in wanted if factor not in usable]
    warnings = []
    if config.n_draws and missing:
        told = [f"{there[factor]} {factor.removesuffix('s') if there[factor] == 1 else factor}" for factor in missing]
        warnings.append(
            f"intervals in region '{region}' say nothing of other {' and '.join(missing)}: there are too few to draw from "
            f"({' and '.join(told)})"
        )
    return tuple(factor for factor in wanted if factor in usable), warnings


def together_rows(
    names: Sequence[tuple[str, str]], means: rsa.Aggregate, beyond: Generalised, shared: dict[str, Any]
) -> list[dict[str, Any]]:
    """Rows that stand for all seeds and subjects."""
    return [
        {
            "rule": rule,
            "seed": None,
            "layer": layer,
            **shared,
            "subject": None,
            "score": float(means.mean[g]),
            **beyond.interval(g),
            "p_value": float(means.p_value[g]),
        }
        for g, (rule, layer) in enumerate(names)
    ]


def _reference_rows(
    key: jax.Array, names: Sequence[str], first: int, evaluation: rsa.Evaluation, factors: tuple[str, ...], where: dict[str, Any]
) -> list[dict[str, Any]]:
    """Rows of models that are no networks, which stand in the evaluation from the first on."""
    beyond = beyond_of(key, evaluation, [{0: first + index} for index in range(len(names))], factors)
    return [
        {
            "model": name,
            **where,
            "score": float(evaluation.mean[first + c]),
            **beyond.interval(c),
            "p_value": float(evaluation.p_value[first + c]),
        }
        for c, name in enumerate(names)
    ]
