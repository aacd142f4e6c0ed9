"""What a folder names and does not hold: links of DataLad and git-annex to files that were not fetched, pointers of Git LFS.

Such a name is no file to Python, so that a listing passes over it: a condition, a region or an image would be missing without a
word.
"""

from __future__ import annotations

import os
from pathlib import Path

from bioplausible.foundation.errors import InputError

_POINTERS = (b"/annex/objects/", b"version https://git-lfs")  # what stands in the place of content where links are not possible


def is_placeholder(path: str | os.PathLike[str]) -> bool:
    """Say whether a path stands for content that was not fetched: a link to nothing, or a pointer.

    >>> is_placeholder(__file__)
    False
    """
    place = Path(path)
    if place.is_symlink() and not place.exists():
        return True
    try:
        with place.open("rb") as file:
            return file.read(max(map(len, _POINTERS))).startswith(_POINTERS)
    except OSError:
        return False


def check_content(path: str | os.PathLike[str]) -> None:
    """Refuse a path that stands for content that was not fetched.

    Parameters
    ----------
    path
        a file's; one that is not there at all passes.

    Raises
    ------
    InputError
        for a link to nothing, and a pointer of git-annex or Git LFS.
    """
    if is_placeholder(path):
        raise InputError(
            f"{path} stands for a file whose content is not here; expected the file itself, fetch it ('datalad get', 'git annex "
            "get' or 'git lfs pull') or remove it"
        )


def files_in(folder: Path) -> list[Path]:
    """List a folder's files.

    Parameters
    ----------
    folder
        a folder.

    Returns
    -------
    its files, hidden ones too, in no order.

    Raises
    ------
    InputError
        for a link to a file that is not there, unless it is hidden.
    """
    found = []
    for path in folder.iterdir():
        if path.is_file():
            found.append(path)
        elif path.is_symlink() and not path.name.startswith("."):
            check_content(path)
    return found


def is_named(path: Path) -> bool:
    """Whether a file is there, or a link to one that is not: whoever reads it then says so, where it would be passed over else.

    >>> is_named(Path(__file__)), is_named(Path(__file__).parent / "none")
    (True, False)
    """
    return path.is_file() or path.is_symlink()


__all__ = ["check_content", "files_in", "is_named", "is_placeholder"]
