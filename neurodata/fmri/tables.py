"""What stands beside a run's image: when what was shown, how the head moved, how long a volume takes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bioplausible.foundation.errors import InputError
from neurodata.event_tables import read_event_table
from neurodata.fmri.images import BoldImage
from neurodata.fmri.options import FmriOptions, FmriRun
from neurodata.presence import is_named
from neurodata.text_tables import numbers, place_of, read_table, read_text

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z", "motion_outlier*", "non_steady_state*")
SECONDS_TOLERANCE = 1e-3
SHORTEST_REPETITION, LONGEST_REPETITION = 0.03, 60.0  # seconds, of any scanner, one that pauses between volumes among them
MOST_AT_ONCE = 5.0  # conditions at a time, on average, beyond which durations are milliseconds
EARLIEST_ONSET = -24.0  # seconds; what began before this has faded, and nilearn leaves it out


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
    otherwise = ", or 'fmri: {condition_column: NAME}' in recording.yaml with the column that names conditions"
    events, notes = read_event_table(run.events, name, options.condition_column, options.conditions, otherwise=otherwise)
    if (events["duration"] < 0).any():
        raise InputError(f"{name}: a duration of {events['duration'].min():g} s; expected zero or more")
    if (events["duration"] > seconds).any():
        raise InputError(
            f"{name}: a duration of {events['duration'].max():g} s in a run of {seconds:g} s; expected durations in seconds"
        )
    shown = events if options.conditions is None else events[events["trial_type"].isin(options.conditions)]
    at_once = shown["duration"].sum() / seconds
    if at_once > MOST_AT_ONCE:
        raise InputError(
            f"{name}: by its durations (of {shown['duration'].median():g} s mostly) {at_once:.3g} conditions "
            "are shown at any moment of "
            f"{seconds:g} s; expected durations in seconds"
        )
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


def _confound(table: pd.DataFrame, column: str, name: str) -> np.ndarray:
    """One column, (n_volumes,); what is n/a in the first volumes, as differences are, takes the first value that is there."""
    values = numbers(table, column, name, "a number", missing=True)
    there = np.flatnonzero(np.isfinite(values))
    if not len(there):
        raise InputError(f"{name}: the column '{column}' holds no finite numbers; leave it out of confounds")
    values[: there[0]] = values[there[0]]
    gap = np.flatnonzero(np.isnan(values))
    if len(gap):
        raise InputError(
            f"{name}: '{column}' in {place_of(table, int(gap[0]))} is '{table[column].iloc[gap[0]]}', and not in the first "
            "volumes alone; "
            "expected a number for each volume, leave the column out of confounds"
        )
    return values


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
    table = run.confounds if given else read_table(run.confounds)
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
    values = np.stack([_confound(table, column, name) for column in chosen], axis=1) if chosen else np.empty((n_volumes, 0))
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    varying = spread > 1e-12 * np.maximum(np.abs(values).max(axis=0, initial=0.0), 1e-300)
    return centred[:, varying] / spread[varying]


def _sidecars(run: FmriRun) -> list[Path]:
    stated = run.sidecar
    if stated is not None:
        return [Path(each) for each in ([stated] if isinstance(stated, str | os.PathLike) else stated)]
    if not isinstance(run.bold, str | os.PathLike):
        return []
    bold = Path(run.bold)
    beside = bold.with_name(bold.name.removesuffix(".gz").removesuffix(".nii") + ".json")
    return [beside] if is_named(beside) else []


class _Sidecar:
    """What a run's sidecars state together, and which of them states it: BIDS lets a run inherit what files above it say."""

    def __init__(self, run: FmriRun):
        self._stated: dict[str, tuple[Path, Any]] = {}
        for path in _sidecars(run):
            self._stated |= {key: (path, value) for key, value in _content(path).items()}

    def get(self, key: str, default: Any = None) -> Any:
        return self._stated[key][1] if key in self._stated else default

    def origin(self, key: str) -> Path | None:
        return self._stated[key][0] if key in self._stated else None


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(path, "a sidecar in JSON"))
    except json.JSONDecodeError as error:
        raise InputError(f'{path} cannot be read as JSON; expected lines such as {{"RepetitionTime": 2.0}}') from error
    if not isinstance(content, dict):
        raise InputError(f'{path} holds a {type(content).__name__}; expected a mapping such as {{"RepetitionTime": 2.0}}')
    return content


def _check_seconds(value: float, place: str, what: str = "RepetitionTime") -> None:
    """Refuse a repetition time that no scanner has, as milliseconds for seconds give."""
    if not SHORTEST_REPETITION <= value <= LONGEST_REPETITION:
        unit = f" ({value:g} ms are {value / 1000:g} s)" if SHORTEST_REPETITION <= value / 1000 <= LONGEST_REPETITION else ""
        raise InputError(
            f"{place}: {what} is {value:g}; expected seconds, {SHORTEST_REPETITION:g} to {LONGEST_REPETITION:g}{unit}, "
            "correct it or "
            "state repetition_time under 'fmri' in recording.yaml"
        )


def read_timing(run: FmriRun, options: FmriOptions, image: BoldImage) -> tuple[float, float]:
    """Find a run's repetition time and the moment of a volume that its time stands for, both in seconds.

    The sidecar and the header (where it gives a unit of time) must not contradict each other; a stated repetition time
    settles that, and must agree with one of them where there is one.

    Raises
    ------
    InputError
        for a repetition time that is missing or contradicted.
    """
    content = _Sidecar(run)
    in_sidecar, path = content.get("RepetitionTime"), content.origin("RepetitionTime")
    if in_sidecar is not None and not (isinstance(in_sidecar, int | float) and in_sidecar > 0):
        raise InputError(f"{path}: RepetitionTime is {in_sidecar!r}; expected seconds above 0")
    if in_sidecar is None and content.get("VolumeTiming") is not None:
        raise InputError(
            f"{content.origin('VolumeTiming')} states VolumeTiming and no RepetitionTime: volumes at times of their own are not "
            "modelled; expected "
            "volumes at equal "
            "distances"
        )
    places = {f"{path}": in_sidecar, f"the header of {image.name}": image.seconds}
    found = {place: float(value) for place, value in places.items() if value is not None}
    said = " and ".join(f"{place} says {value:g} s" for place, value in found.items())
    stated = options.repetition_time
    for place, value in found.items() if stated is None else {"recording.yaml or the options": float(stated)}.items():
        _check_seconds(value, place, "RepetitionTime" if place == str(path) else "the repetition time")
    if stated is not None:
        if found and not any(abs(value - stated) <= SECONDS_TOLERANCE for value in found.values()):
            raise InputError(f"{run.name}: the repetition time is stated as {stated:g} s but {said}; correct one of them")
        repetition_time = float(stated)
    elif not found:
        raise InputError(
            f"{run.name} has no repetition time, neither in a JSON file beside it nor with a unit in its header; state "
            "repetition_time in seconds ('fmri: {repetition_time: 2.0}' in recording.yaml)"
        )
    else:
        repetition_time, *others = found.values()
        if any(abs(other - repetition_time) > SECONDS_TOLERANCE for other in others):
            raise InputError(f"{run.name}: {said}, which contradict each other; state repetition_time in seconds")
    if options.slice_time_reference is not None:
        return repetition_time, options.slice_time_reference * repetition_time
    start = content.get("StartTime", 0.0)
    if isinstance(start, bool) or not isinstance(start, int | float) or not 0 <= start <= repetition_time:
        raise InputError(
            f"{content.origin('StartTime')}: StartTime is {start!r}; expected seconds from 0 to the repetition time of "
            f"{repetition_time:g} s, the moment of a "
            "volume that its time stands for, or state slice_time_reference"
        )
    return repetition_time, float(start)


__all__ = ["MOTION", "read_confounds", "read_events", "read_timing"]
