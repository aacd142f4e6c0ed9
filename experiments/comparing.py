"""The main job: train the rules, show each network the recording's stimuli, score every layer against every region."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any, NamedTuple

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
from experiments.results import SCORE_COLUMNS, Comparison
from experiments.training import Progress, Trained, build_network, train
from neurodata import PatternSet, Recording

__all__ = ["compare"]

CONTROL = "untrained"
# Beyond this many, single-subject rows of a recording in time would fill the tables with millions of numbers.
_MOST_SUBJECT_ROWS = 200_000


class _Model(NamedTuple):
    """One layer of one network, as the scores name it."""

    rule: str
    seed: int
    layer: str


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
) -> tuple[dict[_Model, np.ndarray], list[str]]:
    """Condensed RDM of every layer of every seed; a layer that tells no stimuli apart is named instead."""
    rdms: dict[_Model, np.ndarray] = {}
    unusable = []
    layers = trained.represent(images, part)
    for layer, activations in zip((part or trained.network).block_names, layers, strict=True):
        for index in range(trained.config.n_seeds):
            model = _Model(trained.name, trained.config.seed + index, layer)
            patterns = activations[index].reshape(len(images), -1)
            try:
                rdm = rsa.rdm(patterns, config.distance)
                if np.ptp(rdm) == 0:
                    raise rsa.InputError("all its dissimilarities are equal")
                rdms[model] = rdm
            except rsa.InputError as error:
                unusable.append(f"no RDM: {model.rule}, seed {model.seed}: layer '{model.layer}': {error}")
    return rdms, unusable


def _times(recording: Recording) -> list[float | None]:
    return [None] if recording.times is None else [float(time) for time in recording.times]


def _at(values: np.ndarray | float, index: int, timed: bool) -> Any:
    return values[index] if timed else values  # type: ignore[index]


def _score_rows(
    models: list[_Model],
    evaluation: rsa.Evaluation,
    region: str,
    subjects: list[str],
    times: list[float | None],
    with_subjects: bool,
) -> list[dict[str, Any]]:
    """Tidy rows of one region: every network, layer and subject, and the aggregates."""
    timed = evaluation.mean.ndim == 2
    groups: dict[tuple[str, str], list[int]] = {}
    for index, model in enumerate(models):
        groups.setdefault((model.rule, model.layer), []).append(index)
    together = rsa.aggregate(evaluation, list(groups.values()))
    rows = []
    for t, moment in enumerate(times if timed else [None]):
        shared = {
            "region": region,
            "time": moment,
            "ceiling_lower": float(_at(evaluation.ceiling.lower, t, timed)),
            "ceiling_upper": float(_at(evaluation.ceiling.upper, t, timed)),
        }
        if with_subjects:
            scores, lower, upper = (_at(values, t, timed) for values in (evaluation.scores, evaluation.lower, evaluation.upper))
            rows += [
                {
                    **model._asdict(),
                    **shared,
                    "subject": subject,
                    "score": float(scores[i, j]),
                    "lower": float(lower[i, j]),
                    "upper": float(upper[i, j]),
                    "p_value": np.nan,
                }
                for i, model in enumerate(models)
                for j, subject in enumerate(subjects)
            ]
        mean, low, high, p_value = (
            _at(values, t, timed) for values in (together.mean, together.lower, together.upper, together.p_value)
        )
        rows += [
            {
                "rule": rule,
                "seed": None,
                "layer": layer,
                **shared,
                "subject": None,
                "score": float(mean[g]),
                "lower": float(low[g]),
                "upper": float(high[g]),
                "p_value": float(p_value[g]),
            }
            for g, (rule, layer) in enumerate(groups)
        ]
    return rows


def _difference_rows(
    models: list[_Model], evaluation: rsa.Evaluation, region: str, times: list[float | None]
) -> list[dict[str, Any]]:
    """Each rule minus the untrained control, layer by layer, paired over stimuli and subjects."""
    timed = evaluation.mean.ndim == 2
    rows = []
    pairs = dict.fromkeys((model.rule, model.layer) for model in models if model.rule != CONTROL)
    for rule, layer in pairs:
        ours = [i for i, model in enumerate(models) if (model.rule, model.layer) == (rule, layer)]
        control = [i for i, model in enumerate(models) if (model.rule, model.layer) == (CONTROL, layer)]
        if not control:
            continue
        contrast = rsa.contrast(evaluation, ours, control)
        rows += [
            {
                "rule": rule,
                "control": CONTROL,
                "layer": layer,
                "region": region,
                "time": moment,
                "difference": float(_at(contrast.difference, t, timed)),
                "lower": float(_at(contrast.lower, t, timed)),
                "upper": float(_at(contrast.upper, t, timed)),
                "p_value": float(_at(contrast.p_value, t, timed)),
            }
            for t, moment in enumerate(times if timed else [None])
        ]
    return rows


def _mean_by_layer(rdms: dict[_Model, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
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
    rdms: dict[_Model, np.ndarray] = {}
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
    times = _times(recording)
    scores, differences, ceilings = [], [], []
    for name, data in region_rdms.items():
        evaluation = rsa.evaluate(
            jax.random.fold_in(jax.random.key(config.seed), 2**20),
            model_rdms,
            data,
            comparator=config.comparator,
            n_draws=config.n_draws,
            confidence=config.confidence,
        )
        subjects = [str(each) for each in recording.regions[name].subjects]
        n_rows = len(models) * len(subjects) * (len(times) if data.ndim == 3 else 1)
        with_subjects = n_rows <= _MOST_SUBJECT_ROWS
        if not with_subjects:
            warnings.append(f"rows of single subjects left out: region '{name}' would have {n_rows}; the aggregates are whole")
        scores += _score_rows(models, evaluation, name, subjects, times, with_subjects)
        differences += _difference_rows(models, evaluation, name, times)
        timed = data.ndim == 3
        ceilings += [
            {
                "region": name,
                "time": moment,
                "lower": float(_at(evaluation.ceiling.lower, t, timed)),
                "upper": float(_at(evaluation.ceiling.upper, t, timed)),
                "withheld": evaluation.ceiling.withheld,
                "n_subjects": len(subjects),
            }
            for t, moment in enumerate(times if timed else [None])
        ]
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
        scores=_frame(scores, SCORE_COLUMNS),
        differences=_frame(differences),
        accuracy=pd.concat([each.accuracy for each in trained], ignore_index=True),
        networks=pd.concat([each.networks for each in trained], ignore_index=True),
        ceilings=ceilings,
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


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...] | None = None) -> pd.DataFrame:
    names = columns or ("rule", "control", "layer", "region", "time", "difference", "lower", "upper", "p_value")
    frame = pd.DataFrame(rows, columns=list(names))
    return frame.astype({"seed": "Int64"}) if "seed" in names else frame


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
