"""What a recording with a name states about itself before anything is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from neurodata.cache import Progress, RemoteFile
from neurodata.recording import Recording


@dataclass(frozen=True)
class NamedRecording:
    """One entry of the registry.

    Parameters
    ----------
    name
        what ``neurodata.load`` is given.
    load
        reads it, downloading what is not there; takes a progress function or None.
    modality
        "fmri", "meg", "eeg" or "simulated ...".
    n_conditions
        number of stimuli.
    citation
        the publication to cite.
    licence
        the terms of use.
    files
        what it needs on disk; empty where it is made on the spot.
    references
        reads RDMs that were published for the same stimuli in the same order, condensed, by name; None where there are none.
    """

    name: str
    load: Callable[[Progress | None], Recording]
    modality: str
    n_conditions: int
    citation: str
    licence: str
    files: tuple[RemoteFile, ...] = ()
    references: Callable[[Progress | None], Mapping[str, np.ndarray]] | None = None

    @property
    def size_bytes(self) -> int:
        """Size of all its files."""
        return sum(remote.size_bytes or 0 for remote in self.files)


__all__ = ["NamedRecording"]
