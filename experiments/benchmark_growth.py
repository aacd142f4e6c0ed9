"""How time and memory of `rsa.evaluate` grow with conditions, models, subjects and draws, each measurement in a process of its own.

One of the four grows at a time. Bootstrap draws, jackknife, permutations and the noise ceiling are part of the time. Loops are
compiled before, in a run on few conditions; the second or two that JAX takes to compile for a size are part of it. Seconds are
what a clock shows, and beside them stands how long processors were busy: where others use the machine too, the truer of the two.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

import rsa

__all__ = ["GROWTH", "Size", "draw_growth", "measure_growth", "sizes"]


class Size(NamedTuple):
    """What is evaluated."""

    n_conditions: int
    n_models: int
    n_subjects: int
    n_draws: int


GROWTH: dict[str, tuple[int, ...]] = {"n_models": (4, 12, 36), "n_subjects": (1, 4, 16)}
"""What else grows beside conditions and draws, at the fewest conditions asked for and a quarter of the draws."""


def sizes(conditions: Sequence[int], n_draws: int) -> dict[str, list[Size]]:
    """Sizes to measure, by what grows in them.

    Parameters
    ----------
    conditions
        Numbers of conditions.
    n_draws
        Draws, and as many permutations.
    """
    few = max(n_draws // 4, 2)
    base = Size(min(conditions), 12, 1, few)
    found = {"n_conditions": [Size(n, 12, 1, n_draws) for n in conditions]}
    found |= {name: [base._replace(**{name: value}) for value in values] for name, values in GROWTH.items()}
    found["n_draws"] = [base._replace(n_draws=few * times) for times in (1, 4, 16)]
    return found


def _evaluate(size: Size, comparator: str) -> None:
    random = np.random.default_rng(0)
    n_pairs = size.n_conditions * (size.n_conditions - 1) // 2
    shared = random.random(n_pairs)
    models, data = (shared + random.random((count, n_pairs)) for count in (size.n_models, size.n_subjects))
    rsa.evaluate(jax.random.key(0), models, data, comparator, n_draws=size.n_draws)


def _measure(comparator: str, size: Size) -> dict[str, float]:
    """Seconds on the clock and of processors, and the most memory that this process has held."""
    # Programs of JAX are compiled for a shape; loops are not, and take longest.
    _evaluate(Size(8, size.n_models, size.n_subjects, 2), comparator)
    started, busy = time.perf_counter(), time.process_time()
    _evaluate(size, comparator)
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - busy
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "peak_gigabytes": kilobytes / (1e9 if sys.platform == "darwin" else 1e6),
    }


def measure_growth(comparator: str, grows: str, size: Size) -> dict[str, Any]:
    """Measure one size in a new process, whose memory is its own.

    Parameters
    ----------
    comparator
        Of `rsa.COMPARATORS`.
    grows
        What is larger in this size than in others.
    size
        What is evaluated.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        measured = pool.submit(_measure, comparator, size).result()
    told = f"{size.n_conditions} conditions, {size.n_models} models, {size.n_draws} draws"
    return {"task": "growth", "comparator": comparator, "grows": grows, "size": told, **size._asdict(), **measured}


def draw_growth(table: pd.DataFrame) -> str:
    """Draw seconds and memory against what grows, one line a comparator.

    Parameters
    ----------
    table
        Rows of :func:`measure_growth`.

    Returns
    -------
    str
        An SVG; the same table gives the same.
    """
    from matplotlib.figure import Figure

    from experiments.report.style import to_svg

    names = {"n_conditions": "conditions", "n_models": "models", "n_subjects": "subjects", "n_draws": "draws and permutations"}
    grown = [name for name in names if (table["grows"] == name).any()]
    figure = Figure(figsize=(1.8 + 2.3 * len(grown), 5.2), layout="constrained")
    axes = figure.subplots(2, len(grown), sharey="row", squeeze=False)
    for column, (grows, label) in enumerate((name, names[name]) for name in grown):
        rows = table[table["grows"] == grows]
        for comparator, own in rows.groupby("comparator", sort=False):
            ordered = own.sort_values(grows)
            for row, field in enumerate(("seconds", "peak_gigabytes")):
                axes[row, column].plot(ordered[grows], ordered[field], marker="o", markersize=4, label=comparator)
        for row in range(2):
            axes[row, column].set_xscale("log")
            axes[row, column].set_xticks(sorted(rows[grows].unique()), [str(each) for each in sorted(rows[grows].unique())])
            axes[row, column].minorticks_off()
        fixed = ", ".join(f"{rows.iloc[0][name]} {text.split()[0]}" for name, text in names.items() if name != grows)
        axes[0, column].set_title(f"growing {label}\n({fixed})", fontsize=8)
        axes[1, column].set_xlabel(label)
        axes[0, column].set_yscale("log")
        axes[1, column].set_ylim(bottom=0)
    axes[0, 0].set_ylabel("seconds")
    axes[1, 0].set_ylabel("peak memory, GB")
    axes[0, 0].legend(fontsize=7, frameon=False)
    return to_svg(figure)
