"""The same networks seen in several ways: by several measures and comparators, and at several sizes of stimuli.

The main measure and comparator score layers at every size; the others, each beside the main one of the other kind, at the main
size.
Pictures and tests of a report are those of the main view, and all stand in one table.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import rsa
from bioplausible.foundation.errors import InputError
from experiments.best_layers import score_best_layers
from experiments.compare_config import CompareConfig
from experiments.own_ceilings import own_ceilings
from experiments.plain_scores import score_patterns
from experiments.responding import Layers, of_patterns
from experiments.scoring import Model, RegionScores, score_region
from neurodata import PatternSet, Recording

__all__ = ["Rdms", "View", "check_patterns", "score_views"]


class Rdms(NamedTuple):
    """What layers are held against, by one measure.

    Attributes
    ----------
    regions
        Region -> (n_subjects, n_pairs) or (n_times, n_subjects, n_pairs).
    references
        Model that is no network -> its RDM.
    taken_out
        The same of those that partial scores take out.
    """

    regions: dict[str, np.ndarray]
    references: dict[str, np.ndarray]
    taken_out: dict[str, np.ndarray]


class _Way(NamedTuple):
    """How a view is seen; comparators of patterns make no RDM, and have no measure."""

    measure: str | None
    comparator: str
    size: int | None
    partial: bool = False


class View(NamedTuple):
    """Scores of all regions by one measure and comparator, at one size of stimuli."""

    way: _Way
    called: str
    regions: list[RegionScores]

    def rows(self, table: str, pixels: int) -> list[dict[str, Any]]:
        """The rows of one table, which say of which view they are; `pixels` is the training images' height."""
        seen = {"measure": self.way.measure, "comparator": self.called, "size": self.way.size or pixels}
        return [{**row, **seen} for each in self.regions for row in getattr(each, table)]


def _times(recording: Recording) -> list[float] | None:
    return None if recording.times is None else [float(time) for time in recording.times]


def _ways(config: CompareConfig) -> Iterator[_Way]:
    """All of them, the main one first."""
    size, *sizes = config.stimuli.sizes
    measure, *measures = config.scoring.measures
    comparator, *comparators = config.scoring.comparators
    yield _Way(measure, comparator, size)
    yield from (_Way(measure, comparator, each) for each in sizes)
    yield from (_Way(each, comparator, size) for each in measures)
    if config.scoring.partial:
        yield _Way(measure, comparator, size, partial=True)
    yield from (_Way(None if each in rsa.PATTERN_COMPARATORS else measure, each, size) for each in comparators)


def score_views(
    recording: Recording,
    rdms: Mapping[str, Rdms],
    shown: Mapping[int | None, Layers],
    config: CompareConfig,
    tell: Callable[[str], None],
    elsewhere: Sequence[str] = (),
) -> list[View]:
    """Score layers in every way that is asked for.

    Parameters
    ----------
    recording
        What layers are compared with.
    rdms
        Measure -> RDMs of its regions, and of models that are no networks.
    shown
        Size of stimuli -> what layers made of them.
    config
        Ways, draws, confidence and seed.
    tell
        Called with a line to show.
    elsewhere
        Models of no rule.

    Returns
    -------
    list of View
        The main one first.
    """
    key = jax.random.fold_in(jax.random.key(config.training.seed), 2**20)
    ways = list(_ways(config))
    main = ways[0]
    # The only subject's ceiling is the same whatever networks are compared, at whatever size.
    ceiling = functools.cache(
        lambda name, measure, comparator: own_ceilings(
            jax.random.fold_in(key, 2**19), recording.regions[name], measure, comparator, config.scoring.confidence
        )
    )
    views = []
    for way in ways:
        layers, held = shown[way.size], rdms[way.measure or main.measure or ""]
        models_there = layers.patterns if way.measure is None else layers.by_measure[way.measure]
        if not models_there or (way.partial and not held.taken_out):
            continue
        # Reference models are shown at one size of their own: a row for every size of the networks' would be the same again.
        references = held.references if way.measure is not None and way.size == main.size else {}
        regions = []
        if way.partial:
            references = {name: rdm for name, rdm in references.items() if name not in held.taken_out}
        for name, data in held.regions.items():
            tell(name if len(ways) == 1 else f"{name} by {_in_words(way, main, held)}")
            # Models from elsewhere have seeds of their own, and as many as they have: nothing of them is paired with a network.
            own = [model for model in models_there if model.rule not in elsewhere]
            found = (
                []
                if not own
                else [_score_group(key, name, own, layers, recording, data, held, references, way, config, tell, ceiling)]
            )
            for given in elsewhere:
                models = [model for model in models_there if model.rule == given]
                if models:
                    found.append(_score_group(key, name, models, layers, recording, data, held, {}, way, config, tell, ceiling))
            regions.append(_joined(found))
        views.append(View(way, _called(way, held), regions))
    return views


def _called(way: _Way, held: Rdms) -> str:
    """What a table calls the comparator."""
    return f"{way.comparator} beyond {', '.join(held.taken_out)}" if way.partial else way.comparator


def _in_words(way: _Way, main: _Way, held: Rdms) -> str:
    """What is different about it, for a line of progress."""
    of_rdms = "" if way.measure in (None, main.measure) else f"{way.measure} and "
    return f"{of_rdms}{_called(way, held)}{'' if way.size is None else f' at {way.size} pixels'}"


def _score_group(
    key: jax.Array,
    name: str,
    models: list[Model],
    layers: Layers,
    recording: Recording,
    data: np.ndarray,
    held: Rdms,
    references: dict[str, np.ndarray],
    way: _Way,
    config: CompareConfig,
    tell: Callable[[str], None],
    ceiling: Callable[[str, str, str], list[rsa.NoiseCeiling] | None],
) -> RegionScores:
    """Scores of some models in one region."""
    region = recording.regions[name]
    subjects = [str(each) for each in region.subjects]
    times = _times(recording) if data.ndim == 3 else None
    if way.measure is None:
        assert isinstance(region, PatternSet)
        patterns = [layers.patterns[model] for model in models]
        return score_patterns(key, name, models, patterns, region.patterns(), subjects, times, way.comparator, config.scoring)
    rdms = np.stack([layers.by_measure[way.measure][model] for model in models])
    taken_out = np.stack(list(held.taken_out.values())) if way.partial else None
    own = None if way.partial else ceiling(name, way.measure, way.comparator)
    scored = score_region(
        key, name, models, rdms, references, data, subjects, times, config.scoring, way.comparator, tell, taken_out, own
    )
    if config.scoring.layers == "all":
        return scored
    best = score_best_layers(key, name, models, rdms, data, subjects, times, way.comparator, config.scoring, taken_out)
    return _joined([scored, best], of_other_models=False)


def _joined(found: Sequence[RegionScores], of_other_models: bool = True) -> RegionScores:
    """The first, which has what belongs to the region itself, with the rows of the others, of other models or of the same."""
    first, *others = found
    for each in others:
        of = f"of {each.scores[0]['rule']}: " if each.scores and of_other_models else ""
        warnings = [f"{of}{warning}" for warning in each.warnings if warning not in first.warnings]
        first = first._replace(
            scores=first.scores + each.scores,
            differences=first.differences + each.differences,
            clusters=first.clusters + each.clusters,
            warnings=first.warnings + warnings,
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
