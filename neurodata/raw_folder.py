"""What a user's folder holds of raw files: BOLD runs, or MEG and EEG, found by their names and brought to patterns.

A new kind of raw file is a function that says whether a folder holds some, one that loads them, and a line in ``KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurodata.pattern_set import PatternSet
from neurodata.stimuli import Stimuli


class Raw(NamedTuple):
    """Patterns of the regions of some raw files, the times of those that have any, and notes for a report."""

    regions: dict[str, PatternSet]
    times: np.ndarray | None
    notes: tuple[str, ...]
    modality: str


class Kind(NamedTuple):
    """One kind of raw file; ``load`` takes the folder, what recording.yaml states under the kind's name, and the stimuli."""

    is_there: Callable[[Path], bool]
    load: Callable[[Path, Mapping[str, Any], Stimuli], Raw]
    layout: str


# nilearn and MNE are slow to import, and most folders hold nothing for them.


def _is_fmri(folder: Path) -> bool:
    return next(folder.glob("**/func/*_bold.nii*"), None) is not None and _fmri().is_fmri_folder(folder)


def _is_meg(folder: Path) -> bool:
    return next(folder.glob("**/*.fif*"), None) is not None and bool(_meg().find_runs(folder))


def _fmri() -> Any:
    from neurodata import fmri

    return fmri


def _meg() -> Any:
    from neurodata import meg

    return meg


def _load_fmri(folder: Path, stated: Mapping[str, Any], stimuli: Stimuli) -> Raw:
    regions, notes = _fmri().load_fmri_folder(folder, stated, stimuli)
    return Raw(regions, None, notes, "fmri")


def _load_meg(folder: Path, stated: Mapping[str, Any], stimuli: Stimuli) -> Raw:
    regions, times, notes = _meg().load_meg_folder(folder, stated, stimuli)
    return Raw(regions, times, (notes,), "eeg" if list(regions) == ["EEG"] else "meg")


KINDS: Mapping[str, Kind] = {
    "fmri": Kind(_is_fmri, _load_fmri, "sub-*/func/*_bold.nii.gz with *_events.tsv, and masks/<region>.nii.gz"),
    "meg": Kind(_is_meg, _load_meg, "sub-*/meg/*_meg.fif or meg/*.fif"),
}
LAYOUT = "; or raw files: " + ", or ".join(kind.layout for kind in KINDS.values())


def found_kinds(folder: Path) -> list[str]:
    """Name the kinds of raw files that a folder holds."""
    return [name for name, kind in KINDS.items() if kind.is_there(folder)]


def load_raw(folder: Path, settings: Mapping[str, Any], stimuli: Stimuli) -> list[Raw]:
    """Bring every kind of raw file in a folder to patterns.

    Parameters
    ----------
    folder
        a user's folder.
    settings
        what recording.yaml states; options of a kind stand under its name.
    stimuli
        whose ids are the names of the conditions; patterns come in their order.

    Raises
    ------
    InputError
        for files that cannot be read or do not fit together, and options stated wrongly.
    """
    return [KINDS[name].load(folder, settings.get(name) or {}, stimuli) for name in found_kinds(folder)]


__all__ = ["KINDS", "LAYOUT", "Raw", "found_kinds", "load_raw"]
