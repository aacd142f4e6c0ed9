"""What these data could have told: model recovery on the very networks of a study, at the noise that was measured.

Twice: where the networks' best layers are all that subjects share, up to the ceiling, which is the best case; and where they are as
much of it as the study's own best score says, the rest being shared by subjects and unrelated to all networks. The second is what
rankings are read by.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import numpy as np
import pandas as pd

import rsa
from bioplausible.foundation.errors import InputError
from experiments.config import CONTROL
from experiments.studying.code import RECOVERY, code_of
from experiments.studying.conditions import MAIN
from experiments.studying.contest import contest
from experiments.studying.scoring import Compared
from neurodata import PatternSet
from rsa.simulated_subjects import CeilingOutOfReach

__all__ = ["AS_MEASURED", "AT_CEILING", "recovered"]

AT_CEILING, AS_MEASURED = "all that subjects share", "as much as was measured"
_STEPS = 5
# Of one subject of several: what subjects do not share, in their ceiling, is noise and the sampling of channels together.
_CHANNELS = (100, 400, 1600)


def recovered(these: Compared, ranks: pd.DataFrame) -> pd.DataFrame:
    """How often each rule would have won in data of its own.

    Parameters
    ----------
    these
        Networks and recording.
    ranks
        Their ranks, for the ceiling and the best score that was measured.

    Returns
    -------
    pandas.DataFrame
        One row a region, kind of study and rule: rate and its interval, chance, the rule that most often won in its place,
        the share of pairs told apart, what part of the shared variance is the network's, and how many
        channels subjects have. Regions without a ceiling, and groups
        of one seed, have none.
    """
    found = []
    for region in these.recording.regions:
        main = ranks[(ranks["condition"] == MAIN) & (ranks["region"] == region) & (ranks["failure"] == "")]
        best = main.loc[main["kind"] == "rule", "score"].max()
        ceiling = float(main["ceiling"].iloc[0]) if len(main) else math.nan
        if not these.config.n_simulations or not ceiling > 0 or len(these.seeds) < 2:
            continue
        numbers = these.config.n_simulations, these.config.seed, ceiling, best
        asked = [these.digest, list(these.main), region, *numbers, code_of(RECOVERY)]
        made = functools.partial(_recovered, these, region, min(ceiling, 0.99), float(best))
        told = these.place(region)
        try:
            found.append(these.store.table("recovery", asked, made).assign(**told))
        except InputError as error:
            found.append(pd.DataFrame([{"study": "not done", "why": str(error), **told}]))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _recovered(these: Compared, region: str, ceiling: float, best: float) -> pd.DataFrame:
    condition = these.main
    given = contest(these.shown, condition, {})
    candidates = {
        name: [list(layers.values()) for layers in seeds.values()]
        for name, seeds in given.networks.items()
        if name not in these.failures and name in (CONTROL, *given.controls)
    }
    # As many seeds of each, since one of them is left out for all.
    n_seeds = min((len(seeds) for seeds in candidates.values() if len(seeds) > 1), default=0)
    candidates = {name: seeds[:n_seeds] for name, seeds in candidates.items() if len(seeds) >= n_seeds}
    # Some layer of some seed may tell no stimuli apart: networks of one name have as many layers as each other.
    candidates = {name: seeds for name, seeds in candidates.items() if len({len(layers) for layers in seeds}) == 1}
    if len(candidates) < 2:
        return pd.DataFrame()
    key = jax.random.fold_in(jax.random.key(these.config.seed), 13)
    recover = functools.partial(
        rsa.model_recovery,
        key,
        candidates,
        ceiling,
        len(these.recording.regions[region].subjects),
        condition.look.measure,
        condition.comparator,
    )
    tried = _channels(these, region)
    for n_channels in tried:
        try:
            whole = recover(n_channels=n_channels, n_simulations=these.config.n_simulations)
        except CeilingOutOfReach:
            if n_channels == tried[-1]:
                raise
            continue
        break
    recover = functools.partial(recover, n_channels=n_channels)
    tables = [_rows(whole, AT_CEILING, 1.0)]
    # Layers and seeds take turns: a trial has all of them.
    n_trials = n_seeds * max(len(layers) for seeds in candidates.values() for layers in seeds)
    share = _explained(functools.partial(recover, n_simulations=n_trials), best)
    if share < 1:
        tables.append(_rows(recover(n_simulations=these.config.n_simulations, explained=share), AS_MEASURED, share))
    return pd.concat(tables, ignore_index=True).assign(channels=n_channels)


def _channels(these: Compared, region: str) -> tuple[int, ...]:
    """Numbers to try; of an only subject as many as were measured: how they sample a region is not in its ceiling."""
    measured = these.recording.regions[region]
    if isinstance(measured, PatternSet) and len(measured.subjects) == 1:
        return (int(measured.patterns()[0].shape[-1]),)
    return _CHANNELS


def _explained(recover: Any, best: float) -> float:
    """The part of the shared variance at which a network scores with its own studies what the best one scored, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        reached = np.diagonal(recover(explained=middle).scores).mean()
        low, high = (middle, high) if reached < best else (low, middle)
    return high if high == 1.0 else (low + high) / 2


def _rows(found: Any, kind: str, explained: float) -> pd.DataFrame:
    rows = []
    for index, name in enumerate(found.names):
        others = found.confusion[index].copy()
        others[index] = -1
        rows.append(
            {
                "study": kind,
                "explained": explained,
                "name": name,
                "rate": float(found.rates[index]),
                "rate_lower": float(found.rates_lower[index]),
                "rate_upper": float(found.rates_upper[index]),
                "overall": found.rate,
                "overall_lower": found.lower,
                "overall_upper": found.upper,
                "chance": found.chance,
                "mistaken_for": found.names[int(others.argmax())],
                "told_apart": float(np.nanmean(found.told_apart[index])),
                "own_score": float(found.scores[index, index]),
                "ceiling": found.ceiling,
                "achieved_ceiling": float(found.achieved[index]),
                "n_simulations": found.n_simulations,
            }
        )
    return pd.DataFrame(rows)
