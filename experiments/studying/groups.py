"""Which trainings of a sweep are compared with each other: those of one network on the same images for as long."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

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
        The untrained control on plain images first; controls behind front ends are not among them, since every rule's
        representations are held against its own network before the first image.
    controls
        All untrained ones, behind front ends too: whether a rule reads worse than untrained networks is asked behind its own.
    """

    name: str
    trainings: tuple[TrainConfig, ...]
    controls: tuple[TrainConfig, ...] = ()

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
        Two trainings of one rule with a seed in common, which differ in what no table tells apart, or rules without a control.
    """
    found: dict[str, list[TrainConfig]] = {}
    for config in configs:
        if config.optimizer_of:
            continue
        record = deciding_record(config)
        key = json.dumps(plain({name: record.get(name) for name in _SHARED}), sort_keys=True)
        found.setdefault(key, []).append(config)
    groups = []
    for key, members in found.items():
        alike = [json.loads(other) for other in found if _name(found[other][0]) == _name(members[0])]
        name = _name(members[0]) + _different(json.loads(key), alike)
        if any(each.rule != CONTROL for each in members):
            groups.append(_group(name, members))
            _check_seeds(name, groups[-1].trainings)
    return groups


def _group(name: str, members: Sequence[TrainConfig]) -> Group:
    controls = sorted((each for each in members if each.rule == CONTROL), key=lambda each: each.front_end != "none")
    if not controls:
        raise InputError(f"a study of {members[0].rule} without the untrained network ({name}) was given: add rule: {CONTROL}")
    shown = [each for each in controls if each.front_end == controls[0].front_end]
    return Group(name, (*shown, *(each for each in members if each.rule != CONTROL)), tuple(controls))


def _different(record: Mapping[str, Any], alike: Sequence[Mapping[str, Any]]) -> str:
    """What tells a group from others whose network and images have the same name."""
    told = [f"{name}={record[name]}" for name in _SHARED if any(record[name] != other[name] for other in alike)]
    return f" ({', '.join(told)})" if told else ""


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
