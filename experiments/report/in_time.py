"""What a report shows of time beside scores: fusion with another recording, and how long a region's geometry lasts.

Both are tables beside the report, and are drawn where they are there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bioplausible.foundation.errors import InputError
from experiments import fusion, lasting
from experiments.report.scores import value_limits
from experiments.report.style import RULE_COLOURS, TEXT, empty_figure, figure_style, horizontal_grid
from experiments.report.svg import inline_svg
from experiments.report.views import table_rows
from experiments.results import GENERALISATION

__all__ = ["GENERALISATION", "plot_fusion", "plot_generalisation", "sections_in_time"]


_TABLES = {**fusion.COLUMNS, GENERALISATION: lasting.COLUMNS}
_WORDS = ("region", "sensors", "earlier", "later", "what")
_PANELS_A_ROW = 3


def plot_fusion(curves: pd.DataFrame, latencies: pd.DataFrame) -> Figure:
    """Draw when each region's geometry is found in the recording in time.

    Parameters
    ----------
    curves, latencies
        The tables of `experiments.fusion.Fusion`.

    Returns
    -------
    Figure
        A panel a kind of sensors, a line a region with its interval, and below the curves the interval of its peak's latency; thick
        where a cluster over time is above permutations of the stimuli (p < 0.05).
    """
    sensors, regions = list(dict.fromkeys(curves["sensors"])), list(dict.fromkeys(curves["region"]))
    limits = value_limits(curves[["score", "lower", "upper"]].to_numpy(float))
    step = (limits[1] - limits[0]) * 0.06
    with figure_style():
        figure = empty_figure(5.4 * min(len(sensors), _PANELS_A_ROW), 3.4 * -(-len(sensors) // _PANELS_A_ROW))
        grid = figure.subplots(-(-len(sensors) // _PANELS_A_ROW), min(len(sensors), _PANELS_A_ROW), squeeze=False).ravel()
        for axes in grid[len(sensors) :]:
            axes.set_visible(False)
        for axes, name in zip(grid, sensors, strict=False):
            horizontal_grid(axes)
            axes.axhline(0, color=TEXT, linewidth=0.9)
            for place, region in enumerate(regions):
                own = curves[(curves["sensors"] == name) & (curves["region"] == region)].sort_values("time")
                colour, milliseconds = RULE_COLOURS[place % len(RULE_COLOURS)][0], own["time"].to_numpy(float) * 1000
                score = own["score"].to_numpy(float)
                axes.fill_between(
                    milliseconds, own["lower"].to_numpy(float), own["upper"].to_numpy(float), color=colour, alpha=0.14, linewidth=0
                )
                axes.plot(milliseconds, score, color=colour, linewidth=1.2, label=region)
                above = np.where(own["cluster_p_value"].to_numpy(float) < 0.05, score, np.nan)
                axes.plot(milliseconds, above, color=colour, linewidth=2.6)
                peak = latencies[(latencies["sensors"] == name) & (latencies["region"] == region)].iloc[0]
                height = limits[0] - step * (1 + place)
                axes.plot([peak["lower"] * 1000, peak["upper"] * 1000], [height] * 2, color=colour, linewidth=1.8)
                axes.plot(peak["latency"] * 1000, height, color=colour, marker="o", markersize=5)
            if own["time"].min() < 0 < own["time"].max():
                axes.axvline(0, color=TEXT, linewidth=0.9, linestyle=(0, (2, 3)))
            axes.set_ylim(limits[0] - step * (1 + len(regions)), limits[1])
            axes.set_xlim(milliseconds.min(), milliseconds.max())
            axes.set_title(name)
            axes.set_xlabel("time from stimulus onset (ms)")
        grid[0].set_ylabel("similarity of RDMs")
        grid[0].legend(loc="upper right")
    return figure


def plot_generalisation(table: pd.DataFrame) -> Figure:
    """Draw each time against every other.

    Parameters
    ----------
    table
        From `experiments.lasting.generalisation_table`.

    Returns
    -------
    Figure
        A square a region, its scale centred on zero; lines are stimulus onset and equal times.
    """
    regions = list(dict.fromkeys(table["region"]))
    columns = min(len(regions), _PANELS_A_ROW)
    n_rows = -(-len(regions) // columns)
    with figure_style():
        figure = empty_figure(3.9 * columns, 3.5 * n_rows)
        grid = figure.subplots(n_rows, columns, squeeze=False).ravel()
        for axes in grid[len(regions) :]:
            axes.set_visible(False)
        for axes, region in zip(grid, regions, strict=False):
            own = table[table["region"] == region]
            matrix = own.pivot(index="other_time", columns="time", values="value")
            times = matrix.columns.to_numpy(float) * 1000
            values = matrix.to_numpy(float)
            largest = max(float(np.nanmax(np.abs(values))), 1e-12)
            half = (times[-1] - times[0]) / max(len(times) - 1, 1) / 2 or 0.5
            extent = (times[0] - half, times[-1] + half) * 2
            picture = axes.imshow(
                values,
                cmap="RdBu_r",
                vmin=-largest,
                vmax=largest,
                origin="lower",
                extent=extent,
                interpolation="none",
                aspect="equal",
            )
            axes.plot(extent[:2], extent[2:], color=TEXT, linewidth=0.7)
            if times[0] < 0 < times[-1]:
                axes.axhline(0, color=TEXT, linewidth=0.9, linestyle=(0, (2, 3)))
                axes.axvline(0, color=TEXT, linewidth=0.9, linestyle=(0, (2, 3)))
            axes.set_title(region)
            of_subjects = own["what"].iloc[0] == lasting.AGREEMENT
            axes.set_xlabel("time of one subject (ms)" if of_subjects else "time of one run (ms)")
            axes.set_ylabel("time of the others (ms)")
            bar = figure.colorbar(picture, ax=axes, shrink=0.75)
            bar.outline.set_visible(False)
    return figure


def sections_in_time(folder: Path | None) -> dict[str, Any]:
    """What a report has to show of time, read from the tables beside it.

    Parameters
    ----------
    folder
        Of the report; None for none.

    Returns
    -------
    dict
        "fusion" with figure, latencies and differences, "generalisation" with figure and what it shows; None where there is no such
        table.

    Raises
    ------
    InputError
        Tables that lack columns or hold no numbers.
    """
    tables = {} if folder is None else {name: table for name in _TABLES if (table := _read(folder, name)) is not None}
    found: dict[str, Any] = {"fusion": None, "generalisation": None}
    if "fusion" in tables and len(tables["fusion"]):
        missing = [name for name in fusion.COLUMNS if name not in tables]
        if missing:
            raise InputError(f"{folder} has tables/fusion.csv and no tables/{missing[0]}.csv: run compare again")
        found["fusion"] = {
            "figure": inline_svg(
                plot_fusion(tables["fusion"], tables["fusion_latencies"]),
                "fusion",
                f"Similarity over time of {', '.join(dict.fromkeys(tables['fusion']['region']))}. Latencies are in the table.",
            ),
            "latencies": table_rows(tables["fusion_latencies"]),
            "differences": table_rows(tables["fusion_differences"]),
        }
    if GENERALISATION in tables and len(tables[GENERALISATION]):
        table = tables[GENERALISATION]
        found["generalisation"] = {
            "figure": inline_svg(
                plot_generalisation(table),
                "generalisation",
                f"Each time against every other in {', '.join(dict.fromkeys(table['region']))}.",
            ),
            "what": list(dict.fromkeys(table["what"])),
        }
    return found


def _read(folder: Path, name: str) -> pd.DataFrame | None:
    path = folder / "tables" / f"{name}.csv"
    if not path.is_file():
        return None
    try:
        # A region may be called NA.
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        missing = [column for column in _TABLES[name] if column not in table]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        for column in table.columns.difference(_WORDS):
            table[column] = [float(text) if text else np.nan for text in table[column]]
    except (ValueError, OSError) as error:  # pandas' own errors among them
        raise InputError(f"{path} cannot be read ({error}): run compare again") from None
    return table
