"""What docs/results holds, read when the site is built: no figure of a page is typed in."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

RESULTS = Path(__file__).parents[2] / "results"

STUDIES: Mapping[str, str] = {
    "controls": "10,000 images of Fashion-MNIST, five epochs",
    "fashion_mnist": "all images of Fashion-MNIST, ten epochs",
    "deep": "10,000 images of Fashion-MNIST, ten epochs, six dense layers",
    "cifar": "10,000 colour images after lossy JPEG, ten epochs",
}
"""Folder -> what was trained on, of the studies that the pages of rules quote."""


@functools.cache
def summary(study: str) -> pd.DataFrame:
    """The table of a study, one row a rule, network and front end.

    Parameters
    ----------
    study
        A folder of docs/results.
    """
    from experiments.sweeping.summary import networks_of

    table = pd.read_csv(RESULTS / study / "summary.csv")
    return table.assign(network=networks_of(table))


@functools.cache
def scorecard(network: str = "mlp") -> dict[str, dict[str, dict[str, Any]]]:
    """Rule -> criterion -> what was found on one network.

    Parameters
    ----------
    network
        "mlp" or "cnn".
    """
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(
        (RESULTS / "scorecard" / network / "scorecard.json").read_text("utf-8")
    )
    return found


def percent(value: float, spread: float | None = None) -> str:
    """An accuracy in per cent, with its standard deviation over seeds; "" for what is missing."""
    if pd.isna(value):
        return ""
    return f"{100 * value:.1f}" if spread is None or pd.isna(spread) else f"{100 * value:.1f} ± {100 * spread:.1f}"


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown; what would end a cell is written so that it does not."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
