r"""Measured representational dissimilarity matrices of one region: subjects by sessions by times.

An RDM holds one dissimilarity for each pair of conditions; the upper triangle in row order,
$(1,2), (1,3), \dots, (n-1,n)$, is its condensed form of $n(n-1)/2$ entries (the order of
``scipy.spatial.distance.squareform`` and of rsatoolbox). An :class:`RdmSet` wraps one ``rsatoolbox.rdm.RDMs`` whose RDM
descriptors say which subject, session and time each row belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import lazy_loader
import numpy as np
from jaxtyping import Float64, Shaped

from bioplausible.foundation.errors import InputError
from neurodata.spellings import check_distinct
from neurodata.stimuli import MINIMUM_CONDITIONS

# It loads what it draws with and learns from too, which takes longer than most of what is asked here.
rsatoolbox = lazy_loader.load("rsatoolbox")

# what rsatoolbox's users call the names of rows
CONDITION_DESCRIPTORS = ("condition", "conditions", "conds", "stimulus", "stimuli", "stim", "image", "images", "name", "names")
ASYMMETRY_TOLERANCE = 1e-6  # relative to the largest entry: files are often in single precision


def _number_of_conditions(n_pairs: int) -> int | None:
    """Invert n_pairs = n (n - 1) / 2, or None where no n fits."""
    n_conditions = (1 + isqrt(1 + 8 * n_pairs)) // 2
    return n_conditions if n_conditions * (n_conditions - 1) // 2 == n_pairs else None


def _looks_square(array: np.ndarray) -> bool:
    """Tell an RDM from as many condensed ones where the shape, such as (10, 10), fits both."""
    return bool(np.all(np.diagonal(array, axis1=-2, axis2=-1) == 0)) or np.array_equal(
        array, np.swapaxes(array, -1, -2), equal_nan=True
    )


def _read_shape(array: np.ndarray, n_conditions: int | None, origin: str) -> tuple[bool, int]:
    """Say whether the RDMs are square, and of how many conditions."""
    rows, columns = (array.shape[-2] if array.ndim > 1 else None), array.shape[-1]
    condensed = _number_of_conditions(columns)
    if rows == columns and (n_conditions is None or n_conditions in {columns, condensed}):
        both_fit = condensed is not None and n_conditions in {None, condensed}
        if not both_fit or (n_conditions in {None, columns} and _looks_square(array)):
            return True, columns
    elif rows == columns:
        return True, columns
    one_axis_fits = n_conditions is not None and condensed != n_conditions and n_conditions in {rows, columns}
    if condensed is None or one_axis_fits:
        first = array.ndim == 3 and array.shape[0] == array.shape[1] and n_conditions in {None, array.shape[0]}
        advice = ": the subjects' axis is the last, as MATLAB has it, move it to the front" if first else ""
        raise InputError(
            f"{origin}: an RDM is not square (shape {array.shape}); expected (..., n, n), or condensed (..., n (n - 1) / 2){advice}"
        )
    return False, condensed


def _condensed_from_square(array: np.ndarray, origin: str) -> np.ndarray:
    scale = float(np.nanmax(np.abs(array), initial=0.0)) or 1.0
    missing = np.isnan(array)
    one_sided = missing != np.swapaxes(missing, -1, -2)
    if one_sided.any():
        *_, row, column = np.unravel_index(one_sided.argmax(), array.shape)
        raise InputError(
            f"{origin}: an RDM has the pair of conditions {row + 1} and {column + 1} in one triangle and NaN in the other; "
            "expected the same in both, write the dissimilarity into both if it was measured once"
        )
    asymmetry = np.nan_to_num(np.abs(array - np.swapaxes(array, -1, -2)))
    if asymmetry.max() > ASYMMETRY_TOLERANCE * scale:
        *_, row, column = np.unravel_index(asymmetry.argmax(), asymmetry.shape)
        raise InputError(
            f"{origin}: an RDM is not symmetric (conditions {row + 1} and {column + 1} differ by {asymmetry.max():.3g} "
            "between the two triangles); expected D[i, j] = D[j, i], average the triangles if both are measurements"
        )
    diagonal = np.nan_to_num(np.diagonal(array, axis1=-2, axis2=-1))
    if np.abs(diagonal).max() > ASYMMETRY_TOLERANCE * scale:
        raise InputError(
            f"{origin}: an RDM has {np.abs(diagonal).max():.3g} on its diagonal; expected 0, the dissimilarity of a "
            "condition to itself, so turn similarities into dissimilarities first (for correlations, 1 - r)"
        )
    rows, columns = np.triu_indices(array.shape[-1], k=1)
    return array[..., rows, columns]


def condense(
    dissimilarities: Shaped[np.ndarray, "..."], n_conditions: int | None = None, origin: str = "RDMs"
) -> Float64[np.ndarray, "*batch n_pairs"]:
    """Check RDMs and bring them to condensed form; NaN is a pair of conditions that was not measured.

    Parameters
    ----------
    dissimilarities
        (..., n_conditions, n_conditions) or (..., n_pairs).
    n_conditions
        the number expected, or None; it settles the shapes that could be read both ways.
    origin
        the file or variable that errors name.

    Returns
    -------
    (..., n_pairs) in the order of the upper triangle's rows.

    Raises
    ------
    InputError
        when they are not numbers, infinite, without any measured pair, not square, not symmetric, or of another number of
        conditions.

    >>> condense(np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]]))
    array([1., 2., 3.])
    """
    array = np.asarray(dissimilarities)
    if (
        not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer))
        or array.ndim == 0
        or array.size == 0
    ):
        raise InputError(f"{origin}: {array.size} entries of type {array.dtype}; expected real dissimilarities")
    array = array.astype(np.float64)
    square, found = _read_shape(array, n_conditions, origin)
    if n_conditions is not None and found != n_conditions:
        raise InputError(
            f"{origin}: RDMs of {found} conditions for {n_conditions} stimuli; expected one row per stimulus, "
            "in the stimuli's order"
        )
    if found < MINIMUM_CONDITIONS:
        raise InputError(f"{origin}: RDMs of {found} conditions; expected at least {MINIMUM_CONDITIONS}")
    broken = np.isinf(array)
    if broken.any():
        place = ", ".join(str(index + 1) for index in np.unravel_index(broken.argmax(), array.shape))
        raise InputError(
            f"{origin}: {broken.sum()} of {array.size} entries are infinite (the first at {place}, counted from "
            "1); expected finite dissimilarities, or NaN for pairs of conditions that were not measured"
        )
    vectors = _condensed_from_square(array, origin) if square else array
    empty = np.isnan(vectors).all(axis=-1)
    if empty.any():
        which = ", ".join(str(index + 1) for index in np.argwhere(empty)[0])
        raise InputError(
            f"{origin}: {f'RDM {which} has' if which else 'the RDM has'} NaN for every pair of conditions; expected some that were "
            "measured, leave the subject or time out"
        )
    return vectors


def missing_pairs(vectors: Float64[np.ndarray, "*batch n_pairs"]) -> tuple[int, int]:
    """Count the pairs of conditions that were not measured.

    Parameters
    ----------
    vectors
        condensed RDMs, (..., n_pairs).

    Returns
    -------
    how many are missing, of all RDMs together, and of how many.

    >>> missing_pairs(np.array([[1.0, np.nan, 2.0]]))
    (1, 3)
    """
    return int(np.isnan(vectors).sum()), vectors.size


def _first_seen(values: Sequence) -> list:
    return list(dict.fromkeys(values))


@dataclass(frozen=True, eq=False)
class RdmSet:
    """RDMs of one region, for each subject, session and time.

    Parameters
    ----------
    toolbox
        ``rsatoolbox.rdm.RDMs``; its RDM descriptors "subject", "session" and "time" (seconds) are used where they
        are there. Without "subject" every RDM is a subject of its own (or, with "time" alone, all are one subject's);
        without "session" repeated RDMs of one subject are numbered.
    origin
        the file or variable that errors name.

    Raises
    ------
    InputError
        for infinite entries, fewer than three conditions, an RDM without any measured pair, or a subject that lacks a time
        which others have.

    >>> rdms = RdmSet.from_array(np.ones((4, 10)))
    >>> rdms.subjects, rdms.n_conditions, rdms.rdms().shape
    (('subject_01', 'subject_02', 'subject_03', 'subject_04'), 5, (4, 10))
    """

    toolbox: rsatoolbox.rdm.RDMs
    origin: str = "RDMs"

    def __post_init__(self) -> None:
        given = self.toolbox
        condensed = np.asarray(given.dissimilarities)
        # three people's three pairs of three conditions are no square of one person's
        vectors = condense(condensed[:, None] if given.n_cond == 3 else condensed, given.n_cond, self.origin)
        vectors = vectors[:, 0] if given.n_cond == 3 else vectors
        described = given.rdm_descriptors
        if "subject" in described:
            subjects = [str(subject) for subject in described["subject"]]
        elif "time" in described:
            subjects = ["subject_01"] * given.n_rdm
        else:
            subjects = [f"subject_{index + 1:02d}" for index in range(given.n_rdm)]
        times = [float(time) for time in described["time"]] if "time" in described else None
        keys = list(zip(subjects, times if times is not None else [0.0] * given.n_rdm, strict=True))
        if "session" in described:
            sessions = [str(session) for session in described["session"]]
        else:
            sessions = [str(keys[:index].count(key) + 1) for index, key in enumerate(keys)]
        descriptors: dict[str, list] = {"subject": subjects, "session": sessions}
        if times is not None:
            descriptors["time"] = times
        patterns = {name: list(values) for name, values in given.pattern_descriptors.items() if name != "index"}
        complete = rsatoolbox.rdm.RDMs(vectors, given.dissimilarity_measure, dict(given.descriptors), descriptors, patterns)
        object.__setattr__(self, "toolbox", complete)
        self._check_complete()

    def _check_complete(self) -> None:
        grid = self._grid()
        absent = (grid < 0).all(axis=1)
        if absent.any():
            subject, time = np.argwhere(absent)[0]
            when = "" if self.times is None else f" at {self.times[time]:g} s"
            raise InputError(
                f"{self.origin}: subject '{self.subjects[subject]}' has no RDM{when} while others have; expected the "
                "same times for every subject"
            )
        if (grid >= 0).sum() != self.toolbox.n_rdm:
            raise InputError(
                f"{self.origin}: {self.toolbox.n_rdm} RDMs but only {(grid >= 0).sum()} distinct combinations of "
                "subject, session and time; expected one RDM for each, number the repeats as sessions"
            )

    def _grid(self) -> np.ndarray:
        """Row of the RDM for (subject, session, time), or -1."""
        described = self.toolbox.rdm_descriptors
        times = list(described["time"]) if "time" in described else [0.0] * self.toolbox.n_rdm
        positions = [
            {value: index for index, value in enumerate(order)}
            for order in (_first_seen(described["subject"]), _first_seen(described["session"]), sorted(set(times)))
        ]
        grid = np.full([len(position) for position in positions], -1)
        for row, key in enumerate(zip(described["subject"], described["session"], times, strict=True)):
            grid[tuple(position[value] for position, value in zip(positions, key, strict=True))] = row
        return grid

    @classmethod
    def from_array(
        cls,
        dissimilarities: Shaped[np.ndarray, "..."],
        *,
        subjects: Sequence[str] | None = None,
        times: Shaped[np.ndarray, " n_times"] | None = None,
        conditions: Sequence[str] | None = None,
        n_conditions: int | None = None,
        measure: str | None = None,
        origin: str = "RDMs",
    ) -> RdmSet:
        """Wrap an array of one session's RDMs.

        Parameters
        ----------
        dissimilarities
            (n, n), (n_subjects, n, n), (n_subjects, n_times, n, n), or condensed (n_subjects, n_pairs),
            (n_subjects, n_times, n_pairs).
        subjects
            n_subjects names, by default "subject_01" and so on.
        times
            (n_times,) seconds; needed when there is an axis of times.
        conditions
            names of the conditions in the order of rows.
        n_conditions
            the number expected, taken from conditions where those are given.
        measure
            the name of the dissimilarity, such as "correlation".
        origin
            the file or variable that errors name.

        Returns
        -------
        the RDMs.

        Raises
        ------
        InputError
            for any of the faults that ``condense`` finds, or numbers of subjects or times that differ.
        """
        expected = len(conditions) if conditions is not None else n_conditions
        vectors = condense(np.asarray(dissimilarities), expected, origin)
        if vectors.ndim == 1:
            vectors = vectors[None]
        if vectors.ndim not in {2, 3}:
            raise InputError(
                f"{origin}: an array of shape {np.shape(dissimilarities)}; expected (n, n), (n_subjects, n, n), "
                "(n_subjects, n_times, n, n) or condensed (n_subjects, n_pairs), (n_subjects, n_times, n_pairs)"
            )
        n_subjects = len(vectors)
        names = [f"subject_{index + 1:02d}" for index in range(n_subjects)] if subjects is None else list(subjects)
        if len(names) != n_subjects:
            raise InputError(f"{origin}: RDMs of {n_subjects} subjects but {len(names)} names of subjects")
        check_distinct(map(str, names), origin)
        descriptors: dict[str, list] = {"subject": names}
        if vectors.ndim == 3:
            n_times = vectors.shape[1]
            if times is None or len(times) != n_times:
                raise InputError(
                    f"{origin}: RDMs at {n_times} times but {0 if times is None else len(times)} times in seconds; "
                    "expected as many, state them as times"
                )
            descriptors = {
                "subject": [name for name in names for _ in range(n_times)],
                "time": [float(time) for time in times] * n_subjects,
            }
            vectors = vectors.reshape(n_subjects * n_times, -1)
        patterns = None if conditions is None else {"condition": [str(condition) for condition in conditions]}
        return cls(rsatoolbox.rdm.RDMs(vectors, measure, rdm_descriptors=descriptors, pattern_descriptors=patterns), origin)

    @classmethod
    def from_rsatoolbox(cls, rdms: rsatoolbox.rdm.RDMs, origin: str = "RDMs") -> RdmSet:
        """Wrap ``rsatoolbox.rdm.RDMs``, filling in the descriptors that it lacks.

        Parameters
        ----------
        rdms
            with any descriptors.
        origin
            the file or variable that errors name.

        Returns
        -------
        the RDMs.

        Raises
        ------
        InputError
            as the class.
        """
        return cls(rdms, origin)

    def to_rsatoolbox(self) -> rsatoolbox.rdm.RDMs:
        """Copy into ``rsatoolbox.rdm.RDMs`` with RDM descriptors subject, session and, where there are times, time.

        Returns
        -------
        a copy, which may be changed.
        """
        return self.toolbox.copy()

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of the subjects, in the order of the first axis."""
        return tuple(_first_seen(self.toolbox.rdm_descriptors["subject"]))

    @property
    def sessions(self) -> tuple[str, ...]:
        """Names of the sessions."""
        return tuple(_first_seen(self.toolbox.rdm_descriptors["session"]))

    @property
    def times(self) -> Float64[np.ndarray, " n_times"] | None:
        """Times in seconds, ascending, or None."""
        described = self.toolbox.rdm_descriptors
        return np.array(sorted(set(described["time"]))) if "time" in described else None

    @property
    def n_conditions(self) -> int:
        """Number of conditions."""
        return int(self.toolbox.n_cond)

    @property
    def conditions(self) -> tuple[str, ...] | None:
        """Names of the conditions in the order of rows, or None where they are not known."""
        for name in CONDITION_DESCRIPTORS:
            if name in self.toolbox.pattern_descriptors:
                return tuple(str(label) for label in self.toolbox.pattern_descriptors[name])
        return None

    @property
    def measure(self) -> str | None:
        """Name of the dissimilarity, or None."""
        return self.toolbox.dissimilarity_measure

    def rdms(self) -> Float64[np.ndarray, "n_subjects *n_times n_pairs"]:
        """Average over each subject's sessions, each pair over those in which it was measured.

        Returns
        -------
        (n_subjects, n_pairs), or (n_subjects, n_times, n_pairs) where there are times; NaN where no session has the pair.
        """
        grid = self._grid()
        rows = self.toolbox.dissimilarities[grid]
        present = (grid >= 0)[..., None] & ~np.isnan(rows)
        n_present = present.sum(axis=1)
        total = np.where(present, rows, 0.0).sum(axis=1)
        mean = np.where(n_present > 0, total / np.maximum(n_present, 1), np.nan)
        return mean if self.times is not None else mean[:, 0]

    def rdms_by_session(self) -> Float64[np.ndarray, "n_subjects n_sessions *n_times n_pairs"]:
        """Keep sessions apart.

        Returns
        -------
        (n_subjects, n_sessions, n_pairs), or (n_subjects, n_sessions, n_times, n_pairs) where there are times.

        Raises
        ------
        InputError
            when a subject lacks a session that others have.
        """
        grid = self._grid()
        if (grid < 0).any():
            subject, session, _ = np.argwhere(grid < 0)[0]
            raise InputError(
                f"{self.origin}: subject '{self.subjects[subject]}' has no session '{self.sessions[session]}'; "
                "sessions can be kept apart only where every subject has all of them, use rdms() for their average"
            )
        rows = self.toolbox.dissimilarities[grid]
        return rows if self.times is not None else rows[:, :, 0]


__all__ = ["RdmSet", "condense", "missing_pairs"]
