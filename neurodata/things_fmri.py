"""Single-trial responses to photographs of objects: three subjects, 3T fMRI, of whom each saw 100 photographs twelve times.

THINGS-data's table of responses ("betas", denoised and regularised by its authors) holds 8,640 photographs that were shown
once and 100 test photographs that came once in each of twelve sessions; the latter are the conditions here, since dissimilarities
that stand for anything want repeats. A session counts as a run. Regions are those that the authors' localisers and retinotopic
maps gave, as columns of the table of voxels; a region of several columns is what lies in any of them.

The table is one archive of 43 GB on figshare, downloaded by version and checksum and unpacked beside it, after which the archive
is removed; the photographs are :mod:`neurodata.things`'s.

Reference
---------
Hebart et al. (2023), THINGS-data, a multimodal collection of large-scale datasets for investigating object representations in
human brain and behavior, eLife 12:e82580. doi:10.7554/eLife.82580; table doi:10.25452/figshare.plus.20492835.v2
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import lazy_loader
import numpy as np
from jaxtyping import Bool, Float64, Int

from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.files import FULL, whole_file
from bioplausible.foundation.progress import Progress
from neurodata import things
from neurodata.cache import ENVIRONMENT_VARIABLE, alone_at, data_path, fetch
from neurodata.figshare import article_files
from neurodata.named import NamedRecording, check_subjects
from neurodata.pattern_set import PatternSet
from neurodata.recording import Recording
from neurodata.stimuli import natural_key

h5py = lazy_loader.load("h5py")
pd = lazy_loader.load("pandas")

ARTICLE, VERSION = 20492835, 2
ARCHIVE = "betas_csv.zip"
ARCHIVE_BYTES = 42_955_087_212
TABLE_BYTES = 60_000_000_000  # about, unpacked
FOLDER = "things_fmri"
SUBJECTS = (1, 2, 3)
TABLES = ("ResponseData.h5", "StimulusMetadata.csv", "VoxelMetadata.csv")
N_CONDITIONS = 100
ROWS_AT_ONCE = 2048  # of 9,840 trials and 8 bytes: 160 MB
REGIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "V1": ("V1",),
        "V2": ("V2",),
        "V3": ("V3",),
        "hV4": ("hV4",),
        "LOC": ("lLOC", "rLOC"),
        "EBA": ("lEBA", "rEBA"),
        "FFA": ("lFFA", "rFFA"),
        "PPA": ("lPPA", "rPPA"),
    }
)


def _path(subject: int, table: str) -> Path:
    return data_path() / FOLDER / "betas_csv" / f"sub-{subject:02d}_{table}"


def _is_unpacked() -> bool:
    return all(_path(subject, table).is_file() for subject in SUBJECTS for table in TABLES)


def _unpack(archive: Path) -> None:
    """Unpack what is needed, each file beside its place and renamed."""
    wanted = {_path(subject, table).name: _path(subject, table) for subject in SUBJECTS for table in TABLES}
    try:
        with zipfile.ZipFile(archive) as packed:
            members = {PurePosixPath(each.filename).name: each for each in packed.infolist() if not each.is_dir()}
            for name, path in wanted.items():
                if path.is_file():
                    continue
                if name not in members:
                    raise InputError(f"{archive} holds no {name}; expected the table of THINGS-data, version {VERSION}")
                with whole_file(path) as partial, partial.open("wb") as target, packed.open(members[name]) as source:
                    shutil.copyfileobj(source, target, 1 << 22)
    except (OSError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or str(error)
        full = isinstance(error, OSError) and error.errno in FULL
        remedy = f"about {TABLE_BYTES / 1e9:.0f} GB are needed beside it, free some" if full else "check its folder and try again"
        raise InputError(f"{archive} could not be unpacked ({reason}); {remedy}") from error


def _check_space(folder: Path) -> None:
    """Refuse to begin what cannot end."""
    there = next(each for each in (folder, *folder.parents) if each.is_dir())
    free, needed = shutil.disk_usage(there).free, ARCHIVE_BYTES + TABLE_BYTES
    begun = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()) if folder.is_dir() else 0
    if free < needed - begun:
        raise InputError(
            f"{folder} has {free / 1e9:.0f} GB free; things_fmri needs about {needed / 1e9:.0f} GB while it is unpacked and "
            f"{TABLE_BYTES / 1e9:.0f} GB after, free some or point {ENVIRONMENT_VARIABLE} at another disk"
        )


def _download_and_unpack(progress: Progress | None) -> None:
    files = article_files(ARTICLE, VERSION, FOLDER)
    if ARCHIVE not in files:
        raise InputError(f"figshare's article {ARTICLE} has no {ARCHIVE} (it has {', '.join(files)}); expected version {VERSION}")
    archive = fetch(files[ARCHIVE], progress=progress)
    _unpack(archive)
    archive.unlink()


def fetch_tables(progress: Progress | None = None) -> tuple[Path, ...]:
    """Give the tables' paths, downloading and unpacking them where they are not there; 43 GB.

    Parameters
    ----------
    progress
        called with bytes so far, bytes in all and a line to show.

    Raises
    ------
    InputError
        when they cannot be had, before anything moves also when the photographs are not there.
    """
    if not _is_unpacked():
        things.image_folder()
        folder = data_path() / FOLDER
        _check_space(folder)
        try:
            with alone_at(folder / "betas_csv"):
                if not _is_unpacked():  # another process has done it meanwhile
                    _download_and_unpack(progress)
        except OSError as error:
            raise InputError(f"{folder} cannot be written ({error.strerror or error}); expected a writable folder") from error
    return tuple(_path(subject, table) for subject in SUBJECTS for table in TABLES)


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table ({error}); remove it and fetch things_fmri again") from error
    for column in columns:
        if column not in table:
            raise unknown_name(f"column of {path}:", column, list(map(str, table.columns)))
    return table


def read_responses(
    path: Path, trials: Bool[np.ndarray, " n_trials"], voxels: Bool[np.ndarray, " n_voxels"]
) -> Float64[np.ndarray, "n_chosen_trials n_chosen_voxels"]:
    """Read responses of some voxels in some trials, a block of rows at a time.

    Parameters
    ----------
    path
        an HDF5 file as pandas writes a table of voxels by trials, which has a column "voxel_id" beside.
    trials, voxels
        which are wanted; the lengths are the table's.

    Raises
    ------
    InputError
        for a file that cannot be read, or whose responses have another shape.
    """
    try:
        with h5py.File(path) as file:
            group = next(iter(file.values()))
            blocks = [group[name] for name in group if name.startswith("block") and name.endswith("_values")]
            responses = next((each for each in blocks if each.shape == (len(voxels), len(trials))), None)
            if responses is None:
                shapes = ", ".join(str(each.shape) for each in blocks)
                raise InputError(
                    f"{path} holds tables of shapes {shapes or 'none'}; expected {len(voxels)} voxels by {len(trials)} trials, as "
                    "its metadata say"
                )
            parts = []
            for first in range(0, len(voxels), ROWS_AT_ONCE):
                chosen = voxels[first : first + ROWS_AT_ONCE]
                if chosen.any():
                    parts.append(np.asarray(responses[first : first + ROWS_AT_ONCE], dtype=np.float64)[chosen][:, trials])
    except (OSError, StopIteration, AttributeError, TypeError) as error:
        raise InputError(f"{path} cannot be read as HDF5 ({error}); remove it and fetch things_fmri again") from error
    return np.concatenate(parts).T


def _test_trials(stimuli: pd.DataFrame, path: Path) -> tuple[np.ndarray, list[str], list[str]]:
    """Which trials are tests, their photographs and sessions; each photograph once in every session."""
    tests = (stimuli["trial_type"] == "test").to_numpy()
    names = stimuli["stimulus"][tests].astype(str).tolist()
    sessions = stimuli["session"][tests].astype(str).tolist()
    counts = pd.crosstab(pd.Series(sessions), pd.Series(names))
    if counts.shape[1] != N_CONDITIONS or not (counts.to_numpy() == 1).all():
        raise InputError(
            f"{path} has {counts.shape[1]} test photographs in {counts.shape[0]} sessions, from {counts.to_numpy().min(initial=0)} "
            f"to {counts.to_numpy().max(initial=0)} times each; expected {N_CONDITIONS}, once in every session"
        )
    return tests, names, sessions


def _order(names: Sequence[str], sessions: Sequence[str], conditions: Sequence[str]) -> Int[np.ndarray, " n_observations"]:
    """Order trials by session, then by condition."""
    at = {(session, name): row for row, (session, name) in enumerate(zip(sessions, names, strict=True))}
    return np.array([at[session, name] for session in sorted(set(sessions), key=natural_key) for name in conditions])


def load(
    progress: Progress | None = None,
    subjects: Sequence[int] = SUBJECTS,
    regions: Mapping[str, Sequence[str]] = REGIONS,
) -> Recording:
    """Load the test photographs' responses, by default in V1, V2, V3, hV4, LOC, EBA, FFA and PPA.

    Parameters
    ----------
    progress
        called with bytes so far, bytes in all and a line to show while files are downloaded.
    subjects
        some of 1 to 3.
    regions
        columns of the table of voxels by region; a voxel belongs where any of them is 1.

    Returns
    -------
    the recording.

    Raises
    ------
    InputError
        when the data cannot be had, have other tables than stated, or a region holds no voxel.
    """
    check_subjects("things_fmri", subjects, SUBJECTS)
    fetch_tables(progress)
    columns = sorted({column for named in regions.values() for column in named})
    measurements: dict[str, list[np.ndarray]] = {region: [] for region in regions}
    conditions: list[str] = []
    labels: list[str] = []
    runs: list[str] = []
    for subject in subjects:
        responses, metadata, table = (_path(subject, each) for each in TABLES)
        tests, names, sessions = _test_trials(_read_table(metadata, ("trial_type", "session", "stimulus")), metadata)
        inside = _read_table(table, columns)
        if not conditions:
            conditions = sorted(set(names), key=natural_key)
        elif set(conditions) != set(names):
            raise InputError(f"{metadata} has other test photographs than subject {subjects[0]}'s; expected the same for all")
        order = _order(names, sessions, conditions)
        own_labels, own_runs = [Path(names[row]).stem for row in order], [sessions[row] for row in order]
        if labels and (own_labels, own_runs) != (labels, runs):
            raise InputError(f"{metadata} has other sessions than subject {subjects[0]}'s; expected the same for all")
        labels, runs = own_labels, own_runs
        members = {region: (inside[list(named)] == 1).any(axis=1).to_numpy() for region, named in regions.items()}
        for region, voxels in members.items():
            if not voxels.any():
                raise InputError(f"{table}: region '{region}' ({', '.join(regions[region])}) has no voxel; expected some")
        union = np.logical_or.reduce(list(members.values()))
        read = read_responses(responses, tests, union)[order]
        for region, voxels in members.items():
            measurements[region].append(read[:, voxels[union]])
    return Recording(
        name="things_fmri",
        stimuli=things.load_stimuli(conditions, "the 100 test photographs of THINGS-fMRI"),
        modality="fmri",
        regions={
            region: PatternSet.from_arrays(
                values,
                subjects=[f"subject_{subject}" for subject in subjects],
                conditions=labels,
                runs=runs,
                origin=f"things_fmri, {region}",
            )
            for region, values in measurements.items()
        },
        citation=things.CITATION,
        licence=things.LICENCE,
        notes=(
            "The authors' single-trial estimates of photographs that were shown once in each of twelve sessions, which count as "
            "runs; three subjects, so no noise ceiling over subjects."
        ),
    )


RECORDING = NamedRecording(
    name="things_fmri",
    load=load,
    modality="fmri",
    n_conditions=N_CONDITIONS,
    citation=things.CITATION,
    licence=things.LICENCE,
    fetched_bytes=ARCHIVE_BYTES,
    is_fetched=lambda: _is_unpacked() and things.has_images(),
    fetch=fetch_tables,
)

__all__ = ["RECORDING", "REGIONS", "fetch_tables", "load", "read_responses"]
