"""A folder of the user's own.

::

    my_recording/
        recording.yaml            optional; its keys are in neurodata/settings.py
        stimuli/                  pictures of one size (PNG, JPEG, TIFF, BMP, WebP or GIF), one per condition
            apple.png
            ...
        rdms_IT.h5                measured RDMs of region IT, and/or
        patterns_V1.npz           response patterns of region V1, as many regions as there are files, and/or
        sub-01/func/...           raw files: BOLD runs in BIDS with masks/ (see neurodata/fmri/folder.py), or
        sub-01/meg/...            MEG or EEG (see neurodata/meg/folder.py)

Stimuli are in the natural order of their names (image_2 before image_10) unless recording.yaml lists them; row i of
every array belongs to stimulus i, unless the file names its rows: then they are found by their names. ``rdms_<region>`` is
``.h5`` (as rsatoolbox's ``RDMs.save`` writes it, or a dataset "rdms"), ``.npz`` (key "rdms") or ``.npy``, of shape (n, n),
(n_subjects, n, n), (n_subjects, n_times, n, n), or condensed
(n_subjects, n_pairs), (n_subjects, n_times, n_pairs). ``patterns_<region>.npz`` has the key "patterns",
(n_subjects, n_conditions, n_channels[, n_times]), or a key for each subject, "subject_01" and so on,
(n_conditions, n_channels[, n_times]), where numbers of channels differ; with the keys "conditions" and "runs", rows are
single observations.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lazy_loader
import numpy as np
from PIL import Image

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import whole_folder
from bioplausible.foundation.yaml_files import to_yaml
from neurodata import raw_folder
from neurodata.array_files import PATTERN_SUFFIXES, RDM_SUFFIXES, read_patterns, read_rdms
from neurodata.pattern_set import PatternSet
from neurodata.picture_files import colour_profiles, picture_files
from neurodata.presence import check_content, files_in, is_named
from neurodata.rdm_set import RdmSet
from neurodata.recording import Recording, Region
from neurodata.settings import FILE_NAME, read_settings, stimulus_options, time_axis
from neurodata.spellings import composed, find_names
from neurodata.stimuli import Stimuli, natural_key, read_images

rsatoolbox = lazy_loader.load("rsatoolbox")

OTHER_ARRAY_SUFFIXES = (*RDM_SUFFIXES, ".mat", ".csv", ".tsv", ".txt", ".pkl", ".pickle", ".fif")
_MEANT = re.compile(r"(rdms?|patterns?)([^a-z].*)?", re.IGNORECASE)  # rdm_V1, rdms-V1 and the like, which would be passed over
_WITH_TIMES = "rdms_<region> or patterns_<region> files with times"
LAYOUT = (
    "expected stimuli/*.png|jpg, one or more rdms_<region>.h5|npz|npy or patterns_<region>.npz, and recording.yaml"
    f"{raw_folder.LAYOUT}"
)


def _stimulus_paths(folder: Path, listed: Sequence[Any] | None) -> list[Path]:
    within = folder / "stimuli"
    there = picture_files(files_in(within)) if within.is_dir() else []
    if not there:
        raise InputError(f"no stimuli found in {within}; {LAYOUT}")
    if listed is None:
        return sorted(there, key=lambda path: natural_key(path.name))
    by_name = {path.name: path for path in there}
    # an image may be listed without its ending, or in another spelling of its name than the disk has
    found = find_names(map(str, listed), list(by_name))
    for name in map(str, listed):
        if name not in found:
            raise InputError(f"{folder / FILE_NAME} lists the stimulus {name}, which is not in {within}")
    return [by_name[found[str(name)]] for name in listed]


def read_stimuli(folder: Path, settings: Mapping[str, Any]) -> tuple[Stimuli, str]:
    """Read the images as recording.yaml states them, and say what was done to them."""
    shown = stimulus_options(settings)
    paths = _stimulus_paths(folder, shown.files)
    ids = [composed(path.stem) for path in paths]
    stimuli = Stimuli(
        images=read_images(paths, tuple(settings.get("background_colour", (128, 128, 128))), shown.size, shown.fit),
        ids=np.array(ids),
        categories=_categories(settings.get("categories"), paths, folder / FILE_NAME),
        source=settings.get("source", str(folder / "stimuli")),
        source_indices=None if "source_indices" not in settings else np.array(settings["source_indices"], dtype=np.int64),
    )
    within = [path for path in sorted((folder / "stimuli").iterdir()) if path.is_dir() and not path.name.startswith(".")]
    further = [picture for path in within for picture in picture_files(path.rglob("*"))]
    said = [colour_profiles(paths)]
    if further:
        said.append(f"Pictures in folders within {folder / 'stimuli'} were left out: {len(further)}, such as {further[0]}.")
    if shown.size is not None:
        width, height = shown.size
        said.insert(0, f"Stimuli were brought to {width} x {height} pixels ({shown.fit}).")
    return stimuli, " ".join(filter(None, said))


def _categories(stated: Any, paths: Sequence[Path], origin: Path) -> np.ndarray | None:
    if stated is None:
        return None
    if isinstance(stated, dict):
        named = {str(name): str(category) for name, category in stated.items()}
        spelled = find_names(named, [composed(path.stem) for path in paths])
        category_of = {stimulus: named[name] for name, stimulus in spelled.items()}
        for path in paths:
            if composed(path.stem) not in category_of:
                raise InputError(f"{origin}: 'categories' names no category for {path.name}; expected one per stimulus")
        stated = [category_of[composed(path.stem)] for path in paths]
    if len(stated) != len(paths):
        raise InputError(f"{origin}: {len(stated)} categories for {len(paths)} stimuli; expected one per stimulus, in their order")
    return np.array([str(category) for category in stated])


def _region_files(folder: Path) -> dict[str, Path]:
    """Find one file per region, sorted by name."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)):
        kind, _, region = composed(path.stem).partition("_")
        suffixes = {"rdms": RDM_SUFFIXES, "patterns": PATTERN_SUFFIXES}.get(kind.lower(), ())
        if not suffixes or not region or not is_named(path):
            if _MEANT.fullmatch(path.stem) and path.suffix.lower() in (*RDM_SUFFIXES, ".mat") and path.is_file():
                raise InputError(f"{path} is not read; expected rdms_<region> or patterns_<region>, rename it")
            continue
        check_content(path)
        if path.suffix.lower() not in suffixes:
            if path.suffix.lower() in OTHER_ARRAY_SUFFIXES:
                raise InputError(
                    f"{path} is no {' or '.join(suffixes)} file; expected one of region '{region}', save it anew or rename it"
                )
            continue
        if region in found:
            raise InputError(
                f"{found[region]} and {path} are both of region '{region}'; expected one file per region, rename or remove one"
            )
        found[region] = path
    if not found and not raw_folder.found_kinds(folder):
        raise InputError(f"no rdms_<region> or patterns_<region> file found in {folder}; {LAYOUT}")
    return found


def _refuse(key: str, folder: Path, what: str) -> None:
    raise InputError(f"{folder / FILE_NAME}: '{key}' means nothing here, it is for {what}; leave it out")


def _check_regions(key: str, settings: Mapping[str, Any], folder: Path, known: Mapping[str, Any]) -> None:
    named = settings.get(key)
    for region in named if isinstance(named, dict) else ():
        if region not in known:
            raise InputError(f"{folder / FILE_NAME}: '{key}' names the region {region}; expected one of {', '.join(known)}")


def _check_that_all_is_there(settings: Mapping[str, Any], folder: Path, files: Mapping[str, Path]) -> None:
    """Refuse what is stated of files that the folder does not hold: whoever wrote it believes that it acts.

    This is seen before any of them is read, which takes hours where a model of BOLD runs is estimated.
    """
    kinds = raw_folder.found_kinds(folder) if settings.keys() & raw_folder.KINDS.keys() else []
    of_arrays = "rdms_<region> or patterns_<region> files; raw files name their subjects themselves, --subjects chooses among them"
    if "subjects" in settings and not files:
        _refuse("subjects", folder, of_arrays)
    if "measure" in settings and not any(path.stem.lower().startswith("rdms_") for path in files.values()):
        _refuse("measure", folder, "rdms_<region> files; distances between patterns are chosen by --measure")
    if "times" in settings and not files:
        _refuse("times", folder, _WITH_TIMES)
    for kind in raw_folder.KINDS:
        if kind in settings and kind not in kinds:
            _refuse(kind, folder, f"raw files: {raw_folder.KINDS[kind].layout}")
    _check_regions("subjects", settings, folder, files)


def load_folder(folder: Path, select: Mapping[str, Any] | None = None) -> Recording:
    """Load a recording from a folder in the layout above.

    Parameters
    ----------
    folder
        in the layout above.
    select
        values by BIDS entity that raw files are chosen by, such as ``{"task": "objects"}``; each goes before what recording.yaml
        states.

    Returns
    -------
    the recording.

    Raises
    ------
    InputError
        for a missing or empty folder, for files that cannot be read or do not fit together.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"the folder {folder} {what}; {LAYOUT}")
    settings = read_settings(folder)
    times = time_axis(settings, folder)
    stimuli, fitted = read_stimuli(folder, settings)
    ids = [str(identity) for identity in stimuli.ids]
    regions: dict[str, Region] = {}
    said: list[str] = []
    files = _region_files(folder)
    _check_that_all_is_there(settings, folder, files)
    for region, path in files.items():
        stated = settings.get("subjects")
        stated = stated.get(region) if isinstance(stated, dict) else stated
        subjects = None if stated is None else [str(name) for name in stated]
        if path.stem.lower().startswith("rdms_"):
            regions[region], note = read_rdms(path, ids, subjects, times, settings.get("measure"))
        else:
            regions[region], note = read_patterns(path, ids, subjects, times)
        said += [note] if note else []
    raws = raw_folder.load_raw(folder, settings, stimuli, select)
    for raw in raws:
        for region, patterns in raw.regions.items():
            if region in regions:
                raise InputError(
                    f"{folder} has region '{region}' twice, from raw files and from a file of its own; expected it once, rename one"
                )
            regions[region] = patterns
        said += raw.notes
    axes = [region.times for region in regions.values() if region.times is not None]
    if "times" in settings and all(regions[name].times is None for name in files):
        _refuse("times", folder, _WITH_TIMES)
    # What was planted in raw MEG or EEG are sources, which all sensors hear: none of them is a region.
    sources = settings.get("truth", {}) if any(raw.times is not None for raw in raws) else {}
    for key in ("truth", "drive_windows"):
        _check_regions(key, settings, folder, {**regions, **sources})
    return Recording(
        name=settings.get("name", folder.resolve().name),
        stimuli=stimuli,
        modality=settings.get("modality", raws[0].modality if raws else "not stated"),
        regions=regions,
        times=axes[0] if axes else None,
        citation=settings.get("citation", ""),
        licence=settings.get("licence", "not stated"),
        notes=" ".join(filter(None, (settings.get("notes", ""), fitted, *said))),
        truth=settings.get("truth", {}),
        drive_windows={name: tuple(window) for name, window in settings.get("drive_windows", {}).items()},
    )


def _ascii(labels: Sequence[Any]) -> list[Any]:
    """Escape what rsatoolbox's HDF5 files cannot hold; recording.yaml has the names as they are."""
    return [each.encode("ascii", "backslashreplace").decode() if isinstance(each, str) else each for each in labels]


def _write_rdms(rdms: RdmSet, path: Path) -> None:
    toolbox = rdms.to_rsatoolbox()
    rsatoolbox.rdm.RDMs(
        toolbox.dissimilarities,
        toolbox.dissimilarity_measure,
        rdm_descriptors={key: _ascii(values) for key, values in toolbox.rdm_descriptors.items()},
        pattern_descriptors={key: _ascii(values) for key, values in toolbox.pattern_descriptors.items()},
    ).save(str(path), file_type="hdf5")


def _write_patterns(patterns: PatternSet, ids: Sequence[str], path: Path) -> None:
    datasets = patterns.to_rsatoolbox()
    content: dict[str, np.ndarray] = {
        f"subject_{index + 1:0{len(str(len(datasets)))}d}": dataset.measurements for index, dataset in enumerate(datasets)
    }
    renamed = dict(zip(patterns.conditions, ids, strict=True))
    conditions, runs = ([list(each.obs_descriptors[key]) for each in datasets] for key in ("condition", "run"))
    if any(each != conditions[0] for each in conditions) or any(each != runs[0] for each in runs):
        raise InputError(
            f"{patterns.origin}: subjects have their observations in different orders, which one npz file cannot hold; "
            "sort each dataset by run and condition first"
        )
    np.savez_compressed(
        path,
        allow_pickle=False,
        **content,
        conditions=np.array([renamed[str(name)] for name in conditions[0]]),
        runs=np.array([str(run) for run in runs[0]]),
    )


def _settings_of(recording: Recording) -> dict[str, Any]:
    subjects = {name: list(region.subjects) for name, region in recording.regions.items()}
    first, *others = subjects.values()
    stimuli = recording.stimuli
    settings: dict[str, Any] = {
        "name": recording.name,
        "modality": recording.modality,
        "citation": recording.citation,
        "licence": recording.licence,
        "notes": recording.notes,
        "subjects": first if all(each == first for each in others) else subjects,
        "times": None if recording.times is None else [float(time) for time in recording.times],
        "source": stimuli.source,
        "stimuli": [f"{identity}.png" for identity in stimuli.ids],
        "categories": None if stimuli.categories is None else [str(each) for each in stimuli.categories],
        "source_indices": None if stimuli.source_indices is None else [int(each) for each in stimuli.source_indices],
        "truth": dict(recording.truth) or None,
        "drive_windows": {name: [float(each) for each in window] for name, window in recording.drive_windows.items()} or None,
    }
    return {key: value for key, value in settings.items() if value is not None}


def _write(recording: Recording, folder: Path) -> None:
    (folder / "stimuli").mkdir()
    ids = [str(identity) for identity in recording.stimuli.ids]
    for identity, image in zip(ids, recording.stimuli.images, strict=True):
        Image.fromarray(image).save(folder / "stimuli" / f"{identity}.png")
    for name, region in recording.regions.items():
        if isinstance(region, RdmSet):
            _write_rdms(region, folder / f"rdms_{name}.h5")
        else:
            _write_patterns(region, ids, folder / f"patterns_{name}.npz")
    text = to_yaml(_settings_of(recording))
    (folder / FILE_NAME).write_text(text, encoding="utf-8")


def save(recording: Recording, folder: str | os.PathLike[str]) -> Path:
    """Write a recording as a folder that :func:`neurodata.load` reads back: all of it or nothing.

    Parameters
    ----------
    recording
        any recording; images become PNG files, RDMs rsatoolbox's HDF5, patterns npz with their runs.
    folder
        must not exist yet, or be empty.

    Returns
    -------
    the folder.

    Raises
    ------
    InputError
        when the folder is used already or cannot be written, or when a name cannot be a file's.
    """
    target = Path(folder).expanduser()
    if not recording.stimuli.has_pictures:
        raise InputError(f"recording '{recording.name}' has no pictures, which a folder needs; expected one that has")
    names: Mapping[str, Sequence[str]] = {
        "stimulus": [str(identity) for identity in recording.stimuli.ids],
        "region": list(recording.regions),
    }
    for kind, given in names.items():
        for name in given:
            if not name or "/" in name or "\\" in name or "\0" in name or name.startswith("."):
                raise InputError(f"the {kind} '{name}' cannot be a file's name; expected no slash, rename it")
    with whole_folder(target) as partial:
        _write(recording, partial)
    return target


__all__ = ["LAYOUT", "load_folder", "save"]
