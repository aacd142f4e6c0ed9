"""One cell of a sweep: a training, or controls that trainings share, done by whoever claims it and written to its own file.

Several processes, on one machine or on many that share the folder, may have one sweep as their plan: a cell that another is at is
left to it (`experiments.claims`).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bioplausible.foundation.files import clear_partial, write_text
from experiments.claims import claim
from experiments.config import TrainConfig, from_record, to_record
from experiments.controls import control_accuracies, equal_features
from experiments.mean_angles import angle_of_the_mean
from experiments.precise_angles import angle_in_double
from experiments.preparing import prepare
from experiments.reading import read_out
from experiments.readouts import RIDGE
from experiments.results import plain
from experiments.store import Store
from experiments.sweeping.config import SweepConfig
from experiments.sweeping.plan import CONTROL_IMAGES
from experiments.sweeping.rdms import rdms_file, rdms_of, write_rdms
from experiments.sweeping.study import Study
from experiments.trained import Trained
from experiments.training import train

__all__ = ["LOCKS", "fit_controls", "train_cell"]

LOCKS = "locks"
"""Folder of claims, while there are any."""
_RDMS = "rdms"


def _run(
    record: dict[str, Any],
    readout_images: int = 0,
    readout: str = RIDGE,
    beside_backprop: bool = False,
    store: Store | None = None,
) -> dict[str, Any]:
    """One training, from plain values to plain values and RDMs, so that any process can do it."""
    config = from_record(record, TrainConfig, "a run of the sweep")
    trained = train(config) if store is None else store.fit(prepare(config))[0]
    plain_record: dict[str, Any] = plain(trained.to_json())
    if beside_backprop:
        angles, warnings = _in_double(trained)
        # There is none in double precision of what draws noise; what one draw says is little.
        of_means = angle_of_the_mean(trained) if np.isnan(angles).all() else np.full_like(angles, np.nan)
        plain_record["warnings"] += warnings
        for each, angle, of_mean in zip(plain_record.get("seeds", [plain_record]), angles, of_means, strict=True):
            each["angle_to_backprop"] |= {"end_in_double": plain(float(angle)), "end_of_mean": plain(float(of_mean))}
        plain_record[_RDMS] = rdms_of(trained)
    if readout_images:
        plain_record["readouts"] = read_out(trained, readout_images, readout).to_dict("records")
    return plain_record


def _in_double(trained: Trained) -> tuple[np.ndarray, list[str]]:
    """The angle at the end in double precision; a rule that takes single precision alone is trained all the same, and named."""
    try:
        return angle_in_double(trained), []
    except (TypeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        return np.full(trained.config.n_seeds, np.nan), [f"no angle in double precision: {trained.name}: {reason}"]


def _control_run(record: dict[str, Any], readout_images: int, readout: str = RIDGE) -> list[dict[str, Any]]:
    """The controls of an image set, likewise."""
    config = from_record(record, TrainConfig, "the controls of the sweep")
    rows: list[dict[str, Any]] = control_accuracies(config, readout_images, readout, wider=True).to_dict("records")
    return rows


def _equal_run(record: dict[str, Any], n_units: int, readout_images: int, readout: str = RIDGE) -> list[dict[str, Any]]:
    """As many random features as a dense network has hidden units, likewise."""
    config = from_record(record, TrainConfig, "the controls of the sweep")
    rows: list[dict[str, Any]] = equal_features(config, n_units, readout_images, readout).to_dict("records")
    return rows


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Whether what a file is to hold is this process's to make: nobody else is at it, and it is not there."""
    folder = path.parent.parent
    with claim(folder / LOCKS / f"{path.stem}.lock") as mine:
        if mine:
            # Whoever had the claim and was killed may have left a part of a file.
            for each in (path, rdms_file(path)):
                clear_partial(each.parent, each.name)
        yield mine and not Study(folder).has(path)


def _write(path: Path, record: Any) -> None:
    write_text(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def train_cell(config: TrainConfig, path: Path, sweep: SweepConfig, store: Path | None = None) -> str | None:
    """Train, and write the record and its RDMs.

    Parameters
    ----------
    config
        What to train.
    path
        Of the record.
    sweep
        What it is part of.
    store
        Folder to keep the networks in, where they are to be kept.

    Returns
    -------
    str or None
        What came out, in a line; None where another process is at it or has done it.
    """
    with _claimed(path) as mine:
        if not mine:
            return None
        every_epoch = sweep.compare is not None and sweep.compare.matched
        kept = None if store is None else Store(store, every_epoch)
        record = _run(to_record(config), sweep.readout_images, sweep.readout, sweep.search is None, kept)
        if rdms := record.pop(_RDMS, {}):
            write_rdms(rdms_file(path), rdms)
        _write(path, record)
    return f"{record['rule']} on {record['architecture']}: {record['test_accuracy']:.3f}"


def fit_controls(config: TrainConfig, path: Path, n_units: int | None, sweep: SweepConfig) -> str | None:
    """Fit controls, and write what they reach.

    Parameters
    ----------
    config
        Images and seeds.
    path
        Of what is written.
    n_units
        Of random features alone, how many; None for all controls of an image set.
    sweep
        What they are part of.

    Returns
    -------
    str or None
        As of `train_cell`.
    """
    given = to_record(config), sweep.readout_images or CONTROL_IMAGES, sweep.readout
    with _claimed(path) as mine:
        if not mine:
            return None
        _write(path, _control_run(*given) if n_units is None else _equal_run(given[0], n_units, *given[1:]))
    return f"controls of {config.dataset}" if n_units is None else f"{n_units} random features of {config.dataset}"
