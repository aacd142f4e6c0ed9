"""The recordings that have a name, and finding a recording by name or folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.progress import Progress
from neurodata import (
    cichy92,
    cowley_v4,
    haxby2001,
    kriegeskorte92,
    miyawaki2008,
    simulated,
    things_fmri,
    things_meg,
    visual92_meg,
    zhang_desimone,
)
from neurodata.cache import fetch_all
from neurodata.folder import load_folder
from neurodata.named import NamedRecording
from neurodata.recording import Recording

# a new recording: its own file with a RECORDING, its line here, its row in tests/neurodata/test_registry.py
RECORDINGS: Mapping[str, NamedRecording] = MappingProxyType(
    {
        "kriegeskorte92": kriegeskorte92.RECORDING,
        "cichy92": cichy92.RECORDING,
        "haxby2001": haxby2001.RECORDING,
        "miyawaki2008": miyawaki2008.RECORDING,
        "visual92_meg": visual92_meg.RECORDING,
        "things_fmri": things_fmri.RECORDING,
        "things_meg": things_meg.RECORDING,
        **cowley_v4.RECORDINGS,
        "zhang_desimone": zhang_desimone.RECORDING,
        "simulated": simulated.RECORDING,
    }
)


def _named(name: str) -> NamedRecording:
    if name not in RECORDINGS:
        raise unknown_name("recording", name, RECORDINGS)
    return RECORDINGS[name]


def names() -> tuple[str, ...]:
    """Name the recordings that :func:`load` knows.

    Returns
    -------
    their names, as :func:`load` takes them.

    >>> names()
    ('kriegeskorte92', 'cichy92', 'haxby2001', 'miyawaki2008', 'visual92_meg', 'things_fmri', 'things_meg',
     'cowley_v4', 'cowley_v4_201025', 'cowley_v4_190923', 'cowley_v4_210621', 'zhang_desimone', 'simulated')
    """
    return tuple(RECORDINGS)


def describe(name: str) -> dict[str, Any]:
    """State what a named recording is, without downloading anything.

    Parameters
    ----------
    name
        one of :func:`names`.

    Returns
    -------
    name, modality, n_conditions, citation, licence, size_bytes, and cached: whether all its files are there (by size
    where that is known; what is downloaded by checksum has been checked then).

    Raises
    ------
    InputError
        for an unknown name.

    >>> describe("simulated")["size_bytes"]
    0
    """
    named = _named(name)
    return {
        "name": named.name,
        "modality": named.modality,
        "n_conditions": named.n_conditions,
        "citation": named.citation,
        "licence": named.licence,
        "size_bytes": named.size_bytes,
        "cached": named.cached,
    }


def references(name: str, progress: Progress | None = None) -> Mapping[str, np.ndarray]:
    """Load RDMs that were published for a named recording's stimuli, in their order.

    Parameters
    ----------
    name
        one of :func:`names`, or a folder.
    progress
        called with bytes so far, bytes in all and a line to show while files are downloaded.

    Returns
    -------
    condensed RDMs, (n_pairs,), by name; empty where there are none, or the recording is a folder.
    """
    named = RECORDINGS.get(name)
    return {} if named is None or named.references is None else named.references(progress)


def download(name: str, progress: Progress | None = None) -> tuple[Path, ...]:
    """Download a named recording's files into the cache folder, those alone that are not there yet.

    Parameters
    ----------
    name
        one of :func:`names`.
    progress
        called with bytes so far, bytes in all and a line to show.

    Returns
    -------
    paths of all its files; none of a recording that needs no download.

    Raises
    ------
    InputError
        for an unknown name, or as :func:`neurodata.fetch` does.
    """
    named = _named(name)
    paths = fetch_all(named.files, progress=progress)
    return paths if named.fetch is None else (*paths, *named.fetch(progress))


def load(
    name_or_folder: str | os.PathLike[str], progress: Progress | None = None, select: Mapping[str, Any] | None = None
) -> Recording:
    """Load a recording by name, or from a folder of the user's own.

    Parameters
    ----------
    name_or_folder
        one of :func:`names`, or a folder in the layout of :mod:`neurodata.folder`. A name goes before a
        folder of the same name in the working directory, which ``./name`` or a Path reaches.
    progress
        called with bytes so far, bytes in all and a line to show while files are downloaded.
    select
        which raw files of a folder, by the entities of their names, such as ``{"task": "objects", "res": 2}``; each goes before
        what recording.yaml states.

    Returns
    -------
    the recording.

    Raises
    ------
    InputError
        for an unknown name or a missing folder, for whatever is wrong with the files.
    """
    if isinstance(name_or_folder, str):
        if name_or_folder in RECORDINGS:
            if select:
                raise InputError(
                    f"a selection was given with the named recording '{name_or_folder}'; expected one with a folder alone"
                )
            return RECORDINGS[name_or_folder].load(progress)
        check_name(name_or_folder)
    return load_folder(Path(name_or_folder).expanduser(), select)


def check_name(name_or_folder: str) -> None:
    """Check that what is called so may be a recording, without loading anything.

    Parameters
    ----------
    name_or_folder
        one of :func:`names`, or a folder.

    Raises
    ------
    InputError
        for a name of none, which is no path either; a folder is looked into when it is loaded.
    """
    looks_like_path = os.sep in name_or_folder or name_or_folder.startswith((".", "~"))
    if name_or_folder in RECORDINGS or looks_like_path or Path(name_or_folder).exists():
        return
    error = unknown_name("recording", name_or_folder, RECORDINGS)
    error.args = (f"{error}, or a folder of your own (there is none at {name_or_folder})",)
    raise error


__all__ = ["RECORDINGS", "check_name", "describe", "download", "load", "names", "references"]
