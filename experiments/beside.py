"""What stands beside a comparison in its folder and report: fusion with another recording, and generalisation over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

import neurodata
from bioplausible.foundation.files import write_text
from bioplausible.foundation.progress import Progress
from experiments.compare_config import CompareConfig
from experiments.fusion import Pair, fuse
from experiments.lasting import generalisation_table
from experiments.results import Comparison, rows

__all__ = ["add_beside"]


def add_beside(
    comparison: Comparison, config: CompareConfig, folder: Path, pair: Pair | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Write the further tables of a comparison, and its report anew where there are any.

    Parameters
    ----------
    comparison
        What was run and found, its report in the folder.
    config
        What was run.
    folder
        Of its tables.
    pair
        From `experiments.fusion.prepare_fusion`, where a fusion was asked for.
    progress
        Called with curves done, curves in all and a line to show.

    Returns
    -------
    dict
        Tables by name, as plain rows; warnings of the fusion are the comparison's, too.
    """
    tables: dict[str, pd.DataFrame] = {}
    if pair is not None:
        scoring = config.scoring
        fused = fuse(pair, scoring.comparators[0], scoring.n_draws, scoring.confidence, config.training.seed, progress)
        comparison.warnings.extend(fused.warnings)
        tables |= fused.tables()
    if comparison.recording.get("times"):
        part = {name: getattr(config.stimuli, name) for name in ("subjects", "exclude_subjects", "regions", "conditions")}
        recording = neurodata.select(neurodata.load(config.stimuli.recording), **part)
        lasting = generalisation_table(recording, config.scoring.measures[0], config.scoring.comparators[0])
        tables |= {"generalisation_over_time": lasting} if len(lasting) else {}
    if tables:
        # Drawing is slow to import.
        from experiments.report import write_report

        for name, table in tables.items():
            write_text(folder / "tables" / f"{name}.csv", table.to_csv(index=False))
        comparison.save(folder)
        write_report(comparison, folder / "report.html")
    return {name: rows(table) for name, table in tables.items() if name != "generalisation_over_time"}
