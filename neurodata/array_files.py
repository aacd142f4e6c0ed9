"""RDMs and patterns in a user's HDF5, npz and npy files."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lazy_loader
import numpy as np
from jaxtyping import Float64

from bioplausible.foundation.errors import InputError
from neurodata.pattern_set import PatternSet
from neurodata.presence import check_content
from neurodata.rdm_set import CONDITION_DESCRIPTORS, RdmSet, condense, missing_pairs
from neurodata.spellings import check_distinct, find_names
from neurodata.stimuli import natural_key

h5py = lazy_loader.load("h5py")
rsatoolbox = lazy_loader.load("rsatoolbox")

RDM_SUFFIXES = (".h5", ".hdf5", ".npz", ".npy")
PATTERN_SUFFIXES = (".npz",)
LATEST = 60.0  # seconds from a stimulus, beyond which milliseconds were meant
_SUBJECTS, _TIMES, _RUNS = ("subjects", "subject"), ("times", "time"), ("runs", "run")
_ONE_SUBJECT = re.compile(r"sub([-_ ]?\d|[-_ ]\w).*|subject.*", re.IGNORECASE)  # subject_01, sub-01, Subject 1
READ_ERRORS = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class TimeAxis:
    """Times stated beside the files: a list, or a start and a step that fit any number of samples.

    Parameters
    ----------
    origin
        the file that states them.
    seconds
        every time, or None.
    start
        first time in seconds, used with step.
    step
        seconds between samples, or None where no times are stated as start and step.
    """

    origin: str
    seconds: tuple[float, ...] | None = None
    start: float = 0.0
    step: float | None = None

    def of_length(self, n_times: int, origin: str) -> Float64[np.ndarray, " n_times"]:
        """Give n_times seconds for the array in origin, or say what has to be stated."""
        if self.seconds is not None:
            if len(self.seconds) != n_times:
                raise InputError(
                    f"{origin} holds {n_times} times but {self.origin} lists {len(self.seconds)}; expected as many, in seconds"
                )
            return np.array(self.seconds)
        if self.step is None:
            raise InputError(
                f"{origin} holds {n_times} times but {self.origin} states none; add 'times', a list in seconds or "
                "{start: -0.1, step: 0.01}"
            )
        times = self.start + self.step * np.arange(n_times)
        check_seconds(times, f"{self.origin}: {n_times} times by {{start: {self.start:g}, step: {self.step:g}}}")
        return times


def check_seconds(times: Sequence[float] | np.ndarray, origin: str) -> None:
    """Refuse times that no response to a picture has, as milliseconds for seconds give.

    Parameters
    ----------
    times
        (n_times,).
    origin
        what the message begins with.

    Raises
    ------
    InputError
        for one that is further than a minute from the stimulus.

    >>> check_seconds([-0.1, 0.8], "rdms_IT.h5")
    """
    furthest = max(times, key=abs, default=0.0)
    if abs(furthest) > LATEST:
        raise InputError(
            f"{origin} reach {furthest:g} s; expected seconds from the stimulus, at most {LATEST:g} "
            f"({furthest:g} ms are {furthest / 1000:g} s)"
        )


def _unreadable(path: Path, error: Exception) -> InputError:
    check_content(path)
    if "unable to lock file" in str(error):
        if "temporarily unavailable" in str(error):
            return InputError(f"{path} is open in a program that writes into it; expected a file that is closed, end that program")
        return InputError(f"{path} lies on a file system without locks, which HDF5 asks for; set HDF5_USE_FILE_LOCKING=FALSE")
    if "Object arrays" in str(error):
        return InputError(
            f"{path} holds objects of Python; expected one array of numbers, of one shape for all subjects: save it so"
        )
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(
        f"{path} cannot be read ({reason}): expected a whole {path.suffix} file of numbers; it may be truncated, "
        "save or copy it again"
    )


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        content = np.load(path, allow_pickle=False)
        if not isinstance(content, np.lib.npyio.NpzFile):
            raise ValueError("an npy file under another name")
        with content:
            return {key: content[key] for key in content.files}
    except READ_ERRORS as error:
        raise _unreadable(path, error) from error


def _missing_key(path: Path, wanted: str, found: Sequence[str]) -> InputError:
    return InputError(f"{path} holds {', '.join(found) or 'nothing'}; expected {wanted}, rename it in the file")


def _read_rdm_array(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Read the array "rdms", and what stands beside it."""
    if path.suffix.lower() == ".npz":
        content = _read_npz(path)
        if "rdms" not in content:
            raise _missing_key(path, "the key 'rdms'", list(content))
        return content.pop("rdms"), content
    try:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, allow_pickle=False)), {}
        with h5py.File(path, "r") as file:
            if "rdms" not in file:
                raise _missing_key(path, "a dataset 'rdms', or what rsatoolbox's RDMs.save writes", list(file))
            beside = {key: np.asarray(each) for key, each in file.items() if key != "rdms" and isinstance(each, h5py.Dataset)}
            return np.asarray(file["rdms"]), beside
    except InputError:
        raise
    except READ_ERRORS as error:
        raise _unreadable(path, error) from error


def _is_rsatoolbox_file(path: Path) -> bool:
    if path.suffix.lower() not in {".h5", ".hdf5"}:
        return False
    try:
        with h5py.File(path, "r") as content:
            return "dissimilarities" in content
    except READ_ERRORS as error:
        raise _unreadable(path, error) from error


def _rename_subjects(rdms: RdmSet, subjects: Sequence[str], origin: str) -> RdmSet:
    if len(subjects) != len(rdms.subjects):
        raise InputError(f"{origin}: RDMs of {len(rdms.subjects)} subjects but {len(subjects)} names of subjects")
    check_distinct(subjects, origin)
    renamed = dict(zip(rdms.subjects, subjects, strict=True))
    toolbox = rdms.to_rsatoolbox()
    toolbox.rdm_descriptors["subject"] = [renamed[subject] for subject in toolbox.rdm_descriptors["subject"]]
    return RdmSet(toolbox, origin)


def _names_of(labels: Any) -> list[str]:
    return [each.decode(errors="replace") if isinstance(each, bytes) else str(each) for each in labels]


def _counts_rows(labels: Sequence[str]) -> bool:
    """Whether labels are nothing but the numbers of rows."""
    return labels in ([str(row) for row in range(len(labels))], [str(row + 1) for row in range(len(labels))])


def row_order(described: Mapping[str, Any], ids: Sequence[str], origin: str) -> tuple[list[int] | None, str]:
    """Find the stimuli's order among rows that a file names, whatever it calls the names.

    Parameters
    ----------
    described
        labels of the rows, by descriptor.
    ids
        the stimuli, in their order.
    origin
        the file, for errors.

    Returns
    -------
    the row of each stimulus, None where rows have no names or others; and a note where they have others.

    Raises
    ------
    InputError
        where rows are named after some of the stimuli, but not after all.

    >>> row_order({"stim": ["img_10", "img_2.png", "img_1"]}, ["img_1", "img_2", "img_10"], "rdms_IT.h5")
    ([2, 1, 0], '')
    """
    named = {key: _names_of(values) for key, values in described.items() if key != "index" and len(values) == len(ids)}
    distinct = {key: labels for key, labels in named.items() if len(set(labels)) == len(labels)}
    for labels in distinct.values():
        found = find_names(labels, ids)
        if set(found.values()) == set(ids):
            row_of = {found[label]: row for row, label in enumerate(labels)}
            return [row_of[identity] for identity in ids], ""
    for key, labels in named.items():
        # a stimulus that stands for two rows leaves open which row is which; categories may repeat, and be called as one of theirs
        names_rows = key.lower() in CONDITION_DESCRIPTORS or 2 * len(set(labels)) > len(labels)
        if key not in distinct and names_rows and len(find_names(labels, ids)) == len(set(labels)):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise InputError(
                f"{origin}: '{twice}' stands for {labels.count(twice)} of {len(ids)} rows by '{key}'; expected each stimulus once, "
                "correct the names"
            )
    for key, labels in distinct.items():
        found = find_names(labels, ids)
        if found and not _counts_rows(labels):
            strange = next(label for label in labels if label not in found)
            raise InputError(
                f"{origin}: row {labels.index(strange) + 1} is '{strange}' by '{key}', which is no stimulus, while {len(found)} of "
                f"{len(ids)} rows have a stimulus's name; expected all stimuli's file names without their ending, rename rows "
                "or files"
            )
    others = next(((key, labels) for key, labels in distinct.items() if not _counts_rows(labels)), None)
    if others is None:
        return None, ""
    key, labels = others
    return (
        None,
        f"{origin}: rows have names other than the stimuli's ('{key}': {labels[0]}, …) and were taken in the stimuli's order.",
    )


def _of_rows(beside: Mapping[str, np.ndarray], n_rows: int, origin: str) -> dict[str, np.ndarray]:
    """Arrays that may name an RDM's rows: texts, and numbers where the key says that they are names."""
    described = {}
    for key, each in beside.items():
        says_so = key.lower() in CONDITION_DESCRIPTORS
        if key.lower() in (*_SUBJECTS, *_TIMES) or each.ndim != 1 or each.dtype.kind not in ("USOiu" if says_so else "USO"):
            continue
        if says_so and len(each) != n_rows:
            raise InputError(f"{origin}: '{key}' names {len(each)} rows of {n_rows}; expected a name for each")
        described[key] = each
    return described


def _first_of(beside: Mapping[str, np.ndarray], names: Sequence[str]) -> tuple[str, np.ndarray] | None:
    return next(((key, each) for key, each in beside.items() if key.lower() in names), None)


def _subjects_of(beside: Mapping[str, np.ndarray], stated: Sequence[str] | None) -> Sequence[str] | None:
    """Names of the subjects that stand beside an array; what recording.yaml states goes before."""
    there = _first_of(beside, _SUBJECTS)
    return stated if stated is not None or there is None or there[1].ndim != 1 else _names_of(there[1])


def _axis(beside: Mapping[str, np.ndarray], stated: TimeAxis, n_times: int, origin: str) -> np.ndarray:
    """(n_times,) seconds that stand beside an array, or in recording.yaml; where both do they have to agree."""
    there = _first_of(beside, _TIMES)
    if there is None or there[1].ndim != 1 or there[1].dtype.kind not in "fiu":
        return stated.of_length(n_times, origin)
    key, times = there[0], there[1].astype(np.float64)
    if len(times) != n_times:
        raise InputError(f"{origin} holds {n_times} times but {len(times)} by its '{key}'; expected as many, in seconds")
    check_seconds(times, f"{origin}: '{key}'")
    if stated.seconds is not None or stated.step is not None:
        said = stated.of_length(n_times, origin)
        if not np.allclose(said, times, rtol=0, atol=1e-6):
            index = int(np.abs(said - times).argmax())
            raise InputError(
                f"{origin}: time {index + 1} is {times[index]:g} s by its '{key}' and {said[index]:g} s by "
                f"{stated.origin}; expected "
                "one of them, correct it or leave 'times' out"
            )
    return times


def _not_read(left: Sequence[str], origin: str) -> str:
    return f"{origin}: arrays that are not read: {', '.join(left)}." if left else ""


def _reordered(rdms: RdmSet, order: Sequence[int], ids: Sequence[str], origin: str) -> RdmSet:
    toolbox = rdms.to_rsatoolbox()
    toolbox.reorder(np.asarray(order))
    toolbox.pattern_descriptors["condition"] = list(ids)
    return RdmSet(toolbox, origin)


def _with_missing(note: str, rdms: RdmSet, origin: str) -> str:
    """A note, and how many pairs of conditions are missing."""
    missing, of_all = missing_pairs(rdms.toolbox.dissimilarities)
    said = f"{origin}: {missing} of {of_all} pairs of conditions were not measured (NaN); they count with weight nought."
    vectors = rdms.toolbox.dissimilarities
    constant = int((np.nanmax(vectors, axis=-1) == np.nanmin(vectors, axis=-1)).sum())
    same = f"{origin}: {constant} of {len(vectors)} RDMs have one value for every pair of conditions, which tells nothing apart."
    return " ".join(filter(None, (note, said if missing else "", same if constant else "")))


def read_rdms(
    path: Path, ids: Sequence[str], subjects: Sequence[str] | None, times: TimeAxis, measure: str | None
) -> tuple[RdmSet, str]:
    """Read a file of RDMs, rows in the stimuli's order where the file names them.

    Parameters
    ----------
    path
        .h5 (as rsatoolbox saves RDMs, or a dataset "rdms"), .npz (key "rdms") or .npy.
    ids
        the stimuli, in the order of rows.
    subjects
        names of the subjects, or None.
    times
        what is stated of the time axis.
    measure
        the name of the dissimilarity, where the file does not say.

    Returns
    -------
    the RDMs, and a note where the file's names of rows are none of the stimuli's, or pairs of conditions were not measured (NaN).

    Raises
    ------
    InputError
        for a file that cannot be read or does not fit.
    """
    origin = str(path)
    if _is_rsatoolbox_file(path):
        try:
            loaded = rsatoolbox.rdm.rdms.load_rdm(origin, file_type="hdf5")
        except (*READ_ERRORS, AttributeError, TypeError, AssertionError) as error:
            raise _unreadable(path, error) from error
        if "time" in loaded.rdm_descriptors:
            check_seconds([float(time) for time in loaded.rdm_descriptors["time"]], f"{origin}: 'time'")
        rdms = RdmSet(loaded, origin)
        order, note = row_order(loaded.pattern_descriptors, ids, origin) if rdms.n_conditions == len(ids) else (None, "")
        rdms = rdms if order is None else _reordered(rdms, order, ids, origin)
        return (rdms if subjects is None else _rename_subjects(rdms, subjects, origin)), _with_missing(note, rdms, origin)
    array, beside = _read_rdm_array(path)
    vectors = condense(array, len(ids), origin)
    axis = _axis(beside, times, vectors.shape[1], origin) if vectors.ndim == 3 else None
    described = _of_rows(beside, len(ids), origin)
    order, note = row_order(described, ids, origin)
    names = _subjects_of(beside, subjects)
    rdms = RdmSet.from_array(array, subjects=names, times=axis, conditions=list(ids), measure=measure, origin=origin)
    left = [key for key in beside if key not in described and key.lower() not in (*_SUBJECTS, *_TIMES)]
    note = " ".join(filter(None, (note, _not_read(left, origin))))
    return (rdms if order is None else _reordered(rdms, order, ids, origin)), _with_missing(note, rdms, origin)


def _names_of_rows(content: Mapping[str, np.ndarray], ids: Sequence[str]) -> str | None:
    """Which array names the rows: one that is called so, or any of texts that are the stimuli's names."""
    called = next((key for name in ("conditions", *CONDITION_DESCRIPTORS) for key in content if key.lower() == name), None)
    if called is not None:
        return called
    texts = {key: set(_names_of(each)) for key, each in content.items() if each.ndim == 1 and each.dtype.kind in "US"}
    return next((key for key, labels in texts.items() if labels and set(find_names(labels, ids)) == labels), None)


def _read_observations(content: dict[str, np.ndarray], path: Path, ids: Sequence[str]) -> dict[str, Any]:
    """Read which stimulus and which run each row belongs to; by default row i is stimulus i."""
    names = _names_of_rows(content, ids)
    named = _names_of(content.pop(names)) if names is not None else list(ids)
    of_runs = _first_of(content, _RUNS)
    runs = None if of_runs is None else content.pop(of_runs[0])
    found = find_names(named, ids)
    strange = sorted(set(named) - set(found))
    if strange:
        raise InputError(
            f"{path}: the condition '{strange[0]}' is not among the {len(ids)} stimuli; expected the stimuli's file "
            "names without their ending"
        )
    conditions = [found[name] for name in named]
    return {"conditions": conditions, "runs": None if runs is None else [str(run) for run in runs]}


def read_patterns(path: Path, ids: Sequence[str], subjects: Sequence[str] | None, times: TimeAxis) -> tuple[PatternSet, str]:
    """Read a file of patterns.

    Parameters
    ----------
    path
        .npz with key "patterns", (n_subjects, n_rows, n_channels[, n_times]), or one key a subject, "subject_01" and
        so on, (n_rows, n_channels[, n_times]); rows are the stimuli, or observations that the keys "conditions" and
        "runs" (n_rows,) name.
    ids
        the stimuli, in the order of rows.
    subjects
        names of the subjects, or None.
    times
        what is stated of the time axis.

    Returns
    -------
    the patterns, and a note on arrays that are not read.

    Raises
    ------
    InputError
        for a file that cannot be read or does not fit.
    """
    content = _read_npz(path)
    origin = str(path)
    observations = _read_observations(content, path, ids)
    own = sorted(content, key=natural_key)
    by_subject = {key: content[key] for key in own if _ONE_SUBJECT.fullmatch(key) and content[key].ndim > 1}
    if "patterns" in content:
        patterns = content["patterns"]
        if patterns.ndim not in {2, 3, 4}:
            raise InputError(
                f"{origin}: patterns of shape {patterns.shape}; expected (n_subjects, n_conditions, n_channels) or "
                "(n_subjects, n_conditions, n_channels, n_times)"
            )
        measurements = [patterns] if patterns.ndim == 2 else list(patterns)
        names = _subjects_of(content, subjects)
        read = ["patterns", *(key for key in content if key.lower() in _SUBJECTS)]
    elif by_subject:
        measurements = list(by_subject.values())
        read = list(by_subject)
        names = list(by_subject) if subjects is None else subjects
    else:
        raise _missing_key(path, "the key 'patterns', or one key a subject ('subject_01', ...)", list(content))
    with_times = [each.shape[2] for each in measurements if each.ndim == 3]
    axis = _axis(content, times, with_times[0], origin) if with_times else None
    left = [key for key in content if key not in read and not (with_times and key.lower() in _TIMES)]
    # rows as they first name the stimuli in another order are sorted, each stimulus's repeats staying in theirs
    position = {identity: index for index, identity in enumerate(ids)}
    conditions = observations["conditions"]
    if list(dict.fromkeys(conditions)) != list(ids) and all(len(each) == len(conditions) for each in measurements):
        rows = sorted(range(len(conditions)), key=lambda row: position[conditions[row]])
        measurements = [each[rows] for each in measurements]
        observations = {key: None if each is None else [each[row] for row in rows] for key, each in observations.items()}
    patterns_of = PatternSet.from_arrays(measurements, subjects=names, times=axis, origin=origin, **observations)
    return patterns_of, _not_read(left, origin)


__all__ = ["LATEST", "PATTERN_SUFFIXES", "RDM_SUFFIXES", "TimeAxis", "check_seconds", "read_patterns", "read_rdms", "row_order"]
