"""Runs of a BIDS tree: raw data, or what fMRIPrep made of them.

Files are matched by the entities of their names. Events, sidecars and confounds may lie beside a run or higher up
(BIDS's inheritance): what counts is the one whose entities all are the run's, and of several the most particular. Of sidecars all
such count, and the most particular says last.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nilearn.interfaces.fmriprep import load_confounds

from bioplausible.foundation.errors import InputError
from neurodata.entities import A_RUN, ENTITIES, check_place, checked_selection, choose, entities_at, is_value, subjects_without
from neurodata.fmri.options import File, FmriRun
from neurodata.presence import is_named
from neurodata.stimuli import natural_key

VOLUME_ENDINGS = ("nii", "nii.gz")
SURFACE_ENDING = "func.gii"
LAYOUT = "expected sub-*/func/sub-*_task-*_bold.nii.gz with *_events.tsv, or the same with sessions"
_OF_A_RUN = ("_bold.nii", "_bold.nii.gz", "_bold.json", "_bold.func.gii", "_bold.dtseries.nii", ".tsv", ".txt", ".md", ".html")
OF_THE_IMAGE = ("space", "desc", "res", "den", "hemi")  # entities that raw files and tables do not share


class _Parsed:
    """A file and the entities in its name."""

    def __init__(self, path: Path):
        self.path = path
        self.entities = entities_at(path)

    def fits(self, run: Mapping[str, str]) -> bool:
        return all(key in run and is_value(run[key], value, key) for key, value in self.entities.items() if key not in OF_THE_IMAGE)

    def particularity(self, run: Mapping[str, str]) -> tuple[int, int, int]:
        """How much it says of a run: entities, those of them that are spelt alike, and none that the run's image does not have."""
        odd = sum(key in OF_THE_IMAGE and run.get(key) != value for key, value in self.entities.items())
        return len(self.entities) - odd, sum(run.get(key) == value for key, value in self.entities.items()), -odd


def _ending_with(folder: Path, places: Sequence[str], ending: str) -> list[_Parsed]:
    """Find files by the end of their names, whatever its case."""
    found = [path for place in places for path in folder.glob(place) if path.name.lower().endswith(ending)]
    return [_Parsed(path) for path in sorted(found) if not path.name.startswith(".")]


def _find(folder: Path, tag: str, ending: str) -> list[_Parsed]:
    return _ending_with(folder, ("sub-*/func/*", "sub-*/ses-*/func/*"), f"_{tag}.{ending}")


def _inherited(folder: Path, tag: str, ending: str) -> list[_Parsed]:
    """Find files of one kind beside the runs and above them."""
    above = ("*", "sub-*/sub-*", "sub-*/ses-*/sub-*")
    return _find(folder, tag, ending) + [each for each in _ending_with(folder, above, f"{tag}.{ending}") if is_named(each.path)]


def _nearest(candidates: Sequence[_Parsed], run: Mapping[str, str]) -> Path | None:
    fitting = [each for each in candidates if each.fits(run)]
    return max(fitting, key=lambda each: each.particularity(run)).path if fitting else None


def _inheritance(trees: Sequence[Sequence[_Parsed]], run: Mapping[str, str]) -> Path | list[Path] | None:
    """Order a run's sidecars in the first tree that has any from its top downwards, the particular one behind the general."""
    for candidates in trees:
        fitting = [each for each in candidates if each.fits(run)]
        paths = [each.path for each in sorted(fitting, key=lambda each: (len(each.path.parts), each.particularity(run)))]
        if paths:
            return paths[0] if len(paths) == 1 else paths
    return None


def _derivative_folder(root: Path, stated: File | None) -> Path | None:
    """Find where preprocessed images are: as stated, else in 'derivatives' where one tree has them."""
    if stated is not None:
        if os.fspath(stated) == "raw":
            return None
        folder = root / stated
        if not folder.is_dir():
            raise InputError(f"the folder {folder} of derivatives does not exist; expected fMRIPrep's, check the path")
        return folder
    candidates = [root, root / "derivatives", *sorted((root / "derivatives").glob("*/"))]
    found = [each for each in candidates if any(each.glob("sub-*/**/func/*desc-preproc_bold.nii*"))]
    if len(found) > 1:
        raise InputError(
            f"{root} holds preprocessed images in {' and '.join(str(each.relative_to(root)) for each in found)}; state one as "
            "derivatives, or 'raw' for neither"
        )
    return found[0] if found else None


def _images(folder: Path, derived: bool) -> list[_Parsed]:
    files = [each for ending in VOLUME_ENDINGS for each in _find(folder, "bold", ending)]
    if not derived:
        return [each for each in files if "desc" not in each.entities and "space" not in each.entities]
    preprocessed = [each for each in files if each.entities.get("desc") == "preproc"]
    return preprocessed + _find(folder, "bold", SURFACE_ENDING)


def _pairs(images: Sequence[_Parsed]) -> list[tuple[_Parsed, Any]]:
    """Join the hemispheres of a run on a surface."""
    joined: list[tuple[_Parsed, Any]] = []
    for image in images:
        hemisphere = image.entities.get("hemi")
        if hemisphere is None:
            joined.append((image, image.path))
        elif hemisphere == "L":
            right = image.path.with_name(image.path.name.replace("_hemi-L", "_hemi-R"))
            if not right.is_file():
                raise InputError(f"{image.path} has no right hemisphere beside it; expected {right.name}")
            joined.append((image, (image.path, right)))
    return joined


def _run_name(entities: Mapping[str, str], several: Collection[str]) -> str:
    keys = ("ses", *(key for key in ENTITIES if key in several), "acq", "dir", "run")
    told = [f"{key}-{entities[key]}" for key in dict.fromkeys(keys) if key in entities]
    return entities["run"] if told == [f"run-{entities.get('run')}"] else "_".join(told) or "1"


def _chosen(images: list[_Parsed], stated: Mapping[str, str | None], select: Mapping[str, Any] | None, root: Path) -> list[_Parsed]:
    """Choose images by their entities; magnitudes, and volumes before surfaces, unless others are asked for."""
    wanted = checked_selection({key: value for key, value in stated.items() if value is not None}, "from_bids")
    wanted |= checked_selection(select, "select")
    if "part" not in wanted:
        images = [each for each in images if each.entities.get("part", "mag") == "mag"]
    echoes = [each for each in images if "echo" in each.entities]
    if echoes and "echo" not in wanted:
        raise InputError(
            f"{echoes[0].path} is one of several echoes; expected one image a run, combine echoes first or choose one, such as "
            "'select: {echo: 2}'"
        )
    volumes = [each for each in images if "hemi" not in each.entities]
    if volumes and not {"space", "hemi", "den"} & set(wanted):
        images = volumes
    told = [
        (each, {"space": "native", **each.entities} if any("space" in other.entities for other in images) else each.entities)
        for each in images
    ]
    return choose(told, wanted, root)


def from_bids(
    folder: File,
    *,
    task: str | None = None,
    space: str | None = None,
    derivatives: File | None = None,
    strategy: Sequence[str] | None = None,
    subjects: Sequence[str] | None = None,
    select: Mapping[str, Any] | None = None,
) -> list[FmriRun]:
    """Find the runs of a BIDS tree.

    Parameters
    ----------
    folder
        the tree's root.
    task, space
        their labels; need not be stated where there is one. A space of GIFTI files gives runs on a surface.
    derivatives
        folder of preprocessed images, relative to the root or absolute; "raw" for none. By default "derivatives", or the
        folder in it, where one has images "desc-preproc".
    strategy
        parts of nilearn's ``load_confounds``, such as ("motion", "wm_csf"); by default the run's table of confounds is
        given whole, of which ``FmriOptions.confounds`` chooses.
    subjects
        labels without "sub-", by default all.
    select
        values by entity of the images' names, such as ``{"task": "main", "res": 2, "echo": 1}``; several of one are a list. Where
        files differ in an entity that is stated nowhere, it is refused with its values.

    Returns
    -------
    all runs, subject by subject.

    Raises
    ------
    InputError
        for a tree without runs or events, and where task or space has to be stated.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise InputError(f"the folder {root} does not exist; {LAYOUT}")
    place = _derivative_folder(root, derivatives)
    images = _images(root if place is None else place, place is not None)
    if subjects is not None:
        images = [each for each in images if each.entities.get("sub") in set(map(str, subjects))]
    if not images:
        raise InputError(f"no BOLD image found in {root if place is None else place}; {LAYOUT}")
    for each in images:
        check_place(each.path)
    images = _chosen(images, {"task": task, "space": space}, select, root)
    trees = [root] if place in {None, root} else [place, root]
    kinds = {"events": ("events", "tsv"), "sidecar": ("bold", "json"), "timeseries": ("desc-confounds_timeseries", "tsv"),
             "regressors": ("desc-confounds_regressors", "tsv")}  # fmt: skip
    beside = {kind: [_inherited(tree, tag, ending) for tree in trees] for kind, (tag, ending) in kinds.items()}

    def nearest(entities: Mapping[str, str], *wanted: str) -> Path | None:
        paths = (_nearest(candidates, entities) for kind in wanted for candidates in beside[kind])
        return next((path for path in paths if path is not None), None)

    # of what several values were asked for, names of runs say which
    several = {key for key in ENTITIES if key not in (*A_RUN, "hemi") and len({each.entities.get(key) for each in images}) > 1}
    runs = []
    for image, bold in _pairs(images):
        events = nearest(image.entities, "events")
        if events is None:
            raise InputError(f"{image.path} has no events; expected a file *_events.tsv with its entities, beside it or above")
        confounds: Any = nearest(image.entities, "timeseries", "regressors")
        if strategy is not None:
            confounds = _by_strategy(image.path, strategy)
        runs.append(
            FmriRun(
                bold,
                events,
                confounds,
                image.entities["sub"],
                _run_name(image.entities, several),
                sidecar=_inheritance(beside["sidecar"], image.entities),
            )
        )
    return sorted(runs, key=lambda run: (natural_key(run.subject), natural_key(run.run)))


def passed_over(
    folder: File,
    runs: Sequence[FmriRun],
    *,
    task: str | None = None,
    derivatives: File | None = None,
    select: Mapping[str, Any] | None = None,
) -> list[str]:
    """Say what a tree holds of the runs that were asked for and :func:`from_bids` does not find.

    Parameters
    ----------
    folder, task, derivatives, select
        as for :func:`from_bids`.
    runs
        what it found.

    Returns
    -------
    notes: on runs that are there raw and not among the preprocessed, images in formats and under names that are not read, and
    subjects of whom nothing was read.
    """
    root = Path(folder).expanduser()
    place = _derivative_folder(root, derivatives)
    wanted = checked_selection(select, "select") | ({} if task is None else {"task": (task,)})
    wanted = {key: values for key, values in wanted.items() if key in (*A_RUN, "task")}
    notes = []
    if place is not None:
        read = {_run_of(entities_at(path)) for path in _paths_of(runs)}
        tasks = {entities_at(path).get("task") for path in _paths_of(runs)}
        raw = {_run_of(each.entities): each for each in _images(root, derived=False)}
        lost = [
            each.path.name
            for run, each in raw.items()
            if run not in read and each.entities.get("task") in tasks and _is_wanted(each.entities, wanted)
        ]
        if lost:
            notes.append(f"{place}: runs without a preprocessed image were left out: {_counted(lost)}")
    strange = [
        each.name
        for above in ("sub-*", "sub-*/ses-*")
        for each in (root if place is None else place).glob(f"{above}/func/*_bold*")
        if not each.name.lower().endswith(_OF_A_RUN) and each.name[0] != "." and _is_wanted(entities_at(each), wanted)
    ]
    if strange:
        notes.append(f"{root}: files that are no *_bold.nii or *_bold.nii.gz were left out: {_counted(sorted(strange))}")
    if "sub" not in wanted:
        notes += subjects_without(root, ("func",), (run.subject for run in runs), "no image")
    return notes


def _paths_of(runs: Sequence[FmriRun]) -> list[Path]:
    return [Path(run.bold[0] if isinstance(run.bold, tuple | list) else run.bold) for run in runs]


def _run_of(entities: Mapping[str, str]) -> tuple[str | None, ...]:
    values = {key: entities.get(key) for key in (*A_RUN, "task")}
    return tuple(str(int(each)) if key == "run" and each and each.isdecimal() else each for key, each in values.items())


def _is_wanted(entities: Mapping[str, str], wanted: Mapping[str, tuple[str, ...]]) -> bool:
    return all(any(is_value(entities.get(key, "none"), value, key) for value in values) for key, values in wanted.items())


def _counted(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _by_strategy(path: Path, strategy: Sequence[str]) -> Any:
    if "scrub" in strategy:
        raise InputError(
            "the strategy 'scrub' leaves volumes out, which a model in time does not; name the columns of outlying volumes as "
            "confounds, 'motion_outlier*'"
        )
    try:
        return load_confounds(str(path), strategy=tuple(strategy))[0]
    except (ValueError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: nilearn cannot load confounds for {', '.join(strategy)} ({reason})") from error


__all__ = ["from_bids", "passed_over"]
