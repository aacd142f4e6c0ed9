"""The main job: train the rules, show each network the recording's stimuli, score every layer against every region.

Its stages are `planning` (every mistake is said there), `store` and `training` (networks), `responding` (RDMs of their layers),
`views` (scores against regions) and `judging` (what they learned beside controls); here they follow each other and end in one
`Comparison`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import rsa
from bioplausible.foundation.files import write_text
from bioplausible.foundation.progress import Progress
from experiments import stimuli, views
from experiments.activations import Activations
from experiments.beside import tables_beside
from experiments.compare_config import CompareConfig
from experiments.config import to_record, with_fields, write_yaml
from experiments.environment import describe_environment
from experiments.files import prepare_folder
from experiments.identity import options_record
from experiments.judging import judge, rdm_correlations
from experiments.measured import mean_rdm, reference_rdms, region_rdms
from experiments.origin import checksum_of_images, checksum_of_recording, describe_origin
from experiments.planning import Plan, check, plan, with_control
from experiments.preparing import prepare
from experiments.responding import Layers, respond
from experiments.results import CLUSTER_COLUMNS, DIFFERENCE_COLUMNS, REFERENCE_MODEL_COLUMNS, SCORE_COLUMNS, Comparison
from experiments.scorecards import CORE, scorecards
from experiments.scoring import Model, RegionScores
from experiments.store import Store
from experiments.trained import Trained
from experiments.training import complete
from neurodata import PatternSet, Recording

__all__ = ["compare"]


Tell = Callable[[int, str], None]
"""Called with parts done and a line to show."""


def compare(
    config: CompareConfig | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
    store: str | Path | None = None,
    **fields: Any,
) -> Comparison:
    """Compare what rules learn with what a recording's regions do.

    Parameters
    ----------
    config
        What to run; or give its fields as keywords.
    out
        Folder for tables, configuration and `report.html`; None writes nothing.
    progress
        Called with parts done, parts in all and a line to show.
    store
        Folder of trained networks (`experiments.store`): what is there is not trained again, and what is trained is kept there,
        epoch by epoch. None keeps nothing.
    **fields
        Fields of `CompareConfig`, or of its parts, that replace those of `config`.

    Raises
    ------
    InputError
        Unknown names, a data set or recording that cannot be used, stimuli of a size that no layer takes, or an `out` that cannot
        be written.
    """
    config = with_control(with_fields(config, CompareConfig, fields, "compare", "rules=['backprop']"))
    n_parts = len(config.rules) + 2

    def tell(part: int, line: str) -> None:
        if progress is not None:
            progress(part, n_parts, line)

    clock = _Clock()
    input_shape = check(config)
    folder = None if out is None else prepare_folder(Path(out))
    kept = None if store is None else Store(Path(store)).ready()
    tell(0, f"recording {config.stimuli.recording}")
    with clock("recording"):
        planned = plan(config, input_shape)
        config = planned.config  # with the measures that the recording calls for
    networks, found = _networks(planned, kept, tell)
    clock.seconds |= _seconds_of([each for each in networks if each.name not in found])
    tell(n_parts - 1, "scoring layers against regions")
    with clock("scoring"):
        shown, unusable = respond(networks, planned.recording.stimuli.images, config, planned.elsewhere)
        scored = _score(planned, shown, input_shape, lambda line: tell(n_parts - 1, f"scoring layers against {line}"))
    tell(n_parts - 1, "reading networks and their controls")
    of_main = shown[config.stimuli.sizes[0]].rdms
    with clock("controls"):
        alike = rdm_correlations(of_main, config.scoring.comparators[0])
        judged = judge(networks, alike, config, kept)
    with clock("scorecards"):
        if config.scorecard != "none":
            tell(n_parts - 1, "asking how plausible the rules are")
        cards = _cards([each.name for each in networks], config, kept)
    with clock("beside"):
        beside, of_beside = tables_beside(planned.recording, config, planned.pair, lambda done, of, line: tell(n_parts - 1, line))
    told = [line for each in networks for line in each.warnings] + [*unusable, *scored.warnings, *of_beside]
    comparison = Comparison(
        **_described(planned, networks),
        **scored.tables,
        factors={name: list(each.factors) for name, each in zip(scored.measured, scored.regions, strict=True)},
        accuracy=pd.concat([each.accuracy for each in networks], ignore_index=True),
        networks=_network_table(networks, alike),
        **dict(zip(("readouts", "controls", "verdicts"), judged, strict=True)),
        ceilings=[row for each in scored.regions for row in each.ceilings],
        scorecards=cards,
        layer_rdms=_mean_by_layer(of_main),
        region_rdms={name: mean_rdm(data) for name, data in scored.measured.items()},
        beside=beside,
        warnings=list(dict.fromkeys(told)),
        seconds=clock.seconds,
    )
    if folder is not None:
        tell(n_parts, "writing the report")
        comparison = _write(comparison, config, folder)
    return comparison


def _described(planned: Plan, networks: list[Trained]) -> dict[str, Any]:
    """What a comparison says of itself: what was run, on what, and what was shown."""
    config, recording, first = planned.config, planned.recording, networks[0]
    main_size, *further_sizes = config.stimuli.sizes
    settled = config.replace(epochs=first.config.epochs)
    return {
        "config": to_record(settled),
        "environment": describe_origin() | describe_environment(),
        "dataset": first.images.to_record() | {"sha256": checksum_of_images(first.images)},
        "recording": _describe_recording(recording),
        "transform": stimuli.transform_record(first.network.input_shape, main_size) | {"further_sizes": further_sizes},
        "architecture": _describe_architecture(first),
        "rules": {each.name: _describe_rule(each) for each in networks}
        | {each.name: _describe_activations(each) for each in planned.elsewhere},
        "stimuli": recording.stimuli.images,
        "stimulus_ids": [str(each) for each in recording.stimuli.ids],
        "categories": _categories(recording),
    }


def _seconds_of(networks: list[Trained]) -> dict[str, float]:
    """How long networks were trained, and their programs compiled."""
    return {
        "training": sum(each.seconds for each in networks),
        "compiling": sum(each.compile_seconds for each in networks),
    }


class _Clock:
    """Seconds that each stage took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - started


def _networks(planned: Plan, store: Store | None, tell: Tell) -> tuple[list[Trained], set[str]]:
    """The networks of all rules, and those rules whose networks were there."""
    networks, found = [], set()
    for index, training in enumerate(planned.trainings):
        tell(index + 1, f"training {training.rule}")

        def within(done: int, of: int, line: str, index: int = index, rule: str = training.rule) -> None:
            tell(index + 1, f"training {rule}, epoch {done} of {of}, {line}")

        setup = prepare(training)
        trained, was_there = (complete(setup, None, within), False) if store is None else store.fit(setup, within)
        networks.append(trained)
        if was_there:
            found.add(training.rule)
    return networks, found


class _Scored(NamedTuple):
    """Scores of all views, as tables; what the main view found in every region; and the regions' RDMs."""

    tables: dict[str, Any]
    regions: list[RegionScores]
    measured: dict[str, np.ndarray]
    warnings: list[str]


def _score(planned: Plan, shown: dict[int | None, Layers], input_shape: tuple[int, ...], tell: Callable[[str], None]) -> _Scored:
    """Score layers against regions, and correct over all that the report shows of networks."""
    recording, config, warnings = planned.recording, planned.config, list[str]()
    rdms = {}
    for measure in config.scoring.measures:
        warnings += _of_another_measure(recording, measure)
        main = measure == config.scoring.measures[0]
        of_models = (config.scoring.reference_models, config.scoring.partial if main else ())
        references, taken_out = (reference_rdms(recording, names, measure, warnings) for names in of_models)
        rdms[measure] = views.Rdms(region_rdms(recording, measure), references, taken_out)
    others = [each.name for each in planned.elsewhere]
    seen = views.score_views(recording, rdms, shown, config, tell, others)
    warnings += [warning for view in seen for each in view.regions for warning in each.warnings]
    pixels = stimuli.evaluation_shape(input_shape, config.stimuli.sizes[0])[0]
    scores = _frame([row for view in seen for row in view.rows("scores", pixels)], SCORE_COLUMNS)
    differences = _frame([row for view in seen for row in view.rows("differences", pixels)], DIFFERENCE_COLUMNS)
    # One family: all that the report shows of networks.
    together = scores["seed"].isna() & scores["subject"].isna()
    scores.loc[together, "p_adjusted"] = rsa.false_discovery_rate(scores.loc[together, "p_value"].to_numpy(float))
    differences["p_adjusted"] = rsa.false_discovery_rate(differences["p_value"].to_numpy(float))
    of_regions = seen[0].regions
    of_references = [row for view in seen for row in view.rows("reference_models", pixels)]
    tables = {
        "scores": scores,
        "differences": differences,
        "reference_models": _frame(of_references, REFERENCE_MODEL_COLUMNS),
        "clusters": _frame([row for each in of_regions for row in each.clusters], CLUSTER_COLUMNS),
    }
    return _Scored(tables, of_regions, rdms[config.scoring.measures[0]].regions, warnings)


def _cards(rules: list[str], config: CompareConfig, store: Store | None) -> dict[str, Any]:
    """The scorecard of every rule, empty where none was asked for."""
    if config.scorecard == "none":
        return {}
    options = {rule: config.rule_options.get(rule, {}) for rule in rules}
    criteria = CORE if config.scorecard == "core" else None
    examined = config.training.architecture, criteria, config.training.seed
    keep = None if store is None else store.folder / "cards"
    return scorecards(rules, *examined, rule_options=options, keep=keep)


def _network_table(networks: list[Trained], alike: dict[Model, float]) -> pd.DataFrame:
    """One row a node of a network, with its likeness to backpropagation's."""
    table = pd.concat([each.networks for each in networks], ignore_index=True)
    table["rdm_correlation"] = [alike.get(Model(*row), np.nan) for row in table[["rule", "seed", "layer"]].itertuples(index=False)]
    return table


def _write(comparison: Comparison, config: CompareConfig, folder: Path) -> Comparison:
    """Write all of it, the report last."""
    # Drawing is slow to import, and a comparison that writes nothing draws nothing.
    from experiments.report import write_report

    comparison = dataclasses.replace(comparison, report=str((folder / "report.html").resolve()))
    write_text(folder / "config.yaml", write_yaml(config))
    comparison.save(folder)
    write_report(comparison, folder / "report.html")
    return comparison


def _categories(recording: Recording) -> list[str] | None:
    categories = recording.stimuli.categories
    return None if categories is None else [str(each) for each in categories]


def _of_another_measure(recording: Recording, measure: str) -> list[str]:
    """Name regions that come as RDMs of another measure than networks are given."""
    asked = rsa.MEASURES[measure]
    named: dict[str, list[str]] = {}
    for name, region in recording.regions.items():
        if not isinstance(region, PatternSet) and region.measure and (region.measure != asked.distance or asked.centred):
            named.setdefault(str(region.measure), []).append(f"'{name}'")
    return [
        f"two measures: {', '.join(regions)} come as RDMs by {theirs}, and networks are compared by {measure}: scores then hold "
        "the difference of the two as well"
        for theirs, regions in named.items()
    ]


def _mean_by_layer(rdms: dict[Model, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    groups: dict[tuple[str, str], list[np.ndarray]] = {}
    for model, rdm in rdms.items():
        groups.setdefault((model.rule, model.layer), []).append(rdm)
    return {names: np.mean(members, axis=0) for names, members in groups.items()}


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    return frame.astype({name: "Int64" for name in ("seed", "size") if name in columns})


def _describe_architecture(trained: Trained) -> dict[str, Any]:
    network = trained.network
    return {"name": trained.config.architecture, "options": dict(network.options), "layers": network.describe()}


def _describe_rule(trained: Trained) -> dict[str, Any]:
    return dataclasses.asdict(trained.rule.spec) | {"options": options_record(trained.rule)}


def _describe_activations(given: Activations) -> dict[str, Any]:
    n_seeds = len(given.layers)
    told = f"activations from {Path(given.path).name}" + (f", {n_seeds} seeds" if n_seeds > 1 else "")
    return {"name": given.name, "summary": told, "path": given.path, "sha256": given.sha256, "options": {}}


def _describe_recording(recording: Recording) -> dict[str, Any]:
    return {
        "name": recording.name,
        "modality": recording.modality,
        "simulated": recording.simulated,
        "n_conditions": recording.n_conditions,
        "sha256": checksum_of_recording(recording),
        "subjects": {name: [str(each) for each in region.subjects] for name, region in recording.regions.items()},
        "times": None if recording.times is None else [float(each) for each in recording.times],
        "citation": recording.citation,
        "licence": recording.licence,
        "notes": recording.notes,
        "truth": dict(recording.truth),
        "drive_windows": {name: list(window) for name, window in recording.drive_windows.items()},
    }
