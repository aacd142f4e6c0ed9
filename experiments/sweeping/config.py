"""What a sweep is made of: runs as a product of values, and for a search the values that trials are drawn from."""

from __future__ import annotations

import dataclasses
import itertools
import math
import sys
import zlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

import architectures
import learning_rules
from bioplausible.foundation.errors import InputError, shortened, unknown_name
from bioplausible.foundation.options import at_least
from bioplausible.foundation.resolve import is_reference
from experiments.config import CONTROL, REFERENCE, TrainConfig, from_record
from experiments.preparing import with_own_settings
from experiments.readouts import READOUTS, RIDGE
from experiments.studying.config import StudyConfig

__all__ = ["TASK", "TRIED", "SearchConfig", "SweepConfig", "expand", "family_of", "with_controls"]

# What a search compares trials within, and what it tries there.
TASK = ("rule", "architecture", "front_end", "dataset", "n_train")
TRIED = ("rule_options", "architecture_options", "optimizer_of")
_DRAWS_A_TRIAL = 50


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """A random search with the same budget for every rule.

    Attributes
    ----------
    trials
        Trainings per rule and architecture; the first is with the rule's defaults.
    space
        "all", a family or `family/variant` -> option -> a list to choose from, or `{low, high}` to draw from, uniformly in the
        logarithm. `network.` before an option makes it one of the architecture's; `optimizer_of` is none of the rule's options but
        the rule whose optimiser is borrowed, "" for its own. The more specific entry wins.
    seed
        Of the draws; those of a rule and architecture depend on nothing else.
    finalists
        How many trials of a rule and architecture go on to the final, beside its defaults; 0 for no final
        (`experiments.sweeping.finals` has the rule by which one of them is adopted).
    final
        Fields of `TrainConfig` that are different in the final: the full budget, and two seeds, say.
    """

    trials: int = 1
    space: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    seed: int = 0
    finalists: int = 0
    final: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the budget."""
        at_least(self, 1, "trials")
        at_least(self, 0, "finalists", at_most=self.trials)
        valid = [field.name for field in dataclasses.fields(TrainConfig)]
        for name in self.final:
            if name not in valid:
                raise unknown_name("field in the final of the search", name, valid)


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """Many trainings.

    Attributes
    ----------
    title
        One line on what they are for.
    train
        Fields of `TrainConfig` that all runs share.
    runs
        Each a mapping of fields of `TrainConfig` to a value or a list of values, whose product is run; "rule: all" is every
        variant but those named by "except:".
    search
        None for each run as it stands.
    readout_images
        Training images that one readout for all is fitted on, for rules and controls alike (`experiments.readouts`): verdicts then
        go by it. 0 to go by what each network's own output reaches; controls are then read from 10,000 images.
    readout
        "ridge", or "logistic", which takes far longer and shows whether a verdict hangs on how features are read.
    backprop_beside
        Train backpropagation with the optimiser of each rule too, and put what it reaches beside the rule.
    floors
        Network -> rule or family -> test accuracy to reach. A network is an architecture ("mlp"), or one with options ("mlp
        hidden=100"), which then counts alone for it.
    published
        Network -> rule or family -> `{accuracy, source}`.
    compare
        What brains the networks are compared with once they are trained (`experiments.studying`); None for none.
    """

    title: str = ""
    train: dict[str, Any] = dataclasses.field(default_factory=dict)
    runs: tuple[dict[str, Any], ...] = ()
    search: SearchConfig | None = None
    readout_images: int = 0
    readout: str = RIDGE
    backprop_beside: bool = False
    floors: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    published: dict[str, dict[str, dict[str, Any]]] = dataclasses.field(default_factory=dict)
    compare: StudyConfig | None = None

    unsaid: ClassVar = ("compare",)
    """Fields that are not written where they are None."""

    def __post_init__(self) -> None:
        """Check that there is something to run."""
        at_least(self, 0, "readout_images")
        if self.readout not in READOUTS:
            raise unknown_name("readout", self.readout, READOUTS)
        if self.readout != RIDGE and not self.readout_images:
            raise InputError(f"readout='{self.readout}' was given without readout_images, which it is fitted on: try 10000")
        if self.compare is not None and self.search is not None:
            raise InputError("a sweep with search and compare was given: compare what was found, in a sweep of its own")
        if not self.runs:
            raise InputError("a sweep without runs was given: list at least one, such as 'runs: [{rule: backprop}]'")
        for network, floors in self.floors.items():
            for rule, floor in floors.items():
                if not 0 <= floor <= 1:
                    raise InputError(f"a floor of {floor} was given for {rule} on {network}, expected an accuracy from 0 to 1")
        for network, published in self.published.items():
            for rule, entry in published.items():
                accuracy = entry.get("accuracy")
                if set(entry) != {"accuracy", "source"} or not _is_accuracy(accuracy) or not isinstance(entry["source"], str):
                    raise InputError(
                        f"what was published of {rule} on {network} was given as {shortened(repr(entry))}, expected an accuracy "
                        "from 0 to 1 and a source: {accuracy: 0.9, source: doi or arXiv id}"
                    )


def _is_accuracy(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _product(block: dict[str, Any], origin: str) -> list[dict[str, Any]]:
    """A block of runs as one mapping a run."""
    valid = [field.name for field in dataclasses.fields(TrainConfig)]
    choices: dict[str, list[Any]] = {}
    block = dict(block)
    given = block.pop("except", [])
    excepted = given if isinstance(given, list | tuple) else [given]
    for rule in excepted:
        if not isinstance(rule, str):
            raise InputError(f"except: {shortened(repr(given))} was given in {origin}, expected names of rules")
    left_out = {learning_rules.spec(rule).name for rule in excepted}
    if left_out and block.get("rule") != "all":
        raise InputError(f"except: {given} was given in {origin} whose rule is not 'all': leave out what is not to run")
    for name, value in block.items():
        if name not in valid:
            raise unknown_name(f"field in {origin}", name, valid)
        if name == "rule":
            value = [rule for rule in learning_rules.names(variants=True) if rule not in left_out] if value == "all" else value
        choices[name] = list(value) if isinstance(value, list | tuple) and name != "exclude_indices" else [value]
        if not choices[name]:
            raise InputError(f"{name}: [] was given in {origin}, expected at least one value")
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def family_of(rule: str) -> str:
    """The family of a rule by its name; a user's rule is a family of its own.

    Parameters
    ----------
    rule
        As `learning_rules.build` takes it.

    >>> family_of("hebbian/oja"), family_of("rules/mine.py:rule")
    ('hebbian', 'rules/mine.py:rule')
    """
    return rule if is_reference(rule) else rule.partition("/")[0]


def _space(search: SearchConfig, rule: str) -> dict[str, Any]:
    family = family_of(rule)
    merged: dict[str, Any] = {}
    for name in ("all", family, rule):
        merged |= search.space.get(name, {})
    return merged


def _is_range(low: Any, high: Any) -> bool:
    are_numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
    return are_numbers and 0 < low < high <= sys.float_info.max


def _draw(rng: np.random.Generator, name: str, choices: Any) -> Any:
    if isinstance(choices, list | tuple) and choices:
        return choices[int(rng.integers(len(choices)))]
    if isinstance(choices, dict) and set(choices) == {"low", "high"} and _is_range(**choices):
        return float(f"{math.exp(rng.uniform(math.log(choices['low']), math.log(choices['high']))):.2g}")
    raise InputError(
        f"option '{name}' is to be searched in {shortened(repr(choices))}: give a list of values, or {{low, high}} with "
        "0 < low < high"
    )


def _drawn(config: TrainConfig, space: dict[str, Any], rng: np.random.Generator) -> TrainConfig:
    """One draw of all that is searched."""
    drawn = {name: _draw(rng, name, choices) for name, choices in sorted(space.items())}
    of_network = {name.removeprefix("network."): value for name, value in drawn.items() if name.startswith("network.")}
    borrowed = drawn.pop("optimizer_of", "")
    # Under another rule's optimiser a rule's own rate and decay do nothing, and a trial must not be named after them.
    of_rule = {} if borrowed else {name: value for name, value in drawn.items() if not name.startswith("network.")}
    return dataclasses.replace(
        config,
        optimizer_of=borrowed or config.optimizer_of,
        rule_options={**config.rule_options, **of_rule},
        architecture_options={**config.architecture_options, **of_network},
    )


def _trials(config: TrainConfig, search: SearchConfig) -> list[TrainConfig]:
    """The same number of trainings for every rule: its defaults, then draws."""
    space = _space(search, config.rule)
    # What one rule draws must not depend on which others are searched beside it.
    stream = zlib.crc32(f"{config.rule} {config.architecture} {config.front_end}".encode())
    rng = np.random.default_rng([search.seed, stream])
    trials = [config]
    # What was drawn already is drawn again; a space of few values is tried out before the budget is spent.
    for _ in range(_DRAWS_A_TRIAL * search.trials):
        if len(trials) == search.trials:
            break
        trial = _drawn(config, space, rng)
        if trial not in trials:
            trials.append(trial)
    return trials


def _with_its_optimizer(runs: list[TrainConfig]) -> list[TrainConfig]:
    """Backpropagation with the optimiser of every rule, on the same task."""
    return [
        dataclasses.replace(run, rule=REFERENCE, rule_options={}, optimizer_of=run.rule)
        for run in runs
        if run.rule not in (REFERENCE, CONTROL) and not run.rule_options
    ]


def _check_known(kind: str, given: Iterable[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known and not is_reference(name):
            raise unknown_name(kind, name, known)


def expand(config: SweepConfig) -> list[TrainConfig]:
    """Every training of a sweep, in order; each only once.

    Raises
    ------
    InputError
        Unknown rules, fields, or rules and architectures that something else is said of.

    >>> block = {"rule": ["untrained", "backprop"], "architecture": ["mlp", "cnn"]}
    >>> [(run.rule, run.architecture) for run in expand(SweepConfig(train={"dataset": "digits"}, runs=(block,)))]
    [('untrained', 'mlp'), ('untrained', 'cnn'), ('backprop', 'mlp'), ('backprop', 'cnn')]
    """
    rules = {*learning_rules.names(), *learning_rules.names(variants=True)}
    _check_known("rule to search", config.search.space if config.search else (), {"all", *rules})
    for said, table in (("with a floor", config.floors), ("that something was published of", config.published)):
        # Options stand behind a name; a path may hold spaces.
        named = [network if is_reference(network) else network.partition(" ")[0] for network in table]
        _check_known(f"architecture {said}", named, architectures.names())
        _check_known(f"rule {said}", [rule for of_network in table.values() for rule in of_network], rules)
    expanded: list[TrainConfig] = []
    for index, block in enumerate(config.runs):
        origin = f"run {index + 1} of the sweep"
        if "rule" not in {**config.train, **block}:
            raise InputError(f"{origin} names no rule: give one, such as 'rule: backprop', or 'rule: all'")
        for fields in _product({**config.train, **block}, origin):
            run = from_record(fields, TrainConfig, origin)
            run = with_own_settings(dataclasses.replace(run, rule=learning_rules.spec(run.rule).name))
            expanded += _trials(run, config.search) if config.search else [run]
    unique: list[TrainConfig] = []
    for run in [*expanded, *(_with_its_optimizer(expanded) if config.backprop_beside else ())]:
        if run not in unique:
            unique.append(run)
    return unique


def with_controls(runs: Sequence[TrainConfig]) -> list[TrainConfig]:
    """Every training of a sweep, and of each network the untrained control, on plain images and behind the rules' front ends.

    Those that are not among them come first, so that no verdict waits for them.

    Parameters
    ----------
    runs
        As `expand` gives them.

    >>> block = {"rule": ["hebbian", "backprop"], "architecture": "mlp"}
    >>> runs = expand(SweepConfig(train={"dataset": "digits"}, runs=(block,)))
    >>> [(run.rule, run.front_end) for run in with_controls(runs)][:3]
    [('untrained', 'none'), ('untrained', 'zca'), ('hebbian/competitive', 'zca')]
    """

    def control(run: TrainConfig, front_end: str) -> TrainConfig:
        """The untrained network of a run, whatever its rule asks of options and batches."""
        return dataclasses.replace(run, rule=CONTROL, rule_options={}, optimizer_of="", batch_size=None, front_end=front_end)

    known = [control(run, run.front_end) for run in runs if run.rule == CONTROL]
    missing: list[TrainConfig] = []
    for wanted in (control(run, front_end) for run in runs for front_end in ("none", run.front_end)):
        if wanted not in [*known, *missing]:
            missing.append(wanted)
    return [*map(with_own_settings, missing), *runs]
