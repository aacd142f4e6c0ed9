"""Names of families and of variants within them, `family/variant`, found without importing what they stand for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.resolve import resolve

__all__ = ["chosen_variant", "find_variant"]


def find_variant(name: str, variant: Any, families: Mapping[str, Collection[str]]) -> tuple[str, str]:
    """Find which family and variant a name stands for.

    Parameters
    ----------
    name
        `family`, whose first variant it is, or `family/variant`.
    variant
        one that was given beside the name; None or "" for none.
    families
        family -> its variants, "" for the one of a family that has no several.

    Returns
    -------
    the family and the variant.

    Raises
    ------
    InputError
        an unknown family or variant (the nearest is guessed), or two variants.

    >>> find_variant("hebbian/oja", None, {"hebbian": ["sanger", "oja"]})
    ('hebbian', 'oja')
    """
    family, slash, named = name.partition("/")
    if family not in families or (slash and not named):
        whole = {f"{each}/{one}" if one else each for each, of_family in families.items() for one in of_family}
        resolve(name, {*families, *whole}, "learning rule")  # says what is wrong with it
    return family, chosen_variant(family, name, named, variant, families[family])


def chosen_variant(family: str, name: str, named: str, variant: Any, variants: Collection[str]) -> str:
    """The variant that is meant by one in a name, one beside it, or neither.

    Parameters
    ----------
    family, name
        for messages.
    named, variant
        in the name and beside it, "" for none.
    variants
        those that there are, the first by default.

    Raises
    ------
    InputError
        an unknown one, or two.
    """
    if named and variant not in (None, "", named):
        raise InputError(f"rule '{name}' was given together with variant='{variant}': give one of the two")
    wanted = named or variant
    if wanted is None or wanted == "":
        return next(iter(variants))
    if not isinstance(wanted, str) or wanted not in variants:
        raise unknown_name(f"variant of '{family}'", wanted, [each for each in variants if each] or ["(none)"])
    return wanted
