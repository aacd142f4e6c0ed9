"""The page of a sweep: what its tables say, in words and for reading. Every figure comes from the summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

import learning_rules
from experiments.config import CONTROL, REFERENCE, write_yaml
from experiments.controls import EQUAL_FEATURES, WIDER_FEATURES
from experiments.mean_angles import N_DRAWS
from experiments.readouts import LOGISTIC, RIDGE
from experiments.sweeping.config import SweepConfig
from experiments.sweeping.rdms import BETWEEN_SEEDS, COLUMNS, is_plain_backprop
from experiments.sweeping.summary import ANGLES, BESIDE, best_variants, deviation, networks_of

__all__ = ["environment_lines", "percent", "to_markdown"]

# From so many degrees on rounding has a say in what is learned.
_ROUNDING = 1.0
_FEW_SEEDS = 4
# In standard errors over test images.
_FAR = 2


def percent(value: float, spread: float | None = None) -> str:
    """A fraction in percent, with a standard deviation where there is one; "" for none.

    Parameters
    ----------
    value, spread
        Fractions.

    >>> percent(0.5, 0.01)
    '50.00 ± 1.00'
    """
    if value is None or np.isnan(value):
        return ""
    return f"{100 * value:.2f}" + ("" if spread is None or np.isnan(spread) else f" ± {100 * spread:.2f}")


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
        *(["RDMs with backprop's", "between own seeds"] if "rdm_correlation" in table else []),
        *(["floor", "reached"] if has_floors else []),
        *(["published"] if is_published else []),
    ]
    lines = [_line(columns), "|" + "---|" * len(columns)]
    for row in table.to_dict("records"):
        reached = {None: "", True: "yes", False: "**no**"}[row["reaches_floor"]]
        options = "" if row["rule_options"] == "{}" else f" `{row['rule_options']}`"
        # A rule that cannot live with the network's activation function is not compared without saying so.
        options += f" (own activation: {row['activation']})" if row["activation"] else ""
        options += f" ({row['batches']})" if row.get("batches") else ""
        published = percent(row["published"]) + (f" ({row['published_source']})" if row["published_source"] else "")
        cells = [row["rule"] + options, row["front_end"], percent(row["mean"], row["standard_deviation"])]
        if read:
            cells += [percent(row["readout_mean"], row["readout_standard_deviation"]), row["read_from"]]
        difference = _points(row["difference"], row.get("image_error", np.nan))
        cells += [f"{percent(row['control'])} {row['best_control']}".strip(), difference, _verdict(row)]
        if BESIDE in table:
            cells.append(percent(row[BESIDE]))
        cells.append(_angles(row))
        if "rdm_correlation" in table:
            cells += ["" if is_plain_backprop(row) else _alike(row, COLUMNS), _alike(row, BETWEEN_SEEDS)]
        cells += [percent(row["floor"]), reached] if has_floors else []
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
        return f"**no**, {adjusted}" + (", above with as many" if row.get("beats_equal") is True else "")
    return f"yes, {adjusted}" + (", **not above wider**" if row.get("beats_wider") is False else "")


def _angles(row: dict[str, Any]) -> str:
    """Degrees at the start, after a tenth and at the end, and what double precision or more draws say otherwise."""
    *found, in_double, of_mean = (row.get(name, np.nan) for name in ANGLES)
    if all(np.isnan(angle) for angle in found):
        return ""
    shown = ", ".join("–" if np.isnan(angle) else f"{angle:.0f}" for angle in found)
    if abs(in_double - found[-1]) >= _ROUNDING:
        shown += f"; **{in_double:.0f} in double precision**"
    if not np.isnan(of_mean):
        shown += f"; **{of_mean:.0f} of the mean over draws**"
    at_the_end = next((angle for angle in (in_double, of_mean) if not np.isnan(angle)), found[-1])
    if row["rule"] == REFERENCE or np.isnan(at_the_end):
        return shown
    below = learning_rules.BY_OTHER_MEANS - at_the_end
    # One seed has no spread, and what nobody kept is none.
    undecided = abs(below) < np.nan_to_num(row.get("angle_standard_deviation", 0.0))
    said = "undecided" if undecided else "backpropagation by other means" if below > 0 else ""
    return f"{shown} ({said})" if said else shown


def _alike(row: dict[str, Any], columns: dict[str, str]) -> str:
    """How alike RDMs are, by each distance that was kept."""
    return ", ".join(f"{row[column]:.2f}" for column in columns.values() if not np.isnan(row.get(column, np.nan)))


def _search_lines(table: pd.DataFrame) -> list[str]:
    lines = [_line(["rule", "front end", "trials", "best on validation", "defaults", "options of the best"]), "|" + "---|" * 6]
    for row in table.to_dict("records"):
        best, defaults = percent(row["validation_accuracy"]), percent(row["validation_accuracy_of_defaults"])
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
        best, defaults = percent(row["validation_accuracy"]), percent(row["validation_accuracy_of_defaults"])
        options = _tried(row) if row["changed"] else "the defaults"
        lines.append(_line([row["rule"], row["architecture"], row["front_end"], str(row["finalists"]), best, defaults, options]))
    return [*lines, "", f"Other than its defaults: {int(adopted['changed'].sum())} of {len(adopted)}.", ""]


def _reading(config: SweepConfig, summary: pd.DataFrame, to_come: int) -> list[str]:
    """How the table is to be read."""
    angle = learning_rules.BY_OTHER_MEANS
    has_maps = not {"mlp"}.issuperset(summary["architecture"])
    how = {RIDGE: "ridge", LOGISTIC: "multinomial logistic"}[config.readout]
    by = (
        f"by one readout for rules and controls alike, {how} regression" if config.readout_images else "by the network's own output"
    )
    lines = [
        f"Verdicts go {by}.",
        "Controls are the same network untrained (on plain images and behind the same front end, which is the fixed preprocessing;",
        "where readouts are for all, also the rule's own units before the first image), random features read directly and logistic",
        "regression on pixels, both on plain images whatever the rule's front end.",
        *(
            ["Where a network is read from all layers together, maps are averaged until there are 2,500 features or fewer."]
            * has_maps
        ),
        *_tests(summary, to_come),
        *_winners(summary),
        "",
        "Degrees from backpropagation at the start, after a tenth of the epochs and at the end, between what the rule asks of",
        f"hidden layers and the gradient of its own objective; under {angle}, a line drawn by convention, a rule is called",
        "backpropagation by other means (*undecided* within a standard deviation over seeds of it). A rule that draws noise, as",
        "perturbation does, is asked once: its angle is of bias and noise together, and an estimate of the gradient without any",
        f"bias can be near 90. Where it is known, the angle of the mean over {N_DRAWS} draws stands beside it.",
    ]
    if "angle_in_double" in summary:
        lines.append(f"Where double precision says otherwise by {_ROUNDING:.0f} or more at the end, it stands there.")
    if "rdm_correlation" in summary:
        lines += [
            "RDMs are of hidden layers, between responses to 40 test images or so, by 1 - Pearson and by Euclidean distance (one",
            "number where the first alone was kept), compared by Spearman's correlation: with backpropagation's of the same",
            "initial weights, to which the same weights untrained are alike too (first row), and between the rule's own seeds,",
            "which start from other weights: a yardstick for what the first can be expected to be. Optimisers have a part in both:",
            "what backpropagation's RDMs are with the rule's own is not in this column.",
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
    if "beats_equal" in summary:
        tested = [each for each in summary["beats_equal"] if each is not None]
        lines.append(
            f"Were the random features only as many as a network has hidden units, {sum(tested)} of {len(tested)} of the dense "
            "networks would be above all controls."
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
    for (_, control, _), rows in controls.groupby(["dataset", "control", "network"], sort=False):
        layers = ", ".join(dict.fromkeys(rows["read_from"]))
        accuracy = rows["test_accuracy"].to_numpy()
        lines.append(_line([control, rows["network"].iloc[0], layers, percent(float(accuracy.mean()), deviation(accuracy))]))
    lines += ["", "Random maps count for networks that keep maps: a dense network is not told that images have places."]
    if WIDER_FEATURES in set(controls["control"]):
        lines.append("Verdicts do not go by wider random features: with enough of them anything can be read.")
    if EQUAL_FEATURES in set(controls["control"]):
        lines += [
            "Nor by as many as a network has hidden units, which whoever defends a rule would ask for: *above with as many* stands",
            "beside what would be above all controls with those.",
        ]
    return [*lines, ""]


def environment_lines(environments: Sequence[Mapping[str, Any]]) -> list[str]:
    """With what trainings were run, for reading: two whose code, versions or machine differ need not agree in the last digit.

    Parameters
    ----------
    environments
        One a training, as `describe_environment` gives them.

    >>> environment_lines([{"jax": "0.10.2", "device": "cpu"}, {"jax": "0.10.2", "device": "cpu"}])
    ['Trained with:', '', '- jax 0.10.2, device cpu (2 trainings)']
    """
    kinds = Counter(", ".join(f"{name} {value}" for name, value in each.items()) for each in environments if each)
    return ["Trained with:", "", *(f"- {kind} ({count} trainings)" for kind, count in kinds.most_common())] if kinds else []


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
            "Thin lines lead from each rule's best control to it; bars mark floors, and rings what the network's own output",
            "reaches of them; an orange dot does not beat all controls, an orange bar is a floor that is missed.",
            "",
        ]
    lines += _adopted_lines(config, pd.DataFrame() if adopted is None else adopted)
    # A search varies the options of one network, and is one table of it.
    networks = networks_of(summary.drop(columns="architecture_options", errors="ignore") if config.search else summary)
    one_set = summary["dataset"].iloc[0] if "dataset" in summary and summary["dataset"].nunique() == 1 else ""
    for network, table in summary.assign(network=networks).groupby("network", sort=False):
        lines += [f"## {one_set}: {network}" if one_set else f"## {network}", ""]
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
