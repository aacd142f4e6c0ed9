"""What was shown when: one reader of BIDS's events for fMRI, MEG and EEG."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from bioplausible.foundation.errors import InputError
from neurodata.spellings import composed, find_names
from neurodata.text_tables import NO_LABEL, numbers, read_table


def read_event_table(
    events: str | os.PathLike[str] | pd.DataFrame,
    origin: str,
    column: str = "trial_type",
    conditions: Sequence[str] | None = None,
    needs_duration: bool = True,
    otherwise: str = "",
) -> tuple[pd.DataFrame, list[str]]:
    """Read events.

    Parameters
    ----------
    events
        a tab-separated file, or a table.
    origin
        what errors call it.
    column
        the one that names conditions; of "stim_file" the file's name without its ending counts.
    conditions
        names to which others are brought that spell them otherwise, or None.
    needs_duration
        whether a column "duration" has to be there; without one, durations are 0.
    otherwise
        what errors advise where the column of conditions is missing.

    Returns
    -------
    table with onset and duration in seconds and trial_type (text), and notes on what is left out: rows that name no condition, and
    those that say again what another says; and on names that are none of the conditions'.

    Raises
    ------
    InputError
        for missing columns, and for times that are no numbers in rows that name a condition.
    """
    table = events if isinstance(events, pd.DataFrame) else read_table(events)
    for needed in ("onset", *(("duration",) if needs_duration else ()), column):
        if needed not in table.columns:
            raise InputError(
                f"{origin} has no column '{needed}' (it has {', '.join(map(str, table.columns))}); expected onset and duration "
                f"in seconds and {column}, separated by tabs{otherwise if needed == column else ''}"
            )
    kept = np.array([not _is_none(label) for label in table[column]], dtype=bool)
    rows = np.flatnonzero(kept)
    labels = [_label(table[column].iloc[row], column) for row in rows]
    spelled = find_names(labels, conditions) if conditions is not None else {}
    durations = numbers(table, "duration", origin, "seconds", rows, missing=not needs_duration) if "duration" in table else 0.0
    read = pd.DataFrame(
        {
            "onset": numbers(table, "onset", origin, "seconds", rows),
            "duration": np.nan_to_num(durations) if not needs_duration else durations,
            "trial_type": np.array([spelled.get(label, label) for label in labels], dtype=object),
        }
    )
    # the same thing at the same moment is one event, which a model would count for two
    twice = read.duplicated(["onset", "trial_type"]).to_numpy()
    left_out = {f"without a {column}": int((~kept).sum()), "that are there twice": int(twice.sum())}
    notes = [f"{origin}: {count} events {which} were left out" for which, count in left_out.items() if count]
    others = sorted(set(read["trial_type"]) - set(conditions if conditions is not None else read["trial_type"]))
    # without the file's name, so that many runs with the same say it once
    if others and len(others) < read["trial_type"].nunique():
        shown = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        notes.append(f"events that no stimulus is called after have no pattern: {shown}")
    return read[~twice].reset_index(drop=True), notes


def _is_none(label: object) -> bool:
    # a condition may well be called null or none
    return label.strip().lower() in NO_LABEL if isinstance(label, str) else bool(pd.isna(label))


def _label(value: object, column: str) -> str:
    text = composed(str(value))
    return PurePosixPath(text.replace("\\", "/")).stem if column == "stim_file" else text


__all__ = ["read_event_table"]
