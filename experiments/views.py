"""The same networks seen in several ways: by several comparators, and at several sizes of stimuli.

The main comparator scores layers at every size, the others at the main size; pictures and tests of a report are those of the main
view, and all stand in one table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import rsa
from bioplausible.foundation.errors import InputError
from experiments.config import CompareConfig
from experiments.pattern_scores import score_patterns
from experiments.responding import Layers, of_patterns
from experiments.scoring import Model, RegionScores, score_region
from neurodata import PatternSet, Recording

__all__ = ["View", "check_patterns", "score_views", "sizes"]


def sizes(config: CompareConfig) -> tuple[int | None, ...]:
    """Sizes of stimuli, the main one first; None is that of the training images."""
    return (config.stimulus_size, *config.more_stimulus_sizes)


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
    elsewhere: Sequence[str] = (),
) -> list[View]:
    """The main comparator at every size of stimuli, and the others at the main size; `elsewhere` names models of no rule."""
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
            # Models from elsewhere have seeds of their own, and as many as they have: nothing of them is paired with a network.
            own = [model for model in layers.rdms if model.rule not in elsewhere]
            found = [] if not own else [_score_group(key, name, own, layers, recording, data, references, settled, tell)]
            for given in elsewhere:
                models = [model for model in layers.rdms if model.rule == given]
                if models:
                    found.append(_score_group(key, name, models, layers, recording, data, {}, settled, tell))
            regions.append(_joined(found))
        views.append(View(comparator, size, regions))
    return views


def _score_group(
    key: jax.Array,
    name: str,
    models: list[Model],
    layers: Layers,
    recording: Recording,
    data: np.ndarray,
    references: dict[str, np.ndarray],
    config: CompareConfig,
    tell: Callable[[str], None],
) -> RegionScores:
    """Scores of some models in one region."""
    region = recording.regions[name]
    subjects = [str(each) for each in region.subjects]
    times = _times(recording) if data.ndim == 3 else None
    if config.comparator in rsa.PATTERN_COMPARATORS:
        assert isinstance(region, PatternSet)
        patterns = [layers.patterns[model] for model in models]
        return score_patterns(key, name, models, patterns, region.patterns(), subjects, times, config.comparator, config)
    rdms = np.stack([layers.rdms[model] for model in models])
    return score_region(key, name, models, rdms, references, data, subjects, times, config, tell)


def _joined(found: Sequence[RegionScores]) -> RegionScores:
    """The first, which has what belongs to the region itself, with the rows of the others."""
    first, *others = found
    for each in others:
        warnings = [f"of {each.scores[0]['rule']}: {warning}" for warning in each.warnings if warning not in first.warnings]
        first = first._replace(
            scores=first.scores + each.scores, clusters=first.clusters + each.clusters, warnings=first.warnings + warnings
        )
    return first


def check_patterns(recording: Recording, config: CompareConfig) -> None:
    """Measures of patterns need some, before an hour of training."""
    for comparator in of_patterns(config):
        for name, region in recording.regions.items():
            if not isinstance(region, PatternSet):
                raise InputError(
                    f"comparator '{comparator}' compares patterns, and region '{name}' of recording '{recording.name}' comes as "
                    f"RDMs: leave it out, or use comparators of RDMs ({', '.join(rsa.COMPARATORS)})"
                )
