"""Reading raw data, epochs and events, so that a broken file is one sentence and never half a recording.

MNE reads as far as a truncated FIF file goes and says so in a warning at most; here every such warning is an error. A file
in a BIDS tree is read by mne-bids, which brings the bad channels and the named events of its sidecars.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pandas as pd
from mne.utils import catch_logging

from bioplausible.foundation.errors import InputError
from neurodata.meg.options import MegOptions, MegRun

Events = np.ndarray  # (n_events, 3) of sample, value before, code: MNE's convention


def is_epochs_file(path: Path) -> bool:
    """Whether a name is that of epochs, by MNE's convention.

    >>> is_epochs_file(Path("sub-01_epo.fif")), is_epochs_file(Path("sub-01_meg.fif"))
    (True, False)
    """
    return path.name.removesuffix(".gz").endswith(("_epo.fif", "-epo.fif"))


def bids_root(path: Path) -> Path | None:
    """The folder with the dataset_description.json of the tree that a file lies in, or None."""
    return next((parent for parent in path.absolute().parents if (parent / "dataset_description.json").is_file()), None)


def read_whole(read: Callable[[], Any], path: Path, expected: str) -> Any:
    """Call MNE's reader, and make one sentence of what it warns of or trips over.

    Raises
    ------
    InputError
        for a file that is missing, truncated or of another kind.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; expected {expected}")
    # MNE also writes its warnings to the standard output, which belongs to whoever calls
    with catch_logging(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = read()
        except Exception as error:  # MNE raises whatever its parser meets: AttributeError, ValueError, struct.error
            if any("Invalid tag" in str(each.message) for each in caught):
                raise _truncated(path, expected) from error
            reason = " ".join(str(error).split()).replace(str(path), "it").rstrip(".") or type(error).__name__
            raise InputError(f"{path} cannot be read ({reason}); expected {expected}, export or copy it again") from error
    if any("Invalid tag" in str(each.message) for each in caught):
        raise _truncated(path, expected)
    return found


def _truncated(path: Path, expected: str) -> InputError:
    return InputError(f"{path} is truncated: the file ends before its data do; expected {expected}, copy it again")


def read_raw(path: Path, missing_splits: str = "raise") -> tuple[mne.io.BaseRaw, bool]:
    """Read raw data into memory, and say whether it came with named events from a BIDS tree.

    Parameters
    ----------
    path
        the file, or the first of those that a long recording was split into.
    missing_splits
        "raise", or "ignore" where a whole file still names a next one that it had before it was renamed.

    Raises
    ------
    InputError
        for a file that is missing, truncated or no raw data.
    """
    expected = "a whole FIF file of raw data"
    root = bids_root(path)
    if root is not None:
        from mne_bids import get_bids_path_from_fname, read_raw_bids

        located = None
        with suppress(ValueError, RuntimeError, KeyError):
            located = get_bids_path_from_fname(path, check=True, verbose="error")
        if located is not None and located.datatype in {"meg", "eeg"}:
            tree = located.copy().update(root=root)

            def read_tree() -> mne.io.BaseRaw:
                return read_raw_bids(tree, verbose="warning").load_data(verbose="warning")

            raw = read_whole(read_tree, path, expected)
            sidecar = tree.find_matching_sidecar(suffix="events", extension=".tsv", on_error="ignore")
            return raw, sidecar is not None

    def read_file() -> mne.io.BaseRaw:
        return mne.io.read_raw_fif(path, preload=True, on_split_missing=missing_splits, verbose="warning")

    return read_whole(read_file, path, expected), False


def read_epochs(path: Path) -> mne.BaseEpochs:
    """Read epochs into memory.

    Raises
    ------
    InputError
        for a file that is missing, truncated or has no epochs.
    """
    return read_whole(
        lambda: mne.read_epochs(path, proj=True, preload=True, verbose="warning"), path, "a whole FIF file of epochs (*_epo.fif)"
    )


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:20])}{f' and {len(names) - 20} more' if len(names) > 20 else ''}" or "none"


def _seen(codes: np.ndarray) -> str:
    values, counts = np.unique(codes, return_counts=True)
    return _listed([f"{value} ({count} times)" for value, count in zip(values, counts, strict=True)])


def _from_tsv(path: Path, raw: mne.io.BaseRaw) -> tuple[Events, dict[str, int]]:
    """Events of a BIDS events.tsv: onsets in seconds from the first sample, named by trial_type."""
    try:
        table = pd.read_csv(path, sep="\t", dtype={"trial_type": str}, na_values=["n/a"], keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table ({error}); expected a BIDS events.tsv") from error
    missing = [column for column in ("onset", "trial_type") if column not in table]
    if missing:
        raise InputError(
            f"{path} has no column '{missing[0]}' (it has {', '.join(map(str, table.columns))}); expected a BIDS events.tsv with "
            "onset in seconds and trial_type, the names of the conditions"
        )
    table = table.dropna(subset=["onset", "trial_type"])
    names = list(dict.fromkeys(table["trial_type"]))
    event_id = {str(name): index + 1 for index, name in enumerate(names)}
    samples = raw.first_samp + np.round(table["onset"].to_numpy(dtype=float) * raw.info["sfreq"]).astype(int)
    codes = np.array([event_id[name] for name in table["trial_type"]], dtype=int)
    return np.stack([samples, np.zeros_like(codes), codes], axis=1), event_id


def _from_channel(raw: mne.io.BaseRaw, options: MegOptions, path: Path) -> Events:
    try:
        return mne.find_events(
            raw,
            stim_channel=options.stim_channel,
            min_duration=options.minimum_trigger_duration,
            shortest_event=1,
            verbose="error",
        )
    except ValueError as error:
        have = ", ".join(raw.ch_names[index] for index in mne.pick_types(raw.info, meg=False, stim=True)) or "none"
        raise InputError(
            f"{path} has no events on the stimulus channel {options.stim_channel or ''} (it has the stimulus channels: {have}); "
            "name another as stim_channel, or give an events.tsv"
        ) from error


def conditions_of(codes: np.ndarray, named: Mapping[str, int] | None, options: MegOptions, path: Path) -> dict[str, int]:
    """Match conditions with the codes of a run's events.

    Parameters
    ----------
    codes
        (n_events,) as they were found.
    named
        codes by the names that a file states, or None where it has none.
    options
        whose event_id, where given, goes before.
    path
        the file that errors name.

    Returns
    -------
    code of each condition that the run has.

    Raises
    ------
    InputError
        for triggers that the run does not have, with those that it has.
    """
    if options.event_id is None:
        if named is not None:
            return dict(named)
        return {str(code - options.event_offset): int(code) for code in np.unique(codes)}
    offset = options.event_offset
    wanted = {
        condition: trigger + offset if named is None else named.get(condition, -1)
        for condition, trigger in options.event_id.items()
    }
    there = {condition: code for condition, code in wanted.items() if code in codes}
    missing = [condition for condition in wanted if condition not in there]
    if not there or (missing and options.pseudo_trials is None):
        what = f"{path} has no event of {len(missing)} of {len(wanted)} conditions: the first is '{missing[0]}'"
        if named is not None:
            raise InputError(f"{what}; names seen: {_listed(list(named))}; correct event_id or the names")
        raise InputError(
            f"{what}, code {wanted[missing[0]]} = trigger {options.event_id[missing[0]]} + event_offset {offset}; codes seen: "
            f"{_seen(codes)}; correct event_id or event_offset, or state pseudo_trials where conditions are dealt over runs"
        )
    return there


def read_events(run: MegRun, raw: mne.io.BaseRaw, has_named: bool, options: MegOptions) -> tuple[Events, dict[str, int]]:
    """Find a run's events and the code of each condition.

    Returns
    -------
    (n_events, 3) events of the conditions, and the codes by condition.

    Raises
    ------
    InputError
        for events that cannot be read, and codes that are not there.
    """
    named: dict[str, int] | None = None
    if run.events is None and has_named and len(raw.annotations):
        events, named = mne.events_from_annotations(raw, regexp=r"^(?!BAD|EDGE).*$", verbose="error")
        origin = run.path
    elif run.events is None:
        events, origin = _from_channel(raw, options, run.path), run.path
    elif isinstance(run.events, np.ndarray):
        origin = run.path
        events = np.asarray(run.events)
        if events.ndim != 2 or events.shape[1] != 3 or events.dtype.kind not in "iu":
            raise InputError(
                f"{run.path}: events of shape {events.shape} and type {events.dtype}; expected whole numbers (n_events, 3): "
                "sample, value before, code"
            )
    else:
        origin = Path(run.events).expanduser()
        events, named = _from_tsv(origin, raw)
    event_id = conditions_of(events[:, 2], named, options, origin)
    events = events[np.isin(events[:, 2], list(event_id.values()))]
    if not len(events):
        raise InputError(f"{origin} has no events of any condition; expected some, check events and event_id")
    return events, event_id


__all__ = ["bids_root", "conditions_of", "is_epochs_file", "read_epochs", "read_events", "read_raw", "read_whole"]
