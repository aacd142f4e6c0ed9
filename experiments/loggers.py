"""Where else a training is followed: TensorBoard and Weights & Biases, as callbacks after every epoch. Neither has to be there.

A destination is `KIND:PLACE`. A new kind is a function from a place to a `Writer`, and a line in `KINDS`.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from bioplausible.foundation.errors import InputError, unknown_name
from experiments.config import to_record
from experiments.preparing import Setup
from experiments.training import Callback, Fitting

__all__ = ["KINDS", "Writer", "logging_to"]

_NAMES_OF_ROWS = ("rule", "seed", "epoch")


class Writer(NamedTuple):
    """What is written to.

    Attributes
    ----------
    begin
        Called once, with what is trained.
    write
        Called with a seed, an epoch (from one) and numbers by name.
    close
        Called at the end, come what may.
    """

    begin: Callable[[Setup], None]
    write: Callable[[int, int, Mapping[str, float]], None]
    close: Callable[[], None]


def _needed(names: Sequence[str], kind: str, package: str) -> Any:
    """The first module that is there."""
    for name in names:
        with contextlib.suppress(ImportError):
            return import_module(name)
    raise InputError(f"--log {kind} needs the package {package}, which is not installed: pip install {package}, or leave --log out")


def _tensorboard(folder: str) -> Writer:
    """One run a seed, DIR/<rule>_seed<seed>, which `tensorboard --logdir DIR` shows beside each other."""
    module = _needed(("tensorboardX", "torch.utils.tensorboard"), "tensorboard", "tensorboardX")
    writers: dict[int, Any] = {}

    def begin(setup: Setup) -> None:
        rule = setup.config.rule.replace("/", "-").replace(":", "-")
        writers.update({seed: module.SummaryWriter(f"{folder}/{rule}_seed{seed}") for seed in setup.config.seeds})

    def write(seed: int, epoch: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            writers[seed].add_scalar(name, value, epoch)
        writers[seed].flush()

    def close() -> None:
        for writer in writers.values():
            writer.close()

    return Writer(begin, write, close)


def _wandb(project: str) -> Writer:
    """One run, with names of numbers that begin with the seed where there are several; WANDB_MODE=offline keeps it here."""
    module = _needed(("wandb",), "wandb", "wandb")
    runs: list[Any] = []
    prefixed: list[bool] = []

    def begin(setup: Setup) -> None:
        config = setup.config
        runs.append(module.init(project=project, name=f"{config.rule} {config.architecture}", config=to_record(config)))
        prefixed.append(config.n_seeds > 1)

    def write(seed: int, epoch: int, numbers: Mapping[str, float]) -> None:
        prefix = f"seed_{seed}/" if prefixed[0] else ""
        runs[0].log({"epoch": epoch, **{f"{prefix}{name}": value for name, value in numbers.items()}})

    def close() -> None:
        for run in runs:
            run.finish()

    return Writer(begin, write, close)


KINDS: dict[str, Callable[[str], Writer]] = {"tensorboard": _tensorboard, "wandb": _wandb}
"""Loggers by the name that `train --log NAME:WHERE` takes."""


@contextlib.contextmanager
def logging_to(destinations: Sequence[str]) -> Iterator[list[Callback]]:
    """Open destinations, and close them in the end.

    Parameters
    ----------
    destinations
        `tensorboard:DIR` or `wandb:PROJECT` each.

    Yields
    ------
    list of Callback
        One a destination, for `experiments.training.fit`: accuracies, losses and seconds of every epoch of every seed. One that
        fails in the midst of a training is named and left; the training goes on.

    Raises
    ------
    InputError
        Another kind of destination, none of a place, or a package that is not installed.
    """
    writers = [_opened(each) for each in destinations]
    try:
        yield [_callback(each, writer) for each, writer in zip(destinations, writers, strict=True)]
    finally:
        for each, writer in zip(destinations, writers, strict=True):
            _kept_going(each, writer.close)


def _opened(destination: str) -> Writer:
    kind, colon, place = destination.partition(":")
    if kind not in KINDS:
        raise unknown_name("destination of --log", kind, KINDS)
    if not colon or not place.strip():
        raise InputError(f"--log {destination} names no place, expected {kind}:{'DIR' if kind == 'tensorboard' else 'PROJECT'}")
    return KINDS[kind](place)


def _callback(destination: str, writer: Writer) -> Callback:
    begun, failed = False, False

    def log(setup: Setup, fitting: Fitting) -> None:
        nonlocal begun, failed
        if failed:
            return

        def write() -> None:
            if not begun:
                writer.begin(setup)
            for row in fitting.accuracy[-setup.config.n_seeds :]:
                numbers = {name: float(value) for name, value in row.items() if name not in _NAMES_OF_ROWS}
                writer.write(int(row["seed"]), int(row["epoch"]), {**numbers, "seconds": fitting.seconds})

        failed = not _kept_going(destination, write)
        begun = True

    return log


def _kept_going(destination: str, do: Callable[[], None]) -> bool:
    """Do it, and where it fails say so: a training is worth more than the picture of it."""
    try:
        do()
    except Exception as error:  # whatever a network, a disk or somebody else's package raises
        why = " ".join(str(error).split()) or type(error).__name__
        warnings.warn(f"this training goes on without --log {destination}, which failed: {why}", stacklevel=2)
        return False
    return True
