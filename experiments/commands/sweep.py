"""`bioplausible sweep`: a plan of many trainings, and one table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from bioplausible.foundation.errors import shortened
from bioplausible.foundation.progress import progress_bar
from experiments.terminal import Subcommand, as_json, examples, print_json, print_table

__all__ = ["sweep_command"]


@click.command(
    "sweep",
    cls=Subcommand,
    epilog=examples(
        "bioplausible sweep experiments/configs/cifar.yaml --workers 4 --out runs/swept",
        "bioplausible sweep plan.yaml --shard 1/8 --out runs/swept",
        "bioplausible sweep plan.yaml --engine dask --address scheduler:8786",
        "bioplausible sweep experiments/studies/brain.yaml --out runs/brain",
    ),
)
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--workers", type=int, default=1, show_default=True, help="Trainings at a time, each in a process of its own.")
@click.option(
    "--engine", type=click.Choice(["local", "dask"]), default="local", show_default=True, help="Processes here, or a dask cluster."
)
@click.option("--address", metavar="HOST:PORT", help="Of a dask scheduler whose workers train; by default one is started here.")
@click.option("--shard", metavar="I/N", help="The part of the plan that is done here, as a task of an array job; all by default.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for tables; a sweep that was interrupted goes on there.")
@click.option("--store", type=click.Path(path_type=Path), help="Folder to keep the networks in, where `compare` finds them.")
@click.option("--tables-only", is_flag=True, help="Train nothing: write the tables of what is there, and pack it.")
@as_json
def sweep_command(
    config: Path,
    workers: int,
    engine: str,
    address: str | None,
    shard: str | None,
    out: Path | None,
    store: Path | None,
    tables_only: bool,
    as_json: bool,
) -> None:
    """Train everything that CONFIG asks for, and write one table; see experiments/configs.

    Every rule is built and takes one step before anything is trained: what cannot is refused. Paths in CONFIG are relative to
    where the command is given.
    """
    from bioplausible.foundation.yaml_files import read_mapping
    from experiments.early import check_sweep

    part = _part(shard)
    check_sweep(read_mapping(config, "runs: [{rule: backprop}]"))
    # What takes long to import, once nothing is misspelt.
    from experiments.config import read_yaml
    from experiments.engine import Engine
    from experiments.files import no_empty_folder
    from experiments.results import rows
    from experiments.sweeping import SweepConfig, sweep

    folder = out or Path("runs") / config.stem
    chosen = read_yaml(config, SweepConfig)
    by = Engine(engine, workers, address)
    # Comparisons look at networks, which are kept where `compare` keeps its own.
    store = store or (Path("runs") / "store" if chosen.compare and not tables_only else None)
    with no_empty_folder(folder), no_empty_folder(store), progress_bar() as progress:
        done = sweep(chosen, folder, workers, progress, part, tables_only, by, store)
    if as_json:
        found = {"summary": rows(done.summary), "runs": rows(done.runs), "failed": done.failed, "to_come": done.to_come}
        found |= {} if chosen.compare is None else {"conclusions": rows(done.conclusions)}
        print_json(found | {"out": str(folder.resolve())})
    else:
        if len(done.summary):
            print_table([_of_sweep(row) for row in rows(done.summary)])
        if len(done.conclusions):
            print_table([_of_study(row) for row in rows(done.conclusions)])
        click.echo(f"tables: {folder.resolve()}")
    for line in done.damaged:
        click.echo(line, err=True)
    if others := done.to_come - len(done.failed):
        click.echo(
            f"{others} of the plan are not there yet: of another shard, or left to another process that is at them", err=True
        )
    for name, why in done.failed.items():
        click.echo(f"failed: {name}: {why}", err=True)
    if done.failed:
        same = "the same command without --tables-only" if tables_only else "the same command"
        click.echo(f"{same} tries again what failed, and nothing else", err=True)
        sys.exit(1)


def _part(shard: str | None) -> tuple[int, int]:
    """The part that a shard is, and of how many."""
    if shard is None:
        return 1, 1
    part, slash, of = shard.partition("/")
    if not (slash and part.strip().isdecimal() and of.strip().isdecimal()):
        raise click.UsageError(f"--shard {shortened(shard)} was given, expected the part and their number, such as 1/4")
    return int(part), int(of)


def _of_study(row: dict[str, Any]) -> dict[str, str]:
    """A row of a study's conclusions."""
    return {
        "region": f"{row['region']} ({row['recording']})",
        "networks": row["group"],
        "rule": row["rule"],
        "score": f"{row['score']:.3f}",
        "minus its control": f"{row['difference']:.3f}",
        "conclusion": row["conclusion"],
        "same sign": f"{row['n_same_sign']} of {row['n_conditions']}",
    }


def _of_sweep(row: dict[str, Any]) -> dict[str, str]:
    """A row of a sweep's table: what it is called, what it reached and beside what."""

    def number(name: str, form: str = ".4f") -> str:
        value = row.get(name)
        return "" if value is None or value != value else format(value, form)

    spread = number("standard_deviation")
    above = row.get("beats_control")
    return {
        "rule": row["rule"] + (f" {options}" if (options := row.get("rule_options") or "{}") != "{}" else ""),
        "network": row["architecture"]
        + ("" if row["front_end"] == "none" else f" behind {row['front_end']}")
        + (f", from {row['init']}" if isinstance(row.get("init"), str) else ""),
        "test accuracy": number("mean") + (f" ± {spread}" if spread else ""),
        "one readout": number("readout_mean"),
        "best control": number("control"),
        "which": str(row.get("best_control") or "").partition(" (")[0],
        "above all controls": "" if above is None else "yes" if above else "no",
        "degrees from backprop": number("angle", ".0f"),
        "floor": number("floor"),
        "on validation": "" if "mean" in row else number("validation_accuracy"),
    }
