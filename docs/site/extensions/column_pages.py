"""The columns of the tables that are written, held against the code that writes them: what is missing here ends the build."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import yaml
from stored_results import RESULTS, markdown_table

from experiments import fusion, lasting, results, searchlights
from experiments.sweeping.study import STUDY

MEANINGS = Path(__file__).parents[1] / "reference" / "columns.yaml"


# Of these the code says what they must have; the others are as a comparison writes them, which a test looks at.
OPEN = ("accuracy", "networks", "readouts", "controls", "verdicts")


def written_columns(told: dict[str, dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Table -> the columns that it has, by the code that writes it or by a table that is kept.

    Parameters
    ----------
    told
        Table -> what is said of it, for those of which the code does not say all.
    """
    kept = RESULTS / "fashion_mnist"
    return {
        "tables/scores.csv": results.SCORE_COLUMNS,
        "tables/differences.csv": results.DIFFERENCE_COLUMNS,
        "tables/reference_models.csv": results.REFERENCE_MODEL_COLUMNS,
        "tables/clusters.csv": results.CLUSTER_COLUMNS,
        **{name: _with_required(name, tuple(told[name]["columns"])) for name in (f"tables/{each}.csv" for each in OPEN)},
        **{f"tables/{name}.csv": tuple(columns) for name, columns in fusion.COLUMNS.items()},
        "tables/generalisation_over_time.csv": tuple(lasting.COLUMNS),
        "tables/peaks.csv": searchlights.PEAK_COLUMNS,
        "study.parquet": tuple(pq.read_schema(kept / STUDY).names),
        "summary.csv": _columns(kept / "summary.csv", RESULTS / "deep" / "summary.csv"),
        "runs.csv": _columns(kept / "runs.csv"),
        "controls.csv": _columns(kept / "controls.csv"),
    }


def _with_required(table: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    required = results._COLUMNS[Path(table).stem]
    return (*required, *(name for name in columns if name not in required))


def _columns(*paths: Path) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for path in paths:
        found |= dict.fromkeys(pd.read_csv(path, nrows=1).columns)
    return tuple(found)


def missing_meanings(written: dict[str, tuple[str, ...]], told: dict[str, dict[str, str]], shared: Collection[str]) -> list[str]:
    """What differs between the columns that are written and those that are explained, a line each.

    Parameters
    ----------
    written
        Table -> its columns.
    told
        Table -> column -> meaning.
    shared
        Columns that mean the same in every table.
    """
    lines = [
        f"{table}: '{name}' is not explained"
        for table, names in written.items()
        for name in names
        if name not in shared and name not in told.get(table, {}).get("columns", {})
    ]
    lines += [
        f"{table}: '{name}' is explained and not written"
        for table, about in told.items()
        for name in about["columns"]
        if name not in written.get(table, ())
    ]
    used = {name for names in written.values() for name in names}
    return lines + [f"'{name}' is explained for all tables and written in none" for name in shared if name not in used]


def pages() -> dict[str, str]:
    """The page by its path from the site's folder."""
    said = yaml.safe_load(MEANINGS.read_text(encoding="utf-8"))
    shared, told = said["shared"], said["tables"]
    written = written_columns(told)
    if wrong := missing_meanings(written, told, shared):
        raise LookupError("columns.yaml: " + "; ".join(wrong))
    parts = [
        "# Tables and their columns\n",
        "`compare --out DIR` writes the tables under `DIR/tables`, `searchlight` its peaks, `sweep` the tables of a study. CSV is for "
        "reading and for other programs; `scores.parquet` holds what `scores.csv` holds. A value that does not exist is empty.\n",
    ]
    for table, columns in written.items():
        about = told[table]
        rows = [[f"`{name}`", about["columns"].get(name) or shared[name]] for name in columns]
        parts += [f"## {table}\n", about["what"] + "\n", markdown_table(["column", "what"], rows)]
    return {"reference/tables.md": "\n".join(parts)}
