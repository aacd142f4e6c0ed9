"""What networks were after each epoch: a training that keeps it can be looked at on its way, and at another rule's accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp

from bioplausible.foundation.errors import InputError
from experiments import checkpoints
from experiments.preparing import Setup
from experiments.trained import Trained
from experiments.training import Callback, Fitting
from learning_rules import RuleState

__all__ = ["are_kept", "state_after", "states_in"]

_FOLDER = "epochs"


def _place(folder: Path, epoch: int) -> Path:
    return folder / _FOLDER / f"epoch_{epoch}"


def states_in(folder: Path) -> Callback:
    """A callback that keeps the state after every epoch but the last, which the folder of a training has anyway.

    Parameters
    ----------
    folder
        Of the training.
    """

    def save(setup: Setup, fitting: Fitting) -> None:
        if fitting.epoch < (setup.config.epochs or 0):
            checkpoints.save(_place(folder, fitting.epoch), fitting.learner.state._asdict())

    return save


def are_kept(folder: Path, n_epochs: int) -> bool:
    """Whether a folder has the state after every epoch.

    Parameters
    ----------
    folder
        Of a training.
    n_epochs
        How many it had.
    """
    return all(_place(folder, epoch).is_dir() for epoch in range(1, n_epochs))


def state_after(trained: Trained, folder: Path, epochs: Sequence[int]) -> RuleState:
    """The state of every network after an epoch of its own.

    Parameters
    ----------
    trained
        What the training ended in.
    folder
        Where it was kept.
    epochs
        One a seed; 0 is before the first image.

    Returns
    -------
    RuleState
        With a leading axis of seeds.

    Raises
    ------
    InputError
        Another number of epochs than of seeds, an epoch that there was not, or one that was not kept.
    """
    last = trained.config.epochs or 0
    if len(epochs) != trained.config.n_seeds or not all(0 <= epoch <= last for epoch in epochs):
        raise InputError(
            f"epochs {list(epochs)} were given, expected one from 0 to {last} for each of {trained.config.n_seeds} seeds"
        )
    known = {0: trained.start, last: trained.state}
    for epoch in set(epochs) - known.keys():
        known[epoch] = trained.start._replace(**checkpoints.restore(_place(folder, epoch), trained.start._asdict()))
    of_seeds = [jax.tree.map(lambda leaf, index=index: leaf[index], known[epoch]) for index, epoch in enumerate(epochs)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *of_seeds)
