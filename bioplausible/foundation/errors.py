"""Mistakes of the user: one clear sentence that says what was given, what was expected and what to try."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["InputError", "guesses", "nearest", "shortened", "unknown_name"]

_LONGEST = 80

# At half, 'cosine' would be a slip of the pen for 'crossnobis'; a wrong guess is worse than none.
_ALIKE = 0.51


class InputError(ValueError):
    """What was given cannot be used; the message is one sentence for the user, without a traceback's help."""


def shortened(text: str, longest: int = _LONGEST) -> str:
    """What a user gave, as far as a line has room for it.

    Parameters
    ----------
    text
        what was given.
    longest
        how many characters are shown.

    Returns
    -------
    the text; of a longer one the beginning, and how long it is.

    >>> shortened("backprop"), shortened("a" * 5000, longest=3)
    ('backprop', 'aaa… (5000 characters)')
    """
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"


def nearest(given: object, valid: Iterable[str]) -> str | None:
    """Guess which name was meant.

    Parameters
    ----------
    given
        what the user wrote.
    valid
        the names that there are.

    Returns
    -------
    the most similar of them, or None where none is similar.

    >>> nearest("backprob", ["backprop", "hebbian"]), nearest("cosine", ["crossnobis", "euclidean"])
    ('backprop', None)
    >>> nearest("S1", ["s2", "s1"])
    's1'
    """
    text, names = str(given), list(valid)
    # A name in other capitals is that name, however few letters it has.
    same = [name for name in names if name.casefold() == text.casefold()]
    near = same or get_close_matches(text, names, n=1, cutoff=_ALIKE)
    return near[0] if near else None


def unknown_name(kind: str, given: object, valid: Iterable[str]) -> InputError:
    """Say that a name is unknown, list the valid ones and guess the nearest.

    Parameters
    ----------
    kind
        what the name is one of.
    given
        what the user wrote.
    valid
        the names that there are.

    Returns
    -------
    the error, to be raised.

    >>> raise unknown_name("rule", "backprob", ["backprop", "hebbian"])
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: unknown rule 'backprob': did you mean 'backprop'? Valid are: backprop, hebbian
    """
    names = sorted(valid)
    near = nearest(given, names)
    guess = "valid" if near is None else f"did you mean '{near}'? Valid"
    return InputError(f"unknown {kind} '{shortened(str(given))}': {guess} are: {', '.join(names)}")


def guesses(unknown: Iterable[object], valid: Iterable[str]) -> str:
    """Name several unknown keys, each with the nearest valid one, and then the valid ones in their order.

    Parameters
    ----------
    unknown
        keys that the user wrote.
    valid
        the keys that there are.

    Returns
    -------
    a clause for an error's sentence.

    >>> guesses(["namee", "zzz"], ["name", "times"])
    "'namee' (did you mean 'name'?), 'zzz'; valid are name, times"
    """
    names, told = list(valid), []
    for key in unknown:
        near = nearest(key, names)
        told.append(f"'{shortened(str(key))}'" if near is None else f"'{key}' (did you mean '{near}'?)")
    return f"{', '.join(told)}; valid are {', '.join(names)}"
