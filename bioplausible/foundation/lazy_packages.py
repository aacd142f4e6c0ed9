"""Packages whose names are imported when they are asked for, so that whoever wants one name waits for no other's libraries."""

from __future__ import annotations

from collections.abc import Callable
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
    what the ``__init__.py`` calls ``__getattr__``, ``__dir__`` and ``__all__``.
    """
    find, _, names = lazy_loader.attach_stub(package, init_file)
    public = sorted({*names, *at_hand})

    def listed() -> list[str]:
        return list(public)

    return find, listed, list(public)
