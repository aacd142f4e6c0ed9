"""Misspelt names are said at once: before the libraries are imported that would train, read or score anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from bioplausible.foundation.errors import InputError, unknown_name
from experiments import catalogue
from experiments.compare_config import CompareConfig
from experiments.config import TrainConfig

__all__ = ["check_comparison", "check_sweep", "check_training"]


def check_training(config: TrainConfig) -> None:
    """Check the names in a training's configuration.

    Parameters
    ----------
    config
        What was asked for.

    Raises
    ------
    InputError
        For the first that is unknown, in the words of whoever would have used it.
    """
    catalogue.check_names(
        (config.rule, config.optimizer_of) if config.optimizer_of else (config.rule,),
        {config.rule: config.rule_options},
        config.architecture,
        config.architecture_options,
        config.front_end,
    )
    _check_images(config.dataset)


def check_comparison(config: CompareConfig) -> None:
    """Check the names in a comparison's configuration.

    Parameters
    ----------
    config
        What was asked for.

    Raises
    ------
    InputError
        As `check_training`.
    """
    training, scoring = config.training, config.scoring
    catalogue.check_names(
        config.rules, config.rule_options, training.architecture, training.architecture_options, training.front_end
    )
    of_rdms = [row["measure"] for row in catalogue.measure_rows() if row["of"] == "RDMs"]
    between = {row["comparator"]: row["of"] for row in catalogue.comparator_rows()}
    _check_each("measure", scoring.measures, of_rdms, between, "comparator")
    _check_each("comparator", scoring.comparators, between, of_rdms, "measure")
    _check_images(training.dataset)
    _check_recording(config.stimuli.recording)
    if config.fusion is not None:
        _check_recording(config.fusion)


def check_sweep(record: Mapping[str, Any]) -> None:
    """Check the names in the file of a sweep, before anything of it is made.

    Parameters
    ----------
    record
        What the file holds; what is not as it should be is left to whoever makes a sweep of it.

    Raises
    ------
    InputError
        For the first that is unknown, in the words of whoever would have used it.
    """
    shared, blocks = record.get("train"), record.get("runs")
    for block in blocks if isinstance(blocks, list) else ():
        fields = {**(shared if isinstance(shared, dict) else {}), **(block if isinstance(block, dict) else {})}
        rules = [rule for rule in (*_named(fields, "rule"), *_named(fields, "optimizer_of")) if rule != "all"]
        catalogue.check_names([rule for rule in rules if rule])
        for architecture in _named(fields, "architecture"):
            catalogue.check_names(architecture=architecture)
        for front_end in _named(fields, "front_end"):
            catalogue.check_names(front_end=front_end)
        for name in _named(fields, "dataset"):
            _check_images(name)
    asked = record.get("compare")
    for name in _named(asked, "recordings") if isinstance(asked, dict) else ():
        _check_recording(name)


def _named(fields: Mapping[str, Any], name: str) -> list[str]:
    """The names that a field gives, one or a list of them."""
    given = fields.get(name)
    return [each for each in (given if isinstance(given, list) else [given]) if isinstance(each, str)]


def _check_each(kind: str, given: Collection[str], valid: Collection[str], others: Collection[str], other: str) -> None:
    for name in given:
        if name not in valid:
            error = unknown_name(kind, name, valid)
            raise InputError(f"{error}; '{name}' is a {other}: give --{other} {name}") if name in others else error


def _check_images(name: str) -> None:
    from experiments import datasets

    datasets.check_name(name)


def _check_recording(name: str) -> None:
    import neurodata

    neurodata.check_name(name)
