"""The last stage of a sweep that compares: its networks, once they are there, beside brains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.config import TrainConfig
from experiments.engine import Engine
from experiments.scorecards import CORE, scorecards
from experiments.studying.config import StudyConfig
from experiments.studying.groups import Group, groups_of
from experiments.studying.running import hold_against
from experiments.studying.scoring import Tell
from experiments.studying.tables import read_tables, write_pages, write_tables

__all__ = ["compare_with_brains"]

Records = Sequence[tuple[TrainConfig, Mapping[str, Any]]]
"""What was trained, and what came out, as `bioplausible train --json` prints it."""


def compare_with_brains(
    folder: Path,
    title: str,
    config: StudyConfig,
    records: Records,
    store: Path | None,
    engine: Engine,
    tell: Tell = lambda line: None,
    further: Sequence[str] = (),
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Compare, and write all tables, pages and pictures.

    Parameters
    ----------
    folder
        Of the study.
    title
        One line.
    config
        What is asked for.
    records
        The trainings that are there.
    store
        Where their networks are; None makes pages of what was compared before.
    engine
        Who does it.
    tell
        Called with a line to show.
    further
        Lines on what was run, for the page.

    Returns
    -------
    tuple of (pandas.DataFrame, dict)
        Conclusions, and group and recording -> why they could not be compared.

    Raises
    ------
    InputError
        Trainings that no table tells apart; without a store, no study in the folder.
    """
    failed: dict[str, str] = {}
    if store is not None:
        groups = groups_of(config for config, _ in records)
        held = hold_against(groups, config, store, _readouts(groups, records), engine, tell)
        failed = held.failed
        if held.ranks.empty:
            return pd.DataFrame(), failed
        tables = {"ranks": held.ranks, "null": held.null, "accuracies": held.accuracies, "recovery": held.recovery}
        tell("how plausible the rules are")
        tables["distances"] = _distances(groups, records, _plausible(groups, store, engine))
        write_tables(folder, tables)
    return write_pages(folder, title, read_tables(folder), list(further)), failed


def _of_group(group: Group, records: Records) -> list[Mapping[str, Any]]:
    return [record for config, record in records if config in (*group.trainings, *group.controls)]


def _readouts(groups: Sequence[Group], records: Records) -> pd.DataFrame:
    """What one readout for all reached, where there was one."""
    rows = [
        {
            "group": group.name,
            "rule": record["rule"],
            "front_end": record["config"]["front_end"],
            "seed": each["seed"],
            "test_accuracy": each["test_accuracy"],
        }
        for group in groups
        for record in _of_group(group, records)
        for each in record.get("readouts", ())
    ]
    return pd.DataFrame(rows)


def _plausible(groups: Sequence[Group], store: Path, engine: Engine) -> dict[str, float]:
    """Rule -> share of the criteria that need no training which it meets, on the first network that it was trained on."""
    found: dict[str, float] = {}
    for group in groups:
        rules = [rule for rule in group.rules if rule not in found]
        if not rules:
            continue
        options = {each.rule: each.rule_options for each in group.trainings}
        cards = scorecards(rules, group.trainings[0].architecture, CORE, 0, engine.workers, options, keep=store / "cards")
        for rule, card in cards.items():
            asked = [entry["verdict"] for entry in card.values() if entry["verdict"] != "not applicable"]
            found[rule] = sum(verdict == "meets" for verdict in asked) / len(asked) if asked else np.nan
    return found


def _distances(groups: Sequence[Group], records: Records, plausible: Mapping[str, float]) -> pd.DataFrame:
    """Degrees between what each rule asks of hidden layers in the end and the gradient, mean over seeds."""
    rows = []
    for group in groups:
        angles: dict[str, list[float]] = {}
        for record in _of_group(group, records):
            for each in record.get("seeds", [record]):
                told = each.get("angle_to_backprop", {})
                # Of a rule that draws noise one draw says little.
                known = [told[name] for name in ("end_of_mean", "end") if told.get(name) is not None and not np.isnan(told[name])]
                angles.setdefault(str(record["rule"]), []).append(float(known[0]) if known else np.nan)
        for rule, of_seeds in angles.items():
            degrees = float(np.mean(of_seeds))
            rows.append({"group": group.name, "name": rule, "degrees": degrees, "plausible": plausible.get(rule, np.nan)})
    return pd.DataFrame(rows)
