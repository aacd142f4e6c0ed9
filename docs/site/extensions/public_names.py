"""What is public: every name in a package's `__all__`. The reference is made of it, and a test asks that each is documented."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any, NamedTuple

PACKAGES = (
    "bioplausible",
    "bioplausible.foundation",
    "architectures",
    "learning_rules",
    "learning_rules.plausibility",
    "learning_rules.signals",
    "learning_rules.feedforward",
    "learning_rules.readout",
    "learning_rules.optimizers",
    "neurodata",
    "neurodata.fmri",
    "neurodata.meg",
    "rsa",
    "experiments",
    "experiments.datasets",
    "experiments.sweeping",
    "experiments.loggers",
    "experiments.training",
)
"""Packages whose names are for others to import, and the modules beside them that the pages send a reader to."""


class PublicName(NamedTuple):
    """A name, the package that hands it out, what it stands for, and "class", "function", "module" or "data"."""

    package: str
    name: str
    value: Any
    kind: str

    @property
    def path(self) -> str:
        """As it is imported."""
        return f"{self.package}.{self.name}"


_OURS = {package.partition(".")[0] for package in PACKAGES}


def _kind(value: Any) -> str:
    if isinstance(value, ModuleType):
        return "module"
    if inspect.isclass(value):
        # What another project's class is called here is a name for it, explained where it is given.
        return "class" if value.__module__.partition(".")[0] in _OURS else "data"
    # What is jitted or cached is called like a function, and is none to `inspect`.
    if inspect.isroutine(value) or (callable(value) and hasattr(value, "__wrapped__")):
        return "function"
    return "data"


def public_names(package: str) -> list[PublicName]:
    """Every name in a package's `__all__`, in its order.

    Parameters
    ----------
    package
        One of `PACKAGES`.
    """
    module = importlib.import_module(package)
    return [PublicName(package, name, value := getattr(module, name), _kind(value)) for name in module.__all__]


def home(found: PublicName) -> str:
    """The module in which a name is defined: of data the first of the package's own modules that holds it."""
    if found.kind in ("class", "function"):
        return str(inspect.unwrap(found.value).__module__)
    return found.package
