"""Run a sweep: each training in a file of its own, so that a sweep that was interrupted goes on where it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

import learning_rules
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import write_text
from bioplausible.foundation.progress import Progress
from bioplausible.foundation.resolve import is_reference, source_of
from experiments import datasets
from experiments.config import CONTROL, TrainConfig, read_yaml, to_record, write_yaml
from experiments.controls import RECIPE
from experiments.engine import Failure, run_all
from experiments.environment import check_workers
from experiments.files import short_name
from experiments.identity import options_record
from experiments.preparing import build_network
from experiments.readouts import RIDGE
from experiments.results import plain
from experiments.sweeping.cells import CONTROL_IMAGES, LOCKS, fit_controls, rdms_file, train_cell
from experiments.sweeping.config import SweepConfig, expand, with_controls
from experiments.sweeping.finals import adopted, as_runs, finalists
from experiments.sweeping.page import environment_lines, to_markdown
from experiments.sweeping.rdms import read_rdms, with_correlations
from experiments.sweeping.summary import ANGLES, IMAGES_OF, best_trials, summarise
from experiments.verdicts import keeps_maps, n_hidden_units

__all__ = ["Sweep", "sweep"]


_FAILED = "failed"
# Which test images a readout told right, kept in the files of trainings and too long for tables.
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
    """

    config: SweepConfig
    runs: pd.DataFrame
    summary: pd.DataFrame
    controls: pd.DataFrame
    adopted: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    to_come: int = 0

    def to_frame(self) -> pd.DataFrame:
        """One row a network."""
        return self.runs.copy()


def _file_name(config: TrainConfig, options: dict[str, Any], sweep: SweepConfig) -> str:
    # The options with their defaults: a default that was tuned anew asks for a new training, as does a user's changed file.
    sources = {name: source_of(name) for name in (config.rule, config.architecture) if is_reference(name)}
    read: dict[str, Any] = {"readout_images": sweep.readout_images} if sweep.readout_images else {}
    read |= {"readout": sweep.readout} if sweep.readout_images and sweep.readout != RIDGE else {}
    if is_reference(config.rule) and config.rule_options:
        read["asked"] = config.rule_options  # those of a user's own rule may not show in what it was built with
    record = to_record(config)
    if not config.optimizer_of:
        del record["optimizer_of"]  # trainings by the rule's own optimiser are called as they were before there was a choice
    identity = json.dumps(plain({**record, "rule_options": options, **sources, **read}), sort_keys=True)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:10]
    return f"{short_name(config.rule)}__{short_name(config.architecture)}__{digest}.json"


def _images_of(config: TrainConfig) -> TrainConfig:
    """What the controls of a run depend on, and nothing else."""
    names = (*IMAGES_OF, "exclude_indices", "seed", "n_seeds")
    # They take no batches; the number is said because what was run once is found again by it.
    return TrainConfig(rule=CONTROL, batch_size=128, **{name: getattr(config, name) for name in names})


class _Planned(NamedTuple):
    """Controls that runs of a sweep share: of an image set, or as many random features on it as a network has hidden units."""

    config: TrainConfig
    path: Path
    n_units: int | None = None


def _controls_planned(folder: Path, configs: list[TrainConfig], readout_images: int, readout: str) -> list[_Planned]:
    """The controls of a sweep, and the file of each."""
    most: dict[tuple[str, int | None], TrainConfig] = {}
    units: dict[str, int | None] = {}
    # Of runs that differ in the number of their seeds alone the one with the most has those of the others.
    for config in configs:
        images = _images_of(config)
        alike = json.dumps(plain({**to_record(images), "n_seeds": None}), sort_keys=True)
        network = repr((config.architecture, config.architecture_options, config.dataset))
        if network not in units:
            units[network] = _dense_units(config)
        for key in dict.fromkeys(((alike, None), (alike, units[network]))):
            most[key] = max(most.get(key, images), images, key=lambda each: each.n_seeds)
    planned = []
    for (_, n_units), config in most.items():
        asked = [to_record(config), readout_images, readout, RECIPE, *([] if n_units is None else [n_units])]
        digest = hashlib.sha256(json.dumps(plain(asked), sort_keys=True).encode()).hexdigest()[:10]
        name = short_name(config.dataset) + ("" if n_units is None else f"__{n_units}_units")
        planned.append(_Planned(config, folder / "controls" / f"{name}__{digest}.json", n_units))
    return planned


def _dense_units(config: TrainConfig) -> int | None:
    """Hidden units of the network of a run, None where it keeps maps: random maps are its control."""
    network = dataclasses.replace(config, front_end="none")
    layers = build_network(network, datasets.load(config.dataset)).describe()
    return None if keeps_maps(layers) else n_hidden_units(layers)


def _controls_read(planned: Sequence[_Planned]) -> pd.DataFrame:
    """The controls in one table, once they are there."""
    if not planned:
        return pd.DataFrame()
    records = [({name: to_record(each.config)[name] for name in IMAGES_OF}, each.path) for each in planned]
    return pd.concat([pd.DataFrame(_read(path)).assign(**shared) for shared, path in records], ignore_index=True)


def _check(configs: list[TrainConfig]) -> list[dict[str, Any]]:
    """Say what is wrong with any run before the first is trained; the rules' options with their defaults."""
    images: dict[str, Any] = {}
    options = []
    for config in configs:
        if config.dataset not in images:
            images[config.dataset] = datasets.load(config.dataset)
        # A front end is slow to fit and is left to the training.
        network = build_network(dataclasses.replace(config, front_end="none"), images[config.dataset])
        rule = learning_rules.build(config.rule, network, **config.rule_options)
        rule.optimizer(1)
        if config.optimizer_of:
            learning_rules.build(config.optimizer_of, network)
        options.append(options_record(rule))
    return options


def _rows(config: TrainConfig, record: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a network of a run."""
    fields = to_record(config)
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


def _prepare(out: Path, config: SweepConfig, paths: Sequence[Path]) -> None:
    """Make the folder, or go on in one that holds a part of this sweep, whose plan may have changed since."""
    path = out / "sweep.yaml"
    if out.is_dir() and any(out.iterdir()):
        elsewhere = f"--out {out} holds something other than a part of this sweep"
        if not path.is_file():
            raise InputError(f"{elsewhere}: give a folder that is new or empty")
        trained = (out / "runs").is_dir() and any((out / "runs").iterdir())
        there, here = to_record(read_yaml(path, SweepConfig)), to_record(config)
        if trained and there != here and not any(each.is_file() for each in paths):
            differ = ", ".join(name for name in here if here[name] != there[name])
            raise InputError(f"{elsewhere}, none of its trainings: their {differ} differ; give a folder that is new or empty")
    write_text(path, write_yaml(config))


def _read(path: Path) -> Any:
    """What was kept of a training, or of controls."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{path} is damaged: delete it, and what it held is run again") from None


def _validation(path: Path) -> float:
    """Mean validation accuracy of a training's seeds after the last epoch."""
    record = _read(path)
    last = [each["validation_accuracy_by_epoch"][-1] for each in record.get("seeds", [record])]
    return sum(last) / len(last)


@dataclass(frozen=True)
class _Final:
    """The final of a search and its files; empty until all trials are there, and without one."""

    configs: Sequence[TrainConfig] = ()
    paths: Sequence[Path] = ()

    def adopted(self) -> pd.DataFrame:
        """What is adopted, once the last finalist is there."""
        if not self.paths or not all(path.is_file() for path in self.paths):
            return pd.DataFrame()
        return adopted(self.configs, [_validation(path) for path in self.paths])


def _is_claim(config: TrainConfig) -> bool:
    """Whether a training is of a rule that is held against controls."""
    return config.rule != CONTROL and not config.optimizer_of


def _write_tables(
    folder: Path,
    config: SweepConfig,
    configs: Sequence[TrainConfig],
    paths: Sequence[Path],
    planned: Sequence[_Planned],
    final: _Final = _Final(),
) -> Sweep:
    """Write the tables of what has been trained so far."""
    controls = _controls_read(planned)
    table: list[dict[str, Any]] = []
    rdms: list[dict[str, Any]] = []
    there = [(each, path) for each, path in zip(configs, paths, strict=True) if path.is_file()]
    environments = []
    for each, path in there:
        record = _read(path)
        environments.append(record.get("environment", {}))
        rows = _rows(each, record)
        kept = read_rdms(rdms_file(path))
        table += rows
        rdms += [{layer: of_seeds[index] for layer, of_seeds in kept.items()} for index in range(len(rows))]
    runs = pd.DataFrame(table)
    if any(rdms):
        runs = with_correlations(runs, rdms)
    to_come = sum(_is_claim(each) for each, path in zip(configs, paths, strict=True) if not path.is_file())
    summary = best_trials(runs) if config.search else summarise(runs, config, controls, to_come)
    runs, controls = (each.drop(columns=[*_IMAGES], errors="ignore") for each in (runs, controls))
    write_text(folder / "runs.csv", runs.to_csv(index=False))
    write_text(folder / "summary.csv", summary.to_csv(index=False))
    if not config.search:
        # Drawing is slow to import, and a search draws nothing.
        from experiments.sweeping.picture import picture

        write_text(folder / "controls.csv", controls.to_csv(index=False))
        write_text(folder / "accuracy.svg", picture(summary, config.title or "Sweep"))
    winners = final.adopted()
    if not winners.empty:
        write_text(folder / "adopted.csv", winners.to_csv(index=False))
        write_text(folder / "adopted.yaml", write_yaml(as_runs(winners, config)))
    page = to_markdown(config, summary, len(there), len(configs), controls, winners, to_come)
    write_text(folder / "README.md", "\n".join([page, *environment_lines(environments), ""]))
    return Sweep(config, runs, summary, controls, winners)


def _run_missing(
    configs: Sequence[TrainConfig],
    paths: Sequence[Path],
    planned: Sequence[_Planned],
    config: SweepConfig,
    workers: int,
    progress: Progress | None,
    shard: tuple[int, int],
    tables: Callable[[], Any],
) -> dict[str, str]:
    """Run what has no file yet, controls first and some at a time, and write the tables anew after each; why what failed failed."""
    trainings = list(zip(configs, paths, strict=True))
    cells: dict[Path, Callable[[], Any]] = {
        **{each.path: functools.partial(fit_controls, *each, config) for each in planned},
        **{each[1]: functools.partial(train_cell, *each, config) for each in trainings},
    }
    ours = [path for place, path in enumerate(cells) if place % shard[1] == shard[0] - 1]
    missing = {path.stem: cells[path] for path in ours if not path.is_file()}
    failed: dict[str, str] = {}
    done, in_all = len(ours) - len(missing), len(ours)

    def write_tables() -> None:
        # No verdict stands before all that a rule is held against is there.
        if all(each.path.is_file() for each in planned) and any(path.is_file() for path in paths):
            tables()

    if missing:
        if progress is not None:
            progress(done, in_all, "")
        write_tables()
    # As soon as a training is done its file is there, whatever becomes of the others.
    for name, outcome in run_all(missing, workers):
        done += 1
        if isinstance(outcome, Failure):
            failed[name] = outcome.reason
            _log(paths[0].parent.parent, name, outcome)
            if progress is not None:
                progress(done, in_all, f"failed: {name}")
            continue
        (paths[0].parent.parent / _FAILED / f"{name}.txt").unlink(missing_ok=True)
        if done < in_all:
            write_tables()
        if progress is not None:
            progress(done, in_all, outcome or f"{name}: left to another process")
    return failed


def _log(folder: Path, name: str, failure: Failure) -> None:
    """Keep the traceback of what was no user's mistake, for whoever mends it."""
    if failure.details:
        write_text(folder / _FAILED / f"{name}.txt", failure.details)


def sweep(
    config: SweepConfig,
    out: Path | str,
    workers: int = 1,
    progress: Progress | None = None,
    shard: tuple[int, int] = (1, 1),
) -> Sweep:
    """Train everything that a sweep asks for, and write its tables.

    ```
    DIR/sweep.yaml        what was run
    DIR/runs/*.json       each training, as `bioplausible train --json` prints it
    DIR/rdms/*.npz        of each, RDMs of its hidden layers, for 40 test images
    DIR/controls/*.json   of each image set, what it gives without learning a hidden layer, and as many random features as units
    DIR/runs.csv          one row a network; controls.csv the same of controls
    DIR/summary.csv       one row a rule, architecture and front end; README.md is the same for reading, accuracy.svg for looking
    DIR/adopted.csv       of a search with a final: what is adopted; adopted.yaml the same as a sweep that can be run
    ```

    Of every network the untrained control is trained too, on plain images and behind the rules' front ends. Trainings whose file is
    there are not run again, unless the rule's defaults have changed since; a plan may change between one command and the next. The
    tables are written anew after every training, and say how many are still to come. What fails is named and stops no other; its
    traceback lies in DIR/failed, and the same command tries it again.

    Parameters
    ----------
    config
        What to run.
    out
        The folder; a new one, an empty one, or one in which this sweep was interrupted.
    workers
        Trainings at a time, each in a process of its own.
    progress
        Called with trainings and controls done, in all, and a line to show.
    shard
        Which part of the plan is done here, counted from one, and of how many: a task of an array job takes its own and needs no
        server. Tables are of what is there.

    Raises
    ------
    InputError
        A configuration that no run could follow, a folder that holds something else, or nothing but failures.
    """
    check_workers(workers)
    if not 1 <= shard[0] <= shard[1]:
        raise InputError(f"shard {shard[0]}/{shard[1]} was given, expected a part from 1 to the number of parts, such as 1/4")
    folder = Path(out)
    configs = expand(config) if config.search else with_controls(expand(config))
    options = _check(configs)
    paths = [folder / "runs" / _file_name(*each, config) for each in zip(configs, options, strict=True)]
    _prepare(folder, config, paths)
    planned = [] if config.search else _controls_planned(folder, configs, config.readout_images or CONTROL_IMAGES, config.readout)
    tables = functools.partial(_write_tables, folder, config, configs, paths, planned)
    failed = _run_missing(configs, paths, planned, config, workers, progress, shard, tables)
    with contextlib.suppress(OSError):  # others are at work, or nobody ever was
        (folder / LOCKS).rmdir()
    if not any(path.is_file() for path in paths) or not all(each.path.is_file() for each in planned):
        if failed:
            told = "; ".join(f"{name}: {why}" for name, why in failed.items())
            raise InputError(f"no table could be made, since something that every row needs failed: {told}")
        return Sweep(config, pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), to_come=_to_come(paths, planned))
    to_come = _to_come(paths, planned)
    if not (config.search and config.search.finalists) or to_come > len(failed):
        return dataclasses.replace(tables(), failed=failed, to_come=to_come)

    # A trial that failed takes no part.
    tried = [(each, _validation(path)) for each, path in zip(configs, paths, strict=True) if path.is_file()]
    chosen = finalists([each for each, _ in tried], [reached for _, reached in tried], config.search)
    names = [_file_name(*each, config) for each in zip(chosen, _check(chosen), strict=True)]
    final = _Final(chosen, [folder / "runs" / name for name in names])
    failed |= _run_missing(chosen, final.paths, (), config, workers, progress, shard, functools.partial(tables, final))
    return dataclasses.replace(tables(final), failed=failed, to_come=to_come + _to_come(final.paths, ()))


def _to_come(paths: Sequence[Path], planned: Sequence[_Planned]) -> int:
    """How many files are not there."""
    return sum(not path.is_file() for path in (*paths, *(each.path for each in planned)))
