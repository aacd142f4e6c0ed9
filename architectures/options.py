"""Options given by name become a frozen dataclass, their values checked against its types."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import cattrs

from architectures.errors import InputError, unknown_name

__all__ = ["make_options"]

Options = TypeVar("Options")

_converter = cattrs.Converter()


def _number(value: Any, kind: type) -> Any:
    # A whole number is a fine float, but True is no number and 2.5 no count.
    if isinstance(value, bool) or not isinstance(value, int | float) or (kind is int and not float(value).is_integer()):
        raise ValueError(value)
    return kind(value)


def _text(value: Any, kind: type) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _flag(value: Any, kind: type) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


_converter.register_structure_hook(int, _number)
_converter.register_structure_hook(float, _number)
_converter.register_structure_hook(str, _text)
_converter.register_structure_hook(bool, _flag)


def _structure(value: Any, kind: Any) -> Any:
    """The value as the first of the types that it fits."""
    choices = get_args(kind) if type(kind).__name__ in ("UnionType", "Union", "_UnionGenericAlias") else (kind,)
    for choice in choices:
        if choice is type(None) and value is None:
            return None
        # One value stands for a list of one: a word is a sequence of letters to Python alone, a mapping one of keys.
        alone = get_origin(choice) is tuple and not isinstance(value, list | tuple)
        try:
            return _converter.structure((value,) if alone else value, choice)
        except Exception:  # noqa: BLE001, S112 cattrs raises whatever the type's constructor raised
            continue
    raise ValueError(value)


def make_options(kind: type[Options], given: Mapping[str, Any], what: str, hidden: tuple[str, ...] = ()) -> Options:
    """Build an options dataclass.

    Args:
        kind: the dataclass.
        given: option -> value; lists stand for tuples, and a single value for a tuple of one.
        what: whose options these are, for messages.
        hidden: fields that a message does not offer.

    Raises:
        InputError: an option that does not exist (the nearest is guessed), or a value of another type.
    """
    types = get_type_hints(kind)
    valid = [field.name for field in dataclasses.fields(kind) if field.name not in hidden]  # type: ignore[arg-type]
    for name in given:
        if name not in types:
            raise unknown_name(f"option of {what}", name, valid)
    structured = {}
    for name, value in given.items():
        try:
            structured[name] = _structure(value, types[name])
        except ValueError:
            expected = getattr(types[name], "__name__", None) if not get_args(types[name]) else str(types[name])
            raise InputError(f"option '{name}' of {what} was given {value!r}, expected {expected}") from None
    return kind(**structured)
