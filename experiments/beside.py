"""What stands beside the scores of a comparison: fusion with another recording, and generalisation over time."""

from __future__ import annotations

import pandas as pd

from bioplausible.foundation.progress import Progress
from experiments.compare_config import CompareConfig
from experiments.fusion import Pair, fuse
from experiments.lasting import generalisation_table
from experiments.results import GENERALISATION
from neurodata import Recording

__all__ = ["tables_beside"]


def tables_beside(
    recording: Recording, config: CompareConfig, pair: Pair | None = None, progress: Progress | None = None
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Make the further tables of a comparison.

    Parameters
    ----------
    recording
        What networks are compared with.
    config
        What was run.
    pair
        The recording and the one that it is fused with, where a fusion was asked for.
    progress
        Called with curves done, curves in all and a line to show.

    Returns
    -------
    tables
        By name; none where no fusion was asked for and the recording has no time axis.
    warnings
        What has to be known of them.
    """
    scoring, tables, warnings = config.scoring, dict[str, pd.DataFrame](), list[str]()
    if pair is not None:
        fused = fuse(pair, scoring.comparators[0], scoring.n_draws, scoring.confidence, config.training.seed, progress)
        tables, warnings = fused.tables(), list(fused.warnings)
    if recording.times is not None:
        lasting = generalisation_table(recording, scoring.measures[0], scoring.comparators[0])
        tables |= {GENERALISATION: lasting} if len(lasting) else {}
    return tables, warnings
