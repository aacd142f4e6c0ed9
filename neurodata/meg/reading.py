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
import pandas as pd
from mne.utils import catch_logging

from bioplausible.foundation.errors import InputError
from neurodata.event_tables import read_event_table
from neurodata.meg.channels import read_channels, types_by_name
from neurodata.meg.options import MegOptions, MegRun
from neurodata.presence import check_content, is_named
from neurodata.spellings import find_names
from neurodata.text_tables import NO_LABEL, numbers, read_table

_STIMULUS = "Stimulus"  # BrainVision's kind of marker for what is shown, beside Response, Optic, Comment and others
# of what MNE warns of while it reads, what means that something is missing
_MADE_UP_FOR = re.compile(r"file size|outside (the )?data range|discontinuit|truncated", re.IGNORECASE)
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


def read_whole(read: Callable[[], Any], path: Path, expected: str, notes: list[str] | None = None) -> Any:
    """Call MNE's reader, and make one sentence of what it warns of or trips over.

    Parameters
    ----------
    read, path
        the reader, and what it reads.
    expected
        what that should be, for errors.
    notes
        to which is added what the reader made up for: a file that is shorter than it says, markers behind its end.

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
            if isinstance(error, OSError) and isinstance(error.filename, str):
                check_content(error.filename)
                if isinstance(error, FileNotFoundError) and Path(error.filename) != path:
                    raise InputError(
                        f"{path} names {Path(error.filename).name} as a part of it, which is not beside it; "
                        f"expected {expected} with "
                        "all its parts: copy that too or, where the files were renamed, correct the name in the text of this one"
                    ) from error
            if any("Invalid tag" in str(each.message) for each in caught):
                raise _truncated(path, expected) from error
            if "number of trials" in str(error):  # of EEGLAB, whose files have one ending for both
                raise InputError(
                    f"{path} holds epochs; expected {expected}: save the recording before it is cut, or epochs as *_epo.fif"
                ) from error
            reason = " ".join(str(error).split()).replace(str(path), "it").rstrip(".") or type(error).__name__
            raise InputError(f"{path} cannot be read ({reason}); expected {expected}, export or copy it again") from error
    if any("Invalid tag" in str(each.message) for each in caught):
        raise _truncated(path, expected)
    if notes is not None:
        said = [" ".join(str(each.message).split()).rstrip(".") for each in caught if _MADE_UP_FOR.search(str(each.message))]
        notes += [f"{path}: {each}" for each in dict.fromkeys(said)]
    return found


def _truncated(path: Path, expected: str) -> InputError:
    return InputError(f"{path} is truncated: the file ends before its data do; expected {expected}, copy it again")


def read_raw(path: Path, missing_splits: str = "raise") -> tuple[mne.io.BaseRaw, Path | None, list[str]]:
    """Read raw data into memory, name the events.tsv that a BIDS tree has for it, and note what was done to its channels.

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

            notes: list[str] = []
            raw = read_whole(read_tree, path, expected, notes)
            sidecar, channels = (
                tree.find_matching_sidecar(suffix=suffix, extension=".tsv", on_error="ignore") for suffix in ("events", "channels")
            )
            notes += [] if channels is not None or _has_types(path) else types_by_name(raw, path)
            return raw, None if sidecar is None else Path(sidecar), notes

    def read_file() -> mne.io.BaseRaw:
        if path.name.lower().endswith((".fif", ".fif.gz")):
            return mne.io.read_raw_fif(path, preload=True, on_split_missing=missing_splits, verbose="warning")
        return mne.io.read_raw(path, preload=True, verbose="warning")

    said: list[str] = []
    raw = read_whole(read_file, path, expected, said)
    table = path.with_name(f"{_stem(path)}_channels.tsv")
    if is_named(table):
        read_channels(raw, table)
        return raw, None, said
    return raw, None, said if _has_types(path) else said + types_by_name(raw, path)


def _has_types(path: Path) -> bool:
    """Whether a format says of each channel what it is."""
    return path.name.lower().endswith((".fif", ".fif.gz", ".ds", ".sqd", ".con", ".kdf"))


def _stem(path: Path) -> str:
    """What a recording shares with the tables beside it: its name without ending and, in BIDS, suffix."""
    name = path.name.removesuffix(".gz").rpartition(".")[0]
    head, _, suffix = name.rpartition("_")
    return head.replace("_split-01", "") if head and suffix.lower() in {"meg", "eeg"} else name


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


def _from_tsv(path: Path, raw: mne.io.BaseRaw, conditions: Sequence[str] | None) -> tuple[Events, dict[str, int] | None, list[str]]:
    """Events of a BIDS events.tsv: onsets in seconds from the first sample, named by trial_type, else the codes of "value".

    What MNE takes for bad segments (BAD_…, EDGE…) is no condition, unless a stimulus is called so.
    """
    cells = read_table(path)
    names_nothing = "trial_type" not in cells or all(str(name).lower() in NO_LABEL for name in cells["trial_type"])
    if names_nothing and "value" in cells and "onset" in cells:
        return _from_values(path, cells, raw)
    table, notes = read_event_table(path, str(path), conditions=conditions, needs_duration=False)
    known = set(conditions or ())
    wanted = [name in known or not name.startswith(_BAD_SEGMENTS) for name in table["trial_type"]]
    table = table[np.array(wanted, dtype=bool)]
    event_id = {str(name): index + 1 for index, name in enumerate(dict.fromkeys(table["trial_type"]))}
    codes = np.array([event_id[name] for name in table["trial_type"]], dtype=int)
    return _events_at(table["onset"].to_numpy(dtype=float), codes, raw), event_id, notes


def _from_values(path: Path, cells: pd.DataFrame, raw: mne.io.BaseRaw) -> tuple[Events, None, list[str]]:
    there = np.flatnonzero([str(value).lower() not in NO_LABEL for value in cells["value"]])
    codes = numbers(cells, "value", str(path), "a trigger's code", there)
    if (codes != np.round(codes)).any():
        raise InputError(f"{path}: 'value' holds {codes[codes != np.round(codes)][0]:g}; expected whole numbers, triggers' codes")
    onsets = numbers(cells, "onset", str(path), "seconds", there)
    note = f"{path} names no condition by trial_type, so that the codes in 'value' were taken"
    return _events_at(onsets, codes.astype(int), raw), None, [note]


def _events_at(onsets: np.ndarray, codes: np.ndarray, raw: mne.io.BaseRaw) -> Events:
    """Events of some codes at onsets in seconds from the first sample."""
    samples = raw.first_samp + np.round(onsets * raw.info["sfreq"]).astype(int)
    return np.stack([samples, np.zeros_like(codes), codes], axis=1)


def _from_channel(raw: mne.io.BaseRaw, options: MegOptions, path: Path) -> tuple[Events, int | None]:
    """Events of the stimulus channel, and the code that it holds from the first sample on, whose onset nobody knows."""
    channel = "stimulus channel" if options.stim_channel is None else f"stimulus channel {options.stim_channel}"
    try:
        # what MNE makes of codes below 0, and of one that is there from the start, it says in its log alone
        with catch_logging() as log, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            events = mne.find_events(
                raw, stim_channel=options.stim_channel, min_duration=options.minimum_trigger_duration, verbose="info"
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
            f"{path} has no events on the {channel} (it has the stimulus channels: {have}); "
            "name another as stim_channel, or give an events.tsv"
        ) from error
    said = " ".join(log.getvalue().split())
    if "negative values" in said:
        raise InputError(
            f"{path}: the {channel} holds codes below 0, of which it is not known whether the sign or "
            "the highest bit is wrong; expected codes above 0, name another as stim_channel or give an events.tsv"
        )
    held = re.search(r"non-zero initial value of (\d+)", said)
    return events, None if held is None else int(held[1])


def _named_by(texts: Sequence[str], conditions: Sequence[str], path: Path) -> dict[str, str]:
    """The conditions that texts name, as a whole or, as BrainVision puts a marker's kind before it, behind the first stroke."""
    named = find_names(texts, conditions)
    behind = {text: text.partition("/")[2] for text in texts if text not in named and "/" in text}
    found = find_names(behind.values(), conditions)
    by_kind = {text: found[name] for text, name in behind.items() if name in found}
    by_kind = {text: name for text, name in by_kind.items() if text.startswith(_STIMULUS)} or by_kind
    names = [*named.values(), *by_kind.values()]
    twice = next((name for name in by_kind.values() if names.count(name) > 1), None)
    if twice is not None:
        both = [text for text, name in (named | by_kind).items() if name == twice]
        raise InputError(f"{path} has the markers '{both[0]}' and '{both[1]}', which both name '{twice}'; give an events.tsv")
    return named | by_kind


def _from_annotations(raw: mne.io.BaseRaw, conditions: Sequence[str] | None, path: Path) -> tuple[Events, dict[str, int] | None]:
    """Events that the file has as texts, as BrainVision, EDF and EEGLAB do: named, or the codes that their texts end with.

    Where some of BrainVision's markers are stimuli, the others (responses, say) are not, whatever their number.
    """
    texts = sorted({str(each) for each in raw.annotations.description})
    named = _named_by(texts, conditions, path) if conditions is not None else {}
    if named or conditions is None:
        # a stimulus may be called badger
        chosen = {text: index for index, text in enumerate(sorted(texts), 1) if text in named or not text.startswith(_BAD_SEGMENTS)}
        events, codes = mne.events_from_annotations(raw, event_id=chosen, regexp=None, verbose="error")
        return events, {named.get(text, text): code for text, code in codes.items()}
    numbered = {text: int(match[0]) for text in texts if (match := re.search(r"\d+$", text)) and not text.startswith(_BAD_SEGMENTS)}
    shown = {text: code for text, code in numbered.items() if text.startswith(_STIMULUS)} or numbered
    text_of: dict[int, str] = {}
    for text, code in sorted(shown.items()):
        if code in text_of:
            raise InputError(
                f"{path} has the markers '{text_of[code]}' and '{text}', which end in one number; expected one kind of marker for "
                "what was shown, give an events.tsv"
            )
        text_of[code] = text
    events, codes = mne.events_from_annotations(raw, event_id=shown or "auto", regexp=None, verbose="error")
    return events, None if shown else codes


def _behind_the_end(samples: np.ndarray, raw: mne.io.BaseRaw, origin: Path) -> list[str]:
    """Count events outside the recording: single ones are what a recording stopped early leaves, most of them another file's.

    Raises
    ------
    InputError
        where half of them or more are outside.
    """
    outside = (samples < raw.first_samp) | (samples > raw.last_samp)
    if not outside.any():
        return []
    place = (samples[outside][0] - raw.first_samp) / raw.info["sfreq"]
    seconds = raw.n_times / raw.info["sfreq"]
    said = f"{origin}: {int(outside.sum())} of {len(samples)} events lie outside the recording of {seconds:g} s"
    if 2 * outside.sum() >= len(samples):
        raise InputError(
            f"{said}, such as one at {place:g} s; expected onsets in seconds from the first sample, and a "
            "whole recording: check the "
            "unit, or copy it again"
        )
    return [f"{said} and were left out"]


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
    held: int | None = None
    conditions = None if options.event_id is None else list(options.event_id)
    has_channel = options.stim_channel is not None or len(mne.pick_types(raw.info, meg=False, stim=True)) > 0
    if run.events is None and table is not None:
        origin = table
        events, named, notes = _from_tsv(table, raw, conditions)
    elif run.events is None and not has_channel and len(raw.annotations):
        origin = run.path
        events, named = _from_annotations(raw, conditions, run.path)
    elif run.events is None:
        (events, held), origin = _from_channel(raw, options, run.path), run.path
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
    notes += _behind_the_end(events[:, 0], raw, origin)
    if held in event_id.values():
        notes.append(f"{origin}: the stimulus channel holds code {held} from its first sample on; what began before was left out")
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
