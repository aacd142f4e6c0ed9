"""Magnetoencephalography of one subject who saw 92 objects: four runs of a 306-channel Neuromag scanner.

The objects and their order are those of Kriegeskorte et al. 2008 and of :mod:`neurodata.cichy92`, whose images are shown here.
MNE-Python distributes the raw data, cleaned by temporal signal-space separation and corrected for movements, and its own
fetcher downloads them: more than 5 GB. The stimulus channel holds trigger + 1, and visual_stimuli.csv names what each trigger
shows; its categories have to be those that were published for the images.

Reference
---------
Cichy, Pantazis and Oliva (2014), Resolving human object recognition in space and time, Nature Neuroscience 17, 455-462.
doi:10.1038/nn.3635
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import lazy_loader
import numpy as np

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.progress import Progress
from neurodata import cichy92, kriegeskorte92, meg
from neurodata.cache import ENVIRONMENT_VARIABLE, data_path, fetch_all, is_cached
from neurodata.meg.options import MegOptions, MegRun
from neurodata.named import NamedRecording
from neurodata.recording import Recording

pd = lazy_loader.load("pandas")

N_RUNS = 4
FOLDER = "visual92_meg"
ARCHIVE = "MNE-visual_92_categories-data"  # as MNE unpacks it
STIMULUS_TABLE = "visual_stimuli.csv"
ARCHIVE_BYTES = 6_000_000_000  # about: MNE states "more than 5 GB" and "about 6 GB" and no sizes
LICENCE = "not stated by the source (MNE-Python's data sets), which asks for the citation"
OPTIONS = MegOptions(
    event_offset=1,
    minimum_trigger_duration=0.002,
    tmin=-0.1,
    tmax=0.6,
    baseline=(-0.1, 0.0),
    h_freq=40.0,
    decimate=10,  # from 1000 Hz
)


def _file_names() -> list[str]:
    return [STIMULUS_TABLE, *(f"sample_subject_{run}_tsss_mc.fif" for run in range(N_RUNS))]


def _is_there() -> bool:
    folder = data_path() / FOLDER / ARCHIVE
    return all((folder / name).is_file() for name in _file_names())


def _has_all() -> bool:
    return _is_there() and all(is_cached(remote) for remote in cichy92.image_files())


def _fetch(progress: Progress | None) -> tuple[Path, ...]:
    folder = fetch_archive()
    return (*fetch_all(cichy92.image_files(), progress=progress), *(folder / name for name in _file_names()))


def fetch_archive() -> Path:
    """Give the folder of the raw data, which MNE downloads into the cache folder where it is not there yet.

    Raises
    ------
    InputError
        when it cannot be downloaded or unpacked.
    """
    if not _is_there():
        from mne.datasets import visual_92_categories

        place = data_path() / FOLDER
        try:
            place.mkdir(parents=True, exist_ok=True)
            visual_92_categories.data_path(path=place, update_path=False, verbose="error")
        except Exception as error:  # requests', pooch's and the archive's own
            raise InputError(
                f"the MEG recording of 92 objects could not be downloaded into {place} ({type(error).__name__}); it needs 6 GB "
                f"and a connection, try again or point {ENVIRONMENT_VARIABLE} at a folder that holds it"
            ) from error
    folder = data_path() / FOLDER / ARCHIVE
    for name in _file_names():
        if not (folder / name).is_file():
            raise InputError(
                f"{folder} has no {name}; expected MNE's data set visual_92_categories, whole: remove it and fetch it again"
            )
    return folder


def read_triggers(path: Path, categories: Sequence[str]) -> list[int]:
    """Read which trigger shows each object, and check that its categories are the published ones.

    Parameters
    ----------
    path
        a table with the columns trigger, human, face, animal and natural.
    categories
        published name of each object's category, in the objects' order.

    Returns
    -------
    one trigger for each object.

    Raises
    ------
    InputError
        for a table of other columns, another number of objects, or other categories.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table ({error}); expected MNE's {STIMULUS_TABLE}") from error
    columns = ("trigger", "human", "face", "animal", "natural")
    missing = [column for column in columns if column not in table]
    if missing or len(table) != len(categories):
        found = f"no column '{missing[0]}'" if missing else f"{len(table)} rows"
        raise InputError(f"{path} has {found}; expected {', '.join(columns)} of {len(categories)} objects")
    names = np.array(categories, dtype=np.str_)
    animal = ~np.char.endswith(names, "inanimate")
    expected = {
        "human": np.char.startswith(names, "human"),
        "face": np.char.endswith(names, "face"),
        "animal": animal,
        "natural": np.char.startswith(names, "natural"),
    }
    for column, members in expected.items():
        # whether animals are natural is a question that the published categories leave open
        asked = ~animal if column == "natural" else np.ones(len(names), dtype=bool)
        wrong = np.flatnonzero(asked & (table[column].to_numpy().astype(bool) != members))
        if len(wrong):
            raise InputError(
                f"{path}: the object of row {wrong[0] + 1} ({names[wrong[0]]}) has {column} {table[column].iloc[wrong[0]]}; "
                "expected the categories of the 92 objects in their published order"
            )
    return [int(trigger) for trigger in table["trigger"]]


def load(progress: Progress | None = None, options: MegOptions = OPTIONS) -> Recording:
    """Load regions "magnetometers" and "gradiometers" of the one subject.

    Parameters
    ----------
    progress
        called with bytes so far, bytes in all and a line to show while the images are downloaded; the raw data are MNE's to report.
    options
        of the pipeline, whose event_id is filled in here; by default 40 Hz low-pass, 100 samples a second.

    Returns
    -------
    the recording.

    Raises
    ------
    InputError
        when the data cannot be had, or are not what the publication says.
    """
    stimuli = cichy92.load_stimuli(progress)
    assert stimuli.categories is not None, "they are published"
    folder = fetch_archive()
    triggers = read_triggers(folder / STIMULUS_TABLE, [str(each) for each in stimuli.categories])
    event_id = {str(identity): trigger for identity, trigger in zip(stimuli.ids, triggers, strict=True)}
    # the files were renamed: each still names a next part that it had, and is whole
    runs = [
        MegRun(folder / name, subject="01", run=str(run + 1), missing_splits="ignore") for run, name in enumerate(_file_names()[1:])
    ]
    regions, times = meg.patterns(runs, replace(options, event_id=event_id))
    return Recording(
        name="visual92_meg",
        stimuli=stimuli,
        modality="meg",
        regions=regions,
        times=times,
        citation=cichy92.CITATION,
        licence=LICENCE,
        notes=(
            "One subject, four runs, so no noise ceiling over subjects. Patterns are averages of each object and run, in units "
            f"of one trial's noise ({options.noise_normalisation} normalisation of each sensor type)."
        ),
    )


RECORDING = NamedRecording(
    name="visual92_meg",
    load=load,
    modality="meg",
    n_conditions=cichy92.N_CONDITIONS,
    citation=cichy92.CITATION,
    licence=LICENCE,
    references=kriegeskorte92.model_rdms,
    fetched_bytes=ARCHIVE_BYTES,
    is_fetched=_has_all,
    fetch=_fetch,
)

__all__ = ["OPTIONS", "RECORDING", "fetch_archive", "load", "read_triggers"]
