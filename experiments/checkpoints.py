"""Trained networks on disk, by orbax: the last state, and the best on the validation images."""

from __future__ import annotations

from pathlib import Path

import jax
import orbax.checkpoint as ocp

from bioplausible.foundation.errors import InputError
from learning_rules import RuleState

__all__ = ["restore", "save"]


def save(folder: Path, state: RuleState) -> None:
    """Write a state; orbax writes beside and renames.

    Raises
    ------
    InputError
        No space, or no permission.
    """
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(folder.resolve(), {"params": state.params, "carry": state.carry}, force=True)
    except OSError as error:
        raise InputError(f"the checkpoint {folder} cannot be written ({error}): choose an --out with room for it") from error


def restore(folder: Path, like: RuleState) -> RuleState:
    """Read a state of the shapes of `like`, the state of a rule built with the same options.

    Raises
    ------
    InputError
        Nothing there, or other shapes.
    """
    if not folder.is_dir():
        raise InputError(f"there is no checkpoint in {folder}: give the folder that train wrote with --out")
    target = jax.tree.map(ocp.utils.to_shape_dtype_struct, {"params": like.params, "carry": like.carry})
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            stored = checkpointer.restore(folder.resolve(), target)
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise InputError(
            f"the checkpoint {folder} does not fit this rule and network ({str(error).splitlines()[0]}): build both with the "
            "options in its config.yaml"
        ) from error
    return RuleState(stored["params"], stored["carry"])
