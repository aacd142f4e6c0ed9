"""Which code the numbers of a study come from: what other code has made is made anew, and nothing else is."""

from __future__ import annotations

import functools
import hashlib
import json
from importlib import import_module, metadata
from pathlib import Path

__all__ = ["RANKS", "RECOVERY", "RDMS", "code_of"]

RDMS = ("rsa.measures", "rsa.distances", "rsa.tiles", "experiments.stimuli", "experiments.studying.shown")
"""What makes RDMs of networks."""
_STUDYING = tuple(f"experiments.studying.{name}" for name in ("conditions", "contest", "ranking", "scoring"))
RANKS = (
    *RDMS,
    *_STUDYING,
    *("experiments.pairing", "experiments.scoring", "experiments.measured", "experiments.own_ceilings"),
    *(f"rsa.{name}" for name in ("chosen_layers", "comparators", "factors", "grams", "inference", "missing", "partial_inference")),
    *(f"rsa.{name}" for name in ("rank_draws", "variance", "bootstrap", "split_halves", "generalisation", "reference_models")),
)
"""What scores them."""
_SIMULATED = ("recovery", "candidates", "many_studies", "score_vectors", "simulated_studies", "simulated_subjects", "subset_ranks")
RECOVERY = (*RANKS, "experiments.studying.recovered", *(f"rsa.{name}" for name in _SIMULATED))
"""What simulates studies of them."""


@functools.cache
def code_of(modules: tuple[str, ...]) -> str:
    """A digest of modules' code, and of the libraries below them.

    Parameters
    ----------
    modules
        `RDMS`, `RANKS` or `RECOVERY`.
    """
    digest = hashlib.sha256(json.dumps([metadata.version(name) for name in ("jax", "numpy", "scipy")]).encode())
    for name in modules:
        digest.update(Path(str(import_module(name).__file__)).read_bytes())
    return digest.hexdigest()
