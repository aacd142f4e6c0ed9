"""Options given by name become a frozen dataclass, their values checked against its types, and then against their ranges."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from bioplausible.foundation.errors import InputError, guesses, shortened, unknown_name

__all__ = ["at_least", "check_keys", "fraction", "make_options", "one_of", "positive", "ranges_heard"]

Options = TypeVar("Options")


# What arrays can hold, and what counts.
_MOST = 2**63 - 1

# Where checks say what they expect, while somebody asks: a range is stated once, where it is checked.
_HEARD: ContextVar[dict[type, dict[str, str]] | None] = ContextVar("_HEARD", default=None)


def _number(value: Any, kind: type) -> Any:
    # A whole number is a fine float, but True is no number, 2.5 no count, and what is not a number or has no end is none of either.
    if not _is_number(value):
        raise ValueError(value)
    if kind is int and not (float(value).is_integer() and abs(value) <= _MOST):
        raise ValueError(value)
    return kind(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _MOST if isinstance(value, int) else math.isfinite(value)


def _same(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(value)
    return value


@functools.cache
def _converter() -> Any:
    import cattrs  # a sixth of what a line of help takes, which makes no options

    converter = cattrs.Converter()
    converter.register_structure_hook(int, _number)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(str, _same)
    converter.register_structure_hook(bool, _same)
    return converter


def _choices(kind: Any) -> tuple[Any, ...]:
    """The types that a value may have."""
    return get_args(kind) if type(kind).__name__ in ("UnionType", "Union", "_UnionGenericAlias") else (kind,)


_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "text", type(None): "none"}


def _in_words(kind: Any) -> str:
    """What is expected of an option, for whoever knows no Python where it can be said."""
    choices = _choices(kind)
    if all(choice in _WORDS for choice in choices):
        return ", or ".join(_WORDS[choice] for choice in choices)
    return str(kind) if get_args(kind) else str(getattr(kind, "__name__", kind))


def _structure(value: Any, kind: Any) -> Any:
    """The value as the first of the types that it fits."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(value, kind):
        return value
    choices = _choices(kind)
    # 3 is as good an int as a float: where both are allowed, a value stays what it is.
    for choice in sorted(choices, key=lambda choice: choice is not type(value)):
        if choice is type(None):
            if value is None:
                return None
            continue
        # A word is a sequence of letters to Python alone, a mapping one of keys.
        is_list = isinstance(value, list | tuple)
        if get_origin(choice) is Sequence and not is_list:
            continue
        # One value stands for a list of one.
        alone = get_origin(choice) is tuple and not is_list
        try:
            return _converter().structure((value,) if alone else value, choice)
        except Exception:  # noqa: BLE001, S112 cattrs raises whatever the type's constructor raised
            continue
    raise ValueError(value)


def check_keys(given: Iterable[object], valid: Iterable[str], origin: str) -> None:
    """Check that a mapping has no keys but known ones.

    Parameters
    ----------
    given
        the keys that it has.
    valid
        those that it may have.
    origin
        what the message begins with: the file, and the place in it.

    Raises
    ------
    InputError
        for unknown keys; all of them are named, each with the nearest valid one.

    >>> check_keys(["tmni", "tmax"], ["tmin", "tmax"], "recording.yaml")
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: recording.yaml has unknown keys: 'tmni' (did you mean 'tmin'?); valid are tmin, tmax
    """
    names = list(valid)
    unknown = [key for key in given if key not in names]
    if unknown:
        raise InputError(f"{origin} has unknown keys: {guesses(unknown, names)}")


def make_options(
    kind: type[Options],
    given: Mapping[str, Any],
    what: str,
    hidden: tuple[str, ...] = (),
    expected: Mapping[str, str] | None = None,
) -> Options:
    """Build an options dataclass from a mapping.

    Parameters
    ----------
    kind
        the dataclass.
    given
        option -> value; lists stand for tuples, and a single value for a tuple of one.
    what
        whose options these are, for messages.
    hidden
        fields that a message does not offer.
    expected
        option -> what its value should be, in words; by default its type.

    Returns
    -------
    the dataclass, each value of its field's type.

    Raises
    ------
    InputError
        an option that does not exist (the nearest is guessed), a value of another type, or what the dataclass itself refuses.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Sizes:
    ...     hidden: tuple[int, ...] = (256,)
    >>> make_options(Sizes, {"hidden": 20}, "'mlp'")
    Sizes(hidden=(20,))
    >>> make_options(Sizes, {"hiden": 20}, "'mlp'")
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: unknown option of 'mlp' 'hiden': did you mean 'hidden'? Valid are: hidden
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
            wanted = (expected or {}).get(name) or _in_words(types[name])
            raise InputError(f"option '{name}' of {what} was given {_shown(value)}, expected {wanted}") from None
    return kind(**structured)


def _shown(value: Any) -> str:
    """A value as it was given, as far as a line goes; what a number lacks is said where it looks like one."""
    if isinstance(value, float) and math.isinf(value):
        return f"{value}, which has no end"
    return shortened(repr(value)) + _too_large(value)


def _too_large(value: Any) -> str:
    return ", which 64 bits do not hold" if isinstance(value, int) and abs(value) > _MOST else ""


def _fit(value: Any, fits: Callable[[Any], bool]) -> bool:
    return all(each is None or fits(each) for each in (value if isinstance(value, list | tuple) else (value,)))


def _such_as(options: Any, name: str, fits: Callable[[Any], bool]) -> str:
    """The option's default as what to try, where it has one that would do."""
    for field in dataclasses.fields(options) if dataclasses.is_dataclass(options) else ():
        if field.name == name and field.default not in (dataclasses.MISSING, None, (None,)) and _fit(field.default, fits):
            return f", such as its default {field.default}"
    return ""


def _check(options: Any, names: tuple[str, ...], fits: Callable[[Any], bool], expected: str) -> None:
    """Check options, each value of those that have several; None is left to the option's type."""
    _tell(options, names, expected)
    for name in names:
        value = getattr(options, name)
        if not _fit(value, fits):
            each = "each " if isinstance(value, list | tuple) else ""
            beyond = _too_large(value)
            shown = shortened(str(value)) + (f"{beyond}," if beyond else "")
            raise InputError(f"{name}={shown} was given, expected {each}{expected}{_such_as(options, name, fits)}")


def positive(options: Any, *names: str) -> None:
    """Check that options are finite numbers above 0.

    Parameters
    ----------
    options
        whatever has them as attributes; of a dataclass the message offers the default.
    *names
        the options; one that is None is passed, of one that is a list each value is checked.

    Raises
    ------
    InputError
        for the first that is not.

    >>> from types import SimpleNamespace
    >>> positive(SimpleNamespace(learning_rate=-1), "learning_rate")
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: learning_rate=-1 was given, expected a number above 0
    """
    _check(options, names, lambda value: _is_number(value) and value > 0, "a number above 0")


def at_least(options: Any, minimum: float | int, *names: str, at_most: float | int | None = None) -> None:
    """Check that options are finite numbers of at least a minimum.

    Parameters
    ----------
    options
        whatever has them as attributes.
    minimum
        the smallest value that is allowed.
    *names
        the options; None is passed, of a list each value is checked.
    at_most
        the largest value that is allowed; None for as large as numbers get.

    Raises
    ------
    InputError
        for the first that is less, or more.

    >>> from types import SimpleNamespace
    >>> at_least(SimpleNamespace(n_steps=0), 1, "n_steps")
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: n_steps=0 was given, expected at least 1
    """
    most = math.inf if at_most is None else at_most
    expected = f"at least {minimum}" + ("" if at_most is None else f" and at most {at_most}")
    _check(options, names, lambda value: _is_number(value) and minimum <= value <= most, expected)


def fraction(options: Any, *names: str, with_zero: bool = True, with_one: bool = True) -> None:
    """Check that options lie between 0 and 1.

    Parameters
    ----------
    options
        whatever has them as attributes.
    *names
        the options; None is passed, of a list each value is checked.
    with_zero, with_one
        whether the ends are allowed.

    Raises
    ------
    InputError
        for the first that does not.

    >>> from types import SimpleNamespace
    >>> fraction(SimpleNamespace(decay=1.0), "decay", with_one=False)
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: decay=1.0 was given, expected a number from 0 to below 1
    """

    def fits(value: Any) -> bool:
        return _is_number(value) and (0 <= value if with_zero else 0 < value) and (value <= 1 if with_one else value < 1)

    start, end = ("from 0" if with_zero else "above 0"), ("to 1" if with_one else "to below 1")
    _check(options, names, fits, f"a number {start} {end}")


def one_of(options: Any, name: str, choices: Iterable[str]) -> None:
    """Check that an option is one of several names.

    Parameters
    ----------
    options
        whatever has it as an attribute.
    name
        the option; None is passed.
    choices
        what it may be.

    Raises
    ------
    InputError
        when it is none of them; the nearest is guessed.

    >>> from types import SimpleNamespace
    >>> one_of(SimpleNamespace(noise="gausian"), "noise", ("gaussian", "uniform"))
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: unknown noise 'gausian': did you mean 'gaussian'? Valid are: gaussian, uniform
    """
    value, names = getattr(options, name), list(choices)
    _tell(options, (name,), ", ".join(names))
    if value is not None and value not in names:
        raise unknown_name(name, value, names)


def _tell(options: Any, names: Iterable[str], expected: str) -> None:
    if (heard := _HEARD.get()) is not None:
        heard.setdefault(type(options), {}).update(dict.fromkeys(names, expected))


@contextlib.contextmanager
def ranges_heard() -> Iterator[dict[type, dict[str, str]]]:
    """Listen to the checks that are made meanwhile.

    Yields
    ------
    kind of options -> option -> what was expected of it: a number's range, or the names that there are.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Steps:
    ...     n_steps: int = 3
    ...     noise: str = "none"
    ...     def __post_init__(self):
    ...         at_least(self, 1, "n_steps")
    ...         one_of(self, "noise", ("none", "gaussian"))
    >>> with ranges_heard() as heard:
    ...     steps = Steps()
    >>> heard[Steps]
    {'n_steps': 'at least 1', 'noise': 'none, gaussian'}
    """
    heard: dict[type, dict[str, str]] = {}
    token = _HEARD.set(heard)
    try:
        yield heard
    finally:
        _HEARD.reset(token)
