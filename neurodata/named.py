"""What a recording with a name states about itself before anything is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.progress import Progress
from neurodata.cache import RemoteFile, is_cached
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
    fetched_bytes
        about how much another library's fetcher downloads beside the files.
    is_fetched
        says whether what the fetcher downloads is there; None where there is no such fetcher.
    fetch
        downloads that, reporting to a progress function where it can, and gives its paths; None where there is no such fetcher.
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
    fetched_bytes: int = 0
    is_fetched: Callable[[], bool] | None = None
    fetch: Callable[[Progress | None], tuple[Path, ...]] | None = None
    references: Callable[[Progress | None], Mapping[str, np.ndarray]] | None = None

    @property
    def size_bytes(self) -> int:
        """Size of all that it downloads."""
        return self.fetched_bytes + sum(remote.size_bytes or 0 for remote in self.files)

    @property
    def cached(self) -> bool:
        """Whether all that it needs is there, by size."""
        return all(is_cached(remote) for remote in self.files) and (self.is_fetched is None or self.is_fetched())


def check_subjects(recording: str, subjects: Sequence[int], there: Sequence[int]) -> None:
    """Refuse subjects that a recording has not, and none at all.

    Raises
    ------
    InputError
        for these.
    """
    unknown = [subject for subject in subjects if subject not in there]
    if unknown or not len(subjects):
        what = f"no subject {unknown[0]}" if unknown else "to be asked for at least one subject"
        raise InputError(f"{recording} has {what}; expected some of {', '.join(map(str, there))}")


__all__ = ["NamedRecording", "check_subjects"]
