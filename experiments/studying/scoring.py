"""One group of networks and one recording: every region under every condition, and the null study; each table kept in the store."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

import neurodata
import rsa
from bioplausible.foundation.errors import InputError
from experiments.config import CONTROL
from experiments.epoch_states import state_after
from experiments.failures import failure_of
from experiments.measured import in_order, reference_names, reference_rdms, region_rdms
from experiments.own_ceilings import split_halves
from experiments.preparing import prepare
from experiments.store import Store
from experiments.studying.checks import recording_of
from experiments.studying.code import RANKS, code_of
from experiments.studying.conditions import Condition, conditions_of, looks_of
from experiments.studying.config import StudyConfig
from experiments.studying.contest import Contest, contest
from experiments.studying.groups import Group
from experiments.studying.matched import Matched, matched
from experiments.studying.ranking import rank
from experiments.studying.shown import Shown, show
from experiments.trained import Trained
from neurodata import PatternSet, Recording

__all__ = ["Compared", "compared", "held_against"]

Tell = Callable[[str], None]
"""Called with a line to show."""
_NULL_DRAWS = 200


@dataclass(frozen=True, eq=False)
class Compared:
    """Networks of a group and what they made of a recording's stimuli, with all that their scores depend on.

    Attributes
    ----------
    group, recording, config
        What is compared, with what, and how.
    store
        Where tables are kept.
    shown
        Of every training.
    failures
        Rule -> why it stands in no ranking, of those that do not.
    matched
        The common accuracy.
    seeds
        Of all networks.
    digest
        Of networks, stimuli and regions.
    """

    group: str
    recording: Recording
    config: StudyConfig
    store: Store
    shown: tuple[Shown, ...]
    failures: dict[str, str]
    matched: Matched
    seeds: tuple[int, ...]
    digest: str

    @property
    def conditions(self) -> list[Condition]:
        """The main one first."""
        return conditions_of(self.config, self.seeds)

    @property
    def main(self) -> Condition:
        """The one that all others differ from in a single choice."""
        return self.conditions[0]

    def place(self, region: str) -> dict[str, Any]:
        """What rows of every table say of where they are."""
        return {"group": self.group, "recording": self.recording.name, "region": region}

    @functools.cached_property
    def _references(self) -> dict[str, dict[str, np.ndarray]]:
        return {}

    def references(self, measure: str) -> dict[str, np.ndarray]:
        """RDMs of models that are no networks, by one measure; filters of many images take their time, once."""
        if measure not in self._references:
            self._references[measure] = reference_rdms(self.recording, reference_names(self.recording.stimuli), measure, [])
        return self._references[measure]


def compared(
    group: Group, name: str, config: StudyConfig, store: Store, readouts: pd.DataFrame, tell: Tell = lambda line: None
) -> Compared:
    """Show a recording's stimuli to a group's networks.

    Parameters
    ----------
    group
        Networks, all of them in the store.
    name
        Of the recording.
    config
        What is asked for.
    store
        With the networks.
    readouts
        What one readout for all reached: rule, seed, test_accuracy; may be empty.
    tell
        Called with a line to show.

    Raises
    ------
    InputError
        A recording without pictures, or one that is measured over time.
    """
    recording = recording_of(name)
    _check_unseen(group, recording)
    trained = [_trained(store, each) for each in group.trainings]
    untrained = [_trained(store, each) for each in group.controls or group.trainings[:1]]
    rules = [each for each in trained if each.name != CONTROL]
    behind = {id(each): _control_of(each, untrained) for each in rules}
    failures = {
        each.name: why for each in rules if (why := failure_of(each, behind[id(each)], _of(readouts, each, behind[id(each)])))
    }
    kept = [each for each in rules if each.name not in failures]
    histories: dict[str, list[pd.DataFrame]] = {}
    for each in kept:
        histories.setdefault(each.name, []).append(each.accuracy)
    reads = {each.name: _reads(behind[id(each)]) for each in kept}
    common = matched({rule: pd.concat(tables) for rule, tables in histories.items()}, reads)
    seeds = sorted({seed for each in trained for seed in each.config.seeds})
    looks = looks_of(conditions_of(config, seeds))
    shown = []
    for each in trained:
        tell(f"{each.name} sees {name}")
        epochs = common.epochs.get(each.name)
        place = store.place_of_digest(each.config, each.digest)
        at = None if epochs is None else functools.partial(state_after, each, place, [epochs[seed] for seed in each.config.seeds])
        shown.append(show(store.folder, each, recording.stimuli.images, looks, epochs, at))
    digest = _digest(recording, [each.digest for each in (*trained, *untrained)], common, failures)
    return Compared(group.name, recording, config, store, tuple(shown), failures, common, tuple(seeds), digest)


def _check_unseen(group: Group, recording: Recording) -> None:
    """Refuse networks that were trained on what they are shown."""
    shown = recording.stimuli
    if shown.source_indices is None or shown.source != neurodata.default_stimuli().source:
        return
    indices = {int(index) for index in shown.source_indices}
    for each in group.trainings:
        if each.dataset == "digits" and not indices <= set(each.exclude_indices):
            raise InputError(
                f"the {len(indices)} digits of recording '{recording.name}' are among the images that {each.rule} learns from: "
                f"leave them out of the training, with exclude_indices: {sorted(indices)}"
            )


def _trained(store: Store, config: Any) -> Trained:
    trained = store.find(prepare(config))
    if trained is None:
        raise InputError(f"{config.rule} is not in the store {store.folder}: run the sweep with --store {store.folder} first")
    return trained


def _control_of(trained: Trained, untrained: Sequence[Trained]) -> Trained:
    """The untrained networks behind the same front end and of the same seeds, or the nearest to that which there are."""

    def unlike(each: Trained) -> tuple[bool, bool]:
        return each.config.front_end != trained.config.front_end, each.config.seeds != trained.config.seeds

    return min(untrained, key=unlike)


def _reads(control: Trained) -> float:
    last = control.accuracy[control.accuracy["epoch"] == control.accuracy["epoch"].max()]
    return float(last["validation_accuracy"].mean())


def _of(readouts: pd.DataFrame, trained: Trained, control: Trained) -> pd.DataFrame:
    """Readouts of a rule and of its control, over the seeds of the one: more seeds of a rule may be trainings of their own."""
    if readouts.empty:
        return pd.DataFrame({"rule": [], "seed": [], "test_accuracy": []})
    of_control = (readouts["rule"] == CONTROL) & (readouts["front_end"] == control.config.front_end)
    named = (readouts["rule"] == trained.name) | of_control
    return readouts[named & readouts["seed"].isin(list(trained.config.seeds))]


def _digest(recording: Recording, trained: Sequence[str], common: Matched, failures: Mapping[str, str]) -> str:
    categories = recording.stimuli.categories
    told = trained, common, sorted(failures), None if categories is None else [str(each) for each in categories]
    digest = hashlib.sha256(repr(told).encode())
    digest.update(np.ascontiguousarray(recording.stimuli.images).tobytes())
    for name, region in sorted(recording.regions.items()):
        # Trials too: the only subject's ceiling is theirs.
        arrays = region.trials() if isinstance(region, PatternSet) else [np.asarray(region.rdms())]
        digest.update(repr((name, [str(each) for each in region.subjects], [each.shape for each in arrays])).encode())
        for each in arrays:
            digest.update(np.ascontiguousarray(each).tobytes())
    return digest.hexdigest()


def held_against(these: Compared, tell: Tell = lambda line: None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every region under every condition, and the null study.

    Parameters
    ----------
    these
        Networks and recording.
    tell
        Called with a line to show.

    Returns
    -------
    ranks : pandas.DataFrame
        As `ranking.rank` gives them, with group, recording, region, condition, choice, failure and ceilings.
    null : pandas.DataFrame
        One row a rule and shuffle: the difference from its control where networks saw the stimuli in another order.
    """
    ranks, nulls = [], []
    for condition in these.conditions:
        tell(f"{these.group} beside {these.recording.name}: {condition.name}")
        ranks += [_ranks(these, condition, region) for region in these.recording.regions]
    for shuffle in range(these.config.n_shuffles):
        tell(f"{these.group} beside {these.recording.name}: shuffled, {shuffle + 1} of {these.config.n_shuffles}")
        nulls += [_null(these, region, shuffle) for region in these.recording.regions]
    return pd.concat(ranks, ignore_index=True), pd.concat(nulls, ignore_index=True) if nulls else pd.DataFrame()


def _key(config: StudyConfig) -> jax.Array:
    return jax.random.key(config.seed)


def _ranks(these: Compared, condition: Condition, region: str) -> pd.DataFrame:
    config = these.config
    asked = [list(condition), region, config.n_draws, config.confidence, config.seed]
    table = these.store.table(
        "ranks", [these.digest, *asked, code_of(RANKS)], functools.partial(_ranked, these, condition, region, config.n_draws)
    )
    n_stimuli = these.recording.n_conditions if condition.half is None else len(_half(these, condition.half))
    told = {"n_stimuli": n_stimuli, "n_subjects": len(these.recording.regions[region].subjects)}
    table = table.assign(**these.place(region), **told, condition=condition.name, choice=condition.choice)
    silent = "tells the stimuli of some folds not apart"
    why = [
        these.failures.get(name, silent if np.isnan(score) else "")
        for name, score in zip(table["name"], table["score"], strict=True)
    ]
    return table.assign(failure=why)


def _ranked(
    these: Compared, condition: Condition, region: str, n_draws: int, permutation: np.ndarray | None = None
) -> pd.DataFrame:
    measure = condition.look.measure
    data = region_rdms(these.recording, measure)[region]
    # Shuffled, they say nothing of rules.
    known = {} if permutation is not None else these.references(measure)
    given = contest(these.shown, condition, {name: rdm for name, rdm in known.items() if name not in condition.partial})
    covariates = np.stack([known[name] for name in condition.partial]) if condition.partial else None
    if permutation is not None:
        data = in_order(data, permutation.tolist())
    if condition.half is not None:
        half = _half(these, condition.half)
        data = in_order(data, half)
        given = _of_half(given, half)
    table = rank(_key(these.config), region, given, data, condition.comparator, n_draws, these.config.confidence, covariates)
    if permutation is not None:
        return table
    ceiling = _ceiling(these, condition, region, data)
    return table.assign(ceiling=ceiling.value, ceiling_lower=ceiling.lower, ceiling_upper=ceiling.upper)


def _half(these: Compared, half: int) -> list[int]:
    n = these.recording.n_conditions
    order = np.asarray(jax.random.permutation(jax.random.fold_in(_key(these.config), 7), n))
    return sorted(order[half::2].tolist())


def _of_half(given: Contest, half: Sequence[int]) -> Contest:
    return Contest(
        {
            name: {seed: {layer: in_order(rdm, half) for layer, rdm in layers.items()} for seed, layers in seeds.items()}
            for name, seeds in given.networks.items()
        },
        given.controls,
    )


class _Ceiling(NamedTuple):
    """What the best model could reach: between subjects, or of a single one what its trials, split into halves, leave a model."""

    value: float
    lower: float
    upper: float


def _ceiling(these: Compared, condition: Condition, region: str, data: np.ndarray) -> _Ceiling:
    """The lower bound between subjects; of a single one the ceiling itself, with its interval."""
    none = _Ceiling(np.nan, np.nan, np.nan)
    if condition.partial:
        return none
    if len(data) > 1:
        bounds = rsa.noise_ceiling(data, condition.comparator)
        return _Ceiling(float(bounds.lower), float(bounds.lower), float(bounds.upper))
    if condition.half is not None:
        return none
    measured, asked = these.recording.regions[region], (condition.look.measure, condition.comparator, these.config.confidence)
    found = split_halves(_key(these.config), measured, *asked)
    return none if isinstance(found, str) else _Ceiling(found[0].ceiling, found[0].lower, found[0].upper)


def _null(these: Compared, region: str, shuffle: int) -> pd.DataFrame:
    """Differences from controls where the networks' stimuli are in another order than the region's: there is nothing to find."""
    draws = min(these.config.n_draws, _NULL_DRAWS)
    key = jax.random.fold_in(jax.random.fold_in(_key(these.config), 11), shuffle)
    order = np.asarray(jax.random.permutation(key, these.recording.n_conditions))
    asked = [these.digest, list(these.main), region, draws, these.config.seed, shuffle, code_of(RANKS)]
    table = these.store.table("null", asked, functools.partial(_ranked, these, these.main, region, draws, order))
    kept = table.loc[table["kind"] == "rule", ["name", "difference_from_control", "p_value_from_control"]]
    return kept[~kept["name"].isin(these.failures)].assign(**these.place(region), shuffle=shuffle)
