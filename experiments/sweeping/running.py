"""Run a sweep: each training in a file of its own, so that a sweep that was interrupted goes on where it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bioplausible.foundation.errors import InputError, shortened
from bioplausible.foundation.files import clear_partial, write_text
from bioplausible.foundation.progress import Progress
from experiments.claims import claim
from experiments.config import read_yaml, to_record, write_yaml
from experiments.engine import Engine, Failure
from experiments.store import Store
from experiments.sweeping.cells import LOCKS, fit_controls, train_cell
from experiments.sweeping.config import SweepConfig
from experiments.sweeping.finals import finalists
from experiments.sweeping.plan import Cell, Plan, planned, trainings_of
from experiments.sweeping.rdms import rdms_file
from experiments.sweeping.study import STUDY, WORK, Study
from experiments.sweeping.tables import Sweep, can_be_made, check_cell, validation_of, write_tables

__all__ = ["sweep"]

_FAILED = "failed"
_DAMAGED = "damaged"
_TABLES = "tables.lock"
# Seconds to wait for whoever writes tables: with a thousand trainings that takes some ten.
_PATIENCE = 600.0


def _prepare(plan: Plan, study: Study) -> None:
    """Make the folder, or go on in one that holds a part of this sweep, whose plan may have changed since."""
    out, config = plan.folder, plan.config
    path = out / "sweep.yaml"
    # Whoever was killed at the very beginning has left a claim and a part of a file.
    if out.is_dir() and any(each.name != LOCKS and not each.name.startswith(".part-") for each in out.iterdir()):
        elsewhere = f"--out {out} holds something other than a part of this sweep"
        if not path.is_file():
            raise InputError(f"{elsewhere}: give a folder that is new or empty")
        there, here = to_record(read_yaml(path, SweepConfig)), to_record(config)
        trained = any(each.parent.name == "runs" for each in study.paths())
        if trained and there != here and not any(study.has(cell.path) for cell in plan.trainings):
            differ = ", ".join(name for name in here if here[name] != there[name])
            raise InputError(f"{elsewhere}, none of its trainings: their {differ} differ; give a folder that is new or empty")
    content = write_yaml(config)
    if path.is_file() and path.read_text(encoding="utf-8") == content:
        return
    with claim(out / LOCKS / _TABLES, wait=_PATIENCE):
        write_text(path, content)


def _put_aside(cells: Sequence[Cell], study: Study, folder: Path) -> list[str]:
    """Move files that are torn or tampered with out of the way, so that what they were of is done again; a line each."""
    told = []
    for cell in cells:
        if not cell.path.is_file():
            continue
        try:
            check_cell(cell, study)
        except Exception as error:  # whatever stands in a file that somebody has edited
            why = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            aside = folder / _DAMAGED
            aside.mkdir(exist_ok=True)
            for each in (cell.path, rdms_file(cell.path)):
                with contextlib.suppress(FileNotFoundError):  # another process was quicker, or there are no RDMs
                    each.replace(aside / each.name)
            told.append(f"{cell.path.name} is damaged ({shortened(why)}): it lies in {aside} now, and is made again")
    return told


def _run_missing(
    plan: Plan,
    study: Study,
    engine: Engine,
    progress: Progress | None,
    shard: tuple[int, int],
    tables: Callable[[], Any],
    store: Path | None,
) -> dict[str, str]:
    """Run what is not there yet, controls first, and write the tables anew after each; why what failed failed."""
    cells: dict[Path, Callable[[], Any]] = {
        **{each.path: functools.partial(fit_controls, *each, plan.config) for each in plan.controls},
        **{each.path: functools.partial(train_cell, each.config, each.path, plan.config, store) for each in plan.trainings},
    }
    ours = [path for place, path in enumerate(cells) if place % shard[1] == shard[0] - 1]
    missing = {path.stem: cells[path] for path in ours if not study.has(path)}
    failed: dict[str, str] = {}
    done, in_all = len(ours) - len(missing), len(ours)
    if missing:
        if progress is not None:
            progress(done, in_all, "")
        tables()
    # As soon as a training is done its file is there, whatever becomes of the others.
    for name, outcome in engine.run(missing):
        done += 1
        if isinstance(outcome, Failure):
            failed[name] = outcome.reason
            _log(plan.folder, name, outcome)
            if progress is not None:
                progress(done, in_all, f"failed: {name}")
            continue
        (plan.folder / _FAILED / f"{name}.txt").unlink(missing_ok=True)
        if done < in_all:
            tables()
        if progress is not None:
            progress(done, in_all, outcome or f"{name}: left to another process")
    return failed


def _log(folder: Path, name: str, failure: Failure) -> None:
    """Keep why something failed, for whoever comes later, and the traceback of what was no user's mistake, for whoever mends it."""
    write_text(folder / _FAILED / f"{name}.txt", f"{failure.reason}\n{failure.details}")


def _failed_before(plan: Plan, study: Study, final: Sequence[Cell] = ()) -> dict[str, str]:
    """Cells that are not there and failed the last time that somebody was at them, and why."""
    told = {}
    for cell in (*plan.controls, *plan.trainings, *final):
        path = plan.folder / _FAILED / f"{cell.path.stem}.txt"
        if not study.has(cell.path) and path.is_file():
            with contextlib.suppress(OSError, UnicodeDecodeError):
                told[cell.path.stem] = (path.read_text(encoding="utf-8").splitlines() or [""])[0]
    return told


def _tables_so_far(plan: Plan, study: Study, final: Sequence[Cell] = ()) -> None:
    """Write the tables while others are trained, unless another process is at it."""
    with claim(plan.folder / LOCKS / _TABLES) as mine:
        if mine:
            clear_partial(plan.folder)
        if mine and can_be_made(plan, study):
            write_tables(plan, study, final)


def _closed(plan: Plan, study: Study, final: Sequence[Cell] = ()) -> Sweep:
    """Write the tables, of whatever other processes have added meanwhile too, and pack what they are made of."""
    with claim(plan.folder / LOCKS / _TABLES, wait=_PATIENCE) as mine:
        if mine:
            clear_partial(plan.folder)
            _clear_after_the_killed(plan, study, final)
        made = write_tables(plan, study, final) if can_be_made(plan, study) else None
        # Who packs while another does could lose what that one adds.
        if mine:
            study.pack(None if made is None else [*plan.controls, *plan.trainings, *final])
    for name in (LOCKS, _FAILED):
        with contextlib.suppress(OSError):  # others are at work, or nobody ever was; or something failed
            (plan.folder / name).rmdir()
    return made or Sweep(plan.config, pd.DataFrame(), pd.DataFrame(), pd.DataFrame())


def _clear_after_the_killed(plan: Plan, study: Study, final: Sequence[Cell]) -> None:
    """Remove what is left of cells that are there: claims of the killed, parts of files, and word that a process ended too early.

    Who is killed when a record is just written has failed, as far as others know, and has not. Nobody asks for such a cell again,
    and nobody else would clear what is left of it.
    """
    left = {path.stem for name in (LOCKS, _FAILED) for path in (plan.folder / name).glob("*")}
    parts = [path.name for name in (*WORK, "rdms") for path in (plan.folder / name).glob(".part-*")]
    for cell in (*plan.controls, *plan.trainings, *final) if left or parts else ():
        files = cell.path, rdms_file(cell.path)
        is_left = cell.path.stem in left or any(part.endswith(f".{each.name}") for part in parts for each in files)
        if not is_left or not study.has(cell.path):
            continue
        (plan.folder / _FAILED / f"{cell.path.stem}.txt").unlink(missing_ok=True)
        # Who still holds it keeps it.
        with claim(plan.folder / LOCKS / f"{cell.path.stem}.lock") as mine:
            for each in files if mine else ():
                clear_partial(each.parent, each.name)


def _check_asked(config: SweepConfig, out: Path, shard: tuple[int, int], tables_only: bool, store: Path | None) -> None:
    """Say what cannot be done as it was asked for, before anything is built."""
    if tables_only and not any((out / name).exists() for name in ("sweep.yaml", STUDY, *WORK)):
        raise InputError(f"--tables-only was given, and {out} holds no sweep: give the folder of one, or leave --tables-only out")
    if not 1 <= shard[0] <= shard[1]:
        raise InputError(f"shard {shard[0]}/{shard[1]} was given, expected a part from 1 to the number of parts, such as 1/4")
    if config.compare is None or tables_only:
        return
    if store is None:
        raise InputError(
            "a sweep that compares networks with brains was given without a store to keep them in: give one, with --store"
        )
    # What compares is slow to import, and most sweeps compare nothing.
    from experiments.studying.checks import check_study

    check_study(config.compare)


def sweep(
    config: SweepConfig,
    out: Path | str,
    workers: int = 1,
    progress: Progress | None = None,
    shard: tuple[int, int] = (1, 1),
    tables_only: bool = False,
    engine: Engine | None = None,
    store: Path | None = None,
) -> Sweep:
    """Train everything that a sweep asks for, and write its tables.

    ```
    DIR/sweep.yaml        what was run
    DIR/study.parquet     all that is known of each training and of what images give without learning (`experiments.sweeping.study`)
    DIR/runs/*.json       each training since, as `bioplausible train --json` prints it
    DIR/rdms/*.npz        of each, RDMs of its hidden layers, for 40 test images
    DIR/controls/*.json   of each image set, what it gives without learning a hidden layer, and as many random features as units
    DIR/runs.csv          one row a network; controls.csv the same of controls
    DIR/summary.csv       one row a rule, architecture and front end; README.md is the same for reading, accuracy.svg for looking
    DIR/adopted.csv       of a search with a final: what is adopted; adopted.yaml the same as a sweep that can be run
    ```

    Of every network the untrained control is trained too, on plain images and behind the rules' front ends. Trainings that are
    there are not run again, unless the rule's defaults have changed since; a plan may change between one command and the next. The
    tables are written anew after every training, and say how many are still to come; in the end all files of trainings are packed
    into one table. What fails is named and stops no other; its traceback lies in DIR/failed, and the same command tries it again.

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
    tables_only
        Train nothing: write the tables of what is there, and pack it.
    engine
        Who trains; by default `workers` processes of this machine. All give the same bits.
    store
        A folder to keep the networks in (`experiments.store`), where a comparison finds them again; by default none. A sweep that
        compares needs one.

    Raises
    ------
    InputError
        A configuration that no run could follow, a folder that holds something else, or nothing but failures.
    """
    engine = engine or Engine(workers=workers)
    _check_asked(config, Path(out), shard, tables_only, store)
    if store is not None:
        store = Store(store).ready().folder.resolve()
    # Workers of a cluster are not where this process is.
    plan = planned(Path(out).resolve() if engine.name == "dask" else Path(out), config)
    study = Study(plan.folder)
    _prepare(plan, study)
    damaged = _put_aside([*plan.controls, *plan.trainings], study, plan.folder)
    so_far = functools.partial(_tables_so_far, plan, study)
    failed = {} if tables_only else _run_missing(plan, study, engine, progress, shard, so_far, store)
    to_come = _to_come(plan, study)
    # What another shard does may be what a table waits for.
    needed = [cell.path.stem for cell in plan.controls], [cell.path.stem for cell in plan.trainings]
    if failed and (any(name in failed for name in needed[0]) or all(name in failed for name in needed[1])):
        told = "; ".join(f"{name}: {why}" for name, why in failed.items())
        _closed(plan, study)
        raise InputError(f"no table could be made, since something that every row needs failed: {told}")
    failed = {**_failed_before(plan, study), **failed}
    if not (config.search and config.search.finalists) or to_come > len(failed):
        done = dataclasses.replace(_closed(plan, study), failed=failed, to_come=to_come, damaged=damaged)
        return (
            done if config.compare is None else _beside_brains(done, plan, study, engine, progress, None if tables_only else store)
        )

    # A trial that failed takes no part.
    tried = [(cell.config, validation_of(study.record(cell.path))) for cell in plan.trainings if study.has(cell.path)]
    chosen = finalists([each for each, _ in tried], [reached for _, reached in tried], config.search)
    final = trainings_of(plan.folder, config, chosen)
    damaged += _put_aside(final, study, plan.folder)
    so_far = functools.partial(_tables_so_far, plan, study, final)
    if not tables_only:
        failed |= _run_missing(plan._replace(trainings=final), study, engine, progress, shard, so_far, store)
    failed = {**_failed_before(plan, study, final), **failed}
    left = to_come + _to_come(plan._replace(trainings=final), study)
    return dataclasses.replace(_closed(plan, study, final), failed=failed, to_come=left, damaged=damaged)


def _beside_brains(done: Sweep, plan: Plan, study: Study, engine: Engine, progress: Progress | None, store: Path | None) -> Sweep:
    """Compare what is trained with brains."""
    # What compares is slow to import, and most sweeps compare nothing.
    from experiments.studying.study import compare_with_brains

    assert plan.config.compare is not None
    there = [(cell.config, study.record(cell.path)) for cell in plan.trainings if study.has(cell.path)]
    n_cells = len(plan.trainings) + len(plan.controls)

    def tell(line: str) -> None:
        if progress is not None:
            progress(n_cells - 1, n_cells, line)

    with claim(plan.folder / LOCKS / _TABLES, wait=_PATIENCE):
        title = plan.config.title or "Study"
        told = _what_was_run(done, len(there), len(plan.trainings))
        concluded, failed = compare_with_brains(plan.folder, title, plan.config.compare, there, store, engine, tell, told)
    with contextlib.suppress(OSError):
        (plan.folder / LOCKS).rmdir()
    if progress is not None:
        progress(n_cells, n_cells, "")
    return dataclasses.replace(done, conclusions=concluded, failed=done.failed | failed)


def _what_was_run(done: Sweep, n_there: int, n_planned: int) -> list[str]:
    seconds = done.runs.drop_duplicates(["rule", "architecture", "dataset", "front_end", "seconds"])["seconds"].sum()
    lines = [
        "## What was run",
        "",
        f"{n_there} of {n_planned} trainings, {seconds:,.0f} s; how well they read: [accuracy](accuracy.md).",
    ]
    return [*lines, *(f"Not done: {name}: {why}" for name, why in done.failed.items()), ""]


def _to_come(plan: Plan, study: Study) -> int:
    """How many cells are not there."""
    return sum(not study.has(cell.path) for cell in (*plan.trainings, *plan.controls))
