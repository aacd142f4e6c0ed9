"""The command's benchmarks: how fast rules and the comparison are on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bioplausible.foundation.progress import progress_bar
from experiments.terminal import HELP, Subcommand, as_json, examples, given, named, print_json, print_table, whole_numbers

__all__ = ["benchmark_command"]


@click.group(
    "benchmark",
    context_settings=HELP,
    epilog=examples(
        "bioplausible benchmark rules --rules backprop,burst --architecture mlp",
        "bioplausible benchmark angles --rules feedback_alignment,dendritic --depths 2,6",
        "bioplausible benchmark spikes",
        "bioplausible benchmark rsa --tasks bootstrap --comparators spearman",
        "bioplausible benchmark time",
    ),
)
def benchmark_command() -> None:
    """How fast it is on this machine."""


def _told(name: str, table: Any, to_markdown: Callable[[Any, Any], str], folder: Path | None, as_json: bool) -> bool:
    """Write a table into its folder, and print it as JSON where that was asked for; whether nothing is left to show."""
    from bioplausible.foundation.files import write_text
    from experiments.environment import describe_environment
    from experiments.results import rows

    environment = describe_environment()
    record = {name: rows(table), "environment": environment}
    if folder is not None:
        write_text(folder / f"{name}.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        write_text(folder / "README.md", to_markdown(table, environment))
    if as_json:
        print_json(record)
    return as_json


@benchmark_command.command(
    "rules",
    cls=Subcommand,
    epilog=examples(
        "bioplausible benchmark rules --rules backprop,burst --architecture mlp",
        "bioplausible benchmark rules --out runs/speed",
    ),
)
@click.option("--rules", help="Rules, separated by commas; every variant by default.")
@click.option("--architecture", help="A name, or path.py:name of your own; mlp and cnn by default.")
@click.option("--batch-size", type=int)
@click.option("--turns", "n_turns", type=int, help="Calls of five scanned steps each (21 by default).")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the table: rules.json, and README.md for reading.")
@as_json
def benchmark_rules_command(rules: str | None, architecture: str | None, out: Path | None, as_json: bool, **options: Any) -> None:
    """Time a learning step of each rule, as a ratio to backpropagation's in the same run."""
    from experiments import catalogue

    chosen = named("--rules", rules)
    catalogue.check_names(chosen or (), architecture=architecture)
    # What takes long to import, once nothing is misspelt.
    from experiments.benchmarks import benchmark_rules, to_markdown
    from experiments.files import no_empty_folder, prepare_folder
    from experiments.results import rows

    with no_empty_folder(out), progress_bar() as progress:
        folder = None if out is None else prepare_folder(out)
        table = benchmark_rules(chosen, progress=progress, **given(architecture=architecture, **options))
    if _told("rules", table, to_markdown, folder, as_json):
        return
    shown = [
        {
            "rule": row["rule"],
            "network": row["architecture"],
            "ms a step": f"{row['milliseconds_per_step']:.2f}",
            "ratio": f"{row['ratio']:.2f}",
            "limit": "" if row["ratio_limit"] is None else f"{row['ratio_limit']:.1f}",
            "products": f"{row['products_ratio']:.2f}",
            "MB": f"{row['peak_megabytes']:.0f}",
            "compiled in s": f"{row['compile_seconds']:.1f}",
        }
        for row in rows(table)
    ]
    print_table(shown)


@benchmark_command.command(
    "angles",
    cls=Subcommand,
    epilog=examples(
        "bioplausible benchmark angles --rules feedback_alignment,dendritic --depths 2,6",
        "bioplausible benchmark angles --epochs 1 --out runs/angles",
    ),
)
@click.option("--rules", help="Rules, separated by commas; every variant that trains a dense network by default.")
@click.option("--depths", help="Numbers of weight layers, separated by commas (2,6 by default).")
@click.option("--width", type=int, help="Units of every hidden layer (256 by default).")
@click.option("--dataset", help="A named image set, an .npz or a folder (digits by default).")
@click.option("--n-train", type=int, help="Train on a subset of this size.")
@click.option("--epochs", type=int, help="Between the two measurements (2 by default).")
@click.option("--seed", type=int)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the table: angles.csv, and README.md for reading.")
@as_json
def benchmark_angles_command(rules: str | None, depths: str | None, out: Path | None, as_json: bool, **options: Any) -> None:
    """Measure how near rules are to backpropagation, by depth, before and after training, in single and double precision."""
    from experiments import catalogue

    rule_names = named("--rules", rules)
    catalogue.check_names(rule_names or ())
    # What takes long to import, once nothing is misspelt.
    from bioplausible.foundation.files import write_text
    from experiments.benchmark_angles import benchmark_angles, to_markdown
    from experiments.environment import describe_environment
    from experiments.files import no_empty_folder, prepare_folder
    from experiments.results import rows

    with no_empty_folder(out), progress_bar() as progress:
        folder = None if out is None else prepare_folder(out)

        def keep(table: Any) -> None:
            # After every rule: the whole takes long.
            if folder is not None:
                write_text(folder / "angles.csv", table.to_csv(index=False))
                write_text(folder / "README.md", to_markdown(table, describe_environment()))

        chosen = given(depths=whole_numbers("--depths", depths), **options)
        table = benchmark_angles(rule_names, progress=progress, keep=keep, **chosen)
    if as_json:
        print_json({"angles": rows(table), "environment": describe_environment()})
        return
    print_table(
        [
            {name: f"{row[name]:.3f}" if isinstance(row[name], float) else str(row[name] or "") for name in table.columns}
            for row in rows(table)
        ]
    )


@benchmark_command.command(
    "spikes",
    cls=Subcommand,
    epilog=examples(
        "bioplausible benchmark spikes",
        "bioplausible benchmark spikes --rule stdp/triplet --neurons 400",
    ),
)
@click.option("--rule", help="stdp or one of its variants (stdp by default).")
@click.option("--neurons", "n_neurons", type=int, help="Units of the one hidden layer (100 by default).")
@click.option("--steps", "n_steps", type=int, help="Length of a presentation (250 by default).")
@as_json
def benchmark_spikes_command(as_json: bool, **options: Any) -> None:
    """Time spiking units, beside what a library made for spikes publishes."""
    from experiments.benchmarks import benchmark_spikes
    from experiments.environment import describe_environment

    measured = benchmark_spikes(**given(**options))
    if as_json:
        print_json(measured | {"environment": describe_environment()})
        return
    print_table(
        [
            {
                "rule": measured["rule"],
                "neurons": measured["neurons"],
                "steps": measured["steps"],
                "ms a sample": f"{measured['milliseconds_per_sample']:.2f}",
                "spikes a second": f"{measured['spikes_per_second']:.3g}",
                "BindsNET, published": f"{measured['bindsnet_milliseconds_per_sample']:.0f} ms",
                "times as fast": f"{measured['times_as_fast']:.0f}",
            }
        ]
    )


@benchmark_command.command(
    "rsa",
    cls=Subcommand,
    epilog=examples(
        "bioplausible benchmark rsa --tasks bootstrap --comparators spearman",
        "bioplausible benchmark rsa --out runs/rsa",
    ),
)
@click.option("--tasks", help="bootstrap, searchlight, crossnobis, separated by commas; all by default.")
@click.option("--comparators", help="Of the bootstrap, separated by commas.")
@click.option("--subjects", help="Numbers of subjects of the bootstrap, separated by commas (20,100 by default).")
@click.option("--draws", "n_draws", type=int, help="Bootstrap draws (1000 by default).")
@click.option("--judge-draws", type=int, help="Draws that rsatoolbox is timed on (10 by default).")
@click.option("--centres", "n_centres", type=int, help="Centres of the searchlight (20000 by default).")
@click.option("--judge-centres", type=int, help="Centres that rsatoolbox is timed on (200 by default).")
@click.option("--conditions", help="Numbers of conditions at which growth is measured (92,400,1200 by default).")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the table: rsa.json, README.md for reading, and growth.svg."
)
@as_json
def benchmark_rsa_command(
    tasks: str | None,
    comparators: str | None,
    subjects: str | None,
    conditions: str | None,
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Time the comparison beside rsatoolbox on the same draws and in the same run, and how it grows, in time and memory."""
    from bioplausible.foundation.files import write_text
    from experiments.benchmark_growth import draw_growth
    from experiments.benchmark_rsa import benchmark_rsa, to_markdown
    from experiments.files import no_empty_folder, prepare_folder
    from experiments.results import rows

    chosen = given(
        tasks=named("--tasks", tasks),
        comparators=named("--comparators", comparators),
        subjects=whole_numbers("--subjects", subjects),
        conditions=whole_numbers("--conditions", conditions),
    )
    with no_empty_folder(out), progress_bar() as progress:
        folder = None if out is None else prepare_folder(out)
        table = benchmark_rsa(progress=progress, **chosen, **given(**options))
        growth = table[table["task"] == "growth"]
        if folder is not None and len(growth):
            write_text(folder / "growth.svg", draw_growth(growth))
    if _told("rsa", table, to_markdown, folder, as_json):
        return
    shown = [
        {
            "task": row["task"],
            "comparator": row["comparator"],
            "subjects": str(row["n_subjects"]),
            "s": f"{row['seconds']:.2f}",
            "rsatoolbox s": f"{row['rsatoolbox_seconds']:.0f}",
            "timed on": row["rsatoolbox_timed_on"],
            "times as fast": f"{row['ratio']:.0f}",
            "at least": "" if row["ratio_target"] is None else f"{row['ratio_target']:.0f}",
            "apart by": f"{row['largest_difference']:.0e}",
        }
        for row in rows(table)
        if row["task"] != "growth"
    ]
    grown = [
        {
            "growing": row["grows"].removeprefix("n_"),
            "comparator": row["comparator"],
            **{name: f"{row[f'n_{name}']:.0f}" for name in ("conditions", "models", "subjects", "draws")},
            "s": f"{row['seconds']:.1f}",
            "busy s": f"{row['processor_seconds']:.1f}",
            "peak GB": f"{row['peak_gigabytes']:.2f}",
        }
        for row in rows(growth)
    ]
    for each in filter(None, (shown, grown)):
        print_table(each)


@benchmark_command.command(
    "time",
    cls=Subcommand,
    epilog=examples(
        "bioplausible benchmark time",
        "bioplausible benchmark time --steps 28,280 --units 128",
        "bioplausible benchmark time --steps 10,100,1000 --out runs/time",
    ),
)
@click.option("--steps", help="Lengths of the sequences, separated by commas (28,280 by default).")
@click.option("--units", "n_units", type=int, help="Units of the one hidden layer (256 by default).")
@click.option("--batch-size", type=int)
@click.option("--turns", "n_turns", type=int, help="Calls of five scanned steps each (11 by default).")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the table: time.json, README.md for reading, and time.svg."
)
@as_json
def benchmark_time_command(steps: str | None, out: Path | None, as_json: bool, **options: Any) -> None:
    """Time a network that runs in time, credited in each way that there is, beside a scan written by hand."""
    from bioplausible.foundation.files import write_text
    from experiments.benchmark_time import benchmark_time, draw_time, to_markdown
    from experiments.files import no_empty_folder, prepare_folder
    from experiments.results import rows

    with no_empty_folder(out):
        folder = None if out is None else prepare_folder(out)
        table = benchmark_time(**given(steps=whole_numbers("--steps", steps)), **given(**options))
    if folder is not None:
        write_text(folder / "time.svg", draw_time(table))
    if _told("time", table, to_markdown, folder, as_json):
        return
    print_table(
        [
            {
                "steps": str(row["steps"]),
                "credit": row["program"].replace("_", " "),
                "ms a step": f"{row['milliseconds_per_step']:.2f}",
                "ratio": f"{row['ratio']:.2f}",
                "MB": f"{row['megabytes']:.1f}",
                "compiled in s": f"{row['compile_seconds']:.2f}",
                "apart by": f"{row['largest_difference']:.0e}",
            }
            for row in rows(table)
        ]
    )
