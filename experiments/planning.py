"""What a comparison will do, before any of it is done: names, shapes, memory and the recording; every mistake is said here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import numpy as np

import architectures
import learning_rules
import neurodata
import rsa
from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.resolve import resolve
from experiments import stimuli, views
from experiments.activations import Activations, read_activations
from experiments.compare_config import AUTO, CompareConfig
from experiments.config import CONTROL, TrainConfig
from experiments.environment import check_room
from experiments.fusion import Pair, pair_of
from experiments.measured import CATEGORY, reference_names
from experiments.preparing import build_network, load_images
from experiments.recordings import load_recording
from experiments.responding import part_for_size
from neurodata import PatternSet, Recording

__all__ = ["Plan", "check", "measure_for", "plan", "with_control"]


@dataclass(frozen=True, eq=False)
class Plan:
    """A comparison that is ready to begin.

    Attributes
    ----------
    config
        What was asked for, the untrained control among its rules.
    recording
        What networks are compared with.
    trainings
        Of every rule, in their order, what trains it; stimuli are none of its images.
    elsewhere
        What models from elsewhere make of the recording's stimuli.
    pair
        The recording and the one that it is fused with, where that is asked for.
    """

    config: CompareConfig
    recording: Recording
    trainings: tuple[TrainConfig, ...]
    elsewhere: tuple[Activations, ...] = ()
    pair: Pair | None = None


def with_control(config: CompareConfig) -> CompareConfig:
    """The configuration with the untrained control, first where it was left out.

    Parameters
    ----------
    config
        Of a comparison.
    """
    return config if CONTROL in config.rules else dataclasses.replace(config, rules=(CONTROL, *config.rules))


def check(config: CompareConfig) -> tuple[int, ...]:
    """Say what cannot be found, read, built or shown at the size asked for; a front end, slow to fit, is left to the training.

    Parameters
    ----------
    config
        Of a comparison.

    Returns
    -------
    tuple of int
        Shape of an image that networks are trained on.

    Raises
    ------
    InputError
        Unknown names, an image set that cannot be used, or stimuli of a size that no layer takes.
    """
    _check_names(config)
    images = load_images(config.training_of(CONTROL))
    for rule in config.rules:
        training = dataclasses.replace(config.training_of(rule), front_end="none")
        network = build_network(training, images)
        learning_rules.build(rule, network.core, **training.rule_options).optimizer(1)
    shapes = [stimuli.evaluation_shape(network.input_shape, size) for size in config.stimuli.sizes]
    if len(set(shapes)) < len(shapes):
        raise InputError(f"stimuli of {shapes[0][0]} pixels, the training images' size, were asked for twice: leave one out")
    _check_stimuli(config, network.input_shape, 1)
    for size in config.stimuli.sizes:
        part_for_size(network, size)
    return network.input_shape


def plan(config: CompareConfig, input_shape: tuple[int, ...]) -> Plan:
    """Read the recording, and say what will be trained for it.

    Parameters
    ----------
    config
        That `check` found nothing wrong with.
    input_shape
        That it gave.

    Raises
    ------
    InputError
        A recording that cannot be used, whose stimuli no memory holds at the sizes asked for, activations of others, or a recording
        that this one cannot be fused with.
    """
    asked = config.stimuli
    whole = load_recording(asked.recording, select=asked.select)
    recording = neurodata.select(whole, asked.subjects, asked.exclude_subjects, asked.regions, asked.conditions)
    fused = None if config.fusion is None else load_recording(config.fusion)
    config = _settled(config, [recording] if fused is None else [recording, fused])
    views.check_patterns(recording, config)
    for measure in config.scoring.measures:
        _check_runs(recording, measure)
    _check_pairs(recording, config)
    _check_stimuli(config, input_shape, len(recording.stimuli.images))
    excluded: tuple[int, ...] = ()
    # Another recording's indices count images of another source.
    shows_digits = whole.stimuli.source == neurodata.default_stimuli().source
    if config.training.dataset == "digits" and shows_digits and whole.stimuli.source_indices is not None:
        # All of them, so that a part of the stimuli is shown to the same networks.
        excluded = tuple(int(index) for index in whole.stimuli.source_indices)
    elsewhere: list[Activations] = []
    for path in config.activations:
        taken = [*config.rules, *(each.name for each in elsewhere)]
        elsewhere.append(read_activations(path, len(recording.stimuli.images), taken))
    pair = None if fused is None else pair_of(recording, fused, config.scoring.measures[0])
    return Plan(config, recording, tuple(config.training_of(rule, excluded) for rule in config.rules), tuple(elsewhere), pair)


def _check_names(config: CompareConfig) -> None:
    """Say every misspelt name before an hour of training, not after."""
    resolve(config.training.architecture, architectures.ARCHITECTURES, "architecture")
    for rule in config.rules:
        learning_rules.spec(rule)
    scoring = config.scoring
    checks: list[tuple[str, str, Collection[str]]] = [
        ("front end", config.training.front_end, architectures.FRONT_ENDS),
        *(("measure", name, [*rsa.MEASURES, AUTO]) for name in scoring.measures),
        ("comparator", scoring.comparators[0], rsa.COMPARATORS),
        *(("comparator", name, [*rsa.COMPARATORS, *rsa.PATTERN_COMPARATORS]) for name in scoring.comparators),
        *(("factor", name, rsa.FACTORS) for name in scoring.factors),
        *(("reference model", name, [*rsa.REFERENCE_MODELS, CATEGORY, AUTO]) for name in scoring.reference_models),
        *(("reference model", name, [*rsa.REFERENCE_MODELS, CATEGORY]) for name in scoring.partial),
    ]
    for kind, given, valid in checks:
        if given not in valid:
            raise unknown_name(kind, given, valid)
    if scoring.partial and scoring.comparators[0] not in rsa.PARTIAL_COMPARATORS:
        raise InputError(
            f"partial={', '.join(scoring.partial)} was given with comparator '{scoring.comparators[0]}', which has no partial "
            f"form: put {' or '.join(rsa.PARTIAL_COMPARATORS)} first, or leave partial out"
        )


def measure_for(*recordings: Recording) -> str:
    """The measure that recordings call for where none was asked for.

    Parameters
    ----------
    *recordings
        What is compared.

    Returns
    -------
    str
        "crossnobis" where all regions of all subjects come as patterns of two runs or more: noise then adds nothing to a distance
        on average, and channels count by how little of it they have (Walther et al. 2016, doi:10.1016/j.neuroimage.2015.12.012).
        Else "correlation", which needs no runs, and which RDMs that come without patterns are most often of.
    """
    regions = [region for each in recordings for region in each.regions.values()]
    return "crossnobis" if all(isinstance(each, PatternSet) and each.has_runs() for each in regions) else "correlation"


def _settled(config: CompareConfig, recordings: list[Recording]) -> CompareConfig:
    """The configuration with what the recording, the first of these, calls for in the place of "auto"."""

    def replaced(asked: tuple[str, ...], fitting: Callable[[], Iterable[str]]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for each in asked for name in (fitting() if each == AUTO else (each,))))

    return config.replace(
        measures=replaced(config.scoring.measures, lambda: (measure_for(*recordings),)),
        reference_models=replaced(config.scoring.reference_models, lambda: reference_names(recordings[0].stimuli)),
    )


def _check_runs(recording: Recording, measure: str) -> None:
    """A measure that compares runs needs some, before an hour of training."""
    if not rsa.MEASURES[measure].across_runs:
        return
    for name, region in recording.regions.items():
        # Conditions that a run lacks are named by whoever takes runs apart.
        if isinstance(region, PatternSet) and not region.has_runs() and any(len(runs) < 2 for runs in region.patterns_by_run()):
            raise InputError(
                f"measure '{measure}' compares runs with each other, and region '{name}' of recording '{recording.name}' has one: "
                "use euclidean or correlation, or a recording with runs"
            )


def _check_pairs(recording: Recording, config: CompareConfig) -> None:
    """Partial scores need every pair of conditions, which is said before an hour of training too."""
    for name, region in recording.regions.items():
        if config.scoring.partial and not isinstance(region, PatternSet) and np.isnan(region.rdms()).any():
            raise InputError(
                f"partial={', '.join(config.scoring.partial)} was given, and RDMs of region '{name}' of recording "
                f"'{recording.name}' lack pairs of conditions (NaN), which partial scores need: leave partial out, or conditions"
            )


def _check_stimuli(config: CompareConfig, input_shape: tuple[int, ...], n_stimuli: int) -> None:
    """Say which size of stimuli no memory holds, before anything is trained."""
    for size in config.stimuli.sizes:
        shape = stimuli.evaluation_shape(input_shape, size)
        what = f"{n_stimuli} stimuli of {shape[0]}x{shape[1]} pixels take"
        check_room(4 * n_stimuli * math.prod(shape), what, "smaller sizes of stimuli")
