"""Whether the rules of a comparison have learned anything, and how far what they learned is from backpropagation.

Three questions, asked of every rule alike. Does the one readout that reads all networks reach more than the best control
(`experiments.verdicts`)? At what angle does the rule change hidden nodes, beside the gradient of its own objective? And how alike
are the representations that it ends in and those of backpropagation from the same initial weights? The last has a yardstick,
without which it says nothing: how alike backpropagation's representations are to each other when its seeds differ.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

import rsa
from experiments.compare_config import CompareConfig
from experiments.config import CONTROL, REFERENCE
from experiments.controls import COLUMNS, control_accuracies
from experiments.failures import failure_of
from experiments.reading import read_out
from experiments.scoring import Model
from experiments.store import Store
from experiments.trained import Trained
from experiments.verdicts import FROZEN, against_controls, keeps_maps, of_images, verdicts

__all__ = ["READOUT_COLUMNS", "VERDICT_COLUMNS", "judge", "rdm_correlations"]

READOUT_COLUMNS = ("rule", "seed", "read_from", "validation_accuracy", "test_accuracy", "frozen_accuracy")
VERDICT_COLUMNS = (
    *("rule", "readout_mean", "read_from", "control_mean", "best_control", "difference", "p_value", "p_adjusted", "beats_control"),
    *("angle_start", "angle_tenth", "angle_end", "rdm_correlation", "rdm_correlation_between_seeds", "failure"),
)


def rdm_correlations(rdms: Mapping[Model, np.ndarray], comparator: str) -> dict[Model, float]:
    """How alike each layer's RDM and backpropagation's are.

    Parameters
    ----------
    rdms
        Layer of a network -> condensed RDM, ``(n_pairs,)``, of the same stimuli.
    comparator
        Of `rsa.COMPARATORS`.

    Returns
    -------
    dict
        Of every layer its similarity to the same layer of backpropagation from the same seed; of backpropagation itself the mean
        over its other seeds. NaN where there is nothing to compare with.
    """
    found = dict.fromkeys(rdms, np.nan)
    for layer in dict.fromkeys(model.layer for model in rdms):
        models = [model for model in rdms if model.layer == layer]
        references = [model for model in models if model.rule == REFERENCE]
        if not references:
            continue
        alike = np.asarray(
            rsa.compare(np.stack([rdms[each] for each in models]), np.stack([rdms[each] for each in references]), comparator)
        )
        for model, values in zip(models, alike, strict=True):
            counted = [(each.seed != model.seed) == (model.rule == REFERENCE) for each in references]
            if any(counted):
                found[model] = float(values[counted].mean())
    return found


def _mean_over_hidden(correlations: Mapping[Model, float], trained: Trained) -> float:
    """Over seeds and hidden layers, but for those that tell no stimuli apart."""
    hidden = set(trained.network.node_names[:-1])
    values = [value for model, value in correlations.items() if model.rule == trained.name and model.layer in hidden]
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else np.nan


def judge(
    trained: Sequence[Trained], correlations: Mapping[Model, float], config: CompareConfig, store: Store | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Hold every rule against the best of its controls, and against backpropagation.

    Parameters
    ----------
    trained
        The networks of all rules; their images are the same.
    correlations
        Of their layers' RDMs with backpropagation's, as `rdm_correlations` gives them.
    config
        Its readout images; with 0 no accuracy is judged.
    store
        Where what was read before is found, and what is read is kept.

    Returns
    -------
    readouts : pandas.DataFrame
        Columns `READOUT_COLUMNS`, one row a network.
    controls : pandas.DataFrame
        As `experiments.controls.control_accuracies` gives them.
    verdicts : pandas.DataFrame
        Columns `VERDICT_COLUMNS`, one row a rule. `control_mean` and `difference` are of the best control, `p_value` of beating all
        of them, paired over seeds where weights are shared, and `p_adjusted` by Holm's method for all rules. Angles are means over
        seeds in degrees. `rdm_correlation` is a mean over seeds and hidden layers, and `rdm_correlation_between_seeds` the same
        between backpropagation's own seeds. `failure` says why a rule stands in no ranking, and is missing where it does.
    """
    readouts, controls = pd.DataFrame(columns=list(READOUT_COLUMNS)), pd.DataFrame(columns=list(COLUMNS))
    if config.readout_images:
        n_images = config.readout_images
        kept = _at_once if store is None else store.table
        read = [
            kept("readouts", [each.digest, n_images], functools.partial(read_out, each, n_images)).assign(rule=each.name)
            for each in trained
        ]
        readouts = pd.concat(read, ignore_index=True)[list(READOUT_COLUMNS)]
        # They depend on less than the first rule's networks do, and on nothing else.
        fitted = functools.partial(control_accuracies, trained[0].config, n_images)
        controls = kept("controls", [trained[0].digest, n_images], fitted)[list(COLUMNS)]
    reference = next((each for each in trained if each.name == REFERENCE), None)
    between = np.nan if reference is None else _mean_over_hidden(correlations, reference)
    control = next((each for each in trained if each.name == CONTROL), None)
    rows = []
    for each in trained:
        own = _mean_over_hidden(correlations, each)
        rows.append(
            {
                "rule": each.name,
                **_accuracy(each, readouts, controls),
                **{f"angle_{when}": _mean(angles) for when, angles in each.angles.items()},
                "rdm_correlation": 1.0 if each.name == REFERENCE else own,
                "rdm_correlation_between_seeds": between,
                "failure": failure_of(each, control, readouts),
            }
        )
    table = verdicts(pd.DataFrame(rows)).rename(columns={"control": "control_mean"})
    # What has no name is missing, here as in the tables that are written and read.
    return readouts, controls.replace({"": None}), table[list(VERDICT_COLUMNS)].replace({"": None})


def _at_once(name: str, decided_by: Sequence[Any], make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    return make()


def _accuracy(trained: Trained, readouts: pd.DataFrame, controls: pd.DataFrame) -> dict[str, Any]:
    """What one rule's readout reaches beside its controls'; nothing where there are no readouts."""
    own = readouts[readouts["rule"] == trained.name]
    if own.empty:
        return {"readout_mean": np.nan, "read_from": "", **against_controls(own, {}, {})}
    matched: dict[str, pd.Series] = {}
    others: dict[str, pd.Series] = {}
    if trained.name != CONTROL:
        untrained = readouts[readouts["rule"] == CONTROL].set_index("seed")["test_accuracy"]
        matched = {CONTROL: untrained, FROZEN: own.set_index("seed")["frozen_accuracy"]}
        others = of_images(controls, keeps_maps(trained.network.describe()))
    layers = ", ".join(dict.fromkeys(own["read_from"]))
    return {"readout_mean": float(own["test_accuracy"].mean()), "read_from": layers, **against_controls(own, matched, others)}


def _mean(angles: np.ndarray) -> float:
    return float(np.mean(angles)) if len(angles) else np.nan
