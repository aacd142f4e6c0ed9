"""The tables of a sweep, from what is kept of its cells: CSV for other programs, a page for reading, a picture."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import write_text
from experiments.config import CONTROL, TrainConfig, deciding_record, from_record, read_yaml, to_record, write_yaml
from experiments.results import plain
from experiments.sweeping.config import SweepConfig, expand, with_controls
from experiments.sweeping.finals import adopted, as_runs
from experiments.sweeping.page import environment_lines, to_markdown
from experiments.sweeping.plan import Cell, Plan
from experiments.sweeping.rdms import with_correlations
from experiments.sweeping.study import STUDY, Study, as_text
from experiments.sweeping.summary import ANGLES, IMAGES_OF, best_trials, summarise
from experiments.verdicts import keeps_maps, n_hidden_units

__all__ = ["Sweep", "can_be_made", "check_cell", "plan_kept", "rows_of", "validation_of", "write_tables"]

# Which test images a readout told right, kept of trainings and too long for tables.
_IMAGES = ("right", "frozen_right")


@dataclass(frozen=True, eq=False)
class Sweep:
    """Many trainings.

    Attributes
    ----------
    config
        What was run.
    runs
        One row a network: the run's fields, `test_accuracy`, `validation_accuracy` of the last epoch, `seconds`, `warnings`.
    summary
        One row a rule, architecture and front end; for a search, one row a rule and architecture with the best trial.
    controls
        One row a control that belongs to no network, image set and seed, as `experiments.controls` gives them; empty for a search.
    adopted
        What the final of a search adopts, one row a rule, network and front end; empty without a final.
    failed
        What was to be trained or fitted and could not -> why, in one line. Asked for again, it is tried again.
    to_come
        How many trainings and controls are not there: failed, of another shard, or left to another process that is at them.
    damaged
        Which files of trainings were put aside since nobody can read them, a line each.
    conclusions
        Of a sweep that compares, one row a rule, region and group (`experiments.studying.conclusions`).
    """

    config: SweepConfig
    runs: pd.DataFrame
    summary: pd.DataFrame
    controls: pd.DataFrame
    adopted: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    to_come: int = 0
    damaged: Sequence[str] = ()
    conclusions: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)

    def to_frame(self) -> pd.DataFrame:
        """One row a network."""
        return self.runs.copy()


def rows_of(config: TrainConfig, record: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a network of a training.

    Parameters
    ----------
    config
        What was asked for.
    record
        What came out, as `bioplausible train --json` prints it.
    """
    fields = deciding_record(config)
    options = {name: fields.pop(name) for name in ("rule_options", "architecture_options", "exclude_indices")}
    shared = {name: value for name, value in fields.items() if name not in ("seed", "n_seeds")}
    shared |= {name: json.dumps(plain(value), sort_keys=True) for name, value in options.items() if name != "exclude_indices"}
    read = {each["seed"]: each for each in record.get("readouts", [])}
    shared["keeps_maps"] = keeps_maps(record.get("network", ()))
    shared["n_units"] = n_hidden_units(record.get("network", ()))
    shared["image_notes"] = record.get("images", {}).get("notes", "")
    shared |= {"epochs": record["epochs"], "seconds": record["seconds"], "compile_seconds": record["compile_seconds"]}
    return [
        {
            **shared,
            "seed": each["seed"],
            "test_accuracy": each["test_accuracy"],
            "validation_accuracy": each["validation_accuracy_by_epoch"][-1],
            **_readout(read.get(each["seed"])),
            **dict(zip(ANGLES, each.get("angle_to_backprop", {}).values(), strict=False)),
            "warnings": " | ".join(record["warnings"]),
        }
        for each in record.get("seeds", [record])
    ]


def _readout(read: dict[str, Any] | None) -> dict[str, Any]:
    return (
        {}
        if read is None
        else {
            "readout_accuracy": read["test_accuracy"],
            "readout_validation_accuracy": read["validation_accuracy"],
            "frozen_accuracy": read["frozen_accuracy"],
            "read_from": read["read_from"],
            **{name: read[name] for name in _IMAGES if name in read},
        }
    )


def validation_of(record: dict[str, Any]) -> float:
    """Mean validation accuracy of a training's seeds after the last epoch, NaN where one diverged.

    Parameters
    ----------
    record
        As of `rows_of`.
    """
    last = [each["validation_accuracy_by_epoch"][-1] for each in record.get("seeds", [record])]
    return sum(float("nan") if value is None else value for value in last) / len(last)


def _is_claim(config: TrainConfig) -> bool:
    """Whether a training is of a rule that is held against controls."""
    return config.rule != CONTROL and not config.optimizer_of


def check_cell(cell: Cell, study: Study) -> None:
    """See that a cell that is there can be told in tables.

    Parameters
    ----------
    cell, study
        It, and where it is kept.

    Raises
    ------
    Exception
        It cannot; whatever comes of reading what is no record of a training.
    """
    record = study.record(cell.path)
    if cell.path.parent.name == "controls":
        told = [(str(each["control"]), int(each["seed"]), str(each["read_from"]), float(each["test_accuracy"])) for each in record]
        n_seeds = len({seed for _, seed, _, _ in told})
    else:
        rows = rows_of(cell.config, record)
        n_seeds = len({int(row["seed"]) for row in rows})
        # One that diverged has no accuracy.
        validation_of(record), [float(row["test_accuracy"] or 0) + float(row["seconds"]) for row in rows]
        study.rdms(cell.path)
    if n_seeds != cell.config.n_seeds:
        raise InputError(f"{cell.path} holds {n_seeds} seeds, expected {cell.config.n_seeds}")


def _controls_read(study: Study, planned: Sequence[Cell]) -> pd.DataFrame:
    """The controls in one table, once they are there."""
    if not planned:
        return pd.DataFrame()
    shared = [{name: to_record(each.config)[name] for name in IMAGES_OF} for each in planned]
    records = zip(planned, shared, strict=True)
    return pd.concat([pd.DataFrame(study.record(each.path)).assign(**of) for each, of in records], ignore_index=True)


def _adopted(study: Study, final: Sequence[Cell]) -> pd.DataFrame:
    """What is adopted, once the last finalist is there."""
    if not final or not all(study.has(cell.path) for cell in final):
        return pd.DataFrame()
    return adopted([cell.config for cell in final], [validation_of(study.record(cell.path)) for cell in final])


def can_be_made(plan: Plan, study: Study) -> bool:
    """Whether there is anything for a table: no verdict stands before all that a rule is held against is there.

    Parameters
    ----------
    plan, study
        As of `write_tables`.
    """
    return all(study.has(each.path) for each in plan.controls) and any(study.has(each.path) for each in plan.trainings)


def write_tables(plan: Plan, study: Study, final: Sequence[Cell] = ()) -> Sweep:
    """Write the tables of what is there so far.

    Parameters
    ----------
    plan
        What they are of.
    study
        What is kept of it.
    final
        The final of a search; empty until all trials are there, and without one.

    Raises
    ------
    InputError
        A cell is damaged, or the folder cannot be written.
    """
    folder, config = plan.folder, plan.config
    controls = _controls_read(study, plan.controls)
    table: list[dict[str, Any]] = []
    rdms: list[dict[str, Any]] = []
    there = [cell for cell in plan.trainings if study.has(cell.path)]
    environments = []
    for cell in there:
        record = study.record(cell.path)
        environments.append(record.get("environment", {}))
        rows = rows_of(cell.config, record)
        kept = study.rdms(cell.path)
        table += rows
        rdms += [{layer: of_seeds[index] for layer, of_seeds in kept.items()} for index in range(len(rows))]
    runs = pd.DataFrame(table)
    if any(rdms):
        runs = with_correlations(runs, rdms)
    to_come = sum(_is_claim(cell.config) for cell in plan.trainings) - sum(_is_claim(cell.config) for cell in there)
    summary = best_trials(runs) if config.search else summarise(runs, config, controls, to_come)
    runs, controls = (each.drop(columns=[*_IMAGES], errors="ignore") for each in (runs, controls))
    write_text(folder / "runs.csv", runs.to_csv(index=False))
    write_text(folder / "summary.csv", summary.to_csv(index=False))
    if not config.search:
        # Drawing is slow to import, and a search draws nothing.
        from experiments.sweeping.picture import picture

        write_text(folder / "controls.csv", controls.to_csv(index=False))
        write_text(folder / "accuracy.svg", picture(summary, config.title or "Sweep"))
    winners = _adopted(study, final)
    if not winners.empty:
        write_text(folder / "adopted.csv", winners.to_csv(index=False))
        write_text(folder / "adopted.yaml", write_yaml(as_runs(winners, config)))
    page = to_markdown(config, summary, len(there), len(plan.trainings), controls, winners, to_come)
    # Where brains are compared, the page that people look at first is of that.
    name = "README.md" if config.compare is None else "accuracy.md"
    write_text(folder / name, "\n".join([page, *environment_lines(environments), ""]))
    return Sweep(config, runs, summary, controls, winners)


def plan_kept(folder: Path) -> Plan:
    """The plan of a sweep by what is kept of it alone: its configuration, and the table's rows that tables were made of.

    No image set is loaded and no rule built: a default that has changed since changes nothing of what was run.

    Parameters
    ----------
    folder
        Of the sweep.

    Raises
    ------
    InputError
        No sweep is kept there.
    """
    config = read_yaml(folder / "sweep.yaml", SweepConfig)
    rows = [row for row in Study(folder).rows() if row["in_tables"]]
    named = {row["config"]: row["name"] for row in rows if row["kind"] == "training"}
    configs = expand(config) if config.search else with_controls(expand(config))
    trainings = [
        Cell(each, folder / "runs" / f"{named.get(as_text(deciding_record(each)), f'not trained {number}')}.json")
        for number, each in enumerate(configs)
    ]
    controls = [_control_kept(folder, row) for row in rows if row["kind"] == "controls"]
    return Plan(config, folder, trainings, controls)


def _control_kept(folder: Path, row: Mapping[str, Any]) -> Cell:
    config = from_record(json.loads(row["config"]), TrainConfig, f"controls in {folder / STUDY}")
    return Cell(config, folder / "controls" / f"{row['name']}.json", row["n_units"])
