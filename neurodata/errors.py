"""Mistakes of the user: one clear sentence that says what was given, what was expected and what to try."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["InputError", "unknown_name"]


class InputError(ValueError):
    """What was given cannot be used; the message is one sentence for the user, without a traceback's help."""


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
