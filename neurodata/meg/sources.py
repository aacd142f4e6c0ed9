"""Patterns in source space: where a forward model is at hand, a region is a part of the cortex rather than a type of sensors.

Minimum-norm estimates whiten all sensors by their noise covariance and weigh them by the forward model, so magnetometers,
gradiometers and EEG enter together here. An estimate is a linear mixture of its neighbours: what is told apart in one label
may have leaked from the next.

Reference
---------
Hämäläinen and Ilmoniemi (1994), Interpreting magnetic fields of the brain: minimum norm estimates, Medical and Biological
Engineering and Computing 32, 35-42. doi:10.1007/BF02512476
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import mne
import numpy as np
from jaxtyping import Float64
from mne.minimum_norm import InverseOperator, apply_inverse, make_inverse_operator, prepare_inverse_operator
from rsatoolbox.data import TemporalDataset

from bioplausible.foundation.errors import InputError, unknown_name
from neurodata.meg.options import TIME_DECIMALS
from neurodata.pattern_set import PatternSet

METHODS = ("MNE", "dSPM", "sLORETA", "eLORETA")
Responses: TypeAlias = mne.BaseEpochs | Sequence[mne.Evoked]


def _averages(responses: Responses, subject: str) -> dict[str, mne.Evoked]:
    if isinstance(responses, mne.BaseEpochs):
        averages = {name: responses[name].average() for name in responses.event_id}
        empty = [name for name, each in averages.items() if not each.nave]
        if empty:
            raise InputError(f"the epochs of subject '{subject}' have none of condition '{empty[0]}'; expected some of each")
        return averages
    averages = {str(each.comment): each for each in responses}
    if len(averages) < len(responses):
        raise InputError(f"two averages of subject '{subject}' have one comment; expected the conditions' names, rename them")
    return averages


def _operator(
    solution: InverseOperator | mne.Forward, responses: Responses, covariance: mne.Covariance | None, subject: str
) -> InverseOperator:
    if isinstance(solution, InverseOperator):
        return solution
    if covariance is None:
        if not isinstance(responses, mne.BaseEpochs):
            raise InputError(
                f"subject '{subject}' has averages and a forward model but no noise covariance; expected noise_covariance, "
                "or epochs with a baseline, or an inverse operator"
            )
        covariance = mne.compute_covariance(responses, tmax=0.0, method="shrunk", rank="info", verbose="error")
    info = responses.info if isinstance(responses, mne.BaseEpochs) else responses[0].info
    return make_inverse_operator(info, solution, covariance, loose="auto", depth=0.8, rank="info", verbose="error")


def _of_subject(given: Any, subject: str, what: str) -> Any:
    if not isinstance(given, Mapping) or isinstance(given, mne.Forward | InverseOperator | mne.Covariance):
        return given
    if subject not in given:
        raise InputError(f"no {what} for subject '{subject}' (given for {', '.join(map(str, given)) or 'none'}); expected one each")
    return given[subject]


def source_patterns(
    responses: Mapping[str, Responses | Mapping[str, Responses]],
    solution: InverseOperator | mne.Forward | Mapping[str, InverseOperator | mne.Forward],
    labels: Sequence[mne.Label] | Mapping[str, Sequence[mne.Label]],
    *,
    noise_covariance: mne.Covariance | Mapping[str, mne.Covariance] | None = None,
    signal_to_noise: float = 3.0,
    method: str = "dSPM",
) -> tuple[dict[str, PatternSet], Float64[np.ndarray, " n_times"]]:
    """Estimate the sources of evoked responses in labels of the cortex.

    Parameters
    ----------
    responses
        for each subject epochs, or averages whose comments name the conditions; or a mapping from run to these.
    solution
        an inverse operator or a forward solution (of which one is made); one for all subjects, or one for each.
    labels
        whose vertices are the channels of a region of their name; one list for all subjects, or one for each.
    noise_covariance
        of single trials, needed for averages with a forward solution; None takes the epochs' baseline.
    signal_to_noise
        of the averages, whose inverse square regularises.
    method
        MNE, dSPM, sLORETA or eLORETA.

    Returns
    -------
    a PatternSet for each label: observations are conditions (of each run), channels vertices (currents along the
    cortex's normal where the source space has one, else their length); and (n_times,) seconds.

    Raises
    ------
    InputError
        for a subject without a solution or labels, a label without vertices in the source space, missing noise.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if not signal_to_noise > 0:
        raise InputError(f"signal_to_noise is {signal_to_noise:g}; expected more than 0, 3 is usual for averages")
    datasets: dict[str, list[TemporalDataset]] = {}
    for subject, given in responses.items():
        runs: Mapping[str, Responses] = given if isinstance(given, Mapping) else {"1": given}
        own_labels = _of_subject(labels, subject, "labels")
        own_solution = _of_subject(solution, subject, "inverse or forward solution")
        own_covariance = _of_subject(noise_covariance, subject, "noise covariance")
        rows: dict[str, list[np.ndarray]] = {label.name: [] for label in own_labels}
        names, run_names, counts, times, prepared = [], [], [], None, None
        for run, each in runs.items():
            averages = _averages(each, subject)
            for name, average in averages.items():
                if prepared is None:
                    operator = _operator(own_solution, each, own_covariance, subject)
                    # one operator for all conditions, which dSPM would otherwise scale by each average's number of trials
                    prepared = prepare_inverse_operator(operator, 1, 1 / signal_to_noise**2, method, verbose="error")
                    has_normal = all(space["type"] == "surf" for space in prepared["src"])
                    times = np.round(np.asarray(average.times, dtype=np.float64), TIME_DECIMALS)
                estimate = apply_inverse(
                    average,
                    prepared,
                    1 / signal_to_noise**2,
                    method,
                    pick_ori="normal" if has_normal else None,
                    prepared=True,
                    verbose="error",
                )
                for label in own_labels:
                    try:
                        inside = estimate.in_label(label).data
                    except ValueError as error:
                        raise InputError(
                            f"label '{label.name}' of subject '{subject}' has no vertex in the source space; expected a larger "
                            "label or a finer source space"
                        ) from error
                    if not len(inside):
                        raise InputError(
                            f"label '{label.name}' of subject '{subject}' has no vertex in the source space; expected a larger "
                            "label or a finer source space"
                        )
                    rows[label.name].append(np.asarray(inside, dtype=np.float64))
                names.append(name)
                run_names.append(str(run))
                counts.append(int(average.nave))
        for label_name, patterns in rows.items():
            described = {"condition": names, "run": run_names, "n_trials": counts}
            measurements = np.stack(patterns)
            datasets.setdefault(label_name, []).append(
                TemporalDataset(measurements, {"subject": subject}, described, time_descriptors={"time": times})
            )
    if not datasets or any(len(found) < len(responses) for found in datasets.values()):
        raise InputError(f"the {len(responses)} subjects share no labels of the same names; expected the same regions for each")
    regions = {name: PatternSet(tuple(found), origin=f"label '{name}'") for name, found in datasets.items()}
    axis = next(iter(regions.values())).times
    assert axis is not None, "they are temporal"
    return regions, axis


__all__ = ["METHODS", "source_patterns"]
