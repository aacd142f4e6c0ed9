"""Which values an option may have, as the code itself checks them: its checks are run and written down."""

from __future__ import annotations

import contextlib
import functools
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any
from unittest import mock

import learning_rules
from architectures import Network

Ranges = dict[str, str]


def _positive(found: Ranges, _: Any, *names: str) -> None:
    found.update(dict.fromkeys(names, "above 0"))


def _at_least(found: Ranges, _: Any, minimum: float, *names: str, at_most: float | None = None) -> None:
    found.update(dict.fromkeys(names, f"at least {minimum}" + ("" if at_most is None else f", at most {at_most}")))


def _fraction(found: Ranges, _: Any, *names: str, with_zero: bool = True, with_one: bool = True) -> None:
    found.update(dict.fromkeys(names, f"{'[' if with_zero else '('}0, 1{']' if with_one else ')'}"))


def _one_of(found: Ranges, _: Any, name: str, choices: Iterable[str]) -> None:
    found[name] = ", ".join(f"`{each}`" for each in choices)


_CHECKS: dict[str, Callable[..., None]] = {
    "positive": _positive,
    "at_least": _at_least,
    "fraction": _fraction,
    "one_of": _one_of,
}


@contextlib.contextmanager
def recorded(package: str) -> Iterator[Ranges]:
    """Write down what the modules of a package check while the block runs.

    Parameters
    ----------
    package
        By its name; its modules have to be imported.
    """
    found: Ranges = {}
    modules: list[ModuleType] = [each for name, each in sys.modules.items() if name.partition(".")[0] == package]
    with contextlib.ExitStack() as stack:
        for module in modules:
            for name, write in _CHECKS.items():
                if name in vars(module):
                    stack.enter_context(mock.patch.object(module, name, functools.partial(write, found)))
        yield found


@functools.cache
def _networks() -> tuple[Network, ...]:
    return tuple(learning_rules.typical_networks().values())


@functools.cache
def of_rule(name: str) -> Ranges:
    """Option -> range of a rule, as building it for a network of its own kind checks them.

    Parameters
    ----------
    name
        `family` or `family/variant`.
    """
    network = next(each for each in _networks() if learning_rules.support(name, each).supported)
    with recorded("learning_rules") as found:
        learning_rules.build(name, network)
    return found


def of_dataclass(kind: type) -> Ranges:
    """Option -> range of options that check themselves when they are made.

    Parameters
    ----------
    kind
        A dataclass whose fields have defaults.
    """
    with recorded(kind.__module__.partition(".")[0]) as found:
        kind()
    return found


def written(value: Any) -> str:
    """A default as a user would write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, tuple | list):
        return ", ".join(map(written, value)) or "()"
    return str(value) if value != "" else '""'
