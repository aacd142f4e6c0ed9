"""The command's data: what is on this machine, what is in it, and fetching the rest."""

from __future__ import annotations

import math
import sys
from typing import Any

import click

from bioplausible.foundation.progress import progress_bar
from experiments.terminal import HELP, Subcommand, as_json, examples, named, print_json, print_table

__all__ = ["data_command"]

_ASK_FROM_BYTES = 500_000_000


@click.group(
    "data",
    context_settings=HELP,
    epilog=examples(
        "bioplausible data list",
        "bioplausible data describe cichy92",
        "bioplausible data fetch cichy92",
        "bioplausible data path",
    ),
)
def data_command() -> None:
    """Image sets and recordings on this machine."""


@data_command.command(
    "list",
    cls=Subcommand,
    epilog=examples(
        "bioplausible data list",
        "bioplausible data list --json",
    ),
)
@as_json
def data_list_command(as_json: bool) -> None:
    """What is here, and what it would cost to fetch the rest."""
    import neurodata
    from experiments import datasets

    rows = [
        {"name": name, "kind": kind, "megabytes": round(facts["size_bytes"] / 1e6, 1), "here": facts["cached"]}
        | {"licence": facts["licence"], "citation": facts["citation"]}
        for kind, names, describe in (
            ("image set", datasets.names(), datasets.describe),
            ("recording", neurodata.names(), neurodata.describe),
        )
        for name in names
        for facts in (describe(name),)
    ]
    if as_json:
        print_json(rows)
    else:
        print_table([{name: value for name, value in row.items() if name != "citation"} for row in rows])


@data_command.command(
    "describe",
    cls=Subcommand,
    epilog=examples(
        "bioplausible data describe cichy92",
        "bioplausible data describe my_recording --select task=objects",
    ),
)
@click.argument("recordings", nargs=-1, required=True)
@click.option("--select", help="Which raw files of folders, by the entities of their names, such as task=objects,res=2.")
@as_json
def data_describe_command(recordings: tuple[str, ...], select: str | None, as_json: bool) -> None:
    """What is in RECORDINGS (names or folders): ceilings, what simple models explain, and how they agree."""
    import neurodata

    for name in recordings:
        neurodata.check_name(name)
    # What takes long to import, once nothing is misspelt.
    from experiments.describing import describe_recordings

    notes: dict[str, str] = {}
    with progress_bar() as progress:
        rows = describe_recordings(recordings, progress, notes, named("--select", select) or ())
    if as_json:
        print_json(rows)
        return
    print_table(
        [
            {
                **{name: row[name] for name in ("recording", "region", "what")},
                "value": _shown(row),
            }
            for row in rows
        ]
    )
    for name, note in notes.items():
        click.echo(f"{name}: {note}")


def _shown(row: dict[str, Any]) -> str:
    if "lower_end" in row:
        return f"{row['value']:.3f} ({row['lower_end']:.3f} to {row['upper_end']:.3f})"
    if "upper" not in row:
        return f"{row['value']:.3f}"
    if math.isnan(row["value"]):
        return f"none, of {row['n_subjects']} subject{'' if row['n_subjects'] == 1 else 's'}"
    return f"{row['value']:.3f} to " + ("none under 4 subjects" if math.isnan(row["upper"]) else f"{row['upper']:.3f}")


@data_command.command(
    "fetch",
    cls=Subcommand,
    epilog=examples(
        "bioplausible data fetch cichy92",
        "bioplausible data fetch haxby2001 --yes",
    ),
)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask before gigabytes move.")
@as_json
def data_fetch_command(name: str, yes: bool, as_json: bool) -> None:
    """Download what NAME needs, by checksum."""
    import neurodata
    from bioplausible.foundation.errors import unknown_name
    from experiments import datasets

    if name not in (*datasets.names(), *neurodata.names()):
        raise unknown_name("image set or recording", name, [*datasets.names(), *neurodata.names()])
    facts = datasets.describe(name) if name in datasets.names() else neurodata.describe(name)
    if facts["size_bytes"] > _ASK_FROM_BYTES and not facts["cached"]:
        told = f"{name}: {facts['size_bytes'] / 1e9:.1f} GB, {facts['licence']}; {facts['citation']}"
        click.echo(told, err=True)
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError(f"{name} is {facts['size_bytes'] / 1e9:.1f} GB: give --yes to download that much")
            click.confirm("Download it?", abort=True, err=True)
    fetch = datasets.fetch if name in datasets.names() else neurodata.download
    with progress_bar() as progress:
        paths = fetch(name, progress)
    record = {"name": name, "files": [str(path) for path in paths]}
    if as_json:
        print_json(record)
    else:
        click.echo("\n".join(record["files"]) or f"{name} needs no download")


@data_command.command(
    "path",
    cls=Subcommand,
    epilog=examples(
        "bioplausible data path",
    ),
)
@as_json
def data_path_command(as_json: bool) -> None:
    """The cache folder; BIOPLAUSIBLE_DATA moves it."""
    import neurodata

    if as_json:
        print_json({"path": str(neurodata.data_path())})
    else:
        click.echo(neurodata.data_path())
