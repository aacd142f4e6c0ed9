"""Part of a recording: some subjects, regions or stimuli, as when a result is held against its choice of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from bioplausible.foundation.errors import InputError, unknown_name
from neurodata.pattern_set import PatternSet
from neurodata.rdm_set import RdmSet
from neurodata.recording import Recording, Region
from neurodata.stimuli import MINIMUM_CONDITIONS, Stimuli

__all__ = ["select"]


def select(
    recording: Recording,
    subjects: Sequence[str] = (),
    exclude_subjects: Sequence[str] = (),
    regions: Sequence[str] = (),
    conditions: Sequence[str] = (),
) -> Recording:
    """Take a part of a recording; what is left empty is taken whole.

    Parameters
    ----------
    recording
        The whole.
    subjects
        Names of those that are kept.
    exclude_subjects
        Names of those that are left out.
    regions
        Names of those that are kept.
    conditions
        Names of stimuli, or of categories of stimuli, that are kept; they stay in the recording's order.

    Returns
    -------
    the part, whose notes say what it is a part of.

    Raises
    ------
    InputError
        when a name is nobody's, or when too little is left.

    >>> from neurodata import load
    >>> part = select(load("simulated"), exclude_subjects=["simulated_01"], regions=["early (simulated)"])
    >>> list(part.regions), part.regions["early (simulated)"].subjects[0]
    (['early (simulated)'], 'simulated_02')
    """
    everybody = list(dict.fromkeys(name for region in recording.regions.values() for name in region.subjects))
    for kind, given, valid in (
        ("region", regions, list(recording.regions)),
        ("subject", [*subjects, *exclude_subjects], everybody),
    ):
        for name in given:
            if name not in valid:
                raise unknown_name(f"{kind} of recording '{recording.name}'", name, valid)
    kept = [name for name in everybody if (not subjects or name in subjects) and name not in exclude_subjects]
    places = _places(recording.stimuli, conditions, recording.name)
    found: dict[str, Region] = {}
    for name in regions or recording.regions:
        region = recording.regions[name]
        own = [each for each in region.subjects if each in kept]
        if not own:
            raise InputError(
                f"region '{name}' of recording '{recording.name}' has none of the subjects that are left "
                f"({', '.join(kept) or 'none'}): it has {', '.join(region.subjects)}"
            )
        found[name] = _part(region, own, places)
    told = [
        *([f"subjects {', '.join(kept)} of {len(everybody)}"] if len(kept) < len(everybody) else []),
        *([f"{len(found)} of {len(recording.regions)} regions"] if len(found) < len(recording.regions) else []),
        *([f"{len(places)} of {recording.n_conditions} stimuli"] if len(places) < recording.n_conditions else []),
    ]
    if not told:
        return recording
    return dataclasses.replace(
        recording,
        stimuli=_stimuli(recording.stimuli, places),
        regions=found,
        times=None if all(region.times is None for region in found.values()) else recording.times,
        notes=" ".join([recording.notes, f"A part of it: {'; '.join(told)}."]).strip(),
        truth={name: stage for name, stage in recording.truth.items() if name in found},
        drive_windows={name: window for name, window in recording.drive_windows.items() if name in found},
    )


def _places(stimuli: Stimuli, conditions: Sequence[str], name: str) -> list[int]:
    """Where the stimuli stand that are kept."""
    ids = [str(each) for each in stimuli.ids]
    categories = [] if stimuli.categories is None else [str(each) for each in stimuli.categories]
    if not conditions:
        return list(range(len(ids)))
    for given in conditions:
        if given not in ids and given not in categories:
            raise unknown_name(f"stimulus or category of recording '{name}'", given, [*dict.fromkeys(categories), *ids])
    places = [place for place, each in enumerate(ids) if each in conditions or (categories and categories[place] in conditions)]
    if len(places) < MINIMUM_CONDITIONS:
        raise InputError(
            f"conditions {', '.join(conditions)} leave {len(places)} stimuli of recording '{name}', expected "
            f"{MINIMUM_CONDITIONS} at the least: name more, or a category"
        )
    return places


def _stimuli(stimuli: Stimuli, places: list[int]) -> Stimuli:
    chosen = np.array(places)
    others: dict[str, Any] = {
        field: None if (value := getattr(stimuli, field)) is None else value[chosen]
        for field in ("ids", "categories", "source_indices")
    }
    return dataclasses.replace(stimuli, images=stimuli.images[chosen], **others)


def _part(region: Region, subjects: list[str], places: list[int]) -> Region:
    if isinstance(region, RdmSet):
        rdms = region.to_rsatoolbox().subset("subject", subjects)
        return RdmSet.from_rsatoolbox(rdms.subset_pattern("index", places), region.origin)
    names = [region.conditions[place] for place in places]
    chosen = [
        dataset.subset_obs("condition", names)
        for name, dataset in zip(region.subjects, region.to_rsatoolbox(), strict=True)
        if name in subjects
    ]
    return PatternSet.from_rsatoolbox(chosen, origin=region.origin)
