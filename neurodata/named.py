"""What a recording with a name states about itself before anything is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from neurodata.cache import Progress, RemoteFile, is_cached
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
    archive_bytes
        size of what another library's fetcher downloads beside the files; 0 where there is no such thing.
    has_archive
        says whether that is there already, without downloading it.
    fetch_archive
        downloads it where it is not there yet; takes a progress function or None.
    """

    name: str
    load: Callable[[Progress | None], Recording]
    modality: str
    n_conditions: int
    citation: str
    licence: str
    files: tuple[RemoteFile, ...] = ()
    references: Callable[[Progress | None], Mapping[str, np.ndarray]] | None = None
    archive_bytes: int = 0
    has_archive: Callable[[], bool] | None = None
    fetch_archive: Callable[[Progress | None], object] | None = None

    @property
    def size_bytes(self) -> int:
        """Size of all that it needs on disk."""
        return self.archive_bytes + sum(remote.size_bytes or 0 for remote in self.files)

    @property
    def cached(self) -> bool:
        """Whether all that it needs is there, by size; checksums are checked on loading."""
        return all(is_cached(remote) for remote in self.files) and (self.has_archive is None or self.has_archive())


__all__ = ["NamedRecording"]
