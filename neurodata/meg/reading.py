"""Reading raw data, epochs and events, so that a broken file is one sentence and never half a recording.

MNE reads as far as a truncated FIF file goes and says so in a warning at most; here every such warning is an error. A file
in a BIDS tree is read by mne-bids, which brings the bad channels of its sidecars; its events are read here, as those of BOLD runs
are, since MNE joins a name with its code where a name has several, and takes names for bad segments that begin so.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import mne
import numpy as np
from mne.utils import catch_logging

from bioplausible.foundation.errors import InputError
from neurodata.event_tables import read_event_table
from neurodata.meg.options import MegOptions, MegRun
from neurodata.names import find_names
from neurodata.presence import check_content

_BAD_SEGMENTS = ("BAD", "EDGE")
Events = np.ndarray  # (n_events, 3) of sample, value before, code: MNE's convention


def is_epochs_file(path: Path) -> bool:
    """Whether a name is that of epochs, by MNE's convention.

    >>> is_epochs_file(Path("sub-01_epo.fif")), is_epochs_file(Path("sub-01_meg.fif"))
    (True, False)
    """
    return path.name.lower().removesuffix(".gz").endswith(("_epo.fif", "-epo.fif"))


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
    check_content(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; expected {expected}")
    # MNE also writes its warnings to the standard output, which belongs to whoever calls
    with catch_logging(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = read()
        except InputError:
            raise
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


def read_raw(path: Path, missing_splits: str = "raise") -> tuple[mne.io.BaseRaw, Path | None]:
    """Read raw data into memory, and name the events.tsv that a BIDS tree has for it.

    Parameters
    ----------
    path
        the file, or the first of those that a long recording was split into; of any format that MNE reads.
    missing_splits
        "raise", or "ignore" where a whole file still names a next one that it had before it was renamed.

    Raises
    ------
    InputError
        for a file that is missing, truncated or no raw data.
    """
    expected = "a whole file of raw data, such as FIF, BrainVision, EDF or EEGLAB"
    root = bids_root(path)
    if root is not None:
        from mne_bids import get_bids_path_from_fname, read_raw_bids

        located = None
        with suppress(ValueError, RuntimeError, KeyError):
            located = get_bids_path_from_fname(path, check=True, verbose="error")
        if located is not None and located.datatype in {"meg", "eeg"}:
            tree = located.copy().update(root=root)

            def read_tree() -> mne.io.BaseRaw:
                # names decide which sensor a row of channels.tsv is, whatever its order
                try:
                    return read_raw_bids(tree, on_ch_mismatch="reorder", verbose="warning").load_data(verbose="warning")
                except (RuntimeError, ValueError) as error:
                    if "channel" not in str(error).lower():
                        raise
                    # what mne-bids advises is an argument that nobody gives at the command line
                    reason = " ".join(str(error).partition("Pass ")[0].split()).rstrip(". ")
                    raise InputError(
                        f"{path}: {reason}; expected a channels.tsv with the recording's names, each once, in any order: "
                        "correct or remove it"
                    ) from error

            raw = read_whole(read_tree, path, expected)
            sidecar = tree.find_matching_sidecar(suffix="events", extension=".tsv", on_error="ignore")
            return raw, None if sidecar is None else Path(sidecar)

    def read_file() -> mne.io.BaseRaw:
        if path.name.lower().endswith((".fif", ".fif.gz")):
            return mne.io.read_raw_fif(path, preload=True, on_split_missing=missing_splits, verbose="warning")
        return mne.io.read_raw(path, preload=True, verbose="warning")

    return read_whole(read_file, path, expected), None


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


def _from_tsv(path: Path, raw: mne.io.BaseRaw, conditions: Sequence[str] | None) -> tuple[Events, dict[str, int], list[str]]:
    """Events of a BIDS events.tsv: onsets in seconds from the first sample, named by trial_type.

    What MNE takes for bad segments (BAD_…, EDGE…) is no condition, unless a stimulus is called so.
    """
    table, notes = read_event_table(path, str(path), conditions=conditions, needs_duration=False)
    known = set(conditions or ())
    table = table[[name in known or not name.startswith(_BAD_SEGMENTS) for name in table["trial_type"]]]
    event_id = {str(name): index + 1 for index, name in enumerate(dict.fromkeys(table["trial_type"]))}
    samples = raw.first_samp + np.round(table["onset"].to_numpy(dtype=float) * raw.info["sfreq"]).astype(int)
    codes = np.array([event_id[name] for name in table["trial_type"]], dtype=int)
    return np.stack([samples, np.zeros_like(codes), codes], axis=1), event_id, notes


def _from_channel(raw: mne.io.BaseRaw, options: MegOptions, path: Path) -> Events:
    try:
        return mne.find_events(
            raw, stim_channel=options.stim_channel, min_duration=options.minimum_trigger_duration, verbose="error"
        )
    except ValueError as error:
        if "shorter than the shortest_event" in str(error):
            count = re.search(r"\d+", str(error))
            raise InputError(
                f"{path}: {count[0] if count else 'some'} triggers last for less than two samples, as when the lines of a "
                "composite trigger "
                f"do not switch at once, and would be counted beside those that follow; state minimum_trigger_duration, such as "
                f"'meg: {{minimum_trigger_duration: {2 / raw.info['sfreq']:g}}}' in recording.yaml, or give an events.tsv"
            ) from error
        have = ", ".join(raw.ch_names[index] for index in mne.pick_types(raw.info, meg=False, stim=True)) or "none"
        raise InputError(
            f"{path} has no events on the stimulus channel {options.stim_channel or ''} (it has the stimulus channels: {have}); "
            "name another as stim_channel, or give an events.tsv"
        ) from error


def _from_annotations(raw: mne.io.BaseRaw, conditions: Sequence[str] | None) -> tuple[Events, dict[str, int] | None]:
    """Events that the file has as texts, as BrainVision, EDF and EEGLAB do: named, or the codes that their texts end with."""
    texts = {str(each) for each in raw.annotations.description}
    named = find_names(texts, conditions) if conditions is not None else {}
    if named or conditions is None:
        # a stimulus may be called badger
        chosen = {text: index for index, text in enumerate(sorted(texts), 1) if text in named or not text.startswith(_BAD_SEGMENTS)}
        events, codes = mne.events_from_annotations(raw, event_id=chosen, regexp=None, verbose="error")
        return events, {named.get(text, text): code for text, code in codes.items()}
    numbered = {text: int(match[0]) for text in texts if (match := re.search(r"\d+$", text)) and not text.startswith(_BAD_SEGMENTS)}
    events, codes = mne.events_from_annotations(raw, event_id=numbered or "auto", regexp=None, verbose="error")
    return events, None if numbered else codes


def keep_bad_segments(raw: mne.io.BaseRaw, conditions: Iterable[str]) -> None:
    """Take off a recording the annotations that name conditions, lest MNE take badger for a bad segment; in place.

    Parameters
    ----------
    raw
        the recording; changed.
    conditions
        their names.
    """
    names = list(conditions)
    texts = {str(each): str(each).partition("/")[0] for each in raw.annotations.description}
    found = find_names(texts.values(), names)
    shown = [index for index, each in enumerate(raw.annotations.description) if texts[str(each)] in found]
    if shown:
        annotations = raw.annotations.copy()
        annotations.delete(shown)
        raw.set_annotations(annotations)


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
    if named is not None:
        spelled = find_names(named, list(options.event_id))
        named = {spelled.get(name, name): code for name, code in named.items()}
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


def read_events(
    run: MegRun, raw: mne.io.BaseRaw, table: Path | None, options: MegOptions
) -> tuple[Events, dict[str, int], list[str]]:
    """Find a run's events and the code of each condition.

    Parameters
    ----------
    run
        whose events, where they are stated, go before all others.
    raw
        the recording.
    table
        the events.tsv that a BIDS tree has for it, or None.
    options
        which conditions.

    Returns
    -------
    (n_events, 3) events of the conditions, the codes by condition, and notes on events that were left out.

    Raises
    ------
    InputError
        for events that cannot be read, and codes that are not there.
    """
    named: dict[str, int] | None = None
    notes: list[str] = []
    conditions = None if options.event_id is None else list(options.event_id)
    has_channel = options.stim_channel is not None or len(mne.pick_types(raw.info, meg=False, stim=True)) > 0
    if run.events is None and table is not None:
        origin = table
        events, named, notes = _from_tsv(table, raw, conditions)
    elif run.events is None and not has_channel and len(raw.annotations):
        origin = run.path
        events, named = _from_annotations(raw, conditions)
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
        events, named, notes = _from_tsv(origin, raw, conditions)
    event_id = conditions_of(events[:, 2], named, options, origin)
    events = events[np.isin(events[:, 2], list(event_id.values()))]
    if not len(events):
        raise InputError(f"{origin} has no events of any condition; expected some, check events and event_id")
    return events, event_id, notes


__all__ = [
    "bids_root",
    "conditions_of",
    "is_epochs_file",
    "keep_bad_segments",
    "read_epochs",
    "read_events",
    "read_raw",
    "read_whole",
]
