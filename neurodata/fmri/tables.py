"""What stands beside a run's image: when what was shown, how the head moved, how long a volume takes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from bioplausible.foundation.errors import InputError
from neurodata.fmri.images import BoldImage
from neurodata.fmri.options import FmriOptions, FmriRun

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z", "motion_outlier*", "non_steady_state*")
SECONDS_TOLERANCE = 1e-3
EARLIEST_ONSET = -24.0  # seconds; what began before this has faded, and nilearn leaves it out


def _read_table(path: Any) -> pd.DataFrame:
    try:
        text = {"trial_type": str, "stim_file": str}
        return pd.read_csv(path, sep="\t", dtype=text, keep_default_na=False, na_values=["n/a", ""])
    except FileNotFoundError:
        raise InputError(f"{path} is not there; expected a tab-separated table, check the path") from None
    except (OSError, ValueError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or ["unknown format"])[0]
        raise InputError(f"{path} cannot be read as a table ({reason}); expected tab-separated columns with names above") from error


def _numbers(table: pd.DataFrame, column: str, name: str) -> np.ndarray:
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64)
    broken = np.flatnonzero(~np.isfinite(values))
    if len(broken):
        given = table[column].iloc[broken[0]]
        raise InputError(f"{name}: '{column}' in row {broken[0] + 1} is '{given}'; expected seconds")
    return values


def read_events(run: FmriRun, options: FmriOptions, seconds: float) -> tuple[pd.DataFrame, list[str]]:
    """Read a run's events.

    Parameters
    ----------
    run, options
        whose, and which column names conditions.
    seconds
        how long the run is.

    Returns
    -------
    table with onset, duration and trial_type (text), and notes on what was left out: rows that name no condition, and
    events beyond the run where they are fewer than half.

    Raises
    ------
    InputError
        for missing columns, times that are no numbers, and events outside the run.
    """
    name = run.events_name
    given = run.events if isinstance(run.events, pd.DataFrame) else _read_table(run.events)
    column = options.condition_column
    for needed in ("onset", "duration", column):
        if needed not in given.columns:
            raise InputError(
                f"{name} has no column '{needed}' (it has {', '.join(map(str, given.columns))}); expected onset and duration "
                f"in seconds and {column}, separated by tabs"
            )
    labels = given[column].astype(object).where(given[column].notna(), None)
    if column == "stim_file":
        labels = labels.map(lambda path: None if path is None else PurePosixPath(str(path).replace("\\", "/")).stem)
    kept = labels.notna().to_numpy()
    notes = [f"{name}: {int((~kept).sum())} events without a {column} were left out"] if not kept.all() else []
    events = pd.DataFrame(
        {
            "onset": _numbers(given[kept], "onset", name),
            "duration": _numbers(given[kept], "duration", name),
            "trial_type": [str(label) for label in labels[kept]],
        }
    )
    if (events["duration"] < 0).any():
        raise InputError(f"{name}: a duration of {events['duration'].min():g} s; expected zero or more")
    if events.empty:
        raise InputError(f"{name} holds no event; expected one row for each thing shown")
    outside = (events["onset"] >= seconds) | (events["onset"] < EARLIEST_ONSET)
    if outside.any():
        first = events[outside].iloc[0]
        inside = events[~outside]
        lost = sorted(set(events["trial_type"]) - set(inside["trial_type"]))
        # single events behind the end are what a scanner stopped early leaves; most of them, a wrong unit or file
        if 2 * outside.sum() >= len(events) or lost:
            raise InputError(
                f"{name}: {int(outside.sum())} of {len(events)} events lie outside the run of {seconds:g} s, such as "
                f"'{first['trial_type']}' at {first['onset']:g} s; expected onsets in seconds from the run's first volume"
            )
        notes.append(f"{name}: {int(outside.sum())} of {len(events)} events lie outside the run of {seconds:g} s and were left out")
        events = inside.reset_index(drop=True)
    return events, notes


def _choose(columns: Sequence[str], wanted: Sequence[str], name: str) -> list[str]:
    chosen = []
    for pattern in wanted:
        found = [column for column in columns if fnmatchcase(column, pattern)]
        if not found:
            near = get_close_matches(pattern, columns, n=1, cutoff=0.5)
            guess = f", did you mean '{near[0]}'?" if near else ""
            raise InputError(f"{name} has no column '{pattern}'{guess} It has {', '.join(columns)}")
        chosen += [column for column in found if column not in chosen]
    return chosen


def read_confounds(run: FmriRun, options: FmriOptions, n_volumes: int) -> np.ndarray:
    """Read a run's confounds, (n_volumes, n_confounds), z-scored; constant ones, which the drift holds, are dropped.

    Missing values, as derivatives have in the first volume, are filled with the next.

    Raises
    ------
    InputError
        for another number of rows than volumes, unknown columns and what is no number.
    """
    if run.confounds is None or options.confounds == ():
        return np.empty((n_volumes, 0))
    given = isinstance(run.confounds, pd.DataFrame)
    name = f"the confounds of {run.name}" if given else os.fspath(run.confounds)
    table = run.confounds if given else _read_table(run.confounds)
    columns = [str(column) for column in table.columns]
    table = table.set_axis(columns, axis=1)
    if options.confounds is not None:
        chosen = _choose(columns, options.confounds, name)
    elif given:
        chosen = columns
    else:
        chosen = [column for column in columns if any(fnmatchcase(column, pattern) for pattern in MOTION)]
        if not chosen:
            raise InputError(
                f"{name} has none of the motion parameters {', '.join(MOTION[:6])} (it has {', '.join(columns)}); name columns "
                "as confounds, or give an empty list for none"
            )
    if len(table) != n_volumes:
        raise InputError(f"{name} has {len(table)} rows for {n_volumes} volumes of {run.name}; expected one a volume")
    values = table[chosen].apply(pd.to_numeric, errors="coerce").bfill().ffill().to_numpy(dtype=np.float64)
    broken = ~np.isfinite(values).all(axis=0)
    if broken.any():
        raise InputError(f"{name}: the column '{chosen[int(broken.argmax())]}' holds no finite numbers; leave it out of confounds")
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    varying = spread > 1e-12 * np.maximum(np.abs(values).max(axis=0, initial=0.0), 1e-300)
    return centred[:, varying] / spread[varying]


def _sidecar(run: FmriRun) -> tuple[Path | None, dict[str, Any]]:
    path = None if run.sidecar is None else Path(run.sidecar)
    if path is None and isinstance(run.bold, str | os.PathLike):
        bold = Path(run.bold)
        path = bold.with_name(bold.name.removesuffix(".gz").removesuffix(".nii") + ".json")
        path = path if path.is_file() else None
    if path is None:
        return None, {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f'{path} cannot be read as JSON; expected lines such as {{"RepetitionTime": 2.0}}') from error
    return path, content if isinstance(content, dict) else {}


def read_timing(run: FmriRun, options: FmriOptions, image: BoldImage) -> tuple[float, float]:
    """Find a run's repetition time and the moment of a volume that its time stands for, both in seconds.

    The sidecar and the header (where it gives a unit of time) must not contradict each other; a stated repetition time
    settles that, and must agree with one of them where there is one.

    Raises
    ------
    InputError
        for a repetition time that is missing or contradicted.
    """
    path, content = _sidecar(run)
    in_sidecar = content.get("RepetitionTime")
    if in_sidecar is not None and not (isinstance(in_sidecar, int | float) and in_sidecar > 0):
        raise InputError(f"{path}: RepetitionTime is {in_sidecar!r}; expected seconds above 0")
    places = {f"{path}": in_sidecar, f"the header of {image.name}": image.seconds}
    found = {place: float(value) for place, value in places.items() if value is not None}
    said = " and ".join(f"{place} says {value:g} s" for place, value in found.items())
    stated = options.repetition_time
    if stated is not None:
        if found and not any(abs(value - stated) <= SECONDS_TOLERANCE for value in found.values()):
            raise InputError(f"{run.name}: the repetition time is stated as {stated:g} s but {said}; correct one of them")
        repetition_time = float(stated)
    elif not found:
        raise InputError(
            f"{run.name} has no repetition time, neither in a JSON file beside it nor with a unit in its header; state "
            "repetition_time in seconds"
        )
    else:
        repetition_time, *others = found.values()
        if any(abs(other - repetition_time) > SECONDS_TOLERANCE for other in others):
            raise InputError(f"{run.name}: {said}, which contradict each other; state repetition_time in seconds")
    if options.slice_time_reference is not None:
        return repetition_time, options.slice_time_reference * repetition_time
    start = content.get("StartTime", 0.0)
    return repetition_time, float(start) if isinstance(start, int | float) and 0 <= start <= repetition_time else 0.0


__all__ = ["MOTION", "read_confounds", "read_events", "read_timing"]
