"""What a training is made of, and how configurations are read and written: frozen dataclasses, YAML in and out.

A configuration is all that decides a run's numbers; it is stored with the results and can be run again. One that is composed of
others (`experiments.compare_config`) takes their fields by name as well, where no other field has that name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from cattrs.preconf.pyyaml import make_converter

from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.options import at_least, make_options, one_of
from bioplausible.foundation.yaml_files import read_mapping, to_yaml

__all__ = [
    "CONTROL",
    "REFERENCE",
    "TrainConfig",
    "check_seed",
    "deciding_record",
    "from_record",
    "read_yaml",
    "to_record",
    "with_fields",
    "write_yaml",
]

Config = TypeVar("Config")

STREAMS = ("auto", "always", "never")

# The rule whose hidden layers stay as they were drawn, and the one that all others are held against.
CONTROL, REFERENCE = "untrained", "backprop"

_converter = make_converter()

# Of a random key: larger seeds would be those of smaller ones over again.
_SEEDS = 2**32

# What is counted in 32 bits.
MOST = 2**31 - 1

# What decides it, of what `learning_rules.build` and `architectures.build` take beside options.
_GIVEN = {
    "rule_options": {"name": "the name of the rule", "network": "the architecture"},
    "architecture_options": {
        "name": "the name of the architecture",
        "input_shape": "the images",
        "n_classes": "the images",
        "front_end": "the option front_end (--front-end)",
    },
}


def check_seed(seed: int, n_seeds: int = 1) -> None:
    """Check that seeds are ones that random keys tell apart.

    Parameters
    ----------
    seed
        The first.
    n_seeds
        How many follow each other.

    Raises
    ------
    InputError
        Below nought, or from 2**32 on.

    >>> check_seed(2**32)
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: seed=4294967296 was given, expected at least 0 and at most 4294967295
    """
    if not 0 <= seed <= _SEEDS - n_seeds:
        raise InputError(f"seed={seed} was given, expected at least 0 and at most {_SEEDS - n_seeds}")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One rule on one architecture and image set, one or several seeds.

    Attributes
    ----------
    rule
        As `learning_rules.build` takes it: a name, `module:name` or `path.py:name`.
    architecture
        As `architectures.build` takes it, likewise.
    dataset
        A named image set, an `.npz` in the Keras layout or a folder of class folders.
    epochs
        Passes over the training split; None chooses between 10 and 30, aiming at 700 steps.
    batch_size
        Images a step; a last, smaller batch is left out of the epoch. None takes what the rule was published with, else 128.
    seed
        Of the first network; the others follow it.
    n_seeds
        Networks that are trained together.
    validation_fraction
        Share of the training images that choose between epochs.
    split_seed
        Which images these are; the same for every seed.
    n_train
        Size of a stratified subset to train on, None for all.
    exclude_indices
        Images left out of every split, by their index in the source.
    front_end
        Fixed, label-free transform before the first layer; "auto" is the one that the rule is tuned behind.
    optimizer_of
        A rule whose optimiser is used in the place of the rule's own, for rules that train the network's parameters alone;
        "" for its own. What backpropagation reaches with it says what of another rule's accuracy is the optimiser's.
    init
        Parameters that the network starts from, every seed from the same (`experiments.pretrained`); "" draws them.
    stream
        Whether images are fetched while a network is trained: "always", "never", or "auto", where they take more than a quarter of
        the device's memory (pictures of a folder are decoded anew where they take more than a quarter of the machine's). The
        weights are the same to the bit.
    rule_options
        Options of the rule other than its defaults.
    architecture_options
        Options of the architecture other than its defaults, and than those that the rule was published with (`RuleSpec.network`).
    """

    rule: str = REFERENCE
    architecture: str = "mlp"
    dataset: str = "digits"
    epochs: int | None = None
    batch_size: int | None = None
    seed: int = 0
    n_seeds: int = 1
    validation_fraction: float = 1 / 12
    split_seed: int = 0
    n_train: int | None = None
    exclude_indices: tuple[int, ...] = ()
    front_end: str = "auto"
    optimizer_of: str = ""
    init: str = ""
    stream: str = "auto"
    rule_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    architecture_options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check ranges."""
        at_least(self, 1, "epochs", "batch_size", "n_seeds", at_most=MOST)
        at_least(self, 0, "split_seed")
        one_of(self, "stream", STREAMS)
        check_seed(self.seed, self.n_seeds)
        for field, decided in _GIVEN.items():
            for name in getattr(self, field):
                if name in decided:
                    of = "rule" if field == "rule_options" else "network"
                    raise InputError(f"{name} was given as an option of the {of}: {decided[name]} decides it, leave it out")

    @property
    def seeds(self) -> range:
        """The seed of every network."""
        return range(self.seed, self.seed + self.n_seeds)


def _parts(config: Any) -> dict[str, Any]:
    """The configurations that one is composed of, by the name of their field: those that it has by default."""
    names = [field.name for field in dataclasses.fields(config) if dataclasses.is_dataclass(field.default)]
    return {name: getattr(config, name) for name in names}


def _values(config: Any) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}


def _placed(kind: Any, parts: Mapping[str, Any], given: Mapping[str, Any], what: str) -> dict[str, dict[str, Any]]:
    """Values by the part whose fields they are, "" for the configuration itself, which is of a kind and has parts.

    Raises
    ------
    InputError
        A field that neither it nor any part of it has, or one that is given twice, by itself and in its part.
    """
    aliases = getattr(kind, "aliases", {})
    # What the whole decides is no field of a part.
    fields = {name: [field for field in _values(part) if field not in kind.decided] for name, part in parts.items()}
    own = [field.name for field in dataclasses.fields(kind) if field.name not in parts]
    places = {field: name for name, of_part in fields.items() for field in of_part} | dict.fromkeys(own, "")
    placed: dict[str, dict[str, Any]] = {name: {} for name in ("", *parts)}
    for name, value in given.items():
        if name in parts and not isinstance(value, Mapping):
            raise InputError(
                f"field '{name}' {what} was given {value!r}, expected a mapping of its fields: {', '.join(fields[name])}"
            )
        for field, each in value.items() if name in parts else [(aliases.get(name, name), value)]:
            valid = fields[name] if name in parts else places
            if field not in valid:
                raise unknown_name(f"field {what}", field, [*valid, *(() if name in parts else (*aliases, *parts))])
            place = placed[name if name in parts else places[field]]
            if field in place:
                raise InputError(f"field '{field}' {what} was given twice, by itself and in its part: leave one out")
            place[field] = each
    return placed


def with_fields(config: Any, kind: type[Config], fields: Mapping[str, Any], caller: str, example: str) -> Config:
    """A configuration with some of its fields replaced, as functions take it that are given one, or its fields by name.

    Parameters
    ----------
    config
        What was given for one; None for that of all defaults.
    kind
        What is expected.
    fields
        Those that replace its own, or those of its parts; one word stands for a list of one.
    caller
        The function, for the mistake.
    example
        A field by name, for the mistake.

    Raises
    ------
    InputError
        Something that is no configuration of that kind, or a field that it has not.
    """
    if config is not None and not isinstance(config, kind):
        raise InputError(f"{caller} was given {config!r}, expected a {kind.__name__}, or its fields by name: {caller}({example})")
    base: Any = kind() if config is None else config
    parts = _parts(base)
    whole = {name: value for name, value in fields.items() if name in parts and isinstance(value, type(parts[name]))}
    base = dataclasses.replace(base, **whole)
    parts = _parts(base)
    placed = _placed(kind, parts, {name: value for name, value in fields.items() if name not in whole}, f"of {kind.__name__}")
    changed = {name: dataclasses.replace(part, **_listed(part, placed[name])) for name, part in parts.items()}
    return dataclasses.replace(base, **changed, **_listed(base, placed[""]))


def _listed(config: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a configuration's fields: lists are what it holds as tuples, and one value stands for a list of one."""
    several = {name for name, value in _values(config).items() if isinstance(value, tuple)}
    return {
        name: value if name not in several else tuple(value) if isinstance(value, list | tuple) else (value,)
        for name, value in given.items()
    }


def to_record(config: Any) -> dict[str, Any]:
    """A configuration as plain values, for YAML and JSON."""
    record: dict[str, Any] = _converter.unstructure(config)
    for name in getattr(config, "unsaid", ()):
        if record[name] is None:
            del record[name]  # what was written before there was such a field stays as it is
    for part in _parts(config):
        record[part] = {name: value for name, value in record[part].items() if name not in config.decided}
    return record


def deciding_record(config: TrainConfig | Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration decides what it ends in: what was trained before a field was there is found by the others.

    Parameters
    ----------
    config
        Of a training, as it is or as plain values.
    """
    record = dict(config) if isinstance(config, Mapping) else to_record(config)
    record.pop("stream", None)  # the weights are the same, to the bit
    if not record.get("init"):
        record.pop("init", None)
    return record


def from_record(record: Any, kind: type[Config], origin: str) -> Config:
    """A configuration from plain values.

    Raises
    ------
    InputError
        Fields that do not exist (the nearest is guessed) or values of another type, with `origin` named.
    """
    if not isinstance(record, dict):
        raise InputError(f"{origin} holds {type(record).__name__}, expected a mapping of configuration fields")
    of_kind: Any = kind
    parts = {field.name: field.default for field in dataclasses.fields(of_kind) if dataclasses.is_dataclass(field.default)}
    placed = _placed(kind, parts, record, f"in {origin}")
    made = {name: make_options(type(part), {**_values(part), **placed[name]}, origin) for name, part in parts.items()}
    return make_options(kind, {**made, **placed[""]}, origin)


def read_yaml(path: Path, kind: type[Config]) -> Config:
    """A configuration from a YAML file.

    Raises
    ------
    InputError
        A file that is not there, is not YAML or does not fit.
    """
    return from_record(read_mapping(path, "rule: backprop"), kind, str(path))


def write_yaml(config: Any) -> str:
    """A configuration as YAML.

    >>> print(write_yaml(TrainConfig(rule="hebbian")).splitlines()[0])
    rule: hebbian
    """
    return to_yaml(to_record(config))
