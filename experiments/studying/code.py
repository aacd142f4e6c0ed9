"""Which code the numbers of a study come from: tables that other code has made are made anew."""

from __future__ import annotations

import functools
import hashlib
import json
from importlib import import_module, metadata
from pathlib import Path

__all__ = ["studying_code"]

_BESIDE = ("experiments.pairing", "experiments.responding", "experiments.scoring", "experiments.stimuli", "experiments.measured")


@functools.cache
def studying_code() -> str:
    """A digest of the comparison's code, and of the libraries below it."""
    digest = hashlib.sha256(json.dumps([metadata.version(name) for name in ("jax", "numpy", "scipy")]).encode())
    folders = [Path(str(import_module("rsa").__file__)).parent, Path(__file__).parent]
    files = [*(path for folder in folders for path in sorted(folder.glob("*.py"))), *map(_file, _BESIDE)]
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _file(module: str) -> Path:
    return Path(str(import_module(module).__file__))
