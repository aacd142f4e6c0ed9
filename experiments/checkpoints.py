"""Trees of arrays on disk, by orbax: states of rules, and of their optimisers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import jax
import orbax.checkpoint as ocp

from bioplausible.foundation.errors import InputError, shortened

__all__ = ["restore", "restore_any", "save"]

Tree = TypeVar("Tree")


def save(folder: Path, tree: Any) -> None:
    """Write a tree; orbax writes beside and renames.

    Parameters
    ----------
    folder
        That it becomes; what is there is replaced.
    tree
        Of arrays.

    Raises
    ------
    InputError
        No space, or no permission.
    """
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(folder.resolve(), tree, force=True)
    except OSError as error:
        raise InputError(f"the checkpoint {folder} cannot be written ({error}): choose a folder with room for it") from error


def restore_any(folder: Path) -> Any:
    """Read a tree of whatever shapes it has, sequences as lists.

    Parameters
    ----------
    folder
        That orbax wrote.

    Raises
    ------
    InputError
        Nothing there, or damage.
    """
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            return checkpointer.restore(folder.resolve())
    except Exception as error:  # whatever orbax and the libraries below it raise of bytes that are no checkpoint
        why = shortened(" ".join(str(error).split()))
        raise InputError(
            f"{folder} holds no checkpoint that can be read ({why}): give a folder that train --out or orbax wrote"
        ) from error


def restore(folder: Path, like: Tree) -> Tree:
    """Read a tree.

    Parameters
    ----------
    folder
        That `save` wrote.
    like
        A tree of the same shapes, such as the state of a rule built with the same options.

    Raises
    ------
    InputError
        Nothing there, damage, or other shapes.
    """
    if not folder.is_dir():
        raise InputError(f"there is no checkpoint in {folder}: give the folder that a training wrote")
    target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            stored: Tree = checkpointer.restore(folder.resolve(), target)
    except PermissionError as error:
        raise InputError(f"the checkpoint {folder} cannot be read ({error.strerror}): give yourself the right to") from error
    except Exception as error:  # whatever orbax and the libraries below it raise of bytes that are no checkpoint
        why = shortened(" ".join(str(error).split()))
        raise InputError(
            f"the checkpoint {folder} is damaged, or does not fit this rule and network ({why}): build both with the options in "
            "its config.yaml, or train again"
        ) from error
    return stored
