"""A trained network as a file of other tools."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jax

from architectures.nir_export import SECONDS_PER_STEP, write_nir
from bioplausible.foundation.errors import InputError
from experiments.trained import Trained

__all__ = ["export_nir"]


def export_nir(
    folder: str | Path, file: str | Path, *, seed: int | None = None, best: bool = False, seconds_per_step: float | None = None
) -> dict[str, Any]:
    """Write a trained network as a NIR graph (`architectures.write_nir`).

    Parameters
    ----------
    folder
        That `train --out` wrote.
    file
        To write; its name ends in `.nir`.
    seed
        Of several networks the one that was trained with this seed; the first by default.
    best
        Whether to take the weights of the epoch that was best on the validation images, rather than the last.
    seconds_per_step
        How long a step lasts, one millisecond by default.

    Returns
    -------
    dict
        `file`, `network`, `seed`, `units`, and `notes` on what is no part of the graph.

    Raises
    ------
    InputError
        A folder that holds no finished training, a seed that is not there, another ending than `.nir`, or a network that NIR has no
        words for.
    """
    path = Path(file)
    if path.suffix != ".nir":
        raise InputError(f"{path} was given as the file to write, expected a name that ends in .nir")
    trained = Trained.load(folder)
    seeds = trained.config.seeds
    chosen = seeds.start if seed is None else seed
    if chosen not in seeds:
        there = f"seed {seeds.start}" if len(seeds) == 1 else f"seeds {seeds.start} to {seeds[-1]}"
        raise InputError(f"seed {chosen} was asked for, {folder} holds {there}")
    state = trained.best if best else trained.state
    params = jax.tree.map(lambda leaf: leaf[chosen - seeds.start], state.params["network"])
    network = trained.network
    write_nir(path, network, params, SECONDS_PER_STEP if seconds_per_step is None else seconds_per_step)
    scale = trained.images.normalisation
    mean, std = (", ".join(f"{each:.6g}" for each in values) for values in (scale.mean, scale.std))
    notes = [f"images were scaled, (pixel / 255 - {mean}) / {std}, which is no part of the graph"]
    if network.front_end.name != "none":
        notes.append(f"images went through the front end '{network.front_end.name}', which is no part of the graph")
    if network.reading is not None:
        notes.append(f"images were read as '{network.reading.name}', which is no part of it: its input is what a step brings")
    return {
        "file": str(path.resolve()),
        "network": f"{trained.name} on {network.name}",
        "seed": chosen,
        "units": sum(math.prod(node.output_shape) for node in network.nodes),
        "notes": notes,
    }
