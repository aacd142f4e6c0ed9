"""A study from its trained networks to its tables: groups of networks beside recordings, by whichever engine trains as well."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.config import TrainConfig, from_record, to_record
from experiments.engine import Engine, Failure
from experiments.store import Store
from experiments.studying.config import StudyConfig
from experiments.studying.groups import Group
from experiments.studying.recovered import recovered
from experiments.studying.scoring import Compared, Tell, compared, held_against

__all__ = ["Held", "hold_against"]


@dataclass(frozen=True, eq=False)
class Held:
    """Tables of a study.

    Attributes
    ----------
    ranks
        As `scoring.held_against` gives them, of all groups and recordings.
    null
        Likewise.
    recovery
        As `recovered.recovered` gives it.
    accuracies
        One row a group, recording and rule: the common accuracy, what the rule's networks had when they were nearest to it, and
        whether that was near enough.
    failed
        Group and recording -> why they could not be compared.
    """

    ranks: pd.DataFrame
    null: pd.DataFrame
    recovery: pd.DataFrame
    accuracies: pd.DataFrame
    failed: dict[str, str]


def hold_against(
    groups: Sequence[Group],
    config: StudyConfig,
    store: Path,
    readouts: pd.DataFrame,
    engine: Engine,
    tell: Tell = lambda line: None,
) -> Held:
    """Hold all groups against all recordings; what was done before is found in the store.

    Parameters
    ----------
    groups
        Networks, all of them in the store.
    config
        What is asked for.
    store
        Its folder.
    readouts
        rule, seed, test_accuracy and group of what one readout for all reached; may be empty.
    engine
        Who does it.
    tell
        Called with a line to show.
    """
    jobs = {}
    for group in groups:
        own = readouts[readouts["group"] == group.name].to_dict("list") if len(readouts) else {}
        records = [[to_record(each) for each in trainings] for trainings in (group.trainings, group.controls)]
        for name in config.recordings:
            jobs[f"{group.name} beside {name}"] = functools.partial(_hold, group.name, records, name, config, store, own)
    found: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for name, outcome in engine.run(jobs):
        tell(name)
        if isinstance(outcome, Failure):
            failed[name] = outcome.reason
        else:
            found[name] = outcome
    # In the order of the plan, whoever was done first.
    tables = [found[name] for name in jobs if name in found]
    ranks, null, recovery, accuracies = (_joined(each[place] for each in tables) for place in range(4))
    return Held(ranks, null, recovery, accuracies, failed)


def _joined(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([table for table in tables if len(table)] or [pd.DataFrame()], ignore_index=True)


def _hold(
    name: str,
    records: Sequence[Sequence[dict[str, Any]]],
    recording: str,
    config: StudyConfig,
    store: Path,
    readouts: dict[str, list[Any]],
) -> tuple[pd.DataFrame, ...]:
    """One group beside one recording, from plain values, so that any process can do it."""
    trainings, controls = (
        tuple(from_record(record, TrainConfig, "a training of the study") for record in of_kind) for of_kind in records
    )
    these = compared(Group(name, trainings, controls), recording, config, Store(store, config.matched), pd.DataFrame(readouts))
    ranks, null = held_against(these)
    return ranks, null, recovered(these, ranks), _accuracies(these)


def _accuracies(these: Compared) -> pd.DataFrame:
    common = these.matched
    rows = [
        {
            "group": these.group,
            "recording": these.recording.name,
            "rule": rule,
            "common_accuracy": common.accuracy,
            "reached": reached,
            "on_test": common.on_test[rule],
            "near": rule in common.epochs,
            "epochs": " ".join(str(epoch) for epoch in common.epochs.get(rule, {}).values()),
        }
        for rule, reached in common.reached.items()
    ]
    return pd.DataFrame(rows)
