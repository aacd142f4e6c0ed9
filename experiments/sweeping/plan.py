"""The plan of a sweep: its cells, each a training or controls that trainings share, and the name that each is found again by."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import learning_rules
from bioplausible.foundation.resolve import is_reference, source_of
from experiments import datasets
from experiments.config import CONTROL, TrainConfig, deciding_record
from experiments.controls import RECIPE
from experiments.files import short_name
from experiments.identity import options_record
from experiments.preparing import build_network
from experiments.readouts import RIDGE
from experiments.results import plain
from experiments.sweeping.config import SweepConfig, expand, with_controls
from experiments.sweeping.summary import IMAGES_OF
from experiments.verdicts import keeps_maps, n_hidden_units

__all__ = ["CONTROL_IMAGES", "Cell", "Plan", "checked_options", "planned", "trainings_of"]

CONTROL_IMAGES = 10_000
"""Images that controls are fitted on where a sweep asks for no readouts."""


class Cell(NamedTuple):
    """A training, or controls that trainings share.

    Attributes
    ----------
    config
        What is trained; of controls, images and seeds.
    path
        Where it is written: `runs/NAME.json` or `controls/NAME.json` in the sweep's folder.
    n_units
        Of controls that are random features alone, as many as a network has hidden units: how many.
    """

    config: TrainConfig
    path: Path
    n_units: int | None = None


class Plan(NamedTuple):
    """All that a sweep consists of.

    Attributes
    ----------
    config
        What was asked for.
    folder
        Where it is kept.
    trainings, controls
        Its cells, in the order of its tables.
    """

    config: SweepConfig
    folder: Path
    trainings: Sequence[Cell]
    controls: Sequence[Cell]


def planned(folder: Path, config: SweepConfig) -> Plan:
    """The plan of a sweep, after everything was built once, so that every mistake is said before the first training.

    Parameters
    ----------
    folder
        Where it is kept.
    config
        What is asked for.

    Raises
    ------
    InputError
        A configuration that some training could not follow.
    """
    configs = expand(config) if config.search else with_controls(expand(config))
    trainings = trainings_of(folder, config, configs)
    if config.search:
        return Plan(config, folder, trainings, ())
    return Plan(config, folder, trainings, _controls_of(folder, configs, config.readout_images or CONTROL_IMAGES, config.readout))


def trainings_of(folder: Path, config: SweepConfig, configs: Sequence[TrainConfig]) -> list[Cell]:
    """Trainings with the place of each, after each was built.

    Parameters
    ----------
    folder, config
        As of `planned`.
    configs
        What is to be trained.
    """
    named = zip(configs, checked_options(configs), strict=True)
    return [Cell(each, folder / "runs" / _file_name(each, options, config)) for each, options in named]


def checked_options(configs: Sequence[TrainConfig]) -> list[dict[str, Any]]:
    """Say what is wrong with any training before the first is begun.

    Parameters
    ----------
    configs
        All of them.

    Returns
    -------
    list of dict
        The options of each rule, with their defaults.
    """
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


def _file_name(config: TrainConfig, options: dict[str, Any], sweep: SweepConfig) -> str:
    # The options with their defaults: a default that was tuned anew asks for a new training, as does a user's changed file.
    sources = {name: source_of(name) for name in (config.rule, config.architecture) if is_reference(name)}
    read: dict[str, Any] = {"readout_images": sweep.readout_images} if sweep.readout_images else {}
    read |= {"readout": sweep.readout} if sweep.readout_images and sweep.readout != RIDGE else {}
    if is_reference(config.rule) and config.rule_options:
        read["asked"] = config.rule_options  # those of a user's own rule may not show in what it was built with
    record = deciding_record(config)
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


def _controls_of(folder: Path, configs: list[TrainConfig], readout_images: int, readout: str) -> list[Cell]:
    """The controls of a sweep, and the file of each."""
    most: dict[tuple[str, int | None], TrainConfig] = {}
    units: dict[str, int | None] = {}
    # Of runs that differ in the number of their seeds alone the one with the most has those of the others.
    for config in configs:
        images = _images_of(config)
        alike = json.dumps(plain({**deciding_record(images), "n_seeds": None}), sort_keys=True)
        network = repr((config.architecture, config.architecture_options, config.dataset))
        if network not in units:
            units[network] = _dense_units(config)
        for key in dict.fromkeys(((alike, None), (alike, units[network]))):
            most[key] = max(most.get(key, images), images, key=lambda each: each.n_seeds)
    cells = []
    for (_, n_units), config in most.items():
        asked = [deciding_record(config), readout_images, readout, RECIPE, *([] if n_units is None else [n_units])]
        digest = hashlib.sha256(json.dumps(plain(asked), sort_keys=True).encode()).hexdigest()[:10]
        name = short_name(config.dataset) + ("" if n_units is None else f"__{n_units}_units")
        cells.append(Cell(config, folder / "controls" / f"{name}__{digest}.json", n_units))
    return cells


def _dense_units(config: TrainConfig) -> int | None:
    """Hidden units of the network of a run, None where it keeps maps: random maps are its control."""
    network = dataclasses.replace(config, front_end="none")
    layers = build_network(network, datasets.load(config.dataset)).describe()
    return None if keeps_maps(layers) else n_hidden_units(layers)
