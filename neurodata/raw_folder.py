"""What a user's folder holds of raw files: BOLD runs, or MEG and EEG, found by their names and brought to patterns.

A new kind of raw file is a function that says whether a folder holds some, one that loads them, and a line in ``KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from bioplausible.foundation.errors import InputError
from neurodata.entities import checked_selection
from neurodata.pattern_set import PatternSet
from neurodata.stimuli import Stimuli

Selection: TypeAlias = Mapping[str, tuple[str, ...]]


class Raw(NamedTuple):
    """Patterns of the regions of some raw files, the times of those that have any, and notes for a report."""

    regions: dict[str, PatternSet]
    times: np.ndarray | None
    notes: tuple[str, ...]
    modality: str


class Kind(NamedTuple):
    """One kind of raw file; ``load`` takes the folder, what recording.yaml states under its name, the stimuli and a selection."""

    is_there: Callable[[Path], bool]
    load: Callable[[Path, Mapping[str, Any], Stimuli, Selection], Raw]
    layout: str


# nilearn and MNE are slow to import, and most folders hold nothing for them.


def _is_fmri(folder: Path) -> bool:
    return next(folder.glob("**/func"), None) is not None and _fmri().is_fmri_folder(folder)


def _is_meg(folder: Path) -> bool:
    places = ("sub-*/meg/*", "sub-*/eeg/*", "sub-*/ses-*/meg/*", "sub-*/ses-*/eeg/*", "meg/*", "eeg/*")
    return any(next(folder.glob(place), None) is not None for place in places) and _meg().is_meg_folder(folder)


def _fmri() -> Any:
    from neurodata import fmri

    return fmri


def _meg() -> Any:
    from neurodata import meg

    return meg


def _load_fmri(folder: Path, stated: Mapping[str, Any], stimuli: Stimuli, select: Selection) -> Raw:
    regions, notes = _fmri().load_fmri_folder(folder, stated, stimuli, select=select)
    return Raw(regions, None, notes, "fmri")


def _load_meg(folder: Path, stated: Mapping[str, Any], stimuli: Stimuli, select: Selection) -> Raw:
    regions, times, notes = _meg().load_meg_folder(folder, stated, stimuli, select)
    return Raw(regions, times, (notes,), "eeg" if list(regions) == ["EEG"] else "meg")


KINDS: Mapping[str, Kind] = {
    "fmri": Kind(_is_fmri, _load_fmri, "sub-*/func/*_bold.nii.gz with *_events.tsv, and masks/<region>.nii.gz"),
    "meg": Kind(_is_meg, _load_meg, "sub-*/meg/*_meg.fif, sub-*/eeg/*_eeg.vhdr|edf|set or meg/*.fif"),
}
LAYOUT = "; or raw files: " + ", or ".join(kind.layout for kind in KINDS.values())


def found_kinds(folder: Path) -> list[str]:
    """Name the kinds of raw files that a folder holds."""
    return [name for name, kind in KINDS.items() if kind.is_there(folder)]


def load_raw(folder: Path, settings: Mapping[str, Any], stimuli: Stimuli, select: Mapping[str, Any] | None = None) -> list[Raw]:
    """Bring every kind of raw file in a folder to patterns.

    Parameters
    ----------
    folder
        a user's folder.
    settings
        what recording.yaml states; options of a kind stand under its name.
    stimuli
        whose ids are the names of the conditions; patterns come in their order.
    select
        entities that files are chosen by, each before what recording.yaml states as "select" for all kinds or for one.

    Raises
    ------
    InputError
        for files that cannot be read or do not fit together, and options stated wrongly.
    """
    origin = f"{folder / 'recording.yaml'}: 'select'"
    kinds = found_kinds(folder)
    stated_for_all, asked = checked_selection(settings.get("select"), origin), checked_selection(select, "select")
    if (given := {**stated_for_all, **asked}) and not kinds:
        raise InputError(f"{folder} has a selection ({', '.join(given)}) but no raw files to choose from; leave it out")
    raws = []
    for name in kinds:
        stated = dict(settings.get(name) or {})
        own = checked_selection(stated.pop("select", None), f"{folder / 'recording.yaml'}: 'select' under '{name}'")
        raws.append(KINDS[name].load(folder, stated, stimuli, {**stated_for_all, **own, **asked}))
    return raws


__all__ = ["KINDS", "LAYOUT", "Raw", "found_kinds", "load_raw"]
