"""The main job: train the rules, show each network the recording's stimuli, score every layer against every region."""

from __future__ import annotations

import dataclasses
import time
import warnings as python_warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

import architectures
import learning_rules
import neurodata
import rsa
from architectures import InputError, Network
from architectures.errors import unknown_name
from experiments import datasets, stimuli
from experiments.config import CompareConfig, to_record, write_yaml
from experiments.environment import describe_environment
from experiments.files import prepare_folder, write_text
from experiments.recordings import load_recording
from experiments.results import CLUSTER_COLUMNS, CONTROL_COLUMNS, DIFFERENCE_COLUMNS, SCORE_COLUMNS, Comparison
from experiments.scoring import CONTROL, Model, score_region
from experiments.training import Progress, Trained, build_network, train
from neurodata import PatternSet, Recording

__all__ = ["compare"]


_LEAST_PIXELS = 32


def _region_rdms(recording: Recording, distance: str) -> dict[str, np.ndarray]:
    """Condensed RDMs of every region, (n_subjects, n_pairs) or (n_times, n_subjects, n_pairs)."""
    found = {}
    for name, region in recording.regions.items():
        if isinstance(region, PatternSet):
            rdms = np.stack([rsa.rdm(patterns, distance) for patterns in region.patterns()])
        else:
            rdms = np.asarray(region.rdms())
        found[name] = np.moveaxis(rdms, 1, 0) if rdms.ndim == 3 else rdms
    return found


def _part_for_size(network: Network, config: CompareConfig) -> tuple[Network | None, str]:
    """The part of the network that takes stimuli of the size asked for, and a sentence on what was left out."""
    shape = stimuli.evaluation_shape(network.input_shape, config.stimulus_size)
    if shape == network.input_shape:
        return None, ""
    return network.at_size(shape)


def _layer_rdms(
    trained: Trained, part: Network | None, images: np.ndarray, config: CompareConfig
) -> tuple[dict[Model, np.ndarray], list[str]]:
    """Condensed RDM of every layer of every seed; a layer that tells no stimuli apart is named instead."""
    rdms: dict[Model, np.ndarray] = {}
    unusable = []
    layers = trained.represent(images, part)
    for layer, activations in zip((part or trained.network).block_names, layers, strict=True):
        for index in range(trained.config.n_seeds):
            model = Model(trained.name, trained.config.seed + index, layer)
            patterns = activations[index].reshape(len(images), -1)
            try:
                rdm = rsa.rdm(patterns, config.distance)
                if np.ptp(rdm) == 0:
                    raise rsa.InputError("all its dissimilarities are equal")
                rdms[model] = rdm
            except rsa.InputError as error:
                unusable.append(f"no RDM: {model.rule}, seed {model.seed}: layer '{model.layer}': {error}")
    return rdms, unusable


def _times(recording: Recording) -> list[float] | None:
    return None if recording.times is None else [float(time) for time in recording.times]


def _mean_by_layer(rdms: dict[Model, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    groups: dict[tuple[str, str], list[np.ndarray]] = {}
    for model, rdm in rdms.items():
        groups.setdefault((model.rule, model.layer), []).append(rdm)
    return {names: np.mean(members, axis=0) for names, members in groups.items()}


def _with_control(config: CompareConfig) -> CompareConfig:
    return config if CONTROL in config.rules else dataclasses.replace(config, rules=(CONTROL, *config.rules))


def _check_names(config: CompareConfig) -> None:
    """Say every misspelt name before an hour of training, not after."""
    for rule in config.rules:
        learning_rules.spec(rule)
    for kind, given, valid in (
        ("architecture", config.architecture, architectures.names()),
        ("distance", config.distance, rsa.DISTANCES),
        ("comparator", config.comparator, rsa.COMPARATORS),
        ("front end", config.front_end, architectures.FRONT_ENDS),
        *(("factor", name, rsa.FACTORS) for name in config.factors),
        *(("control model", name, rsa.CONTROLS) for name in config.controls),
    ):
        if given not in valid:
            raise unknown_name(kind, given, valid)


def _check_trainable(config: CompareConfig) -> None:
    """Say what cannot be read, built or shown at the size asked for; a front end, slow to fit, is left to the training."""
    images = datasets.load(
        config.dataset, validation_fraction=config.validation_fraction, split_seed=config.split_seed, n_train=config.n_train
    )
    network = None
    for rule in config.rules:
        training = dataclasses.replace(config.training(rule), front_end="none")
        network = network or build_network(training, images)
        learning_rules.build(rule, network.core, **training.rule_options).optimizer(1)
    if network is not None:
        _part_for_size(network, config)


def compare(
    config: CompareConfig | None = None, out: str | Path | None = None, progress: Progress | None = None, **fields: Any
) -> Comparison:
    """Compare what rules learn with what a recording's regions do.

    Args:
        config: what to run; or give its fields as keywords.
        out: folder for tables, configuration and `report.html`; None writes nothing.
        progress: called with parts done, parts in all and a line to show.
        **fields: fields of `CompareConfig` that replace those of `config`.

    Raises:
        InputError: unknown names, a data set or recording that cannot be used, stimuli of a size that no layer takes, or an
            `out` that cannot be written.
    """
    known = [field.name for field in dataclasses.fields(CompareConfig)]
    for name in fields:
        if name not in known:
            raise unknown_name("field of CompareConfig", name, known)
    config = _with_control(dataclasses.replace(config or CompareConfig(), **fields))
    _check_names(config)
    _check_trainable(config)
    folder = None if out is None else prepare_folder(Path(out))
    n_parts = len(config.rules) + 2

    def tell(part: int, line: str) -> None:
        if progress is not None:
            progress(part, n_parts, line)

    started = time.perf_counter()
    tell(0, f"recording {config.recording}")
    recording = load_recording(config.recording)
    excluded: tuple[int, ...] = ()
    # Another recording's indices count images of another source.
    shows_digits = recording.stimuli.source == neurodata.default_stimuli().source
    if config.dataset == "digits" and shows_digits and recording.stimuli.source_indices is not None:
        excluded = tuple(int(index) for index in recording.stimuli.source_indices)
    seconds = {"recording": time.perf_counter() - started}

    warnings: list[str] = []
    trained: list[Trained] = []
    rdms: dict[Model, np.ndarray] = {}
    part: Network | None = None
    for index, rule in enumerate(config.rules):
        tell(index + 1, f"training {rule}")

        def within(done: int, of: int, line: str, index: int = index, rule: str = rule) -> None:
            tell(index + 1, f"training {rule}, epoch {done} of {of}, {line}")

        trained.append(train(config.training(rule, excluded), within))
        network = trained[-1].network
        part, left_out = _part_for_size(network, config)
        images = stimuli.present(
            recording.stimuli.images, network.input_shape, trained[-1].images.normalisation, config.stimulus_size
        )
        found, unusable = _layer_rdms(trained[-1], part, images, config)
        rdms |= found
        warnings += [*trained[-1].warnings, *unusable]
        if left_out and left_out not in warnings:
            warnings.append(left_out)
    seconds["training"] = sum(each.seconds for each in trained)
    seconds["compiling"] = sum(each.compile_seconds for each in trained)
    if not rdms:
        raise InputError(f"no layer of any network tells the stimuli apart: {'; '.join(warnings[:2])}")

    started = time.perf_counter()
    tell(len(config.rules) + 1, "scoring layers against regions")
    models = list(rdms)
    model_rdms = np.stack(list(rdms.values()))
    region_rdms = _region_rdms(recording, config.distance)
    controls = _control_rdms(recording, config, warnings)
    of_regions = []
    for name, data in region_rdms.items():
        tell(len(config.rules) + 1, f"scoring layers against {name}")
        of_regions.append(
            score_region(
                jax.random.fold_in(jax.random.key(config.seed), 2**20),
                name,
                models,
                model_rdms,
                controls,
                data,
                [str(each) for each in recording.regions[name].subjects],
                _times(recording) if data.ndim == 3 else None,
                config,
                lambda line: tell(len(config.rules) + 1, f"scoring layers against {line}"),
            )
        )
        warnings += of_regions[-1].warnings
    scores = _frame([row for each in of_regions for row in each.scores], SCORE_COLUMNS)
    differences = _frame([row for each in of_regions for row in each.differences], DIFFERENCE_COLUMNS)
    # One family: all that the report shows of networks.
    together = scores["seed"].isna() & scores["subject"].isna()
    scores.loc[together, "p_adjusted"] = rsa.false_discovery_rate(scores.loc[together, "p_value"].to_numpy(float))
    differences["p_adjusted"] = rsa.false_discovery_rate(differences["p_value"].to_numpy(float))
    seconds["scoring"] = time.perf_counter() - started

    first = trained[0]
    comparison = Comparison(
        config=to_record(config) | {"epochs": first.config.epochs},
        environment=describe_environment(),
        dataset=first.images.to_record(),
        recording=_describe_recording(recording),
        transform=stimuli.transform_record(first.network.input_shape, config.stimulus_size),
        architecture={"name": config.architecture, "options": dict(first.network.options), "layers": first.network.describe()},
        rules={each.name: _describe_rule(each) for each in trained},
        scores=scores,
        differences=differences,
        controls=_frame([row for each in of_regions for row in each.controls], CONTROL_COLUMNS),
        clusters=_frame([row for each in of_regions for row in each.clusters], CLUSTER_COLUMNS),
        factors={name: list(each.factors) for name, each in zip(region_rdms, of_regions, strict=True)},
        accuracy=pd.concat([each.accuracy for each in trained], ignore_index=True),
        networks=pd.concat([each.networks for each in trained], ignore_index=True),
        ceilings=[row for each in of_regions for row in each.ceilings],
        layer_rdms=_mean_by_layer(rdms),
        region_rdms={name: data.reshape(-1, data.shape[-1]).mean(axis=0) for name, data in region_rdms.items()},
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
    return frame.astype({"seed": "Int64"}) if "seed" in columns else frame


def _control_rdms(recording: Recording, config: CompareConfig, warnings: list[str]) -> dict[str, np.ndarray]:
    """RDMs of models that are no networks; one that tells no stimuli apart is named instead."""
    found: dict[str, np.ndarray] = {}
    images = recording.stimuli.images
    # Filters need some pixels a wave; pixels that are repeated hold the same picture.
    times = -(-_LEAST_PIXELS // min(images.shape[1:3]))
    images = images.repeat(times, axis=1).repeat(times, axis=2)
    for name in config.controls:
        try:
            with python_warnings.catch_warnings():
                python_warnings.simplefilter("ignore")
                found |= rsa.control_rdms(images, [name], config.distance)
        except rsa.InputError as error:
            warnings.append(f"no RDM: control model '{name}': {error}")
    return found


def _describe_rule(trained: Trained) -> dict[str, Any]:
    return dataclasses.asdict(trained.rule.spec) | {"options": dataclasses.asdict(trained.rule.options)}


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
