"""Answers that follow from the code alone are kept on disk: what a rule declares is not asked of JAX each time it is read.

An answer stands with a digest of the files that it was made from. Once one of them changes it is made anew; where nothing can be
kept it is made each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Collection
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import write_text
from experiments.plain_values import plain
from neurodata.derived import default_folder

__all__ = ["kept"]


def kept(name: str, make: Callable[[], Any], packages: Collection[str], folder: Path | None = None) -> Any:
    """An answer from disk, or made and put there.

    Parameters
    ----------
    name
        What it is called on disk.
    make
        Makes it, of what JSON has; it goes by the code alone.
    packages
        Packages and modules whose source it goes by.
    folder
        Where answers are kept; by default beside derived results (`neurodata.derived.default_folder`).

    Returns
    -------
    The answer as JSON has it, tuples as lists.
    """
    digest = _digest(packages)
    path = (folder or _folder()) / f"{name}.json"
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["made_from"] == digest:
            return record["answer"]
    answer = plain(make())
    with contextlib.suppress(InputError, OSError):
        write_text(path, json.dumps({"made_from": digest, "answer": answer}, ensure_ascii=False) + "\n")
    return answer


def _folder() -> Path:
    # Of every installation its own: two that differ would put each other's answers away.
    here = hashlib.sha256(str(Path(__file__).parent).encode()).hexdigest()[:12]
    return default_folder().with_name("told") / here


def _digest(packages: Collection[str]) -> str:
    """Of the source of packages, without importing them."""
    digest = hashlib.sha256()
    for name in sorted(packages):
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin)
        for path in sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]:
            digest.update(f"{name} {path.name}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
