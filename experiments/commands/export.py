"""`bioplausible export`: a trained network for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from experiments.terminal import Subcommand, as_json, examples, print_json

__all__ = ["export_command"]


@click.command(
    "export",
    cls=Subcommand,
    epilog=examples(
        "bioplausible export runs/spiking network.nir",
        "bioplausible export runs/spiking network.nir --seconds-per-step 0.0001 --best",
    ),
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--seed", type=int, help="Of several networks the one that was trained with this seed; the first by default.")
@click.option("--best", is_flag=True, help="The weights of the epoch that was best on the validation images, not the last.")
@click.option("--seconds-per-step", type=float, help="How long a step of the network lasts (0.001 by default).")
@as_json
def export_command(folder: Path, file: Path, seed: int | None, best: bool, seconds_per_step: float | None, as_json: bool) -> None:
    """Write a spiking network that train --out left in FOLDER to FILE, a NIR graph that tools for neuromorphic hardware read."""
    from bioplausible.foundation.files import cannot_write
    from experiments.exporting import export_nir

    try:
        written = export_nir(folder, file, seed=seed, best=best, seconds_per_step=seconds_per_step)
    except OSError as error:
        raise cannot_write(file, error) from error
    if as_json:
        print_json(written)
        return
    click.echo(f"{written['network']} of seed {written['seed']}, {written['units']} units: {written['file']}")
    for note in written["notes"]:
        click.echo(f"note: {note}", err=True)
