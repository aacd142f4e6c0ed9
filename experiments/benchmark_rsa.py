"""How long the comparison takes beside rsatoolbox, on the same random data, the same draws and in the same run.

rsatoolbox takes minutes to hours for the larger tasks, and each draw or centre as long as the last: it is timed on a few, and its
time for all is worked out from them. Ours is always timed on all of them. How far the two are apart stands beside the times.
"""

from __future__ import annotations

import contextlib
import io
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import pandas as pd

import rsa
from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.progress import Progress
from experiments.benchmark_growth import measure_growth, sizes
from experiments.benchmarks import check_sizes

__all__ = ["JUDGES", "RATIO_TARGETS", "TASKS", "benchmark_rsa", "to_markdown"]


JUDGES = {
    "pearson": "corr",
    "spearman": "rho-a",
    "kendall": "tau-a",
    "cosine": "cosine",
    "whitened_pearson": "corr_cov",
    "whitened_cosine": "cosine_cov",
}
"""rsatoolbox's name for each comparator."""

RATIO_TARGETS: dict[tuple[str, str, int], float] = {
    ("bootstrap", "pearson", 20): 60.0,
    ("bootstrap", "pearson", 100): 200.0,
    ("bootstrap", "spearman", 20): 50.0,
    ("bootstrap", "kendall", 20): 20.0,
    ("bootstrap", "whitened_pearson", 20): 20.0,
    ("searchlight", "pearson", 1): 30.0,
}
"""How many times as fast as rsatoolbox a task, with a comparator and a number of subjects, is to be."""

TASKS = ("bootstrap", "searchlight", "crossnobis", "growth")
_COMPARATORS = ("pearson", "spearman", "kendall", "cosine", "whitened_pearson")
_N_CONDITIONS, _N_MODELS = 92, 12


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without rsatoolbox's progress bars and warnings."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _seconds(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    found = work()
    return found, time.perf_counter() - started


def _peak_gigabytes() -> float:
    """The most memory that this process has held so far."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1e9 if sys.platform == "darwin" else 1e6)


def _row(task: str, comparator: str, n_subjects: int, **figures: Any) -> dict[str, Any]:
    ratio = figures["rsatoolbox_seconds"] / figures["seconds"]
    target = RATIO_TARGETS.get((task, comparator, n_subjects), np.nan)
    return {
        "task": task,
        "comparator": comparator,
        "n_subjects": n_subjects,
        **figures,
        "ratio": ratio,
        "ratio_target": target,
        "reached": None if np.isnan(target) else bool(ratio >= target),
        "peak_gigabytes": _peak_gigabytes(),
    }


def _bootstrap(comparator: str, n_subjects: int, n_draws: int, judge_draws: int) -> dict[str, Any]:
    """The dual bootstrap with noise ceilings in every draw."""
    import rsatoolbox.inference.evaluate as judge
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs

    random = np.random.default_rng(0)
    n_pairs = _N_CONDITIONS * (_N_CONDITIONS - 1) // 2
    shared = random.random(n_pairs)
    models, data = (shared + random.random((count, n_pairs)) for count in (_N_MODELS, n_subjects))
    draws = rsa.draw_all(jax.random.key(0), n_draws, _N_CONDITIONS, n_subjects, 1)

    def ours(some: rsa.Draws) -> rsa.Generalisation:
        return rsa.generalise(None, models, data, comparator, ceilings=True, draws=some)

    few = rsa.Draws(*(each[:judge_draws] for each in draws))
    ours(few)  # compiles
    found, seconds = _seconds(lambda: ours(draws))
    given = iter(zip(few.stimuli, few.subjects, strict=True))

    def sample(rdms: Any, rdm_descriptor: str = "index", pattern_descriptor: str = "index") -> tuple[Any, np.ndarray, np.ndarray]:
        stimuli, subjects = (np.repeat(np.arange(len(count)), count) for count in next(given))
        return rdms.subsample(rdm_descriptor, subjects).subsample_pattern(pattern_descriptor, stimuli), subjects, stimuli

    fixed = [ModelFixed(str(index), RDMs(rdm[None])) for index, rdm in enumerate(models)]
    theirs_sample, judge.bootstrap_sample = judge.bootstrap_sample, sample
    try:
        with _quiet():
            theirs, judge_seconds = _seconds(
                lambda: judge.eval_dual_bootstrap(fixed, RDMs(data), method=JUDGES[comparator], N=judge_draws)
            )
    finally:
        judge.bootstrap_sample = theirs_sample
    names = (("stimuli", "subjects"), ("subjects",), ("stimuli",))
    apart = max(
        float(np.nanmax(np.abs(found.draws[each][:judge_draws] - theirs.evaluations[:, :, 0, 0, index])))
        for index, each in enumerate(names)
    )
    return _row(
        "bootstrap",
        comparator,
        n_subjects,
        size=f"{_N_CONDITIONS} conditions, {_N_MODELS} models, {n_draws} draws, ceilings in each",
        seconds=seconds,
        rsatoolbox_seconds=judge_seconds / judge_draws * n_draws,
        rsatoolbox_timed_on=f"{judge_draws} of {n_draws} draws",
        largest_difference=apart,
    )


def _searchlight(n_centres: int, judge_centres: int) -> dict[str, Any]:
    """RDM and scores of twelve models at every centre of a volume."""
    from rsatoolbox.inference import eval_fixed
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs
    from rsatoolbox.util.searchlight import evaluate_models_searchlight, get_searchlight_RDMs

    random = np.random.default_rng(0)
    side = int(np.ceil(n_centres ** (1 / 3))) + 4
    neighbours = rsa.volume_neighbourhoods(np.ones((side, side, side), dtype=bool), radius=2).members[:n_centres]
    patterns = random.normal(size=(_N_CONDITIONS, side**3))
    models = random.random((_N_MODELS, _N_CONDITIONS * (_N_CONDITIONS - 1) // 2))
    rsa.searchlight(patterns, neighbours[:10], models, "pearson")
    scores, seconds = _seconds(lambda: rsa.searchlight(patterns, neighbours, models, "pearson"))
    few = list(neighbours[:judge_centres])
    fixed = [ModelFixed(str(index), RDMs(rdm[None])) for index, rdm in enumerate(models)]

    def judge() -> list[Any]:
        rdms = get_searchlight_RDMs(
            patterns, np.arange(len(few)), few, np.arange(_N_CONDITIONS), method="correlation", verbose=False
        )
        found: list[Any] = evaluate_models_searchlight(rdms, fixed, eval_fixed, method="corr", n_jobs=1)
        return found

    with _quiet():
        theirs, judge_seconds = _seconds(judge)
    expected = np.array([result.evaluations.ravel() for result in theirs])
    voxels = np.mean([len(each) for each in neighbours])
    return _row(
        "searchlight",
        "pearson",
        1,
        size=f"{_N_CONDITIONS} conditions, {_N_MODELS} models, {len(neighbours)} centres of {voxels:.0f} voxels",
        seconds=seconds,
        rsatoolbox_seconds=judge_seconds / len(few) * len(neighbours),
        rsatoolbox_timed_on=f"{len(few)} of {len(neighbours)} centres",
        largest_difference=float(np.abs(scores[: len(few)] - expected).max()),
    )


def _first(rdms: Any) -> np.ndarray:
    """The first of rsatoolbox's RDMs, condensed."""
    vector: np.ndarray = rdms.get_vectors()[0]
    return vector


def _crossnobis(n_subjects: int, n_runs: int = 8, n_channels: int = 200) -> dict[str, Any]:
    """Cross-validated distances over runs."""
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    random = np.random.default_rng(0)
    patterns = random.normal(size=(n_subjects, n_runs, _N_CONDITIONS, n_channels))
    rsa.crossnobis(patterns[:1])
    found, seconds = _seconds(lambda: rsa.crossnobis(patterns))
    # Numbers in names of equal length sort as numbers do.
    descriptors = {
        "condition": [f"{index:03d}" for index in range(_N_CONDITIONS)] * n_runs,
        "run": np.repeat(np.arange(n_runs), _N_CONDITIONS),
    }
    sets = [Dataset(each.reshape(-1, n_channels), obs_descriptors=descriptors) for each in patterns]

    def judge() -> list[np.ndarray]:
        return [_first(calc_rdm(each, "crossnobis", descriptor="condition", cv_descriptor="run")) for each in sets]

    with _quiet():
        theirs, judge_seconds = _seconds(judge)
    return _row(
        "crossnobis",
        "",
        n_subjects,
        size=f"{_N_CONDITIONS} conditions, {n_runs} runs, {n_channels} channels",
        seconds=seconds,
        rsatoolbox_seconds=judge_seconds,
        rsatoolbox_timed_on="all",
        largest_difference=float(np.abs(found - np.array(theirs)).max()),
    )


def benchmark_rsa(
    tasks: Sequence[str] | None = None,
    comparators: Sequence[str] | None = None,
    subjects: Sequence[int] = (20, 100),
    n_draws: int = 1000,
    judge_draws: int = 10,
    n_centres: int = 20_000,
    judge_centres: int = 200,
    conditions: Sequence[int] = (92, 400, 1200),
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Time the comparison beside rsatoolbox.

    Parameters
    ----------
    tasks
        Of `TASKS`; all by default.
    comparators
        Of the bootstrap; all but whitened cosine by default.
    subjects
        Numbers of subjects of the bootstrap.
    n_draws
        Draws of ours.
    judge_draws
        Draws that rsatoolbox is timed on.
    n_centres
        Centres of the searchlight.
    judge_centres
        Centres that rsatoolbox is timed on.
    conditions
        Numbers of conditions at which growth is measured, of this toolkit alone.
    progress
        Called with measurements done, in all, and a line to show.

    Returns
    -------
    pandas.DataFrame
        One row a task, comparator and number of subjects: `seconds`, `rsatoolbox_seconds` for as much work and on how much of it
        they were measured, `ratio`, `ratio_target`, `largest_difference` of scores on what both worked out, `peak_gigabytes` of the
        process up to then. Rows of growth, each measured in a process of its own, have no rsatoolbox beside them, but say what
        `grows`, `n_conditions`, `n_models`, `n_draws`, and how long processors were busy (`processor_seconds`).

    Raises
    ------
    InputError
        Unknown tasks or comparators, or sizes that leave nothing to time.
    """
    tasks, comparators = tuple(tasks or TASKS), tuple(comparators or _COMPARATORS)
    for kind, names, valid in (("task", tasks, TASKS), ("comparator", comparators, JUDGES)):
        for name in names:
            if name not in valid:
                raise unknown_name(kind, name, valid)
    if not (2 <= judge_draws <= n_draws and 1 <= judge_centres <= n_centres and min(subjects, default=4) >= 4):
        raise InputError(
            f"n_draws={n_draws}, judge_draws={judge_draws}, n_centres={n_centres}, judge_centres={judge_centres}, "
            f"subjects={tuple(subjects)} were given: rsatoolbox is timed on at least two draws and one centre, and on no more than "
            "ours, with at least four subjects"
        )
    check_sizes(n_draws=n_draws, n_centres=n_centres, subjects=max(subjects))
    if min(conditions, default=0) < 6:
        raise InputError(f"conditions={tuple(conditions)} were given: draws need at least six")
    work: list[tuple[str, Callable[[], dict[str, Any]]]] = []
    if "bootstrap" in tasks:
        work += [
            (
                f"bootstrap, {comparator}, {count} subjects",
                partial(_bootstrap, comparator, count, n_draws, judge_draws),
            )
            for count in subjects
            for comparator in comparators
        ]
    if "searchlight" in tasks:
        work.append((f"searchlight, {n_centres} centres", partial(_searchlight, n_centres, judge_centres)))
    if "crossnobis" in tasks:
        work.append(("crossnobis", partial(_crossnobis, 20)))
    if "growth" in tasks:
        work += [
            (
                f"growth, {comparator}, {name.removeprefix('n_')} {getattr(size, name)}",
                partial(measure_growth, comparator, name, size),
            )
            for comparator in comparators
            for name, grown in sizes(conditions, n_draws).items()
            for size in grown
        ]
    rows = []
    for index, (line, measure) in enumerate(work):
        if progress is not None:
            progress(index, len(work), line)
        rows.append(measure())
    table = pd.DataFrame(rows)
    return table if "ratio_target" in table else table.assign(ratio=np.nan, ratio_target=np.nan, rsatoolbox_seconds=np.nan)


def _command_of(growth: pd.DataFrame) -> str:
    """The command that measures the same growth."""
    by_conditions = growth[growth["grows"] == "n_conditions"]
    named = {
        "--comparators": growth["comparator"].unique(),
        "--conditions": by_conditions["n_conditions"].astype(int).unique(),
        "--draws": by_conditions["n_draws"].astype(int).unique(),
    }
    options = [f"{option} {','.join(map(str, values))}" for option, values in named.items()]
    return " ".join(["bioplausible benchmark rsa --tasks growth", *options])


def to_markdown(table: pd.DataFrame, environment: Mapping[str, Any]) -> str:
    """The table for reading; every figure in it comes from the measurement."""
    growth = table[table["task"] == "growth"]
    compared = table[table["task"] != "growth"]
    lines = ["# What a comparison costs", ""]
    if len(compared):
        lines += [
            "Seconds of this toolkit on all of a task, and of rsatoolbox on as much, worked out from what it was timed on, in",
            "the same run. The last column but one says how far the two are apart on what both worked out.",
            "",
            "| task | comparator | subjects | s | rsatoolbox s | timed on | times as fast | at least | reached | apart by "
            "| peak GB |",
            "|" + "---|" * 11,
        ]
    for row in compared.to_dict("records"):
        target = "" if np.isnan(row["ratio_target"]) else f"{row['ratio_target']:.0f}"
        reached = {True: "yes", False: "**no**"}.get(row["reached"], "")
        lines.append(
            f"| {row['task']}: {row['size']} | {row['comparator']} | {row['n_subjects']} | {row['seconds']:.2f} "
            f"| {row['rsatoolbox_seconds']:.0f} | {row['rsatoolbox_timed_on']} | {row['ratio']:.0f} | {target} | {reached} "
            f"| {row['largest_difference']:.1e} | {row['peak_gigabytes']:.1f} |"
        )
    if len(growth):
        lines += [
            *([""] if len(compared) else []),
            f"Made by `{_command_of(growth)}`.",
            "",
            "How `rsa.evaluate` grows: bootstrap draws, as many permutations, the jackknife over conditions and the noise ceiling,",
            "each measured in a process of its own. Busy seconds are those of the processors, which others that use the machine do",
            "not change as much as the clock's.",
            "",
            "![growth](growth.svg)",
            "",
            "| growing | comparator | conditions | models | subjects | draws | s | busy s | peak GB |",
            "|" + "---|" * 9,
        ]
    for row in growth.to_dict("records"):
        numbers = " | ".join(f"{row[name]:.0f}" for name in ("n_conditions", "n_models", "n_subjects", "n_draws"))
        lines.append(
            f"| {row['grows'].removeprefix('n_')} | {row['comparator']} | {numbers} | {row['seconds']:.1f} "
            f"| {row['processor_seconds']:.1f} | {row['peak_gigabytes']:.2f} |"
        )
    told = ", ".join(f"{name} {environment[name]}" for name in ("rsatoolbox", "numpy", "jax", "platform") if name in environment)
    return "\n".join([*lines, "", f"Measured with {told}.", ""])
