"""`bioplausible searchlight`: where in a brain models are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bioplausible.foundation.progress import progress_bar
from experiments.terminal import Subcommand, as_json, examples, given, named, print_json, print_table

__all__ = ["searchlight_command"]


@click.command(
    "searchlight",
    cls=Subcommand,
    epilog=examples(
        "bioplausible searchlight my_recording --models pixels,gabor --out runs/maps",
        "bioplausible searchlight my_recording --models runs/first --subjects 01,02 --radius 4 --out runs/maps_of_layers",
    ),
)
@click.argument("recording", type=str)
@click.option(
    "--models",
    help="What is looked for, separated by commas: pixels, luminance, colour_layout, gabor, hmax, category (those that the "
    "stimuli allow by default), an .npz of activations with one array a layer, or a folder that train --out wrote.",
)
@click.option("--mask", help="A NIfTI file or a region of the folder; by default fMRIPrep's brain masks, else the whole volume.")
@click.option("--select", help="Which raw files, by the entities of their names, such as task=objects,space=MNI152NLin2009cAsym.")
@click.option("--subjects", help="Those whose maps are made, separated by commas; all by default.")
@click.option("--radius", type=float, help="Of a searchlight, in voxels (3 by default).")
@click.option("--minimum-fraction", type=float, help="Share of a searchlight that has to lie within the mask (0.5 by default).")
@click.option("--measure", "--distance", "distance", help="Between patterns: correlation (the default) or euclidean.")
@click.option("--comparator", help="Between RDMs: spearman (the default), pearson, cosine or kendall.")
@click.option(
    "--test",
    help="What p-values are of: conditions (permuted, for other stimuli; the default) or subjects (their signs flipped, for these "
    "stimuli alone).",
)
@click.option("--draws", "n_draws", type=int, help="Permutations, or flips (1000 by default); 0 for no p-values.")
@click.option("--peaks", "n_peaks", type=int, help="Peaks of each map in the table (5 by default).")
@click.option("--seed", type=int, help="Repeats the run to the bit on one machine.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for maps, table and picture.")
@as_json
def searchlight_command(recording: str, models: str | None, out: Path, as_json: bool, **options: Any) -> None:
    """Map where models resemble the brain: RECORDING is a folder of your own BOLD runs, and every voxel gets a correlation."""
    from experiments.files import no_empty_folder
    from experiments.searchlights import searchlight_maps

    lists = {"models": models, "select": options.pop("select"), "subjects": options.pop("subjects")}
    fields = given(**options) | {name: tuple(named(f"--{name}", text) or ()) for name, text in lists.items() if text is not None}
    with no_empty_folder(out), progress_bar() as progress:
        maps = searchlight_maps(None, out, progress, recording=recording, **fields)
    if as_json:
        print_json(maps.to_json() | {"out": str(out.resolve())})
        return
    whose = "" if maps.mean is not None else maps.volumes.patterns.subjects[0]
    print_table(
        [
            {
                "model": row["model"],
                "x, y, z in mm": f"{row['x']:.0f}, {row['y']:.0f}, {row['z']:.0f}",
                "r": f"{row['r']:.3f}",
                "t": "" if whose else f"{row['t']:.2f}",
                "p corrected": "" if maps.p_value is None else f"{row['p_value']:.3g}",
                "region": row["region"],
            }
            for row in maps.peaks[(maps.peaks["subject"] == whose) & (maps.peaks["rank"] == 1)].to_dict("records")
        ]
    )
    if maps.tested:
        click.echo(maps.tested)
    for warning in (*maps.volumes.notes, *maps.warnings):
        click.echo(f"note: {warning}", err=True)
    click.echo(f"maps of {'all subjects' if not whose else f'subject {whose}'} and of each: {out.resolve() / 'maps'}")
    click.echo(f"picture: {out.resolve() / 'maps.png'}")
