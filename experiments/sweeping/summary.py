"""Accuracy tables that are honest by construction: beside every rule its control, the floor, and what others published."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import learning_rules
from experiments.config import CONTROL, REFERENCE, write_yaml
from experiments.controls import WIDER_FEATURES
from experiments.readouts import LOGISTIC, RIDGE, from_text
from experiments.sweeping.config import TASK, TRIED, SweepConfig, family_of
from experiments.sweeping.rdms import COLUMNS, is_plain_backprop
from experiments.verdicts import FROZEN, against_controls, against_wider, beats, corrected, judged, of_images, verdicts

__all__ = [
    "ANGLES",
    "CONTROL",
    "IMAGES_OF",
    "best_trials",
    "best_variants",
    "network_name",
    "networks_of",
    "summarise",
    "to_markdown",
]

ANGLES = ("angle_start", "angle_tenth", "angle", "angle_in_double")
# What the controls that belong to no network depend on.
IMAGES_OF = ("dataset", "n_train", "validation_fraction")
_SAME_TASK = ["architecture", "dataset", "architecture_options", "epochs"]
# From so many degrees on rounding has a say in what is learned.
_ROUNDING = 1.0
_FEW_SEEDS = 4
# In standard errors over test images.
_FAR = 2
BESIDE = "backprop_with_its_optimizer"
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
        above wider random features too, corrected alike; `angle_start`,
        `angle_tenth` and `angle`, degrees from backpropagation at the start, after a tenth of the epochs and at the end, and
        `angle_in_double`, at the end in double precision; `rdm_correlation` and `rdm_correlation_euclidean`, of hidden layers with
        backpropagation's of the same seeds, and of its own with those of its other seeds, by two distances;
        `activation`, where the rule uses one of its own; `floor` and `reaches_floor`; `published` and `published_source`;
        `image_notes`, what must be known of the pixels.
    """
    runs = runs.assign(optimizer_of=runs.get("optimizer_of", pd.Series("", runs.index)).fillna(""))
    beside = runs[runs["optimizer_of"] != ""]
    runs = runs[runs["optimizer_of"] == ""]
    rows = []
    for names, group in runs.groupby(_RUN, sort=False):
        key = dict(zip(_RUN, names, strict=True))
        accuracy = group["test_accuracy"].to_numpy()
        row: dict[str, Any] = {
            **key,
            "activation": _own_activation(key["rule"]),
            "n_seeds": len(accuracy),
            "mean": float(accuracy.mean()),
            "standard_deviation": _deviation(accuracy),
            "validation_accuracy": float(group["validation_accuracy"].mean()),
        }
        if "readout_accuracy" in group:
            read = group["readout_accuracy"].to_numpy()
            layers = ", ".join(dict.fromkeys(group["read_from"]))
            row |= {"readout_mean": float(read.mean()), "readout_standard_deviation": _deviation(read), "read_from": layers}
            row["readout_validation_accuracy"] = float(group["readout_validation_accuracy"].mean())
        row |= against_controls(group, *_controls_of(group, runs, controls))
        if "right" in group:
            row["image_error"] = _image_error(group, runs, controls, row["best_control"])
        # A network that keeps maps is held against random maps, beside which dense features of any width are nothing.
        dense = key["rule"] != CONTROL and not bool(group.iloc[0].get("keeps_maps", False))
        if dense and controls is not None and not controls.empty:
            row["p_wider"] = against_wider(group, _of_same_images(controls, group.iloc[0]))
        if len(beside):
            row[BESIDE] = _beside(group.iloc[0], beside)
        row |= {name: float(group[name].mean()) for name in (*ANGLES, *COLUMNS.values()) if name in group}
        if "rdm_correlation" in group:
            row["without_rdms"] = int(group["rdm_correlation"].isna().sum())
        of_rule = (key["architecture"], key["architecture_options"], key["rule"])
        floor = _of_rule(config.floors, *of_rule)
        row |= {
            "floor": np.nan if floor is None else float(floor),
            "reaches_floor": None if floor is None else row["mean"] >= floor,
        }
        published = _of_rule(config.published, *of_rule) or {}
        row |= {"published": published.get("accuracy", np.nan), "published_source": published.get("source", "")}
        row["image_notes"] = group["image_notes"].iloc[0] if "image_notes" in group else ""
        rows.append({**row, "seconds": float(group["seconds"].iloc[0]), "warnings": group["warnings"].iloc[0]})
    table = verdicts(pd.DataFrame(rows), to_come)
    if "p_wider" not in table or table["p_wider"].isna().all():
        return table.drop(columns="p_wider", errors="ignore")
    table.insert(
        list(table.columns).index("beats_control") + 1, "beats_wider", beats(corrected(table.pop("p_wider").to_numpy(), to_come))
    )
    return table


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else np.nan


def _beside(own: pd.Series, beside: pd.DataFrame) -> float:
    """What backpropagation reaches on a rule's task with its optimiser; NaN where it was not trained so."""
    task = [*_SAME_TASK, "front_end"]
    same = beside[(beside["optimizer_of"] == own["rule"]) & np.logical_and.reduce([beside[name] == own[name] for name in task])]
    return float(judged(same).mean()) if len(same) else np.nan


def _own_activation(rule: str) -> str:
    """The activation function that a rule uses whatever the network's is, or was published with, "" where it has none."""
    spec = learning_rules.spec(rule)
    return spec.activation or str(dict(spec.network).get("activation", ""))


def _equals(column: pd.Series, value: Any) -> np.ndarray:
    """Where a column holds a value; nothing equals nothing."""
    return np.asarray(column.isna() if pd.isna(value) else column == value)


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
    matched = runs[(runs["rule"] == CONTROL) & np.logical_and.reduce([runs[name] == own[name] for name in _SAME_TASK])]
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
    return controls[np.logical_and.reduce([_equals(controls[name], own[name]) for name in IMAGES_OF])]


def best_trials(runs: pd.DataFrame) -> pd.DataFrame:
    """Of every rule, architecture and front end the trial with the best validation accuracy, its defaults' beside it.

    The test accuracy takes no part in the choice.
    """
    rows = []
    runs = runs.assign(optimizer_of=runs.get("optimizer_of", pd.Series("", runs.index)).fillna(""))
    for names, group in runs.groupby(list(TASK), sort=False):
        trials = group.groupby(list(TRIED), sort=False)["validation_accuracy"].mean()
        # NaN is no accuracy to choose by.
        best = trials.fillna(-1.0).idxmax()
        rows.append(
            {
                **dict(zip(TASK, names, strict=True)),
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


def _percent(value: float, deviation: float | None = None) -> str:
    if value is None or np.isnan(value):
        return ""
    spread = "" if deviation is None or np.isnan(deviation) else f" ± {100 * deviation:.2f}"
    return f"{100 * value:.2f}{spread}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _accuracy_lines(table: pd.DataFrame) -> list[str]:
    read = "readout_mean" in table
    has_floors, is_published = bool(table["floor"].notna().any()), bool(table["published"].notna().any())
    columns = ["rule", "front end", "test accuracy", *(["one readout", "read from"] if read else [])]
    columns += ["best control", "difference", "above all controls"]
    columns += [
        *(["backprop with its optimiser"] if BESIDE in table else []),
        "degrees from backprop",
        *(["RDMs with backprop's"] if "rdm_correlation" in table else []),
        *(["floor", "reached"] if has_floors else []),
        *(["published"] if is_published else []),
    ]
    lines = [_line(columns), "|" + "---|" * len(columns)]
    for row in table.to_dict("records"):
        reached = {None: "", True: "yes", False: "**no**"}[row["reaches_floor"]]
        options = "" if row["rule_options"] == "{}" else f" `{row['rule_options']}`"
        # A rule that cannot live with the network's activation function is not compared without saying so.
        options += f" (own activation: {row['activation']})" if row["activation"] else ""
        published = _percent(row["published"]) + (f" ({row['published_source']})" if row["published_source"] else "")
        cells = [row["rule"] + options, row["front_end"], _percent(row["mean"], row["standard_deviation"])]
        if read:
            cells += [_percent(row["readout_mean"], row["readout_standard_deviation"]), row["read_from"]]
        difference = _points(row["difference"], row.get("image_error", np.nan))
        cells += [f"{_percent(row['control'])} {row['best_control']}".strip(), difference, _verdict(row)]
        if BESIDE in table:
            cells.append(_percent(row[BESIDE]))
        cells.append(_angles(row))
        if "rdm_correlation" in table:
            cells.append(_alike(row))
        cells += [_percent(row["floor"]), reached] if has_floors else []
        lines.append(_line([*cells, published] if is_published else cells))
    return lines


def _points(difference: float, error: float) -> str:
    if np.isnan(difference):
        return ""
    return f"{100 * difference:+.2f}" + ("" if np.isnan(error) else f" ± {100 * error:.2f}")


def _verdict(row: dict[str, Any]) -> str:
    if row["beats_control"] is None:
        return "" if row["rule"] == CONTROL else "not tested"
    adjusted = "p < .001" if row["p_adjusted"] < 0.001 else f"p = {row['p_adjusted']:.3f}".replace("0.", ".", 1)
    if not row["beats_control"]:
        return f"**no**, {adjusted}"
    return f"yes, {adjusted}" + (", **not above wider**" if row.get("beats_wider") is False else "")


def _angles(row: dict[str, Any]) -> str:
    """Degrees at the start, after a tenth and at the end, and what double precision says otherwise."""
    *found, in_double = (row.get(name, np.nan) for name in ANGLES)
    if all(np.isnan(angle) for angle in found):
        return ""
    shown = ", ".join("–" if np.isnan(angle) else f"{angle:.0f}" for angle in found)
    if abs(in_double - found[-1]) >= _ROUNDING:
        shown += f"; **{in_double:.0f} in double precision**"
    at_the_end = found[-1] if np.isnan(in_double) else in_double
    by_other_means = row["rule"] != REFERENCE and at_the_end < learning_rules.BY_OTHER_MEANS
    return f"{shown} (backpropagation by other means)" if by_other_means else shown


def _alike(row: dict[str, Any]) -> str:
    """How alike RDMs are; beside backpropagation stands the yardstick."""
    found = [row[column] for column in COLUMNS.values() if not np.isnan(row.get(column, np.nan))]
    if not found:
        return ""
    shown = ", ".join(f"{each:.2f}" for each in found)
    return f"{shown} (between its seeds)" if is_plain_backprop(row) else shown


def _search_lines(table: pd.DataFrame) -> list[str]:
    lines = [_line(["rule", "front end", "trials", "best on validation", "defaults", "options of the best"]), "|" + "---|" * 6]
    for row in table.to_dict("records"):
        best, defaults = _percent(row["validation_accuracy"]), _percent(row["validation_accuracy_of_defaults"])
        lines.append(_line([row["rule"], row["front_end"], str(row["trials"]), best, defaults, _tried(row)]))
    return lines


def _tried(row: dict[str, Any]) -> str:
    borrowed = f", the optimiser of {row['optimizer_of']}" if row["optimizer_of"] else ""
    return f"`{row['rule_options']}`{borrowed}"


def _adopted_lines(config: SweepConfig, adopted: pd.DataFrame) -> list[str]:
    """The final of a search, and the rule by which one trial is adopted."""
    search = config.search
    if search is None or not search.finalists:
        return []
    lines = [
        "## What is adopted",
        "",
        f"The {search.finalists} best trials of each rule and network on validation images, and its defaults, are trained again",
        f"with `{json.dumps(search.final)}`. Adopted is the best mean validation accuracy over the seeds of that final, the",
        "defaults where two are equal. Test images have no say.",
        "",
    ]
    if adopted.empty:
        return [*lines, "The final has not been run yet.", ""]
    head = ["rule", "network", "front end", "finalists", "adopted, on validation", "defaults", "options"]
    lines += [_line(head), "|" + "---|" * len(head)]
    for row in adopted.to_dict("records"):
        best, defaults = _percent(row["validation_accuracy"]), _percent(row["validation_accuracy_of_defaults"])
        options = _tried(row) if row["changed"] else "the defaults"
        lines.append(_line([row["rule"], row["architecture"], row["front_end"], str(row["finalists"]), best, defaults, options]))
    return [*lines, "", f"Other than its defaults: {int(adopted['changed'].sum())} of {len(adopted)}.", ""]


def _reading(config: SweepConfig, summary: pd.DataFrame, to_come: int) -> list[str]:
    """How the table is to be read."""
    angle = learning_rules.BY_OTHER_MEANS
    how = {RIDGE: "ridge", LOGISTIC: "multinomial logistic"}[config.readout]
    by = (
        f"by one readout for rules and controls alike, {how} regression" if config.readout_images else "by the network's own output"
    )
    lines = [
        f"Verdicts go {by}.",
        "Controls are the same network untrained (on plain images and behind the same front end; where readouts are for all, also",
        "the rule's own units before the first image), random features read directly, and logistic regression on pixels.",
        *_tests(summary, to_come),
        *_winners(summary),
        "",
        "Degrees from backpropagation at the start, after a tenth of the epochs and at the end, between what the rule asks of",
        f"hidden layers and the gradient of its own objective: 90 has nothing to do with it, under {angle} is backpropagation by",
        "other means.",
    ]
    if "angle_in_double" in summary:
        lines.append(f"Where double precision says otherwise by {_ROUNDING:.0f} or more at the end, it stands there.")
    if "rdm_correlation" in summary:
        lines += [
            "RDMs are of hidden layers, between responses to 40 test images or so, by 1 - Pearson and by Euclidean distance (one",
            "number where the first alone was kept), compared by Spearman's correlation with backpropagation's of the same initial",
            "weights. The same weights untrained are alike to it too (first row); its own seeds, beside its name, start from other",
            "weights, and a rule that is no less alike by both ends where it does.",
        ]
        if missing := int(summary["without_rdms"].sum()):
            lines.append(f"{missing} of {int(summary['n_seeds'].sum())} networks have none that can be compared.")
    return lines


def _tests(summary: pd.DataFrame, to_come: int) -> list[str]:
    """What a verdict is, and what it is of."""
    tested, fewest = int(summary["p_value"].notna().sum()), int(summary["n_seeds"].min())
    if not tested:
        return ["With one seed nothing is tested: two are the fewest, and five are a test to go by."]
    still = f", {to_come} of them still to come," if to_come else ""
    few = [f"With {fewest} seeds a test has hardly any freedom: five are one to go by."] if fewest < _FEW_SEEDS else []
    return [
        "A rule is above all controls if it is above each: paired over seeds where it starts from the control's weights, by",
        f"Welch's test where they share none (one-sided, all of {tested + to_come} rows{still} corrected by Holm's method, p <",
        ".05). Seeds draw weights and orders, not images: every training sees the same split.",
        *few,
    ]


def _winners(summary: pd.DataFrame) -> list[str]:
    """By name what is above all controls, and what of it a wider control would have overturned."""
    above = summary[[each is True for each in summary["beats_control"]]]
    n_tested = int(summary["p_value"].notna().sum())
    if not n_tested:
        return []
    networks = pd.Series(networks_of(summary), summary.index)
    if "dataset" in summary and summary["dataset"].nunique() > 1:
        networks = summary["dataset"] + ": " + networks
    several = networks.nunique() > 1

    def told_apart(row: pd.Series) -> str:
        what = {networks[row.name]: several, f"behind {row['front_end']}": row["front_end"] != "none"}
        told = [text for text, counts in (what | {row["rule_options"]: row["rule_options"] != "{}"}).items() if counts]
        return f"{row['rule']} ({', '.join(told)})" if told else str(row["rule"])

    names = [told_apart(row) for _, row in above.iterrows()]
    named = f": {', '.join(names)}" if names else ""
    lines = ["", f"**Above all controls: {len(above)} of {n_tested}**{named}."]
    if "image_error" in above and above["image_error"].notna().any():
        of_images = above[above["image_error"].notna()]
        far = of_images["difference"] > _FAR * of_images["image_error"]
        lines.append(
            f"Of {len(of_images)} whose test images were kept, {int(far.sum())} are further above their best control than {_FAR} "
            "standard errors over test images, which verdicts, over seeds, know nothing of (± beside a difference)."
        )
    if "beats_wider" not in summary:
        return lines
    held = [(name, each) for name, each in zip(names, above["beats_wider"], strict=True) if each is not None]
    if not held:
        return lines
    wider = [name for name, each in held if each]
    said = f": {', '.join(wider)}" if wider else ""
    dense = " of the dense networks" if len(held) < len(names) else ""
    plain = ", on plain images whatever the rule's front end"
    return [*lines, f"Of {len(held)}{dense}, {len(wider)} are also above random features four times as wide{plain}{said}."]


def _control_lines(controls: pd.DataFrame | None) -> list[str]:
    """What the images give without learning a hidden layer."""
    if controls is None or controls.empty:
        return []
    lines = [_line(["control", "network", "read from", "test accuracy"]), "|" + "---|" * 4]
    for (_, control), rows in controls.groupby(["dataset", "control"], sort=False):
        layers = ", ".join(dict.fromkeys(rows["read_from"]))
        accuracy = rows["test_accuracy"].to_numpy()
        lines.append(_line([control, rows["network"].iloc[0], layers, _percent(float(accuracy.mean()), _deviation(accuracy))]))
    lines += ["", "Random maps count for networks that keep maps: a dense network is not told that images have places."]
    if WIDER_FEATURES in set(controls["control"]):
        lines.append("Verdicts do not go by wider random features: with enough of them anything can be read.")
    return [*lines, ""]


def to_markdown(
    config: SweepConfig,
    summary: pd.DataFrame,
    done: int,
    of: int,
    controls: pd.DataFrame | None = None,
    adopted: pd.DataFrame | None = None,
    to_come: int = 0,
) -> str:
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
    controls
        `Sweep.controls`.
    adopted
        `Sweep.adopted`.
    to_come
        As `summarise` takes it.
    """
    lines = [f"# {config.title or 'Sweep'}", ""]
    if done < of:
        lines += [f"**{done} of {of} trainings are done**; the same command goes on with the others.", ""]
    if not config.search:
        lines += [
            "Test accuracy in percent after the last epoch, mean and standard deviation over seeds.",
            *_reading(config, summary, to_come),
            "",
            *_control_lines(controls),
            "![Every rule's accuracy beside its floor and its control](accuracy.svg)",
            "",
            "Thin lines lead from each rule's best control to it, bars mark floors; orange misses its floor or does not beat all",
            "controls.",
            "",
        ]
    lines += _adopted_lines(config, pd.DataFrame() if adopted is None else adopted)
    # A search varies the options of one network, and is one table of it.
    networks = summary["architecture"] if config.search else networks_of(summary)
    labelled = summary.assign(network=networks, dataset=summary.get("dataset", ""))
    for (network, dataset), table in labelled.groupby(["network", "dataset"], sort=False):
        lines += [f"## {dataset}: {network}" if dataset else f"## {network}", ""]
        # What a reader must know of the pixels: that they went through lossy compression, say.
        notes = table["image_notes"].fillna("").iloc[0] if "image_notes" in table else ""
        lines += [f"**Images: {notes}.**", ""] if notes else []
        if config.search:
            lines += [*_search_lines(table), ""]
            continue
        best = best_variants(table)
        if len(best) < len(table):
            lines += ["The best of each family, chosen by validation images:", "", *_accuracy_lines(best), "", "All:", ""]
        lines += [*_accuracy_lines(table), ""]
    lines += ["## What was run", "", "```yaml", write_yaml(config).rstrip(), "```", ""]
    return "\n".join(lines)
