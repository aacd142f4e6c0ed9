"""Mistakes of the user: one clear sentence that says what was given, what was expected and what to try."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["InputError", "guesses", "unknown_name"]


class InputError(ValueError):
    """What was given cannot be used; the message is one sentence for the user, without a traceback's help."""


def guesses(unknown: Iterable[str], valid: Iterable[str]) -> str:
    """Name several unknown keys, each with the nearest valid one, and then the valid ones in their order.

    >>> guesses(["namee", "zzz"], ["name", "times"])
    "'namee' (did you mean 'name'?), 'zzz'; valid are name, times"
    """
    names, told = list(valid), []
    for key in unknown:
        near = get_close_matches(key, names, n=1, cutoff=0.5)
        told.append(f"'{key}' (did you mean '{near[0]}'?)" if near else f"'{key}'")
    return f"{', '.join(told)}; valid are {', '.join(names)}"


def unknown_name(kind: str, given: object, valid: Iterable[str]) -> InputError:
    """Say that a name is unknown, list the valid ones and guess the nearest.

    >>> raise unknown_name("rule", "backprob", ["backprop", "hebbian"])
    Traceback (most recent call last):
        ...
    neurodata.errors.InputError: unknown rule 'backprob': did you mean 'backprop'? Valid are: backprop, hebbian
    """
    names = sorted(valid)
    near = get_close_matches(str(given), names, n=1, cutoff=0.5)
    guess = f" did you mean '{near[0]}'?" if near else ""
    return InputError(f"unknown {kind} '{given}':{guess} Valid are: {', '.join(names)}")
