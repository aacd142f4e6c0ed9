"""Packages whose names are imported when they are asked for, so that whoever wants one name waits for no other's libraries."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import lazy_loader

__all__ = ["lazy_package"]


def lazy_package(package: str, init_file: str, *at_hand: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Hand on the names of a package's stub (PEP 562; https://scientific-python.org/specs/spec-0001).

    Parameters
    ----------
    package
        ``__name__`` of the package.
    init_file
        ``__file__`` of its ``__init__.py``; the ``__init__.pyi`` beside it says which name comes from which module.
    *at_hand
        names that the ``__init__.py`` has imported itself.

    Returns
    -------
    what the ``__init__.py`` calls ``__getattr__``, ``__dir__`` and ``__all__``; modules of the package are found as attributes too.
    """
    handed_on, _, names = lazy_loader.attach_stub(package, init_file)
    public = sorted({*names, *at_hand})

    def find(name: str) -> Any:
        try:
            return handed_on(name)
        except AttributeError:
            # A module of the package is there without an import of its own, as it is where a package imports all of them.
            module = f"{package}.{name}"
            if name.startswith("_") or find_spec(module) is None:
                raise
            return import_module(module)

    def listed() -> list[str]:
        return list(public)

    return find, listed, list(public)
