"""The final of a search: trials that did best on a small budget are trained again on the full one, and one of them is adopted.

The rule of adoption stands here before any training is run. Of every rule, network, front end and image set the trials with the
best validation accuracy, and the defaults whatever they reached, are trained with the full budget; adopted is what has the best
mean validation accuracy over the seeds of the final, the defaults where two are equal. Test images have no say, nor has any other
rule's result, and every rule has as many trials and as many finalists.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from experiments.config import TrainConfig, from_record, to_record
from experiments.sweeping.config import TASK, TRIED, SearchConfig, SweepConfig

__all__ = ["adopted", "as_runs", "finalists"]


def _tasks(configs: Sequence[TrainConfig]) -> dict[tuple[Any, ...], list[int]]:
    """Which configurations belong to each rule, network, front end and image set, in order."""
    tasks: dict[tuple[Any, ...], list[int]] = {}
    for index, config in enumerate(configs):
        tasks.setdefault(tuple(getattr(config, name) for name in TASK), []).append(index)
    return tasks


def finalists(trials: Sequence[TrainConfig], accuracies: Sequence[float], search: SearchConfig) -> list[TrainConfig]:
    """The trainings of the final.

    Parameters
    ----------
    trials
        All trials of all rules, as `expand` gives them: of each rule the defaults first.
    accuracies
        The validation accuracy of each; NaN is no accuracy to go on with.
    search
        How many go on, and with what budget.

    Raises
    ------
    InputError
        A field of `final` that no training has.

    >>> trials = [TrainConfig(rule_options={"learning_rate": rate}) for rate in (1e-3, 1e-2, 1e-1)]
    >>> final = SearchConfig(trials=3, finalists=1, final={"n_seeds": 2})
    >>> [(each.rule_options["learning_rate"], each.n_seeds) for each in finalists(trials, [0.7, 0.8, 0.9], final)]
    [(0.001, 2), (0.1, 2)]
    """
    chosen: list[TrainConfig] = []
    for indices in _tasks(trials).values():
        of_trial = pd.Series([accuracies[index] for index in indices], index=indices).fillna(-1.0)
        best = of_trial.sort_values(ascending=False, kind="stable").index[: search.finalists]
        for index in indices:
            if index == indices[0] or index in best:
                record = to_record(trials[index]) | search.final
                chosen.append(from_record(record, TrainConfig, "the final of the search"))
    return chosen


def adopted(finals: Sequence[TrainConfig], accuracies: Sequence[float]) -> pd.DataFrame:
    """What is adopted for every rule, network, front end and image set.

    Parameters
    ----------
    finals
        As `finalists` gives them.
    accuracies
        The mean validation accuracy of each over its seeds.

    Returns
    -------
    pandas.DataFrame
        `rule`, `architecture`, `front_end`, `dataset`, `n_train`, `rule_options`, `architecture_options` and `optimizer_of` of what
        is adopted, `finalists`, `validation_accuracy`, `validation_accuracy_of_defaults`, and `changed`: whether it is other than
        the defaults.
    """
    rows: list[dict[str, Any]] = []
    for task, indices in _tasks(finals).items():
        of_final = pd.Series([accuracies[index] for index in indices], index=indices).fillna(-1.0)
        best = int(of_final.idxmax())  # the first of equals
        tried = {name: getattr(finals[best], name) for name in TRIED}
        rows.append(
            {
                **dict(zip(TASK, task, strict=True)),
                **{name: value if isinstance(value, str) else json.dumps(value, sort_keys=True) for name, value in tried.items()},
                "finalists": len(indices),
                "validation_accuracy": float(of_final[best]),
                "validation_accuracy_of_defaults": float(of_final.iloc[0]),
                "changed": best != indices[0],
            }
        )
    return pd.DataFrame(rows)


def as_runs(table: pd.DataFrame, config: SweepConfig) -> SweepConfig:
    """What is adopted as a sweep that can be run: the same task and budget, each rule with its own options.

    Parameters
    ----------
    table
        As `adopted` gives it.
    config
        The search.
    """
    final = config.search.final if config.search else {}
    runs = []
    for row in table.to_dict("records"):
        run = {name: row[name] for name in TASK if not pd.isna(row[name])}
        run |= {"n_train": int(run["n_train"])} if "n_train" in run else {}
        run |= {name: json.loads(row[name]) for name in ("rule_options", "architecture_options") if row[name] != "{}"}
        runs.append(run | ({"optimizer_of": row["optimizer_of"]} if row["optimizer_of"] else {}))
    return SweepConfig(title=f"Adopted by: {config.title}", train={**config.train, **final}, runs=tuple(runs))
