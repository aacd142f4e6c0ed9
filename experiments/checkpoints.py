"""Trees of arrays on disk, by orbax: states of rules, and of their optimisers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import jax
import orbax.checkpoint as ocp

from bioplausible.foundation.errors import InputError

__all__ = ["restore", "save"]

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
        raise InputError(f"the checkpoint {folder} cannot be written ({error}): choose an --out with room for it") from error


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
        Nothing there, or other shapes.
    """
    if not folder.is_dir():
        raise InputError(f"there is no checkpoint in {folder}: give the folder that train wrote with --out")
    target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            stored: Tree = checkpointer.restore(folder.resolve(), target)
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise InputError(
            f"the checkpoint {folder} does not fit this rule and network ({str(error).splitlines()[0]}): build both with the "
            "options in its config.yaml"
        ) from error
    return stored
