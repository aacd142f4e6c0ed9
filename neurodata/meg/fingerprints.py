"""What a result follows from, as checksums: the content of a run's files and the code that reads them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import mne
import numpy as np

from bioplausible.foundation.errors import InputError
from neurodata.cache import file_sha256
from neurodata.meg.options import MegRun

SPLIT = re.compile(r"_split-\d+$")


def contents_of(run: MegRun) -> tuple[str, ...]:
    """Fingerprint what a run is read from: its file, the parts it was split into, its events and BIDS sidecars.

    Parameters
    ----------
    run
        whose file may be a folder, as CTF's are.

    Returns
    -------
    name and sha256 of each file, and of events that were given as an array their bytes.

    Raises
    ------
    InputError
        when the file is not there.
    """
    path = run.path
    if not path.exists():
        raise InputError(f"{path} does not exist; expected a FIF file of raw data or epochs")
    stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
    beside = f"{SPLIT.sub('', stem.rpartition('_')[0])}_*" if stem.startswith("sub-") and "_" in stem else f"{stem}*"
    files = {each for each in path.parent.glob(beside) if each.is_file()}
    files |= {each for each in path.rglob("*") if each.is_file()} if path.is_dir() else {path}
    stated: tuple[str, ...] = ()
    if isinstance(run.events, np.ndarray):
        stated = (run.events.tobytes().hex(),)
    elif run.events is not None:
        events = Path(run.events).expanduser()
        if not events.is_file():
            raise InputError(f"{events} does not exist; expected the events of {path}")
        files.add(events)
    return (*(f"{each.name} {file_sha256(each)}" for each in sorted(files)), *stated)


@cache
def code_version() -> tuple[str, ...]:
    """Fingerprint the code that patterns come from, lest those of an older one be taken for its own."""
    own = sorted(Path(__file__).parent.glob("*.py"))
    return (*(f"{path.name} {file_sha256(path)}" for path in own), f"mne {mne.__version__}")


__all__ = ["code_version", "contents_of"]
