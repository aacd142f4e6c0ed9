"""RDMs and patterns in a user's HDF5, npz and npy files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float64
from rsatoolbox.rdm.rdms import load_rdm

from bioplausible.foundation.errors import InputError
from neurodata.pattern_set import PatternSet
from neurodata.rdm_set import RdmSet, condense
from neurodata.stimuli import natural_key

RDM_SUFFIXES = (".h5", ".hdf5", ".npz", ".npy")
PATTERN_SUFFIXES = (".npz",)
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
        return self.start + self.step * np.arange(n_times)


def _unreadable(path: Path, error: Exception) -> InputError:
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


def _read_rdm_array(path: Path) -> np.ndarray:
    if path.suffix == ".npz":
        content = _read_npz(path)
        if "rdms" not in content:
            raise _missing_key(path, "the key 'rdms'", list(content))
        return content["rdms"]
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        with h5py.File(path, "r") as content:
            if "rdms" not in content:
                raise _missing_key(path, "a dataset 'rdms', or what rsatoolbox's RDMs.save writes", list(content))
            return np.asarray(content["rdms"])
    except InputError:
        raise
    except READ_ERRORS as error:
        raise _unreadable(path, error) from error


def _is_rsatoolbox_file(path: Path) -> bool:
    if path.suffix not in {".h5", ".hdf5"}:
        return False
    try:
        with h5py.File(path, "r") as content:
            return "dissimilarities" in content
    except READ_ERRORS as error:
        raise _unreadable(path, error) from error


def _rename_subjects(rdms: RdmSet, subjects: Sequence[str], origin: str) -> RdmSet:
    if len(subjects) != len(rdms.subjects):
        raise InputError(f"{origin}: RDMs of {len(rdms.subjects)} subjects but {len(subjects)} names of subjects")
    renamed = dict(zip(rdms.subjects, subjects, strict=True))
    toolbox = rdms.to_rsatoolbox()
    toolbox.rdm_descriptors["subject"] = [renamed[subject] for subject in toolbox.rdm_descriptors["subject"]]
    return RdmSet(toolbox, origin)


def read_rdms(path: Path, ids: Sequence[str], subjects: Sequence[str] | None, times: TimeAxis, measure: str | None) -> RdmSet:
    """Read a file of RDMs.

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
    the RDMs.

    Raises
    ------
    InputError
        for a file that cannot be read or does not fit.
    """
    origin = str(path)
    if _is_rsatoolbox_file(path):
        try:
            loaded = load_rdm(origin, file_type="hdf5")
        except (*READ_ERRORS, AttributeError, TypeError, AssertionError) as error:
            raise _unreadable(path, error) from error
        rdms = RdmSet(loaded, origin)
        return rdms if subjects is None else _rename_subjects(rdms, subjects, origin)
    vectors = condense(_read_rdm_array(path), len(ids), origin)
    axis = times.of_length(vectors.shape[1], origin) if vectors.ndim == 3 else None
    return RdmSet.from_array(vectors, subjects=subjects, times=axis, conditions=list(ids), measure=measure, origin=origin)


def _read_observations(content: dict[str, np.ndarray], path: Path, ids: Sequence[str]) -> dict[str, Any]:
    """Read which stimulus and which run each row belongs to; by default row i is stimulus i."""
    conditions = [str(name) for name in content.pop("conditions", np.asarray(ids))]
    runs = content.pop("runs", None)
    strange = sorted(set(conditions) - set(ids))
    if strange:
        raise InputError(
            f"{path}: the condition '{strange[0]}' is not among the {len(ids)} stimuli; expected the stimuli's file "
            "names without their ending"
        )
    return {"conditions": conditions, "runs": None if runs is None else [str(run) for run in runs]}


def read_patterns(path: Path, ids: Sequence[str], subjects: Sequence[str] | None, times: TimeAxis) -> PatternSet:
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
    the patterns.

    Raises
    ------
    InputError
        for a file that cannot be read or does not fit.
    """
    content = _read_npz(path)
    origin = str(path)
    observations = _read_observations(content, path, ids)
    by_subject = {key: content[key] for key in sorted(content, key=natural_key) if key.startswith("subject")}
    if "patterns" in content:
        patterns = content["patterns"]
        if patterns.ndim not in {2, 3, 4}:
            raise InputError(
                f"{origin}: patterns of shape {patterns.shape}; expected (n_subjects, n_conditions, n_channels) or "
                "(n_subjects, n_conditions, n_channels, n_times)"
            )
        measurements = [patterns] if patterns.ndim == 2 else list(patterns)
        names = subjects
    elif by_subject:
        measurements = list(by_subject.values())
        names = list(by_subject) if subjects is None else subjects
    else:
        raise _missing_key(path, "the key 'patterns', or one key a subject ('subject_01', ...)", list(content))
    with_times = [each.shape[2] for each in measurements if each.ndim == 3]
    axis = times.of_length(with_times[0], origin) if with_times else None
    return PatternSet.from_arrays(measurements, subjects=names, times=axis, origin=origin, **observations)


__all__ = ["PATTERN_SUFFIXES", "RDM_SUFFIXES", "TimeAxis", "read_patterns", "read_rdms"]
