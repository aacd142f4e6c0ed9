"""What a run is made of: frozen dataclasses, YAML in and out.

A configuration is all that decides a run's numbers; it is stored with the results and can be run again.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from cattrs.preconf.pyyaml import make_converter

from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.options import at_least, fraction, make_options, one_of
from bioplausible.foundation.yaml_files import read_mapping, to_yaml

__all__ = [
    "CONTROL",
    "REFERENCE",
    "CompareConfig",
    "TrainConfig",
    "check_seed",
    "from_record",
    "read_yaml",
    "to_record",
    "with_fields",
    "write_yaml",
]

Config = TypeVar("Config")

SCORECARDS = ("core", "all", "none")

# The rule whose hidden layers stay as they were drawn, and the one that all others are held against.
CONTROL, REFERENCE = "untrained", "backprop"

_converter = make_converter()

# Of a random key: larger seeds would be those of smaller ones over again.
_SEEDS = 2**32

# What is counted in 32 bits, and draws that anybody waits for.
_MOST, _MOST_DRAWS = 2**31 - 1, 1_000_000

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
    rule_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    architecture_options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check ranges."""
        at_least(self, 1, "epochs", "batch_size", "n_seeds", at_most=_MOST)
        at_least(self, 0, "split_seed")
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


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """Several rules on one architecture and image set, compared with one recording.

    Attributes
    ----------
    rules
        What to train; the untrained control is added where it is missing.
    architecture
        As `architectures.build` takes it.
    dataset
        As in `TrainConfig`.
    recording
        A named recording or a user's folder.
    subjects
        Of the recording, those that are compared with; all by default.
    exclude_subjects
        Those that are left out.
    regions
        Those that are compared with; all by default.
    conditions
        Stimuli, or categories of stimuli, that are shown; all by default.
    activations
        Files with what models from elsewhere make of the recording's stimuli, one array a layer (`experiments.activations`), which
        are scored beside the rules.
    epochs
        As in `TrainConfig`.
    batch_size
        As in `TrainConfig`.
    seed
        Of the first network of each rule; all rules start from the same weights and see the same order of images.
    seeds
        Networks per rule.
    distance
        The measure, one of `rsa.MEASURES`: how patterns of networks, and of regions that come as patterns, become RDMs.
    comparator
        Between RDMs, one of `rsa.COMPARATORS`: that of the report's pictures and tests.
    more_comparators
        Others whose scores stand in the same table: of `rsa.COMPARATORS`, or, for recordings that come as patterns, of
        `rsa.PATTERN_COMPARATORS`.
    n_draws
        Bootstrap draws, and permutations; 0 for scores without intervals.
    factors
        What intervals generalise over, of `rsa.FACTORS`; what there is too little of to draw from is left out and named.
    reference_models
        Models that are no networks and stand beside them, of `rsa.REFERENCE_MODELS`.
    confidence
        Coverage of the intervals.
    readout_images
        Training images that the one readout for all rules and controls is fitted on, whose accuracy is held against the best
        control; 0 for none.
    scorecard
        Criteria of plausibility that are put to every rule: "core" for those that need no training, "all", or "none".
    stimulus_size
        Side in pixels at which the networks see the stimuli; None for the size that they were trained at.
    more_stimulus_sizes
        Others at which layers are scored too, in the same table.
    validation_fraction
        As in `TrainConfig`.
    split_seed
        As in `TrainConfig`.
    n_train
        As in `TrainConfig`.
    front_end
        Fixed, label-free transform before the first layer of every network, whatever its rule is tuned behind.
    rule_options
        Rule -> options other than its defaults.
    architecture_options
        As in `TrainConfig`.
    """

    rules: tuple[str, ...] = (CONTROL, REFERENCE, "feedback_alignment")
    architecture: str = "cnn"
    dataset: str = "digits"
    recording: str = "simulated"
    subjects: tuple[str, ...] = ()
    exclude_subjects: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()
    epochs: int | None = None
    batch_size: int = 128
    seed: int = 0
    seeds: int = 3
    distance: str = "correlation"
    comparator: str = "spearman"
    more_comparators: tuple[str, ...] = ()
    n_draws: int = 1000
    factors: tuple[str, ...] = ("stimuli", "subjects", "seeds")
    reference_models: tuple[str, ...] = ("pixels", "luminance", "gabor", "hmax")
    confidence: float = 0.95
    readout_images: int = 2000
    scorecard: str = "core"
    stimulus_size: int | None = None
    more_stimulus_sizes: tuple[int, ...] = ()
    validation_fraction: float = 1 / 12
    split_seed: int = 0
    n_train: int | None = None
    front_end: str = "none"
    rule_options: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    architecture_options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check ranges, and that options are given for rules that are there."""
        if not self.rules:
            raise InputError("no rule was given to compare: name at least one, such as backprop")
        if len(set(self.rules)) != len(self.rules):
            raise InputError(f"rules={','.join(self.rules)} names a rule twice: name each once, seeds repeat it")
        for rule in self.rule_options:
            if rule not in self.rules:
                raise unknown_name("rule with options", rule, self.rules)
        several = [
            *([getattr(self, name), *getattr(self, f"more_{name}s")] for name in ("comparator", "stimulus_size")),
            self.factors,
            self.reference_models,
        ]
        for given in several:
            if len(set(given)) != len(given):
                raise InputError(
                    f"{', '.join(map(str, given))} was given, where each may be named once: leave out what is repeated"
                )
        at_least(self, 1, "seeds", "epochs", "batch_size", at_most=_MOST)
        at_least(self, 1, "stimulus_size", "more_stimulus_sizes")
        at_least(self, 0, "n_draws", at_most=_MOST_DRAWS)
        at_least(self, 0, "readout_images", "split_seed")
        check_seed(self.seed, self.seeds)
        one_of(self, "scorecard", SCORECARDS)
        fraction(self, "confidence", with_zero=False, with_one=False)

    def training(self, rule: str, exclude_indices: tuple[int, ...] = ()) -> TrainConfig:
        """The configuration that trains one of the rules."""
        return TrainConfig(
            rule=rule,
            n_seeds=self.seeds,
            exclude_indices=exclude_indices,
            rule_options=self.rule_options.get(rule, {}),
            **{
                name: getattr(self, name)
                for name in (
                    "architecture",
                    "dataset",
                    "epochs",
                    "batch_size",
                    "seed",
                    "validation_fraction",
                    "split_seed",
                    "n_train",
                    "front_end",
                    "architecture_options",
                )
            },
        )


def with_fields(config: Any, kind: type[Config], fields: dict[str, Any], caller: str, example: str) -> Config:
    """A configuration with some of its fields replaced, as functions take it that are given one, or its fields by name.

    Parameters
    ----------
    config
        What was given for one; None for that of all defaults.
    kind
        What is expected.
    fields
        Those that replace its own.
    caller
        The function, for the mistake.
    example
        A field by name, for the mistake.

    Raises
    ------
    InputError
        Something that is no configuration of that kind, or a field that it has not.
    """
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for name in fields:
        if name not in known:
            raise unknown_name(f"field of {kind.__name__}", name, known)
    if config is not None and not isinstance(config, kind):
        raise InputError(f"{caller} was given {config!r}, expected a {kind.__name__}, or its fields by name: {caller}({example})")
    return dataclasses.replace(kind() if config is None else config, **fields)  # type: ignore[type-var]


def to_record(config: Any) -> dict[str, Any]:
    """A configuration as plain values, for YAML and JSON."""
    record: dict[str, Any] = _converter.unstructure(config)
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
    valid = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for name in record:
        if name not in valid:
            raise unknown_name(f"field in {origin}", name, valid)
    return make_options(kind, record, origin)


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
