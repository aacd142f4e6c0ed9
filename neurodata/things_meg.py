"""Magnetoencephalography of four subjects who saw 200 photographs of objects twelve times, among 22,248 that came once.

THINGS-data's own epochs are taken: filtered from 0.1 to 40 Hz, cut by the optical sensor, z-scored by the baseline of their
session, 200 samples a second, 271 axial gradiometers of a CTF scanner (which MNE counts as magnetometers). Of these the test
trials are the conditions here: one photograph each of 200 concepts, once in each of twelve sessions. They are written once into
a file of epochs of their own for each subject, and go the way of every other file of epochs from there on.

The epochs are 33 GB on OpenNeuro (ds004212), downloaded by version and checksum; the photographs are :mod:`neurodata.things`'s.

Reference
---------
Hebart et al. (2023), THINGS-data, a multimodal collection of large-scale datasets for investigating object representations in
human brain and behavior, eLife 12:e82580. doi:10.7554/eLife.82580
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import lazy_loader
import numpy as np

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import whole_file
from bioplausible.foundation.progress import Progress
from neurodata import meg, things
from neurodata.cache import data_path, fetch_all
from neurodata.derived import default_folder
from neurodata.meg.options import REGIONS, MegOptions, MegRun
from neurodata.named import NamedRecording, check_subjects
from neurodata.openneuro import annexed_file
from neurodata.recording import Recording
from neurodata.stimuli import natural_key

mne = lazy_loader.load("mne")

DATASET = "ds004212"
COMMIT = "10f11c0c167081f9602947d0340ac9f4cf088f38"
FOLDER = "things_meg"
SUBJECTS = (1, 2, 3, 4)
N_CONDITIONS = 200
ABOUT_BYTES = 33_006_800_000  # sixteen files of 2.06 GB
# a subject's epochs are in four parts, of which the first names the next; versions are the bucket's
VERSIONS: Mapping[str, str] = MappingProxyType(
    {
        "preprocessed_P1-epo.fif": "_KO81vnVItjzcxrR91AFeHh8sA7YiuB9",
        "preprocessed_P1-epo-1.fif": "VEFpBYggusLPxNIKlN21eEtrjpo4DcBP",
        "preprocessed_P1-epo-2.fif": "hVx8E4e0xIymnQ3nHKFnNAhQHsr7jKlQ",
        "preprocessed_P1-epo-3.fif": "1jVDhw2KOJz7b_6ApO2a9J4vy_8jqqhn",
        "preprocessed_P2-epo.fif": "yYjGg9sMwgC3FozM8Sc_HXmKoSd_6Qnv",
        "preprocessed_P2-epo-1.fif": "yIZzH6fajlVFCen182u0nGLl5sbWKs0w",
        "preprocessed_P2-epo-2.fif": "qQ9bWzptOpO8CZlBhT4c5erDOA5Do67a",
        "preprocessed_P2-epo-3.fif": "uRES5t7k47rQTCDUNlFN5_rRmjNOemtW",
        "preprocessed_P3-epo.fif": "oaTbATaOOvX.UtsD5gA9ET7RJoZljTsB",
        "preprocessed_P3-epo-1.fif": "JYdYRMFUzwsz8354Fz9sQQbnQ.Ozstbb",
        "preprocessed_P3-epo-2.fif": "mUABa6OLpBG1Vu0A9IsFpOkgWjMBTuG8",
        "preprocessed_P3-epo-3.fif": "LadUGeGvC.s2wAqYEMXEzD4_VjD1aRJg",
        "preprocessed_P4-epo.fif": "LM9PMqdfCcx8h9qjfU_W69WU0Ol9ECdl",
        "preprocessed_P4-epo-1.fif": "LGG8UJiqW83Z5Mgpiv5LQDgUgs0kYn9y",
        "preprocessed_P4-epo-2.fif": "tdx2wKa7QOpMjBzsN4py4Y.rYhW9vp26",
        "preprocessed_P4-epo-3.fif": "gajLhEHnXBlMs.EMnyXyFtJ_SVvw_gOT",
    }
)
OPTIONS = MegOptions(tmin=-0.1, tmax=0.8, baseline=(-0.1, 0.0), pseudo_trials=4, channel_types=("mag",))


def _parts(subjects: Sequence[int]) -> list[Path]:
    return [data_path() / FOLDER / name for name in VERSIONS if any(name.startswith(f"preprocessed_P{each}-") for each in subjects)]


def fetch_epochs(progress: Progress | None = None, subjects: Sequence[int] = SUBJECTS) -> tuple[Path, ...]:
    """Give the paths of the epochs, downloading what is not there; 8 GB a subject.

    Parameters
    ----------
    progress
        called with bytes so far, bytes in all and a line to show.
    subjects
        some of 1 to 4.

    Raises
    ------
    InputError
        when they cannot be had, before anything moves also when the photographs are not there.
    """
    check_subjects("things_meg", subjects, SUBJECTS)
    paths = _parts(subjects)
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        things.image_folder()
        fetch_all(
            [annexed_file(DATASET, COMMIT, f"derivatives/preprocessed/{name}", VERSIONS[name], FOLDER) for name in missing],
            progress=progress,
        )
    return tuple(paths)


def _selected(path: Path) -> mne.EpochsArray:
    """The test trials of a subject, whose conditions are the names of photographs."""
    epochs = meg.read_whole(lambda: mne.read_epochs(path, proj=False, preload=False, verbose="error"), path, "THINGS-MEG's epochs")
    columns = () if epochs.metadata is None else tuple(epochs.metadata.columns)
    for column in ("trial_type", "image_path"):
        if column not in columns:
            raise InputError(
                f"{path} has no metadata '{column}' (it has {', '.join(columns) or 'none'}); expected THINGS-MEG's epochs"
            )
    chosen = epochs[(epochs.metadata["trial_type"] == "test").to_numpy()]
    names = [PurePosixPath(str(each)).stem for each in chosen.metadata["image_path"]]
    conditions = sorted(set(names), key=natural_key)
    if len(conditions) != N_CONDITIONS:
        raise InputError(
            f"{path} has {len(conditions)} test photographs; expected {N_CONDITIONS}, remove it and fetch things_meg again"
        )
    code_of = {name: code for code, name in enumerate(conditions, 1)}
    events = np.stack([np.arange(len(names)), np.zeros(len(names), int), [code_of[name] for name in names]], axis=1)
    data = meg.read_whole(lambda: chosen.get_data(), path, "THINGS-MEG's epochs, all four parts")
    return mne.EpochsArray(data, chosen.info, events, chosen.tmin, code_of, proj=False, verbose="error")


def trial_file(subject: int) -> Path:
    """Give the file of a subject's test trials, written from all of its epochs where it is not there; 0.7 GB.

    Parameters
    ----------
    subject
        1 to 4.

    Returns
    -------
    the path of the file.

    Raises
    ------
    InputError
        when the epochs cannot be read, or are not what the publication says.
    """
    check_subjects("things_meg", [subject], SUBJECTS)
    place = default_folder() / FOLDER
    path = place / f"sub-{subject}_test-epo.fif"
    if not path.is_file():
        selected = _selected(_parts([subject])[0])
        try:
            with whole_file(path) as partial:
                selected.save(partial, fmt="single", verbose="error")
        except OSError as error:
            raise InputError(f"{place} cannot be written ({error.strerror or error}); expected 1 GB there, free some") from error
    return path


def load(progress: Progress | None = None, subjects: Sequence[int] = SUBJECTS, options: MegOptions = OPTIONS) -> Recording:
    """Load region "MEG", all 271 sensors, of four subjects.

    Parameters
    ----------
    progress
        called with bytes so far, bytes in all and a line to show while files are downloaded.
    subjects
        some of 1 to 4.
    options
        of the pipeline from epochs on; by default 0.1 s before to 0.8 s after, and the twelve trials of a photograph in four
        averages of three.

    Returns
    -------
    the recording.

    Raises
    ------
    InputError
        when the data cannot be had, or are not what the publication says.
    """
    fetch_epochs(progress, subjects)
    runs = [MegRun(trial_file(subject), subject=f"subject_{subject}") for subject in subjects]
    sets, times = meg.patterns(runs, replace(options, channel_types=("mag",)))
    region = sets[REGIONS["mag"]]
    return Recording(
        name="things_meg",
        stimuli=things.load_stimuli([f"{name}.jpg" for name in region.conditions], "the 200 test photographs of THINGS-MEG"),
        modality="meg",
        regions={"MEG": region},
        times=times,
        citation=things.CITATION,
        licence=things.LICENCE,
        notes=(
            "The authors' epochs, z-scored by the baseline of each session; axial gradiometers of a CTF scanner. "
            + (
                "Patterns are averages of all of a photograph's trials"
                if options.pseudo_trials is None
                else f"Runs are {options.pseudo_trials} averages of a photograph's trials, dealt at random over sessions"
            )
            + f" ({options.noise_normalisation} normalisation)."
        ),
    )


RECORDING = NamedRecording(
    name="things_meg",
    load=load,
    modality="meg",
    n_conditions=N_CONDITIONS,
    citation=things.CITATION,
    licence=things.LICENCE,
    fetched_bytes=ABOUT_BYTES,
    is_fetched=lambda: all(path.is_file() for path in _parts(SUBJECTS)) and things.has_images(),
    fetch=fetch_epochs,
)

__all__ = ["OPTIONS", "RECORDING", "fetch_epochs", "load", "trial_file"]
