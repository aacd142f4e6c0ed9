"""Finding the runs of a study on disk: a BIDS tree, or a plain folder of files.

::

    my_recording/
        recording.yaml                                       optional; options of MegOptions under the key meg
        stimuli/apple.png, ...                               a condition is called like its stimulus, without the suffix
        sub-01/meg/sub-01_task-objects_run-01_meg.fif        raw data (or *_epo.fif), in BIDS with or without sessions,
        sub-01/meg/sub-01_task-objects_run-01_events.tsv     whose trial_type names the conditions,
        sub-01/eeg/sub-01_task-objects_eeg.vhdr              (EEG: BrainVision, EDF, BDF, EEGLAB or FIF); or else
        meg/anna_run-1_raw.fif                               <subject>[_run-<run>] with a stimulus channel

Where several recordings fit, "select" in recording.yaml or under "meg" chooses by the entities of their names, as {task: objects}.
Without named events, stimulus i of the stimuli's order has code i + 1 (counted from 0), unless ``event_id`` or
``event_offset`` say otherwise.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from bioplausible.foundation.errors import InputError
from neurodata.entities import (
    A_RUN,
    ENTITIES,
    OF_ONE_RUN,
    check_place,
    checked_selection,
    choose,
    entities_at,
    entities_of,
    subjects_without,
)
from neurodata.meg.options import MegOptions, MegRun, options_from
from neurodata.meg.pipeline import pattern_sets, prepare
from neurodata.meg.reading import bids_root
from neurodata.pattern_set import PatternSet
from neurodata.presence import is_named
from neurodata.settings import FILE_NAME
from neurodata.spellings import find_names
from neurodata.stimuli import Stimuli, natural_key

LAYOUT = (
    "expected sub-*/meg/*_meg.fif or sub-*/eeg/*_eeg.vhdr|edf|set in BIDS, or meg/<subject>_run-<run>_raw.fif (or _meg.fif, "
    "_epo.fif)"
)
# files of BIDS trees that hold no task: calibration of the scanner and recordings of the empty room
_NO_TASK = re.compile(r"acq-(crosstalk|calibration)_|sub-emptyroom|task-noise_|_split-(?!0*1_)\d+")
_PLAIN_NAME = re.compile(
    r"(?P<subject>.+?)(?:[_-]run[_-]?(?P<run>\w+?))?(?:[_-](?:raw|meg|eeg|epo|tsss|sss|mc))*\.[^.]+(?:\.gz)?", re.I
)
_PART = re.compile(r"[_-](raw|meg|epo)-\d+\.fif(\.gz)?$", re.I)
_ENDINGS = {"meg": (".fif", ".fif.gz", ".ds", ".sqd", ".con", ".kdf"), "eeg": (".vhdr", ".edf", ".bdf", ".set", ".fif", ".fif.gz")}
_PLACES = tuple(f"{above}/{kind}/*" for above in ("sub-*", "sub-*/ses-*") for kind in _ENDINGS)
_DATATYPE = "datatype"


def _is_recording(path: Path) -> bool:
    name, kind = path.name.lower(), path.parent.name
    endings = [f"_{suffix}{ending}" for suffix in (kind, "epo") for ending in _ENDINGS[kind]]
    return name.endswith(tuple(endings)) and not name.startswith(".") and not _NO_TASK.search(path.name)


def _bids_run(path: Path, several: Collection[str]) -> MegRun:
    """Name subject and run by a BIDS file's entities, and find its events where no tree describes itself."""
    entities = entities_at(path)
    named = [f"{key}-{entities[key]}" for key in ("ses", "task", *several, "run") if key in entities]
    events = path.with_name(path.name.rpartition("_")[0].replace("_split-01", "") + "_events.tsv")
    stated = events if is_named(events) and bids_root(path) is None else None
    return MegRun(path, stated, subject=entities["sub"], run="_".join(dict.fromkeys(named)) or "1")


def _plain_run(path: Path) -> MegRun:
    entities = entities_of(path.name)
    match = _PLAIN_NAME.fullmatch(path.name)
    assert match is not None, "every name with an ending matches"
    stem = path.name.removesuffix(".gz").rpartition(".")[0]
    events = path.with_name(f"{stem}_events.tsv")
    stated = events if is_named(events) else None
    if "sub" in entities:  # a file of BIDS in another place: its sessions are no people of their own
        named = "_".join(f"{key}-{entities[key]}" for key in ("ses", "run") if key in entities) or "1"
        return MegRun(path, stated, subject=f"sub-{entities['sub']}", run=named if "ses" in entities else entities.get("run", "1"))
    return MegRun(path, stated, subject=match["subject"], run=match["run"] or "1")


def _bids_runs(paths: Iterable[Path], select: Mapping[str, tuple[str, ...]], origin: Path) -> list[MegRun]:
    """Choose recordings by the entities of their names; a folder of MEG beside one of EEG is a choice as well."""
    there = list(paths)
    for path in there:
        check_place(path)
    found = [(path, {**entities_at(path), _DATATYPE: path.parent.name}) for path in there]
    chosen = choose(found, select, origin)
    told = [entities for path, entities in found if path in chosen]
    several = [key for key in ENTITIES if key not in (*A_RUN, *OF_ONE_RUN) and len({each.get(key) for each in told}) > 1]
    return [_bids_run(path, several) for path in sorted(chosen, key=lambda path: natural_key(path.name))]


def _recordings(root: Path) -> tuple[list[Path], list[Path]]:
    """Files in BIDS's places, and those of a plain folder."""
    in_bids = [path for place in _PLACES for path in root.glob(place) if _is_recording(path)]
    plain = [
        path
        for kind, endings in _ENDINGS.items()
        for path in (root / kind).glob("*")
        if path.name.lower().endswith(endings) and not _PART.search(path.name) and not path.name.startswith(".")
    ]
    return in_bids, plain


def is_meg_folder(folder: Path) -> bool:
    """Say whether a folder holds MEG or EEG, whatever has to be chosen among it.

    Parameters
    ----------
    folder
        a user's folder.

    Returns
    -------
    True where there is a file in the layout above.
    """
    return any(_recordings(folder))


def find_runs(folder: str | os.PathLike[str], select: Mapping[str, Any] | None = None) -> list[MegRun]:
    """Find the runs in a folder.

    Parameters
    ----------
    folder
        in the layout above.
    select
        values by BIDS entity, such as ``{"task": "objects", "run": [1, 2]}``, and "datatype", meg or eeg.

    Returns
    -------
    runs in the natural order of their files' names; empty where there are none.

    Raises
    ------
    InputError
        for a value that no file has, and where files differ in an entity of which one has to be chosen.
    """
    root = Path(folder).expanduser()
    wanted = checked_selection(select, "select")
    in_bids, plain = _recordings(root)
    if in_bids:
        return _bids_runs(in_bids, wanted, root)
    runs = [_plain_run(path) for path in sorted(plain, key=lambda path: natural_key(path.name))]
    told = [
        (run, {"sub": run.subject, "run": run.run, _DATATYPE: run.path.parent.name, **_told(entities_of(run.path.name))})
        for run in runs
    ]
    return choose(told, wanted, root)


def _told(entities: Mapping[str, str]) -> Mapping[str, str]:
    """Entities of a file of a plain folder, where its name is BIDS's."""
    return {key: value for key, value in entities.items() if key != "sub"} if "sub" in entities else {}


def load_meg_folder(
    folder: str | os.PathLike[str], stated: Mapping[str, Any], stimuli: Stimuli, select: Mapping[str, Any] | None = None
) -> tuple[dict[str, PatternSet], Float64[np.ndarray, " n_times"], str]:
    """Load the raw FIF files of a user's folder as patterns, in the order of the stimuli.

    Parameters
    ----------
    folder
        in the layout above.
    stated
        options by the names of :class:`MegOptions`: what stands under "meg" in recording.yaml.
    stimuli
        whose ids name the conditions.
    select
        values by entity that files are chosen by.

    Returns
    -------
    regions "magnetometers", "gradiometers", "EEG"; (n_times,) seconds; and in words what was done.

    Raises
    ------
    InputError
        when there is no FIF file, for unknown options, for events that do not fit the stimuli, and whatever is wrong
        with a file.
    """
    root = Path(folder).expanduser()
    origin = str(root / FILE_NAME)
    runs, wanted = find_runs(root, select), checked_selection(select, "select")
    if not runs:
        raise InputError(f"no MEG or EEG file found in {root}; {LAYOUT}")
    options = options_from(stated, origin)
    ids = [str(identity) for identity in stimuli.ids]
    if options.event_id is None:
        event_id = {identity: index for index, identity in enumerate(ids)}
        offset = options.event_offset if "event_offset" in stated else 1
    else:
        spelled = find_names(options.event_id, ids)
        given = {spelled.get(name, name): trigger for name, trigger in options.event_id.items()}
        differing = set(given) ^ set(ids)
        if differing:
            name = min(differing, key=natural_key)
            where = "is no stimulus" if name in given else "has no trigger"
            raise InputError(f"{origin}: '{name}' {where} in event_id under 'meg'; expected one trigger for each stimulus's name")
        event_id = {identity: given[identity] for identity in ids}
        offset = options.event_offset
    prepared = prepare(runs, replace(options, event_id=event_id, event_offset=offset))
    regions = pattern_sets(prepared, str(root))
    n_trials, n_rejected = (
        sum(values) for values in zip(*((sum(e.n_trials), e.n_rejected) for e in prepared.values()), strict=True)
    )
    first = next(iter(prepared.values()))
    normalised = {
        "multivariate": f"whitened by each sensor type's noise covariance ({options.noise_covariance})",
        "univariate": f"divided by each sensor's noise ({options.noise_covariance})",
        "none": "in physical units",
    }[options.noise_normalisation]
    averaged = "each condition and run" if options.pseudo_trials is None else f"{options.pseudo_trials} pseudo-trials a condition"
    subjects = f"{len(prepared)} subject{'s' if len(prepared) > 1 else ''}"
    without = [] if "sub" in wanted else subjects_without(root, tuple(_ENDINGS), prepared, "no recording")
    every = dict.fromkeys((*(note for each in prepared.values() for note in each.notes), *without))
    said = "".join(f" {note}." for note in every)
    notes = (
        f"From {len(runs)} files of {subjects}: {n_trials} epochs used and {n_rejected} left out, averaged over {averaged}, "
        f"{normalised}; {len(first.times)} samples from {first.times[0]:g} to {first.times[-1]:g} s.{said}"
    )
    return regions, first.times, notes


def from_bids(
    root: str | os.PathLike[str],
    options: MegOptions | None = None,
    *,
    subjects: Iterable[str] | None = None,
    sessions: Iterable[str] | None = None,
    tasks: Iterable[str] | None = None,
    select: Mapping[str, Any] | None = None,
) -> tuple[dict[str, PatternSet], Float64[np.ndarray, " n_times"]]:
    """Load MEG or EEG of a BIDS tree; the column trial_type of events.tsv names the conditions.

    Parameters
    ----------
    root
        a folder with dataset_description.json; any format that mne-bids reads.
    options
        see :class:`MegOptions`; None takes its defaults, and all trial types are conditions.
    subjects, sessions, tasks
        entities to load, None for all; of tasks, None where there is one.
    select
        values by any entity of the files' names, as for :func:`find_runs`.

    Returns
    -------
    regions and times as :func:`neurodata.meg.patterns`.

    Raises
    ------
    InputError
        when the tree has no such recording, and whatever is wrong with a file.
    """
    from mne_bids import find_matching_paths

    tree = Path(root).expanduser()
    if not (tree / "dataset_description.json").is_file():
        raise InputError(f"{tree} has no dataset_description.json; expected the root of a BIDS tree")
    asked: dict[str, Sequence[str] | None] = {
        key: None if each is None else [str(name) for name in each]
        for key, each in (("subjects", subjects), ("sessions", sessions), ("tasks", tasks))
    }
    found = find_matching_paths(tree, **asked, datatypes=["meg", "eeg"], suffixes=["meg", "eeg"], check=True)
    sidecars = {".json", ".tsv", ".vmrk", ".eeg", ".fdt", ".dat"}
    paths = [Path(each.fpath) for each in found if each.extension not in sidecars and not _NO_TASK.search(each.basename)]
    if not paths:
        stated = "; ".join(f"{key} {', '.join(each)}" for key, each in asked.items() if each is not None)
        raise InputError(f"{tree} has no MEG or EEG recording{f' of {stated}' if stated else ''}; expected sub-*/meg/*_meg.*")
    stated_tasks = {} if asked["tasks"] is None else {"task": tuple(asked["tasks"])}
    runs = _bids_runs(paths, {**stated_tasks, **checked_selection(select, "select")}, tree)
    prepared = prepare(runs, options or MegOptions())
    for note in (note for each in prepared.values() for note in each.notes):
        warnings.warn(note, stacklevel=2)
    return pattern_sets(prepared, str(tree)), next(iter(prepared.values())).times


__all__ = ["LAYOUT", "find_runs", "from_bids", "is_meg_folder", "load_meg_folder"]
