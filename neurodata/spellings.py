"""One name in several spellings: a stimulus's file, its row in a table, its condition in the events.

macOS writes é as e and an accent, others as one letter; Windows knows no upper and lower case; tables say ``apple.png`` or
``apple``, ``img_1`` or ``img_01``. Names are taken for one where that leaves no doubt: the closest spelling goes first, and where
two names would be one by a looser spelling, neither is.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from bioplausible.foundation.errors import InputError

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")


def composed(name: str) -> str:
    r"""A name as Unicode composes it, without blanks around it.

    >>> composed("cafe\u0301") == "caf\u00e9"
    True
    """
    return unicodedata.normalize("NFC", name).strip()


def without_ending(name: str) -> str:
    """A name without the ending of a picture's file, whatever its case.

    >>> without_ending("apple.PNG"), without_ending("apple.v2")
    ('apple', 'apple.v2')
    """
    path = PurePosixPath(name)
    return name[: -len(path.suffix)] if path.suffix.lower() in PICTURE_ENDINGS and path.stem else name


def _loosely(name: str) -> str:
    # digits count as numbers, letters whatever their case
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), without_ending(composed(name)).casefold())


def _escaped(name: str) -> str:
    # as recordings are saved in rsatoolbox's HDF5 files, which hold ASCII alone
    return composed(name).encode("ascii", "backslashreplace").decode()


_SPELLINGS: tuple[Callable[[str], str], ...] = (str, composed, _escaped, lambda name: without_ending(composed(name)), _loosely)


def find_names(given: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    r"""Find which known name each given one spells.

    Parameters
    ----------
    given
        as a file has them.
    known
        such as the stimuli's.

    Returns
    -------
    the known name by the given one, of those that spell one; no known name is found by two spellings that differ in more than
    Unicode's composition.

    >>> find_names(["img_1.png", "IMG_02", "mask"], ["img_01", "img_02"])
    {'img_1.png': 'img_01', 'IMG_02': 'img_02'}
    >>> find_names(["Apple", "apple"], ["apple"])
    {'apple': 'apple'}
    """
    names = list(dict.fromkeys(given))
    found: dict[str, str] = {}
    for level, spelling in enumerate(_SPELLINGS):
        of: dict[str, set[str]] = defaultdict(set)
        for name in known:
            of[spelling(name)].add(name)
        # a spelling in which two of the stimuli, or two of the file's names, are one tells nothing
        taken = set(found.values()) if level > 1 else set()
        meant: dict[str, list[str]] = defaultdict(list)
        for name in names:
            key = composed(name) if spelling is _escaped else spelling(name)
            if name not in found and len(of.get(key, ())) == 1:
                meant[next(iter(of[key]))].append(name)
        for target, spelled in meant.items():
            if target not in taken and (len(spelled) == 1 or level <= 1):
                found.update(dict.fromkeys(spelled, target))
    return {name: found[name] for name in names if name in found}


def check_distinct(names: Iterable[str], origin: str) -> None:
    """Refuse a name that stands twice, lest two people become one.

    Parameters
    ----------
    names
        as they are given.
    origin
        what the message begins with.

    Raises
    ------
    InputError
        for the first that stands twice, also in another composition of Unicode.

    >>> check_distinct(["anna", "anna"], "rdms_IT.npz")
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: rdms_IT.npz: the name 'anna' stands for two of 2; expected a name for each, rename
    one
    """
    given = [composed(name) for name in names]
    twice = next((name for name in given if given.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{origin}: the name '{twice}' stands for two of {len(given)}; expected a name for each, rename one")


__all__ = ["PICTURE_ENDINGS", "check_distinct", "composed", "find_names", "without_ending"]
