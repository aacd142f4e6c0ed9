"""What can be set of a rule or of an architecture: each option, its default, its range and what it is, from where it is defined."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from docstring_parser import DocstringStyle, parse

from bioplausible.foundation.options import ranges_heard

__all__ = ["option_rows"]


def option_rows(
    options: Any,
    hidden: tuple[str, ...] = (),
    meaning: Mapping[str, str] = MappingProxyType({}),
    ranges: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """One row an option.

    Parameters
    ----------
    options
        A dataclass whose docstring has a section of attributes or parameters; an instance, whose values are the defaults, or the
        class.
    hidden
        Options that are not shown.
    meaning
        What stands in the place of names that code alone knows.
    ranges
        Option -> what is expected of it; by default what an instance's own checks say.

    Returns
    -------
    list of dict
        `option`, `default`, `range` and `what`, the last two "" where neither checks nor docstring say.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Sizes:
    ...     '''Options of something.
    ...
    ...     Attributes
    ...     ----------
    ...     width, height
    ...         In pixels.
    ...     '''
    ...     width: int = 3
    ...     height: int = 2
    >>> option_rows(Sizes(), hidden=("height",))
    [{'option': 'width', 'default': 3, 'range': '', 'what': 'In pixels.'}]
    """
    kind = options if isinstance(options, type) else type(options)
    told: dict[str, str] = {}
    # A dataclass says what it adds to those that it extends.
    texts = (vars(each).get("__doc__") or "" for each in reversed(kind.__mro__))
    for each in (each for text in texts for each in parse(text, style=DocstringStyle.NUMPYDOC).params):
        what = " ".join((each.description or "").split())
        for name, value in meaning.items():
            what = what.replace(name, value)
        # Options that only mean something together are told together.
        told |= {name.strip(): what for name in each.arg_name.split(",")}
    if ranges is None:
        with ranges_heard() as heard:
            if options is not kind:
                dataclasses.replace(options)
        ranges = heard.get(kind, {})
    return [
        {
            "option": field.name,
            "default": _default(field) if options is kind else getattr(options, field.name),
            "range": ranges.get(field.name, ""),
            "what": told.get(field.name, ""),
        }
        for field in dataclasses.fields(kind)
        if field.name not in hidden
    ]


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
