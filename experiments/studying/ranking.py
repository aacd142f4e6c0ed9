"""Scores of all who are ranked in one region under one condition, and what each rule adds to its control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pandas as pd

import rsa
from experiments.compare_config import ScoringConfig
from experiments.config import CONTROL, REFERENCE
from experiments.pairing import Generalised
from experiments.scoring import beyond_of, factors_of
from experiments.studying.contest import Contest, Layers
from rsa.chosen_layers import all_folds
from rsa.flexible import varies_in_fold

__all__ = ["COLUMNS", "KINDS", "rank"]

KINDS = ("rule", "control", "model")
_DIFFERENCE = ("difference", "lower", "upper", "p_value")
COLUMNS = (
    *("name", "kind", "n_seeds", "layer", "score", "lower", "upper", "factors", "control", "control_score"),
    *(f"{name}_from_{against}" for against in ("control", "backprop") for name in _DIFFERENCE),
)


def rank(
    key: jax.Array,
    region: str,
    given: Contest,
    data: np.ndarray,
    comparator: str,
    n_draws: int,
    confidence: float = 0.95,
    covariates: np.ndarray | None = None,
) -> pd.DataFrame:
    """Score every network's best layer, chosen on other stimuli and subjects, and test differences.

    Parameters
    ----------
    key
        Of folds and draws; all conditions of a study share it.
    region
        Its name.
    given
        Who is ranked.
    data
        Condensed RDMs, (n_subjects, n_pairs).
    comparator
        Of `rsa.COMPARATORS`.
    n_draws
        Of stimuli, subjects and seeds, as far as there are enough of each.
    confidence
        Coverage of the intervals.
    covariates
        RDMs that are taken out of all, (n_covariates, n_pairs).

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`, the highest score first. `layer` is the one that was chosen most often, `factors` what intervals are
        for. Differences are paired over stimuli, subjects and the seeds that both have; their p-values are two-sided and of this
        difference alone. Networks that tell the stimuli of some fold not apart have no score (NaN).
    """
    folds, draws = jax.random.split(key)
    live = _telling_apart(folds, given, data, comparator)
    places: dict[str, dict[int, int]] = {}
    groups: list[list[int]] = []
    layers: list[list[str]] = []
    rdms: list[np.ndarray] = []
    for name, seeds in live.items():
        for seed, of_seed in seeds.items():
            places.setdefault(name, {})[seed] = len(groups)
            groups.append(list(range(len(rdms), len(rdms) + len(of_seed))))
            layers.append(list(of_seed))
            rdms += list(of_seed.values())
    unranked = [{"name": name, "kind": _kind(name, given), "n_seeds": 0} for name in given.networks if name not in live]
    if not live:
        return pd.DataFrame(unranked, columns=list(COLUMNS))
    names, members = list(places), list(places.values())
    stacked = np.stack(rdms).astype(np.float64)
    scoring = ScoringConfig(n_draws=n_draws, confidence=confidence)
    factors, _ = factors_of(region, data.shape[-1], len(data), max(map(len, members)), scoring)
    found = rsa.evaluate_best_layers(folds, stacked, groups, data, comparator, n_draws, confidence, covariates)
    beyond = beyond_of(draws, found.evaluation, members, factors)
    means = found.evaluation.scores.mean(axis=1)
    rows = []
    for index, name in enumerate(names):
        of_name = list(members[index].values())
        chosen: dict[str, int] = {}
        for place in of_name:
            for layer, count in zip(layers[place], found.chosen[place], strict=True):
                chosen[layer] = chosen.get(layer, 0) + int(count)
        row: dict[str, Any] = {
            "name": name,
            "kind": _kind(name, given),
            "n_seeds": len(of_name),
            "layer": max(chosen, key=lambda layer: chosen[layer]),
            "score": float(means[of_name].mean()),
            **beyond.interval(index),
            "factors": ", ".join(each for each in factors if each != "seeds" or len(of_name) >= rsa.MINIMUM["seeds"]),
        }
        rows.append(row | _held_against(name, index, names, given.controls, beyond, means, members))
    table = pd.DataFrame([*rows, *unranked], columns=list(COLUMNS))
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def _telling_apart(key: jax.Array, given: Contest, data: np.ndarray, comparator: str) -> dict[str, dict[int, Layers]]:
    """Networks that have a layer in every fold that tells the stimuli of either part apart."""
    centred = rsa.COMPARATORS[comparator].centred
    parts = [(fold.fitted, fold.scored) for fold, _ in all_folds(key, rsa.condition_count(data.shape[-1]), len(data))]

    def tells(layers: Layers) -> bool:
        rdms = np.stack(list(layers.values()))
        return all(np.logical_and(*(varies_in_fold(rdms[:, pairs], centred) for pairs in both)).any() for both in parts)

    live = {name: {seed: of_seed for seed, of_seed in seeds.items() if tells(of_seed)} for name, seeds in given.networks.items()}
    return {name: seeds for name, seeds in live.items() if seeds}


def _kind(name: str, given: Contest) -> str:
    return "control" if name in given.controls.values() else "rule" if name in given.controls else "model"


def _held_against(
    name: str,
    index: int,
    names: list[str],
    controls: Mapping[str, str],
    beyond: Generalised,
    means: np.ndarray,
    members: list[dict[int, int]],
) -> dict[str, Any]:
    """Differences of a rule from its control and from backpropagation; nothing of controls and of other models."""
    control = controls.get(name)
    if control is None or name == CONTROL or control not in names:
        return {}
    row: dict[str, Any] = {
        "control": control,
        "control_score": float(means[list(members[names.index(control)].values())].mean()),
    }
    for label, against in (("control", control), ("backprop", REFERENCE)):
        if against in names and against != name and (contrast := beyond.contrast(index, names.index(against))) is not None:
            row |= {f"{field}_from_{label}": contrast[field] for field in _DIFFERENCE}
    return row
