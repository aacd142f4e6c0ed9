"""``recording.yaml``: what a user's folder states about its recording.

==================  ===========================================================================================
key                 meaning
==================  ===========================================================================================
name                how tables and reports call the recording (by default the folder's name)
modality            fmri, meg, eeg, ...
subjects            names, in the order of the arrays; or a mapping from region to names where they differ
citation, licence   the publication to cite, the terms of use
notes               what a reader of a report has to know
times               seconds, a list or {start: -0.1, step: 0.01}
categories          one name per stimulus, a list in the stimuli's order or a mapping from file name to category
stimuli             file names in the order of rows, where that is not the natural order of the names; or a mapping: size
                    (pixels of a square, or [width, height]) that all are brought to, fit (pad, crop or stretch), files (the names)
background_colour   [red, green, blue] behind transparent pixels, by default [128, 128, 128]
measure             the name of the dissimilarity in rdms_* files
source              where the images come from
source_indices      positions of the stimuli in the set that they were taken from
truth               for a simulated recording, the stage that drives each region
drive_windows       for a simulated recording in time, [start, stop] in seconds for each region
select              which raw files, by the entities of their names, as far as there are several: {task: objects, res: 2}
fmri, meg           options of raw files, those of neurodata.fmri.stated and of neurodata.meg.MegOptions: see the sections
==================  ===========================================================================================

Every key may be left out, and the file too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bioplausible.foundation.errors import InputError, shortened
from bioplausible.foundation.options import check_keys
from bioplausible.foundation.yaml_files import read_mapping
from neurodata.array_files import LATEST, TimeAxis
from neurodata.entities import is_selection
from neurodata.picture_files import FITS
from neurodata.presence import check_content
from neurodata.spellings import check_distinct

FILE_NAME = "recording.yaml"
_LIKE_IT = (FILE_NAME, "recording.yml", "recording.yaml.txt", "recording.yml.txt")
LARGEST_SIDE = 16384  # pixels


class StimulusOptions(NamedTuple):
    """What is stated of the stimuli: their files in order or None, (width, height) or None, and how they are brought to it."""

    files: list[Any] | None
    size: tuple[int, int] | None
    fit: str


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str | int) and not isinstance(each, bool) for each in value)


def _is_times(value: object) -> bool:
    if isinstance(value, dict):
        in_order = set(value) == {"start", "step"} and all(map(_is_number, value.values())) and value["step"] > 0
        return in_order and abs(value["start"]) <= LATEST
    return isinstance(value, list) and bool(value) and all(_is_number(each) and abs(each) <= LATEST for each in value)


def _is_colour(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(type(each) is int and 0 <= each <= 255 for each in value)


def _is_windows(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(each, list) and len(each) == 2 and all(map(_is_number, each)) for each in value.values()
    )


def _is_size(value: object) -> bool:
    sides = value if isinstance(value, list) else [value]
    return len(sides) in {1, 2} and all(type(each) is int and 1 <= each <= LARGEST_SIDE for each in sides)


def _is_stimuli(value: object) -> bool:
    if not isinstance(value, dict):
        return _is_names(value)
    return (
        set(value) <= {"size", "fit", "files"}
        and ("fit" not in value or (value["fit"] in FITS and "size" in value))
        and ("size" not in value or _is_size(value["size"]))
        and ("files" not in value or _is_names(value["files"]))
    )


def _is_options(value: object) -> bool:
    return value is None or (isinstance(value, dict) and all(isinstance(key, str) for key in value))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


KEYS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "name": (_is_text, "text"),
    "modality": (_is_text, "text such as fmri, meg or eeg"),
    "subjects": (
        lambda value: (
            _is_names(value) or (isinstance(value, dict) and _is_names(list(value)) and all(map(_is_names, value.values())))
        ),
        "a list of names, or a mapping from region to such a list",
    ),
    "citation": (_is_text, "text"),
    "licence": (_is_text, "text"),
    "notes": (_is_text, "text"),
    "times": (_is_times, "an ascending list of seconds, or {start: -0.1, step: 0.01}, at most 60 (100 ms are 0.1)"),
    "categories": (
        lambda value: _is_names(value) or (isinstance(value, dict) and _is_names([*value, *value.values()])),
        "a list of names, one per stimulus, or a mapping from file name to category",
    ),
    "stimuli": (_is_stimuli, "a list of file names, or a mapping such as {size: 400, fit: pad}, with fit pad, crop or stretch"),
    "select": (is_selection, "a mapping from an entity to its value or values, such as {task: objects, run: [1, 2]}"),
    "background_colour": (_is_colour, "[red, green, blue], 0 to 255 each"),
    "measure": (_is_text, "text such as correlation"),
    "source": (_is_text, "text"),
    "source_indices": (
        lambda value: isinstance(value, list) and all(type(each) is int for each in value),
        "a list of whole numbers, one per stimulus",
    ),
    "truth": (
        lambda value: isinstance(value, dict) and all(map(_is_text, value.values())),
        "a mapping from region to the stage that drives it",
    ),
    "fmri": (_is_options, "a mapping with options such as 'smoothing_mm: 4'"),
    "meg": (_is_options, "a mapping with options such as 'l_freq: 0.1'"),
    "drive_windows": (_is_windows, "a mapping from region to [start, stop] in seconds"),
}


def meanings() -> dict[str, str]:
    """What each key means, as the table at the head of this file says it.

    Returns
    -------
    key -> its meaning, in the table's order; keys that are told together have the same.

    >>> meanings()["times"]
    'seconds, a list or {start: -0.1, step: 0.01}'
    """
    lines = (__doc__ or "").splitlines()
    rules = [index for index, line in enumerate(lines) if line.startswith("====")]
    if len(rules) < 3:  # an interpreter that keeps no docstrings
        return dict.fromkeys(KEYS, "")
    width = lines[rules[0]].index(" ")
    told: list[tuple[str, list[str]]] = []
    for line in lines[rules[1] + 1 : rules[2]]:
        if key := line[:width].strip():
            told.append((key, []))
        told[-1][1].append(line[width:].strip())
    return {key.strip(): " ".join(words) for keys, words in told for key in keys.split(",")}


def read_settings(folder: Path) -> dict[str, Any]:
    """Read and check a folder's recording.yaml; without the file, nothing is stated.

    Parameters
    ----------
    folder
        a user's folder.

    Returns
    -------
    what is stated, by key.

    Raises
    ------
    InputError
        for a file that is not YAML or has another ending, unknown keys (all of them, with guesses), or values of another kind.
    """
    path = folder / FILE_NAME
    check_content(path)
    if not path.is_file():
        other = next((each for each in sorted(folder.iterdir()) if each.name.lower() in _LIKE_IT), None)
        if other is not None:
            raise InputError(f"{other} is not read; expected {FILE_NAME}, rename it")
        return {}
    settings = read_mapping(path, "modality: fmri")
    check_keys(settings, KEYS, str(path))
    for key, value in settings.items():
        is_right, expected = KEYS[key]
        if not is_right(value):
            raise InputError(f"{path}: '{key}' is {shortened(repr(value))}; expected {expected}{_quoted(value, expected)}")
    subjects = settings.get("subjects")
    for names in subjects.values() if isinstance(subjects, dict) else [subjects or []]:
        check_distinct([str(name) for name in names], f"{path}: 'subjects'")
    return settings


def _quoted(value: object, expected: str) -> str:
    """What helps where YAML has taken a name for something else."""
    if value is None:
        return ", or leave the key out"
    if expected.startswith("text") and isinstance(value, bool | float | int):
        return ", put it in quotes"
    values = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    taken = next((each for each in values if each is None or isinstance(each, bool | float)), "")
    return "" if taken == "" else f"; YAML takes {taken!r} for no name, put names in quotes"


def stimulus_options(settings: Mapping[str, Any]) -> StimulusOptions:
    """Read what is stated of the stimuli.

    Parameters
    ----------
    settings
        from :func:`read_settings`.

    Returns
    -------
    files, size and fit.

    >>> stimulus_options({"stimuli": {"size": 400, "fit": "crop"}})
    StimulusOptions(files=None, size=(400, 400), fit='crop')
    """
    stated = settings.get("stimuli")
    if not isinstance(stated, dict):
        return StimulusOptions(stated, None, "pad")
    size = stated.get("size")
    sides = None if size is None else size if isinstance(size, list) else [size]
    return StimulusOptions(stated.get("files"), None if sides is None else (sides[0], sides[-1]), stated.get("fit", "pad"))


def time_axis(settings: Mapping[str, Any], folder: Path) -> TimeAxis:
    """Read what is stated of the times.

    Parameters
    ----------
    settings
        from :func:`read_settings`.
    folder
        whose they are.

    Returns
    -------
    the axis, which may state nothing.
    """
    origin, stated = str(folder / FILE_NAME), settings.get("times")
    if stated is None:
        return TimeAxis(origin)
    if isinstance(stated, dict):
        return TimeAxis(origin, start=float(stated["start"]), step=float(stated["step"]))
    return TimeAxis(origin, seconds=tuple(float(each) for each in stated))


__all__ = ["FILE_NAME", "KEYS", "meanings", "read_settings", "time_axis"]
