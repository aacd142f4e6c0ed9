"""Which code the numbers of a study come from: what other code has made is made anew, and nothing else is."""

from __future__ import annotations

import functools
import hashlib
import json
from importlib import import_module, metadata
from pathlib import Path

__all__ = ["RANKS", "RDMS", "RECOVERY", "code_of"]

RDMS = tuple(f"experiments.{name}" for name in ("epoch_states", "responding", "stimuli", "studying.shown", "trained"))
"""What makes RDMs of networks, beside the package `rsa`."""
_SCORING = ("compare_config", "failures", "measured", "own_ceilings", "pairing", "scoring")
_STUDYING = ("conditions", "contest", "matched", "ranking", "scoring")
RANKS = (*RDMS, *(f"experiments.{name}" for name in _SCORING), *(f"experiments.studying.{name}" for name in _STUDYING))
"""What scores them."""
RECOVERY = (*RANKS, "experiments.studying.recovered")
"""What simulates studies of them."""


@functools.cache
def code_of(modules: tuple[str, ...]) -> str:
    """A digest of modules' code, of all of `rsa`, and of the libraries below them.

    Parameters
    ----------
    modules
        `RDMS`, `RANKS` or `RECOVERY`.
    """
    digest = hashlib.sha256(json.dumps([metadata.version(name) for name in ("jax", "numpy", "scipy")]).encode())
    folder = Path(str(import_module("rsa").__file__)).parent
    for path in (*sorted(folder.glob("*.py")), *(Path(str(import_module(name).__file__)) for name in modules)):
        digest.update(path.read_bytes())
    return digest.hexdigest()
