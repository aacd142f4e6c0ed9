"""From BOLD runs to patterns: one set of patterns a region, subjects by (run, condition) by voxels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import nilearn
import numpy as np
from jaxtyping import Float32
from rsatoolbox.data import Dataset

from bioplausible.foundation.errors import InputError
from neurodata.derived import derived
from neurodata.fmri.glm import VERSION, Design, Fit, drift_notes, fit_run, make_design, residuals_of
from neurodata.fmri.images import BoldImage, content, open_bold, read_series
from neurodata.fmri.options import File, FmriOptions, FmriRun
from neurodata.fmri.regions import places, region_voxels, same_grid
from neurodata.fmri.tables import read_confounds, read_events, read_timing
from neurodata.pattern_set import PatternSet
from neurodata.stimuli import natural_key

Regions = Mapping[str, Any]


class Residuals(NamedTuple):
    """What the model left of one subject's region.

    values: (n_volumes of all runs, n_voxels), the voxels of the patterns; degrees_of_freedom: volumes less regressors.
    """

    values: Float32[np.ndarray, "n_volumes n_voxels"]
    degrees_of_freedom: int


@dataclass(frozen=True, eq=False)
class _Subject:
    """One subject's runs with what is read of each but its time courses."""

    name: str
    runs: Sequence[FmriRun]
    images: Sequence[BoldImage]
    designs: Sequence[Design]
    region_voxels: Mapping[str, np.ndarray]
    voxels: np.ndarray

    def series(self, options: FmriOptions) -> Iterator[Callable[[], np.ndarray]]:
        """Give for each run a function that reads its time courses; a file that holds several is read once."""
        read = lru_cache(maxsize=1)(lambda index: read_series(self.images[index], self.voxels, options.smoothing_mm))
        files = [os.fspath(run.bold) if isinstance(run.bold, str | os.PathLike) else id(run.bold) for run in self.runs]
        for run, image, file in zip(self.runs, self.images, files, strict=True):
            yield partial(_volumes, read, files.index(file), slice(*volumes_of(run, image)))


def _volumes(read: Callable[[int], np.ndarray], file: int, volumes: slice) -> np.ndarray:
    return read(file)[volumes]


def volumes_of(run: FmriRun, image: BoldImage) -> tuple[int, int]:
    """Give a run's first volume in its file and the one behind the last."""
    start, stop = run.volumes or (0, image.n_volumes)
    if not 0 <= start < stop <= image.n_volumes:
        raise InputError(f"{run.name}: volumes {start} to {stop} of a file with {image.n_volumes}; expected a range within it")
    return start, stop


def _check_runs(runs: Sequence[FmriRun], images: Sequence[BoldImage]) -> None:
    for run, image in zip(runs, images, strict=True):
        if not same_grid(image.shape, image.affine, images[0]):
            what = "shape" if image.shape != images[0].shape else "affine"
            raise InputError(
                f"{images[0].name} and {image.name} of subject '{run.subject}' differ in {what} ({images[0].shape} and "
                f"{image.shape}); expected runs on one grid, resample one of them"
            )
    names = [run.run for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"subject '{runs[0].subject}' has {names.count(name)} runs named '{name}'; expected a name for each run"
            )


def _conditions(tables: Sequence[Any], options: FmriOptions) -> list[str]:
    found = sorted({label for table in tables for label in table["trial_type"]}, key=natural_key)
    return found if options.conditions is None else list(options.conditions)


def _read_subject(
    runs: Sequence[FmriRun], regions: Regions, options: FmriOptions, conditions: Sequence[str] | None
) -> tuple[_Subject, list[str], list[str]]:
    """Read everything of a subject but the time courses; also the conditions and the notes."""
    images = [open_bold(run.bold, run.name) for run in runs]
    _check_runs(runs, images)
    tables, times, notes = [], [], []
    for run, image in zip(runs, images, strict=True):
        start, stop = volumes_of(run, image)
        seconds, offset = read_timing(run, options, image)
        table, said = read_events(run, options, (stop - start) * seconds)
        tables.append(table)
        times.append(np.arange(stop - start) * seconds + offset)
        notes += said
    wanted = list(conditions) if conditions is not None else _conditions(tables, options)
    designs = []
    for run, table, clock in zip(runs, tables, times, strict=True):
        asked = table["trial_type"].isin(wanted)
        missing = [condition for condition in wanted if condition not in set(table["trial_type"])]
        if missing and (not options.allow_missing or not asked.any()):
            others = sorted(set(table["trial_type"]) - set(wanted), key=natural_key)
            there = f"; other names in it: {', '.join(others[:5])}{', …' if len(others) > 5 else ''}" if others else ""
            raise InputError(
                f"{run.events_name} has no event of '{missing[0]}' ({len(missing)} of {len(wanted)} conditions are missing in "
                f"this run{there}); expected every condition in every run, name conditions or set allow_missing "
                "('fmri: {allow_missing: true}' in recording.yaml)"
            )
        confounds = read_confounds(run, options, len(clock))
        ordered = table[asked].sort_values("onset", kind="stable") if options.model == "lss" else table[asked]
        design = make_design(ordered, table[~asked], clock, confounds, options, run.events_name)
        designs.append(design)
        notes += drift_notes(design, clock, options, run.events_name)
    never = set(wanted) - {label for table in tables for label in table["trial_type"]}
    if never:
        raise InputError(f"subject '{runs[0].subject}' has no event of '{sorted(never)[0]}' in any run; expected every condition")
    subject = runs[0].subject
    voxels = {name: region_voxels(source, name, subject, images[0], options.resample_masks) for name, source in regions.items()}
    union = np.unique(np.concatenate(list(voxels.values())))
    return _Subject(subject, runs, images, designs, voxels, union), wanted, notes


def _sound_voxels(subject: _Subject, broken: np.ndarray) -> tuple[dict[str, np.ndarray], list[str]]:
    """Choose each region's columns among the voxels that were read, and say what is left out."""
    columns, notes = {}, []
    for region, voxels in subject.region_voxels.items():
        inside = np.searchsorted(subject.voxels, voxels)
        lost = int(broken[inside].sum())
        where = f"{subject.images[0].name}: {lost} of {len(voxels)} voxels of region '{region}' of subject '{subject.name}'"
        if lost == len(voxels):
            raise InputError(f"{where} are constant or not finite in a run; expected a mask within the measured volume")
        if lost:
            notes.append(f"{where} are constant or not finite in a run and were left out")
        columns[region] = inside[~broken[inside]]
    return columns, notes


def _rows(
    fit: Fit, design: Design, run: str, wanted: Sequence[str], options: FmriOptions
) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Order a run's estimates by condition; trials become their mean, or keep a row each."""
    at = {condition: [row for row, label in enumerate(design.rows) if label == condition] for condition in wanted}
    present = [condition for condition in wanted if at[condition]]
    if options.single_trials:
        order = [row for condition in present for row in at[condition]]
        trials = [str(number + 1) for condition in present for number in range(len(at[condition]))]
        labels = [design.rows[row] for row in order]
        return fit.values[order], {"condition": labels, "run": [run] * len(order), "trial": trials}
    values = np.stack([fit.values[at[condition]].mean(axis=0) for condition in present])
    return values, {"condition": present, "run": [run] * len(present)}


def _fit_subject(subject: _Subject, wanted: Sequence[str], options: FmriOptions, fit: Callable[..., Fit]) -> Any:
    # what identifies a fit: nothing that the design or the voxels say already
    computed = ("model", "output", "noise_model", "standardize", "smoothing_mm", "single_trials")
    essential = FmriOptions(**{name: getattr(options, name) for name in computed})
    values, broken = [], np.zeros(len(subject.voxels), dtype=bool)
    observations: dict[str, list[str]] = {}
    for run, image, design, read in zip(subject.runs, subject.images, subject.designs, subject.series(options), strict=True):
        identity = (content(image), volumes_of(run, image), nilearn.__version__)
        one = fit(identity, subject.voxels, design, essential, VERSION, read)
        rows, labels = _rows(one, design, run.run, wanted, options)
        values.append(rows)
        broken |= one.broken
        observations = {key: observations.get(key, []) + names for key, names in labels.items()}
    columns, notes = _sound_voxels(subject, broken)
    together = np.concatenate(values)
    image = subject.images[0]
    described = {"subject": subject.name, "volume_shape": image.shape}
    datasets = {
        region: Dataset(together[:, chosen], described, dict(observations), places(subject.voxels[chosen], image))
        for region, chosen in columns.items()
    }
    return datasets, notes


def _by_subject(runs: Sequence[FmriRun], regions: Regions) -> dict[str, list[FmriRun]]:
    if not runs:
        raise InputError("no run was given; expected at least one FmriRun, with its BOLD image and events")
    if not regions:
        raise InputError("no region was given; expected a mapping from name to mask image, such as {'V1': 'masks/V1.nii.gz'}")
    subjects: dict[str, list[FmriRun]] = {}
    for run in runs:
        subjects.setdefault(run.subject, []).append(run)
    return subjects


def patterns_and_notes(
    runs: Sequence[FmriRun], regions: Regions, options: FmriOptions | None = None, cache: File | None = None
) -> tuple[dict[str, PatternSet], tuple[str, ...]]:
    """Do what :func:`patterns` does, and return what it warns of.

    Parameters
    ----------
    runs, regions, options, cache
        as for :func:`patterns`.

    Returns
    -------
    patterns by region, and the notes, each once.

    Raises
    ------
    InputError
        as :func:`patterns`.
    """
    chosen = options or FmriOptions()
    subjects = _by_subject(runs, regions)
    fit = derived(fit_run, cache, ignore=["read"])
    datasets: dict[str, list[Dataset]] = {region: [] for region in regions}
    wanted, notes = None, []
    for each in subjects.values():
        subject, wanted, said = _read_subject(each, regions, chosen, wanted)
        found, left_out = _fit_subject(subject, wanted, chosen, fit)
        notes += [*said, *left_out]
        for region, dataset in found.items():
            datasets[region].append(dataset)
    sets = {name: PatternSet(tuple(found), f"region '{name}' of {runs[0].name}") for name, found in datasets.items()}
    return sets, tuple(dict.fromkeys(notes))


def patterns(
    runs: Sequence[FmriRun], regions: Regions, options: FmriOptions | None = None, cache: File | None = None
) -> dict[str, PatternSet]:
    """Estimate each region's patterns from BOLD runs.

    Parameters
    ----------
    runs
        of all subjects.
    regions
        for each name a mask (path or image), ``(atlas, label)``, or a mapping from subject to either; a mask of the
        whole brain is a region as well, see :func:`voxel_mask` for its searchlights.
    options
        how.
    cache
        folder of finished models, by default ``neurodata.derived.default_folder()``.

    Returns
    -------
    for each region a PatternSet whose observations are named by "condition" and "run", conditions in the order of the
    options or in natural order. Its channel descriptors say where voxels are: i, j, k and x, y, z in mm, or hemisphere
    and vertex.

    Raises
    ------
    InputError
        for files that cannot be read or do not fit together.
    """
    sets, notes = patterns_and_notes(runs, regions, options, cache)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return sets


def noise_residuals(
    runs: Sequence[FmriRun], regions: Regions, options: FmriOptions | None = None
) -> dict[str, dict[str, Residuals]]:
    """Compute what the model left unexplained, from which ``rsa.noise_precision`` estimates how noise goes together.

    Voxels are those of :func:`patterns` with the same arguments, in the same order. Of single trials' models, the
    residuals are those of least squares all. Time courses of one subject's regions are in memory at once, as 4-byte
    floats; nothing is kept on disk.

    Parameters
    ----------
    runs, regions, options
        as for :func:`patterns`.

    Returns
    -------
    residuals by region and subject.

    Raises
    ------
    InputError
        as :func:`patterns`.
    """
    chosen = options or FmriOptions()
    if chosen.model == "lss":
        chosen = replace(chosen, model="lsa", single_trials=False)
    found: dict[str, dict[str, Residuals]] = {region: {} for region in regions}
    wanted = None
    for each in _by_subject(runs, regions).values():
        subject, wanted, _ = _read_subject(each, regions, chosen, wanted)
        parts, freedom, broken = [], 0, np.zeros(len(subject.voxels), dtype=bool)
        for design, read in zip(subject.designs, subject.series(chosen), strict=True):
            series = read()
            with np.errstate(invalid="ignore"):
                bad = ~np.isfinite(series).all(axis=0) | (np.ptp(series, axis=0) == 0)
            left = np.full(series.shape, np.nan, dtype=np.float32)
            left[:, ~bad], of_run = residuals_of(series[:, ~bad], design, chosen)
            parts.append(left)
            freedom += of_run
            broken |= bad
        columns, _ = _sound_voxels(subject, broken)
        together = np.concatenate(parts)
        for region, kept in columns.items():
            found[region][subject.name] = Residuals(together[:, kept], freedom)
    return found


__all__ = ["Regions", "Residuals", "noise_residuals", "patterns", "patterns_and_notes", "volumes_of"]
