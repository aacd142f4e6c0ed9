"""Which trainings of a sweep are compared with each other: those of one network on the same images for as long."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bioplausible.foundation.errors import InputError
from experiments.config import CONTROL, TrainConfig, deciding_record
from experiments.results import plain

__all__ = ["Group", "groups_of"]

_SHARED = (
    "architecture",
    "architecture_options",
    "dataset",
    "n_train",
    "exclude_indices",
    "validation_fraction",
    "split_seed",
    "epochs",
    "init",
)


class Group(NamedTuple):
    """Trainings that are ranked together.

    Attributes
    ----------
    name
        Network and images, in words.
    trainings
        The untrained control on plain images first; controls behind front ends are not among them, since every rule is held against
        its own network before the first image.
    """

    name: str
    trainings: tuple[TrainConfig, ...]

    @property
    def rules(self) -> list[str]:
        """Each once, the control first."""
        return list(dict.fromkeys(each.rule for each in self.trainings))


def groups_of(configs: Iterable[TrainConfig]) -> list[Group]:
    """The groups of a sweep, in its order; networks that nothing but the control was trained on make none.

    Parameters
    ----------
    configs
        Trainings, as `experiments.sweeping.plan` has them. Several of one rule are more seeds of it.

    Raises
    ------
    InputError
        Two trainings of one rule with a seed in common: they differ in what no table tells apart.
    """
    found: dict[str, list[TrainConfig]] = {}
    for config in configs:
        if config.optimizer_of or (config.rule == CONTROL and config.front_end != "none"):
            continue
        record = deciding_record(config)
        key = json.dumps(plain({name: record.get(name) for name in _SHARED}), sort_keys=True)
        found.setdefault(key, []).append(config)
    groups = [Group(_name(members[0]), tuple(sorted(members, key=lambda each: each.rule != CONTROL))) for members in found.values()]
    groups = [each for each in groups if len(each.rules) > 1]
    for group in groups:
        _check_seeds(group.name, group.trainings)
    return groups


def _name(config: TrainConfig) -> str:
    options = " ".join(f"{name}={plain(value)}" for name, value in config.architecture_options.items())
    network = f"{config.architecture} {options}".strip()
    images = config.dataset if config.n_train is None else f"{config.n_train} of {config.dataset}"
    return f"{network} on {images}"


def _check_seeds(name: str, trainings: Sequence[TrainConfig]) -> None:
    seen: set[tuple[str, int]] = set()
    for each in trainings:
        taken = {(each.rule, seed) for seed in each.seeds}
        if twice := seen & taken:
            rule, seed = min(twice)
            raise InputError(
                f"a study with {rule} twice with seed {seed} ({name}) was given: ranks tell rules apart by name alone, so give "
                "each with other options a sweep of its own"
            )
        seen |= taken
