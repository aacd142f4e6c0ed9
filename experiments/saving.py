"""A training in a folder: what is saved after every epoch, what goes on from there, and the trained networks in the end.

```
DIR/config.yaml                                       what is trained
DIR/unfinished/                                       until it is: the epochs so far, and all that the next one needs
DIR/results.json                                      what `train --json` prints
DIR/training.json                                     what else the networks need to be looked at again
DIR/tables/accuracy.csv, DIR/tables/networks.csv
DIR/init.npz                                          with --init, what the network starts from
DIR/checkpoints/last, DIR/checkpoints/best            states, with a leading axis of seeds
```
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import time
import warnings as python_warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import write_text
from bioplausible.foundation.progress import Progress
from experiments import checkpoints
from experiments.claims import claim
from experiments.config import TrainConfig, read_yaml, write_yaml
from experiments.environment import spread_over_devices
from experiments.files import prepare_folder
from experiments.preparing import Setup, prepare
from experiments.pretrained import FILE, write_start
from experiments.results import plain
from experiments.trained import Trained
from experiments.training import Callback, Fitting, begin, complete
from learning_rules import Learner

__all__ = ["UNFINISHED", "load_trained", "resume", "save_trained", "saved_in", "train_in"]

_CLAIM = "training.lock"
UNFINISHED = "unfinished"
"""Where a folder keeps what is not trained to the end."""
_TRAINING = "training.json"
_FITTING = "fitting.json"
_EVERY_SECONDS = 2.0
_ARRAYS = ("best_accuracy", "best_epoch", "confusion")
_WORDS, _WHOLE = ("rule", "layer"), ("seed", "epoch")
_NUMBERS = ("epoch", "seconds", "compile_seconds")


def saved_in(folder: Path, every: float = _EVERY_SECONDS) -> Callback:
    """A callback that saves what the next epoch needs, optimiser's state included; where there is no room for it, it warns.

    Parameters
    ----------
    folder
        Of the training.
    every
        Seconds between two savings at the least: epochs that take less are not worth one each.
    """
    place = folder / UNFINISHED
    last = time.monotonic()

    def save(setup: Setup, fitting: Fitting) -> None:
        nonlocal last
        if time.monotonic() - last < every or fitting.epoch == setup.config.epochs:
            return
        try:
            keep(setup, fitting)
        except InputError as error:
            # A training is worth more than the possibility to interrupt it.
            python_warnings.warn(
                f"this training goes on, and could not go on from here if it were interrupted: {error}", stacklevel=2
            )
            last = math.inf
        else:
            last = time.monotonic()

    def keep(setup: Setup, fitting: Fitting) -> None:
        name = f"epoch_{fitting.epoch}"
        checkpoints.save(place / name, {"learner": _as_mapping(fitting.learner), "best": fitting.best._asdict()})
        record = {
            "digest": setup.digest,
            "checkpoint": name,
            **{each: getattr(fitting, each) for each in _NUMBERS},
            "accuracy": list(fitting.accuracy),
            **{each: getattr(fitting, each).tolist() for each in _ARRAYS},
            "angles": {when: angles.tolist() for when, angles in fitting.angles.items()},
        }
        write_text(place / _FITTING, json.dumps(record) + "\n")
        # What was saved before is needed until this has its name.
        for each in place.glob("epoch_*"):
            if each.name != name:
                shutil.rmtree(each, ignore_errors=True)

    return save


def _as_mapping(learner: Learner) -> dict[str, Any]:
    return {**learner.state._asdict(), "optimizer": learner.optimizer_state}


def resume(folder: Path, setup: Setup) -> Fitting | None:
    """A training as it was interrupted, None where nothing was saved yet.

    Parameters
    ----------
    folder
        Of the training.
    setup
        What `prepare` gave of its configuration.

    Raises
    ------
    InputError
        It was begun with another configuration, other images or other code, or what was saved is damaged.
    """
    path = folder / UNFINISHED / _FITTING
    if not path.is_file():
        return None
    record = _read(path, "delete the folder, and begin anew")
    if record.get("digest") != setup.digest:
        raise InputError(
            f"{folder} holds a training that was begun with another configuration, other images or another version of the code: "
            "finish it with those, or begin anew in another folder"
        )
    try:
        return _taken_up(path, record, setup)
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, error, "delete the folder, and begin anew") from error


def _taken_up(path: Path, record: Mapping[str, Any], setup: Setup) -> Fitting:
    fresh = begin(setup)
    like = {"learner": _as_mapping(fresh.learner), "best": fresh.best._asdict()}
    kept = checkpoints.restore(path.parent / record["checkpoint"], like)
    optimizer = kept["learner"].pop("optimizer")
    state = fresh.start._replace(**kept["learner"])
    kept_as_it_was: dict[str, Any] = {each: np.asarray(record[each]) for each in _ARRAYS}
    kept_as_it_was |= {each: record[each] for each in _NUMBERS}
    return dataclasses.replace(
        fresh,
        learner=spread_over_devices(Learner(state, optimizer), setup.config.n_seeds),
        best=fresh.start._replace(**kept["best"]),
        accuracy=tuple(record["accuracy"]),
        angles={when: np.asarray(angles) for when, angles in record["angles"].items()},
        **kept_as_it_was,
    )


def train_in(
    folder: Path,
    config: TrainConfig | None = None,
    progress: Progress | None = None,
    go_on: bool = False,
    callbacks: Sequence[Callback] = (),
    **fields: Any,
) -> Trained:
    """Train in a folder, saving after every epoch that took two seconds, or after several.

    Parameters
    ----------
    folder
        A new one or an empty one; with `go_on` that of a training that was interrupted.
    config, progress, **fields
        As `experiments.training.train` takes them.
    go_on
        Go on after the last epoch that was saved.
    callbacks
        Called after every epoch.

    Raises
    ------
    InputError
        A configuration that cannot be trained, or a folder that cannot be written, holds something else, is finished, or is another
        process's at this moment.
    """
    if not go_on:
        prepare_folder(folder, besides=_CLAIM)
    with claim(folder / _CLAIM) as mine:
        if not mine:
            raise InputError(f"another process is training in {folder}: wait until it is done, or give another folder")
        if go_on and (folder / "results.json").is_file():
            raise InputError(f"{folder} holds a training that is finished: nothing is left to do, and Trained.load reads it")
        setup = prepare(_from_own_start(folder, config) if go_on and config is not None else config, **fields)
        if not go_on:
            write_text(folder / "config.yaml", write_yaml(setup.config))
            if setup.config.init:
                write_start(folder, setup.network)
        trained = complete(setup, resume(folder, setup), progress, [saved_in(folder), *callbacks])
        save_trained(trained, folder)
    return trained


def save_trained(trained: Trained, folder: Path) -> None:
    """Write trained networks into a folder, and let go what was unfinished there.

    Parameters
    ----------
    trained
        What `train` gave.
    folder
        Where to.
    """
    checkpoints.save(folder / "checkpoints" / "last", trained.state._asdict())
    checkpoints.save(folder / "checkpoints" / "best", trained.best._asdict())
    if trained.config.init:
        write_start(folder, trained.network)
    write_text(folder / "config.yaml", write_yaml(trained.config))
    write_text(folder / "tables" / "accuracy.csv", trained.accuracy.to_csv(index=False))
    write_text(folder / "tables" / "networks.csv", trained.networks.to_csv(index=False))
    record = {
        "digest": trained.digest,
        "best_epoch": trained.best_epoch.tolist(),
        "angles": {when: angles.tolist() for when, angles in trained.angles.items()},
        "info": _written(trained.info),
        "warnings": trained.warnings,
        "seconds": trained.seconds,
        "compile_seconds": trained.compile_seconds,
    }
    write_text(folder / _TRAINING, json.dumps(record) + "\n")
    write_text(folder / "results.json", json.dumps(plain(trained.to_json()), indent=1, ensure_ascii=False) + "\n")
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def load_trained(folder: Path, setup: Setup | None = None) -> Trained:
    """Trained networks from a folder, to be looked at, read out and compared as on the day that they were trained.

    Parameters
    ----------
    folder
        That `train --out` wrote.
    setup
        What `prepare` gave of the configuration in it, where that is at hand.

    Raises
    ------
    InputError
        No such folder, a training that is not finished, or files that are damaged or of another rule or network.
    """
    path = folder / _TRAINING
    if not path.is_file():
        begun = (folder / "config.yaml").is_file() or (folder / UNFINISHED).is_dir()
        what = "a training that is not finished: go on with train --resume" if begun else "no training"
        raise InputError(f"{folder} holds {what}" if folder.is_dir() else f"there is no folder {folder} with a training in it")
    record = _read(path, "train again")
    setup = setup or prepare(_from_own_start(folder, read_yaml(folder / "config.yaml", TrainConfig)))
    start = begin(setup).start
    state, best = (
        start._replace(**checkpoints.restore(folder / "checkpoints" / name, start._asdict())) for name in ("last", "best")
    )
    n_networks, n_nodes = setup.config.n_seeds, len(setup.network.nodes)
    accuracy = _table(folder / "tables" / "accuracy.csv", n_networks * (setup.config.epochs or 0))
    networks = _table(folder / "tables" / "networks.csv", n_networks * n_nodes)
    try:
        return Trained(
            config=setup.config,
            images=setup.images,
            rule=setup.rule,
            network=setup.network,
            initial=start.params["network"],
            start=start,
            state=state,
            best=best,
            best_epoch=np.asarray(record["best_epoch"]),
            accuracy=accuracy,
            networks=networks,
            angles={when: np.asarray(angles) for when, angles in record["angles"].items()},
            info=_as_arrays(record["info"]),
            warnings=[*record["warnings"], *_of_another(folder, record, setup)],
            seconds=float(record["seconds"]),
            compile_seconds=float(record["compile_seconds"]),
            digest=str(record["digest"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, error, "train again") from error


def _from_own_start(folder: Path, config: TrainConfig) -> TrainConfig:
    """The configuration of a folder, started from what it keeps: what it was given may be gone, or another by now."""
    return dataclasses.replace(config, init=str(folder / FILE)) if config.init and (folder / FILE).is_file() else config


def _of_another(folder: Path, record: Mapping[str, Any], setup: Setup) -> list[str]:
    """Say that a rule, its images or the machine are not what they were, where that is known."""
    if not record["digest"] or record["digest"] == setup.digest:
        return []
    return [
        f"networks of another day: {setup.config.rule}: the code, a file of your own, the images or the device have changed since "
        f"those in {folder} were trained: their weights are as they were, all else is as it is now"
    ]


def _table(path: Path, n_rows: int) -> pd.DataFrame:
    """A table to the last digit of its numbers, with a row for every network's epoch or node."""
    try:
        # A node may be called 0, or NA.
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        for name in table.columns.difference(_WORDS):
            numbers = [float(text) if text else np.nan for text in table[name]]
            table[name] = np.array(numbers).astype(int if name in _WHOLE else float)
    except (ValueError, OSError) as error:  # pandas' own errors among them
        raise _damaged(path, error, "train again") from error
    if len(table) != n_rows or not {"rule", "seed"} <= set(table.columns):
        raise InputError(f"{path} has {len(table)} rows, expected {n_rows} with rule and seed: train again")
    return table


def _written(info: Any) -> Any:
    """Arrays in mappings and sequences as JSON has them, told from sequences of arrays."""
    if isinstance(info, Mapping):
        return {str(name): _written(each) for name, each in info.items()}
    if isinstance(info, list | tuple):
        return [_written(each) for each in info]
    array = np.asarray(info)
    return {"array": array.tolist(), "dtype": str(array.dtype)}


def _as_arrays(written: Any) -> Any:
    if isinstance(written, list):
        return tuple(_as_arrays(each) for each in written)
    if set(written) == {"array", "dtype"}:
        return np.asarray(written["array"], written["dtype"])
    return {name: _as_arrays(each) for name, each in written.items()}


def _damaged(path: Path, error: Exception, instead: str) -> InputError:
    return InputError(f"{path} is damaged ({type(error).__name__}: {error}): {instead}")


def _read(path: Path, instead: str) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path, error, instead) from error
    if not isinstance(record, dict):
        raise InputError(f"{path} holds {type(record).__name__}, expected a mapping: {instead}")
    return record
