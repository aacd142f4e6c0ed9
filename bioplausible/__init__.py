"""The front door: five packages, handed on when they are asked for, and what they share.

>>> import bioplausible
>>> bioplausible.architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10).n_classes
10

`architectures`, `learning_rules`, `neurodata`, `rsa` and `experiments` are installed at the top level, where other
distributions may put packages of the same names (one of PyPI's installs an `rsa`); what is handed on here is ours, or an error
says what is in its place.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bioplausible.foundation.errors import InputError
from bioplausible.packages import PACKAGES, check_package, check_packages

if TYPE_CHECKING:
    import architectures as architectures
    import experiments as experiments
    import learning_rules as learning_rules
    import neurodata as neurodata
    import rsa as rsa

__all__ = [  # noqa: F822 five of them are imported when they are asked for
    "InputError",
    "architectures",
    "check_packages",
    "experiments",
    "learning_rules",
    "neurodata",
    "rsa",
]


def __getattr__(name: str) -> Any:
    """Import a package when it is asked for, and only if it is ours."""
    if name not in PACKAGES:
        raise AttributeError(f"module 'bioplausible' has no attribute '{name}'")
    check_package(name)
    return import_module(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *PACKAGES})
