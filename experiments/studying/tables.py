"""A study's files: one Parquet with every number, tables for people, pages and pictures.

```
DIR/brain.parquet      every row of all tables, `table` says of which: ranks, null, accuracies, recovery, distances
DIR/conclusions.csv    one row a rule, region and group, one column a condition
DIR/README.md          the answer; doubt.md what was tried to break it
DIR/brain.svg, DIR/conclusions.svg
```
"""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import write_bytes, write_text
from experiments.studying.conclusions import conclusions, corrected
from experiments.studying.page import accuracy_lines, agreement_lines, doubt, null_lines, recovery_lines, to_markdown
from experiments.studying.picture import conclusions_picture, picture

__all__ = ["BRAIN", "TABLES", "read_tables", "write_pages", "write_tables"]

BRAIN = "brain.parquet"
"""The name of the table."""
TABLES = ("ranks", "null", "accuracies", "recovery", "distances")
"""What it holds."""


def write_tables(folder: Path, tables: dict[str, pd.DataFrame]) -> None:
    """Write all numbers.

    Parameters
    ----------
    folder
        Of the study.
    tables
        By the names in `TABLES`.
    """
    whole = pd.concat([tables[name].assign(table=name) for name in TABLES if len(tables[name])], ignore_index=True)
    buffer = io.BytesIO()
    whole.to_parquet(buffer, index=False)
    write_bytes(folder / BRAIN, buffer.getvalue())


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Read them.

    Parameters
    ----------
    folder
        Of the study.

    Raises
    ------
    InputError
        There are none, or they cannot be read.
    """
    path = folder / BRAIN
    try:
        whole = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        why = "there is no such file" if not path.is_file() else " ".join(str(error).split())
        raise InputError(f"{path} cannot be read ({why}): run the study again without --tables-only") from error
    tables = {}
    for name in TABLES:
        rows = whole[whole["table"] == name].drop(columns="table").reset_index(drop=True)
        tables[name] = rows.dropna(axis=1, how="all") if name != "ranks" else rows
    for name, empty in (("failure", ""), ("choice", "")):
        if name in tables["ranks"]:
            tables["ranks"][name] = tables["ranks"][name].fillna(empty)
    return tables


def write_pages(folder: Path, title: str, tables: dict[str, pd.DataFrame], further: list[str]) -> pd.DataFrame:
    """Write what people look at.

    Parameters
    ----------
    folder
        Of the study.
    title
        One line.
    tables
        As `read_tables` gives them.
    further
        Lines on what was run.

    Returns
    -------
    pandas.DataFrame
        The conclusions.
    """
    ranks = corrected(tables["ranks"])
    concluded = conclusions(ranks)
    write_text(folder / "conclusions.csv", concluded.to_csv(index=False))
    lines = [*agreement_lines(ranks), *recovery_lines(tables["recovery"]), *null_lines(tables["null"])]
    lines += [*accuracy_lines(tables["accuracies"]), *further]
    write_text(folder / "README.md", to_markdown(title, ranks, concluded, lines) + "\n")
    write_text(folder / "doubt.md", doubt(ranks, concluded) + "\n")
    distances, plausible = tables["distances"], {}
    known = {}
    for _, row in distances.iterrows():
        known[row["group"], row["name"]] = float(row["degrees"])
        plausible[row["name"]] = float(row["plausible"])
    write_text(folder / "brain.svg", picture(ranks, known, plausible, title))
    write_text(folder / "conclusions.svg", conclusions_picture(ranks, "What rules add to their own networks before learning"))
    return concluded
