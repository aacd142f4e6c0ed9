"""What decides a training, in one digest: what is the same under it need not be trained again."""

from __future__ import annotations

import functools
import hashlib
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from bioplausible.foundation.resolve import is_reference, source_of
from experiments.config import to_record
from experiments.environment import describe_code
from experiments.preparing import Setup, options_record
from experiments.results import plain

__all__ = ["digest_of", "record_of"]

# What of this package decides the weights that a training ends in, beside rules and networks.
_DECIDES = ("epochs", "preparing", "training", "datasets.contract", "datasets.splits", "environment")


@functools.cache
def _code() -> str:
    """A digest of all code that decides a training, and of the versions below it."""
    digest = hashlib.sha256(describe_code().encode())
    for name in _DECIDES:
        digest.update(Path(str(import_module(f"experiments.{name}").__file__)).read_bytes())
    return digest.hexdigest()


def record_of(setup: Setup) -> dict[str, Any]:
    """All that decides a training: configuration, options with their defaults, images by checksum, and code.

    Parameters
    ----------
    setup
        What `prepare` gave.
    """
    config = setup.config
    return {
        **to_record(config),
        "rule_options": plain(options_record(setup.rule)),
        "network": plain(dict(setup.network.options)),
        "images": setup.images.to_record(),
        "sources": {name: source_of(name) for name in (config.rule, config.architecture) if is_reference(name)},
        "code": _code(),
    }


def digest_of(setup: Setup) -> str:
    """Twenty hexadecimal digits that are the same for trainings that end in the same weights on one machine.

    Parameters
    ----------
    setup
        What `prepare` gave.
    """
    return hashlib.sha256(json.dumps(record_of(setup), sort_keys=True, default=repr).encode()).hexdigest()[:20]
