"""What a result follows from beside the files that are opened on the way: a run's own data, which sidecars lie there, the code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import mne
import mne_bids
import numpy as np

from bioplausible.foundation.errors import InputError
from neurodata import entities, event_tables, spellings, text_tables
from neurodata.cache import file_sha256
from neurodata.meg.options import MegRun
from neurodata.meg.reading import bids_root
from neurodata.presence import check_content

# of a sidecar's name, and not of the run's that it belongs to
_OF_SIDECARS = ("space", "split", "acq", "recording", "proc", "desc")

_OF_TREES = ("dataset_description.json", "participants.tsv", "participants.json")


def tree_of(run: MegRun) -> Path:
    """The folder in which a run's sidecars lie: its BIDS tree, else that of its file."""
    return bids_root(run.path) or run.path.absolute().parent


def common_folder(runs: Sequence[MegRun]) -> Path | None:
    """The folder that holds what all of some runs are read from, or None where they lie on several drives."""
    try:
        return Path(os.path.commonpath([tree_of(run) for run in runs]))
    except ValueError:
        return None


def _could_be_read(run: MegRun) -> list[str]:
    """Names of the files that BIDS's inheritance offers for a run: a new one counts before anybody has opened it."""
    path, root = run.path.absolute(), tree_of(run)
    own = entities.entities_of(path.name)
    folders = [each for each in (path.parent, *path.parents) if each == root or root in each.parents]
    return sorted(
        f"{folder.relative_to(root).as_posix()}/{file.name}"
        for folder in dict.fromkeys(folders)
        for file in folder.iterdir()
        if file.is_file()
        and not file.name.startswith(".")
        and all(own.get(key) == value for key, value in entities.entities_of(file.name).items() if key not in _OF_SIDECARS)
        and (
            bool(entities.entities_of(file.name)) or file.name in _OF_TREES
            if own
            else file.name.startswith(path.name.partition(".")[0])
        )
    )


def contents_of(run: MegRun) -> tuple[str, ...]:
    """Fingerprint what a run is read from: its data and stated events, and the names of what may be read beside them.

    The content of sidecars is not in it: those that were opened are known to :func:`neurodata.derived.derived`.

    Parameters
    ----------
    run
        whose file may be a folder, as CTF's are.

    Returns
    -------
    name and sha256 of each file, names of sidecars, and of events that were given as an array their bytes.

    Raises
    ------
    InputError
        when the file is not there.
    """
    path = run.path
    check_content(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; expected a file of raw data or epochs")
    files = {each for each in path.rglob("*") if each.is_file()} if path.is_dir() else {path}
    stated: tuple[str, ...] = ()
    if isinstance(run.events, np.ndarray):
        stated = (run.events.tobytes().hex(),)
    elif run.events is not None:
        events = Path(run.events).expanduser()
        check_content(events)
        if not events.is_file():
            raise InputError(f"{events} does not exist; expected the events of {path}")
        files.add(events)
    return (*(f"{each.name} {file_sha256(each)}" for each in sorted(files)), *_could_be_read(run), *stated)


@cache
def code_version() -> tuple[str, ...]:
    """Fingerprint the code that patterns come from, lest those of an older one be taken for its own."""
    shared = (Path(str(module.__file__)) for module in (entities, event_tables, spellings, text_tables))
    own = sorted([*Path(__file__).parent.glob("*.py"), *shared])
    return (*(f"{path.name} {file_sha256(path)}" for path in own), f"mne {mne.__version__}", f"mne-bids {mne_bids.__version__}")


__all__ = ["code_version", "common_folder", "contents_of", "tree_of"]
