r"""From time courses to estimates: nilearn's regressors and general linear model on region voxels.

- least squares all: $y = X\beta + D\gamma + \epsilon$ with one column of X a condition;
- least squares separate: for each trial i, $y = x_i\beta_i + (\sum_{j \ne i} x_j)\beta' + D\gamma + \epsilon$, so that trials
  close in time do not compete (Mumford et al. 2012, doi:10.1016/j.neuroimage.2011.08.076);
- block: means of the volumes under each condition after D is taken out.

D holds drift, confounds, temporal derivatives and events that no pattern is asked of.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from nilearn.glm import OLSModel
from nilearn.glm.first_level import compute_regressor, make_first_level_design_matrix, run_glm
from nilearn.signal import standardize_signal

from bioplausible.foundation.errors import InputError
from neurodata.fmri.options import FmriOptions

CHUNK_BYTES = 64_000_000  # of double-precision time courses in one model
DRIFT_SHARE = 0.5  # of a condition's variance that the drift may take without a note
VERSION = 1  # of what is computed here: results of another are not found again


class Design(NamedTuple):
    """How one run is modelled.

    Parameters
    ----------
    rows
        name of each row of the result.
    regressors
        (n_rows, n_volumes, n_bases), the first of which is estimated; for blocks 1 in a condition's volumes.
    nuisance
        (n_volumes, n_nuisance), a constant among them.
    """

    rows: tuple[str, ...]
    regressors: Float[np.ndarray, "n_rows n_volumes n_bases"]
    nuisance: Float[np.ndarray, "n_volumes n_nuisance"]


class Fit(NamedTuple):
    """What is estimated of one run: values (n_rows, n_voxels), and which voxels are constant or not finite."""

    values: Float[np.ndarray, "n_rows n_voxels"]
    broken: Bool[np.ndarray, " n_voxels"]


def _regressor(events: pd.DataFrame, times: np.ndarray, options: FmriOptions) -> np.ndarray:
    if options.model == "block":
        start = events["onset"].to_numpy()[:, None] + options.block_delay
        stop = start + events["duration"].to_numpy()[:, None]
        # times that are equal but for rounding are equal
        return ((times >= start - 1e-6) & (times < stop - 1e-6)).any(axis=0).astype(np.float64)[:, None]
    triplet = (events["onset"].to_numpy(), events["duration"].to_numpy(), np.ones(len(events)))
    return compute_regressor(triplet, options.hrf, times)[0]


def _nuisance(times: np.ndarray, confounds: np.ndarray, options: FmriOptions) -> np.ndarray:
    with warnings.catch_warnings():
        # nilearn repairs matrices that are close to singular; whether conditions can be estimated is asked below
        warnings.filterwarnings("ignore", message="Matrix is singular")
        return make_first_level_design_matrix(
            times,
            drift_model=None if options.drift == "none" else options.drift,
            high_pass=options.high_pass,
            drift_order=options.drift_order,
            add_regs=confounds if confounds.shape[1] else None,
        ).to_numpy()


def _check(design: Design, options: FmriOptions, name: str) -> None:
    n_rows, n_volumes, _ = design.regressors.shape
    if options.model == "block":
        empty = np.flatnonzero(design.regressors[:, :, 0].sum(axis=1) == 0)
        if len(empty):
            raise InputError(f"{name}: no volume falls into '{design.rows[empty[0]]}'; expected blocks longer than a volume")
    if options.model == "lss" and n_rows < 2:
        raise InputError(f"{name} holds one trial; expected at least two for model 'lss', use 'lsa'")
    for matrix, rows in matrices(design, options):
        rank = np.linalg.matrix_rank(matrix)
        if rank >= n_volumes:
            raise InputError(
                f"{name}: {n_volumes} volumes for {matrix.shape[1]} regressors leave nothing to estimate noise from; leave out "
                "confounds or drift, or take longer runs"
            )
        if rank == matrix.shape[1]:
            continue
        estimable = np.linalg.pinv(matrix, rcond=1e-10) @ matrix
        for column, row in enumerate(rows):
            if abs(estimable[column, column] - 1) > 1e-6:
                raise InputError(
                    f"{name}: '{design.rows[row]}' cannot be told from the other regressors; expected conditions that come at "
                    "times of their own, leave out a confound or a condition"
                )


def drift_notes(design: Design, times: np.ndarray, options: FmriOptions, name: str) -> list[str]:
    """Say where the drift takes most of what a condition adds, as it does of long blocks that come once in a run."""
    if options.model == "block" or options.drift == "none":
        return []
    slow = _nuisance(times, np.empty((len(times), 0)), options)
    main = design.regressors[:, :, 0].T
    centred = main - main.mean(axis=0)
    left = OLSModel(slow).fit(centred).residuals
    taken = 1 - np.square(left).sum(axis=0) / np.square(centred).sum(axis=0)
    most = int(taken.argmax())
    if taken[most] <= DRIFT_SHARE:
        return []
    return [
        f"{name}: the {options.drift} drift takes {taken[most]:.0%} of the variance of '{design.rows[most]}', and so of its "
        "signal; lower high_pass or drift_order"
    ]


def make_design(
    events: pd.DataFrame,
    others: pd.DataFrame,
    times: Float[np.ndarray, " n_volumes"],
    confounds: Float[np.ndarray, "n_volumes n_confounds"],
    options: FmriOptions,
    name: str,
) -> Design:
    """Build the regressors of one run.

    Parameters
    ----------
    events
        those that patterns are asked of: onset, duration, trial_type.
    others
        those that are modelled alone.
    times
        of the volumes, in seconds.
    confounds
        what is taken out beside the drift.
    options
        how.
    name
        the events' file, for errors.

    Raises
    ------
    InputError
        when there are too few volumes or a condition cannot be told from the rest.
    """
    if options.model == "lss":
        groups = [(str(label), events.iloc[[row]]) for row, label in enumerate(events["trial_type"])]
    else:
        names = dict.fromkeys(events["trial_type"])
        groups = [(label, events[events["trial_type"] == label]) for label in names]
    regressors = np.stack([_regressor(group, times, options) for _, group in groups])
    nuisance = [_nuisance(times, confounds, options)]
    if options.model != "block":
        nuisance += [
            _regressor(others[others["trial_type"] == label], times, options) for label in dict.fromkeys(others["trial_type"])
        ]
    design = Design(tuple(label for label, _ in groups), regressors, np.concatenate(nuisance, axis=1))
    _check(design, options, name)
    return design


def matrices(design: Design, options: FmriOptions) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Give each model's matrix and the rows of the result that its first columns estimate."""
    regressors, nuisance = design.regressors, design.nuisance
    n_rows = len(regressors)
    if options.model != "lss":
        main = regressors[:, :, 0].T
        further = [regressors[row, :, 1:] for row in range(n_rows)]
        yield np.concatenate([main, *further, nuisance], axis=1), list(range(n_rows))
        return
    total = regressors.sum(axis=0)
    for row in range(n_rows):
        yield np.concatenate([regressors[row], total - regressors[row], nuisance], axis=1), [row]


def _prepared(series: np.ndarray, design: Design, options: FmriOptions) -> np.ndarray:
    """Standardise time courses; those of blocks lose drift and confounds first."""
    values = series.astype(np.float64)
    if options.model == "block":
        mean = values.mean(axis=0)
        values = OLSModel(design.nuisance).fit(values).residuals + mean
    if options.standardize == "none":
        return values
    return standardize_signal(values, detrend=False, standardize=options.standardize)


def _chunks(n_volumes: int, n_voxels: int) -> Iterator[slice]:
    step = max(1, CHUNK_BYTES // (8 * n_volumes))
    for first in range(0, n_voxels, step):
        yield slice(first, min(first + step, n_voxels))


def _estimates(values: np.ndarray, design: Design, options: FmriOptions) -> np.ndarray:
    result = np.empty((len(design.rows), values.shape[1]))
    for matrix, rows in matrices(design, options):
        labels, fits = run_glm(values, matrix, noise_model=options.noise_model)
        for label, fit in fits.items():
            estimate = fit.theta[: len(rows)]
            if options.output == "t":
                estimate = estimate / np.sqrt(np.diag(fit.cov)[: len(rows), None] * fit.dispersion)
            result[np.ix_(np.array(rows), np.flatnonzero(labels == label))] = estimate
    return result


def fit_run(
    content: tuple[object, ...],
    voxels: np.ndarray,
    design: Design,
    options: FmriOptions,
    version: int,
    read: Callable[[], np.ndarray],
) -> Fit:
    """Estimate one run's patterns; kept on disk by all but the last argument.

    Parameters
    ----------
    content
        checksums of the image, which of its volumes, and nilearn's version.
    voxels
        which of its voxels.
    design, options, version
        how they are modelled.
    read
        gives the time courses, (n_volumes, n_voxels).
    """
    series = read()
    with np.errstate(invalid="ignore"):
        broken = ~np.isfinite(series).all(axis=0) | (np.ptp(series, axis=0) == 0)
    result = np.full((len(design.rows), series.shape[1]), np.nan)
    sound = np.flatnonzero(~broken)
    for part in _chunks(len(series), len(sound)):
        values = _prepared(series[:, sound[part]], design, options)
        if options.model == "block":
            member = design.regressors[:, :, 0]
            result[:, sound[part]] = (member / member.sum(axis=1, keepdims=True)) @ values
        else:
            result[:, sound[part]] = _estimates(values, design, options)
    return Fit(result, broken)


def residuals_of(series: Float[np.ndarray, "n_volumes n_voxels"], design: Design, options: FmriOptions) -> tuple[np.ndarray, int]:
    """Compute what a model of all conditions leaves unexplained, in the units of the patterns, and its degrees of freedom.

    Residuals are whitened in time where the noise model is; of t values they are divided by their standard deviation,
    as the patterns are.
    """
    matrix, _ = next(matrices(design, options))
    left = np.empty(series.shape, dtype=np.float32)
    noise_model = "ols" if options.model == "block" else options.noise_model
    for part in _chunks(*series.shape):
        values = _prepared(series[:, part], design, options)
        labels, fits = run_glm(values, matrix, noise_model=noise_model)
        for label, fit in fits.items():
            scale = np.sqrt(fit.dispersion) if options.output == "t" and options.model != "block" else 1.0
            left[:, np.arange(series.shape[1])[part][labels == label]] = fit.whitened_residuals / scale
    return left, len(series) - int(np.linalg.matrix_rank(matrix))


__all__ = ["VERSION", "Design", "Fit", "drift_notes", "fit_run", "make_design", "matrices", "residuals_of"]
