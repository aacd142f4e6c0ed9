"""The same networks seen in several ways: by several comparators, and at several sizes of stimuli.

The main comparator scores layers at every size, the others at the main size; pictures and tests of a report are those of the main
view, and all stand in one table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import rsa
from architectures import Network
from bioplausible.foundation.errors import InputError
from experiments.config import CompareConfig
from experiments.pattern_scores import score_patterns
from experiments.scoring import Model, RegionScores, score_region
from experiments.trained import Trained
from neurodata import PatternSet, Recording

__all__ = ["Layers", "View", "add_layers", "check_patterns", "score_views", "sizes"]


def sizes(config: CompareConfig) -> tuple[int | None, ...]:
    """Sizes of stimuli, the main one first; None is that of the training images."""
    return (config.stimulus_size, *config.more_stimulus_sizes)


class Layers(NamedTuple):
    """What the layers of networks made of the stimuli, at one size: condensed RDMs, and patterns where they are asked for."""

    rdms: dict[Model, np.ndarray]
    patterns: dict[Model, np.ndarray]


def add_layers(
    layers_so_far: Layers, trained: Trained, part: Network | None, images: np.ndarray, config: CompareConfig
) -> list[str]:
    """Add every layer of every seed; a layer that tells no stimuli apart is named instead.

    A layer in time is compared by what all its units do at all its steps: its features are steps times units, so that two stimuli
    are alike if they evoke the same course of activity. Layers without weights are layers too.

    Parameters
    ----------
    layers_so_far
        What is added to.
    trained
        The networks of one rule.
    part
        As `Trained.represent` takes it.
    images
        Stimuli as the networks take them.
    config
        Distance, and whether patterns are asked for.

    Returns
    -------
    list of str
        One sentence a layer that has no RDM.
    """
    unusable = []
    layers = trained.represent(images, part)
    for layer, activations in zip((part or trained.network).node_names, layers, strict=True):
        for index in range(trained.config.n_seeds):
            model = Model(trained.name, trained.config.seeds[index], layer)
            patterns = activations[index].reshape(len(images), -1)
            try:
                rdm = rsa.rdm(patterns, config.distance)
                if np.ptp(rdm) == 0:
                    raise rsa.InputError("all its dissimilarities are equal")
                layers_so_far.rdms[model] = rdm
                if _of_patterns(config):
                    # No measure of patterns looks further than their inner products, and wide layers would fill the memory.
                    layers_so_far.patterns[model] = rsa.narrow(patterns)
            except rsa.InputError as error:
                unusable.append(f"no RDM: {model.rule}, seed {model.seed}: layer '{model.layer}': {error}")
    return unusable


def _of_patterns(config: CompareConfig) -> list[str]:
    """Comparators that look at patterns instead of RDMs."""
    return [name for name in config.more_comparators if name in rsa.PATTERN_COMPARATORS]


def _times(recording: Recording) -> list[float] | None:
    return None if recording.times is None else [float(time) for time in recording.times]


class View(NamedTuple):
    """Scores of all regions by one comparator, at one size of stimuli."""

    comparator: str
    size: int | None
    regions: list[RegionScores]

    def rows(self, table: str, pixels: int) -> list[dict[str, Any]]:
        """The rows of one table, which say of which view they are; `pixels` is the training images' height."""
        seen = {"comparator": self.comparator, "size": self.size or pixels}
        return [{**row, **seen} for each in self.regions for row in getattr(each, table)]


def score_views(
    recording: Recording,
    region_rdms: dict[str, np.ndarray],
    shown: dict[int | None, Layers],
    references: dict[str, np.ndarray],
    config: CompareConfig,
    tell: Callable[[str], None],
) -> list[View]:
    """The main comparator at every size of stimuli, and the others at the main size."""
    key = jax.random.fold_in(jax.random.key(config.seed), 2**20)
    pairs = [(config.comparator, size) for size in shown]
    pairs += [(comparator, config.stimulus_size) for comparator in config.more_comparators]
    views = []
    for comparator, size in pairs:
        layers = shown[size]
        if not layers.rdms:
            continue
        settled = dataclasses.replace(config, comparator=comparator, more_comparators=())
        regions = []
        for name, data in region_rdms.items():
            tell(name if len(pairs) == 1 else f"{name} by {comparator}{'' if size is None else f' at {size} pixels'}")
            models, subjects = list(layers.rdms), [str(each) for each in recording.regions[name].subjects]
            times = _times(recording) if data.ndim == 3 else None
            if comparator in rsa.PATTERN_COMPARATORS:
                region = recording.regions[name]
                assert isinstance(region, PatternSet)
                own = [layers.patterns[model] for model in models]
                regions.append(score_patterns(key, name, models, own, region.patterns(), subjects, times, comparator, settled))
            else:
                own_rdms = np.stack(list(layers.rdms.values()))
                regions.append(score_region(key, name, models, own_rdms, references, data, subjects, times, settled, tell))
        views.append(View(comparator, size, regions))
    return views


def check_patterns(recording: Recording, config: CompareConfig) -> None:
    """Measures of patterns need some, before an hour of training."""
    for comparator in _of_patterns(config):
        for name, region in recording.regions.items():
            if not isinstance(region, PatternSet):
                raise InputError(
                    f"comparator '{comparator}' compares patterns, and region '{name}' of recording '{recording.name}' comes as "
                    f"RDMs: leave it out, or use comparators of RDMs ({', '.join(rsa.COMPARATORS)})"
                )
