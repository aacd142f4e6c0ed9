"""The main job: train the rules, show each network the recording's stimuli, score every layer against every region."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings as python_warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import architectures
import learning_rules
import neurodata
import rsa
from architectures import Network
from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.files import write_text
from bioplausible.foundation.progress import Progress
from bioplausible.foundation.resolve import resolve
from experiments import stimuli, views
from experiments.config import CONTROL, CompareConfig, to_record, write_yaml
from experiments.environment import check_room, describe_environment
from experiments.files import prepare_folder
from experiments.judging import judge, rdm_correlations
from experiments.preparing import build_network, load_images, options_record
from experiments.recordings import load_recording
from experiments.results import CLUSTER_COLUMNS, DIFFERENCE_COLUMNS, REFERENCE_MODEL_COLUMNS, SCORE_COLUMNS, Comparison
from experiments.scorecards import CORE, scorecards
from experiments.scoring import Model
from experiments.trained import Trained
from experiments.training import train
from neurodata import PatternSet, Recording

__all__ = ["compare", "large_enough", "region_rdms"]


_MIN_PIXELS = 32


def region_rdms(recording: Recording, distance: str) -> dict[str, np.ndarray]:
    """Condensed RDMs of every region, (n_subjects, n_pairs) or (n_times, n_subjects, n_pairs)."""
    found = {}
    for name, region in recording.regions.items():
        if isinstance(region, PatternSet):
            rdms = np.stack([rsa.rdm(patterns, distance) for patterns in region.patterns()])
        else:
            rdms = np.asarray(region.rdms())
        found[name] = np.moveaxis(rdms, 1, 0) if rdms.ndim == 3 else rdms
    return found


def _part_for_size(network: Network, size: int | None) -> tuple[Network | None, str]:
    """The part of the network that takes stimuli of a size, and a sentence on what was left out."""
    shape = stimuli.evaluation_shape(network.input_shape, size)
    if shape == network.input_shape:
        return None, ""
    return network.at_size(shape)


def _mean_by_layer(rdms: dict[Model, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    groups: dict[tuple[str, str], list[np.ndarray]] = {}
    for model, rdm in rdms.items():
        groups.setdefault((model.rule, model.layer), []).append(rdm)
    return {names: np.mean(members, axis=0) for names, members in groups.items()}


def _with_control(config: CompareConfig) -> CompareConfig:
    return config if CONTROL in config.rules else dataclasses.replace(config, rules=(CONTROL, *config.rules))


def _check_names(config: CompareConfig) -> None:
    """Say every misspelt name before an hour of training, not after."""
    resolve(config.architecture, architectures.ARCHITECTURES, "architecture")
    for rule in config.rules:
        learning_rules.spec(rule)
    checks: list[tuple[str, str, Collection[str]]] = [
        ("distance", config.distance, rsa.DISTANCES),
        ("comparator", config.comparator, rsa.COMPARATORS),
        ("front end", config.front_end, architectures.FRONT_ENDS),
        *(("comparator", name, [*rsa.COMPARATORS, *rsa.PATTERN_COMPARATORS]) for name in config.more_comparators),
        *(("factor", name, rsa.FACTORS) for name in config.factors),
        *(("reference model", name, rsa.REFERENCE_MODELS) for name in config.reference_models),
    ]
    for kind, given, valid in checks:
        if given not in valid:
            raise unknown_name(kind, given, valid)


def _check_trainable(config: CompareConfig) -> tuple[int, ...]:
    """Say what cannot be read, built or shown at the size asked for; a front end, slow to fit, is left to the training.

    What is given back is the shape of an image that networks are trained on.
    """
    images = load_images(config.training(CONTROL))
    for rule in config.rules:
        training = dataclasses.replace(config.training(rule), front_end="none")
        network = build_network(training, images)
        learning_rules.build(rule, network.core, **training.rule_options).optimizer(1)
    shapes = [stimuli.evaluation_shape(network.input_shape, size) for size in views.sizes(config)]
    if len(set(shapes)) < len(shapes):
        raise InputError(f"stimuli of {shapes[0][0]} pixels, the training images' size, were asked for twice: leave one out")
    _check_stimuli(config, network.input_shape, 1)
    for size in views.sizes(config):
        _part_for_size(network, size)
    return network.input_shape


def _check_stimuli(config: CompareConfig, input_shape: tuple[int, ...], n_stimuli: int) -> None:
    """Say which size of stimuli no memory holds, before anything is trained."""
    for size in views.sizes(config):
        shape = stimuli.evaluation_shape(input_shape, size)
        what = f"{n_stimuli} stimuli of {shape[0]}x{shape[1]} pixels take"
        check_room(4 * n_stimuli * math.prod(shape), what, "a smaller stimulus_size")


def compare(
    config: CompareConfig | None = None, out: str | Path | None = None, progress: Progress | None = None, **fields: Any
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
    **fields
        Fields of `CompareConfig` that replace those of `config`.

    Raises
    ------
    InputError
        Unknown names, a data set or recording that cannot be used, stimuli of a size that no layer takes, or an `out` that cannot
        be written.
    """
    known = [field.name for field in dataclasses.fields(CompareConfig)]
    for name in fields:
        if name not in known:
            raise unknown_name("field of CompareConfig", name, known)
    if config is not None and not isinstance(config, CompareConfig):
        raise InputError(
            f"compare was given {config!r}, expected a CompareConfig, or its fields by name: compare(rules=['backprop'])"
        )
    if isinstance(fields.get("rules"), str):
        fields["rules"] = (fields["rules"],)
    config = _with_control(dataclasses.replace(config or CompareConfig(), **fields))
    _check_names(config)
    input_shape = _check_trainable(config)
    folder = None if out is None else prepare_folder(Path(out))
    n_parts = len(config.rules) + 2

    def tell(part: int, line: str) -> None:
        if progress is not None:
            progress(part, n_parts, line)

    started = time.perf_counter()
    tell(0, f"recording {config.recording}")
    recording = load_recording(config.recording)
    views.check_patterns(recording, config)
    _check_stimuli(config, input_shape, len(recording.stimuli.images))
    excluded: tuple[int, ...] = ()
    # Another recording's indices count images of another source.
    shows_digits = recording.stimuli.source == neurodata.default_stimuli().source
    if config.dataset == "digits" and shows_digits and recording.stimuli.source_indices is not None:
        excluded = tuple(int(index) for index in recording.stimuli.source_indices)
    seconds = {"recording": time.perf_counter() - started}

    warnings: list[str] = []
    trained: list[Trained] = []
    shown = {size: views.Layers({}, {}) for size in views.sizes(config)}
    for index, rule in enumerate(config.rules):
        tell(index + 1, f"training {rule}")

        def within(done: int, of: int, line: str, index: int = index, rule: str = rule) -> None:
            tell(index + 1, f"training {rule}, epoch {done} of {of}, {line}")

        trained.append(train(config.training(rule, excluded), within))
        network = trained[-1].network
        warnings += trained[-1].warnings
        for size, layers in shown.items():
            part, left_out = _part_for_size(network, size)
            images = stimuli.present(recording.stimuli.images, network.input_shape, trained[-1].images.normalisation, size)
            for warning in (
                *views.add_layers(layers, trained[-1], part, images, config),
                *([f"stimuli of {size} pixels: {left_out}"] if left_out else []),
            ):
                if warning not in warnings:
                    warnings.append(warning)
    rdms = shown[config.stimulus_size].rdms
    seconds["training"] = sum(each.seconds for each in trained)
    seconds["compiling"] = sum(each.compile_seconds for each in trained)
    if not rdms:
        raise InputError(f"no layer of any network tells the stimuli apart: {'; '.join(warnings[:2])}")

    started = time.perf_counter()
    tell(len(config.rules) + 1, "scoring layers against regions")
    measured = region_rdms(recording, config.distance)
    references = _reference_rdms(recording, config, warnings)
    seen = views.score_views(
        recording, measured, shown, references, config, lambda line: tell(len(config.rules) + 1, f"scoring layers against {line}")
    )
    of_regions = seen[0].regions
    for warning in (warning for view in seen for each in view.regions for warning in each.warnings):
        if warning not in warnings:
            warnings.append(warning)
    pixels = stimuli.evaluation_shape(trained[0].network.input_shape, config.stimulus_size)[0]
    scores = _frame([row for view in seen for row in view.rows("scores", pixels)], SCORE_COLUMNS)
    differences = _frame([row for view in seen for row in view.rows("differences", pixels)], DIFFERENCE_COLUMNS)
    # One family: all that the report shows of networks.
    together = scores["seed"].isna() & scores["subject"].isna()
    scores.loc[together, "p_adjusted"] = rsa.false_discovery_rate(scores.loc[together, "p_value"].to_numpy(float))
    differences["p_adjusted"] = rsa.false_discovery_rate(differences["p_value"].to_numpy(float))
    main = [(frame["comparator"] == config.comparator) & (frame["size"] == pixels) for frame in (scores, differences)]
    seconds["scoring"] = time.perf_counter() - started

    started = time.perf_counter()
    tell(len(config.rules) + 1, "reading networks and their controls")
    alike = rdm_correlations(rdms, config.comparator)
    readouts, controls, verdicts = judge(trained, alike, config)
    networks = pd.concat([each.networks for each in trained], ignore_index=True)
    networks["rdm_correlation"] = [
        alike.get(Model(*row), np.nan) for row in networks[["rule", "seed", "layer"]].itertuples(index=False)
    ]
    seconds["controls"] = time.perf_counter() - started

    started = time.perf_counter()
    cards: dict[str, Any] = {}
    if config.scorecard != "none":
        tell(len(config.rules) + 1, "asking how plausible the rules are")
        options = {each.name: config.rule_options.get(rule, {}) for rule, each in zip(config.rules, trained, strict=True)}
        criteria = CORE if config.scorecard == "core" else None
        cards = scorecards([each.name for each in trained], config.architecture, criteria, config.seed, rule_options=options)
    seconds["scorecards"] = time.perf_counter() - started

    first = trained[0]
    comparison = Comparison(
        config=to_record(config) | {"epochs": first.config.epochs},
        environment=describe_environment(),
        dataset=first.images.to_record(),
        recording=_describe_recording(recording),
        transform=stimuli.transform_record(first.network.input_shape, config.stimulus_size)
        | {"further_sizes": list(config.more_stimulus_sizes)},
        architecture={"name": config.architecture, "options": dict(first.network.options), "layers": first.network.describe()},
        rules={each.name: _describe_rule(each) for each in trained},
        scores=scores[main[0]].reset_index(drop=True),
        differences=differences[main[1]].reset_index(drop=True),
        further_scores=scores[~main[0]].reset_index(drop=True),
        further_differences=differences[~main[1]].reset_index(drop=True),
        reference_models=_frame([row for each in of_regions for row in each.reference_models], REFERENCE_MODEL_COLUMNS),
        clusters=_frame([row for each in of_regions for row in each.clusters], CLUSTER_COLUMNS),
        factors={name: list(each.factors) for name, each in zip(measured, of_regions, strict=True)},
        accuracy=pd.concat([each.accuracy for each in trained], ignore_index=True),
        networks=networks,
        readouts=readouts,
        controls=controls,
        verdicts=verdicts,
        ceilings=[row for each in of_regions for row in each.ceilings],
        scorecards=cards,
        layer_rdms=_mean_by_layer(rdms),
        region_rdms={name: data.reshape(-1, data.shape[-1]).mean(axis=0) for name, data in measured.items()},
        stimuli=recording.stimuli.images,
        stimulus_ids=[str(each) for each in recording.stimuli.ids],
        categories=None if recording.stimuli.categories is None else [str(each) for each in recording.stimuli.categories],
        warnings=warnings,
        seconds=seconds,
    )
    if folder is not None:
        # Drawing is slow to import, and a comparison that writes nothing draws nothing.
        from experiments.report import write_report

        tell(n_parts, "writing the report")
        comparison = dataclasses.replace(comparison, report=str((folder / "report.html").resolve()))
        write_text(folder / "config.yaml", write_yaml(config))
        comparison.save(folder)
        write_report(comparison, folder / "report.html")
    return comparison


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    return frame.astype({name: "Int64" for name in ("seed", "size") if name in columns})


def large_enough(images: np.ndarray) -> np.ndarray:
    """Images for filters, which need some pixels a wave; pixels that are repeated hold the same picture."""
    times = -(-_MIN_PIXELS // min(images.shape[1:3]))
    return images.repeat(times, axis=1).repeat(times, axis=2)


def _reference_rdms(recording: Recording, config: CompareConfig, warnings: list[str]) -> dict[str, np.ndarray]:
    """RDMs of models that are no networks; one that tells no stimuli apart is named instead."""
    found: dict[str, np.ndarray] = {}
    images = large_enough(recording.stimuli.images)
    for name in config.reference_models:
        try:
            with python_warnings.catch_warnings():
                python_warnings.simplefilter("ignore")
                found |= rsa.reference_rdms(images, [name], config.distance)
        except rsa.InputError as error:
            warnings.append(f"no RDM: reference model '{name}': {error}")
    return found


def _describe_rule(trained: Trained) -> dict[str, Any]:
    return dataclasses.asdict(trained.rule.spec) | {"options": options_record(trained.rule)}


def _describe_recording(recording: Recording) -> dict[str, Any]:
    return {
        "name": recording.name,
        "modality": recording.modality,
        "simulated": recording.simulated,
        "n_conditions": recording.n_conditions,
        "subjects": {name: [str(each) for each in region.subjects] for name, region in recording.regions.items()},
        "times": None if recording.times is None else [float(each) for each in recording.times],
        "citation": recording.citation,
        "licence": recording.licence,
        "notes": recording.notes,
        "truth": dict(recording.truth),
        "drive_windows": {name: list(window) for name, window in recording.drive_windows.items()},
    }
