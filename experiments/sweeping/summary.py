"""Accuracy tables that are honest by construction: beside every rule its control, the floor, and what others published."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

import learning_rules
from experiments.config import CONTROL
from experiments.controls import EQUAL_FEATURES, RANDOM_FEATURES, WIDER_FEATURES
from experiments.readouts import from_text
from experiments.sweeping.config import TASK, TRIED, SweepConfig, family_of
from experiments.sweeping.rdms import BETWEEN_SEEDS, COLUMNS
from experiments.verdicts import FROZEN, against_controls, against_one, beats, corrected, judged, of_images, verdicts

__all__ = [
    "ANGLES",
    "BESIDE",
    "CONTROL",
    "IMAGES_OF",
    "best_trials",
    "best_variants",
    "deviation",
    "network_name",
    "networks_of",
    "summarise",
]

ANGLES = ("angle_start", "angle_tenth", "angle", "angle_in_double", "angle_of_mean")
# What the controls that belong to no network depend on.
IMAGES_OF = ("dataset", "n_train", "validation_fraction", "split_seed")
# Within a task a rule is held against its controls; a run is what seeds are averaged over.
_SAME_TASK = ("architecture", "architecture_options", "init", "epochs", *IMAGES_OF)
_RUN = ("rule", "front_end", "rule_options", "batch_size", *_SAME_TASK)
BESIDE = "backprop_with_its_optimizer"
# What else tells tasks apart, and how it is said.
_SAID = {
    "epochs": "{} epochs",
    "n_train": "{} training images",
    "validation_fraction": "{:g} of them for validation",
    "split_seed": "split {}",
}


def network_name(architecture: str, options: str) -> str:
    """An architecture with the options that were given to it.

    Parameters
    ----------
    architecture
        Its name.
    options
        As JSON, a mapping.

    >>> network_name("mlp", '{"hidden": [100], "activation": "tanh"}'), network_name("cnn", "{}")
    ('mlp hidden=100 activation=tanh', 'cnn')
    """
    given = json.loads(options)
    values = {name: ",".join(map(str, value)) or "none" if isinstance(value, list) else value for name, value in given.items()}
    return " ".join([architecture, *(f"{name}={value}" for name, value in values.items())])


def networks_of(summary: pd.DataFrame) -> list[str]:
    """The network of every row of a summary, with whatever else of their task rows differ in: images, split, epochs.

    Parameters
    ----------
    summary
        Rows with `architecture` and, where networks have any, `architecture_options`.
    """
    options = summary.get("architecture_options", pd.Series("{}", summary.index))
    names = [network_name(*pair) for pair in zip(summary["architecture"], options, strict=True)]
    for column, said in _SAID.items():
        if column in summary and summary[column].nunique(dropna=False) > 1:
            told = ["all training images" if pd.isna(value) else said.format(_whole(value)) for value in summary[column]]
            names = [", ".join(pair) for pair in zip(names, told, strict=True)]
    if "init" in summary:
        starts = ["" if pd.isna(value) else f", from {value}" for value in summary["init"]]
        names = ["".join(pair) for pair in zip(names, starts, strict=True)]
    if "dataset" in summary and summary["dataset"].nunique() > 1:
        names = [": ".join(pair) for pair in zip(summary["dataset"], names, strict=True)]
    return names


def _whole(value: Any) -> Any:
    """A number as it was given: whole ones become fractions where others of their column are missing."""
    return int(value) if float(value).is_integer() else value


def _of_rule(table: dict[str, dict[str, Any]], architecture: str, options: str, rule: str) -> Any:
    """The entry of a variant, or of its family; of the network with its options, or else of its architecture."""
    of_network = table.get(network_name(architecture, options), table.get(architecture, {}))
    return of_network.get(rule, of_network.get(family_of(rule)))


def summarise(runs: pd.DataFrame, config: SweepConfig, controls: pd.DataFrame | None = None, to_come: int = 0) -> pd.DataFrame:
    """One row a rule, network, front end and number of epochs.

    Parameters
    ----------
    runs
        `Sweep.runs`.
    config
        Floors and published figures.
    controls
        `Sweep.controls`: what the same images give without learning a hidden layer.
    to_come
        Trainings of rules that are still to be run: verdicts are corrected for them too.

    Returns
    -------
    pandas.DataFrame
        `mean` and `standard_deviation` of the test accuracy over seeds; the same of the readout that is one for all
        (`readout_mean`, `readout_standard_deviation`, and `read_from`, the layers that it reads), where readouts were asked for;
        `control` and `best_control`, the mean and name of the best control; `difference` from it; `image_error`, its standard error
        over test images, where these were kept; `p_value` of beating all controls, `p_adjusted` for all rows of the table, and
        `beats_control` (below .05; None with one seed, without a control and for the control itself); `beats_wider`, whether it is
        above wider random features too, and `beats_equal`, whether it would be above all controls if the random features were as
        many as the network has hidden units, corrected alike; `angle_start`,
        `angle_tenth` and `angle`, degrees from backpropagation at the start, after a tenth of the epochs and at the end, and
        `angle_in_double`, at the end in double precision, `angle_of_mean`, at the end of the mean over a rule's draws, and
        `angle_standard_deviation` of that at the end; `rdm_correlation` and `rdm_correlation_euclidean`, of hidden layers with
        backpropagation's of the same seeds, and of its own with those of its other seeds, by two distances; `rdm_between_seeds` and
        `rdm_between_seeds_euclidean`, of every rule's own seeds;
        `activation`, where the rule uses one of its own; `batches`, where it was trained with several;
        `floor` and `reaches_floor`; `published` and `published_source`;
        `image_notes`, what must be known of the pixels.
    """
    runs = runs.assign(optimizer_of=runs.get("optimizer_of", pd.Series("", runs.index)).fillna(""))
    beside = runs[runs["optimizer_of"] != ""]
    runs = runs[runs["optimizer_of"] == ""]
    of_run = [name for name in _RUN if name in runs]
    groups = [group for _, group in runs.groupby(of_run, sort=False, dropna=False)]
    rows = [
        _accuracies(group, of_run) | _beside_others(group, runs, controls, beside) | _expected(group, config) for group in groups
    ]
    table = verdicts(pd.DataFrame(rows), to_come)
    if "batch_size" in table:
        # Batches are a rule's own choice, and said where it was trained with several.
        several = (
            table.groupby([name for name in of_run if name != "batch_size"], dropna=False)["batch_size"].transform("nunique") > 1
        )
        table["batches"] = [f"batches of {n}" if told else "" for n, told in zip(table["batch_size"], several, strict=True)]
    place = list(table.columns).index("beats_control") + 1
    others = [name for name in ("wider", "equal") if f"p_{name}" in table]
    for name in others:
        if table[f"p_{name}"].notna().any():
            table.insert(place, f"beats_{name}", beats(corrected(table[f"p_{name}"].to_numpy(), to_come)))
    return table.drop(columns=[f"p_{name}" for name in others])


def _accuracies(group: pd.DataFrame, of_run: Sequence[str]) -> dict[str, Any]:
    """What one rule reached over its seeds, and what tells it from the other rows."""
    first, accuracy = group.iloc[0], group["test_accuracy"].to_numpy()
    row: dict[str, Any] = {
        **{name: first[name] for name in of_run},
        "activation": _own_activation(first["rule"]),
        "n_seeds": len(accuracy),
        "mean": float(accuracy.mean()),
        "standard_deviation": deviation(accuracy),
        "validation_accuracy": float(group["validation_accuracy"].mean()),
    }
    if "readout_accuracy" in group:
        read = group["readout_accuracy"].to_numpy()
        layers = ", ".join(dict.fromkeys(group["read_from"]))
        row |= {"readout_mean": float(read.mean()), "readout_standard_deviation": deviation(read), "read_from": layers}
        row["readout_validation_accuracy"] = float(group["readout_validation_accuracy"].mean())
    return row


def _beside_others(group: pd.DataFrame, runs: pd.DataFrame, controls: pd.DataFrame | None, beside: pd.DataFrame) -> dict[str, Any]:
    """One rule beside its controls, and beside backpropagation."""
    first = group.iloc[0]
    row = against_controls(group, *_controls_of(group, runs, controls))
    if "right" in group:
        row["image_error"] = _image_error(group, runs, controls, row["best_control"])
    # A network that keeps maps is held against random maps, beside which dense features of any number are nothing.
    dense = first["rule"] != CONTROL and not bool(first.get("keeps_maps", False))
    if dense and controls is not None and not controls.empty:
        row["p_wider"] = against_one(group, _of_same_images(controls, first), WIDER_FEATURES)
        row["p_equal"] = _with_as_many(group, runs, controls)
    if len(beside):
        row[BESIDE] = _beside(first, beside)
    row |= {name: float(group[name].mean()) for name in (*ANGLES, *COLUMNS.values(), *BETWEEN_SEEDS.values()) if name in group}
    if "angle" in group:
        row["angle_standard_deviation"] = deviation(group["angle"].to_numpy(float))
    if "rdm_correlation" in group:
        row["without_rdms"] = int(group["rdm_correlation"].isna().sum())
    return row


def _expected(group: pd.DataFrame, config: SweepConfig) -> dict[str, Any]:
    """Floors and published figures of one rule, and what must be known of it."""
    first, mean = group.iloc[0], float(group["test_accuracy"].mean())
    of_rule = (first["architecture"], first["architecture_options"], first["rule"])
    floor, published = _of_rule(config.floors, *of_rule), _of_rule(config.published, *of_rule) or {}
    return {
        "floor": np.nan if floor is None else float(floor),
        "reaches_floor": None if floor is None else mean >= floor,
        "published": published.get("accuracy", np.nan),
        "published_source": published.get("source", ""),
        "image_notes": first["image_notes"] if "image_notes" in group else "",
        "seconds": float(first["seconds"]),
        "warnings": first["warnings"],
    }


def _with_as_many(group: pd.DataFrame, runs: pd.DataFrame, controls: pd.DataFrame) -> float:
    """The p-value of beating all controls, if there were only as many random features as the network has hidden units."""
    as_many = controls[controls.get("n_units", pd.Series(np.nan, controls.index)) == group.iloc[0].get("n_units", np.nan)]
    if as_many.empty:
        return np.nan
    instead = [controls[~controls["control"].isin([RANDOM_FEATURES, EQUAL_FEATURES])], as_many.assign(control=RANDOM_FEATURES)]
    return float(against_controls(group, *_controls_of(group, runs, pd.concat(instead)))["p_value"])


def deviation(values: np.ndarray) -> float:
    """Standard deviation over seeds, NaN of a single one.

    Parameters
    ----------
    values
        One a seed.
    """
    return float(values.std(ddof=1)) if len(values) > 1 else np.nan


def _beside(own: pd.Series, beside: pd.DataFrame) -> float:
    """What backpropagation reaches on a rule's task with its optimiser; NaN where it was not trained so."""
    same = beside[(beside["optimizer_of"] == own["rule"]) & _alike(beside, own, (*_SAME_TASK, "front_end"))]
    return float(judged(same).mean()) if len(same) else np.nan


def _own_activation(rule: str) -> str:
    """The activation function that a rule uses whatever the network's is, or was published with, "" where it has none."""
    spec = learning_rules.spec(rule)
    return spec.activation or str(dict(spec.network).get("activation", ""))


def _alike(rows: pd.DataFrame, own: pd.Series, columns: Sequence[str]) -> np.ndarray:
    """Which rows have what one has in all of some columns that both know; nothing equals nothing."""
    known = [name for name in columns if name in rows and name in own]
    return np.logical_and.reduce([rows[name].isna() if pd.isna(own[name]) else rows[name] == own[name] for name in known])


def _rights(rows: pd.DataFrame) -> pd.Series:
    """By seed which test images were told right."""
    return rows.groupby("seed")["right"].first()


def _image_error(group: pd.DataFrame, runs: pd.DataFrame, controls: pd.DataFrame | None, control: str) -> float:
    """Standard error over test images of a rule's difference from a control, networks as they are; NaN where nobody kept images."""
    matched, others = _controls_of(group, runs, controls, _rights, "right")
    kept = [_rights(group), {**matched, **others}.get(control)]
    if any(each is None or each.isna().any() or (each == "").any() for each in kept):
        return np.nan
    own, beside = (np.mean([from_text(text) for text in each], axis=0) for each in kept if each is not None)
    return float((own - beside).std(ddof=1) / np.sqrt(len(own)))


def _controls_of(
    group: pd.DataFrame,
    runs: pd.DataFrame,
    controls: pd.DataFrame | None,
    of: Callable[[pd.DataFrame], pd.Series] = judged,
    what: str = "accuracy",
) -> tuple[dict[str, pd.Series], dict[str, pd.Series]]:
    """Name -> accuracies by seed: of controls that start from the rule's own weights, and of those of its images alone.

    Or, of what is asked of trainings, and called after "frozen" and "test" there, something else.
    """
    own = group.iloc[0]
    if own["rule"] == CONTROL:
        return {}, {}
    matched = runs[(runs["rule"] == CONTROL) & _alike(runs, own, _SAME_TASK)]
    matched = matched[matched["front_end"].isin(["none", own["front_end"]])]
    found = {
        CONTROL if front_end == "none" else f"{CONTROL} behind {front_end}": of(rows)
        for front_end, rows in matched.groupby("front_end", sort=False)
    }
    if (frozen := f"frozen_{what}") in group and group[frozen].notna().all():
        found[FROZEN] = group.groupby("seed")[frozen].first()
    column = "test_accuracy" if what == "accuracy" else what
    if controls is None or controls.empty or column not in controls:
        return found, {}
    return found, of_images(_of_same_images(controls, own), bool(own.get("keeps_maps", True)), column)


def _of_same_images(controls: pd.DataFrame, own: pd.Series) -> pd.DataFrame:
    return controls[_alike(controls, own, IMAGES_OF)]


def best_trials(runs: pd.DataFrame) -> pd.DataFrame:
    """Of every rule, architecture, front end and image set the trial with the best validation accuracy, its defaults' beside it.

    The test accuracy takes no part in the choice.
    """
    rows = []
    runs = runs.assign(optimizer_of=runs.get("optimizer_of", pd.Series("", runs.index)).fillna(""))
    of_task = [name for name in TASK if name in runs]
    for names, group in runs.groupby(of_task, sort=False, dropna=False):
        trials = group.groupby(list(TRIED), sort=False)["validation_accuracy"].mean()
        # NaN is no accuracy to choose by.
        best = trials.fillna(-1.0).idxmax()
        rows.append(
            {
                **dict(zip(of_task, names, strict=True)),
                "trials": len(trials),
                "validation_accuracy": float(trials[best]),
                "validation_accuracy_of_defaults": float(trials.iloc[0]),
                **dict(zip(TRIED, best, strict=True)),
            }
        )
    return pd.DataFrame(rows)


def best_variants(summary: pd.DataFrame) -> pd.DataFrame:
    """Of every family the row that is best on validation images, so that no test image has a say in which one stands for it.

    By the readout that verdicts go by where there is one, else by the network's own output.
    """
    family = summary["rule"].map(family_of)
    by = summary.get("readout_validation_accuracy", summary["validation_accuracy"])
    best = by.fillna(-1.0).groupby(family, sort=False).idxmax()
    return summary.loc[best]
