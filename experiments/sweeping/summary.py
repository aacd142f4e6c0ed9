"""Accuracy tables that are honest by construction: beside every rule its control, the floor, and what others published."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

import learning_rules
from experiments.config import write_yaml
from experiments.sweeping.config import SweepConfig, family_of

__all__ = ["best_trials", "best_variants", "network_name", "networks_of", "summarise", "to_markdown"]

_CONTROL = "untrained"
_SAME_TASK = ["architecture", "dataset", "architecture_options", "epochs"]
_RUN = ["rule", "architecture", "dataset", "front_end", "architecture_options", "rule_options", "epochs"]


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
    values = {name: ",".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in given.items()}
    return " ".join([architecture, *(f"{name}={value}" for name, value in values.items())])


def networks_of(summary: pd.DataFrame) -> list[str]:
    """The network of every row of a summary, with the epochs that it was trained for where rows differ in them."""
    names = [network_name(*pair) for pair in zip(summary["architecture"], summary["architecture_options"], strict=True)]
    if summary["epochs"].nunique() == 1:
        return names
    return [f"{name}, {epochs} epochs" for name, epochs in zip(names, summary["epochs"], strict=True)]


def _of_rule(table: dict[str, dict[str, Any]], architecture: str, options: str, rule: str) -> Any:
    """The entry of a variant, or of its family; of the network with its options, or else of its architecture."""
    of_network = table.get(network_name(architecture, options), table.get(architecture, {}))
    return of_network.get(rule, of_network.get(family_of(rule)))


def summarise(runs: pd.DataFrame, config: SweepConfig) -> pd.DataFrame:
    """One row a rule, network, front end and number of epochs.

    Parameters
    ----------
    runs
        `Sweep.runs`.
    config
        Floors and published figures.

    Returns
    -------
    pandas.DataFrame
        `mean` and `standard_deviation` of the test accuracy over seeds; `control` and `control_front_end`, the best untrained
        network with the same architecture and epochs, on plain images or behind the same front end, and whether the rule is above
        it by more than two standard errors of the difference of means (`beats_control`, None with one seed and for the control
        itself); `activation`, where the rule uses one of its own; `floor` and `reaches_floor`; `published` and `published_source`.
    """
    rows = []
    for names, group in runs.groupby(_RUN, sort=False):
        key = dict(zip(_RUN, names, strict=True))
        accuracy = group["test_accuracy"].to_numpy()
        row: dict[str, Any] = {
            **key,
            "activation": learning_rules.spec(key["rule"]).activation,
            "n_seeds": len(accuracy),
            "mean": float(accuracy.mean()),
            "standard_deviation": float(accuracy.std(ddof=1)) if len(accuracy) > 1 else np.nan,
            "validation_accuracy": float(group["validation_accuracy"].mean()),
        }
        same = runs[(runs["rule"] == _CONTROL) & np.logical_and.reduce([runs[name] == key[name] for name in _SAME_TASK])]
        same = same[same["front_end"].isin(["none", key["front_end"]])]
        row |= _against_control(row, accuracy, same)
        of_rule = (key["architecture"], key["architecture_options"], key["rule"])
        floor = _of_rule(config.floors, *of_rule)
        row |= {
            "floor": np.nan if floor is None else float(floor),
            "reaches_floor": None if floor is None else row["mean"] >= floor,
        }
        published = _of_rule(config.published, *of_rule) or {}
        row |= {"published": published.get("accuracy", np.nan), "published_source": published.get("source", "")}
        rows.append({**row, "seconds": float(group["seconds"].iloc[0]), "warnings": group["warnings"].iloc[0]})
    return pd.DataFrame(rows)


def _against_control(row: dict[str, Any], accuracy: np.ndarray, controls: pd.DataFrame) -> dict[str, Any]:
    if row["rule"] == _CONTROL or controls.empty:
        return {"control": np.nan, "control_front_end": "", "beats_control": None}
    front_end, best = max(controls.groupby("front_end"), key=lambda pair: pair[1]["test_accuracy"].mean())
    control = best["test_accuracy"].to_numpy()
    beats = None
    if min(len(control), len(accuracy)) > 1:
        standard_error = np.sqrt(accuracy.var(ddof=1) / len(accuracy) + control.var(ddof=1) / len(control))
        beats = bool(accuracy.mean() - control.mean() > 2 * standard_error)
    return {"control": float(control.mean()), "control_front_end": str(front_end), "beats_control": beats}


def best_trials(runs: pd.DataFrame) -> pd.DataFrame:
    """Of every rule, architecture and front end the trial with the best validation accuracy, its defaults' beside it.

    The test accuracy takes no part in the choice.
    """
    rows = []
    for names, group in runs.groupby(["rule", "architecture", "front_end"], sort=False):
        trials = group.groupby(["rule_options", "architecture_options"], sort=False)["validation_accuracy"].mean()
        # NaN is no accuracy to choose by.
        best = trials.fillna(-1.0).idxmax()
        rows.append(
            {
                **dict(zip(("rule", "architecture", "front_end"), names, strict=True)),
                "trials": len(trials),
                "validation_accuracy": float(trials[best]),
                "validation_accuracy_of_defaults": float(trials.iloc[0]),
                "rule_options": best[0],
                "architecture_options": best[1],
            }
        )
    return pd.DataFrame(rows)


def best_variants(summary: pd.DataFrame) -> pd.DataFrame:
    """Of every family the row with the best validation accuracy, so that no test image has a say in which one stands for it."""
    family = summary["rule"].map(family_of)
    best = summary["validation_accuracy"].fillna(-1.0).groupby(family, sort=False).idxmax()
    return summary.loc[best]


def _percent(value: float, deviation: float | None = None) -> str:
    if value is None or np.isnan(value):
        return ""
    spread = "" if deviation is None or np.isnan(deviation) else f" ± {100 * deviation:.2f}"
    return f"{100 * value:.2f}{spread}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _accuracy_lines(table: pd.DataFrame) -> list[str]:
    lines = [
        _line(["rule", "front end", "test accuracy", "control", "above control", "floor", "reached", "published"]),
        "|" + "---|" * 8,
    ]
    for row in table.to_dict("records"):
        above = {None: "", True: "yes", False: "**does not beat its control**"}[row["beats_control"]]
        reached = {None: "", True: "yes", False: "**no**"}[row["reaches_floor"]]
        options = "" if row["rule_options"] == "{}" else f" `{row['rule_options']}`"
        # A rule that cannot live with the network's activation function is not compared without saying so.
        options += f" (own activation: {row['activation']})" if row["activation"] else ""
        published = _percent(row["published"]) + (f" ({row['published_source']})" if row["published_source"] else "")
        accuracy = _percent(row["mean"], row["standard_deviation"])
        control = _percent(row["control"])
        lines.append(
            _line([row["rule"] + options, row["front_end"], accuracy, control, above, _percent(row["floor"]), reached, published])
        )
    return lines


def _search_lines(table: pd.DataFrame) -> list[str]:
    lines = [_line(["rule", "front end", "trials", "best on validation", "defaults", "options of the best"]), "|" + "---|" * 6]
    for row in table.to_dict("records"):
        best, defaults = _percent(row["validation_accuracy"]), _percent(row["validation_accuracy_of_defaults"])
        lines.append(_line([row["rule"], row["front_end"], str(row["trials"]), best, defaults, f"`{row['rule_options']}`"]))
    return lines


def to_markdown(config: SweepConfig, summary: pd.DataFrame, done: int, of: int) -> str:
    """The summary for reading; every figure in it comes from the table.

    Parameters
    ----------
    config
        What is run.
    summary
        `Sweep.summary`, of what has been run.
    done
        Trainings that have been run.
    of
        Trainings in all.
    """
    lines = [f"# {config.title or 'Sweep'}", ""]
    if done < of:
        lines += [f"**{done} of {of} trainings are done**; the same command goes on with the others.", ""]
    if not config.search:
        lines += [
            "Test accuracy in percent after the last epoch, mean and standard deviation over seeds.",
            "The control is the best untrained network with the same architecture and readout, on plain images or behind the same",
            "front end; a rule beats it by more than two standard errors of the difference.",
            "",
            "![Every rule's accuracy beside its floor and its control](accuracy.svg)",
            "",
            "Thin lines lead from each rule's control to its mean, bars mark floors; orange misses its floor or does not beat its",
            "control.",
            "",
        ]
    # A search varies the options of one network, and is one table of it.
    networks = summary["architecture"] if config.search else networks_of(summary)
    labelled = summary.assign(network=networks, dataset=summary.get("dataset", ""))
    for (network, dataset), table in labelled.groupby(["network", "dataset"], sort=False):
        lines += [f"## {dataset}: {network}" if dataset else f"## {network}", ""]
        if config.search:
            lines += [*_search_lines(table), ""]
            continue
        best = best_variants(table)
        if len(best) < len(table):
            lines += ["The best of each family, chosen by validation images:", "", *_accuracy_lines(best), "", "All:", ""]
        lines += [*_accuracy_lines(table), ""]
    lines += ["## What was run", "", "```yaml", write_yaml(config).rstrip(), "```", ""]
    return "\n".join(lines)
