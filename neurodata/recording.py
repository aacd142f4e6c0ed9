"""A recording: stimuli, and what each region of each subject did while they were shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from jaxtyping import Shaped

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.html_tables import html_table
from neurodata.pattern_set import PatternSet
from neurodata.rdm_set import RdmSet
from neurodata.stimuli import Stimuli

Region = RdmSet | PatternSet


def _check_region(name: str, region: Region, stimuli: Stimuli, times: np.ndarray | None) -> None:
    if region.n_conditions != stimuli.n_conditions:
        raise InputError(
            f"{region.origin}: region '{name}' has {region.n_conditions} conditions for {stimuli.n_conditions} "
            "stimuli; expected one row per stimulus, in the stimuli's order"
        )
    ids = [str(identity) for identity in stimuli.ids]
    labels = list(region.conditions or ids)
    if labels != ids and set(labels) == set(ids):
        row = next(index for index, pair in enumerate(zip(labels, ids, strict=True)) if pair[0] != pair[1])
        raise InputError(
            f"{region.origin}: region '{name}' has the stimuli in another order (row {row + 1} is '{labels[row]}', "
            f"stimulus {row + 1} is '{ids[row]}'); reorder one of the two"
        )
    if region.times is not None and (times is None or not np.array_equal(region.times, times)):
        raise InputError(
            f"{region.origin}: region '{name}' has times that are not the recording's; expected one time axis in "
            "seconds for all regions that have one"
        )


def _described(region: Region, driver: str) -> tuple[str, ...]:
    """How many subjects, what of each, and at how many times; and what drives it."""
    times = "" if region.times is None else f"{len(region.times)}, {region.times[0]:g} to {region.times[-1]:g} s"
    if isinstance(region, RdmSet):
        return str(len(region.subjects)), "RDMs", times, driver
    fewest, most = min(region.n_channels), max(region.n_channels)
    channels = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    return str(len(region.subjects)), f"patterns of {channels} channels", times, driver


@dataclass(frozen=True, eq=False)
class Recording:
    """Responses of several subjects' regions to one set of stimuli.

    Parameters
    ----------
    name
        how tables and reports call it.
    stimuli
        the images, whose order is the order of every region's conditions.
    modality
        "fmri", "meg", "eeg", or "simulated ..." for what no brain did.
    regions
        for each region its measured RDMs or its patterns.
    times
        (n_times,) seconds from stimulus onset, ascending, or None for a recording without a time axis.
    citation
        the publication to cite.
    licence
        the terms under which the data may be used, "not stated" where none are.
    notes
        what a reader of a report has to know.
    truth
        for a simulated recording, the stage that drives each region; else empty.
    drive_windows
        for a simulated recording in time, start and stop in seconds of each region's drive; else empty.

    Raises
    ------
    InputError
        when regions, stimuli and times do not fit together.
    """

    name: str
    stimuli: Stimuli
    modality: str
    regions: Mapping[str, Region]
    times: Shaped[np.ndarray, "..."] | None = None
    citation: str = ""
    licence: str = "not stated"
    notes: str = ""
    truth: Mapping[str, str] = field(default_factory=dict)
    drive_windows: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.regions:
            raise InputError(f"recording '{self.name}' has no region; expected at least one RdmSet or PatternSet")
        if not self.modality.strip():
            raise InputError(f"recording '{self.name}' has no modality; expected fmri, meg, eeg or another word for it")
        if self.times is not None:
            times = np.asarray(self.times, dtype=np.float64)
            if times.ndim != 1 or len(times) == 0 or not np.isfinite(times).all() or np.any(np.diff(times) <= 0):
                raise InputError(
                    f"recording '{self.name}': times of shape {times.shape} that are not an ascending list; expected "
                    "(n_times,) seconds from stimulus onset"
                )
            object.__setattr__(self, "times", times)
            if all(region.times is None for region in self.regions.values()):
                raise InputError(
                    f"recording '{self.name}' states {len(times)} times but no region has a time axis; leave times out"
                )
        for name, region in self.regions.items():
            _check_region(name, region, self.stimuli, self.times)
        if self.truth and not self.simulated:
            raise InputError(
                f"recording '{self.name}' of modality '{self.modality}' states which stages drive its regions, which "
                "is known of simulated recordings alone; begin the modality with 'simulated'"
            )
        for each in ("regions", "truth", "drive_windows"):
            object.__setattr__(self, each, MappingProxyType(dict(getattr(self, each))))

    def __repr__(self) -> str:
        """What was recorded, in one line."""
        return f"<Recording {self.name} ({self.modality}): {self.n_conditions} stimuli, {', '.join(self.regions)}>"

    def _repr_html_(self) -> str:
        """Its regions, as a notebook shows them."""
        rows = [(name, *_described(region, self.truth.get(name, ""))) for name, region in self.regions.items()]
        columns = ("region", "subjects", "measured as", "times", *(["driven by"] if self.truth else []))
        cells = [row if self.truth else row[:-1] for row in rows]
        return html_table(repr(self)[1:-1], columns, cells, [self.notes] if self.notes else [])

    @property
    def simulated(self) -> bool:
        """Whether no brain was measured."""
        return self.modality.lower().startswith("simulated")

    @property
    def n_conditions(self) -> int:
        """Number of stimuli."""
        return self.stimuli.n_conditions


__all__ = ["Recording", "Region"]
